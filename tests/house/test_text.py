"""Texts: no marks of unfinished work, nothing of the machine it was written on, and `make` targets that exist."""
from __future__ import annotations

import re
import subprocess

from tests.house.tree import ROOT, files, lines, name

TOP = ("README.md", "CHANGELOG.md", "Makefile", "sources.mk", "setup.py", "pyproject.toml")
WIDTH = 170
MARKS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
PLACES = re.compile(r"/(?:work|root|home)/\w")


def everything() -> list[tuple[str, int, str]]:
    """(file, number, line) of every text file."""
    paths = [*files(), *(ROOT / t for t in TOP)]
    return [(name(p), n, line) for p in paths for n, line in enumerate(lines(p), 1)]


def test_no_marks_of_unfinished_work() -> None:
    assert not [f"{f}:{n}: {line.strip()}" for f, n, line in everything() if MARKS.search(line)]


def test_no_paths_of_somebodys_machine() -> None:
    assert not [f"{f}:{n}: {line.strip()}" for f, n, line in everything() if PLACES.search(line)]


def test_lines_are_clean() -> None:
    wrong = []
    for path in files(".c", ".h", ".def", ".py", ".pyx", ".pxd", ".md"):
        text = path.read_text()
        if text and not text.endswith("\n"):
            wrong.append(f"{name(path)}: no newline at the end")
        for n, line in enumerate(text.splitlines(), 1):
            if "\t" in line or line != line.rstrip():
                wrong.append(f"{name(path)}:{n}: a tab, or blanks at the end")
            if path.suffix in (".c", ".h") and len(line) > WIDTH:
                wrong.append(f"{name(path)}:{n}: {len(line)} columns")
    assert not wrong


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.M))


def test_documented_make_targets_exist() -> None:
    targets = make_targets()
    wrong = []
    for path in [*files(".md", ".py", ".yaml", ""), *(ROOT / t for t in TOP)]:
        for span in re.findall(r"`make ([^`]*)`", path.read_text()):
            words = [w for w in span.split() if re.fullmatch(r"[a-z][a-z-]*", w)]
            wrong += [f"{name(path)}: make {w}" for w in words if w not in targets]
    assert not wrong


def test_help_lists_every_public_target() -> None:
    text = (ROOT / "Makefile").read_text()
    public = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert public
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [t for t in public[1].split() if f"make {t} " not in shown]
