# core/stats.h
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastgw._c.shm cimport fgw_shm

cdef extern from "core/stats.h" nogil:
    enum:
        FGW_STATS_BUCKETS

    struct fgw_gauges:
        int64_t connections
        int64_t requests
        int64_t upstream_connections
        int64_t upstream_idle
        int64_t tunnels
        int64_t parked
        uint64_t accepted
        uint64_t refused
        uint64_t turns
        uint64_t events
        uint64_t blocks_bytes
        uint64_t live_exchanges
        uint64_t log_dropped
        uint64_t heartbeat_ms
        uint64_t epoch

    struct fgw_stats_total_t "fgw_stats_total":
        uint64_t by_class[6]
        uint64_t bytes_in
        uint64_t bytes_out
        uint64_t sum_us
        uint64_t bucket[20]
        uint64_t retries
        uint64_t upstream_failures
        uint64_t gateway_errors
        uint64_t step_errors
        uint64_t connects
        uint64_t connect_failures
        uint64_t in_flight
        uint64_t regex_given_up

    const uint32_t *fgw_stats_bounds()
    fgw_gauges *fgw_stats_gauges(fgw_shm *m, uint32_t column)
    void fgw_stats_total(fgw_shm *m, uint32_t slot, fgw_stats_total_t *out)
    void fgw_stats_clear(fgw_shm *m, uint32_t slot)
    void fgw_stats_zero_gauges(fgw_shm *m, uint32_t column)
    void fgw_stats_zero_held(fgw_shm *m, uint32_t column, uint32_t slot)
