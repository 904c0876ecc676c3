#include "policy/rate_limit.c"
#include "policy/limit_req.h"

static struct fgw_l_rate_limit limit(uint32_t burst)
{
    return (struct fgw_l_rate_limit){.name = seg_str("api"), .policy = seg_str("\"api\";q=3;w=2"), .table = req_shm->heap_off, .sets = REQ_SETS,
                                     .slot = 3, .unit = SECOND / 2, .burst = burst, .cost = 1};
}
static enum fgw_verdict ask(struct test_req *t, const struct fgw_l_rate_limit *l)
{
    req_init(t);
    return fgw_step_rate_limit.on_request(&t->r, l, t->state);
}

TEST(it_lets_a_burst_pass_and_tells_what_is_left)
{
    struct test_req t;
    req_begin();
    struct fgw_l_rate_limit l = limit(3);
    for (int i = 0; i < 3; i++) {
        EQ(ask(&t, &l), FGW_NEXT);
        EQ(fgw_step_rate_limit.on_reply(&t.r, &l, t.state), FGW_NEXT);
        EQ_STR(req_reply(&t, "RateLimit"), i == 0 ? "\"api\";r=2;t=1" : i == 1 ? "\"api\";r=1;t=1" : "\"api\";r=0;t=1");
        EQ_STR(req_reply(&t, "RateLimit-Policy"), "\"api\";q=3;w=2");
        req_fini(&t, &fgw_step_rate_limit, &l);
    }
    EQ(ask(&t, &l), FGW_FAIL);
    EQ(t.r.fail.code, FGW_E_RATE_LIMITED);
    EQ_STR(t.r.limit, "api");
    EQ_STR(req_reply(&t, "Retry-After"), "1");
    EQ_STR(req_reply(&t, "RateLimit"), "\"api\";r=0;t=1");
    req_fini(&t, &fgw_step_rate_limit, &l);
    struct fgw_limit_cell *c = fgw_limit_cell(&req_limits, 3);
    EQ(c->allowed, 3);
    EQ(c->limited, 1);
    req_end();
}

TEST(retry_after_is_rounded_up)
{
    struct test_req t;
    req_begin();
    struct fgw_l_rate_limit l = limit(1);
    l.unit = SECOND * 2 + 1;
    EQ(ask(&t, &l), FGW_NEXT);
    req_fini(&t, &fgw_step_rate_limit, &l);
    EQ(ask(&t, &l), FGW_FAIL);
    EQ_STR(req_reply(&t, "Retry-After"), "3");
    req_fini(&t, &fgw_step_rate_limit, &l);
    req_end();
}

TEST(a_dry_run_refuses_nothing)
{
    struct test_req t;
    req_begin();
    struct fgw_l_rate_limit l = limit(1);
    l.dry_run = 1;
    for (int i = 0; i < 3; i++) {
        EQ(ask(&t, &l), FGW_NEXT);
        EQ(t.r.limit_dry.n, i ? 3 : 0);
        EQ(fgw_step_rate_limit.on_reply(&t.r, &l, t.state), FGW_NEXT);
        EQ(t.r.reply.n, 0);
        req_fini(&t, &fgw_step_rate_limit, &l);
    }
    EQ(fgw_limit_cell(&req_limits, 3)->dry_run, 2);
    EQ(fgw_limit_cell(&req_limits, 3)->limited, 0);
    req_end();
}

TEST(what_a_refused_request_took_from_another_limit_is_put_back)
{
    struct test_req t;
    req_begin();
    struct fgw_l_rate_limit l = limit(2);
    for (int i = 0; i < 5; i++) {
        EQ(ask(&t, &l), FGW_NEXT);
        t.r.limit = FGW_STR("other");
        req_fini(&t, &fgw_step_rate_limit, &l);
    }
    for (int i = 0; i < 3; i++) {
        EQ(ask(&t, &l), i < 2 ? FGW_NEXT : FGW_FAIL);
        req_fini(&t, &fgw_step_rate_limit, &l);
    }
    req_end();
}

static uint64_t asked_cost(struct fgw_l_rate_limit *l, const char *value)
{
    struct test_req t;
    req_init(&t);
    if (value) req_field(&t, "x-cost", value);
    uint64_t n = cost_of(&t.r, l);
    req_fini(&t, NULL, NULL);
    return n;
}
TEST(a_field_may_say_the_cost_within_bounds)
{
    req_begin();
    struct fgw_l_rate_limit l = limit(10);
    l.cost_field = seg_str("X-Cost");
    EQ(asked_cost(&l, "4"), 4);
    EQ(asked_cost(&l, "0"), 1);
    EQ(asked_cost(&l, "99999999999999999999"), 1);
    EQ(asked_cost(&l, "11"), 10);
    EQ(asked_cost(&l, "-3"), 1);
    EQ(asked_cost(&l, ""), 1);
    EQ(asked_cost(&l, NULL), 1);
    req_end();
}
TEST_MAIN()
