/* core/stats.h: counters and histograms in shared memory, a column per worker, so that no cache line is fought over.
 *
 * A slot is given by the supervisor to an identity (route in listener, upstream), and kept over reloads and worker deaths.
 * Thread: the column's worker writes (relaxed atomics), anybody reads. Cost of a finished request: some 6 adds at its route, and
 * as many at its upstream. */
#ifndef FGW_CORE_STATS_H
#define FGW_CORE_STATS_H
#include <stdatomic.h>
#include <stdint.h>
#include "base/err.h"
#include "http/grpc.h"
#include "io/shm.h"

/* Upper bounds in microseconds of the duration histogram: OpenTelemetry's http boundaries (5 ms .. 10 s) and finer ones below. */
#define FGW_STATS_BOUNDS_US { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 75000, 100000, 250000, 500000, 750000, 1000000, 2500000, 5000000, 7500000, 10000000 }
enum { FGW_STATS_BUCKETS = 20 };          /* 19 bounds and +Inf */

struct fgw_stats_cell {                   /* one slot in one column: of requests (a route, what matched none), or of an upstream's tries */
    _Atomic uint64_t by_class[6];         /* answers 1xx..5xx; [0]: none was sent (client gone), or none came (upstream) */
    _Atomic uint64_t bytes_in, bytes_out; /* body bytes from and to the client */
    _Atomic uint64_t sum_us;
    _Atomic uint64_t bucket[FGW_STATS_BUCKETS];
    _Atomic uint64_t retries, upstream_failures, gateway_errors;
    _Atomic uint64_t step_errors;         /* requests: bodies that a step of the chain could not process */
    _Atomic uint64_t connects, connect_failures;   /* upstream */
    _Atomic uint64_t in_flight;           /* upstream: tries under way. The one that goes down again: zeroed at the worker's death */
    _Atomic uint64_t regex_given_up;      /* requests: matches of the route's regex that took too many steps */
    _Atomic uint64_t pad[3];
};
/* A slot of kind "tls", of one listener. failures: by error code, from FGW_E_TLS_FAILED on. */
enum { FGW_TLS_WORDS = FGW_E_TLS_TIMEOUT - FGW_E_TLS_FAILED + 1 };
struct fgw_tls_cell { _Atomic uint64_t handshakes, resumed, failures[FGW_TLS_WORDS]; };
_Static_assert(sizeof(struct fgw_tls_cell) <= FGW_SHM_CELL, "it is a stats slot");
/* A slot of kind "grpc", of one route: calls by status (http/grpc.h). */
struct fgw_grpc_cell { _Atomic uint64_t calls[FGW_GRPC_CODES]; };
_Static_assert(sizeof(struct fgw_grpc_cell) <= FGW_SHM_CELL, "it is a stats slot");
static inline struct fgw_grpc_cell *fgw_grpc_cell(struct fgw_shm *m, uint32_t column, uint32_t slot) { return fgw_shm_cell(m, column, slot); }
struct fgw_gauges {                       /* what a worker holds now, and its own totals; two cache lines, nobody else's */
    _Alignas(64) _Atomic int64_t connections;
    _Atomic int64_t requests, upstream_connections, upstream_idle, tunnels, parked;
    _Atomic uint64_t accepted, refused, turns, events, blocks_bytes, live_exchanges, log_dropped;
    _Atomic uint64_t heartbeat_ms;        /* monotonic, each turn */
    _Atomic uint64_t epoch;               /* the worker's life: set by the supervisor at spawn */
};

static inline struct fgw_stats_cell *fgw_stats_cell(struct fgw_shm *m, uint32_t column, uint32_t slot)
{
    return (struct fgw_stats_cell *)((char *)m + m->stats_off) + (uint64_t)column * FGW_SHM_STATS + slot;
}
static inline struct fgw_gauges *fgw_stats_gauges(struct fgw_shm *m, uint32_t column)
{
    return (struct fgw_gauges *)((char *)m + m->gauges_off) + column;
}
_Static_assert(sizeof(struct fgw_stats_cell) == FGW_SHM_CELL && sizeof(struct fgw_gauges) == FGW_SHM_GAUGES, "io/shm.h has the sizes");

/* One writer a column: a load and a store, no locked instruction. Only the column's worker may call it. */
static inline void fgw_stats_add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
struct fgw_ring *fgw_stats_log(struct fgw_shm *m, uint32_t column);
struct fgw_ring *fgw_stats_error_log(struct fgw_shm *m, uint32_t column);
void fgw_stats_request(struct fgw_stats_cell *c, int status, uint64_t us, uint64_t in, uint64_t out);
static inline void fgw_stats_try_begun(struct fgw_stats_cell *c) { fgw_stats_add(&c->in_flight, 1); }
void fgw_stats_try_ended(struct fgw_stats_cell *c, int status, uint64_t us);
const uint32_t *fgw_stats_bounds(void);                           /* FGW_STATS_BUCKETS - 1 of them */
/* One slot summed over all columns in use; the fields in the order of fgw_stats_cell. Sums of a running system: no two fields are of one instant. */
struct fgw_stats_total {
    uint64_t by_class[6], bytes_in, bytes_out, sum_us, bucket[FGW_STATS_BUCKETS], retries, upstream_failures, gateway_errors, step_errors, connects,
             connect_failures, in_flight, regex_given_up, pad[3];
};
void fgw_stats_total(struct fgw_shm *m, uint32_t slot, struct fgw_stats_total *out);
void fgw_stats_clear(struct fgw_shm *m, uint32_t slot);           /* supervisor: before a retired slot is given to another identity, when no worker uses it */
void fgw_stats_zero_gauges(struct fgw_shm *m, uint32_t column);   /* supervisor, at that worker's death: only what goes up and down */
void fgw_stats_zero_held(struct fgw_shm *m, uint32_t column, uint32_t slot);   /* the same for an upstream's cell */

#endif
