# cython: language_level=3
"""What limits keep in shared memory (policy/bucket.h, policy/limit.h): their counters, and buckets to try.

    totals(shm, slot)           counters of one limit over all workers
    zero(shm, offset, size)     before a table is given to another limit
    Buckets                     a table in this process's own memory: for tests and tools
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastgw._c cimport bucket as b
from fastgw._c cimport shm as c

cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

COUNTERS = ("allowed", "limited", "dry_run", "shared", "queued", "timed_out")
SET_BYTES = sizeof(b.fgw_bucket_set)


cdef c.fgw_shm *memory(shm) except NULL:
    cdef size_t address = shm.address
    if address == 0:
        raise ValueError("no memory is mapped")
    return <c.fgw_shm *>address


def totals(shm not None, uint32_t slot) -> dict:
    """A limit's stats slot summed over all columns, by the names in COUNTERS. IndexError."""
    cdef c.fgw_shm *m = memory(shm)
    cdef uint32_t column, i, used = min(m.used, m.workers)
    cdef list total = [0] * len(COUNTERS)
    if slot >= c.FGW_SHM_STATS:
        raise IndexError(f"{slot} of {c.FGW_SHM_STATS}")
    for column in range(used):
        for i in range(<uint32_t>len(COUNTERS)):
            total[i] += (<uint64_t *>c.fgw_shm_cell(m, column, slot))[i]
    return dict(zip(COUNTERS, total, strict=True))


def zero(shm not None, uint64_t offset, uint64_t size) -> None:
    """Make a part of the heap zero again. ValueError: not inside."""
    cdef c.fgw_shm *m = memory(shm)
    if offset < m.heap_off or size > m.size or offset > m.size - size:
        raise ValueError(f"nothing of {size} bytes lies at {offset}")
    with nogil:
        c.fgw_shm_zero(m, offset, size)


cdef class Buckets:
    """A table of buckets in `size` bytes, of one rate. Times are in nanoseconds."""
    cdef void *table
    cdef uint32_t sets
    cdef uint64_t unit, tau

    def __cinit__(self, uint64_t size, uint64_t unit, uint32_t burst):
        self.sets = <uint32_t>(size // SET_BYTES)
        if self.sets == 0 or unit == 0 or burst == 0:
            raise ValueError("an empty table, or no rate")
        self.table = aligned_alloc(SET_BYTES, self.sets * SET_BYTES)
        if self.table is NULL:
            raise MemoryError("Buckets")
        memset(self.table, 0, self.sets * SET_BYTES)
        self.unit, self.tau = unit * b.FGW_BUCKET_NS, unit * burst * b.FGW_BUCKET_NS

    def __dealloc__(self):
        free(self.table)

    def take(self, uint64_t tag, uint64_t now, uint32_t cost=1) -> tuple:
        """(passed, it was a shared bucket). `tag` is a hash, not 0."""
        if tag == 0 or cost == 0:
            raise ValueError("no tag, or no cost")
        cdef b.fgw_bucket_set *s = b.fgw_bucket_set_of(self.table, self.sets, tag)
        cdef b.fgw_bucket found = b.fgw_bucket_take(s, tag, now * b.FGW_BUCKET_NS, cost * self.unit, self.tau)
        return bool(found.pass_), bool(found.was_shared)
