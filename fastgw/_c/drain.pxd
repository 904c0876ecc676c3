# io/drain.h
from libc.stdint cimport uint32_t, uint64_t

from fastgw._c.shm cimport fgw_shm

cdef extern from "io/drain.h" nogil:
    enum fgw_drain_log:
        FGW_DRAIN_ACCESS
        FGW_DRAIN_ERROR
        FGW_DRAIN_LOGS

    struct fgw_drain:
        pass
    struct fgw_drain_to:
        const char *path
        int fd
    struct fgw_drain_counters:
        uint64_t bytes
        uint64_t dropped
        uint64_t errors
        uint64_t opens
        int last_errno

    fgw_drain *fgw_drain_start(fgw_shm *m, const fgw_drain_to *to)
    int fgw_drain_direct(fgw_drain *d, fgw_drain_log log, fgw_drain_to to)
    void fgw_drain_reopen(fgw_drain *d)
    void fgw_drain_say(fgw_drain *d, const char *line, size_t n)
    void fgw_drain_count(const fgw_drain *d, fgw_drain_log log, fgw_drain_counters *out)
    void fgw_drain_stop(fgw_drain *d, uint32_t patience_ms, uint64_t *dropped)
