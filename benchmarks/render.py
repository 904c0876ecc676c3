"""Writes docs/benchmarks.md from the JSON files in benchmarks/results/.

    python -m benchmarks.render [--check]

Known: compare, compare-tls, syscalls, idle. Any other result is shown if it brings {"title", "text", "columns",
"rows"}, and perhaps "gates" as [{name, bound, seen, verdict}], so that a micro-benchmark needs no code here.
--check: exit code 1 when the page is stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
ENOUGH_ROUNDS = 9
VERDICTS = {"met": "met", "open": "open: the interval spans the bound", "missed": "**missed**"}

INTRO = """\
# What it costs

<!-- Written by `python -m benchmarks.render` from benchmarks/results/*.json. Edit its template, not this page. -->

CPU time is what is compared, because it survives a noisy machine; throughput is recorded, not judged, since load and
origin share a core. Each proxy runs with one worker on core 0; wrk and the origin run on core 1. Rounds are
interleaved: in each, every proxy is loaded once, and proxies are compared only within a round. The figure is the CPU
time of *all* the proxy's own processes (for fastgw: worker and supervisor) divided by the requests answered. A round
with more than 2 % steal is void. A ratio is the median of the rounds' ratios with a bootstrap 90 % interval; a bound is
missed only when the whole interval is past it. Logs are off on all sides, or the same on all sides. The relay is a bare
epoll loop that never looks at the bytes (2 recv and 2 send a request): what this kernel asks of any user-space proxy.
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; `|` and line ends in a cell are kept from breaking it."""

    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(" ".join(str(c).replace("|", "\\|").split()) for c in cells) + " |"

    return "\n".join([line(columns), "|" + "---|" * len(columns), *(line(r) for r in rows)])


def number(value: float | None) -> str:
    """Three figures that matter, no exponent; a dash for none."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - len(str(int(abs(value)))) + 1)}f}"


def spread(estimate: dict[str, Any]) -> str:
    """`median (low – high)`."""
    return f"{number(estimate['median'])} ({number(estimate['low'])} – {number(estimate['high'])})"


def share(value: float | None) -> str:
    """A share as per cent; a dash for none."""
    return "–" if value is None else f"{value:.0%}"


def facts(machine: dict[str, Any]) -> str:
    """One sentence on where and with what."""
    kind = "virtual machine" if machine["virtual"] else "machine"
    return (
        f"Measured {machine['date']} at commit `{machine['commit'] or 'none'}` on a {kind}: {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['memory_mib']:,} MiB, Linux {machine['kernel']}, gcc {machine['gcc']}, "
        f"Python {machine['python']}, wrk {machine['wrk'] or '–'}."
    )


COLUMNS = [
    "",
    "CPU µs/request (90 %)",
    "of its core",
    "others there",
    "in the kernel",
    "requests/wait",
    "worker",
    "requests/s",
    "p99 ms",
]


def workload_section(result: dict[str, Any], titles: dict[str, str]) -> str:
    """One workload's table: cost first, then what a cost must be quoted with."""
    rows = [
        [
            titles.get(name, name),
            spread(row["cpu_us"]),
            share(row["proxy_share_of_core"]),
            share(row["others_on_core"]),
            share(row["kernel_share"]),
            number(row["requests_per_wait"]),
            share(row["worker_share"]),
            number(row["requests_per_second"]),
            number(row["p99_us"] / 1000 if row["p99_us"] is not None else None),
        ]
        for name, row in result["summary"].items()
    ]
    void = [r["void"] for r in result["rounds"] if r["void"]]
    valid = len(result["rounds"]) - len(void)
    told = f"{valid} rounds" + (f"; {len(void)} void ({'; '.join(void)})" if void else "") + "."
    return f"### {result['title']}\n\n{told}\n\n{table(COLUMNS, rows)}"


def ratio_gates(gates: Sequence[dict[str, Any]], titles: dict[str, str]) -> str:
    """The promises on CPU time and what became of them."""
    rows = []
    for g in gates:
        seen = spread(g["ratio"]) if "ratio" in g else "–"
        bound = f"{g['bound']:.2f}" + (f" (aim {g['aim']:.2f})" if g["aim"] else "")
        verdict = VERDICTS.get(g["verdict"], g["verdict"]) + (f": {g['why']}" if g.get("why") else "")
        rows.append([g["name"], bound, seen, titles.get(g.get("against", ""), "–"), verdict])
    return table(["fastgw's CPU time against", "at most", "ratio (90 %)", "came down to", ""], rows)


def plain_gates(gates: Sequence[dict[str, Any]]) -> str:
    """Gates that are one figure and one bound."""
    rows = [[g["name"], f"{g['bound']:g}", number(g["seen"]), VERDICTS.get(g["verdict"], g["verdict"])] for g in gates]
    return table(["", "at most", "seen", ""], rows)


def peer_table(document: dict[str, Any]) -> str:
    """How each proxy was run, and which could not be."""
    rows = []
    for p in document["peers"].values():
        log = f" Log: `{' '.join(p['log'].split())}`" if p["log"] else ""
        rows.append([f"{p['title']} {p['version']}".strip(), f"`{p['command']}`", p["notes"] + "." + log])
    told = table(["", "command", "how"], rows)
    absent = [f"Not run: {name} ({why})." for name, why in document["absent"].items()]
    return "\n\n".join([told, *absent])


def compare_section(document: dict[str, Any]) -> str:
    """The comparison of CPU time."""
    s = document["settings"]
    load = f"{s['connections']} keep-alive connections, {s['seconds']:g} s for each proxy in each round."
    return comparison(document, "## CPU time of a proxied request", load, "benchmarks/compare/*/")


def tls_section(document: dict[str, Any]) -> str:
    """The comparison of CPU time over TLS."""
    load = (
        f"The same ECDSA certificate and the same HTTP/1.1 upstream for all, {document['settings']['seconds']:g} s for "
        "each proxy in each round. A request of the last two tables is a connection with its handshake."
    )
    return comparison(document, "## CPU time of a request over TLS", load, "benchmarks/compare/tls/*/")


def comparison(document: dict[str, Any], heading: str, load: str, where: str) -> str:
    """One comparison: its gates, its workloads, how the proxies were run."""
    titles = {name: p["title"] for name, p in document["peers"].items()}
    parts = [heading, facts(document["machine"]), load]
    if any(sum(not r["void"] for r in w["rounds"]) < ENOUGH_ROUNDS for w in document["workloads"].values()):
        parts.append(f"**A smoke run: fewer than {ENOUGH_ROUNDS} rounds judge nothing.**")
    parts.append(ratio_gates(document["gates"], titles))
    parts += [workload_section(r, titles) for r in document["workloads"].values()]
    parts += ["### How they were run", peer_table(document), f"The configurations are in `{where}`."]
    return "\n\n".join(parts)


def syscalls_section(document: dict[str, Any]) -> str:
    """System calls per request."""
    rows = [[f"`{name}`", number(rate)] for name, rate in document["by_name"].items() if rate >= 0.001]
    told = (
        f"{document['target']}, {document['requests']:,} requests over {document['connections']} warm connections, "
        "counted by strace."
    )
    parts = ["## System calls of a proxied request", facts(document["machine"]), told]
    parts += [plain_gates(document["gates"]), table(["call", "a request"], rows)]
    if document["waits_at_full_speed"]:
        waits = ", ".join(f"`{n}` {number(v)}" for n, v in document["waits_at_full_speed"].items())
        parts.append(f"At full speed, without strace in the way, waiting calls a request: {waits}.")
    return "\n\n".join(parts)


def idle_section(document: dict[str, Any]) -> str:
    """Memory of idle and short connections."""
    each, short = document["idle"]["each"], document["short"]
    rows = [[f"{s['connections']:,}", number(s["pss_kib"]), number(s["private_dirty_kib"])] for s in short["samples"]]
    told = (
        f"{document['target']}: {document['idle']['connections']:,} idle keep-alive connections, "
        f"{document['idle']['still_open']:,} still open at the end, cost {number(each['pss_bytes'])} bytes each "
        f"(PSS; private dirty {number(each['private_dirty_bytes'])})."
    )
    samples = table(["short connections so far", "PSS KiB", "private dirty KiB"], rows)
    return "\n\n".join(["## Memory", facts(document["machine"]), told, plain_gates(document["gates"]), samples])


def other_section(name: str, document: dict[str, Any]) -> str:
    """A result of a kind that is not known here."""
    if not {"title", "columns", "rows"} <= document.keys():
        return f"## {name}\n\nSee `benchmarks/results/{name}.json`."
    parts = [f"## {document['title']}", document.get("text", ""), table(document["columns"], document["rows"])]
    if document.get("gates"):
        parts.insert(2, plain_gates(document["gates"]))
    if document.get("machine"):
        parts.insert(1, facts(document["machine"]))
    return "\n\n".join(p for p in parts if p)


KNOWN = {
    "compare": (compare_section, "## CPU time of a proxied request\n\nNot measured yet: `make bench-compare`."),
    "compare-tls": (tls_section, "## CPU time of a request over TLS\n\nNot measured yet: `make bench-tls`."),
    "syscalls": (syscalls_section, "## System calls\n\nNot measured yet: `python -m benchmarks.load.syscalls`."),
    "idle": (idle_section, "## Memory\n\nNot measured yet: `python -m benchmarks.load.idle`."),
}


def page(documents: dict[str, dict[str, Any]]) -> str:
    """The whole page from results by file name (without `.json`)."""
    parts = [INTRO.rstrip()]
    for name, (section, missing) in KNOWN.items():
        parts.append(section(documents[name]) if name in documents else missing)
    parts += [other_section(name, d) for name, d in sorted(documents.items()) if name not in KNOWN]
    return "\n\n".join(parts) + "\n"


def load(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Every result in `folder`, by file name without `.json`."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the page, or with --check compares it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description="Writes docs/benchmarks.md.")
    parser.add_argument("--check", action="store_true", help="fail if the page is stale; write nothing")
    options = parser.parse_args(argv)
    fresh = page(load())
    if options.check:
        stale = not PAGE.exists() or PAGE.read_text() != fresh
        if stale:
            print("docs/benchmarks.md is stale: python -m benchmarks.render", file=sys.stderr)
        return int(stale)
    PAGE.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
