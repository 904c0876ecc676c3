"""A private key that is written out in a document is shown by nothing that shows the document."""

from __future__ import annotations

import json

import pytest

from fastgw.config.load import loads
from fastgw.errors import ConfigErrors
from tests.tls_files import Files, make

BLOCK = (
    "listeners:\n  web:\n    bind: 127.0.0.1:0\n    tls:\n      certificates:\n      - cert: %s\n        key: |\n%s\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("key"), "www", "DNS:www.example.com")


@pytest.fixture
def key(files: Files) -> str:
    return files.key.read_text()


def quotes(text: str, key: str) -> bool:
    """Whether a line of the key's body stands there."""
    return any(line in text for line in key.splitlines() if "-----" not in line)


def indented(key: str) -> str:
    return "".join(f"          {line}\n" for line in key.splitlines())


def test_a_dump_says_that_there_is_a_key(key: str, files: Files) -> None:
    text = BLOCK % (files.cert, indented(key))
    step = f"- {{use: 'm:C', with: {{secret: {json.dumps(key)}, list: [{json.dumps(key)}]}}}}"
    text += f"routes:\n  r:\n    to: {{static: {{}}}}\n    chain:\n    {step}\n"
    loaded = loads(text)
    shown = loaded.effective()
    told = "(a private key, not shown)"
    assert shown["listeners"]["web"]["tls"]["certificates"] == [{"cert": str(files.cert), "key": told}]
    assert shown["routes"]["r"]["chain"][0]["with"] == {"secret": told, "list": [told]}
    for each in (json.dumps(shown), json.dumps(loaded.document()), loaded.redactor.text(f"see {key}!")):
        assert told in each and not quotes(each, key)
    assert loaded.config.listeners["web"].tls.certificates[0].key == key, "it is used all the same"  # type: ignore[union-attr]


def test_no_problem_quotes_a_key(key: str) -> None:
    flow = json.dumps(key)
    documents = [
        BLOCK % ("nowhere.pem", indented(key)),
        BLOCK % ("nowhere.pem", indented(key)) + "  nonsense: [\n",
        (BLOCK % ("nowhere.pem", indented(key))).replace(
            "\n          " + key.splitlines()[2], "\n  " + key.splitlines()[2]
        ),
        f"workers: {flow}",
        f"routes: {{r: {{to: {flow}}}}}",
        f"limits: {{head: {flow}}}",
        f"trusted_proxies: [{flow}]",
        f"routes: {{r: {{match: {{prefix: {flow}}}, to: {{static: {{}}}}}}}}",
        f"upstreams: {{u: {{endpoints: [{flow}]}}}}",
    ]
    for document in documents:
        with pytest.raises(ConfigErrors) as errors:
            loads(document)
        told = "".join(found.render() + json.dumps(found.to_dict()) for found in errors.value.problems)
        assert told and not quotes(told, key), document
