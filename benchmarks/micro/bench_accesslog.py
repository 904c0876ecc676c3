"""Instructions of one access-log line: benchmarks/results/accesslog.json.

Counted by callgrind inside fgw_accesslog_write and what it calls; nothing is timed. The release flags are used, without
LTO, so that the function can be told from its caller.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import facts  # noqa: E402

LINES = 10_000
RESULT = ROOT / "benchmarks/results/accesslog.json"
SOURCES = ["core/accesslog", "io/ring", "base/clock", "base/err", "base/str", "base/check", "base/num"]


def build(folder: Path) -> Path:
    """Compile the C half of this benchmark. Returns the program."""
    words = dict(re.findall(r"^(FGW_STD|FGW_OPT)\s*:=\s*(.*)$", (ROOT / "sources.mk").read_text(), re.M))
    program = folder / "accesslog_run"
    sources = ["benchmarks/micro/accesslog_run.c", *(f"src_c/{name}.c" for name in SOURCES)]
    flags = [*words["FGW_STD"].split(), *words["FGW_OPT"].split()]
    subprocess.run(["cc", *flags, "-o", str(program), *sources], check=True, cwd=ROOT)
    return program


def count(program: Path, folder: Path, form: str, kind: str) -> list[Any]:
    """A row: format, kind of request, bytes and instructions a line."""
    counted = ["--toggle-collect=fgw_accesslog_write", f"--callgrind-out-file={folder}/out"]
    grind = ["valgrind", "--tool=callgrind", *counted]
    run = subprocess.run([*grind, str(program), form, str(LINES), kind], check=True, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if collected is None:
        raise SystemExit(run.stderr)
    return [form, kind, float(run.stdout), round(int(collected[1]) / LINES, 1)]


def main() -> int:
    with TemporaryDirectory() as place:
        program = build(Path(place))
        rows = [
            count(program, Path(place), form, kind)
            for form in ("json", "combined")
            for kind in ("proxied", "static", "escaped")
        ]
    result = {
        "title": "Access log",
        "text": "One line of the access log, written into the worker's ring, 20,000 lines a second of the clock. "
                "Instructions by callgrind.",
        "columns": ["format", "request", "bytes a line", "instructions a line"],
        "rows": rows,
        "machine": facts(),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for form, kind, size, instructions in rows:
        print(f"{form:8} {kind:8} {size} bytes, {instructions} instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
