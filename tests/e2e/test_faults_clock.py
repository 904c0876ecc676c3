"""The system's clock is set while requests are served. libfaketime lies to the whole gateway about the wall clock only.

It would also move absolute timers, whatever clock they go by, which no kernel does (timerfd_create(2): a monotonic
clock is not affected by changes of the system's time). So a library before it hands those to the kernel as they are.
"""

import email.utils
import glob
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import Load, answer, dial, load
from .peers import keep, origin, rows
from .supervised import Gateway, gateway, get, until
from .test_faults import config

LIBRARIES = [*glob.glob("/usr/lib/*/faketime/libfaketime.so.1"), *glob.glob("/usr/lib*/faketime/libfaketime.so.1")]
DAY = 86_400


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


TRUE_TIMERS = """
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
}
"""


def true_timers(folder: Path) -> str:
    source, library = folder / "timers.c", folder / "timers.so"
    source.write_text(TRUE_TIMERS)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


class Clock:
    """The gateway's wall clock: `env` for its start, `set` at any time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)
        self.env = {
            "LD_PRELOAD": f"{true_timers(folder)}:{LIBRARIES[0]}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # timers and the kernel's own waits go by this one
            "DONT_FAKE_MONOTONIC": "1",  # its name before 0.9.8
            "NO_FAKE_STAT": "1",
        }

    def set(self, days: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{days:+d}d\n")
        new.replace(self._file)  # it is read all the time


def date_of(gw: Gateway) -> float:
    """What the gateway takes the time for, from an answer of its own."""
    with dial(gw.address()) as sock:
        sock.sendall(b"GET /own HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        head = answer(sock)[1].decode()
    [text] = [row[6:] for row in head.split("\r\n") if row.lower().startswith("date: ")]
    return email.utils.parsedate_to_datetime(text).timestamp()


def served(clients: Load, more: int) -> None:
    target = clients.good + more
    until(lambda: clients.good >= target or clients.bad, "requests served")


@pytest.mark.parametrize("days", [1, -2])
def test_a_clock_that_jumps_fails_no_request_and_moves_no_timer(gw: Gateway, days: int) -> None:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    clock, log = Clock(gw.folder), gw.folder / "access.log"
    with origin(keep()) as up:
        own = "  own: {match: {exact: /own}, to: {static: {}}}\n"
        text = config(log, up.address).replace("routes:\n", f"routes:\n{own}")
        gw.start(text, env=clock.env).ready()
        assert abs(date_of(gw) - time.time()) < DAY / 2
        with load(gw.address(), "/") as clients:
            served(clients, 50)
            clock.set(days)
            until(lambda: abs(date_of(gw) - time.time() - days * DAY) < DAY / 2, "the new time in Date")
            served(clients, 200)
            assert gw.admin("/readyz")[0] == 200
            clock.set(0)
            until(lambda: abs(date_of(gw) - time.time()) < DAY / 2, "the old time in Date")
            served(clients, 200)
        assert clients.bad == [] and clients.closed == 0
        times = [row["duration_ms"] for row in rows(log, 1)]
        assert min(times) >= 0 and max(times) < 60_000, "durations go by the other clock"
        assert not gw.lines("worker ended")


@pytest.mark.parametrize("days", [1, -2])
def test_a_timer_that_runs_while_the_clock_jumps_fires_in_its_time(gw: Gateway, days: int) -> None:
    if not LIBRARIES:
        pytest.skip("libfaketime is not installed")
    clock, log = Clock(gw.folder), gw.folder / "access.log"
    with origin(lambda sock, head: sock.recv(1)) as up:  # type: ignore[arg-type,return-value]
        gw.start(config(log, up.address).replace("300ms, connect", "2s, connect"), env=clock.env).ready()
        with dial(gw.address()) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            until(lambda: up.heads, "the request at its upstream")
            clock.set(days)
            assert get(gw.address(), "/none")[0] == 504
            assert answer(sock)[0] == 504
        for row in rows(log, 2):
            assert row["reason"] == "first_byte_timeout"
            assert 1_900 <= row["duration_ms"] < 20_000
