#include "policy/concurrency.c"
#include "policy/limit_req.h"

static struct test_req *resumed;
static enum fgw_verdict verdict;
static const struct fgw_l_concurrency *with;
static struct test_req *all[8];

static void resume(struct fgw_limits *l, struct fgw_ticket t, enum fgw_verdict v)
{
    (void)l, (void)v;
    resumed = all[t.slot];
    verdict = on_request(&resumed->r, with, resumed->state);
}
static enum fgw_verdict ask(struct test_req *t, uint32_t slot, const struct fgw_l_concurrency *l)
{
    req_init(t);
    all[slot] = t, t->r.ticket.slot = slot, with = l, resumed = NULL;
    return on_request(&t->r, l, t->state);
}
static struct fgw_l_concurrency limit(uint32_t max, uint32_t queue)
{
    return (struct fgw_l_concurrency){.name = seg_str("c"), .policy = seg_str("p"), .max = max, .slot = 4, .queue_max = queue, .queue_ms = 100};
}
static void begin(void) { req_begin(), req_limits.resume = resume; }
static void end(struct test_req *t, const struct fgw_l_concurrency *l) { req_fini(t, &fgw_step_concurrency, l), fgw_loop_settle(&req_loop); }
static void pass(uint32_t ms) { req_ns += ms * 1000000ull, fgw_clock_update(&req_loop.clock), fgw_wheel_advance(&req_loop.wheel, req_loop.clock.mono_ms); }

TEST(so_many_at_once_and_no_more)
{
    struct test_req t[3];
    begin();
    struct fgw_l_concurrency l = limit(2, 0);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    EQ(ask(&t[1], 1, &l), FGW_NEXT);
    EQ(ask(&t[2], 2, &l), FGW_FAIL);
    EQ(t[2].r.fail.code, FGW_E_CONCURRENCY);
    EQ_STR(req_reply(&t[2], "Retry-After"), "1");
    EQ_STR(req_reply(&t[2], "RateLimit"), "\"c\";r=0");
    end(&t[2], &l);
    end(&t[0], &l);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    end(&t[0], &l), end(&t[1], &l);
    EQ(fgw_limit_cell(&req_limits, 4)->allowed, 3);
    EQ(fgw_limit_cell(&req_limits, 4)->limited, 1);
    req_end();
}

TEST(who_waits_is_served_in_order_when_a_place_is_given_back)
{
    struct test_req t[4];
    begin();
    struct fgw_l_concurrency l = limit(1, 2);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    EQ(ask(&t[1], 1, &l), FGW_PARK);
    EQ(ask(&t[2], 2, &l), FGW_PARK);
    EQ(ask(&t[3], 3, &l), FGW_FAIL);
    end(&t[3], &l);
    end(&t[0], &l);
    OK(resumed == &t[1] && verdict == FGW_NEXT);
    EQ(ask(&t[0], 0, &l), FGW_PARK);                   /* behind those who wait, though none of them has been refused */
    end(&t[1], &l);
    OK(resumed == &t[2]);
    end(&t[2], &l);
    OK(resumed == &t[0]);
    end(&t[0], &l);
    EQ(req_limits.waiting, 0);
    req_end();
}

TEST(who_waits_too_long_is_refused_and_who_leaves_is_forgotten)
{
    struct test_req t[3];
    begin();
    struct fgw_l_concurrency l = limit(1, 2);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    EQ(ask(&t[1], 1, &l), FGW_PARK);
    EQ(ask(&t[2], 2, &l), FGW_PARK);
    end(&t[2], &l);                                    /* its client went away */
    pass(101);
    OK(resumed == &t[1] && verdict == FGW_FAIL);
    EQ(t[1].r.fail.code, FGW_E_CONCURRENCY_WAIT);
    EQ(req_limits.waiting, 0);
    end(&t[1], &l), end(&t[0], &l);
    EQ(fgw_limit_cell(&req_limits, 4)->timed_out, 1);
    req_end();
}

TEST(who_is_refused_while_it_waits_leaves_the_queue)
{
    struct test_req t[3];
    begin();
    struct fgw_l_concurrency l = limit(1, 2);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    EQ(ask(&t[1], 1, &l), FGW_PARK);
    EQ(ask(&t[2], 2, &l), FGW_PARK);
    fgw_step_concurrency.on_cancel(&t[1].r, &l, t[1].state);       /* its deadline came */
    EQ(req_limits.waiting, 1);
    end(&t[0], &l);
    OK(resumed == &t[2] && verdict == FGW_NEXT);
    end(&t[1], &l), end(&t[2], &l);
    EQ(req_limits.waiting, 0);
    req_end();
}

TEST(a_place_given_back_elsewhere_is_found_and_a_dead_workers_places_too)
{
    struct test_req t;
    struct fgw_bells other;                            /* the other worker's */
    bool back;
    begin();
    fgw_shm_use(req_shm, 1);
    fgw_bells_init(&other, req_shm, 1, &req_loop, req_heard);
    struct fgw_l_concurrency l = limit(1, 1);
    uint64_t tag;
    req_init(&t);
    tag = fgw_limit_tag(&t.r, l.keys, FGW_STR("c"));
    fgw_arena_fini(&t.r.arena);
    _Atomic uint64_t *theirs = fgw_inflight_take(req_shm, 1, tag, 1, &back);
    EQ(ask(&t, 0, &l), FGW_PARK);
    OK(!fgw_bell_rest(&req_bells));
    OK(!resumed);
    fgw_inflight_sub(theirs);
    fgw_bell_call(&other, tag % FGW_LIMIT_LISTS, 0);
    OK(fgw_bell_rest(&req_bells));
    fgw_loop_settle(&req_loop);
    OK(resumed == &t && verdict == FGW_NEXT);
    end(&t, &l);
    OK(fgw_inflight_take(req_shm, 1, tag, 1, &back) != NULL);
    EQ(ask(&t, 0, &l), FGW_PARK);
    OK(!fgw_bell_rest(&req_bells));
    fgw_inflight_clear(req_shm, 1);                    /* killed; the supervisor has seen it */
    fgw_bell_look_at_all(req_shm, 0);
    OK(fgw_bell_rest(&req_bells));
    fgw_loop_settle(&req_loop);
    OK(resumed == &t && verdict == FGW_NEXT);
    end(&t, &l);
    EQ(req_bells.want, 0);
    fgw_bells_fini(&other);
    req_end();
}

TEST(who_waits_listens_and_who_gives_back_calls)
{
    struct test_req t[2];
    struct fgw_bells other;
    bool back;
    begin();
    fgw_shm_use(req_shm, 1);
    fgw_bells_init(&other, req_shm, 1, &req_loop, req_heard);
    struct fgw_l_concurrency l = limit(1, 1);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    uint64_t tag = ((struct place *)(void *)t[0].state)->tag;
    fgw_bell_want(&other, tag % FGW_LIMIT_LISTS);
    OK(!fgw_bell_rest(&other));
    OK(!fgw_inflight_take(req_shm, 1, tag, 1, &back) && !back);
    end(&t[0], &l);
    OK(fgw_bell_rest(&other));                         /* it is told, and not of other lists' places */
    OK(!fgw_bell_rest(&other));
    fgw_bell_unwant(&other, tag % FGW_LIMIT_LISTS);
    fgw_bell_want(&other, (tag + 1) % FGW_LIMIT_LISTS);
    EQ(ask(&t[1], 1, &l), FGW_NEXT);
    end(&t[1], &l);
    OK(!fgw_bell_rest(&other));
    fgw_bell_unwant(&other, (tag + 1) % FGW_LIMIT_LISTS);
    fgw_bells_fini(&other);
    req_end();
}

static int rung;
static void other_heard(struct fgw_bells *b, uint32_t topic, uint64_t what) { (void)b, (void)topic, (void)what, rung++; }

TEST(of_two_places_one_is_left_to_others)
{
    struct test_req t[5];
    struct fgw_bells other;
    begin();
    fgw_shm_use(req_shm, 1);
    fgw_bells_init(&other, req_shm, 1, &req_loop, other_heard);
    struct fgw_l_concurrency l = limit(2, 4);
    for (int i = 0; i < 5; i++) EQ(ask(&t[i], (uint32_t)i, &l), i < 2 ? FGW_NEXT : FGW_PARK);
    uint32_t topic = ((struct place *)(void *)t[0].state)->tag % FGW_LIMIT_LISTS;
    fgw_bell_want(&other, topic);
    rung = 0;
    end(&t[0], &l);
    fgw_bell_rest(&other), fgw_loop_settle(&req_loop);
    OK(resumed == &t[2] && rung == 1);                 /* the first is for who waits here; all may look */
    req_fini(&t[1], &fgw_step_concurrency, &l), req_fini(&t[2], &fgw_step_concurrency, &l);
    fgw_loop_settle(&req_loop);
    EQ(req_limits.waiting, 1);                         /* of two at once one is the other worker's */
    fgw_bell_rest(&other), fgw_loop_settle(&req_loop);
    OK(resumed == &t[3] && rung == 2);
    pass(GRACE_MS + 1);
    OK(resumed == &t[4]);
    end(&t[3], &l), end(&t[4], &l);
    fgw_bell_unwant(&other, topic);
    fgw_bells_fini(&other);
    req_end();
}

TEST(who_comes_while_a_place_is_left_to_others_queues_up)
{
    struct test_req t[2];
    struct fgw_bells other;
    bool back;
    begin();
    fgw_shm_use(req_shm, 1);
    fgw_bells_init(&other, req_shm, 1, &req_loop, req_heard);
    struct fgw_l_concurrency l = limit(1, 1), none = limit(1, 0);
    EQ(ask(&t[0], 0, &l), FGW_NEXT);
    uint64_t tag = ((struct place *)(void *)t[0].state)->tag;
    fgw_bell_want(&other, tag % FGW_LIMIT_LISTS);
    end(&t[0], &l);
    EQ(ask(&t[0], 0, &l), FGW_PARK);                   /* the place is the other worker's for a while */
    _Atomic uint64_t *theirs = fgw_inflight_take(req_shm, 1, tag, 1, &back);
    OK(theirs != NULL);
    pass(GRACE_MS + 1);
    OK(!resumed);
    fgw_inflight_sub(theirs);
    fgw_bell_call(&other, tag % FGW_LIMIT_LISTS, 0);
    OK(fgw_bell_rest(&req_bells));
    fgw_loop_settle(&req_loop);
    OK(resumed == &t[0] && verdict == FGW_NEXT);
    end(&t[0], &l);
    EQ(ask(&t[0], 0, &l), FGW_PARK);
    pass(GRACE_MS + 1);                                /* which does not take it */
    OK(resumed == &t[0] && verdict == FGW_NEXT);
    end(&t[0], &l);
    EQ(ask(&t[1], 1, &none), FGW_NEXT);                /* who may not wait is not made to */
    end(&t[1], &none);
    fgw_bell_unwant(&other, tag % FGW_LIMIT_LISTS);
    fgw_bells_fini(&other);
    req_end();
}

TEST(a_dry_run_counts_all_and_refuses_none)
{
    struct test_req t[3];
    begin();
    struct fgw_l_concurrency l = limit(1, 0);
    l.dry_run = 1;
    for (int i = 0; i < 3; i++) EQ(ask(&t[i], (uint32_t)i, &l), FGW_NEXT);
    EQ(fgw_inflight_sum(req_shm, ((struct place *)(void *)t[0].state)->tag), 3);
    for (int i = 0; i < 3; i++) end(&t[i], &l);
    EQ(fgw_limit_cell(&req_limits, 4)->dry_run, 2);
    req_end();
}
TEST_MAIN()
