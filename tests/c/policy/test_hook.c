#include "policy/hook.c"
#include "policy/limit_req.h"

/* ---- a host that does as it is told ---- */
static enum fgw_hook_out will;
static uint64_t takes_ms;
static int runs, overs;
static enum fgw_hook_over last_why;
static enum fgw_hook_phase last_phase;
static int32_t last_number;
static struct fgw_hook_state *held;

static enum fgw_hook_out run(void *self, int32_t number, enum fgw_hook_phase phase, struct fgw_req *r, struct fgw_hook_state *s)
{
    EQ(self == &will, 1);
    OK(s->r == r && s->stage == FGW_HOOK_RUNS);
    s->host = s, held = s, runs++, last_phase = phase, last_number = number;
    req_ns += takes_ms * 1000000;
    return will;
}
static void over_told(void *self, struct fgw_req *r, struct fgw_hook_state *s, enum fgw_hook_over why)
{
    OK(self == &will && s->r == r && s->host == s);
    overs++, last_why = why;
}
static int32_t bind(void *self, uint64_t key) { (void)self; return (int32_t)key; }
static void unbind(void *self, int32_t number) { (void)self, (void)number; }
static const struct fgw_hook_host host = {&will, bind, unbind, run, over_told};

/* ---- a worker that goes on at once ---- */
static struct test_req *waiting;
static enum fgw_verdict came_to;
static int resumed;
static uint64_t blocked_ms;
static void resume(struct fgw_hooks *h, struct fgw_ticket t, enum fgw_verdict v)
{
    (void)h;
    EQ(v, FGW_NEXT);
    EQ(t.slot, 7);
    resumed++;
    struct fgw_hook_state *s = (void *)waiting->state;
    came_to = s->phase == FGW_HOOK_REPLY ? on_reply(&waiting->r, s->l, s) : on_request(&waiting->r, s->l, s);
}
static void blocked(struct fgw_hooks *h, struct fgw_str name, uint64_t ms) { (void)h; EQ_STR(name, "p"); blocked_ms = ms; }

static struct fgw_hooks hooks;
static const int32_t numbers[] = {3, 9};
static const struct fgw_hook_bound bound = {&hooks, numbers};
static struct fgw_l_hook begin(struct test_req *t, uint8_t fail)
{
    req_begin();
    hooks = (struct fgw_hooks){.host = &host, .shm = req_shm, .loop = &req_loop, .resume = resume, .blocked = blocked};
    runs = overs = resumed = 0, takes_ms = 0, blocked_ms = 0, waiting = t, held = NULL, will = FGW_HOOK_NEXT;
    req_init(t);
    t->r.hooks = &bound, t->r.ticket.slot = 7;
    struct fgw_l_hook l = {.name = seg_str("p"), .index = 1, .slot = 5, .budget_ms = 100, .phases = 3, .fail = fail};
    return l;
}
static void end(struct test_req *t, const struct fgw_l_hook *l)
{
    req_fini(t, &fgw_step_hook, l);
    EQ(hooks.parked, 0);
    EQ(fgw_hook_cell(&hooks, 5)->parked, 0);
    EQ(req_loop.wheel.armed, 0);
    req_end();
}
#define CELL(field) (fgw_hook_cell(&hooks, 5)->field)
static void pass(uint32_t ms) { req_ns += ms * 1000000ull, fgw_clock_update(&req_loop.clock), fgw_wheel_advance(&req_loop.wheel, req_loop.clock.mono_ms); }

TEST(what_it_says_at_once_is_the_verdict)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    EQ(on_request(&t.r, &l, t.state), FGW_NEXT);
    EQ(last_number, 9);
    EQ(last_phase, FGW_HOOK_ACCESS);
    EQ(on_reply(&t.r, &l, t.state), FGW_NEXT);
    EQ(last_phase, FGW_HOOK_REPLY);
    will = FGW_HOOK_REPLY_MADE;
    EQ(on_request(&t.r, &l, t.state), FGW_REPLY);
    EQ_STR(t.r.plugin, "p");
    will = FGW_HOOK_FAILED;
    EQ(on_request(&t.r, &l, t.state), FGW_FAIL);
    EQ(t.r.fail.code, FGW_E_PLUGIN_FAILED);
    EQ(t.r.fail.by, FGW_BY_GATEWAY);
    EQ(CELL(calls), 4);
    EQ(CELL(replies), 1);
    EQ(CELL(failed), 1);
    EQ(overs, 0);
    end(&t, &l);
    EQ(overs, 1);
    EQ(last_why, FGW_HOOK_ENDED);
}

TEST(what_it_has_no_hook_for_is_not_asked)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    l.phases = 1 << FGW_HOOK_REPLY;
    EQ(on_request(&t.r, &l, t.state), FGW_NEXT);
    EQ(runs, 0);
    EQ(on_reply(&t.r, &l, t.state), FGW_NEXT);
    EQ(runs, 1);
    end(&t, &l);
    l = begin(&t, FGW_HOOK_CLOSED);
    l.phases = 1 << FGW_HOOK_ACCESS;
    EQ(on_reply(&t.r, &l, t.state), FGW_NEXT);
    EQ(runs, 0);
    end(&t, &l);                         /* never run: nobody is told of its end */
    EQ(overs, 0);
}

TEST(open_lets_pass_what_failed_and_says_so)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_OPEN);
    will = FGW_HOOK_FAILED;
    EQ(on_request(&t.r, &l, t.state), FGW_NEXT);
    EQ_STR(t.r.plugin_open, "p");
    EQ(t.r.plugin.n, 0);
    will = FGW_HOOK_PARKED;
    EQ(on_request(&t.r, &l, t.state), FGW_PARK);
    pass(101);
    EQ(came_to, FGW_NEXT);
    EQ(CELL(failed), 1);
    EQ(CELL(timed_out), 1);
    end(&t, &l);
}

TEST(a_parked_one_goes_on_with_what_it_came_to)
{
    static const struct { enum fgw_hook_out out; enum fgw_verdict verdict; } of[] = {
        {FGW_HOOK_NEXT, FGW_NEXT}, {FGW_HOOK_REPLY_MADE, FGW_REPLY}, {FGW_HOOK_FAILED, FGW_FAIL}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (int phase = 0; phase < FGW_HOOK_PHASES; phase++) {
            struct test_req t;
            struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
            will = FGW_HOOK_PARKED, takes_ms = 1;
            EQ(phase ? on_reply(&t.r, &l, t.state) : on_request(&t.r, &l, t.state), FGW_PARK);
            EQ(hooks.parked, 1);
            EQ(CELL(parked), 1);
            EQ(CELL(ns), 0);
            req_ns += 5000000;
            fgw_hook_done(held, of[i].out);
            EQ(resumed, 1);
            EQ(came_to, of[i].verdict);
            EQ(runs, 1);
            EQ(CELL(ns), 6000000);
            EQ(req_loop.clock.mono_ns, req_ns);        /* read anew */
            pass(200);                                 /* its budget is no longer looked at */
            EQ(resumed, 1);
            end(&t, &l);
            EQ(overs, 1);
        }
}

TEST(the_budget_counts_from_the_start)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    will = FGW_HOOK_PARKED, takes_ms = 60;
    EQ(on_request(&t.r, &l, t.state), FGW_PARK);
    EQ(blocked_ms, 0);
    pass(39);
    EQ(resumed, 0);
    pass(2);
    EQ(resumed, 1);
    EQ(came_to, FGW_FAIL);
    EQ(t.r.fail.code, FGW_E_PLUGIN_TIMEOUT);
    EQ(overs, 1);
    EQ(last_why, FGW_HOOK_BUDGET);
    EQ(CELL(timed_out), 1);
    EQ(CELL(failed), 0);
    end(&t, &l);
    EQ(overs, 1);                        /* once for each time that the host held it */
}

TEST(without_a_budget_it_may_take_for_ever)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    l.budget_ms = 0, will = FGW_HOOK_PARKED, takes_ms = 5000;
    EQ(on_request(&t.r, &l, t.state), FGW_PARK);
    EQ(req_loop.wheel.armed, 0);
    EQ(CELL(blocked), 0);
    fgw_hook_done(held, FGW_HOOK_NEXT);
    end(&t, &l);
}

TEST(one_that_holds_the_thread_is_counted_and_its_verdict_stands)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    takes_ms = 250;
    EQ(on_request(&t.r, &l, t.state), FGW_NEXT);
    EQ(blocked_ms, 250);
    EQ(CELL(blocked), 1);
    uint64_t start = req_ns;
    req_ns += 130000000, blocked_ms = 0;
    fgw_hook_slice(&hooks, &l, fgw_l_text(req_seg, l.name), start);
    EQ(blocked_ms, 130);
    EQ(CELL(blocked), 2);
    end(&t, &l);
}

TEST(who_leaves_while_it_waits_cancels_it)
{
    struct test_req t;
    struct fgw_l_hook l = begin(&t, FGW_HOOK_CLOSED);
    will = FGW_HOOK_PARKED;
    EQ(on_request(&t.r, &l, t.state), FGW_PARK);
    fgw_step_hook.on_cancel(&t.r, &l, t.state);
    EQ(overs, 1);
    EQ(CELL(cancelled), 1);
    EQ(hooks.parked, 0);
    will = FGW_HOOK_NEXT;
    EQ(on_reply(&t.r, &l, t.state), FGW_NEXT);         /* on the refusal's way back it may be asked again */
    end(&t, &l);
    EQ(overs, 2);
    l = begin(&t, FGW_HOOK_CLOSED);
    will = FGW_HOOK_PARKED;
    EQ(on_request(&t.r, &l, t.state), FGW_PARK);
    end(&t, &l);
    EQ(overs, 1);
    EQ(resumed, 0);
}
TEST_MAIN()
