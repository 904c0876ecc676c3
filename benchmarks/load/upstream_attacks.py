"""Attacks by upstreams on a live worker: what they cost it in memory and CPU, and whether others are served meanwhile.

    python -m benchmarks.load.upstream_attacks [--seconds N] [--only NAME,...]

Each attack (hostile_upstream.py): ASKERS clients ask a hostile upstream again and again, each time on a new connection,
for so many seconds; a client that has no answer after PATIENCE s leaves. Beside them a client of HTTP/1.1 and one of
HTTP/2 ask another upstream for a small answer again and again. Then the upstream is a good one again, and has to be
asked again. Limits and timeouts are at their defaults (hostile/fastgw.yaml). Memory is the worker's peak resident size
over what it had before.
Exit code 1: a gate was missed; 3: not measured.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.compare import peers
from benchmarks.load import proc, tools
from benchmarks.load.attacks import SLOWEST_MS, Neighbour, resident
from benchmarks.load.hostile_upstream import H1, H2, Pieces, Upstream
from benchmarks.load.target import LOAD_CORE, PROXY_CORE, RESULTS, gate, publish

ASKERS = 16
PATIENCE = 2.0
GROWTH_MIB = 32  # of the worker: what ASKERS answers may hold of blocks and heads, and sockets' input
TRIES = 8  # upstream requests for one of a client: seven GOAWAYs and the last (docs/design/0006-http2.md)

ALL: dict[str, tuple[str, Callable[[int], Pieces]]] = {
    **{f"h2: {name}": ("/h2", attack) for name, attack in H2.items()},
    **{f"h1: {name}": ("/h1", attack) for name, attack in H1.items()},
}


def fetch(port: int, path: str, patience: float) -> str:
    """What a client got: a status, `cut` within an answer, `held`, `nothing`."""
    heard = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.settimeout(patience)
            began = time.monotonic()
            sock.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
            while part := sock.recv(1 << 18):
                heard += part
                heard = heard if len(heard) < 8192 else heard[:4096] + heard[-64:]
                if time.monotonic() - began > patience:
                    return "held"
    except TimeoutError:
        return "held"
    except OSError:
        pass
    finals = [line for line in heard.split(b"\r\n") if line.startswith(b"HTTP/1.1 ") and line[9:10] != b"1"]
    if not finals:
        return "nothing"
    whole = b"chunked" not in heard[:4096].lower() or heard.endswith(b"0\r\n\r\n")
    status = finals[0][9:12].decode()
    return status if whole and (status != "200" or heard.endswith(b"ok")) else "cut"


class Askers:
    """ASKERS clients that ask for the hostile upstream's answers."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.path, self.over = port, path, threading.Event()
        self.got: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(ASKERS)]

    def run(self) -> None:
        while not self.over.is_set():
            self.got[fetch(self.port, self.path, PATIENCE)] += 1
            self.over.wait(0.01)

    def __enter__(self) -> Askers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(10)


def well_again(port: int, path: str) -> float:
    """Seconds until the upstream, which is a good one now, is asked and heard; 60 at most."""
    began = time.monotonic()
    while fetch(port, path, 2) != "200" and time.monotonic() - began < 60:
        time.sleep(0.05)
    return time.monotonic() - began


def one(
    name: str, running: peers.Running, asked: int, upstreams: dict[str, Upstream], pid: int, seconds: float
) -> dict[str, Any]:
    """An attack and what it did."""
    path, attack = ALL[name]
    upstream = upstreams[path]
    upstream.dials = upstream.sent = upstream.asked = 0
    before, cpu = resident(pid), proc.usage(pid).cpu_ns
    peak = before
    with Neighbour(running.port, "http/1.1") as h1, Neighbour(running.port, "h2") as h2:
        upstream.attack = attack
        with Askers(asked, path) as askers:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(0.02)
                peak = max(peak, resident(pid))
            used = proc.usage(pid).cpu_ns - cpu
            upstream.attack = None
            upstream.drop()
    return {
        "asked": sum(askers.got.values()),
        "upstream_asked": upstream.asked,
        "dials": upstream.dials,
        "sent_bytes": upstream.sent,
        "got": dict(askers.got),
        "cpu_s": used / 1e9,
        "growth_kib": peak - before,
        "answered": h1.answered + h2.answered,
        "failed": h1.failed + h2.failed,
        "slowest_ms": max(h1.slowest_ms, h2.slowest_ms),
        "well_again_s": well_again(asked, path),
    }


@contextmanager
def started(origin: int, asked: int, upstreams: dict[str, Upstream]) -> Any:
    """The gateway before a good upstream and the hostile ones."""
    values = {"asked": asked, "one": upstreams["/h1"].port, "two": upstreams["/h2"].port}
    texts = {name: {peers.OPEN_LOG: str(value)} for name, value in values.items()}
    peer = replace(peers.load("fastgw", peers.TLS), name="hostile", home=tools.LOAD, texts=texts)
    with peers.Running(peer, origin, core=PROXY_CORE, tag="attacks") as running:
        yield running


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All attacks, as the JSON document that render.py shows."""
    found: dict[str, Any] = {}
    with tools.origin(LOAD_CORE) as origin, closing(Upstream(False)) as h1, closing(Upstream(True)) as h2:
        upstreams, asked = {"/h1": h1, "/h2": h2}, tools.free_port()
        with started(origin, asked, upstreams) as running:
            (pid,) = running.workers()
            with Neighbour(running.port, "h2"), Neighbour(running.port, "http/1.1"):
                for path in upstreams:
                    well_again(asked, path)
                time.sleep(1)
            for name in options.only:
                found[name] = one(name, running, asked, upstreams, pid, options.seconds)
                print(f"{name}: {found[name]}", file=sys.stderr)
                time.sleep(1)
            if running.workers() != [pid]:
                raise tools.BenchError("the worker has died")
    return document(found, options.seconds)


def document(found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The results with their gates."""
    tries = max(f["upstream_asked"] / max(1, f["asked"]) for f in found.values())
    gates = [
        gate(
            "MiB that the worker grew by, worst attack", GROWTH_MIB, max(f["growth_kib"] for f in found.values()) / 1024
        ),
        gate("requests of others that failed", 0, sum(f["failed"] for f in found.values())),
        gate("milliseconds of the slowest answer to others", SLOWEST_MS, max(f["slowest_ms"] for f in found.values())),
        gate("requests to the upstream for one of a client", TRIES, tries),
        gate("seconds until the upstream, good again, is asked", 5, max(f["well_again_s"] for f in found.values())),
    ]
    rows = [
        [
            name,
            f"{f['asked']:,}",
            f"{f['dials']:,}",
            f"{f['sent_bytes'] / 2**20:.1f}",
            ", ".join(f"{end} ×{n}" for end, n in sorted(f["got"].items(), key=lambda e: -e[1])),
            f"{f['cpu_s']:.2f}",
            f"{f['growth_kib'] / 1024:.1f}",
            f"{f['answered']:,}",
            f["failed"],
        ]
        for name, f in found.items()
    ]
    return {
        "schema": 1,
        "title": "Attacks by upstreams on a live worker",
        "text": f"{ASKERS} clients ask a hostile upstream for {seconds:g} s each, on a new connection each time. "
        f"`cut`: the answer broke off; `held`: it was left after {PATIENCE:g} s, within the gateway's timeouts. Beside "
        "them two honest clients (HTTP/1.1 and HTTP/2 over TLS) ask another upstream.",
        "machine": machine.facts(),
        "columns": [
            "",
            "asked",
            "connections",
            "MiB sent",
            "clients got",
            "worker's CPU s",
            "MiB grown",
            "others answered",
            "failed",
        ],
        "rows": rows,
        "attacks": found,
        "gates": gates,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load.upstream_attacks", description="Attacks by upstreams."
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", type=lambda t: t.split(","), default=list(ALL), help=", ".join(ALL))
    parser.add_argument("--out", type=Path, default=RESULTS / "upstream-attacks.json")
    options = parser.parse_args(argv)
    tools.raise_files()
    try:
        result = measure(options)
    except (tools.BenchError, proc.Gone, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    return publish(result, options.out)


if __name__ == "__main__":
    sys.exit(main())
