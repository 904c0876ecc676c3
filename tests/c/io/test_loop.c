#include "io/loop.c"
#include <string.h>
#include "test.h"

static struct fgw_loop l;
static uint64_t now = 1000;
static uint64_t mono(void *ctx) { (void)ctx; return now * 1000000; }
static const struct fgw_clock_source clock_source = {mono, mono, NULL};
static char order[64];
static void say(char c) { order[strlen(order)] = c; }
static void begin(void)
{
    memset(order, 0, sizeof order);
    OK(fgw_loop_init(&l, &clock_source, 0) == 0);
}

static int ran;
static void again(struct fgw_job *j) { ran++; fgw_job_add(&l.ready, j); }

TEST(ready_work_wakes_the_loop_and_cannot_hog_it)
{
    struct fgw_job j = {.run = again};
    begin();
    ran = 0;
    EQ(fgw_loop_turn(&l, 0), 0);
    fgw_job_add(&l.ready, &j);
    fgw_loop_settle(&l);
    EQ(ran, FGW_LOOP_ROUNDS);
    EQ(fgw_loop_turn(&l, 0), 1);         /* the eventfd: a loop that nests this one is woken */
    EQ(fgw_loop_turn(&l, 0), 1);
    fgw_link_remove(&j.link);
    fgw_loop_settle(&l);
    EQ(fgw_loop_turn(&l, 0), 0);
    fgw_loop_fini(&l);
}

static struct fgw_job ready_job, dirty_job, dead_job, more;
static void on_ready(struct fgw_job *j) { (void)j; say('r'); fgw_job_add(&l.dirty, &dirty_job), fgw_job_add(&l.dead, &dead_job); }
static void on_dirty(struct fgw_job *j) { (void)j; say('w'); if (!strchr(order, 'm')) fgw_job_add(&l.ready, &more); }
static void on_more(struct fgw_job *j) { (void)j; say('m'); fgw_job_add(&l.dirty, &dirty_job); }
static void on_dead(struct fgw_job *j) { (void)j; say('d'); }

TEST(settle_runs_what_is_ready_flushes_and_frees_last)
{
    begin();
    ready_job = (struct fgw_job){.run = on_ready}, dirty_job = (struct fgw_job){.run = on_dirty};
    more = (struct fgw_job){.run = on_more}, dead_job = (struct fgw_job){.run = on_dead};
    fgw_job_add(&l.ready, &ready_job), fgw_job_add(&l.ready, &ready_job);            /* once on a list is once */
    fgw_loop_settle(&l);
    EQ(strcmp(order, "rwmwd"), 0);       /* what a flush makes ready runs too, and what that makes dirty; the dead after all of it */
    OK(fgw_list_empty(&l.ready) && fgw_list_empty(&l.dirty) && fgw_list_empty(&l.dead));
    fgw_loop_settle(&l);
    EQ(strlen(order), 5);
    fgw_loop_fini(&l);
}

static int flushes;
static void flush_again(struct fgw_job *j) { if (++flushes < 20) fgw_job_add(&l.dirty, j); }

TEST(nothing_stays_dirty)
{
    struct fgw_job j = {.run = flush_again};
    begin();
    fgw_job_add(&l.dirty, &j);
    fgw_loop_settle(&l);
    EQ(flushes, 20);
    fgw_loop_fini(&l);
}

/* ---- timers ---- */
static int fired;
static void fire(struct fgw_timer *t) { (void)t; fired++; }

TEST(timers_fire_in_the_turn_in_which_they_are_due)
{
    struct fgw_timer t = {.fire = fire}, u = {.fire = fire};
    begin();
    fired = 0;
    fgw_loop_timer(&l, &t, 50), fgw_loop_timer(&l, &u, 70);
    fgw_loop_settle(&l);
    now += 49, fgw_loop_turn(&l, 0), fgw_loop_settle(&l);
    EQ(fired, 0);
    now += 1, fgw_loop_turn(&l, 0), fgw_loop_settle(&l);
    EQ(fired, 1);
    OK(!fgw_timer_armed(&t) && fgw_timer_armed(&u));
    fgw_loop_timer(&l, &u, 0);           /* never */
    now += 1000, fgw_loop_turn(&l, 0), fgw_loop_settle(&l);
    EQ(fired, 1);
    EQ(l.wheel.armed, 0);
    fgw_loop_fini(&l);
}

TEST(a_nesting_loop_is_woken_by_the_first_deadline)
{
    struct fgw_timer t = {.fire = fire};
    OK(fgw_loop_init(&l, NULL, 0) == 0);                     /* the real clock: it is the timerfd that is asked */
    fired = 0;
    fgw_loop_timer(&l, &t, 1);
    fgw_loop_settle(&l);
    OK(l.timer_at != UINT64_MAX);
    for (int i = 0; i < 100 && !fired; i++) fgw_loop_turn(&l, 100), fgw_loop_settle(&l);
    EQ(fired, 1);
    fgw_loop_fini(&l);
}

TEST(time_in_which_the_loop_should_have_run_and_did_not_is_a_stall)
{
    struct fgw_timer t = {.fire = fire};
    begin();
    now += 60000, fgw_loop_turn(&l, 0), fgw_loop_settle(&l);
    EQ(l.stalled_ms, 0);                 /* there was nothing to wake up for */
    fgw_loop_timer(&l, &t, 3600000), fgw_loop_settle(&l);
    EQ(l.timer_at, now + FGW_LOOP_TICK_MS);
    now += FGW_LOOP_TICK_MS + FGW_LOOP_LATE_MS, fgw_loop_turn(&l, 0);
    EQ(l.stalled_ms, 0);                 /* a little late is usual */
    l.timer_at = 0, fgw_loop_settle(&l); /* as if the timerfd, which goes by the real clock, had been due */
    EQ(l.timer_at, now + FGW_LOOP_TICK_MS);
    now += FGW_LOOP_TICK_MS + 11000, fgw_loop_turn(&l, 0);
    EQ(l.stalled_ms, 11000);
    fgw_loop_turn(&l, 0), fgw_loop_turn(&l, 0);
    EQ(l.stalled_ms, 11000);             /* counted once, however long the timerfd is not in the batch */
    now += 60000, fgw_loop_pass(&l), fgw_loop_turn(&l, 0);
    EQ(l.stalled_ms, 11000);             /* a test's time */
    EQ(fgw_loop_ran_ms(&l), now - 11000);
    fgw_loop_timer(&l, &t, 0);
    fgw_loop_fini(&l);
}

TEST(a_loop_that_has_timers_wakes_once_a_second)
{
    struct fgw_timer t = {.fire = fire};
    OK(fgw_loop_init(&l, NULL, 0) == 0);
    fired = 0;
    fgw_loop_timer(&l, &t, 3600000), fgw_loop_settle(&l);
    for (int i = 0; i < 100 && l.timer_at; i++) fgw_loop_turn(&l, 100);
    EQ(l.timer_at, 0);                   /* it was due */
    EQ(fired, 0);
    fgw_loop_settle(&l);
    OK(l.timer_at > fgw_loop_ms(&l) && l.timer_at <= fgw_loop_ms(&l) + FGW_LOOP_TICK_MS);
    fgw_loop_timer(&l, &t, 0);
    fgw_loop_fini(&l);
}

/* ---- watches ---- */
static uint32_t seen;
static void watched(struct fgw_watch *w, uint32_t events) { (void)w; seen = events, say('e'); }

TEST(watches_are_level_triggered_changed_and_removed)
{
    int p[2];
    begin();
    OK(pipe(p) == 0);
    struct fgw_watch w = {.fd = p[0], .ready = watched};
    EQ(fgw_watch_add(&l, &w, EPOLLIN), 0);
    EQ(fgw_watch_add(&l, &w, EPOLLIN), -1);
    EQ(errno, EEXIST);
    EQ(write(p[1], "x", 1), 1);
    uint64_t events = l.events;
    EQ(fgw_loop_turn(&l, 0), 1);
    EQ(fgw_loop_turn(&l, 0), 1);
    EQ(l.events, events + 2);
    OK(seen & EPOLLIN);
    fgw_watch_mod(&l, &w, 0);
    EQ(fgw_loop_turn(&l, 0), 0);
    fgw_watch_mod(&l, &w, EPOLLIN);
    EQ(fgw_loop_turn(&l, 0), 1);
    fgw_watch_del(&l, &w);
    EQ(w.events, 0);
    EQ(fgw_loop_turn(&l, 0), 0);
    struct fgw_watch none = {.fd = -1};
    fgw_watch_mod(&l, &none, EPOLLIN), fgw_watch_del(&l, &none);           /* fine: there is nothing to change */
    close(p[0]), close(p[1]);
    fgw_loop_fini(&l);
}

TEST(the_clock_is_read_each_turn_and_never_between)
{
    begin();
    uint64_t t = fgw_loop_ms(&l);
    now += 5;
    EQ(fgw_loop_ms(&l), t);
    fgw_loop_turn(&l, 0);
    EQ(fgw_loop_ms(&l), t + 5);
    fgw_loop_fini(&l);
}

TEST_MAIN()
