"""Logs that cannot be written: requests are served, lines are dropped and counted, nothing waits."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import load
from .supervised import Gateway, gateway, get, until
from .test_supervisor import CONFIG


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def to(place: Path | str) -> str:
    return CONFIG + f"log: {{access: {{to: {place}}}}}\n"


def served(gw: Gateway, requests: int) -> None:
    """So many by kept and fresh clients, and none fails."""
    with load(gw.address()) as clients:
        until(lambda: clients.good >= requests or clients.bad, "requests served")
    assert clients.bad == [] and clients.closed == 0


def dropped(gw: Gateway) -> int:
    status = gw.status()
    return status["logs"]["access"]["dropped"] + status["log_lines_lost"]["access"]


def test_a_full_disk(gw: Gateway) -> None:
    gw.start(to("/dev/full")).ready()
    served(gw, 2_000)
    until(lambda: dropped(gw) >= 2_000, "every line counted as lost")
    metrics = gw.admin("/metrics")[1]
    assert 'fgw_log_dropped_total{log="access",where="output"} ' in metrics
    assert 'fgw_log_errors_total{log="access"} 0' not in metrics


def test_a_reader_that_stops(gw: Gateway) -> None:
    fifo = gw.folder / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        gw.start(to(fifo)).ready()
        with load(gw.address(), "/hello?" + "x" * 4000) as clients:
            until(lambda: dropped(gw) > 0 or clients.bad, "lines without room")
            more = clients.good + 1_000
            until(lambda: clients.good > more or clients.bad, "served all the same")
            assert gw.admin("/readyz")[0] == 200, "the supervisor waits for nobody either"
            os.set_blocking(reader, True)
            lines = bytearray()
            going = threading.Event()

            def read() -> None:
                while not going.is_set() and (data := os.read(reader, 1 << 20)):
                    lines.extend(data)

            thread = threading.Thread(target=read, daemon=True)
            thread.start()
            until(lambda: len(lines) > 1 << 20, "lines again once somebody reads")
        going.set()
        assert clients.bad == [] and clients.closed == 0
        assert gw.stop() == 0
        thread.join(30)
    finally:
        os.close(reader)
    whole = [row for row in bytes(lines).split(b"\n")[1:-1] if row]
    assert whole and all(row.startswith(b'{"time":') and row.endswith(b"}") for row in whole), "no line is torn"


def test_rotation_and_a_folder_that_is_gone(gw: Gateway) -> None:
    folder = gw.folder / "logs"
    folder.mkdir()
    log = folder / "access.log"
    gw.start(to(log)).ready()
    served(gw, 100)
    until(lambda: log.exists() and log.stat().st_size > 0, "lines")
    # The whole folder is moved away, and USR1 finds none to write to: the old file is better than nothing.
    old = folder.rename(gw.folder / "old") / "access.log"
    gw.send(signal.SIGUSR1)
    gw.line("logs reopened")
    size = old.stat().st_size
    served(gw, 100)
    until(lambda: old.stat().st_size > size, "lines in the old file")
    # Deleted: what is written now nobody could ever read, so it is counted as lost.
    shutil.rmtree(gw.folder / "old")

    def lost() -> bool:
        before = dropped(gw)
        served(gw, 50)
        return dropped(gw) > before

    until(lost, "lines counted as lost")
    assert not folder.exists()
    # It is tried again by itself.
    folder.mkdir()

    def written() -> bool:
        assert get(gw.address(), "/hello")[0] == 200
        return log.exists() and log.stat().st_size > 0

    until(written, "a new file")


def test_rotation_under_load_loses_no_line(gw: Gateway) -> None:
    log = gw.folder / "access.log"
    gw.start(to(log)).ready()
    with load(gw.address()) as clients:
        for number in range(5):
            more = clients.good + 200
            until(lambda more=more: clients.good > more or clients.bad, "requests")
            log.rename(gw.folder / f"access.log.{number}")
            gw.send(signal.SIGUSR1)
            until(log.exists, "the new file")
    assert clients.bad == []
    assert gw.stop() == 0
    files = [log, *gw.folder.glob("access.log.?")]
    assert sum(len(file.read_text().splitlines()) for file in files) == clients.good

