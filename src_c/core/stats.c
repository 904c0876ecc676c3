#include "core/stats.h"
#include "base/check.h"
#include "io/bell.h"
#include "io/inflight.h"
#include "io/ring.h"

static const uint32_t BOUNDS_US[FGW_STATS_BUCKETS - 1] = FGW_STATS_BOUNDS_US;

struct fgw_ring *fgw_stats_log(struct fgw_shm *m, uint32_t column) { return fgw_shm_log(m, column); }
struct fgw_ring *fgw_stats_error_log(struct fgw_shm *m, uint32_t column) { return fgw_shm_error_log(m, column); }

const uint32_t *fgw_stats_bounds(void) { return BOUNDS_US; }

/* The bucket whose upper bound is the first not below us (Prometheus: le). From the small end: that is where requests are. */
static unsigned bucket_of(uint64_t us)
{
    unsigned i = 0;
    while (i < FGW_STATS_BUCKETS - 1 && us > BOUNDS_US[i]) i++;
    return i;
}

void fgw_stats_request(struct fgw_stats_cell *c, int status, uint64_t us, uint64_t in, uint64_t out)
{
    unsigned class = (unsigned)status / 100;
    fgw_stats_add(&c->by_class[class < FGW_COUNT(c->by_class) ? class : 0], 1);
    fgw_stats_add(&c->bucket[bucket_of(us)], 1);
    fgw_stats_add(&c->sum_us, us);
    fgw_stats_add(&c->bytes_in, in);
    fgw_stats_add(&c->bytes_out, out);
}

void fgw_stats_try_ended(struct fgw_stats_cell *c, int status, uint64_t us)
{
    unsigned class = (unsigned)status / 100;
    fgw_stats_add(&c->by_class[class < FGW_COUNT(c->by_class) ? class : 0], 1);
    fgw_stats_add(&c->bucket[bucket_of(us)], 1);
    fgw_stats_add(&c->sum_us, us);
    fgw_stats_add(&c->in_flight, (uint64_t)-1);
}

/* Both structs are counters in one order, and nothing else: they are walked as arrays. */
enum { FIELDS = sizeof(struct fgw_stats_total) / sizeof(uint64_t) };
_Static_assert(sizeof(struct fgw_stats_total) == sizeof(struct fgw_stats_cell), "a total has a cell's fields");

/* Reading a page of shared memory that nobody has written would make it exist: the other columns are not looked at. */
static uint32_t columns(struct fgw_shm *m)
{
    uint32_t used = atomic_load_explicit(&m->used, memory_order_relaxed);
    return used < m->workers ? used : m->workers;
}

void fgw_stats_total(struct fgw_shm *m, uint32_t slot, struct fgw_stats_total *out)
{
    uint64_t *sum = (uint64_t *)out;
    for (unsigned i = 0; i < FIELDS; i++) sum[i] = 0;
    if (slot >= FGW_SHM_STATS) return;
    for (uint32_t column = 0; column < columns(m); column++) {
        _Atomic uint64_t *c = (_Atomic uint64_t *)fgw_stats_cell(m, column, slot);
        for (unsigned i = 0; i < FIELDS; i++) sum[i] += atomic_load_explicit(&c[i], memory_order_relaxed);
    }
}

void fgw_stats_clear(struct fgw_shm *m, uint32_t slot)
{
    for (uint32_t column = 0; column < columns(m) && slot < FGW_SHM_STATS; column++) {
        _Atomic uint64_t *c = (_Atomic uint64_t *)fgw_stats_cell(m, column, slot);
        for (unsigned i = 0; i < FIELDS; i++)
            atomic_store_explicit(&c[i], 0, memory_order_relaxed);
    }
}

void fgw_stats_zero_gauges(struct fgw_shm *m, uint32_t column)
{
    struct fgw_gauges *g = fgw_stats_gauges(m, column);
    _Atomic int64_t *held[] = {&g->connections, &g->requests, &g->upstream_connections, &g->upstream_idle, &g->tunnels, &g->parked};
    _Atomic uint64_t *sizes[] = {&g->blocks_bytes, &g->live_exchanges, &g->heartbeat_ms};   /* a dead worker's last beat must not be its successor's */
    for (unsigned i = 0; i < FGW_COUNT(held); i++) atomic_store_explicit(held[i], 0, memory_order_relaxed);
    for (unsigned i = 0; i < FGW_COUNT(sizes); i++) atomic_store_explicit(sizes[i], 0, memory_order_relaxed);
    fgw_inflight_clear(m, column);
    fgw_bell_reset(m, column);
}

void fgw_stats_zero_held(struct fgw_shm *m, uint32_t column, uint32_t slot)
{
    if (slot < FGW_SHM_STATS) atomic_store_explicit(&fgw_stats_cell(m, column, slot)->in_flight, 0, memory_order_relaxed);
}
