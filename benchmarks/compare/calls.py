# ruff: noqa: E501
"""Compares what a unary gRPC call costs in CPU time: fastgw against Envoy, with nginx and HAProxy beside them.

    python -m benchmarks.compare.calls [--quick] [--peers fastgw,envoy]

HTTP/2 in cleartext on both sides. h2load sends calls (POST, `application/grpc`, one message of 13 bytes) over so many
connections and streams; the origin is origin_h2, which answers each with a message and a trailer. The proxies run on
core 0, h2load and the origin on core 1; rounds are interleaved, and void where `benchmarks.compare.run` would void them.
Exit code 1: the gate was missed; 3: the bench could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a script

from benchmarks import machine, render, stats
from benchmarks.compare import gates, peers
from benchmarks.load import proc, tools

PROXY_CORE, LOAD_CORE = 0, 1
MAX_STEAL = 0.02
BOUND = 0.5  # of Envoy's CPU time
CALL = "/bench.v1.Bench/Unary"
MESSAGE = b"\0\0\0\0\x0dhello, world\n"
FIELDS = ("content-type: application/grpc", "te: trailers", "user-agent: h2load")
FILES = {"fastgw": "fastgw.yaml", "envoy": "envoy.yaml", "nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
SHAPES = {"16x8": (16, 8), "4x64": (4, 64)}  # connections, and streams on each


class Calling(peers.Running):
    """A proxy with the configuration of calls/; it serves when a call comes through."""

    def _render(self, origin: int, log: str) -> list[str]:
        values = {"LISTEN": str(self.port), "ORIGIN": str(origin), "DIR": str(self.dir)}
        file = FILES[self.peer.name]
        (self.dir / file).write_text(peers.fill((peers.HERE / "calls" / file).read_text(), values))
        return [peers.program(self.peer), *(peers.fill(word, values) for word in self.peer.command[1:])]

    def __enter__(self) -> Calling:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError, tools.BenchError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                if not load(self.port, 1, 1, 0, calls=4)["bad"]:
                    return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                tools.stop(self.process)
                said = (self.dir / "stderr").read_text(errors="replace").strip().splitlines()[-5:]
                raise tools.BenchError("\n".join([f"{self.peer.title} does not serve calls", *said]))
            time.sleep(0.05)


def load(port: int, connections: int, streams: int, seconds: float, calls: int = 0) -> dict[str, Any]:
    """One run of h2load: calls answered with 200 (`done`) and others (`bad`), in `seconds` or a number of them."""
    if not shutil.which("h2load"):
        raise tools.BenchError("h2load is not installed (Debian: apt-get install nghttp2-client)")
    body = tools.BUILD / "call"
    body.write_bytes(MESSAGE)
    argv = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", "-d", str(body)]
    argv += [f"-n{calls}"] if calls else [f"-D{max(round(seconds), 1)}"]
    for field in FIELDS:
        argv += ["-H", field]
    run = subprocess.run(
        tools.pinned(LOAD_CORE, [*argv, f"http://127.0.0.1:{port}{CALL}"]), capture_output=True, text=True,
        timeout=seconds + 60,
    )  # fmt: skip
    counted = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", run.stdout)
    answers = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", run.stdout)
    if run.returncode or not counted or not answers:
        raise tools.BenchError(f"h2load failed: {run.stderr.strip() or run.stdout.strip()}")
    bytes_of = re.search(r"\((\d+)\) data", run.stdout)
    short = int(int(bytes_of[1]) < int(counted[1]) * len(MESSAGE)) if bytes_of else 1  # an answer without a message is no answer
    return {"done": int(counted[1]), "bad": short + sum(map(int, counted.groups()[1:] + answers.groups()[1:]))}


def measure(running: Calling, shape: tuple[int, int], seconds: float) -> dict[str, Any]:
    """Loads one proxy once. `void` says why it cannot count, or is None."""
    cores = [proc.core(PROXY_CORE), proc.core(LOAD_CORE)]
    began, before = time.monotonic_ns(), running.usages()
    told = load(running.port, *shape, seconds)
    after, wall_ns = running.usages(), time.monotonic_ns() - began
    steal = max(proc.core(core).since(was)[1] for core, was in zip((PROXY_CORE, LOAD_CORE), cores, strict=True))
    used = sum(after[pid].cpu_ns - before[pid].cpu_ns for pid in before.keys() & after.keys())
    void = (
        f"steal {steal:.1%}" if steal > MAX_STEAL
        else f"{told['bad']} bad answers" if told["bad"] or not told["done"]
        else None if set(before) == set(after) else "its processes changed"
    )  # fmt: skip
    return {"calls": told["done"], "cpu_us": used / 1000 / max(told["done"], 1), "per_second": told["done"] / seconds,
            "share": used / wall_ns, "void": void}  # fmt: skip


def rounds_of(players: Sequence[peers.Peer], origin: int, name: str, options: argparse.Namespace) -> list[Any]:
    """Valid rounds of one shape, void ones among them; gives up after three times as many."""
    done: list[dict[str, dict[str, Any]]] = []
    with contextlib.ExitStack() as stack:
        fleet = [stack.enter_context(Calling(p, origin, core=PROXY_CORE, tag=f"calls-{name}")) for p in players]
        for running in fleet:
            load(running.port, *SHAPES[name], 1)
        while len(valid(done)) < options.rounds and len(done) < 3 * options.rounds:
            order = [fleet[(len(done) + i) % len(fleet)] for i in range(len(fleet))]
            done.append({r.peer.name: measure(r, SHAPES[name], options.seconds) for r in order})
            row = "  ".join(f"{peer} {m['cpu_us']:.1f}{' VOID' if m['void'] else ''}" for peer, m in sorted(done[-1].items()))
            print(f"{name} {len(done)}: {row}", file=sys.stderr)
    return done


def valid(rounds: Sequence[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, Any]]]:
    """Those in which nothing is void: ratios need all of them."""
    return [each for each in rounds if not any(m["void"] for m in each.values())]


def document(results: dict[str, list[Any]], players: Sequence[peers.Peer], options: argparse.Namespace) -> dict[str, Any]:
    """What render.py shows as it is."""
    rows, judged = [], []
    for name, rounds in results.items():
        good = valid(rounds)
        for peer in players:
            of = [each[peer.name] for each in good]
            if not of:
                continue
            cost = stats.estimate([m["cpu_us"] for m in of])
            seen = [render.number(median(m[key] for m in of)) for key in ("per_second",)]
            rows.append([f"{peer.title} {peers.version(peer)}".strip(), name.replace("x", " × "), render.spread(asdict(cost)),
                         render.share(median(m["share"] for m in of)), *seen])  # fmt: skip
        ours, theirs = ([each[peer]["cpu_us"] for each in good if peer in each] for peer in (gates.SUBJECT, "envoy"))
        if ours and theirs:
            ratio = stats.estimate(stats.ratios(ours, theirs))
            judged.append({"name": f"CPU time of a call, {name.replace('x', ' × ')}, of Envoy's", "bound": BOUND,
                           "seen": ratio.median, "verdict": stats.verdict(ratio, BOUND), "ratio": asdict(ratio)})  # fmt: skip
    few = [name for name, rounds in results.items() if len(valid(rounds)) < render.ENOUGH_ROUNDS]
    text = (
        f"Unary calls: HTTP/2 in cleartext on both sides, connections × streams as in the second column, {options.seconds:g} s for each proxy "
        f"in each of {options.rounds} rounds. h2load sends a message of 13 bytes, origin_h2 answers with one and a trailer; no log, one worker."
    )
    if few:
        text += f" **A smoke run: fewer than {render.ENOUGH_ROUNDS} rounds judge nothing.**"
    return {"title": "gRPC", "text": text, "columns": ["", "load", "CPU µs/call (90 %)", "of its core", "calls/s"], "rows": rows,
            "gates": judged, "machine": machine.facts(), "rounds": results}  # fmt: skip


def players_of(names: Sequence[str]) -> list[peers.Peer]:
    """Those of `names` that can run here; the others are told on stderr."""
    found = []
    for peer in peers.available(list(names), None)[0]:
        command = [re.sub(r"@DIR@/[\w.]+\.(yaml|conf|cfg)$", f"@DIR@/{FILES[peer.name]}", word) for word in peer.command]
        found.append(replace(peer, command=command, texts={}))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the comparison and writes its JSON. Returns the exit code."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.compare.calls", description="CPU time of a gRPC call.")
    p.add_argument("--rounds", type=int, default=11, help="valid rounds of each shape (9 or more to count)")
    p.add_argument("--seconds", type=float, default=5, help="load on each proxy in each round")
    p.add_argument("--quick", action="store_true", help="3 rounds of 2 s, kept out of the results folder")
    p.add_argument("--peers", default=",".join(FILES), help="of " + ",".join(FILES))
    options = p.parse_args(argv)
    if options.quick:
        options.rounds, options.seconds = 3, 2.0
    folder = tools.BUILD if options.quick else render.RESULTS
    tools.raise_files()
    try:
        players = players_of(options.peers.split(","))
        with tools.listening([str(tools.build("origin_h2")), "0"], LOAD_CORE) as origin:
            results = {name: rounds_of(players, origin, name, options) for name in SHAPES}
        told = document(results, players, options)
    except tools.BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare-grpc.json").write_text(json.dumps(told, indent=1) + "\n")
    if not options.quick:
        render.main([])
    for gate in told["gates"]:
        r = gate["ratio"]
        print(f"{gate['verdict']:>8}  at most {gate['bound']:.2f}: {r['median']:.3f} ({r['low']:.3f} to {r['high']:.3f})  {gate['name']}")
    return 1 if any(gate["verdict"] == stats.MISSED for gate in told["gates"]) else 0


if __name__ == "__main__":
    sys.exit(main())
