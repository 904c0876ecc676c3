# core/worker.h
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "core/worker.h" nogil:
    ctypedef bint bool_t "bool"

    struct fgw_worker:
        pass
    struct fgw_snapshot:
        pass
    struct fgw_shm:
        pass
    struct fgw_clock_source:
        pass

    struct fgw_worker_options:
        fgw_shm *shm
        uint32_t column
        const fgw_clock_source *clock

    fgw_worker *fgw_worker_new(const fgw_worker_options *o, char *err, size_t err_n)
    void fgw_worker_free(fgw_worker *w)

    int fgw_worker_fd(const fgw_worker *w)
    void fgw_worker_turn(fgw_worker *w)

    int fgw_worker_segment_add(fgw_worker *w, int fd, char *err, size_t err_n)
    int fgw_worker_segment_add_bytes(fgw_worker *w, const void *p, size_t n, char *err, size_t err_n)
    bool_t fgw_worker_segment_has(const fgw_worker *w, uint64_t hash)
    uint32_t fgw_worker_compile(fgw_worker *w, uint32_t most)
    fgw_snapshot *fgw_worker_prepare(fgw_worker *w, uint64_t root_hash, char *err, size_t err_n)
    void fgw_worker_commit(fgw_worker *w, fgw_snapshot *s)
    void fgw_worker_discard(fgw_worker *w, fgw_snapshot *s)
    uint64_t fgw_worker_generation(const fgw_worker *w)

    void fgw_worker_ticket_keys(fgw_worker *w, const void *keys, uint32_t n)

    int fgw_worker_listen(fgw_worker *w, uint32_t listener_id, uint32_t socket_id, int fd, bool_t shared,
                          char *err, size_t err_n)
    int fgw_worker_unlisten(fgw_worker *w, uint32_t socket_id)

    struct fgw_hook_host:
        pass
    void fgw_worker_host(fgw_worker *w, const fgw_hook_host *host)
    const void *fgw_worker_root(const fgw_worker *w, uint64_t hash)
    void fgw_worker_tell(fgw_worker *w, int level, const char *text)
    int fgw_worker_bell(fgw_worker *w, uint32_t column, int fd, char *err, size_t err_n)

    void fgw_worker_drain(fgw_worker *w, uint32_t deadline_ms, bool_t last)
    bool_t fgw_worker_drained(const fgw_worker *w)

    struct fgw_live:
        uint64_t conns
        uint64_t exchanges
        uint64_t parked_hooks
        uint64_t tries
        uint64_t timers
        uint64_t blocks
        uint64_t block_bytes
        uint64_t mallocs
        uint64_t buf_nodes
        uint64_t h1_servers
        uint64_t h1_clients
        uint64_t snapshots
        uint64_t segments
        uint64_t pools
    void fgw_worker_live(const fgw_worker *w, fgw_live *out)
