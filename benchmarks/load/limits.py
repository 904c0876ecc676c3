"""Limits under load over HTTP, with workers that are killed meanwhile: what must hold whatever the load does.

    python -m benchmarks.load.limits [--seconds N] [--keys N]

Two workers, 64 connections of wrk. Every bound is taken from the gateway's own counters and from CLOCK_MONOTONIC around
them, the clock that the buckets use: at most burst + rate x time. A worker that is killed between a take and its count
leaves a count that is one too low; so bounds from below allow for one request a kill and connection.
Exit code 1: a gate was missed; 3: it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.load import tools
from benchmarks.load.target import RESULTS

CONNECTIONS, WORKERS, PLACES = 64, 2, 8
TABLE_MIB = 64
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:{port}"}}}}
admin: {{bind: "127.0.0.1:{admin}"}}
workers: {workers}
log: {{access: off}}
upstreams: {{origin: {{endpoints: ["127.0.0.1:{origin}"]}}, mute: {{endpoints: ["127.0.0.1:{mute}"]}}}}
routes:
  once: {{match: {{prefix: /once}}, chain: [{{rate_limit: {{rate: 700/d, burst: {burst}, by: route}}}}],
         to: {{static: {{body: hello}}}}}}
  rate: {{match: {{prefix: /rate}}, chain: [{{rate_limit: {{rate: {rate}/s, burst: {rate}, by: route}}}}],
         to: {{static: {{body: hello}}}}}}
  keys: {{match: {{prefix: /keys}}, chain: [{{rate_limit: {{rate: 1/d, burst: 1, by: "query:k",
         table: {{size: {table}MiB}}}}}}], to: {{static: {{body: hello}}}}}}
  hold: {{match: {{prefix: /hold}}, chain: [{concurrency}], to: mute}}
  places: {{match: {{prefix: /}}, chain: [{concurrency}], to: origin}}
"""
CONCURRENCY = f"{{concurrency: {{name: places, max: {PLACES}, queue: {{size: 1000, timeout: 30s}}}}}}"


class Gateway:
    """A gateway that runs, and what it counts."""

    def __init__(self, port: int, admin: int, process: subprocess.Popen[bytes]) -> None:
        self.port, self.admin, self.process = port, admin, process

    def page(self, path: str) -> str:
        return tools.fetch(self.admin, path).decode()

    def count(self, limit: str, result: str) -> int:
        """fgw_limit_requests_total of a limit; or the limit metric `result` itself."""
        name, rest = f"{result}_total", ""
        if result in ("allowed", "limited"):
            name, rest = "requests_total", f',result="{result}"'
        found = re.search(rf'^fgw_limit_{name}{{limit="{limit}"{rest}}} (\S+)$', self.page("/metrics"), re.M)
        return int(float(found[1])) if found else 0

    def workers(self) -> list[int]:
        status = json.loads(self.page("/status"))
        return [worker["pid"] for worker in status["workers"] if worker["state"] == "live"]

    def memory(self) -> int:
        """Bytes of the shared memory that are in use."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        files = [fd for fd in folder.iterdir() if "fastgw-shm" in os.readlink(fd)]
        return files[0].stat().st_blocks * 512


@contextmanager
def gateway(burst: int, rate: int) -> Iterator[Gateway]:
    with (
        tempfile.TemporaryDirectory() as folder,
        tools.origin() as origin,
        socket.create_server(("127.0.0.1", 0), backlog=64) as mute,
    ):
        port, admin = tools.free_port(), tools.free_port()
        config = Path(folder) / "fastgw.yaml"
        text = CONFIG.format(
            port=port, admin=admin, origin=origin, mute=mute.getsockname()[1], workers=WORKERS, burst=burst, rate=rate,
            concurrency=CONCURRENCY, table=TABLE_MIB,
        )  # fmt: skip
        config.write_text(text)
        command = [".venv/bin/fastgw", "run", "-c", str(config), "--workers", str(WORKERS)]
        env = os.environ | {"STATE_DIRECTORY": folder}
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(command, cwd=tools.ROOT, stderr=log, env=env)
        try:
            tools.wait_until_served(port, process)
            yield Gateway(port, admin, process)
        finally:
            tools.stop(process)


def wrk(gw: Gateway, path: str, seconds: float, keys: int = 2) -> dict[str, Any]:
    """64 connections for so long. What wrk counted."""
    if not shutil.which("wrk"):
        raise tools.BenchError("wrk is not installed (Debian: apt-get install wrk)")
    argv = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{max(round(seconds), 1)}s", "-s", str(tools.LOAD / "limits.lua")]
    argv += ["--timeout", "40s", f"http://127.0.0.1:{gw.port}{path}"]
    env = os.environ | {"LIMITS_KEYS": str(keys), "LIMITS_THREADS": "2"}
    run = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 120, env=env)
    if run.returncode:
        raise tools.BenchError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
    report: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return report


class Killer:
    """Kills a worker each second, in turn, until told to stop."""

    def __init__(self, gw: Gateway) -> None:
        self.gw, self.kills, self._stop = gw, 0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            pids = self.gw.workers()
            if pids:
                os.kill(pids[self.kills % len(pids)], signal.SIGKILL)
                self.kills += 1

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def settle(gw: Gateway) -> None:
    """All workers are there again."""
    end = time.monotonic() + 60
    while len(gw.workers()) < WORKERS:
        if time.monotonic() > end:
            raise tools.BenchError("the workers did not come back")
        time.sleep(0.1)


def at_most(name: str, seen: float, bound: float) -> dict[str, Any]:
    return {"name": name, "bound": bound, "seen": seen, "verdict": "met" if seen <= bound else "missed"}


def at_least(name: str, seen: float, bound: float) -> dict[str, Any]:
    return {"name": name, "bound": bound, "seen": seen, "verdict": "met" if seen >= bound else "missed"}


def equal(name: str, seen: float, bound: float) -> dict[str, Any]:
    return {"name": name, "bound": bound, "seen": seen, "verdict": "met" if seen == bound else "missed"}


def exact(gw: Gateway, seconds: float, burst: int) -> list[dict[str, Any]]:
    """One key of which nothing comes back within two minutes: passed = allowed."""
    report = wrk(gw, "/once", seconds)
    allowed, limited = gw.count("once#1", "allowed"), gw.count("once#1", "limited")
    if limited < CONNECTIONS:
        raise tools.BenchError(f"{allowed} requests did not exceed the burst; run it for longer")
    clients = report["requests"] - report["status"]
    return [equal("one key: requests that passed of a burst", allowed, burst),
            at_most("one key: answers with 200 that clients saw", clients, burst)]  # fmt: skip


def kills(gw: Gateway, seconds: float, rate: int) -> list[dict[str, Any]]:
    """A rate, while a worker is killed each second."""
    before, begin = gw.count("rate#1", "allowed"), time.monotonic()
    with Killer(gw) as killer:
        wrk(gw, "/rate", seconds)
    allowed, window = gw.count("rate#1", "allowed") - before, time.monotonic() - begin
    settle(gw)
    again, limited = gw.count("rate#1", "allowed"), gw.count("rate#1", "limited")
    wrk(gw, "/rate", 2)
    after = gw.count("rate#1", "allowed") - again
    bound = round(rate * (window + 1))
    return [at_most(f"{rate}/s with {killer.kills} kills: passed in {window:.1f} s", allowed, bound),
            at_least("and refused, at least", limited, CONNECTIONS),
            at_least("after the kills: passed in 2 s, at least", after, rate * 2)]  # fmt: skip


def pending(gw: Gateway) -> socket.socket:
    """A request in flight: its upstream accepts it and says nothing."""
    conn = socket.create_connection(("127.0.0.1", gw.port), timeout=20)
    conn.sendall(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    return conn


def holds(gw: Gateway, allowed: int, queued: int, seconds: float = 20) -> bool:
    """Do the counters come to this, and no further?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (gw.count("places", "allowed"), gw.count("places", "queued")) == (allowed, queued):
            return True
        time.sleep(0.05)
    return False


def places(gw: Gateway, seconds: float) -> list[dict[str, Any]]:
    """Places in flight, with more connections than places, while a worker is killed each second; then all are free."""
    with Killer(gw) as killer:
        wrk(gw, "/s", seconds)
    settle(gw)
    timeouts = gw.count("places", "timeouts")
    time.sleep(0.5)  # the last connections of wrk are closed
    allowed, queued = gw.count("places", "allowed"), gw.count("places", "queued")
    conns = [pending(gw) for _ in range(PLACES)]
    all_free = holds(gw, allowed + PLACES, queued)
    conns.append(pending(gw))
    no_more = holds(gw, allowed + PLACES, queued + 1)
    for conn in conns:
        conn.close()
    return [equal(f"places of {PLACES} that are free after {killer.kills} kills", PLACES if all_free else -1, PLACES),
            equal("and one more has to wait", int(no_more), 1),
            equal("waited in vain though places became free", timeouts, 0)]  # fmt: skip


def many(gw: Gateway, seconds: float, keys: int) -> list[dict[str, Any]]:
    """So many keys, each asked for more than once."""
    before = gw.memory()
    wrk(gw, "/keys", seconds, keys)
    allowed, limited = gw.count("keys#1", "allowed"), gw.count("keys#1", "limited")
    grown = (gw.memory() - before) / (1 << 20)
    if allowed + limited < 1.2 * keys:
        raise tools.BenchError(f"{allowed + limited} requests are too few for {keys} keys; run it for longer")
    return [at_most(f"{keys:,} keys of one request a day, {allowed + limited:,} asked: passed", allowed, keys),
            at_least("and passed, at least", allowed, 0.98 * keys),
            at_most(f"MiB of memory taken by a table of {TABLE_MIB} MiB", round(grown, 1), TABLE_MIB + 4)]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.limits", description="Limits under load.")
    parser.add_argument("--seconds", type=float, default=20, help="for each part")
    parser.add_argument("--burst", type=int, default=20_000, help="of the key of which nothing comes back")
    parser.add_argument("--rate", type=int, default=2_000, help="of the key that is asked for while workers die")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--keys-seconds", type=float, default=120, help="for the part with many keys; 0: without it")
    parser.add_argument("--out", type=Path, default=RESULTS / "limits.json", help="the JSON's path")
    options = parser.parse_args(argv)
    try:
        with gateway(options.burst, options.rate) as gw:
            gates = exact(gw, min(options.seconds, 10), options.burst) + kills(gw, options.seconds, options.rate)
            gates += places(gw, options.seconds)
            gates += many(gw, options.keys_seconds, options.keys) if options.keys_seconds else []
    except (tools.BenchError, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    rows = [[gate["name"], gate["seen"], gate["bound"]] for gate in gates]
    document = {
        "title": "Limits under load", "machine": machine.facts(), "columns": ["what", "seen", "bound"], "rows": rows,
        "text": f"{WORKERS} workers, {CONNECTIONS} connections of wrk, a worker killed (-9) each second "
                "(benchmarks/load/limits.py). Counts are the gateway's own.",
        "met": all(gate["verdict"] == "met" for gate in gates),
    }  # fmt: skip
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for gate in gates:
        print(f"{gate['verdict']:>8}  {gate['name']}: {gate['seen']} ({gate['bound']})")
    return 0 if document["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
