# cython: language_level=3
"""What plugins count in shared memory: struct fgw_hook_cell of policy/hook.h."""

from libc.stdint cimport uint32_t

cimport fastgw._c.hook as c
from fastgw._c.shm cimport FGW_SHM_STATS, fgw_shm, fgw_shm_cell

COUNTERS = ("calls", "replies", "failed", "timed_out", "cancelled", "blocked", "ns", "parked")


def totals(shm not None, uint32_t slot) -> dict:
    """A plugin's stats slot summed over all columns, by the names in COUNTERS. IndexError, ValueError."""
    cdef size_t address = shm.address
    cdef fgw_shm *m = <fgw_shm *>address
    cdef c.fgw_hook_cell *cell
    cdef uint32_t column
    if address == 0:
        raise ValueError("no memory is mapped")
    if slot >= FGW_SHM_STATS:
        raise IndexError(f"{slot} of {FGW_SHM_STATS}")
    total = [0] * len(COUNTERS)
    for column in range(min(m.used, m.workers)):
        cell = <c.fgw_hook_cell *>fgw_shm_cell(m, column, slot)
        for i, n in enumerate((cell.calls, cell.replies, cell.failed, cell.timed_out, cell.cancelled, cell.blocked,
                               cell.ns, cell.parked)):
            total[i] += n
    return dict(zip(COUNTERS, total, strict=True))
