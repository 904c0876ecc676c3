# io/shm.h
from libc.stdint cimport uint32_t, uint64_t

from fastgw._c.ring cimport fgw_ring

cdef extern from "io/shm.h" nogil:
    enum:
        FGW_SHM_WORKERS
        FGW_SHM_STATS

    struct fgw_shm:
        uint32_t workers
        uint64_t size
        uint64_t heap_off
        uint32_t used

    int fgw_shm_create(uint64_t size, uint32_t workers, fgw_shm **map)
    fgw_shm *fgw_shm_map(int fd, const char **why)
    void fgw_shm_unmap(fgw_shm *m)
    void fgw_shm_use(fgw_shm *m, uint32_t column)
    uint64_t fgw_shm_fixed(uint32_t workers)
    fgw_ring *fgw_shm_log(fgw_shm *m, uint32_t column)
    fgw_ring *fgw_shm_error_log(fgw_shm *m, uint32_t column)

    void *fgw_shm_cell(fgw_shm *m, uint32_t column, uint32_t slot)
    void fgw_shm_zero(fgw_shm *m, uint64_t offset, uint64_t n)

    int fgw_seg_memfd(const char *name, const void *p, size_t n)
