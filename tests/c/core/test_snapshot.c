#include "core/snapshot.c"
#include "core/engine.h"

TEST(networks_are_compared_by_their_bits)
{
    const struct fgw_l_cidr v4 = {.lo = 0xffff0a000000, .bits = 104}, all = {.bits = 0};
    OK(inside(&v4, 0, 0xffff0a010203));
    OK(!inside(&v4, 0, 0xffff0b010203));
    OK(inside(&all, 1, 2));
}

TEST(a_root_that_was_not_added_is_refused)
{
    struct engine e;
    char err[100] = "";
    engine_start(&e);
    OK(!fgw_worker_prepare(e.w, 12345, err, sizeof err));
    OK(err[0] != 0);
    engine_stop(&e);
}

/* Between a segment and the snapshot that names it, an older snapshot may end. */
TEST(what_was_added_is_kept_until_it_is_asked_for)
{
    struct engine e;
    struct fgw_live live;
    char err[200] = "";
    engine_start(&e);
    struct mini_snapshot *next = mini_new(ROUTES, ENGINE_ROUTES, e.shm->heap_off, 2, FGW_LOG_OFF);
    OK(next->root_hash != e.snap->root_hash);
    struct mini_seg *const segs[] = {&next->routes, &next->settings, &next->upstream, &next->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    fgw_segments_sweep(e.w);
    struct fgw_snapshot *s = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    OK(s != NULL);
    struct fgw_snapshot *again = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    fgw_worker_discard(e.w, s);
    OK(again != NULL);
    fgw_worker_commit(e.w, again);
    EQ(fgw_worker_generation(e.w), 2);
    fgw_worker_live(e.w, &live);
    EQ(live.segments, 4);                              /* the first root is gone, what both name is there once */
    free(next);
    engine_stop(&e);
}

TEST_MAIN()
