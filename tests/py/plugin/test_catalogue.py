"""A configuration's plugins: what makes two of them one, and where in the document a mistake is told."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastgw.config.load import Loaded, load
from fastgw.plugin.catalogue import Entry, examine

TEXT = """
import msgspec
from fastgw.plugin import Plugin, hook
class Settings(msgspec.Struct, forbid_unknown_fields=True):
    word: str = ""
    many: list[int] = []
class A(Plugin[Settings]):
    @hook.reply
    def check(self, request, reply): ...
class Bare(Plugin[None]):
    @hook.access
    def check(self, request): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = list(sys.path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "fgw_cat.py").write_text(TEXT)
    yield tmp_path
    sys.modules.pop("fgw_cat", None)
    sys.path[:] = path


def loaded(folder: Path, *steps: str, top: str = "") -> Loaded:
    chain = "".join(f"      - {step}\n" for step in steps)
    file = folder / "fastgw.yaml"
    file.write_text(
        f"listeners: {{web: {{bind: '127.0.0.1:0'}}}}\n{top}routes:\n  r:\n    match: {{prefix: /}}\n"
        f"    to: {{static: {{body: x}}}}\n    chain:\n{chain}"
    )
    return load(file, {"WORD": "w"})


def entries(folder: Path, *steps: str) -> list[Entry]:
    found, problems = examine(loaded(folder, *steps))
    assert not problems, problems
    return found.entries()


def test_the_same_use_settings_and_name_are_one_instance(folder: Path):
    same = "{use: 'fgw_cat:A', with: {word: w, many: [1]}}", "{with: {many: [1], word: '${WORD}'}, use: 'fgw_cat:A'}"
    (entry,) = entries(folder, *same)
    assert (entry.name, entry.use, entry.kinds) == ("fgw_cat:A", "fgw_cat:A", ("reply",))
    assert entry.path == (str(folder / "plugins"),) and entry.settings == b'{"many":[1],"word":"w"}'
    others = "{use: 'fgw_cat:A', with: {word: v}}", "{use: 'fgw_cat:A', name: n, with: {word: w, many: [1]}}"
    assert len({each.key for each in entries(folder, same[0], *others)}) == 3


def test_edited_code_is_another_instance(folder: Path):
    (before,) = entries(folder, "{use: 'fgw_cat:A'}")
    assert entries(folder, "{use: 'fgw_cat:A'}") == [before]
    (folder / "plugins" / "fgw_cat.py").write_text(TEXT + "\n# edited\n")
    assert entries(folder, "{use: 'fgw_cat:A'}")[0].key != before.key


@pytest.mark.parametrize(
    ("step", "code", "at", "says"),
    [
        ("use: fgw_cat:B", "FGW1216", (7, 14), "has no B; it has A, Bare"),
        ("{use: 'fgw_cat:A', with: {wrod: x}}", "FGW1217", (7, 35), "did you mean word?"),
        ("{use: 'fgw_cat:A', with: {word: w, 'other key': {a: 1}}}", "FGW1217", (7, 44), "unknown field `other key`"),
        ("{use: 'fgw_cat:Bare', with: {any: x}}", "FGW1217", (7, 38), "takes no settings"),
        ("{use: 'fgw_cat:A', with: {many: x}}", "FGW1217", (7, 41), "Expected `array`"),
        ("{use: 'fgw_cat:A', with: {many: [1, x]}}", "FGW1217", (7, 45), "Expected `int`"),
        ("{use: 'fgw_none:A', fail: open}", "FGW1216", (7, 15), "there is no module fgw_none"),
    ],
)
def test_mistakes_have_their_place(folder: Path, step: str, code: str, at: tuple[int, int], says: str):
    _, problems = examine(loaded(folder, step))
    (problem,) = problems
    assert (problem.code, (problem.line, problem.column)) == (code, at), str(problem)
    assert says in str(problem)


def test_every_mistake_is_told_and_a_folder_that_is_not_there(folder: Path):
    both = loaded(folder, "use: fgw_cat:B", "use: fgw_cat:C", top="plugins: {path: [plugins, nowhere]}\n")
    assert [problem.code for problem in examine(both)[1]] == ["FGW1215", "FGW1216", "FGW1216"]
    assert examine(loaded(folder, "use: fgw_cat:A"))[1] == []
