"""What exists twice must agree: a C file and its test, a `.pxd` and its header, a source and what it generates."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.house import exceptions
from tests.house.tree import ROOT, files, name, without_comments

NUMBER_WORDS = {"unsigned", "signed", "long", "short", "int", "char", "float", "double"}


def test_every_c_file_has_a_unit_test() -> None:
    lacking = set()
    for path in files(".c", under=("src_c",)):
        layer = path.parent.name
        if not (ROOT / "tests/c" / layer / f"test_{path.name}").exists():
            lacking.add(name(path))
    assert not lacking - exceptions.NO_UNIT_TEST.keys()
    assert not exceptions.NO_UNIT_TEST.keys() - lacking, "excused but tested, or gone"


def test_every_unit_test_includes_what_it_tests() -> None:
    wrong = []
    for path in files(".c", under=("tests/c",)):
        layer, stem = path.parent.name, path.name.removeprefix("test_")
        source = ROOT / "src_c" / layer / stem
        if path.name.startswith("test_") and source.exists() and f'#include "{layer}/{stem}"' not in path.read_text():
            wrong.append(name(path))
    assert not wrong


def parameter_types(text: str) -> tuple[str, ...]:
    """The types of a parameter list, reduced to what C and Cython write alike: base name and number of stars."""
    types = []
    depth, parts, start = 0, [], 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    for part in parts:
        if "(" in part:
            types.append("function")
            continue
        part = re.sub(r"\[[^\]]*\]", "*", part)
        part = re.sub(r"\benum\s+\w+(?!\s*\*)", "int", part)         # Cython may pass an enum as an int; C converts it
        words = [w for w in re.findall(r"\w+", part) if w not in {"const", "struct", "enum", "union", "restrict"}]
        if len(words) > 1 and words[-1] not in NUMBER_WORDS:
            words.pop()
        base = {"_Bool": "bool", "bint": "bool", "bool_t": "bool"}.get(" ".join(words), " ".join(words))
        types.append(base + "*" * part.count("*"))
    return () if types in (["void"], [""]) else tuple(types)


def prototypes(text: str) -> dict[str, tuple[str, ...]]:
    """Functions that a header declares or defines inline."""
    arguments, attribute = r"\(((?:[^()]|\([^()]*\))*)\)", r"(?:__attribute__\s*\(\(.*?\)\)\s*)?"
    found: dict[str, tuple[str, ...]] = {}
    for m in re.finditer(rf"\b(fgw_\w+)\s*{arguments}\s*{attribute}[;{{]", without_comments(text)):
        found.setdefault(m[1], parameter_types(m[2]))      # the first is the declaration; calls come later
    return found


def mirrored(pxd: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """(header, function, parameter types) of every function that a .pxd mirrors."""
    out = []
    header = ""
    text = re.sub(r"#[^\n]*", "", pxd.read_text())
    for ours, theirs in re.findall(r'\b(\w+) "(?:struct |enum )?(\w+)"', text):      # cdef struct name "struct c_name"
        text = re.sub(rf"\b{ours}\b", theirs, text)
    text = re.sub(r",\s*\n\s*", ", ", text)
    for line in text.splitlines():
        if m := re.match(r'\s*cdef extern from "([^"]+)"', line):
            header = m[1]
            continue
        m = re.match(r"\s+(?!ctypedef)([^(]*?)\b(fgw_\w+)\s*\((.*)\)[^()]*$", line)
        if m and header:
            out.append((header, m[2], parameter_types(m[3])))
    return out


def enums(pxd: Path) -> set[str]:
    """Names that a .pxd gives to C enums."""
    return set(re.findall(r"(?:\benum|ctypedef int) (\w+)", pxd.read_text()))


def renamed(pxd: Path) -> dict[str, str]:
    """Names that a .pxd gives to C structs whose own name a function has already: {there: in C}."""
    return dict(re.findall(r'\bstruct (\w+) "(\w+)"', pxd.read_text()))


def as_in_c(type_: str, names: dict[str, str]) -> str:
    """A parameter's type by the name that C knows it by."""
    word = type_.rstrip("*")
    return names.get(word, word) + type_[len(word):]


def test_mirrors_match_their_headers() -> None:
    wrong = []
    for pxd in files(".pxd", under=("fastgw",)):
        for header, function, types in mirrored(pxd):
            path = ROOT / "src_c" / header
            if not path.exists():
                wrong.append(f"{name(pxd)}: no header {header}")
                continue
            real = prototypes(path.read_text()).get(function)
            if real is None:
                wrong.append(f"{name(pxd)}: {header} has no {function}")
            elif real != tuple("int" if t in enums(pxd) else as_in_c(t, renamed(pxd)) for t in types):
                wrong.append(f"{name(pxd)}: {function}{types}, in {header} {function}{real}")
    assert not wrong


def test_mirror_parser_sees_what_it_should() -> None:
    real = prototypes("int fgw_a(const struct x *p, size_t n); /* fgw_b(int); */\n"
                      "static inline void fgw_c(void)\n{ fgw_a(0, 0); }")
    assert real["fgw_a"] == ("x*", "size_t")
    assert real["fgw_c"] == ()
    assert "fgw_b" not in real


def test_generated_files_are_fresh() -> None:
    done = subprocess.run([sys.executable, "-m", "fastgw.gen", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
