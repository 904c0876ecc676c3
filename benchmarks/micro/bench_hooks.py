"""What a hook adds to a request: benchmarks/results/hooks.json.

One worker in this process, one client that asks and turns the worker by hand; routes with a hook beside the same route
without. Instructions: callgrind, within fgw_worker_turn and all that it calls. Time: CPU time of this thread, in
interleaved rounds of REQUESTS, the difference to the route without hooks in the same round.

    python benchmarks/micro/bench_hooks.py             both
    python benchmarks/micro/bench_hooks.py --time      time only: in a quiet hour
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import facts  # noqa: E402
from benchmarks.micro.hook_engine import Chains, Engine, Plug  # noqa: E402
from benchmarks.stats import bootstrap  # noqa: E402

RESULT = ROOT / "benchmarks/results/hooks.json"
REQUESTS, ROUNDS, COUNTED, WARM = 2000, 15, 2000, 500
BOUNDS_US = {"sync": 3.0, "async": 5.0}


def sync(request: Any) -> None:
    if request.headers.get("user-agent") is None:
        return
    request.headers["x-user"] = "joe"
    request.headers["x-tenant"] = "acme"


async def waits_not(request: Any) -> None:
    if request.headers.get("user-agent") is None:
        return
    request.headers["x-user"] = "joe"
    request.headers["x-tenant"] = "acme"


def empty(request: Any) -> None:
    pass


def both(request: Any, reply: Any) -> None:
    reply.headers["x-user"] = "joe"
    reply.headers["x-tenant"] = "acme"


ROUTES: Chains = {
    "plain": [], "empty": [Plug(empty)], "sync": [Plug(sync)], "async": [Plug(waits_not)],
    "reply": [Plug(reply=both)], "budget": [Plug(sync, budget_ms=50)],
}  # fmt: skip
TELLS = {
    "plain": "no hook, others have some", "empty": "sync, does nothing", "sync": "sync, reads one field, sets two",
    "async": "the same as a coroutine that does not wait", "reply": "sync on the reply, sets two fields",
    "budget": "sync, with a budget", "alone": "no hook anywhere",
}  # fmt: skip


def ask(engine: Engine, route: str, times: int) -> float:
    """So many requests over a connection of their own; CPU microseconds each."""
    head = f"GET /{route}/x HTTP/1.1\r\nHost: example.org\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()
    turn = engine.worker.turn
    with socket.create_connection(("127.0.0.1", engine.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        turn()
        before = time.thread_time_ns()
        for _ in range(times):
            sock.send(head)
            turn()
            got = sock.recv(4096, socket.MSG_DONTWAIT)
            assert got.startswith(b"HTTP/1.1 200"), got
        spent = time.thread_time_ns() - before
    turn()
    return spent / times / 1000


async def counted(route: str) -> None:
    """The child under callgrind: warm up, then be counted."""
    chains = {"alone": []} if route == "alone" else ROUTES
    async with Engine(chains) as engine:
        ask(engine, route, COUNTED)
        engine.worker.detach()
        os._exit(0)


def instructions(route: str) -> int:
    with TemporaryDirectory() as place:
        to = f"--callgrind-out-file={place}/out"
        grind = ["valgrind", "--tool=callgrind", "--toggle-collect=fgw_worker_turn", to]
        run = subprocess.run([*grind, sys.executable, __file__, "--count", route], cwd=ROOT, text=True,
                             capture_output=True, env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if collected is None or run.returncode:
        raise SystemExit(run.stderr)
    return round(int(collected[1]) / COUNTED)


async def timed() -> dict[str, list[float]]:
    """CPU microseconds a request, by route and round."""
    found: dict[str, list[float]] = {route: [] for route in ROUTES}
    async with Engine(ROUTES) as engine:
        for route in ROUTES:
            ask(engine, route, WARM)
        for _ in range(ROUNDS):
            for route in ROUTES:
                found[route].append(ask(engine, route, REQUESTS))
        assert not engine.failures
    return found


def gate(name: str, more: list[float]) -> dict[str, Any]:
    low, high = bootstrap(more)
    bound = BOUNDS_US[name]
    verdict = "met" if high <= bound else "missed" if low > bound else "open"
    return {"name": f"µs more, {TELLS[name]}", "bound": bound, "seen": median(more), "verdict": verdict}


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--count")
    options.add_argument("--time", action="store_true")
    args = options.parse_args()
    if args.count:
        asyncio.run(counted(args.count))
    old = json.loads(RESULT.read_text())["rows"] if args.time and RESULT.exists() else []
    counts = {row[0]: row[1] for row in old}
    if not args.time:
        counts = {TELLS[route]: instructions(route) for route in [*ROUTES, "alone"]}
    times = asyncio.run(timed())
    more = {route: [t - p for t, p in zip(times[route], times["plain"], strict=True)] for route in ROUTES}
    rows = []
    for route, tells in TELLS.items():
        count, plain = counts.get(tells), counts.get(TELLS["plain"])
        extra = "–" if count is None or plain is None else count - plain
        us = "–" if route == "alone" else f"{median(more[route]):.2f}"
        rows.append([tells, count, extra, us])
        print(f"{tells:45} {count} instructions, {extra} more, {us} µs more")
    RESULT.write_text(json.dumps({
        "title": "Hooks",
        "text": f"What a plugin's hook adds to a request on a route that answers itself. Instructions by callgrind "
                f"within the worker's turn, {COUNTED} requests; CPU time of the thread, {ROUNDS} interleaved rounds "
                f"of {REQUESTS}, the difference to the route without hooks in the same round.",
        "columns": ["route", "instructions a request", "more", "µs more"],
        "rows": rows,
        "gates": [gate(name, more[name]) for name in BOUNDS_US],
        "machine": facts(),
    }, indent=2, ensure_ascii=False) + "\n")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
