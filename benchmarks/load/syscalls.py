"""Counts the system calls that a worker makes for a fixed number of keep-alive requests.

    python -m benchmarks.load.syscalls [--requests N] [--peer NAME | --fastgw-bin CMD | --pid PID --address ADDR]

strace sees every call with the kind of its descriptor, but slows the worker, so that a wake-up finds more work than it
would; where perf may count tracepoints, a second pass takes the waiting calls at full speed too. Connections are opened
and warmed before, and closed after, the counted part. Exit code 1: a gate was missed; 3: the count could not be made.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.load import perf, proc, target, tools

CALL = re.compile(r"^(?:\d+\s+)?(\w+)\((?:-?\d+<([^>]*)>)?")
CATEGORY = {
    "socket": "recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg accept accept4 connect socket shutdown splice "
    "sendfile getsockopt setsockopt getsockname getpeername",
    "epoll_ctl": "epoll_ctl",
    "wait": "epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6",
    "timer": "timerfd_settime timerfd_gettime timer_settime setitimer clock_gettime gettimeofday clock_nanosleep",
    "memory": "mmap munmap mremap brk madvise mprotect",
}
BY_NAME = {name: category for category, names in CATEGORY.items() for name in names.split()}
BY_KIND = {"anon_inode:[timerfd]": "timer", "anon_inode:[eventfd]": "eventfd"}
BY_DESCRIPTOR = {"read", "readv", "write", "writev", "close", "fcntl", "ioctl"}
GATES = [("socket", ("socket",), 4.0), ("epoll_ctl", ("epoll_ctl",), 0.0), ("wait and timer", ("wait", "timer"), 0.2)]
SLACK = 0.005  # housekeeping by the clock (a timer that fires, an idle conn that is closed) is not a cost of requests


def categorise(name: str, kind: str | None) -> str:
    """The category of a call on a descriptor of `kind`, in strace -y's words (`socket:[1]`, `anon_inode:[timerfd]`)."""
    if name not in BY_DESCRIPTOR:
        return BY_NAME.get(name, "other")
    if kind and kind.startswith("socket:"):
        return "socket"
    return BY_KIND.get(kind or "", "file")


def count(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """(calls by name, calls by category) of strace's output. A call that was interrupted and resumed counts once."""
    names: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    for line in lines:
        if match := CALL.match(line):  # not `<... read resumed>`
            names[match[1]] += 1
            categories[categorise(match[1], match[2])] += 1
    return names, categories


def per_request(counts: Counter[str], requests: int) -> dict[str, float]:
    """Each count over the requests, the most frequent first."""
    return {name: n / requests for name, n in counts.most_common()}


def judge(rates: dict[str, float]) -> list[dict[str, Any]]:
    """The gates on calls per request."""
    told = []
    for name, categories, bound in GATES:
        seen = sum(rates.get(c, 0.0) for c in categories)
        verdict = "met" if seen <= bound + SLACK else "missed"
        told.append({"name": f"{name} calls a request", "bound": bound, "seen": seen, "verdict": verdict})
    return told


def wait_traced(pid: int, tracer: subprocess.Popen[str]) -> None:
    """Returns when every thread of `pid` is traced."""
    deadline = time.monotonic() + 15
    while True:
        threads = list((proc.PROC / str(pid) / "task").iterdir())
        if all(proc.status_number(proc.read(pid, f"task/{t.name}/status"), "TracerPid") for t in threads):
            return
        if tracer.poll() is not None or time.monotonic() > deadline:
            tracer.kill()
            raise tools.BenchError(f"strace cannot attach: {tracer.communicate()[1].strip()}")
        time.sleep(0.02)


def interrupt(tracer: subprocess.Popen[str]) -> str:
    """Lets a tracer detach and finish. Returns what it said on stderr."""
    tracer.send_signal(signal.SIGINT)
    return tracer.communicate(timeout=60)[1]


def strace_pass(goal: target.Target, requests: int, connections: int, out: Path) -> tuple[Counter[str], Counter[str]]:
    """Counts every call of the worker with strace."""
    if not shutil.which("strace"):
        raise tools.BenchError("strace is not installed (Debian: apt-get install strace)")
    argv = ["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(out), "-p", str(goal.pid)]
    with target.Fixed(goal.port, "/s", requests, connections) as load:
        load.ready()
        tracer = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        try:
            wait_traced(goal.pid, tracer)
            load.go()
            load.done()
        finally:
            if tracer.poll() is None:
                interrupt(tracer)
        load.close()
    with out.open(errors="replace") as lines:
        return count(lines)


def perf_pass(goal: target.Target, requests: int, connections: int) -> dict[str, float] | None:
    """Waiting calls a request without a tracer in the way; None where perf may not count them."""
    with target.Fixed(goal.port, "/s", requests, connections) as load:
        load.ready()
        with perf.counting([goal.pid]) as counts:
            load.go()
            load.done()
        load.close()
    return {name: n / requests for name, n in counts.items()} or None


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both passes, as the JSON document that render.py reads."""
    tools.BUILD.mkdir(parents=True, exist_ok=True)
    with target.opened(options) as goal:
        trace = tools.BUILD / f"strace-{goal.pid}.txt"
        names, categories = strace_pass(goal, options.requests, options.connections, trace)
        trace.unlink()
        full_speed = perf_pass(goal, options.requests * 5, options.connections)
        title = goal.title
    rates = per_request(categories, options.requests)
    return {
        "schema": 1,
        "kind": "syscalls",
        "machine": machine.facts(),
        "target": title,
        "requests": options.requests,
        "connections": options.connections,
        "per_request": rates,
        "by_name": per_request(names, options.requests),
        "waits_at_full_speed": full_speed,
        "gates": judge(rates),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Counts, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.syscalls", description="System calls per request.")
    target.add_arguments(parser, "syscalls.json")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args(argv)
    tools.raise_files()
    try:
        document = measure(options)
    except (tools.BenchError, proc.Gone) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 3
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for gate in document["gates"]:
        print(f"{gate['verdict']:>8}  {gate['name']}: {gate['seen']:.3f}, at most {gate['bound']:g}")
    return 1 if any(g["verdict"] == "missed" for g in document["gates"]) else 0


if __name__ == "__main__":
    sys.exit(main())
