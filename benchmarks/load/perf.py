"""Counts waiting calls of processes at full speed, by the kernel's tracepoints, where perf may.

While it counts, every system call on the machine is a little dearer, so CPU time is never measured in the same run.
"""

from __future__ import annotations

import functools
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

CALLS = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "timerfd_settime"]
WAITS = set(CALLS) - {"timerfd_settime"}
EVENTS = ",".join(f"syscalls:sys_enter_{name}" for name in CALLS)


@functools.cache
def available() -> bool:
    """Whether perf is here and may count these calls."""
    return bool(shutil.which("perf")) and not subprocess.run(
        ["perf", "stat", "-e", EVENTS, "true"], capture_output=True
    ).returncode


def parse(text: str) -> dict[str, int]:
    """Counts by call from `perf stat -x ,`: lines `count,unit,event,…`. Calls that were never made are left out."""
    counts = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].isdigit() and int(fields[0]):
            counts[fields[2].removeprefix("syscalls:sys_enter_")] = int(fields[0])
    return counts


@contextmanager
def counting(pids: Sequence[int]) -> Iterator[dict[str, int]]:
    """Counts within the block; the dict is filled when it ends, and stays empty where perf may not count."""
    counts: dict[str, int] = {}
    if not available():
        yield counts
        return
    argv = ["perf", "stat", "-x", ",", "-e", EVENTS, "-p", ",".join(map(str, pids))]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)  # perf does not say when it has begun
        yield counts
    finally:
        process.send_signal(signal.SIGINT)
        counts |= parse(process.communicate(timeout=60)[1])
