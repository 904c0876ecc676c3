/* Every interleaving of takers of one set, with a death at every step: no key gets more than its due, none is in two entries,
 * and what a killed process leaves behind hinders nobody. */
#include "model.h"
#define FGW_BUCKET_WAYS 2
#include "policy/bucket.c"

enum { T = 100, START = 10000,                         /* one request costs T */
       PREEMPTIONS = 3 };                              /* with three actors; two are explored without a bound */
static struct fgw_bucket_set set;
static uint64_t expired, busy;                         /* the entries' times at the beginning */
static uint64_t keys[MODEL_ACTORS], times[MODEL_ACTORS], tau, shared_at;
static int takes;

static void reset(void)
{
    memset(&set, 0, sizeof set);
    set.e[0].lo = 71;
    set.e[0].hi = expired;
    set.e[1].lo = 72;
    set.e[1].hi = busy;
    set.shared = shared_at;
}

static void taker(int i)
{
    for (int k = 0; k < takes; k++) model_result[i] += fgw_bucket_take(&set, keys[i], times[i], T, tau).pass;
}
static void taker0(void) { taker(0); }
static void taker1(void) { taker(1); }
static void taker2(void) { taker(2); }

static bool twice(void) { return set.e[0].lo && set.e[0].lo == set.e[1].lo; }

/* All that a key has passed, and what it can still pass now, is not more than one bucket, less what it owed before. */
static void room_again(void);
static void at_most(uint64_t due)
{
    uint64_t now = 0;
    OK(!twice());
    for (int i = 0; i < model_.m->actors; i++) now = times[i] > now ? times[i] : now;
    for (int i = 0; i < model_.m->actors; i++) {
        uint64_t passed = 0;
        for (int k = 0; k < model_.m->actors; k++)
            if (keys[k] == keys[i]) passed += model_result[k];
        while (fgw_bucket_take(&set, keys[i], now, T, tau).pass && passed < 100) passed++;
        OK(passed <= due);
        OK(!twice());
    }
    room_again();
}
/* Much later all is at rest: as many new keys as there are entries get one each, whatever the dead left behind. */
static void room_again(void)
{
    uint64_t far = START + 1000000;
    fgw_bucket_take(&set, 97, far, T, T);
    OK(!fgw_bucket_take(&set, 98, far + 1000, T, T).was_shared);
    OK(!fgw_bucket_take(&set, 99, far + 1000, T, T).was_shared);
    OK(!twice());
}
static void whole(void)
{
    OK(!twice());
    room_again();
}
static void not_twice(void) { OK(!twice()); }
static void each_passed(void)
{
    for (int i = 0; i < model_.m->actors; i++) OK(model_dead(i) || model_result[i] == 1);
    whole();
}
static void at_most_two(void) { at_most(2); }
static void at_most_one(void) { at_most(1); }

/* And not less, when nobody died and nobody paid into the shared bucket. */
static void exactly_two(void)
{
    uint64_t passed = 0, dead = 0, shared = set.shared;
    for (int i = 0; i < model_.m->actors; i++) passed += model_result[i], dead += model_dead(i);
    at_most(2);
    if (!dead && !shared) EQ(passed, 2);
}

static uint64_t explore(int actors, int kills, void (*check)(void))
{
    return model_run(&(struct model){.actors = actors, .actor = {taker0, taker1, taker2}, .memory = &set, .size = sizeof set,
                                     .reset = reset, .check = check, .kills = kills, .preemptions = actors > 2 ? PREEMPTIONS : 0});
}
static void given(uint64_t first, uint64_t second, uint64_t shared, uint64_t burst, int n)
{
    expired = first, busy = second, shared_at = shared, tau = burst * T, takes = n;
    for (int i = 0; i < MODEL_ACTORS; i++) keys[i] = 1, times[i] = START;
}

TEST(one_new_key_from_two_sides)
{
    given(START - 5, START + 50, 0, 2, 2);
    OK(explore(2, 1, exactly_two) > 100);
}
TEST(one_known_key_from_three_sides)
{
    given(START - 5, START + 50, 0, 2, 1);
    keys[0] = keys[1] = keys[2] = 71;
    OK(explore(3, 1, exactly_two) > 100);
}
TEST(one_new_key_from_three_sides)
{
    given(START - 5, START - 3, 0, 2, 1);
    OK(explore(3, 1, exactly_two) > 1000);
}
TEST(two_new_keys_for_one_entry)
{
    given(START - 5, START + 900, 0, 2, 2);
    keys[1] = 2;
    OK(explore(2, 1, at_most_two) > 100);
}
TEST(clocks_that_differ_see_different_room)            /* for one the entry is full, for the other it is not yet */
{
    given(START + 50, START + 900, START + 30, 1, 1);
    times[1] = START + 60;
    OK(explore(2, 1, at_most_one) > 100);
    keys[2] = 2, times[2] = START + 60;
    OK(explore(3, 1, at_most_one) > 1000);
}
TEST(a_key_that_shares_while_another_gets_it_an_entry)
{
    given(START + 50, START + 900, 0, 2, 2);
    times[1] = START + 60;
    OK(explore(2, 1, at_most_two) > 100);
}
TEST(the_old_key_comes_back_while_it_is_driven_out)
{
    given(START - 5, START + 900, 0, 1, 1);
    keys[0] = 71, keys[1] = 1, keys[2] = 71;
    OK(explore(3, 1, at_most_one) > 1000);
}
TEST(three_keys_and_two_deaths)
{
    given(START - 5, START - 5, START + 20, 1, 1);
    keys[1] = 2, keys[2] = 2;
    OK(explore(3, 2, at_most_one) > 1000);
}
TEST(nobody_is_refused_for_another_keys_debt)
{
    given(START - 5, START + 900, 0, 1, 1);
    keys[0] = 71, keys[1] = 2;
    OK(explore(2, 1, each_passed) > 20);
}

/* Key 1 is announced for the first entry by one who is dead; actor 0 is about to finish that. Actor 1 lives through what comes next. */
static void helper(void) { finish(&set, (value){1 << NUMBER_SHIFT | ANNOUNCED, 1}); }
static void announced(void)
{
    reset();
    set.e[0].lo = 0;
    set.insertion.lo = 1 << NUMBER_SHIFT | ANNOUNCED;
    set.insertion.hi = 1;
}
static uint64_t tell(void (*story)(void), void (*check)(void))
{
    return model_run(&(struct model){.actors = 2, .actor = {helper, story}, .memory = &set, .size = sizeof set, .reset = announced,
                                     .check = check, .kills = 1});
}

/* The key comes and goes, and comes to the other entry, when the first is emptied anew: it must not be put there once more. */
static void comes_and_goes(void)
{
    fgw_bucket_take(&set, 1, START + 20, T, T);
    fgw_bucket_take(&set, 2, START + 200, T, T);
    fgw_bucket_take(&set, 1, START + 260, T, T);
    fgw_bucket_take(&set, 3, START + 310, T, T);
}
TEST(an_announcement_is_finished_long_after_it_was_over)
{
    given(START, START + 250, 0, 1, 1);
    OK(tell(comes_and_goes, whole) > 50);
}

/* The same with the first entry empty at the very time that it had: its stamp tells the two apart. */
static void announcer(void)                            /* announces key 3 for the first entry, and dies */
{
    bool changed = false;
    value a = insertion(&set);
    if (!(a.lo & ANNOUNCED) && make_room(&set, a, START + 40, &changed) == 0)
        fgw_pair_cas(&set.insertion, a, (value){((a.lo >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT | ANNOUNCED, 3});
}
static void comes_back_as_it_was(void)
{
    fgw_bucket_take(&set, 2, START - 20, T, 0);        /* finds the announcement and finishes it; the entry ages to the time it had */
    announcer();
    fgw_bucket_take(&set, 1, START, T, T);             /* finishes that, lets the entry age to that time again; key 1 gets the other */
    fgw_bucket_take(&set, 4, START + 40, T, T);        /* empties the first again */
}
TEST(an_entry_is_emptied_at_the_time_that_it_had_before)
{
    given(START, START - 10, 0, 1, 1);
    OK(tell(comes_back_as_it_was, not_twice) > 50);
}
TEST_MAIN()
