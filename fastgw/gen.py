"""Generated files: `python -m fastgw.gen` writes them, `--check` only says which are stale (exit code 1).

A generator is a function without arguments that returns `{path: text}`, paths relative to the checkout. It reads its
one source of truth and nothing else, so that the same commit always gives the same text. GENERATORS is the registry;
modules are imported when their turn comes. Some ask the engine itself, which must have been built.
"""
from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
GENERATORS: list[tuple[str, str]] = [
    ("fastgw.gen", "render_errors"),
    ("fastgw.config.reference", "render"),
    ("fastgw.snapshot.reference", "render"),
    ("fastgw.states", "render"),
]
ASK_THE_ENGINE = {"fastgw.snapshot.reference", "fastgw.states"}


class ErrorRow(NamedTuple):
    """One line of src_c/base/err.def, with its number."""

    code: int
    name: str
    status: int
    word: str
    text: str


def read_errors(text: str) -> list[tuple[str, list[ErrorRow]]]:
    """Parse err.def into groups: (the comment that heads the group, its rows). Codes count from 0 in file order.

    Raises ValueError for a line that is neither a comment nor an FGW_E, and for a word that is used twice.
    """
    groups: list[tuple[str, list[ErrorRow]]] = [("", [])]
    seen: set[str] = set()
    code = 0
    body = re.sub(r"\A/\*.*?\*/\s*", "", text, flags=re.S)
    for line in body.splitlines():
        if m := re.fullmatch(r"/\*\s*(.*?)\s*\*/", line.strip()):
            groups.append((m[1], []))
        elif m := re.fullmatch(r'FGW_E\(\s*(\w+)\s*,\s*(\d+)\s*,\s*"([a-z0-9_]+)"\s*,\s*"(.*)"\s*\)', line.strip()):
            if m[3] in seen:
                raise ValueError(f"err.def: the word {m[3]!r} is used twice")
            seen.add(m[3])
            groups[-1][1].append(ErrorRow(code, m[1], int(m[2]), m[3], m[4].replace('\\"', '"')))
            code += 1
        elif line.strip():
            raise ValueError(f"err.def: not understood: {line!r}")
    return [g for g in groups if g[1]]


def render_errors() -> dict[str, str]:
    """The error reference for people, and the table for Python."""
    groups = read_errors((ROOT / "src_c/base/err.def").read_text())
    return {
        "docs/reference/errors.md": _errors_page(groups),
        "fastgw/errors_table.py": _errors_module([row for _, rows in groups for row in rows]),
    }


def _errors_page(groups: list[tuple[str, list[ErrorRow]]]) -> str:
    out = [
        "# Failures",
        "",
        "<!-- Generated from src_c/base/err.def by `make gen`. Do not edit. -->",
        "",
        "Every way a request or a connection can fail. The *word* is what the access log, the metrics and the `type`",
        "of the problem document say; it never changes its meaning. The *status* is what a client is told if no",
        "answer has begun; where there is none, the connection is only closed.",
    ]
    for title, rows in groups:
        rows = [r for r in rows if r.name != "NONE"]
        if rows:
            out += ["", f"## {title[:1].upper()}{title[1:]}", "", "| word | status | meaning |", "|---|---|---|"]
            out += [f"| `{r.word}` | {r.status or '–'} | {r.text} |" for r in rows]
    return "\n".join(out) + "\n"


def _errors_module(rows: list[ErrorRow]) -> str:
    cells = [(str(r.code), _quoted(r.name), str(r.status), _quoted(r.word), _quoted(r.text)) for r in rows]
    lines = [f"    Failure({', '.join(c)})," for c in cells]
    return (
        "# ruff: noqa: E501\n"
        '"""Every way a request or a connection can fail. Generated from src_c/base/err.def by `make gen`."""\n'
        "from typing import NamedTuple\n"
        "\n\n"
        "class Failure(NamedTuple):\n"
        '    """One kind of failure; `status` 0 means that the connection is only closed."""\n'
        "\n"
        "    code: int\n"
        "    name: str\n"
        "    status: int\n"
        "    word: str\n"
        "    text: str\n"
        "\n\n"
        "FAILURES: tuple[Failure, ...] = (\n" + "\n".join(lines) + "\n)\n"
        "BY_WORD: dict[str, Failure] = {f.word: f for f in FAILURES}\n"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def render_all() -> dict[str, str]:
    """Run every generator whose module is there (a source checkout may lack one); two may not write the same file."""
    files: dict[str, str] = {}
    for module, function in GENERATORS:
        if module in ASK_THE_ENGINE and importlib.util.find_spec("fastgw._layout") is None:
            raise SystemExit(f"{module} asks the engine, which is not built: run `make build`")
        if importlib.util.find_spec(module) is None:
            continue
        for path, text in getattr(importlib.import_module(module), function)().items():
            if path in files:
                raise ValueError(f"{module}.{function} writes {path}, which another generator has written")
            files[path] = text
    return files


def main(argv: list[str] | None = None) -> int:
    """Write or check the generated files; 1 means that `--check` found a stale one."""
    parser = argparse.ArgumentParser(prog="python -m fastgw.gen", description="Write the generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    check = parser.parse_args(argv).check
    stale = 0
    for path, text in sorted(render_all().items()):
        file = ROOT / path
        old = file.read_text() if file.exists() else ""
        if old == text:
            continue
        stale += 1
        if check:
            diff = difflib.unified_diff(old.splitlines(), text.splitlines(), path, "generated", lineterm="", n=1)
            print("\n".join(list(diff)[:40]) or f"{path}: stale")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            print(f"wrote {path}")
    if check and stale:
        print(f"{stale} generated file(s) are stale: run `make gen`", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
