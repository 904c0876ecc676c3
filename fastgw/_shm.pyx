# cython: language_level=3
"""The shared memory of a gateway (io/shm.h, core/stats.h, upstream/endpoint.h), and the thread that drains its logs
(io/drain.h).

    Shm        header · counters by slot and column · gauges by column · log rings · endpoint tables at offsets
    LogDrain   rings ──► access and error log

Owner: the supervisor creates the memory, gives out slots and offsets (fastgw.control.slots) and publishes; workers map.
"""

import os

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastgw._c cimport drain as d, endpoint as e
from fastgw._c cimport shm as c, stats as s

from fastgw.errors import FastgwError

WORKERS_MAX = c.FGW_SHM_WORKERS
STATS_SLOTS = c.FGW_SHM_STATS
BOUNDS_US = tuple([s.fgw_stats_bounds()[i] for i in range(s.FGW_STATS_BUCKETS - 1)])
GAUGES = ("connections", "requests", "upstream_connections", "upstream_idle", "tunnels", "parked", "accepted",
          "refused", "turns", "events", "blocks_bytes", "live_exchanges", "log_dropped", "heartbeat_ms", "epoch")
HEAP_DEFAULT = 1 << 34
LOGS = {"access": d.FGW_DRAIN_ACCESS, "error": d.FGW_DRAIN_ERROR}


class ShmError(FastgwError):
    """A descriptor that is no shared memory of this layout."""


cdef object os_error():
    return OSError(errno, os.strerror(errno))


def eptable_size(uint32_t cap) -> int:
    """Bytes that an endpoint table with room for `cap` takes."""
    return e.fgw_eptable_size(cap)


def seg_memfd(str name not None, const uint8_t[::1] data not None) -> int:
    """A memfd with these bytes, sealed against every change; the caller closes it. OSError."""
    cdef bytes named = name.encode()
    cdef int fd
    cdef const char *text = named
    cdef const void *bytes_ = &data[0] if data.shape[0] else NULL
    cdef size_t n = data.shape[0]
    with nogil:
        fd = c.fgw_seg_memfd(text, bytes_, n)
    if fd < 0:
        raise os_error()
    return fd


cdef class Shm:
    """A mapping of `size` bytes with `workers` columns; endpoint tables begin at offset `heap`.

    Unmapped when freed, so whoever has `address` keeps this object. Closes its own descriptor only."""
    cdef c.fgw_shm *m
    cdef readonly int fd
    cdef readonly uint32_t workers
    cdef readonly uint64_t size, heap

    def __cinit__(self):
        self.m, self.fd = NULL, -1

    def __dealloc__(self):
        c.fgw_shm_unmap(self.m)
        if self.fd >= 0:
            os.close(self.fd)

    @staticmethod
    def create(uint32_t workers, heap=HEAP_DEFAULT) -> Shm:
        """New memory with `workers` columns (at most WORKERS_MAX) and `heap` bytes for endpoint tables. OSError.

        Untouched pages cost nothing; the size never changes."""
        cdef Shm self = Shm()
        cdef uint64_t size = c.fgw_shm_fixed(workers) + <uint64_t>heap
        self.fd = c.fgw_shm_create(size, workers, &self.m)
        if self.fd < 0:
            raise os_error()
        return self.mapped()

    @staticmethod
    def map(int fd) -> Shm:
        """The memory behind a descriptor, which is duplicated. ShmError: not ours, or of another layout."""
        cdef Shm self = Shm()
        cdef const char *why = NULL
        self.m = c.fgw_shm_map(fd, &why)
        if self.m is NULL:
            raise ShmError((<bytes>why).decode())
        self.fd = os.dup(fd)
        return self.mapped()

    cdef Shm mapped(self):
        self.workers, self.size, self.heap = self.m.workers, self.m.size, self.m.heap_off
        return self

    @property
    def address(self) -> int:
        """Of the mapping, for other extension types. 0: none."""
        return <size_t>self.m

    @property
    def used(self) -> int:
        """Columns below this one have, or have had, a worker; the first always counts."""
        return min(self.m.used, self.workers) if self.m is not NULL else 0

    # ---- counters
    def totals(self, uint32_t slot) -> dict:
        """One slot summed over all columns, by the fields of struct fgw_stats_cell (core/stats.h). IndexError.

        by_class: none sent, then 1xx to 5xx; bucket: one for each of BOUNDS_US and one beyond, not cumulative."""
        self.check(slot, c.FGW_SHM_STATS)
        cdef s.fgw_stats_total_t t
        s.fgw_stats_total(self.m, slot, &t)
        return {
            "by_class": [t.by_class[i] for i in range(6)], "bytes_in": t.bytes_in, "bytes_out": t.bytes_out,
            "sum_us": t.sum_us, "bucket": [t.bucket[i] for i in range(s.FGW_STATS_BUCKETS)], "retries": t.retries,
            "upstream_failures": t.upstream_failures, "gateway_errors": t.gateway_errors, "connects": t.connects,
            "step_errors": t.step_errors, "connect_failures": t.connect_failures, "in_flight": t.in_flight,
            "regex_given_up": t.regex_given_up,
        }

    def clear(self, uint32_t slot) -> None:
        """Zero a slot in all columns, before it is given to another identity. IndexError."""
        self.check(slot, c.FGW_SHM_STATS)
        s.fgw_stats_clear(self.m, slot)

    def gauges(self, uint32_t column) -> dict:
        """What a column's worker holds now and its own totals, by the names in GAUGES. IndexError."""
        self.check(column, self.workers)
        cdef s.fgw_gauges *g = s.fgw_stats_gauges(self.m, column)
        return dict(zip(GAUGES, (
            g.connections, g.requests, g.upstream_connections, g.upstream_idle, g.tunnels, g.parked, g.accepted,
            g.refused, g.turns, g.events, g.blocks_bytes, g.live_exchanges, g.log_dropped, g.heartbeat_ms, g.epoch),
            strict=True))

    def zero_gauges(self, uint32_t column, upstreams=()) -> None:
        """Forget what a dead worker held, also of the upstreams with these slots; counts stay. IndexError."""
        self.check(column, self.workers)
        s.fgw_stats_zero_gauges(self.m, column)
        for slot in upstreams:
            s.fgw_stats_zero_held(self.m, column, slot)

    def set_epoch(self, uint32_t column, uint64_t epoch) -> None:
        """Before a worker starts: take its column into use, and number its life. IndexError."""
        self.check(column, self.workers)
        c.fgw_shm_use(self.m, column)
        s.fgw_stats_gauges(self.m, column).epoch = epoch

    def ring_losses(self) -> dict:
        """Over all columns: "access" and "error" lines that found no room, "broken": times a ring was found damaged."""
        cdef uint32_t i
        cdef uint64_t access = 0, error = 0, broken = 0
        for i in range(self.used):
            access += c.fgw_shm_log(self.m, i).dropped
            error += c.fgw_shm_error_log(self.m, i).dropped
            broken += c.fgw_shm_log(self.m, i).broken + c.fgw_shm_error_log(self.m, i).broken
        return {"access": access, "error": error, "broken": broken}

    # ---- endpoint tables
    def init(self, uint64_t offset, uint32_t cap) -> None:
        """Make an empty table at an offset in the heap (a multiple of 8) given by SlotTable. ValueError: not inside."""
        e.fgw_eptable_init(self.table(offset, cap), cap)

    def publish(self, uint64_t offset, rows) -> None:
        """Make rows of (slot, generation, weight, healthy, sockaddr bytes, name) a table's membership.

        A name is cut to 79 bytes. ValueError: too many rows, an address too long; the table is then as it was."""
        cdef e.fgw_eptable *t = self.table(offset)
        cdef list taken = list(rows)
        cdef Py_ssize_t n = len(taken), i
        if <uint64_t>n > t.cap:
            raise ValueError(f"{n} endpoints, but room for {t.cap}")
        cdef bytearray room = bytearray(max(n, 1) * sizeof(e.fgw_endpoint))
        cdef e.fgw_endpoint *out = <e.fgw_endpoint *><char *>room
        for i in range(n):
            fill(&out[i], taken[i])
        e.fgw_eptable_publish(t, out, <uint32_t>n)

    def endpoints(self, uint64_t offset) -> list:
        """The rows of a table as they are published now; none if it never was."""
        cdef e.fgw_eptable *t = self.table(offset)
        cdef bytearray room = bytearray(max(t.cap, 1) * sizeof(e.fgw_endpoint))
        cdef e.fgw_endpoint *out = <e.fgw_endpoint *><char *>room
        cdef uint32_t seen = 0
        cdef int n = e.fgw_eptable_read(t, &seen, out, t.cap)
        return [
            (out[i].slot, out[i].generation, out[i].weight, bool(out[i].healthy),
             (<char *>out[i].addr)[:out[i].addr_len], (<bytes>(<char *>out[i].name)).decode(errors="replace"))
            for i in range(max(n, 0))
        ]

    cdef e.fgw_eptable *table(self, uint64_t offset, object cap=None) except NULL:
        """What is at an offset, if a table of its own or the given room fits there."""
        cdef e.fgw_eptable *t = <e.fgw_eptable *>(<char *>self.m + offset)
        if offset % 8 or offset < self.heap or offset > self.size - sizeof(e.fgw_eptable) or \
                e.fgw_eptable_size(t.cap if cap is None else cap) > self.size - offset:
            raise ValueError(f"no endpoint table fits at {offset}")
        return t

    cdef int check(self, uint32_t index, uint32_t limit) except -1:
        if self.m is NULL or index >= limit:
            raise IndexError(f"{index} of {limit}")
        return 0


cdef int fill(e.fgw_endpoint *out, row) except -1:
    slot, generation, weight, healthy, sockaddr, name = row
    cdef bytes text = name.encode()[:e.FGW_EP_NAME - 1]
    if len(sockaddr) > e.FGW_ADDR_MAX:
        raise ValueError(f"an address of {len(sockaddr)} bytes")
    memset(out, 0, sizeof(e.fgw_endpoint))
    out.slot, out.generation, out.weight, out.healthy = slot, generation, weight, bool(healthy)
    out.addr_len = <uint8_t>len(sockaddr)
    memcpy(out.addr, <const char *>sockaddr, len(sockaddr))
    memcpy(out.name, <const char *>text, len(text))
    return 0


cdef class LogDrain:
    """The thread that writes the workers' log lines. A place is a path, a descriptor (int, duplicated) or None: away.

    A place that cannot be opened, is full or is read by nobody loses lines, which are counted; nothing waits for it."""
    cdef d.fgw_drain *drain
    cdef Shm shm

    def __cinit__(self, Shm shm not None, access=None, error=None):
        cdef d.fgw_drain_to to[2]
        paths = aim(&to[0], access), aim(&to[1], error)
        self.shm = shm
        if shm.m is NULL:
            raise ValueError("no memory is mapped")
        self.drain = d.fgw_drain_start(shm.m, to)
        if self.drain is NULL:
            raise os_error()
        del paths

    def __dealloc__(self):
        if self.drain is not NULL:
            d.fgw_drain_stop(self.drain, 100, NULL)

    def direct(self, str log not None, to) -> None:
        """Write "access" or "error" to another place, soon; a path that does not open is tried each second. OSError."""
        cdef d.fgw_drain_to target
        path = aim(&target, to)
        if d.fgw_drain_direct(self.running(), LOGS[log], target) < 0:
            raise os_error()
        del path

    def reopen(self) -> None:
        """Open paths anew, soon: they were moved away."""
        d.fgw_drain_reopen(self.running())

    def say(self, const uint8_t[::1] line not None) -> None:
        """A line of the supervisor's own, newline included, for the error log. Not from two threads at once."""
        if line.shape[0]:
            d.fgw_drain_say(self.running(), <const char *>&line[0], line.shape[0])

    def counters(self, str log not None) -> dict:
        """bytes written, lines dropped, errors, opens; last_errno: 0 since the last success."""
        cdef d.fgw_drain_counters n
        d.fgw_drain_count(self.running(), LOGS[log], &n)
        return {"bytes": n.bytes, "dropped": n.dropped, "errors": n.errors, "opens": n.opens,
                "last_errno": n.last_errno}

    def stop(self, uint32_t patience_ms=1000) -> tuple[int, int]:
        """Write what is in the rings, for at most so long; then end. Lines dropped in its life: (access, error)."""
        cdef uint64_t dropped[2]
        cdef d.fgw_drain *it = self.running()
        self.drain = NULL
        with nogil:
            d.fgw_drain_stop(it, patience_ms, dropped)
        return dropped[0], dropped[1]

    cdef d.fgw_drain *running(self) except NULL:
        if self.drain is NULL:
            raise ValueError("the drain was stopped")
        return self.drain


cdef object aim(d.fgw_drain_to *out, to):
    """Fill `out`; what is returned keeps its path alive."""
    cdef bytes path
    out.path, out.fd = NULL, -1
    if to is None:
        return None
    if isinstance(to, int):
        out.fd = to
        return None
    path = os.fsencode(to)
    if not path or b"\0" in path:
        raise ValueError("not a path")
    out.path = path
    return path
