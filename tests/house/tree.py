"""What the house tests look at: the files of the checkout, and the functions of a C file."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("src_c", "fastgw", "tests", "scripts", "benchmarks", "docs", "examples", "deploy", ".ci")
TEXT = {"", ".c", ".h", ".def", ".map", ".py", ".pyx", ".pxd", ".pyi", ".md", ".toml", ".yaml", ".json", ".sh", ".cfg"}


def variable(name: str) -> list[str]:
    """The words of a variable of sources.mk."""
    m = re.search(rf"^{name}\s*:=\s*(.*)$", (ROOT / "sources.mk").read_text(), re.M)
    assert m, f"sources.mk has no {name}"
    return m[1].split()


LAYERS = variable("FGW_LAYERS")


def files(*suffixes: str, under: tuple[str, ...] = FOLDERS) -> Iterator[Path]:
    """Every file below the folders with one of the suffixes (all text files without), in order of path."""
    for folder in under:
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT)
            if path.is_file() and path.suffix in (suffixes or TEXT) and not is_data(inside):
                yield path


def is_data(path: Path) -> bool:
    """Built files and corpora: nobody wrote them by hand."""
    return "__pycache__" in path.parts or "corpus" in path.parts or path.parts[:2] == ("benchmarks", "results")


def name(path: Path) -> str:
    """A path as it is written in messages and exception lists."""
    return str(path.relative_to(ROOT))


def lines(path: Path) -> list[str]:
    """The file's lines, without their ends."""
    return path.read_text(encoding="utf-8").splitlines()


def without_comments(text: str) -> str:
    """C text with comments and string contents blanked, line structure kept."""
    def blank(m: re.Match[str]) -> str:
        return '""' if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines from brace to brace) of each function whose braces stand in the first column."""
    text = without_comments(path.read_text()).splitlines()
    head: list[str] = []
    start = None
    for i, line in enumerate(text):
        if start is None:
            if line.startswith("{") or (line.endswith("{") and line[:1].strip() and ")" in line):
                start = i
            elif not line.strip() or line.startswith("#"):
                head = []
            if line.strip() and not line.startswith(("#", "{")):
                head.append(line)
        if start is not None and line.startswith("}"):
            if m := re.search(r"(\w+)\s*\([^{}]*\)[^{}()]*\{?\s*$", " ".join(head)):
                yield m[1], i - start + 1
            start, head = None, []
