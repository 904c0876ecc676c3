# io/bell.h
from libc.stdint cimport uint32_t

from fastgw._c.shm cimport fgw_shm

cdef extern from "io/bell.h" nogil:
    void fgw_bell_look_at_all(fgw_shm *m, uint32_t column)
