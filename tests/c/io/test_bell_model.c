/* Every interleaving of one who waits with those who have news for it, with a death at every step: nobody sleeps over news. */
#include "base/hash.h"
#include "io/loop.h"
#include "io/shm.h"
#include "model.h"
#include <sys/eventfd.h>
#define FGW_BELL_ROOM 2
#define FGW_BELL_TRIES 1

static _Atomic uint64_t rung_;                         /* the eventfd of column 0 */
static void model_write(void) { atomic_fetch_add_explicit(&rung_, 1, memory_order_seq_cst); }
#define eventfd_write(fd, n) ((void)(fd), model_write())
#define eventfd_read(fd, n) ((void)(n), atomic_store_explicit(&rung_, 0, memory_order_seq_cst))
#include "io/bell.c"

enum { TOPIC = 3, ASLEEP = 1, SATISFIED = 2 };
static _Alignas(64) char room_[sizeof(struct fgw_shm) + 64 + 3 * FGW_SHM_BELL];
static struct fgw_shm *const shm_ = (struct fgw_shm *)(void *)room_;
static struct fgw_loop loop_;
static struct fgw_bells end_[3];
static _Atomic uint64_t news_[3];                      /* what writer i changed, before it rings */
static uint64_t heard_, had_;                          /* what the listener was told to look at; what it has found there */
static uint64_t what_[3];
static bool by_name_;
static int times_;

static struct { uint64_t rung, listening, news[3], heard, had, state, want; struct fgw_bell bell; } world_;

static void gather(void)
{
    memset(&world_, 0, sizeof world_);
    world_.rung = rung_, world_.listening = shm_->listening[0], world_.heard = heard_, world_.had = had_;
    world_.state = end_[0].state, world_.want = end_[0].want;
    memcpy(world_.news, (void *)news_, sizeof news_);
    memcpy(&world_.bell, bell_of(shm_, 0), sizeof world_.bell);
}
static void scatter(void)
{
    rung_ = world_.rung;
    shm_->listening[0] = world_.listening;
    heard_ = world_.heard, had_ = world_.had;
    end_[0].state = (enum fgw_bell_state)world_.state, end_[0].want = world_.want;
    memcpy((void *)news_, world_.news, sizeof news_);
    memcpy(bell_of(shm_, 0), &world_.bell, sizeof world_.bell);
}

static void heard(struct fgw_bells *b, uint32_t topic, uint64_t what)
{
    (void)b;
    for (int i = 1; i < 3; i++)
        if (topic == FGW_BELL_ALL || what == what_[i]) heard_ |= 1ull << i;
}

static void reset(void)
{
    memset(room_, 0, sizeof room_);
    shm_->bells_off = (sizeof(struct fgw_shm) + 63) & ~63ull, shm_->workers = shm_->used = 3;
    fgw_list_init(&loop_.ready);
    for (uint32_t i = 0; i < 3; i++) {
        fgw_bells_init(&end_[i], shm_, i, &loop_, heard);
        for (int k = 0; k < 3; k++) end_[i].fd[k] = 1;
    }
    memset((void *)news_, 0, sizeof news_);
    rung_ = heard_ = had_ = 0;
    gather();
}

static void look_where_told(void)
{
    for (uint64_t i = 1; i < 3; i++)
        if (heard_ >> i & 1) had_ += atomic_exchange_explicit(&news_[i], 0, memory_order_seq_cst);
    heard_ = 0;
}

/* Column 0 waits for all the news there will be. What it does is what a worker's turns and settles do. */
static void listener(void)
{
    struct fgw_bells *b = &end_[0];
    fgw_bell_want(b, TOPIC);
    heard_ = 6;                                        /* "afterwards, look once more" */
    for (;;) {
        look_where_told();
        if (had_ == (uint64_t)(model_.m->actors - 1) * (uint64_t)times_) break;
        if (fgw_bell_rest(b)) {
            fgw_link_remove(&b->job.link);             /* to look again is what this loop does */
            continue;
        }
        if (atomic_load_explicit(&rung_, memory_order_seq_cst) == 0) {
            model_result[0] = ASLEEP;
            return;
        }
        b->watch.ready(&b->watch, 1);
    }
    fgw_bell_unwant(b, TOPIC);
    model_result[0] = SATISFIED;
}

static void writer(uint32_t i)
{
    for (int k = 0; k < times_; k++) {
        atomic_fetch_add_explicit(&news_[i], 1, memory_order_seq_cst);
        if (by_name_) fgw_bell_ring(&end_[i], 0, TOPIC, what_[i]);
        else fgw_bell_call(&end_[i], TOPIC, what_[i]);
    }
}
static void writer1(void) { writer(1); }
static void writer2(void) { writer(2); }

static void check(void)
{
    if (model_result[0] != ASLEEP) return;
    bool dead = false, over = news_[1] || news_[2];
    for (int i = 1; i < model_.m->actors; i++) dead |= model_dead(i);
    if (dead) fgw_bell_look_at_all(shm_, 0), rung_++;  /* what the supervisor does */
    if (!over) return;
    OK(rung_ > 0);                                     /* it will be woken, */
    end_[0].watch.ready(&end_[0].watch, 1);
    for (int i = 1; i < 3; i++) OK(!news_[i] || heard_ >> i & 1);      /* and told where to look */
}

static uint64_t explore(int actors, int kills)
{
    return model_run(&(struct model){.actors = actors, .actor = {listener, writer1, writer2}, .memory = &world_, .size = sizeof world_, .gather = gather,
                                     .scatter = scatter, .reset = reset, .check = check, .kills = kills, .preemptions = actors > 2 ? 5 - times_ : 0});
}

static void all_ways(uint64_t first, uint64_t second)
{
    what_[1] = first, what_[2] = second;
    for (int named = 0; named < 2; named++)
        for (times_ = 1; times_ <= 2; times_++) {
            by_name_ = named;
            OK(explore(2, 1) > 20);
            OK(explore(3, 2) > 200);
        }
}

TEST(nobody_sleeps_over_the_same_news_from_two_sides) { all_ways(0, 0); }
TEST(nobody_sleeps_over_news_that_found_no_room_or_some)
{
    uint64_t same = 1, other = 1;                      /* messages that are tried at the word of message 0, and at the other one */
#define FIRST(w) ((uint32_t)((((uint64_t)TOPIC << TOPIC_SHIFT | SAID | (w)) * 0x9e3779b97f4a7c15ull) >> 32) % FGW_BELL_ROOM)
    while (FIRST(same) != FIRST(0)) same++;
    while (FIRST(other) == FIRST(0)) other++;
    all_ways(0, same);
    all_ways(0, other);
}

/* The listener is dead, its column reset and given to another one, while a writer goes on: nothing of it can be missed. */
static void next_life(void)
{
    fgw_bell_want(&end_[0], TOPIC);
    model_step();
    fgw_bell_reset(shm_, 0);
    end_[0].want = 0, end_[0].state = FGW_BELL_IDLE;
    listener();
}
TEST(a_successor_misses_nothing)
{
    what_[1] = 0, what_[2] = 1, times_ = 1;
    for (int named = 0; named < 2; named++) {
        by_name_ = named;
        OK(model_run(&(struct model){.actors = 3, .actor = {next_life, writer1, writer2}, .memory = &world_, .size = sizeof world_, .gather = gather,
                                     .scatter = scatter, .reset = reset, .check = check, .kills = 2, .preemptions = 3}) > 200);
    }
}
TEST_MAIN()
