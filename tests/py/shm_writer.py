"""Writes into shared memory as a worker does: with the engine's own functions."""

import ctypes
import mmap
from pathlib import Path

import fastgw._shm
from fastgw._grpc import CODES
from fastgw._shm import STATS_SLOTS, Shm
from fastgw._tls import WORDS

engine = ctypes.CDLL(str(Path(fastgw._shm.__file__).with_name("_libfgw.so")))
engine.fgw_shm_log.restype = engine.fgw_shm_error_log.restype = engine.fgw_ring_room.restype = ctypes.c_void_p


def put(shm: Shm, column: int, line: bytes, log: str = "access") -> bool:
    """Write a line as that column's worker does. False: its ring is full."""
    find = engine.fgw_shm_log if log == "access" else engine.fgw_shm_error_log
    ring = ctypes.c_void_p(find(ctypes.c_void_p(shm.address), column))
    room = engine.fgw_ring_room(ring, len(line))
    if not room:
        return False
    ctypes.memmove(room, line, len(line))
    engine.fgw_ring_commit(ring, len(line))
    return True


def request(shm: Shm, column: int, slot: int, status: int, us: int, in_: int = 0, out: int = 0) -> None:
    """Count a finished request."""
    engine.fgw_stats_request(*map(ctypes.c_uint64, (cell(shm, column, slot), status, us, in_, out)))


FIELDS = ("retries", "upstream_failures", "gateway_errors", "step_errors", "connects", "connect_failures", "in_flight")


def cell(shm: Shm, column: int, slot: int) -> int:
    """A cell's address. They begin behind the header's page, 320 bytes each, STATS_SLOTS a column."""
    return shm.address + mmap.PAGESIZE + (column * STATS_SLOTS + slot) * 320


def count(shm: Shm, column: int, slot: int, field: str, value: int) -> None:
    """Set one of FIELDS, which come behind 29 others (core/stats.h)."""
    ctypes.c_uint64.from_address(cell(shm, column, slot) + 8 * (29 + FIELDS.index(field))).value = value


def handshakes(shm: Shm, column: int, slot: int, field: str, value: int) -> None:
    """Set a counter of a TLS listener: handshakes, resumed, or a word of failure (core/stats.h)."""
    at = ("handshakes", "resumed", *WORDS).index(field)
    ctypes.c_uint64.from_address(cell(shm, column, slot) + 8 * at).value = value


def called(shm: Shm, column: int, slot: int, code: str, value: int) -> None:
    """Set how many calls of a route ended so (core/stats.h)."""
    ctypes.c_uint64.from_address(cell(shm, column, slot) + 8 * CODES.index(code)).value = value
