#include "core/stats.c"
#include <sys/stat.h>
#include "test.h"

static struct fgw_shm *shm_new(uint32_t workers)
{
    struct fgw_shm *m = NULL;
    int fd = fgw_shm_create(fgw_shm_fixed(workers), workers, &m);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(m, workers - 1);
    return m;
}

TEST(a_request_is_counted_where_it_belongs)
{
    struct fgw_shm *m = shm_new(2);
    struct fgw_stats_total t;
    fgw_stats_request(fgw_stats_cell(m, 0, 7), 200, 1500, 10, 20);
    fgw_stats_request(fgw_stats_cell(m, 1, 7), 204, 99, 1, 2);
    fgw_stats_request(fgw_stats_cell(m, 1, 7), 0, 10000001, 0, 0);
    fgw_stats_request(fgw_stats_cell(m, 1, 7), 999, 0, 0, 0);
    fgw_stats_request(fgw_stats_cell(m, 1, 7), -1, 0, 0, 0);
    fgw_stats_total(m, 7, &t);
    EQ(t.by_class[2], 2);
    EQ(t.by_class[0], 3);
    EQ(t.bytes_in, 11);
    EQ(t.bytes_out, 22);
    EQ(t.sum_us, 1500 + 99 + 10000001);
    EQ(t.bucket[4], 1);                       /* 1 ms < 1500 us <= 2.5 ms */
    EQ(t.bucket[0], 3);
    EQ(t.bucket[19], 1);
    fgw_stats_total(m, 8, &t);
    EQ(t.by_class[2] + t.sum_us, 0);
    fgw_shm_unmap(m);
}

TEST(a_bound_belongs_to_its_bucket)
{
    for (unsigned i = 0; i < FGW_STATS_BUCKETS - 1; i++) {
        EQ(bucket_of(BOUNDS_US[i]), i);
        EQ(bucket_of(BOUNDS_US[i] + 1ull), i + 1);
        OK(i == 0 || BOUNDS_US[i] > BOUNDS_US[i - 1]);
    }
    EQ(bucket_of(UINT64_MAX), FGW_STATS_BUCKETS - 1);
}

TEST(totals_sum_every_field)
{
    struct fgw_shm *m = shm_new(3);
    struct fgw_stats_total t;
    for (uint32_t c = 0; c < 3; c++)
        for (unsigned i = 0; i < FIELDS; i++) fgw_stats_add((_Atomic uint64_t *)fgw_stats_cell(m, c, FGW_SHM_STATS - 1) + i, i + c);
    fgw_stats_total(m, FGW_SHM_STATS - 1, &t);
    for (unsigned i = 0; i < FIELDS; i++) EQ(((uint64_t *)&t)[i], 3 * i + 3);
    fgw_stats_total(m, FGW_SHM_STATS, &t);    /* no such slot */
    EQ(t.sum_us, 0);
    fgw_stats_clear(m, FGW_SHM_STATS - 1);
    fgw_stats_total(m, FGW_SHM_STATS - 1, &t);
    for (unsigned i = 0; i < FIELDS; i++) EQ(((uint64_t *)&t)[i], 0);
    fgw_shm_unmap(m);
}

TEST(columns_not_in_use_cost_nothing)
{
    struct fgw_shm *m = NULL;
    struct fgw_stats_total t;
    struct stat before, after;
    int fd = fgw_shm_create(fgw_shm_fixed(8), 8, &m);
    fgw_shm_use(m, 3);
    for (uint32_t c = 0; c < 4; c++) fgw_stats_request(fgw_stats_cell(m, c, 5), 200, 1, 2, 3);
    fstat(fd, &before);
    fgw_stats_total(m, 5, &t);
    fgw_stats_clear(m, 5);
    fstat(fd, &after);
    EQ(t.bytes_in, 8);
    EQ(before.st_blocks, after.st_blocks);
    fgw_shm_unmap(m);
    close(fd);
}

/* What goes up and down is gone; what only counts stays; the neighbour is untouched. */
TEST(a_dead_worker_holds_nothing)
{
    struct fgw_shm *m = shm_new(2);
    for (uint32_t c = 0; c < 2; c++) memset(fgw_stats_gauges(m, c), 0x11, sizeof(struct fgw_gauges));
    fgw_stats_zero_gauges(m, 0);
    struct fgw_gauges *g = fgw_stats_gauges(m, 0), *other = fgw_stats_gauges(m, 1);
    EQ(g->connections + g->requests + g->upstream_connections + g->upstream_idle + g->tunnels + g->parked, 0);
    EQ(g->blocks_bytes + g->live_exchanges + g->heartbeat_ms, 0);
    const uint64_t full = 0x1111111111111111u;
    OK(g->accepted == full && g->refused == full && g->turns == full && g->events == full && g->log_dropped == full && g->epoch == full);
    OK(other->connections == (int64_t)full && other->heartbeat_ms == full);
    fgw_shm_unmap(m);
}

TEST(columns_share_no_cache_line)
{
    struct fgw_shm *m = shm_new(2);
    EQ((uintptr_t)fgw_stats_gauges(m, 1) % 64, 0);
    EQ((uintptr_t)fgw_stats_cell(m, 1, 0) % 64, 0);
    EQ((uintptr_t)fgw_stats_log(m, 1) % 64, 0);
    OK((char *)fgw_stats_gauges(m, 2) <= (char *)fgw_stats_log(m, 0));
    OK((char *)fgw_stats_cell(m, 2, 0) <= (char *)fgw_stats_gauges(m, 0));
    OK((char *)fgw_stats_log(m, 1) + sizeof(struct fgw_ring) + FGW_SHM_RING <= (char *)fgw_stats_error_log(m, 0));
    OK((char *)fgw_stats_error_log(m, 1) + sizeof(struct fgw_ring) + FGW_SHM_ERROR_RING <= (char *)m + m->heap_off);
    fgw_shm_unmap(m);
}
TEST_MAIN()
