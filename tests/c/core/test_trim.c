/* What bursts leave in slabs, in bytes that the slabs hold; the clock is the test's. */
#include "core/trim.c"
#include "core/engine.h"

enum { BURST = 4000 };
static struct engine e;
static void *held[2][BURST];

static struct fgw_slab *burst_of(int i) { return i ? &e.w->h2.streams : &e.w->exchanges; }

static void burst(void)
{
    for (int i = 0; i < BURST; i++) held[0][i] = fgw_slab_get(burst_of(0)), held[1][i] = fgw_slab_get(burst_of(1));
}
/* All but one in `every`. */
static void ebb(int every)
{
    for (int i = 0; i < BURST; i++) {
        if (every && i % every == 0) continue;
        for (int k = 0; k < 2; k++) fgw_slab_put(burst_of(k), held[k][i]), held[k][i] = NULL;
    }
}
static void last(void)
{
    for (int i = 0; i < BURST; i++) for (int k = 0; k < 2; k++) fgw_slab_put(burst_of(k), held[k][i]), held[k][i] = NULL;
}
static bool waits(void) { return fgw_timer_armed(&e.w->trim.timer); }
static uint64_t bytes(void) { return fgw_worker_slab_bytes(e.w); }

/* Time goes on until nothing is being sifted; how many slices there were. */
static int slices(void)
{
    int n = 0;
    for (; e.w->trim.sifting && n < 10000; n++) passes(&e, SLICE_MS);
    return n;
}

TEST(what_a_burst_took_goes_back_when_it_stays_away)
{
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    uint64_t before = bytes();
    passes(&e, TURN_MS);
    OK(before < KEEP && !waits());
    burst();
    uint64_t top = bytes();
    OK(top > before + BURST * ((uint64_t)burst_of(0)->size + burst_of(1)->size));
    passes(&e, TURN_MS);
    OK(waits());
    passes(&e, LOOK_MS), passes(&e, LOOK_MS);
    OK(!e.w->trim.sifting);                          /* it is all in use */
    ebb(0);
    passes(&e, LOOK_MS);
    OK(!e.w->trim.sifting && bytes() == top);        /* it may come back */
    passes(&e, LOOK_MS);
    OK(e.w->trim.sifting);
    plain(&e, c, o);
    passes(&e, SLICE_MS), passes(&e, SLICE_MS);
    OK(e.w->trim.sifting && bytes() < top);          /* little by little */
    plain(&e, c, o);
    OK(slices() >= 2 * BURST / SLICE - 2);
    plain(&e, c, o);
    OK(bytes() < KEEP && bytes() < before + (1 << 20));
    passes(&e, LOOK_MS);
    OK(!waits());                                    /* and a worker at rest is not woken for it */
    EQ(e.w->trim.given, 0);
    close(c), close(o);
    turn(&e, 20);
    engine_stop(&e);
}

TEST(malloc_is_asked_to_let_go_of_what_blocks_were_in)
{
    struct fgw_block *b[16];
    engine_start(&e);
    passes(&e, TURN_MS);
    for (int i = 0; i < 16; i++) b[i] = fgw_block_get(&e.w->loop.blocks, 1 << 20);
    passes(&e, TURN_MS);
    OK(!waits());
    for (int i = 0; i < 16; i++) fgw_block_unref(b[i]);
    OK(blocks_went(e.w));
    passes(&e, TURN_MS);
    OK(waits());
    passes(&e, LOOK_MS);
    OK(!blocks_went(e.w));
    OK(!waits());
    engine_stop(&e);
}

TEST(a_burst_that_comes_and_goes_keeps_its_memory)
{
    engine_start(&e);
    burst();
    passes(&e, TURN_MS);
    uint64_t top = bytes();
    for (int i = 0; i < 5; i++) {
        ebb(0);
        passes(&e, LOOK_MS);
        burst();
        passes(&e, LOOK_MS);
        OK(!e.w->trim.sifting && bytes() == top);
    }
    ebb(0);
    engine_stop(&e);
}

TEST(what_lies_scattered_is_looked_through_once)
{
    engine_start(&e);
    burst();
    passes(&e, TURN_MS);
    uint64_t top = bytes();
    ebb(4);                                          /* some in every chunk are live */
    passes(&e, LOOK_MS), passes(&e, LOOK_MS);
    OK(slices() > 0);
    OK(bytes() > top - (1 << 20));
    for (int i = 0; i < 5; i++) {
        passes(&e, LOOK_MS);
        OK(!e.w->trim.sifting);
    }
    last();
    passes(&e, LOOK_MS), passes(&e, LOOK_MS);
    OK(slices() > 0);
    OK(bytes() < KEEP);
    engine_stop(&e);
}

TEST_MAIN()
