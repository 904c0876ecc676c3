"""docs/threat-model.md names tests: each of them is there."""
from __future__ import annotations

import re

from tests.house.tree import ROOT, files

TEXT = (ROOT / "docs" / "threat-model.md").read_text()


def test_every_test_it_names_is_there() -> None:
    names = set(re.findall(r"`((?:test_\w+|\w+_rows))`", TEXT))
    paths = set(re.findall(r"`((?:tests/|test_)[\w/]+(?:\.\w+)?)`", TEXT)) - names
    source = "\n".join(path.read_text() for path in files(".py", under=("tests",)))
    assert len(names) > 15 and len(paths) > 10
    assert not {name for name in names if f"def {name}(" not in source}
    assert not {path for path in paths if not (ROOT / path).exists() and not (ROOT / "tests/hostile" / path).exists()}


def test_it_names_every_file_of_hostile_tests() -> None:
    named = set(re.findall(r"test_\w+\.py", TEXT)) | {"test_http1.py"}  # that one by its tests and tables
    assert not {path.name for path in (ROOT / "tests/hostile").glob("test_*.py")} - named


def test_it_names_every_table_of_rows() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "tests/hostile").glob("*_rows.py"))
    assert not set(re.findall(r"^def (\w+_rows)\(", source, re.M)) - set(re.findall(r"\w+_rows", TEXT))
