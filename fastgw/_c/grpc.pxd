# http/grpc.h, and of core/stats.h what a route counts of its calls.
from libc.stdint cimport uint32_t, uint64_t

from fastgw._c.shm cimport fgw_shm

cdef extern from "http/grpc.h" nogil:
    enum fgw_grpc_code:
        FGW_GRPC_CODES
    const char *fgw_grpc_name(fgw_grpc_code c)

cdef extern from "core/stats.h" nogil:
    struct fgw_grpc_cell_t "fgw_grpc_cell":
        uint64_t calls[17]
    fgw_grpc_cell_t *fgw_grpc_cell(fgw_shm *m, uint32_t column, uint32_t slot)
