"""The generated files: the schema agrees with the loader, the reference names everything, the examples load."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from fastgw.config import problem, reference
from fastgw.config.load import format_of, load, loads, plain
from fastgw.config.schema import schema
from fastgw.config.shape import Choice, Leaf, List, Map, Object, root
from fastgw.config.yaml_marks import parse
from fastgw.errors import ConfigErrors
from tests.tls_files import make

from . import test_broken

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted(path for kind in ("yaml", "toml") for path in (ROOT / "examples").glob(f"*.{kind}"))
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with the files that examples/tls*.yaml name."""
    folder = tmp_path_factory.mktemp("example")
    ca = make(folder / "certs", "partners-ca")
    make(folder / "certs", "www", "DNS:www.example.com", ca)
    make(folder / "certs", "www-rsa", "DNS:www.example.com", ca, rsa=True)
    make(folder / "certs", "wildcard", "DNS:*.example.com", ca)
    make(folder / "certs", "gateway", "", make(folder / "certs", "internal-ca"))
    return folder


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_without_a_warning_and_fit_the_schema(path, certificates):
    base = certificates if path.stem.startswith("tls") else path.parent
    loaded = loads(path.read_text(), str(path), format_of(path), env={}, base=base)
    assert loaded.warnings == []
    assert [error.message for error in VALIDATOR.iter_errors(loaded.document())] == []


def test_there_is_an_example_of_every_feature():
    features = "demo headers http2 logging proxy-protocol redirect routing static timeouts-limits unix-sockets"
    features += " tls tls-upstream http2-upstream"
    assert set(features.split()) <= {path.stem for path in EXAMPLES}


def test_the_example_of_limits_shows_every_default():
    written = load(ROOT / "examples/timeouts-limits.yaml", {})
    default = loads('listeners: {w: {bind: "127.0.0.1:1"}}').config
    assert (written.config.limits, written.config.timeouts) == (default.limits, default.timeouts)
    document = written.document()
    assert set(document["limits"]) == set(default.limits.__struct_fields__)
    assert set(document["timeouts"]) == set(default.timeouts.__struct_fields__)


SHAPES = [
    row
    for row in (*test_broken.STRUCTURE, *test_broken.SCALARS)
    if row[3] in ("FGW1101", "FGW1102", "FGW1103", "FGW1104")
]


@pytest.mark.parametrize("text", [row[0] for row in SHAPES if row[4] != "log.access.to" and "9" * 50 not in row[0]])
def test_what_the_loader_refuses_by_shape_does_not_fit_the_schema(text):
    _, tree = parse("f.yaml", text)
    assert list(VALIDATOR.iter_errors(plain(tree)))


def options(shape, seen):
    match shape:
        case Object():
            if shape.cls not in seen:
                seen.add(shape.cls)
                for option in shape.fields.values():
                    yield shape, option
                    yield from options(option.shape, seen)
        case List():
            yield from options(shape.item, seen)
        case Map():
            yield from options(shape.value, seen)
        case Choice():
            for option in shape.options:
                yield from options(option, seen)
        case Leaf():
            pass


def test_every_option_is_described():
    every = list(options(root(), set()))
    assert len(every) > 90
    page = reference.render()[reference.PAGE]
    for shape, option in every:
        assert option.description.endswith("."), f"{shape.cls.__name__}.{option.name}"
        assert f"| `{option.name}` |" in page, option.name


def test_defaults_of_the_reference_mean_the_defaults_of_the_model():
    """Write every default as the reference spells it: nothing changes."""
    rows = []
    for section in ("limits", "timeouts"):
        table = reference.render()[reference.PAGE].split(f"\n## `{section}`\n")[1].split("\n## ")[0]
        found = re.findall(r"^\| `(\w+)` \|[^|]*\| `([^`]+)` \|", table, re.M)
        rows.append(f"{section}: {{{', '.join(f'{name}: {value}' for name, value in found)}}}")
    head = 'listeners: {w: {bind: "127.0.0.1:1"}}\n'
    assert rows[0].count(":") == 18 and rows[1].count(":") == 18
    assert loads(head + "\n".join(rows)).config == loads(head).config


def test_the_generated_files_are_fresh():
    for path, text in reference.render().items():
        assert (ROOT / path).read_text() == text, f"{path} is stale: run `make gen`"
    json.loads(reference.render()[reference.SCHEMA])


def test_every_code_is_used_and_listed():
    sources = "".join(path.read_text() for path in (ROOT / "fastgw").glob("*/*.py") if path.name != "problem.py")
    used = set(re.findall(r"FGW1\d{3}", re.sub(r'""".*?"""|#[^\n]*', "", sources, flags=re.S)))
    assert used == set(problem.CODES)


def test_every_code_of_an_error_has_a_broken_document():
    tested = {row[3] for row in test_broken.CASES}
    elsewhere = {"FGW1001", "FGW1301"}  # files that cannot be read; what only the snapshot finds
    elsewhere |= {"FGW1216", "FGW1217"}  # plugins, looked into after the document: tests/py/plugin/test_catalogue.py
    assert {code for code in problem.CODES if code < "FGW1900"} == tested | elsewhere


def test_random_text_never_raises_anything_else():
    from hypothesis import given
    from hypothesis import strategies as st

    words = "listeners routes upstreams limits 127.0.0.1:80 off x 1 !!str &a *a << - ? : , { } [ ] ' | > $ ${ # % \\"
    pieces = [*words.split(), '"', " ", "  ", "\n", "\t"]

    @given(st.lists(st.sampled_from(pieces)).map("".join) | st.text(), st.sampled_from(["yaml", "json"]))
    def run(text, kind):
        try:
            loads(text, "f", kind, env={})
        except ConfigErrors as errors:
            assert errors.problems
            for found in errors.problems:
                assert found.line >= 1 and found.column >= 1 and found.render() and found.code in problem.CODES

    run()
