"""Builds and runs the C programs of the bench, finds free ports, and drives wrk.

Everything started here ends with its `with` block. Everything is on 127.0.0.1.
"""

from __future__ import annotations

import functools
import json
import random
import re
import resource
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
LOAD = Path(__file__).resolve().parent
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O3", "-Wall", "-Wextra", "-Werror"]
SIZES = {"/s": 13, "/m": 64 * 1024, "/l": 1024 * 1024}


class BenchError(Exception):
    """The bench cannot go on; the text says why, for the person who started it."""


def build(name: str, *libraries: str) -> Path:
    """Compiles benchmarks/load/NAME.c into build/bench/NAME unless that is newer than its sources."""
    source, out = LOAD / f"{name}.c", BUILD / name
    newest = max(source.stat().st_mtime, (LOAD / "net.h").stat().st_mtime)
    if not out.exists() or out.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        fresh = out.with_suffix(".new")
        subprocess.run(["gcc", *CFLAGS, "-o", str(fresh), str(source), *libraries], check=True)
        fresh.rename(out)
    return out


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago and that no outgoing connection will take."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(max(low - 12_000, 1024), low)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchError("no free port on 127.0.0.1")


def raise_files() -> int:
    """Raises this process's (and so its children's) limit of open files to the hard one. Returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def pinned(core: int | None, argv: Sequence[str]) -> list[str]:
    """`argv` on one core, or anywhere for None."""
    return list(argv) if core is None else ["taskset", "-c", str(core), *argv]


def stop(process: subprocess.Popen[bytes], patience: float = 10.0) -> int:
    """Ends a process: TERM, and KILL when it has not obeyed within `patience` seconds. Returns its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextmanager
def listening(argv: Sequence[str], core: int | None = None) -> Iterator[int]:
    """A running program of ours that was told port 0 and prints `listening PORT`; yields that port."""
    process = subprocess.Popen(pinned(core, argv), stdout=subprocess.PIPE)
    try:
        assert process.stdout
        word, _, port = process.stdout.readline().decode().partition(" ")
        if word != "listening":
            raise BenchError(f"{argv[0]} does not listen")
        yield int(port)
    finally:
        stop(process)
        if process.stdout:
            process.stdout.close()


@contextmanager
def origin(core: int | None = None) -> Iterator[int]:
    """A running origin; yields its port."""
    with listening([str(build("origin")), "0"], core) as port:
        yield port


@functools.cache
def certificate() -> dict[str, Path]:
    """Files of a fresh ECDSA certificate for localhost that nobody signed: `cert`, `key`, and `pem` with both."""
    folder = BUILD / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.pem" for name in ("cert", "key", "pem")}
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    argv += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    run = subprocess.run(
        [*argv, "-keyout", str(files["key"]), "-out", str(files["cert"])], capture_output=True, text=True
    )
    if run.returncode:
        raise BenchError(f"openssl made no certificate: {run.stderr.strip()}")
    files["pem"].write_text(files["cert"].read_text() + files["key"].read_text())
    return files


def fetch(port: int, path: str, scheme: str = "http") -> bytes:
    """The body that 127.0.0.1:port answers for `path`. Raises OSError when it does not answer 200 with a body."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anyone))
    with opener.open(f"{scheme}://127.0.0.1:{port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
    return body


def wait_until_served(port: int, process: subprocess.Popen[bytes], seconds: float = 20.0, scheme: str = "http") -> None:
    """Returns when `process` answers on `port` with the origin's bodies. Raises BenchError when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            wrong = [p for p, size in SIZES.items() if len(fetch(port, p, scheme)) != size]
            if wrong:
                raise BenchError(f"port {port} answers {wrong[0]} with a body of the wrong size")
            return
        except (OSError, urllib.error.URLError) as e:
            if process.poll() is not None:
                raise BenchError(f"{process.args!r} ended with code {process.returncode}") from e
            if time.monotonic() > deadline:
                raise BenchError(f"{process.args!r} does not serve: {e}") from e
            time.sleep(0.05)


def wrk(
    port: int, path: str, seconds: float, connections: int, core: int | None, scheme: str = "http"
) -> dict[str, Any]:
    """One run of wrk with one thread. Returns report.lua's fields; `duration_us` is what wrk itself measured."""
    if not shutil.which("wrk"):
        raise BenchError("wrk is not installed (Debian: apt-get install wrk)")
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "-s", str(LOAD / "report.lua")]
    argv.append(f"{scheme}://127.0.0.1:{port}{path}")
    run = subprocess.run(pinned(core, argv), capture_output=True, text=True, timeout=seconds + 60)
    if run.returncode:
        raise BenchError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
    report: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return report


DONE = re.compile(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", re.M)
CODES = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.M)
TRAFFIC = re.compile(r"^traffic: .*\((\d+)\) total", re.M)
FINISHED = re.compile(r"^finished in ([\d.]+)(us|ms|s|m)", re.M)
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


def h2load_report(said: str) -> dict[str, Any]:
    """What h2load printed, in the fields of report.lua; it tells no percentiles. Raises BenchError for other text."""
    done, codes, traffic, finished = (p.search(said) for p in (DONE, CODES, TRAFFIC, FINISHED))
    if not (done and codes and traffic and finished):
        raise BenchError(f"h2load printed no summary: {said.strip()[-300:]}")
    status = sum(int(codes[i]) for i in (2, 3, 4))
    errors = {"failed": int(done[3]), "errored": int(done[4]), "timeout": int(done[5]), "status": status}
    duration = float(finished[1]) * UNITS[finished[2]]
    return {"requests": int(done[1]), "duration_us": duration, "bytes": int(traffic[1]), "errors": errors}


def h2load(port: int, path: str, seconds: float, clients: int, streams: int, core: int | None) -> dict[str, Any]:
    """One run of h2load with one thread over TLS. Returns h2load_report()'s fields."""
    if not shutil.which("h2load"):
        raise BenchError("h2load is not installed (Debian: apt-get install nghttp2-client)")
    argv = ["h2load", f"-D{max(round(seconds), 1)}", f"-c{clients}", f"-m{streams}", f"https://127.0.0.1:{port}{path}"]
    run = subprocess.run(pinned(core, argv), capture_output=True, text=True, timeout=seconds + 60)
    if run.returncode:
        raise BenchError(f"h2load failed: {run.stderr.strip() or run.stdout.strip()}")
    if "Application protocol: h2" not in run.stdout:
        raise BenchError("HTTP/2 was not agreed")
    return h2load_report(run.stdout)


def handshakes(port: int, path: str, seconds: float, dials: int, resume: bool, core: int | None) -> dict[str, Any]:
    """Connections over TLS with one request each, `dials` at once; with `resume` each but the first by a ticket."""
    argv = [str(build("handshakes", "-lssl", "-lcrypto")), str(port), path, str(max(round(seconds), 1)), str(dials)]
    argv.append("resume" if resume else "full")
    run = subprocess.run(pinned(core, argv), capture_output=True, text=True, timeout=seconds + 60)
    if run.returncode:
        raise BenchError(f"handshakes failed: {run.stderr.strip()}")
    report: dict[str, Any] = json.loads(run.stdout)
    return report
