"""Compares what a proxied request costs in CPU time: fastgw against the relay, nginx, HAProxy and Envoy.

    python -m benchmarks.compare.run [--quick] [--peers relay,nginx,haproxy] [--workloads small,64k] [--fastgw-bin CMD]

The proxies run on core 0, all started once for each workload; wrk (64 keep-alive connections) and the origin share
core 1. In a round each proxy is loaded once, in an order that turns from round to round. The figure is the CPU time of
all the proxy's own processes divided by the requests that wrk counted. A round with more than 2 % steal, an error of
the load, or a changed set of processes is void and another one is run for it.
Exit code 1: a gate was missed; 2: usage; 3: the bench could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a script

from benchmarks import machine, render, stats
from benchmarks.compare import gates, peers
from benchmarks.load import perf, proc, tools

PROXY_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 64
MAX_STEAL = 0.02
SCHEMA = 1


Client = Callable[
    [int, str, float], dict[str, Any]
]  # port, path, seconds: report.lua's fields, percentiles perhaps not


def wrk(port: int, path: str, seconds: float) -> dict[str, Any]:
    """The load of plain HTTP/1.1."""
    return tools.wrk(port, path, seconds, CONNECTIONS, LOAD_CORE)


@dataclass(frozen=True)
class Workload:
    """What is asked for and by whom, and the mode of every proxy meanwhile (which text of its tables holds)."""

    name: str
    path: str
    mode: str
    title: str
    client: Client = wrk


@dataclass(frozen=True)
class Suite:
    """A comparison: which proxies, under which loads, held against which gates."""

    kind: str  # its JSON file's name too
    about: str
    home: Path
    order: list[str]
    workloads: list[Workload]
    gates: list[gates.Gate]


WORKLOADS = [
    Workload("small", "/s", "off", "13-byte answers, no log"),
    Workload("log", "/s", "json", "13-byte answers, JSON access log to a file"),
    Workload("64k", "/m", "off", "64 KiB answers, no log"),
    Workload("1m", "/l", "off", "1 MiB answers, no log"),
    Workload("plugin", "/s", "off", "13-byte answers, and what header work in Python or Lua adds"),
]


def spent(before: dict[int, proc.Usage], after: dict[int, proc.Usage], roles: dict[int, str]) -> dict[str, Any]:
    """CPU used between two looks at the processes in both: in all, by role, its kernel share, and their sleeps."""
    both = before.keys() & after.keys()
    cpu = {pid: after[pid].cpu_ns - before[pid].cpu_ns for pid in both}
    kernel = sum(after[p].system_ns - before[p].system_ns for p in both)
    ticks = kernel + sum(after[p].user_ns - before[p].user_ns for p in both)
    by_role: dict[str, int] = {}
    for pid, ns in cpu.items():
        by_role[roles.get(pid, "other")] = by_role.get(roles.get(pid, "other"), 0) + ns
    return {
        "cpu_ns": sum(cpu.values()),
        "cpu_ns_by_role": by_role,
        "kernel_share": kernel / ticks if ticks else 0.0,
        "sleeps": sum(after[p].sleeps - before[p].sleeps for p in both),
    }


def trouble(load: dict[str, Any], steal: float, same_processes: bool) -> str | None:
    """Why a measurement cannot count, or None."""
    if steal > MAX_STEAL:
        return f"steal {steal:.1%}"
    if any(load["errors"].values()):
        return "errors: " + ", ".join(f"{k} {v}" for k, v in load["errors"].items() if v)
    if not load["requests"]:
        return "no request was answered"
    return None if same_processes else "its processes changed"


def measure(running: peers.Running, workload: Workload, seconds: float) -> dict[str, Any]:
    """Loads one proxy once. `void` in the result says why it cannot count, or is None."""
    running.log_clear()
    roles = proc.roles(running.pid)
    cores = [proc.core(PROXY_CORE), proc.core(LOAD_CORE)]
    began, before = time.monotonic_ns(), running.usages()
    load = workload.client(running.port, workload.path, seconds)
    after, wall_ns = running.usages(), time.monotonic_ns() - began
    proxy, loader = proc.core(PROXY_CORE).since(cores[0]), proc.core(LOAD_CORE).since(cores[1])
    steal = max(proxy[1], loader[1])
    used = spent(before, after, roles)
    requests = max(load["requests"], 1)
    return used | {
        "requests": load["requests"],
        "cpu_us_per_request": used["cpu_ns"] / 1000 / requests,
        "requests_per_second": load["requests"] / max(load["duration_us"], 1) * 1e6,
        "p50_us": load.get("p50_us"),
        "p99_us": load.get("p99_us"),
        "proxy_core_busy": proxy[0],
        "proxy_share_of_core": used["cpu_ns"] / wall_ns,
        "others_on_core": max(proxy[0] - used["cpu_ns"] / wall_ns, 0.0),
        "load_core_busy": loader[0],
        "steal": steal,
        "void": trouble(load, steal, set(before) == set(after)),
    }


def count_log(running: peers.Running, result: dict[str, Any]) -> None:
    """Waits (outside the measured time) for the log to be written and notes its lines for each request."""
    if running.log:
        lines, deadline = running.log_lines(), time.monotonic() + 3
        while lines < result["requests"] and time.monotonic() < deadline:
            time.sleep(0.2)
            lines = running.log_lines()
        result["log_lines_per_request"] = lines / max(result["requests"], 1)


def one_round(fleet: Sequence[peers.Running], workload: Workload, seconds: float, turn: int) -> dict[str, Any]:
    """Loads every proxy once. The round is void when any of its measurements is: ratios need all of them."""
    order = [fleet[(turn + i) % len(fleet)] for i in range(len(fleet))]
    found: dict[str, Any] = {}
    for running in order:
        found[running.peer.name] = measure(running, workload, seconds)
        count_log(running, found[running.peer.name])
    reasons = [f"{name}: {m['void']}" for name, m in found.items() if m["void"]]
    return {"void": "; ".join(reasons) or None, "order": [r.peer.name for r in order], "peers": found}


def warm(running: peers.Running, workload: Workload) -> float | None:
    """A second of load that is not measured. Returns the requests for each waiting call, where perf can count those."""
    with perf.counting(proc.tree(running.pid)) as calls:
        load = workload.client(running.port, workload.path, 1)
    waits = sum(n for name, n in calls.items() if name in perf.WAITS)
    return load["requests"] / waits if waits else None


def run_workload(
    workload: Workload, players: Sequence[peers.Peer], origin: int, options: argparse.Namespace
) -> dict[str, Any]:
    """`options.rounds` valid rounds of one workload, void ones listed too; gives up after three times as many."""
    done: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        fleet = [
            stack.enter_context(peers.Running(p, origin, workload.mode, PROXY_CORE, workload.name))
            for p in players
            if workload.name in p.workloads
        ]
        per_wait = {running.peer.name: warm(running, workload) for running in fleet}
        while valid(done) < options.rounds and len(done) < 3 * options.rounds:
            done.append(one_round(fleet, workload, options.seconds, len(done)))
            tell_round(workload, done[-1], len(done))
    table = summary(done)
    for name, row in table.items():
        row["requests_per_wait"] = per_wait[name]
    told = {"title": workload.title, "path": workload.path, "log": workload.mode, "commit": machine.facts()["commit"]}
    return told | {"summary": table, "rounds": done}


def tell_round(workload: Workload, result: dict[str, Any], number: int) -> None:
    """One line on stderr, so that a long run shows that it lives."""
    figures = "  ".join(f"{name} {m['cpu_us_per_request']:.1f}" for name, m in sorted(result["peers"].items()))
    void = f"  VOID: {result['void']}" if result["void"] else ""
    print(f"{workload.name} {number}: {figures}{void}", file=sys.stderr)


def valid(rounds: Sequence[dict[str, Any]]) -> int:
    """How many rounds count."""
    return sum(not r["void"] for r in rounds)


def figures(rounds: Sequence[dict[str, Any]], key: str = "cpu_us_per_request") -> dict[str, list[float]]:
    """For each peer its figure in every valid round, in order."""
    good = [r for r in rounds if not r["void"]]
    names = good[0]["peers"] if good else ()
    return {name: [r["peers"][name][key] for r in good] for name in names}


def middle(found: Sequence[float | None]) -> float | None:
    """The median; None when a figure is missing."""
    known = [f for f in found if f is not None]
    return median(known) if known and len(known) == len(found) else None


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """For each peer the median and interval of its cost, and medians of what it must be quoted with."""
    table: dict[str, Any] = {}
    beside = ["requests_per_second", "proxy_share_of_core", "others_on_core", "kernel_share", "p99_us"]
    for name, cost in figures(rounds).items():
        table[name] = {"cpu_us": asdict(stats.estimate(cost))}
        table[name] |= {key: middle(figures(rounds, key)[name]) for key in beside}
        by_role = [r["peers"][name]["cpu_ns_by_role"] for r in rounds if not r["void"]]
        total = sum(sum(roles.values()) for roles in by_role)
        table[name]["worker_share"] = sum(roles.get("worker", 0) for roles in by_role) / max(total, 1)
    return table


def describe(peer: peers.Peer) -> dict[str, Any]:
    """What a reader needs to run the same peer again; placeholders stay."""
    return {
        "title": peer.title,
        "role": peer.role,
        "version": peers.version(peer),
        "command": " ".join([Path(peer.command[0]).name, *peer.command[1:]]),
        "notes": peer.notes,
        "log": peer.texts.get("log", {}).get("json", ""),
    }


def log_kept(results: dict[str, Any]) -> dict[str, float]:
    """For each workload with a log: the fewest lines a request that the subject wrote in a valid round."""
    kept = {}
    for name, result in results.items():
        found = [r["peers"].get(gates.SUBJECT, {}) for r in result["rounds"] if not r["void"]]
        lines = [m["log_lines_per_request"] for m in found if "log_lines_per_request" in m]
        if lines:
            kept[name] = min(lines)
    return kept


def compare(options: argparse.Namespace, suite: Suite) -> dict[str, Any]:
    """The whole comparison as the JSON document that render.py reads."""
    players, absent = peers.available(options.peers, options.fastgw_bin, suite.home)
    results: dict[str, Any] = {}
    with tools.origin(LOAD_CORE) as origin:
        for workload in suite.workloads:
            if workload.name in options.workloads:
                results[workload.name] = run_workload(workload, players, origin, options)
    settings = {"rounds": options.rounds, "seconds": options.seconds}
    settings |= {"connections": CONNECTIONS, "max_steal": MAX_STEAL}
    document = {
        "schema": SCHEMA,
        "kind": suite.kind,
        "machine": machine.facts(),
        "settings": settings,
        "peers": {p.name: describe(p) for p in players},
        "absent": absent,
        "workloads": results,
    }
    if options.keep and options.out.exists():
        keep(json.loads(options.out.read_text()), document, suite)
    costs = {name: figures(result["rounds"]) for name, result in document["workloads"].items()}
    document["gates"] = gates.judge_all(costs, log_kept(document["workloads"]), suite.gates)
    return document


def keep(earlier: dict[str, Any], document: dict[str, Any], suite: Suite) -> None:
    """Adds to `document` the workloads of an earlier run that this one did not repeat, in the suite's order."""
    both = earlier["workloads"] | document["workloads"]
    document["workloads"] = {w.name: both[w.name] for w in suite.workloads if w.name in both}
    document["peers"] = earlier["peers"] | document["peers"]


def names(known: Sequence[str]) -> Any:
    """An argparse type: a comma-separated choice of `known`, in the order of `known`."""

    def parse(text: str) -> list[str]:
        wanted = set(text.split(","))
        if unknown := wanted - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return [name for name in known if name in wanted]

    return parse


SUITE = Suite("compare", "CPU time of a proxied request.", peers.HERE, peers.ORDER, WORKLOADS, gates.GATES)


def arguments(argv: Sequence[str] | None, suite: Suite = SUITE) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=suite.about)
    every = [w.name for w in suite.workloads]
    p.add_argument("--rounds", type=int, default=11, help="valid rounds of each workload (9 or more to count)")
    p.add_argument("--seconds", type=float, default=5, help="load on each proxy in each round")
    p.add_argument("--quick", action="store_true", help="3 rounds of 2 s, kept out of the results folder")
    p.add_argument("--peers", type=names(suite.order), default=suite.order, help="of " + ",".join(suite.order))
    p.add_argument("--workloads", type=names(every), default=every, help="of " + ",".join(every))
    p.add_argument("--fastgw-bin", metavar="CMD", help="play fastgw by CMD LISTEN_PORT UPSTREAM_PORT")
    p.add_argument(
        "--keep", action="store_true", help="workloads that the JSON has and that are not run now stay in it"
    )
    p.add_argument("--out", type=Path, help="where the JSON goes")
    options = p.parse_args(argv)
    if options.quick:
        options.rounds, options.seconds = 3, 2.0
    if options.rounds < 1 or options.seconds < 1:
        p.error("at least one round of one second")
    folder = tools.BUILD if options.quick else tools.ROOT / "benchmarks" / "results"
    options.out = options.out or folder / f"{suite.kind}.json"
    return options


def tell_gates(judged: Sequence[dict[str, Any]]) -> None:
    """The gates on stdout."""
    for g in judged:
        r = g.get("ratio")
        seen = f"{r['median']:.3f} ({r['low']:.3f} to {r['high']:.3f}, {g['against']})" if r else "-"
        print(f"{g['verdict']:>12}  at most {g['bound']:.2f}: {seen}  {g['name']}")


def main(argv: Sequence[str] | None = None, suite: Suite = SUITE) -> int:
    """Runs the comparison and writes its JSON. Returns the exit code."""
    options = arguments(argv, suite)
    tools.raise_files()
    try:
        document = compare(options, suite)
    except tools.BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    if options.out.parent == render.RESULTS:
        render.main([])
    tell_gates(document["gates"])
    if noisy := [name for name, r in document["workloads"].items() if valid(r["rounds"]) < options.rounds]:
        print(f"bench: too few rounds without trouble: {', '.join(noisy)}", file=sys.stderr)
        return 3
    return 1 if any(g["verdict"] == stats.MISSED for g in document["gates"]) else 0


if __name__ == "__main__":
    sys.exit(main())
