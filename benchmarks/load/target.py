"""What syscalls.py and idle.py look at: a worker that they start behind an origin of ours, or one that already runs."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare import peers
from benchmarks.load import proc, tools

PROXY_CORE, LOAD_CORE = 0, 1
RESULTS = tools.ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Target:
    """One worker process that serves on 127.0.0.1:port."""

    title: str
    pid: int
    port: int


def gate(name: str, bound: float, seen: float) -> dict[str, Any]:
    """A bound, what was seen, and whether it holds."""
    return {"name": name, "bound": bound, "seen": seen, "verdict": "met" if seen <= bound else "missed"}


def publish(document: dict[str, Any], out: Path) -> int:
    """Writes the JSON, prints its gates. Returns the exit code: 1 when one of them was missed."""
    out.write_text(json.dumps(document, indent=1) + "\n")
    for g in document["gates"]:
        print(f"{g['verdict']:>8}  {g['name']}: {g['seen']:.1f}, at most {g['bound']}")
    return 1 if any(g["verdict"] == "missed" for g in document["gates"]) else 0


def add_arguments(parser: argparse.ArgumentParser, result: str) -> None:
    """The options that choose a target and where the JSON goes."""
    parser.add_argument("--pid", type=int, help="a running worker, instead of starting one (needs --address)")
    parser.add_argument("--address", metavar="127.0.0.1:PORT", help="where that worker serves an origin's /s")
    parser.add_argument("--peer", choices=peers.ORDER, default="fastgw", help="which proxy to start")
    parser.add_argument("--fastgw-bin", metavar="CMD", help="play fastgw by CMD LISTEN_PORT UPSTREAM_PORT")
    parser.add_argument("--out", type=Path, default=RESULTS / result, help="the JSON's path")


def port_of(address: str) -> int:
    """The port of `127.0.0.1:PORT`. Raises BenchError for another host or no number."""
    host, _, port = address.rpartition(":")
    if host not in ("127.0.0.1", "localhost", "") or not port.isdigit():
        raise tools.BenchError(f"{address}: expected 127.0.0.1:PORT")
    return int(port)


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Target]:
    """The target that the options name; what was started for it ends with the block."""
    if (options.pid is None) != (options.address is None):
        raise tools.BenchError("--pid and --address go together")
    if options.pid is not None:
        yield Target(proc.command(options.pid) or str(options.pid), options.pid, port_of(options.address))
        return
    found, absent = peers.available([options.peer], options.fastgw_bin)
    if not found:
        raise tools.BenchError(absent[options.peer])
    with tools.origin(LOAD_CORE) as origin, peers.Running(found[0], origin, core=PROXY_CORE, tag="target") as running:
        workers = running.workers()
        if len(workers) != 1:
            raise tools.BenchError(f"{found[0].title} has {len(workers)} workers, not one")
        yield Target(found[0].title, workers[0], running.port)


class Fixed:
    """A running `fixed`: `ready()`, `go()`, `done()`, `close()`, in this order; fixed.c says what happens when."""

    def __init__(self, port: int, path: str, requests: int, connections: int, close: bool = False) -> None:
        argv = [str(tools.build("fixed")), str(port), path, str(requests), str(connections)]
        argv = tools.pinned(LOAD_CORE, [*argv, "close"] if close else argv)
        pipe = subprocess.PIPE
        self.process: Any = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def _line(self, word: str) -> str:
        line: str = self.process.stdout.readline()
        if not line.startswith(word):
            raise tools.BenchError(f"fixed ended early: {self.process.stderr.read().strip()}")
        return line

    def ready(self) -> None:
        """Returns when the connections are open and warm."""
        self._line("ready")

    def go(self) -> None:
        """Lets the requests be sent."""
        print(file=self.process.stdin, flush=True)

    def done(self) -> float:
        """Returns when all are answered: the seconds they took. The connections stay open until close()."""
        return float(self._line("done").split()[1])

    def close(self) -> None:
        """Ends the program and with it the connections."""
        self.process.stdin.close()
        if self.process.wait(30):
            raise tools.BenchError(f"fixed failed: {self.process.stderr.read().strip()}")

    def __enter__(self) -> Fixed:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
