"""fastgw._shm: the memory, tables, segments and the drain as Python sees them."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from fastgw._shm import BOUNDS_US, GAUGES, STATS_SLOTS, WORKERS_MAX, LogDrain, Shm, ShmError, eptable_size, seg_memfd
from tests.py.shm_writer import put, request


@pytest.fixture
def shm() -> Iterator[Shm]:
    made = Shm.create(3, 1 << 20)
    for column in range(3):
        made.set_epoch(column, column + 1)
    yield made


def wait_for(happened: Callable[[], object]) -> None:
    end = monotonic() + 20
    while not happened():
        assert monotonic() < end, "it did not happen"
        sleep(0.002)


# -- the memory
def test_a_worker_sees_what_the_supervisor_made(shm: Shm) -> None:
    worker = Shm.map(shm.fd)
    assert (worker.workers, worker.size, worker.heap, worker.used) == (3, shm.size, shm.heap, 3)
    assert worker.address not in (0, shm.address) and worker.fd != shm.fd
    worker.set_epoch(1, 77)
    assert shm.gauges(1)["epoch"] == 77


def test_columns_come_into_use_one_by_one() -> None:
    shm = Shm.create(WORKERS_MAX, 0)
    assert shm.used == 1
    shm.set_epoch(4, 1)
    assert shm.used == 5
    assert put(shm, 4, b"x\n") and not put(shm, 5, b"x\n")
    assert os.fstat(shm.fd).st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("workers", [0, WORKERS_MAX + 1])
def test_bad_numbers_of_columns_are_refused(workers: int) -> None:
    with pytest.raises(OSError) as caught:
        Shm.create(workers)
    assert caught.value.errno == errno.EINVAL


def test_a_foreign_descriptor_is_refused() -> None:
    with Path("/dev/null").open() as file, pytest.raises(ShmError, match="not a memfd"):
        Shm.map(file.fileno())
    fd = seg_memfd("no shared memory", bytes(8192))
    with pytest.raises(ShmError):
        Shm.map(fd)
    os.close(fd)


def test_gauges_are_zeroed_by_column(shm: Shm) -> None:
    assert list(shm.gauges(0)) == list(GAUGES)
    shm.set_epoch(0, 9)
    shm.zero_gauges(0)
    assert shm.gauges(0)["epoch"] == 9
    for column in (3, 2**32 - 1):
        with pytest.raises(IndexError):
            shm.gauges(column)
        with pytest.raises(IndexError):
            shm.set_epoch(column, 1)
        with pytest.raises(IndexError):
            shm.zero_gauges(column)


def test_totals_sum_over_columns(shm: Shm) -> None:
    request(shm, 0, 5, 200, 900, 1, 2)
    request(shm, 2, 5, 503, 11_000_000, 3, 4)
    totals = shm.totals(5)
    assert totals["by_class"] == [0, 0, 1, 0, 0, 1]
    assert (totals["bytes_in"], totals["bytes_out"], totals["sum_us"]) == (4, 6, 11_000_900)
    assert len(totals["bucket"]) == len(BOUNDS_US) + 1
    assert [i for i, n in enumerate(totals["bucket"]) if n] == [BOUNDS_US.index(1000), len(BOUNDS_US)]
    assert not any(shm.totals(6)["bucket"])
    shm.clear(5)
    assert not any(shm.totals(5)["bucket"])
    with pytest.raises(IndexError):
        shm.totals(STATS_SLOTS)


# -- endpoint tables
ROWS = [
    (0, 1, 10, True, bytes(range(16)), "127.0.0.1:9001"),
    (7, 3, 0, False, socket.AF_UNIX.to_bytes(2, "little") + b"/run/\xff.sock\0", "unix:/run/x.sock"),
]


def test_a_table_is_read_as_published(shm: Shm) -> None:
    shm.init(shm.heap, 2)
    assert shm.endpoints(shm.heap) == []
    shm.publish(shm.heap, ROWS)
    assert shm.endpoints(shm.heap) == ROWS
    assert Shm.map(shm.fd).endpoints(shm.heap) == ROWS
    shm.publish(shm.heap, [])
    assert shm.endpoints(shm.heap) == []


def test_a_refused_publication_changes_nothing(shm: Shm) -> None:
    shm.init(shm.heap, 2)
    shm.publish(shm.heap, ROWS[:1])
    for bad in ([*ROWS, ROWS[0]], [(0, 1, 1, True, bytes(113), "x")], [(0, 1, 1, True)], [(-1, 1, 1, True, b"", "x")]):
        with pytest.raises((ValueError, OverflowError)):
            shm.publish(shm.heap, bad)
    assert shm.endpoints(shm.heap) == ROWS[:1]


def test_long_names_are_cut(shm: Shm) -> None:
    shm.init(shm.heap, 1)
    shm.publish(shm.heap, [(0, 1, 1, True, b"a", "n" * 200)])
    assert shm.endpoints(shm.heap)[0][5] == "n" * 79


def test_tables_lie_in_the_heap(shm: Shm) -> None:
    last = (shm.size - eptable_size(4)) // 8 * 8
    shm.init(last, 4)
    for offset, cap in ((0, 1), (shm.heap - 8, 1), (shm.heap + 4, 1), (last + 8, 4), (shm.size, 1), (2**63, 1)):
        with pytest.raises(ValueError):
            shm.init(offset, cap)
        with pytest.raises(ValueError):
            shm.publish(offset if cap == 1 else shm.size - 8 * cap, [ROWS[0]] * 50)
    with pytest.raises(ValueError):
        shm.init(shm.heap, 2**32 - 1)


# -- segments
@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 100])
def test_a_segment_is_sealed(data: bytes) -> None:
    fd = seg_memfd("a segment", memoryview(data))
    assert os.pread(fd, len(data) + 1, 0) == data
    with pytest.raises(PermissionError):
        os.write(fd, b"y")
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 5)
    seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    assert seals & fcntl.F_SEAL_SEAL and seals & fcntl.F_SEAL_WRITE
    os.close(fd)


# -- the drain
def test_lines_go_to_their_logs(shm: Shm, tmp_path: Path) -> None:
    drain = LogDrain(shm, tmp_path / "access", str(tmp_path / "error"))
    assert put(shm, 0, b"one\n") and put(shm, 2, b"two\n") and put(shm, 1, b"bad\n", "error")
    drain.say(b"said\n")
    assert drain.stop() == (0, 0)
    assert sorted((tmp_path / "access").read_bytes().split()) == [b"one", b"two"]
    assert sorted((tmp_path / "error").read_bytes().split()) == [b"bad", b"said"]
    with pytest.raises(ValueError):
        drain.stop()
    with pytest.raises(ValueError):
        drain.say(b"late\n")


def test_rotation(shm: Shm, tmp_path: Path) -> None:
    drain = LogDrain(shm, tmp_path / "access")
    put(shm, 0, b"before\n")
    wait_for(lambda: drain.counters("access")["bytes"] == 7)
    (tmp_path / "access").rename(tmp_path / "access.1")
    drain.reopen()
    wait_for(lambda: drain.counters("access")["opens"] == 2)
    put(shm, 0, b"after\n")
    drain.stop()
    assert (tmp_path / "access.1").read_bytes() == b"before\n"
    assert (tmp_path / "access").read_bytes() == b"after\n"


def test_a_full_disk_drops_and_counts(shm: Shm) -> None:
    drain = LogDrain(shm, "/dev/full")
    put(shm, 0, b"lost\nlost too\n")
    wait_for(lambda: drain.counters("access")["dropped"] == 2)
    assert drain.counters("access")["last_errno"] == errno.ENOSPC
    assert drain.counters("error") == {"bytes": 0, "dropped": 0, "errors": 0, "opens": 0, "last_errno": 0}
    assert drain.stop() == (2, 0)


def test_a_stopped_reader_holds_nobody_up(shm: Shm) -> None:
    ours, theirs = os.pipe()
    drain = LogDrain(shm, theirs)
    assert os.get_blocking(theirs), "its flags are shared with others, and left alone"
    wait_for(lambda: not all(put(shm, 0, b"x" * 999 + b"\n") for _ in range(2000)))
    assert shm.ring_losses() == {"access": 1, "error": 0, "broken": 0}
    dropped = drain.stop(20)
    assert dropped[0] > 900 and dropped[1] == 0
    os.close(ours)
    os.close(theirs)


def test_another_place(shm: Shm, tmp_path: Path) -> None:
    drain = LogDrain(shm)
    put(shm, 0, b"to nobody\n")
    drain.direct("error", tmp_path / "error")
    wait_for(lambda: drain.counters("error")["opens"] == 1)
    put(shm, 1, b"here\n", "error")
    with pytest.raises(OSError):
        drain.direct("access", 12345)
    with pytest.raises(KeyError):
        drain.direct("other", None)
    with pytest.raises(ValueError):
        drain.direct("access", "")
    assert drain.stop() == (0, 0)
    assert (tmp_path / "error").read_bytes() == b"here\n"


def test_a_drain_forgotten_is_stopped(shm: Shm, tmp_path: Path) -> None:
    drain = LogDrain(shm, tmp_path / "access")
    put(shm, 0, b"last words\n")
    del drain
    assert (tmp_path / "access").read_bytes() == b"last words\n"
