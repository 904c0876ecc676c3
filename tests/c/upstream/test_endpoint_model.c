/* Every interleaving of the supervisor that publishes and a worker that reads, with a death at every step: what is read is one
 * version and whole, never an older one than before; a dead supervisor leaves the last whole version in force. */
#include "model.h"
#define FGW_ADDR_MAX 4
#define FGW_EP_NAME 4
#include "upstream/endpoint.c"

enum { PUBLISHED = 4, READS = 2 };
static struct { struct fgw_eptable t; char room[2 * (8 + 2 * sizeof(struct fgw_endpoint))]; } table_;
static uint32_t first_;                                /* the version before the first */

/* Version k has 1 + k % 2 members, each made of one byte. */
static void make(struct fgw_endpoint e[2], uint32_t k) { memset(e, (int)('a' + k), 2 * sizeof *e); }
static uint32_t members(uint32_t k) { return 1 + k % 2; }

static void reset(void)
{
    struct fgw_endpoint e[2];
    memset(&table_, 0, sizeof table_);
    fgw_eptable_init(&table_.t, 2);
    table_.t.version = first_;
    if (!first_) return;
    make(e, 0);
    fgw_eptable_publish(&table_.t, e, members(0));
}

static void supervisor(void)
{
    struct fgw_endpoint e[2];
    for (uint32_t k = 1; k < PUBLISHED; k++) {
        make(e, k);
        fgw_eptable_publish(&table_.t, e, members(k));
        model_result[0] = k;                           /* in force from its last step on */
    }
}

/* The version that was read whole; -1: none. */
static int whole(const struct fgw_endpoint e[2], int n)
{
    uint32_t k = (uint32_t)(((const char *)e)[0] - 'a');
    struct fgw_endpoint want[2];
    OK(n == (int)members(k) && k < PUBLISHED);
    make(want, k);
    OK(memcmp(e, want, (size_t)n * sizeof *e) == 0);
    return (int)k;
}

/* result: 1 + the last version read; from bit 8: the version it should be read as unchanged */
static void worker(void)
{
    struct fgw_endpoint e[2];
    uint32_t seen = 0;
    for (int i = 0; i < READS; i++) {
        memset(e, 0, sizeof e);
        uint64_t floor = model_result[0];
        int n = fgw_eptable_read(&table_.t, &seen, e, 2);
        memset(n < 0 ? e : e + n, 0, (size_t)(n < 0 ? 2 : 2 - n) * sizeof *e);
        if (n < 0) continue;
        uint64_t k = (uint64_t)whole(e, n);
        OK(k >= floor && k + 1 > (model_result[1] & 255));     /* not older than what was in force, and news */
        model_result[1] = (k + 1) | (uint64_t)seen << 8;
    }
}

static void check(void)
{
    struct fgw_endpoint e[2];
    uint32_t seen = (uint32_t)(model_result[1] >> 8), none = 0;
    int n = fgw_eptable_read(&table_.t, &none, e, 2);
    if (n < 0) { OK(!first_ && model_result[0] == 0 && model_result[1] == 0); return; }
    uint64_t k = (uint64_t)whole(e, n);
    OK(k >= model_result[0] && k + 1 >= (model_result[1] & 255));
    if (!model_dead(0)) EQ(k, PUBLISHED - 1);
    n = fgw_eptable_read(&table_.t, &seen, e, 2);          /* who has read the last one is told so; others get it */
    if (k + 1 == (model_result[1] & 255)) EQ(n, -1);
    else EQ(whole(e, n), k);
}

static uint64_t explore(void)
{
    return model_run(&(struct model){.actors = 2, .actor = {supervisor, worker}, .memory = &table_, .size = sizeof table_, .reset = reset,
                                     .check = check, .kills = 1});
}
TEST(a_table_that_was_never_published_and_then_is) { first_ = 0; OK(explore() > 1000); }
TEST(versions_that_are_read_while_they_change) { first_ = 6; OK(explore() > 1000); }
TEST(versions_that_come_round) { first_ = UINT32_MAX - 2; OK(explore() > 1000); }
TEST_MAIN()
