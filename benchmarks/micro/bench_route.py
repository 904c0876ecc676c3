"""Instructions of one route look-up among 10,000 mixed routes and among 100: benchmarks/results/router.json.

Counted by callgrind inside fgw_route_find and what it calls, over one request for each route; nothing is timed for the
bound, so a noisy machine gives the same figures. The release flags are used, without LTO, so that the function can be told
from its caller.
"""  # noqa: E501

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
from benchmarks.micro import routes_10k  # noqa: E402
from fastgw.snapshot.compile import routes_of, routes_segment  # noqa: E402

INSTRUCTIONS_MAX, RATIO_MAX = 450, 1.3
RESULT = ROOT / "benchmarks/results/router.json"
SOURCES = ["policy/layout", "policy/route", "policy/regex", "policy/match", "http/fields", "http/head", "http/target",
           "http/chars", "http/scan", "base/hash", "base/err", "base/str", "base/check", "base/num"]  # fmt: skip


def build(folder: Path) -> Path:
    """Compile the C half of this benchmark. Returns the program."""
    words = dict(re.findall(r"^(FGW_STD|FGW_OPT)\s*:=\s*(.*)$", (ROOT / "sources.mk").read_text(), re.M))
    program = folder / "route_find"
    sources = ["benchmarks/micro/route_find.c", *(f"src_c/{name}.c" for name in SOURCES)]
    flags = [*words["FGW_STD"].split(), *words["FGW_OPT"].split()]
    subprocess.run(["cc", *flags, "-o", str(program), *sources, "-lpcre2-8"], check=True, cwd=ROOT)
    return program


def count(program: Path, folder: Path, routes: int) -> dict[str, Any]:
    """Instructions a match among so many routes, the mean over one request for each."""
    config = routes_10k.config(routes)
    segment, heads = folder / f"{routes}.seg", folder / f"{routes}.heads"
    segment.write_bytes(routes_segment(config, routes_of(config, "web"))[1])
    heads.write_bytes(b"".join(request.head for request in routes_10k.requests(config)))
    files = [str(program), str(segment), str(heads)]
    timed = json.loads(
        subprocess.run([*files, str(500_000 // routes)], check=True, capture_output=True, text=True).stdout
    )
    grind = ["valgrind", "--tool=callgrind", "--toggle-collect=fgw_route_find", f"--callgrind-out-file={folder}/out"]
    run = subprocess.run([*grind, *files], check=True, capture_output=True, text=True)
    said = json.loads(run.stdout)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if collected is None or said["found"] != said["requests"]:
        raise SystemExit(f"{said['found']} of {said['requests']} requests found a route\n{run.stderr}")
    return {
        "routes": routes, "segment_bytes": segment.stat().st_size, "requests": said["requests"],
        "instructions": round(int(collected[1]) / said["requests"], 1), "ns": timed["ns"],
    }  # fmt: skip


def gate(name: str, bound: float, seen: float) -> dict[str, Any]:
    return {"name": name, "bound": bound, "seen": seen, "verdict": "met" if seen <= bound else "missed"}


def main() -> int:
    with TemporaryDirectory() as place:
        program = build(Path(place))
        few, many = (count(program, Path(place), routes) for routes in (100, 10_000))
    ratio = round(many["instructions"] / few["instructions"], 3)
    gates = [
        gate("instructions a match among 10,000 mixed routes", INSTRUCTIONS_MAX, many["instructions"]),
        gate("the same, divided by that among 100", RATIO_MAX, ratio),
    ]
    columns = ["routes", "segment bytes", "requests", "instructions a match", "ns a match (this machine, then)"]
    rows = [[r["routes"], r["segment_bytes"], r["requests"], r["instructions"], r["ns"]] for r in (few, many)]
    text = (
        "One look-up in the routing trie (`fgw_route_find`): hosts, exact paths, prefixes, patterns, methods, headers and "  # noqa: E501
        "queries mixed, one request for each route. Instructions by callgrind; they are what is judged."
    )
    result = {"title": "Routes", "text": text, "columns": columns, "rows": rows, "gates": gates, "machine": facts()}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for row in (few, many):
        print(f"{row['routes']:>6} routes: {row['instructions']} instructions, {row['ns']} ns a match")
    print(f"ratio {ratio}; " + "; ".join(f"{g['name']}: {g['verdict']}" for g in gates))
    return 0 if all(g["verdict"] == "met" for g in gates) else 1


if __name__ == "__main__":
    sys.exit(main())
