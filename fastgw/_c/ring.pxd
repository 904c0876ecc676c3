# io/ring.h
from libc.stdint cimport uint64_t

cdef extern from "io/ring.h" nogil:
    struct fgw_ring:
        uint64_t dropped
        uint64_t broken
