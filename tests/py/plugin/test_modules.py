"""Modules of plugins: found, refused with the line of the mistake, and run anew when a file has changed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastgw.plugin import PluginError
from fastgw.plugin.modules import Modules, digest

TEXT = """
from fastgw.plugin import Plugin, hook
class A(Plugin[None]):
    word = "one"
    @hook.access
    def check(self, request): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose modules nobody else keeps."""
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    sys.path[:] = path


def test_a_changed_module_is_run_anew_beside_the_old_one(folder: Path):
    file, modules = folder / "fgw_mine.py", Modules()
    file.write_text(TEXT)
    first = modules.find("fgw_mine:A", (str(folder),))
    assert modules.find("fgw_mine:A", (str(folder),)) is first, "nothing has changed"
    file.write_text(TEXT.replace('"one"', '"two"'))
    second = modules.find("fgw_mine:A", (str(folder),))
    assert (first.word, second.word) == ("one", "two")
    assert not list(folder.glob("__pycache__/*")), "no compiled file, which could be older than it seems"


def test_the_hash_is_of_every_file_and_its_name(folder: Path):
    (folder / "a.py").write_text("x = 1")
    seen = {digest((str(folder),), "a")}
    (folder / "sub").mkdir()
    (folder / "sub" / "b.py").write_text("")
    seen.add(digest((str(folder),), "a"))
    (folder / "a.py").write_text("x = 2")
    seen.add(digest((str(folder),), "a"))
    (folder / "a.py").rename(folder / "c.py")
    seen.add(digest((str(folder),), "a"))
    assert len(seen) == 4
    (folder / "notes.txt").write_text("no code")
    assert digest((str(folder),), "a") in seen


@pytest.mark.parametrize(
    ("use", "text", "says", "line"),
    [
        ("fgw_none:A", "", "there is no module fgw_none", 0),
        ("fgw_mine.sub:A", TEXT, "there is no module fgw_mine.sub", 0),
        ("fgw_mine:B", TEXT, "has no B; it has A", 1),
        ("fgw_mine:hook", TEXT, "is not derived from fastgw.plugin.Plugin", 1),
        ("fgw_mine:Plugin", TEXT, "is not derived from fastgw.plugin.Plugin", 1),
        ("fgw_mine:A", TEXT.replace("@hook.access", ""), "has no hook", 1),
        ("fgw_mine:A", TEXT.replace("@hook.access", "@hook.x"), "no @hook.x; there are @hook.access and", 5),
        ("fgw_mine:A", "\n\nx = 1 / 0", "ZeroDivisionError: division by zero", 3),
        ("fgw_mine:A", "import json\n\njson.loads('{')", "JSONDecodeError: Expecting property name", 3),
        ("fgw_mine:A", "\nimport fgw_nothing", "ModuleNotFoundError: No module named 'fgw_nothing'", 2),
        ("fgw_mine:A", "\ndef f(:", "SyntaxError", 2),
    ],
)
def test_what_is_refused_has_the_line_of_the_author(folder: Path, use: str, text: str, says: str, line: int):
    (folder / "fgw_mine.py").write_text(text)
    with pytest.raises(PluginError) as error:
        Modules().find(use, (str(folder),))
    assert says in str(error.value) and error.value.line == line
    assert error.value.file == (str(folder / "fgw_mine.py") if line else "")


def test_a_module_that_is_not_there_is_told_with_where_it_was_looked_for(folder: Path, tmp_path: Path):
    gone = tmp_path / "gone"
    with pytest.raises(PluginError) as error:
        Modules().find("fgw_none:A", (str(folder), str(gone)))
    assert str(error.value) == f"there is no module fgw_none in {folder}, in {gone} (no such folder), nor installed"


@pytest.mark.parametrize("name", ["json", "sys"])
def test_a_file_whose_name_is_taken_is_refused_and_not_passed_over(folder: Path, name: str):
    file = folder / f"{name}.py"
    file.write_text(TEXT)
    with pytest.raises(PluginError, match=rf"the name {name} is taken by a module of .*: rename the file") as error:
        Modules().find(f"{name}:A", (str(folder),))
    assert (error.value.file, error.value.line) == (str(file), 1)
