"""What idle and short connections cost a worker in memory.

    python -m benchmarks.load.idle [--idle N] [--short N] [--peer NAME | --fastgw-bin CMD | --pid PID --address ADDR]

Idle: opens keep-alive connections, has each serve one request, and divides the growth of the worker's memory by their
number. Short: one request a connection, with `Connection: close`; after warm-up the memory must stay level. Memory is
PSS and private-dirty from smaps_rollup: the process's own, not the kernel's socket buffers.
Exit code 1: a gate was missed; 3: it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.load import proc, target, tools

IDLE_BOUND = 1536  # bytes of a worker's memory for one idle connection
SHORT_BOUND_KIB = 256  # growth after warm-up: under 3 bytes for each of 90,000 connections, so none can be leaking
WARM_SHARE = 10  # a tenth of the short connections is warm-up
SAMPLES = 9
SETTLE_SECONDS = 3.0


def read_answer(conn: socket.socket) -> bytes:
    """The body of one answer with a Content-Length. Raises BenchError for anything else."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = conn.recv(65536)
        if not part:
            raise tools.BenchError("a connection ended before its answer")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1] != b"200":
        raise tools.BenchError(f"not a 200: {head.splitlines()[0].decode('latin-1')}")
    fields = dict(line.lower().split(b":", 1) for line in head.splitlines()[1:])
    size = int(fields[b"content-length"])
    while len(body) < size:
        part = conn.recv(65536)
        if not part:
            raise tools.BenchError("a connection ended inside its answer")
        body += part
    return body


def ask(conn: socket.socket) -> None:
    """One request and its answer on a connection that stays."""
    conn.sendall(b"GET /s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    if len(read_answer(conn)) != tools.SIZES["/s"]:
        raise tools.BenchError("the answer has the wrong size")


def open_idle(port: int, count: int) -> list[socket.socket]:
    """`count` connections, each having served one request, one after the other."""
    conns = []
    for _ in range(count):
        conn = socket.create_connection(("127.0.0.1", port), timeout=10)
        conns.append(conn)
        ask(conn)
    return conns


def settled(pid: int) -> dict[str, int]:
    """Memory of `pid` once it has had time to give back what it gives back."""
    time.sleep(SETTLE_SECONDS)
    return proc.memory_kib(pid)


def still_open(conns: Sequence[socket.socket]) -> int:
    """How many the server has not closed."""
    alive = 0
    for conn in conns:
        conn.setblocking(False)
        try:
            conn.recv(1)
        except BlockingIOError:
            alive += 1
        except OSError:
            continue
    return alive


def idle(goal: target.Target, count: int) -> dict[str, Any]:
    """Memory for each of `count` idle connections."""
    files = tools.raise_files()
    if files < count + 100:
        raise tools.BenchError(f"{count} connections need more than the {files} files this process may open")
    for conn in open_idle(goal.port, 200):
        conn.close()
    before = settled(goal.pid)
    conns = open_idle(goal.port, count)
    after = settled(goal.pid)
    alive = still_open(conns)
    for conn in conns:
        conn.close()
    closed = settled(goal.pid)
    each = {key.replace("_kib", "_bytes"): (after[key] - before[key]) * 1024 / count for key in after}
    return {"connections": count, "still_open": alive, "before": before, "after": after, "closed": closed, "each": each}


def short(goal: target.Target, count: int) -> dict[str, Any]:
    """Memory after a tenth of `count` short connections and at even steps from there on."""
    samples: list[dict[str, int]] = []
    for step in [count // WARM_SHARE] + [(count - count // WARM_SHARE) // SAMPLES] * SAMPLES:
        with target.Fixed(goal.port, "/s", step, 64, close=True) as load:
            load.ready()
            load.go()
            load.done()
            load.close()
        done = step + (samples[-1]["connections"] if samples else 0)
        samples.append({"connections": done} | proc.memory_kib(goal.pid))
    growth = samples[-1]["pss_kib"] - samples[0]["pss_kib"]
    return {"connections": samples[-1]["connections"], "samples": samples, "growth_kib": growth}


def judge(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The gates on both parts."""
    each = document["idle"]["each"]["pss_bytes"]
    all_open = document["idle"]["still_open"] == document["idle"]["connections"]
    growth = document["short"]["growth_kib"]
    return [
        {
            "name": "bytes for an idle connection",
            "bound": IDLE_BOUND,
            "seen": each,
            "verdict": "met" if each <= IDLE_BOUND and all_open else "missed",
        },
        {
            "name": "KiB of growth over short connections after warm-up",
            "bound": SHORT_BOUND_KIB,
            "seen": growth,
            "verdict": "met" if growth <= SHORT_BOUND_KIB else "missed",
        },
    ]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both parts, as the JSON document that render.py reads."""
    with target.opened(options) as goal:
        document: dict[str, Any] = {"schema": 1, "kind": "idle", "machine": machine.facts(), "target": goal.title}
        document["idle"] = idle(goal, options.idle)
        document["short"] = short(goal, options.short)
    document["gates"] = judge(document)
    return document


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.idle", description="Memory of connections.")
    target.add_arguments(parser, "idle.json")
    parser.add_argument("--idle", type=int, default=10_000, metavar="N")
    parser.add_argument("--short", type=int, default=100_000, metavar="N")
    options = parser.parse_args(argv)
    tools.raise_files()
    try:
        document = measure(options)
    except (tools.BenchError, proc.Gone, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for gate in document["gates"]:
        print(f"{gate['verdict']:>8}  {gate['name']}: {gate['seen']:.0f}, at most {gate['bound']}")
    return 1 if any(g["verdict"] == "missed" for g in document["gates"]) else 0


if __name__ == "__main__":
    sys.exit(main())
