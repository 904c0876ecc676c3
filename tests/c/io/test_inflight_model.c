/* Every interleaving of columns that want the last places, with a death at every step: never more than max, and nothing is stuck. */
#include "base/hash.h"
#include "io/ring.h"
#include "io/shm.h"
#include "model.h"
#define FGW_INFLIGHT_WAYS 1
#define FGW_INFLIGHT_PATIENCE 1
#include "io/inflight.c"

static struct fgw_shm *make(uint32_t workers)
{
    struct fgw_shm *m;
    int fd = fgw_shm_create(fgw_shm_fixed(workers), workers, &m);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(m, workers - 1);
    return m;
}

enum { KEY = 77 };
static struct fgw_shm *shm_;
static struct { uint64_t word[3][8]; } lines_;
static uint32_t max_;
static int rounds_;

static void gather(void) { for (uint32_t c = 0; c < 3; c++) memcpy(lines_.word[c], set_of(shm_, c, KEY), 64); }
static void scatter(void) { for (uint32_t c = 0; c < 3; c++) memcpy(set_of(shm_, c, KEY), lines_.word[c], 64); }
static void reset(void) { memset(&lines_, 0, sizeof lines_), scatter(); }

/* result: bit 0 holds a place now; from bit 8: how often it was served */
static void worker(int i)
{
    for (int k = 0; k < rounds_; k++) {
        bool back;
        _Atomic uint64_t *at = fgw_inflight_take(shm_, (uint32_t)i, KEY, max_, &back);
        if (!at) continue;
        model_result[i] = (model_result[i] + 256) | 1;
        int held = 0;
        for (int j = 0; j < 3; j++) held += (int)(model_result[j] & 1);
        OK(held <= (int)max_);
        model_step();
        model_result[i] &= ~1ull;
        fgw_inflight_sub(at);
    }
}
static void w0(void) { worker(0); }
static void w1(void) { worker(1); }
static void w2(void) { worker(2); }

static void check(void)
{
    for (int i = 0; i < 3; i++)
        if (model_dead(i)) memset(set_of(shm_, (uint32_t)i, KEY), 0, 64);
    EQ(fgw_inflight_sum(shm_, KEY), 0);                /* nothing is stuck */
    bool back;
    OK(fgw_inflight_take(shm_, 2, KEY, 1, &back) != NULL);
}

TEST(never_more_than_max_and_nothing_is_stuck)
{
    shm_ = make(3);
    for (max_ = 1; max_ <= 2; max_++)
        for (int actors = 2; actors <= 3; actors++) {
            rounds_ = actors == 2 ? 2 : 1;
            OK(model_run(&(struct model){.actors = actors, .actor = {w0, w1, w2}, .memory = &lines_, .size = sizeof lines_,
                                         .gather = gather, .scatter = scatter, .reset = reset, .check = check, .kills = 2, .preemptions = actors == 2 ? 6 : 3}) > 20);
        }
    fgw_shm_unmap(shm_);
}
TEST_MAIN()
