"""TLS and HTTP/2 connections in number: what idle ones cost in memory, new certificates under load, a thousand names.

    python -m benchmarks.load.tls [--idle N] [--streams-connections N] [--rotate SECONDS] [--names N] [--only PART,...]

Parts: idle (connections over TLS that have served one request, HTTP/1.1 and HTTP/2), streams (HTTP/2 connections with
100 streams each that wait for an upstream which never answers, under limits.memory), rotate (a HUP with new certificate
files every second, under load), names (certificates and what they add to a worker and to a handshake). Memory is the
worker's PSS, the kernel's buffers are not in it. Exit code 1: a gate was missed; 3: not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.load import proc, tools
from benchmarks.load.attacks import END_HEADERS, HEAD, HEADERS, SETTINGS, anyone, ask, frame, hello
from benchmarks.load.target import RESULTS, gate, publish

IDLE_BOUND = 24 * 1024  # bytes of ours and OpenSSL's for an idle connection
STREAMS = 100  # on each connection
CAP_MIB = 256  # limits.memory of the part `streams`
AFTER_MIB = 16  # what may be left of that once the connections are closed
TRIM = 8  # seconds within which a worker looks for what it can give back
PARTS = ["idle", "streams", "rotate", "names"]
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:{port}", tls: {{certificates: [{certificates}]}}}}}}
upstreams:
  origin: {{endpoints: ["127.0.0.1:{origin}"]}}
  mute: {{endpoints: ["127.0.0.1:{mute}"], pool: {{max_connections: 16, queue: 1000000, queue_timeout: 5m}}}}
routes:
  all: {{match: {{prefix: "/"}}, to: origin}}
  mute: {{match: {{prefix: /mute}}, to: mute}}
admin: {{bind: "unix:{folder}/admin.sock"}}
limits: {{memory: {memory}MiB}}
log: {{access: off, error: {{level: error, to: stderr}}}}
"""


@dataclass(frozen=True)
class Gateway:
    """One that runs; `pid` is its worker, `folder` holds its certificates."""

    port: int
    pid: int
    process: subprocess.Popen[bytes]
    folder: Path


@contextmanager
def gateway(names: int = 1, memory: int = 1024) -> Iterator[Gateway]:
    """With so many certificates, for n0.test, n1.test and so on."""
    folder = tools.BUILD / "run" / "tls"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for i in range(names):
        make(folder, f"n{i}")
    listed = ", ".join(f'{{cert: "{folder}/n{i}.pem", key: "{folder}/n{i}.key"}}' for i in range(names))
    with tools.origin() as origin, socket.create_server(("127.0.0.1", 0), backlog=4096) as mute:
        port = tools.free_port()
        config = folder / "fastgw.yaml"
        config.write_text(
            CONFIG.format(
                port=port, origin=origin, mute=mute.getsockname()[1], certificates=listed, folder=folder, memory=memory
            )
        )
        command = [".venv/bin/fastgw", "run", "-c", str(config), "--workers", "1"]
        environment = os.environ | {"STATE_DIRECTORY": str(folder), "XDG_STATE_HOME": str(folder)}
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(command, cwd=tools.ROOT, stderr=log, env=environment)
        try:
            tools.wait_until_served(port, process, seconds=60, scheme="https")
            (pid,) = [p for p, what in proc.roles(process.pid).items() if what == "worker"]
            yield Gateway(port, pid, process, folder)
        finally:
            tools.stop(process)


def make(folder: Path, name: str) -> None:
    """A certificate for NAME.test and its key, moved into place when they are whole: the certificate last."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    argv += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}.test"]
    fresh = [folder / f"{name}.key.new", folder / f"{name}.pem.new"]
    subprocess.run([*argv, "-keyout", fresh[0], "-out", fresh[1]], check=True, capture_output=True)
    fresh[0].rename(folder / f"{name}.key")
    fresh[1].rename(folder / f"{name}.pem")


def settled(pid: int, seconds: float = 3) -> int:
    """PSS in KiB once it has had time to give back what it gives back."""
    time.sleep(seconds)
    return proc.memory_kib(pid)["pss_kib"]


def opened(gw: Gateway, protocol: str, first: bytes, wanted: bytes) -> socket.socket:
    """A connection that has said `first` and heard `wanted`; the TLS state of this end is dropped, the socket stays."""
    plain = socket.create_connection(("127.0.0.1", gw.port), timeout=20)
    spare = plain.dup()
    sock = CONTEXTS[protocol].wrap_socket(plain, server_hostname="n0.test")
    sock.sendall(first)
    heard = b""
    while wanted and wanted not in heard:
        part = sock.recv(65536)
        if not part:
            raise tools.BenchError("a connection ended before its answer")
        heard += part
    os.close(sock.detach())
    return spare


CONTEXTS = {name: anyone(name) for name in ("http/1.1", "h2")}
FIRST = {
    "http/1.1": b"GET /s HTTP/1.1\r\nHost: n0.test\r\n\r\n",
    "h2": hello() + frame(SETTINGS, 1, 0) + frame(HEADERS, HEAD, 1, ask(b"/s")),
}


def still_open(conns: Sequence[socket.socket]) -> int:
    """How many the gateway has not closed."""
    alive = 0
    for conn in conns:
        conn.setblocking(False)
        try:
            while conn.recv(65536):  # what of TLS came behind the answer
                pass
        except BlockingIOError:
            alive += 1
        except OSError:
            continue
    return alive


def idle(options: argparse.Namespace) -> dict[str, Any]:
    """Memory for each idle connection, of either protocol."""
    found: dict[str, Any] = {}
    for protocol, first in FIRST.items():
        with gateway() as gw:
            for conn in [opened(gw, protocol, first, b"abcdefghijkl\n") for _ in range(200)]:
                conn.close()
            before = settled(gw.pid)
            conns = [opened(gw, protocol, first, b"abcdefghijkl\n") for _ in range(options.idle)]
            each = (settled(gw.pid) - before) * 1024 / options.idle
            found[protocol] = {"connections": options.idle, "still_open": still_open(conns), "each_bytes": each}
            for conn in conns:
                conn.close()
    return found


def streams(options: argparse.Namespace) -> dict[str, Any]:
    """HTTP/2 connections whose streams all wait."""
    with gateway(memory=CAP_MIB) as gw:
        before = settled(gw.pid)
        waiting = b"".join(frame(HEADERS, END_HEADERS, 1 + 2 * i, ask(b"/mute", b"POST")) for i in range(STREAMS))
        first = hello() + frame(SETTINGS, 1, 0) + waiting
        conns = []
        for _ in range(options.streams_connections):
            try:
                conns.append(opened(gw, "h2", first, b""))
            except OSError:  # it takes no more: that is what a cap is for
                break
        grown = settled(gw.pid, TRIM) - before
        try:
            meanwhile = f"{len(tools.fetch(gw.port, '/s', 'https'))} bytes"
        except OSError as e:  # at the cap new requests are refused
            meanwhile = str(e)
        for conn in conns:
            conn.close()
        after = settled(gw.pid, 3 * TRIM) - before
        again = len(tools.fetch(gw.port, "/s", "https"))
    seen = {"connections": len(conns), "grown_kib": grown, "meanwhile": meanwhile}
    return seen | {"after_kib": after, "again": again == tools.SIZES["/s"]}


class Dialler(threading.Thread):
    """Connects, asks, and notes the certificate it was shown, again and again."""

    def __init__(self, gw: Gateway) -> None:
        super().__init__(daemon=True)
        self.gw, self.over = gw, threading.Event()
        self.answered, self.failed, self.seen = 0, [], set()  # type: ignore[var-annotated]

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.gw.port), timeout=20) as plain:
                    with CONTEXTS["http/1.1"].wrap_socket(plain, server_hostname="n0.test") as sock:
                        self.seen.add(sock.getpeercert(binary_form=True))
                        sock.sendall(b"GET /s HTTP/1.1\r\nHost: n0.test\r\nConnection: close\r\n\r\n")
                        heard = b"".join(iter(lambda: sock.recv(65536), b""))
                if not heard.endswith(b"abcdefghijkl\n"):
                    raise OSError(f"answered {heard[:80]!r}")
                self.answered += 1
            except OSError as e:
                self.failed.append(str(e))


def rotate(options: argparse.Namespace) -> dict[str, Any]:
    """A HUP with other certificate files every second, with new connections and with old ones under load."""
    with gateway() as gw:
        dialler = Dialler(gw)
        dialler.start()
        argv = ["h2load", f"-D{options.rotate}", "-c8", "-m8", f"https://127.0.0.1:{gw.port}/s"]
        load = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        turns, until = 0, time.monotonic() + options.rotate - 1
        while time.monotonic() < until:
            began = time.monotonic()
            make(gw.folder, "n0")
            gw.process.send_signal(signal.SIGHUP)
            turns += 1
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        said, _ = load.communicate(timeout=60)
        dialler.over.set()
        dialler.join(20)
    report = tools.h2load_report(said)
    failed = sum(report["errors"].values()) + len(dialler.failed)
    return {
        "turns": turns, "certificates_seen": len(dialler.seen), "requests": report["requests"],
        "dials": dialler.answered, "failed": failed, "why": dialler.failed[:5],
    }  # fmt: skip


def names(options: argparse.Namespace) -> dict[str, Any]:
    """A worker with one certificate and with many: its memory, and its CPU time for a new connection."""
    found: dict[str, Any] = {}
    for count in (1, options.names):
        with gateway(count) as gw:
            start = settled(gw.pid)
            for i in range(count):
                if count > 1:
                    dial(gw, f"n{i}.test")
            before = proc.usage(gw.pid).cpu_ns
            report = tools.handshakes(gw.port, "/s", 3, 4, False, None)
            cost = (proc.usage(gw.pid).cpu_ns - before) / max(report["requests"], 1) / 1000
            if any(report["errors"].values()):
                raise tools.BenchError(f"handshakes failed: {report['errors']}")
            found[str(count)] = {"start_kib": start, "used_kib": settled(gw.pid), "cpu_us": cost}
    return found


def dial(gw: Gateway, name: str) -> None:
    """A handshake for one name, whose certificate must be that name's."""
    with socket.create_connection(("127.0.0.1", gw.port), timeout=20) as plain:
        with CONTEXTS["http/1.1"].wrap_socket(plain, server_hostname=name) as sock:
            shown = sock.getpeercert(binary_form=True)
    if shown is None or name.encode() not in shown:
        raise tools.BenchError(f"{name} was shown another certificate")


def rows_and_gates(found: dict[str, Any]) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """What the page shows of the parts that were run."""
    rows: list[list[Any]] = []
    gates: list[dict[str, Any]] = []
    for protocol, seen in found.get("idle", {}).items():
        open_at_end = f"{seen['connections']:,}, {seen['still_open']:,} open at the end"
        told = f"{open_at_end}: {seen['each_bytes'] / 1024:.1f} KiB each"
        rows.append([f"idle connections, {protocol}", told])
        gates.append(gate(f"bytes for an idle TLS connection, {protocol}", IDLE_BOUND, seen["each_bytes"]))
        gates.append(gate(f"of them closed, {protocol}", 0, seen["connections"] - seen["still_open"]))
    if s := found.get("streams"):
        told = f"{s['grown_kib'] / 1024:.0f} MiB grown ({s['after_kib'] / 1024:.0f} MiB once they were closed); "
        told += f"a request meanwhile: {s['meanwhile']}"
        rows.append([f"{s['connections']:,} HTTP/2 connections × {STREAMS} waiting streams", told])
        bound = CAP_MIB + s["connections"] * IDLE_BOUND / 2**20
        name = f"MiB that they took: limits.memory, {CAP_MIB}, and the connections"
        gates.append(gate(name, round(bound), s["grown_kib"] / 1024))
        gates.append(gate("MiB left of it once they were closed", AFTER_MIB, s["after_kib"] / 1024))
    if r := found.get("rotate"):
        told = f"{r['turns']} reloads, {r['certificates_seen']} certificates seen, {r['dials']:,} new connections"
        rows.append(["a new certificate every second under load", f"{told}, {r['requests']:,} requests on old ones"])
        gates.append(gate("requests that failed while certificates changed", 0, r["failed"]))
    for count, n in found.get("names", {}).items():
        told = f"{n['start_kib'] / 1024:.1f} MiB at start, {n['used_kib'] / 1024:.1f} MiB once all names were asked for"
        rows.append([f"certificates: {int(count):,}", f"{told}; {n['cpu_us']:.0f} µs of CPU for a new connection"])
    return rows, gates


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.tls", description="TLS connections in number.")
    parser.add_argument("--idle", type=int, default=10_000, metavar="N")
    parser.add_argument("--streams-connections", type=int, default=1_000, metavar="N")
    parser.add_argument("--rotate", type=int, default=30, metavar="SECONDS")
    parser.add_argument("--names", type=int, default=1_000, metavar="N")
    parser.add_argument("--only", type=lambda t: t.split(","), default=PARTS, help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS / "tls.json")
    options = parser.parse_args(argv)
    files = tools.raise_files()
    found: dict[str, Any] = json.loads(options.out.read_text())["parts"] if options.out.exists() else {}
    try:
        if files < options.idle + 1000:
            raise tools.BenchError(f"{options.idle} connections need more than the {files} files this process may open")
        for part in options.only:
            found[part] = {"idle": idle, "streams": streams, "rotate": rotate, "names": names}[part](options)
            print(f"{part}: {found[part]}", file=sys.stderr)
    except (tools.BenchError, proc.Gone, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    rows, gates = rows_and_gates(found)
    document = {
        "schema": 1, "title": "TLS connections in number", "machine": machine.facts(), "columns": ["", "seen"],
        "text": "One worker; memory is its PSS, the kernel's buffers are not in it.", "rows": rows, "gates": gates,
        "parts": found,
    }  # fmt: skip
    return publish(document, options.out)


if __name__ == "__main__":
    sys.exit(main())
