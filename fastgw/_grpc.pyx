# cython: language_level=3
"""http/grpc.h: the status codes of gRPC, and what routes count by them in shared memory."""

from libc.stdint cimport uint32_t

cimport fastgw._c.grpc as c
from fastgw._c.shm cimport FGW_SHM_STATS, fgw_shm

CODES = tuple([(<bytes>c.fgw_grpc_name(<c.fgw_grpc_code>i)).decode() for i in range(<int>c.FGW_GRPC_CODES)])


def totals(shm not None, uint32_t slot) -> dict:
    """A route's calls summed over all columns, by the names in CODES. IndexError, ValueError."""
    cdef size_t address = shm.address
    cdef fgw_shm *m = <fgw_shm *>address
    cdef c.fgw_grpc_cell_t *cell
    cdef uint32_t column, i
    if address == 0:
        raise ValueError("no memory is mapped")
    if slot >= FGW_SHM_STATS:
        raise IndexError(f"{slot} of {FGW_SHM_STATS}")
    total = [0] * len(CODES)
    for column in range(min(m.used, m.workers)):
        cell = c.fgw_grpc_cell(m, column, slot)
        for i in range(<uint32_t>len(CODES)):
            total[i] += cell.calls[i]
    return dict(zip(CODES, total, strict=True))
