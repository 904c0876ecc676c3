#include "io/wheel.c"
#include "../test.h"
#include "../base/death.h"
#include "../base/random.h"

enum { TIMERS = 200, NOBODY = -1 };
static struct fgw_wheel wheel;
static struct fgw_timer timers[TIMERS];

/* ------------------------------------------------------------ what the header promises, checked by looking everywhere */

static int in_list(struct fgw_link *l) { int n = 0; for (struct fgw_link *k = l->next; k != l; k = k->next) n++; return n; }

static bool slot_holds(unsigned level, unsigned slot)
{
    struct fgw_link *head = &wheel.slots[level][slot];
    for (struct fgw_link *k = head->next; k != head; k = k->next) {
        struct fgw_timer *t = fgw_container(k, struct fgw_timer, link);
        bool due = level == 0 && slot == 0, far = level == TOP && slot == 0;
        if (!t->deadline || t->slot_at > t->deadline) return false;
        if (due ? t->slot_at != 0 : far ? t->slot_at != span_end(wheel.now) : t->slot_at <= wheel.now) return false;
        if (due || far) continue;
        struct place at = place_of(wheel.now, t->slot_at);
        if (at.level != level || at.slot != slot || at.at != t->slot_at) return false;
    }
    return fgw_list_empty(head) == !(wheel.bits[level] >> slot & 1);
}

static bool holds(void)
{
    uint64_t armed = 0;
    for (unsigned level = 0; level < FGW_WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < FGW_WHEEL_SLOTS; slot++) {
            if (!slot_holds(level, slot)) return false;
            armed += (uint64_t)in_list(&wheel.slots[level][slot]);
        }
    return armed == wheel.armed;
}

/* ---------------------------------------------------------------------------------------------------- single timers */

static int fired;
static void count(struct fgw_timer *t) { OK(!fgw_timer_armed(t) && !fgw_link_in(&t->link)); fired++; }
static void setup(uint64_t now)
{
    fgw_wheel_init(&wheel, now);
    memset(timers, 0, sizeof(timers));
    for (int i = 0; i < TIMERS; i++) timers[i].fire = count;
    fired = 0;
}

TEST(never_before_and_at_the_first_advance_after)
{
    static const uint64_t STARTS[] = {0, 1, 63, 4095, 123456789, (1ull << 36) - 1, (1ull << 36), (7ull << 36) - 5000};
    for (unsigned s = 0; s < FGW_COUNT(STARTS); s++)
        for (uint64_t delay = 1; delay < 1ull << 38; delay = delay * 3 + 1) {
            setup(STARTS[s]);
            fgw_timer_set(&wheel, &timers[0], STARTS[s] + delay);
            OK(fgw_timer_armed(&timers[0]) && wheel.armed == 1 && holds());
            fgw_wheel_advance(&wheel, STARTS[s] + delay - 1);
            OK(fired == 0 && holds());
            fgw_wheel_advance(&wheel, STARTS[s] + delay);
            OK(fired == 1 && !fgw_timer_armed(&timers[0]) && wheel.armed == 0 && holds());
            fgw_wheel_advance(&wheel, STARTS[s] + 2 * delay);
            EQ(fired, 1);
        }
}

/* A loop that sleeps until next() comes to the deadline itself, and does not wake more often than there are levels. */
TEST(following_next_leads_to_the_deadline)
{
    static const uint64_t STARTS[] = {0, 77, (1ull << 36) - 3};
    for (unsigned s = 0; s < FGW_COUNT(STARTS); s++)
        for (uint64_t delay = 1; delay < 1ull << 38; delay = delay * 2 + 1) {
            setup(STARTS[s]);
            uint64_t deadline = STARTS[s] + delay;
            fgw_timer_set(&wheel, &timers[0], deadline);
            int wakes = 0;
            while (fired == 0 && wakes < 100) {
                uint64_t next = fgw_wheel_next(&wheel);
                OK(next > wheel.now && next <= deadline);
                fgw_wheel_advance(&wheel, next);
                wakes++;
            }
            EQ(wheel.now, deadline);
            OK(wakes <= FGW_WHEEL_LEVELS + 4);
            OK(fgw_wheel_next(&wheel) == UINT64_MAX);
        }
}

TEST(the_past_and_now_wait_for_the_next_advance_even_within_the_same_millisecond)
{
    setup(1000);
    fgw_timer_set(&wheel, &timers[0], 1000);
    fgw_timer_set(&wheel, &timers[1], 3);
    fgw_timer_set(&wheel, &timers[2], 0);
    OK(fgw_timer_armed(&timers[2]) && fired == 0 && holds());
    EQ(fgw_wheel_next(&wheel), 1000);
    fgw_wheel_advance(&wheel, 1000);
    EQ(fired, 3);
    OK(fgw_wheel_next(&wheel) == UINT64_MAX && holds());
}

TEST(cancel)
{
    setup(0);
    fgw_timer_cancel(&wheel, &timers[0]);
    for (int i = 0; i < 3; i++) fgw_timer_set(&wheel, &timers[i], 500);
    fgw_timer_cancel(&wheel, &timers[1]);
    fgw_timer_cancel(&wheel, &timers[1]);
    OK(holds() && wheel.armed == 2 && fgw_wheel_next(&wheel) <= 500);
    fgw_timer_cancel(&wheel, &timers[0]);
    fgw_timer_cancel(&wheel, &timers[2]);
    OK(holds() && wheel.armed == 0 && fgw_wheel_next(&wheel) == UINT64_MAX);
    fgw_wheel_advance(&wheel, 10000);
    EQ(fired, 0);
}

TEST(a_later_deadline_is_only_stored)
{
    setup(0);
    fgw_timer_set(&wheel, &timers[0], 100);
    struct fgw_link before = timers[0].link;
    uint64_t slot_at = timers[0].slot_at;
    for (uint64_t d = 100; d < 60000; d += 7) fgw_timer_set(&wheel, &timers[0], d);
    OK(timers[0].link.next == before.next && timers[0].link.prev == before.prev && timers[0].slot_at == slot_at);
    fgw_timer_set(&wheel, &timers[0], 70000);
    fgw_timer_set(&wheel, &timers[0], 50000);     /* earlier than the last, still after its slot */
    EQ(timers[0].slot_at, slot_at);
    OK(fgw_wheel_next(&wheel) <= 100);
    fgw_wheel_advance(&wheel, 49999);
    OK(fired == 0 && holds());
    fgw_wheel_advance(&wheel, 50000);
    EQ(fired, 1);
}

TEST(an_earlier_deadline_moves)
{
    setup(0);
    fgw_timer_set(&wheel, &timers[0], 1ull << 37);
    fgw_timer_set(&wheel, &timers[0], 5000);
    OK(holds());
    fgw_timer_set(&wheel, &timers[0], 50);
    OK(holds() && wheel.armed == 1 && fgw_wheel_next(&wheel) == 50);
    fgw_wheel_advance(&wheel, 49);
    EQ(fired, 0);
    fgw_wheel_advance(&wheel, 50);
    EQ(fired, 1);
}

TEST(a_deadline_that_never_comes)
{
    setup(12345);
    fgw_timer_set(&wheel, &timers[0], UINT64_MAX);
    for (uint64_t years = 1; years < 100; years++) {
        uint64_t now = years * 365 * 86400000;
        OK(fgw_wheel_next(&wheel) > wheel.now);
        fgw_wheel_advance(&wheel, now);
        OK(fired == 0 && wheel.armed == 1 && holds());
    }
    fgw_timer_cancel(&wheel, &timers[0]);
    OK(holds() && wheel.armed == 0);
}

/* --------------------------------------------------------------------------------- fire functions that act on others */

static struct fgw_timer *victim;
static uint64_t victim_deadline;       /* 0: cancel it */
static void act(struct fgw_timer *t)
{
    count(t);
    if (victim_deadline) fgw_timer_set(&wheel, victim, victim_deadline);
    else fgw_timer_cancel(&wheel, victim);
}

TEST(firing_may_cancel_what_is_due_too)
{
    setup(0);
    timers[0].fire = act;
    victim = &timers[1];
    victim_deadline = 0;
    for (int i = 0; i < 3; i++) fgw_timer_set(&wheel, &timers[i], 10);
    fgw_wheel_advance(&wheel, 20);
    EQ(fired, 2);
    OK(!fgw_timer_armed(&timers[1]) && wheel.armed == 0 && holds());
}

TEST(firing_may_put_off_what_is_due_too)
{
    setup(0);
    timers[0].fire = act;
    victim = &timers[1];
    victim_deadline = 30;
    for (int i = 0; i < 3; i++) fgw_timer_set(&wheel, &timers[i], 10);
    fgw_wheel_advance(&wheel, 20);
    EQ(fired, 2);
    OK(fgw_timer_armed(&timers[1]) && wheel.armed == 1 && holds());
    fgw_wheel_advance(&wheel, 29);
    EQ(fired, 2);
    fgw_wheel_advance(&wheel, 30);
    EQ(fired, 3);
}

TEST(what_is_due_and_set_to_an_earlier_past_is_still_due)
{
    setup(0);
    timers[0].fire = act;
    victim = &timers[1];
    victim_deadline = 5;               /* before the slot in which it was found */
    for (int i = 0; i < 3; i++) fgw_timer_set(&wheel, &timers[i], 10);
    fgw_wheel_advance(&wheel, 20);
    EQ(fired, 3);
    OK(wheel.armed == 0 && holds());
}

TEST(a_timer_that_sets_itself_fires_once_an_advance)
{
    setup(0);
    timers[0].fire = act;
    victim = &timers[0];
    victim_deadline = 1;               /* for ever in the past */
    fgw_timer_set(&wheel, &timers[0], 1);
    for (int i = 1; i <= 5; i++) {
        fgw_wheel_advance(&wheel, 86400000);
        EQ(fired, i);
        EQ(fgw_wheel_next(&wheel), 86400000);
    }
    fgw_timer_cancel(&wheel, &timers[0]);
    OK(holds() && fgw_wheel_next(&wheel) == UINT64_MAX);
}

static void free_self(struct fgw_timer *t) { fired++; free(t); }
TEST(a_fired_timer_is_not_looked_at_again)
{
    setup(0);
    for (int i = 0; i < 10; i++) {
        struct fgw_timer *t = calloc(1, sizeof(*t));
        t->fire = free_self;
        fgw_timer_set(&wheel, t, 10 + (uint64_t)i % 2);
    }
    fgw_wheel_advance(&wheel, 1000);
    EQ(fired, 10);
}

/* -------------------------------------------------------------------------------- random use against a table of times */

static uint64_t model[TIMERS];         /* deadline; 0: not armed */
static bool owed[TIMERS];              /* was due when this advance began and has not been touched since */
static uint64_t until;                 /* the time of this advance; 0: between two */
static unsigned long early, unarmed, missed, fires;

static uint64_t some_deadline(void)
{
    uint64_t now = until ? until : wheel.now;
    switch (random_below(9)) {
    case 0: return now - random_below(now < 300 ? now + 1 : 300);
    case 1: case 2: return now + random_below(100);
    case 3: case 4: return now + random_below(10000);
    case 5: return now + random_below(10000000);
    case 6: return now + random_below(1ull << 35);
    case 7: return now + random_below(1ull << 38);
    default: return (now | ((1ull << 6 * (1 + random_below(6))) - 1)) + random_below(3);    /* around a slot's border */
    }
}

static void model_act(void)
{
    int i = (int)random_below(TIMERS);
    owed[i] = false;
    switch (random_below(4)) {
    case 0:
        fgw_timer_cancel(&wheel, &timers[i]);
        model[i] = 0;
        return;
    case 1:                            /* pushed back, as idle timers are */
        if (!model[i]) return;
        model[i] += random_below(60000);
        break;
    default:
        model[i] = some_deadline();
        model[i] += !model[i];
    }
    fgw_timer_set(&wheel, &timers[i], model[i]);
}

static void model_fire(struct fgw_timer *t)
{
    int i = (int)(t - timers);
    fires++;
    unarmed += !model[i] || fgw_timer_armed(t);
    early += model[i] > until;
    model[i] = 0;
    owed[i] = false;
    for (uint64_t n = random_below(4); n > 1; n--) model_act();
}

static void model_advance(uint64_t now)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        owed[i] = model[i] && model[i] <= now;
        if (model[i] && model[i] < first) first = model[i];
    }
    uint64_t next = fgw_wheel_next(&wheel);
    OK(next <= (first > wheel.now ? first : wheel.now) && (next == UINT64_MAX) == (first == UINT64_MAX));
    until = now;
    fgw_wheel_advance(&wheel, now);
    until = 0;
    for (int i = 0; i < TIMERS; i++) {
        missed += owed[i];
        OK(fgw_timer_armed(&timers[i]) == (model[i] != 0) && timers[i].deadline == model[i]);
    }
}

static uint64_t some_step(void)
{
    switch (random_below(12)) {
    case 0: return 0;
    case 1: case 2: case 3: case 4: case 5: return 1;
    case 6: case 7: return random_below(70);
    case 8: return random_below(5000);
    case 9: return random_below(300000);
    case 10: return random_below(10) ? random_below(1000) : random_below(86400000ull * 30);
    default: {
        uint64_t next = fgw_wheel_next(&wheel);
        return next == UINT64_MAX || random_below(4) ? random_below(3) : next - wheel.now;
    }
    }
}

static void random_run(uint64_t start, int rounds)
{
    setup(start);
    memset(model, 0, sizeof(model));
    early = unarmed = missed = fires = 0;
    for (int i = 0; i < TIMERS; i++) timers[i].fire = model_fire;
    for (int round = 0; round < rounds; round++) {
        for (uint64_t n = random_below(8); n > 0; n--) model_act();
        model_advance(wheel.now + some_step());
        if (round % 16 == 0 && !holds()) { EQ(round, NOBODY); return; }
    }
    EQ(early, 0);
    EQ(unarmed, 0);
    EQ(missed, 0);
    OK(fires > (unsigned long)rounds / 10);
}

TEST(random_use_agrees_with_the_model)
{
    static const uint64_t STARTS[] = {0, 1000, 4095, 86400000, (1ull << 36) - 20000, (5ull << 36) - 1, 1ull << 40};
    for (unsigned s = 0; s < FGW_COUNT(STARTS); s++) {
        random_seed(s + 9);
        random_run(STARTS[s], 6000);
    }
}

#ifdef FGW_DEBUG
TEST(time_may_not_go_back)
{
    setup(100);
    DIES(fgw_wheel_advance(&wheel, 99));
}
#endif

TEST_MAIN()
