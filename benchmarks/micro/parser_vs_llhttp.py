"""Instructions a byte of our head parser and of llhttp, over several heads: benchmarks/results/parser.json.

Counted by callgrind inside the calls that parse a head, our reset included; nothing is timed for the bound, so a noisy
machine gives the same figures. llhttp comes with the source distribution of httptools and is built in a temporary
folder with our release flags, once as it is and once for SSE4.2 (which llhttp takes only at compile time); the bound is
against the better of the two. Needs the package index, a C compiler and valgrind.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import facts  # noqa: E402
from benchmarks.micro.parser_heads import HEADS, Head  # noqa: E402

HTTPTOOLS = "httptools==0.9.0"
RESULT = ROOT / "benchmarks/results/parser.json"
DRIVER = "benchmarks/micro/parser_run.c"
SOURCES = ["http/head", "http/fields", "http/chars", "http/scan", "base/err", "base/str", "base/check"]
LEVELS = ("avx2", "sse4.2", "plain")
COUNTED = [f"--toggle-collect={name}" for name in
           ("fgw_head_reset", "fgw_head_parse_request", "fgw_head_parse_reply", "llhttp_execute")]  # fmt: skip
BOUND = round(1 / 3, 4)
ROUNDS, ROUNDS_TIMED = 200, 200_000


def fetch(folder: Path) -> Path:
    """Download and unpack httptools' source distribution. Returns llhttp's folder; CalledProcessError when offline."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-binary", ":all:"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-d", str(folder), HTTPTOOLS], check=True)
    with tarfile.open(next(folder.glob("httptools-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("httptools-*/vendor/llhttp"))


def llhttp_version(llhttp: Path) -> str:
    parts = re.findall(r"#define LLHTTP_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", (llhttp / "include/llhttp.h").read_text())
    return ".".join(parts)


def build(folder: Path, name: str, words: list[str]) -> Path:
    """Compile the driver with `words` (flags and sources) and our release flags. Returns the program."""
    known = dict(re.findall(r"^(FGW_STD|FGW_OPT)\s*:=\s*(.*)$", (ROOT / "sources.mk").read_text(), re.M))
    flags = [*known["FGW_STD"].split(), *known["FGW_OPT"].split(), "-Wno-unused-result"]
    subprocess.run(["cc", *flags, "-o", str(folder / name), DRIVER, *words], check=True, cwd=ROOT)
    return folder / name


def count(program: Path, folder: Path, head: Head, *level: str) -> dict[str, Any]:
    """Instructions and ns of one head, and the fields that the parser saw; SystemExit if it refuses the head."""
    path = folder / "head"
    path.write_bytes(head.data)
    kind = "reply" if head.data.startswith(b"HTTP/") else "request"

    def argv(rounds: int) -> list[str]:
        return [str(program), str(path), kind, str(rounds), *level]

    timed = json.loads(subprocess.run(argv(ROUNDS_TIMED), check=True, capture_output=True, text=True).stdout)
    grind = ["valgrind", "--tool=callgrind", *COUNTED, f"--callgrind-out-file={folder}/out"]
    run = subprocess.run([*grind, *argv(ROUNDS)], check=True, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if collected is None:
        raise SystemExit(run.stderr)
    per_head = int(collected[1]) / ROUNDS
    return {
        "instructions": round(per_head, 1), "per_byte": round(per_head / len(head.data), 3),
        "fields": timed["fields"], "ns": timed["ns"],
    }  # fmt: skip


def compare(head: Head, ours: Path, theirs: dict[str, Path], folder: Path) -> dict[str, Any]:
    """All parsers over one head. SystemExit when they do not see the same number of fields."""
    row: dict[str, Any] = {"head": head.name, "bytes": len(head.data)}
    row |= {level: count(ours, folder, head, level) for level in LEVELS}
    row |= {name: count(program, folder, head) for name, program in theirs.items()}
    seen = {name: figures["fields"] for name, figures in row.items() if isinstance(figures, dict)}
    if set(seen.values()) != {head.data.count(b"\r\n") - 2}:
        raise SystemExit(f"{head.name}: fields seen {seen}")
    best = min(row[name]["instructions"] for name in theirs)
    row["ratio"] = round(row[LEVELS[0]]["instructions"] / best, 4)
    return row


def main() -> int:
    with TemporaryDirectory() as place:
        folder = Path(place)
        llhttp = fetch(folder)
        words = ["-DLLHTTP", f"-I{llhttp}/include", *map(str, sorted((llhttp / "src").glob("*.c")))]
        ours = build(folder, "ours", [f"src_c/{name}.c" for name in SOURCES])
        theirs = {
            "llhttp": build(folder, "llhttp", words),
            "llhttp sse4.2": build(folder, "llhttp-sse42", ["-msse4.2", *words]),
        }
        rows = [compare(head, ours, theirs, folder) for head in HEADS]
        version = llhttp_version(llhttp)
    parsers = [*LEVELS, *theirs]
    gates = [
        {"name": f"{row['head']}: our instructions / llhttp's", "bound": BOUND, "seen": row["ratio"],
         "verdict": "met" if row["ratio"] <= BOUND else "missed"} for row in rows
    ]  # fmt: skip
    text = (
        f"Instructions a byte by callgrind, the head in one piece: our parser at its three scanner levels and llhttp "
        f"{version} (from {HTTPTOOLS.replace('==', ' ')}) with callbacks that do nothing, both built with the release "
        "flags. The ratio is our AVX2 level to the better build of llhttp."
    )
    per_byte, ns = [f"{name}: instr/byte" for name in parsers], [f"{name}: ns (this machine, then)" for name in parsers]
    columns = ["head", "bytes", *per_byte, "ratio", *ns]
    table = [
        [r["head"], r["bytes"], *(r[p]["per_byte"] for p in parsers), r["ratio"], *(r[p]["ns"] for p in parsers)]
        for r in rows
    ]
    result = {
        "title": "Head parser", "text": text, "columns": columns, "rows": table, "gates": gates, "machine": facts(),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for row in rows:
        figures = ", ".join(f"{p} {row[p]['per_byte']:.2f}" for p in parsers)
        print(f"{row['head']:<24} {row['bytes']:>5} bytes  instr/byte: {figures}  ratio {row['ratio']:.3f}")
    return 0 if all(gate["verdict"] == "met" for gate in gates) else 1


if __name__ == "__main__":
    sys.exit(main())
