/* Hooks in a whole worker: a host in C that parks, resumes, makes replies and fails, as each request's X-Do field tells it. */
#define ENGINE_OWN_ROUTES
#include "core/exchange.h"
#include "core/mini_snapshot.h"
enum { ENGINE_ROUTES = 6 };
static const struct mini_route ROUTES[ENGINE_ROUTES] = {
    {.prefix = "p"},
    {.prefix = "h", .steps = {FGW_STEP_HOOK}, .hook_phases = 3, .hook_budget = 1000},
    {.prefix = "o", .steps = {FGW_STEP_HOOK}, .hook_phases = 3, .hook_budget = 1000, .hook_fail = FGW_HOOK_OPEN},
    {.prefix = "two", .steps = {FGW_STEP_HOOK, FGW_STEP_HOOK}, .hook_phases = 3, .hook_budget = 1000, .request_ms = 500},
    {.prefix = "t", .steps = {FGW_STEP_HOOK}, .hook_phases = 3, .request_ms = 500},
    {.prefix = "s", .to = FGW_TO_STATIC, .status = 200, .text = "hello", .steps = {FGW_STEP_HOOK}, .hook_phases = 3}};

enum { HELD = 64 };
struct note { struct fgw_hook_state *s; };           /* what this host keeps for an exchange */
static struct note notes[HELD];
static struct fgw_hook_state *parked[HELD];
static int nparked, bound, unbound, live_notes, overs[2];
static bool refuse_bind;

static struct fgw_str asked(const struct fgw_req *r, enum fgw_hook_phase phase)
{
    for (uint32_t i = 0; i < r->out.n; i++)
        if (fgw_str_ieq(fgw_str(r->out.v[i].name, r->out.v[i].name_len), phase ? FGW_STR("x-reply") : FGW_STR("x-do")))
            return fgw_str(r->out.v[i].value, r->out.v[i].value_len);
    return FGW_STR("");
}

static enum fgw_hook_out made(struct fgw_req *r)
{
    r->reply.n = 0;
    fgw_fields_add(&r->arena, &r->reply, FGW_H_OTHER, FGW_STR("x-made"), FGW_STR("1"));
    r->answer = (struct fgw_answer){.status = 403, .body = FGW_STR("no\n"), .why = FGW_E_DENIED};
    return FGW_HOOK_REPLY_MADE;
}

static enum fgw_hook_out run(void *self, int32_t number, enum fgw_hook_phase phase, struct fgw_req *r, struct fgw_hook_state *s)
{
    (void)self;
    if (number != 4) abort();
    if (!s->host) {
        for (int i = 0; i < HELD && !s->host; i++)
            if (!notes[i].s) s->host = &notes[i], notes[i].s = s, live_notes++;
        if (!s->host) abort();
    }
    struct fgw_str what = asked(r, phase);
    if (fgw_str_eq(what, FGW_STR("fail"))) return FGW_HOOK_FAILED;
    if (fgw_str_eq(what, FGW_STR("reply"))) return made(r);
    if (fgw_str_eq(what, FGW_STR("tag"))) {
        fgw_fields_add(&r->arena, &r->tags, FGW_H_OTHER, FGW_STR("us\"er"), FGW_STR("joe"));
        fgw_fields_add(&r->arena, &r->tags, FGW_H_OTHER, FGW_STR("b"), FGW_STR("2"));
    }
    if (!fgw_str_eq(what, FGW_STR("park"))) return FGW_HOOK_NEXT;
    parked[nparked++] = s;
    return FGW_HOOK_PARKED;
}
static void over(void *self, struct fgw_req *r, struct fgw_hook_state *s, enum fgw_hook_over why)
{
    struct note *n = s->host;
    (void)self;
    if (n->s != s || s->r != r) abort();
    n->s = NULL, live_notes--, overs[why]++;
    for (int i = 0; i < nparked; i++)
        if (parked[i] == s) parked[i] = NULL;
}
static int32_t bind_told(void *self, uint64_t key) { (void)self; if (refuse_bind || key != MINI_HOOK) return -1; bound++; return 4; }
static void unbind_told(void *self, int32_t number) { (void)self; if (number != 4) abort(); unbound++; }
static const struct fgw_hook_host the_host = {NULL, bind_told, unbind_told, run, over};
static const struct fgw_hook_host *engine_host = &the_host;
#include "core/engine.h"

static void start(struct engine *e)
{
    memset(notes, 0, sizeof notes), memset(parked, 0, sizeof parked), memset(overs, 0, sizeof overs);
    nparked = bound = unbound = live_notes = 0, refuse_bind = false;
    engine_start(e);
    EQ(bound, 1);
}
static void stop(struct engine *e)
{
    turn(e, 10);
    EQ(live(e).exchanges, 0);
    EQ(live(e).parked_hooks, 0);
    EQ(atomic_load(&e->w->gauges->parked), 0);
    EQ(live_notes, 0);
    engine_stop(e);
    EQ(bound, unbound);
}
static struct fgw_hook_cell *cell(struct engine *e) { return fgw_shm_cell(e->shm, 0, MINI_HOOK_SLOT); }
static void done(struct engine *e, int i, enum fgw_hook_out out)
{
    struct fgw_hook_state *s = parked[i];
    struct fgw_hooks *h = s->hooks;
    parked[i] = NULL;
    if (out == FGW_HOOK_REPLY_MADE) made(s->r);
    fgw_hook_done(s, out);
    h->settle(h);
    turn(e, 2);
}
#define ASK(path, fields) "GET " path " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

TEST(verdicts_and_what_the_log_says_of_them)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Do: tag\r\n"));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    HEAR(&e, c, "\r\n\r\nok");
    say(&e, c, ASK("/h", "X-Do: reply\r\n"));
    HEAR(&e, c, "\r\n\r\nno\n");
    GOT(&e, "HTTP/1.1 403 ");
    GOT(&e, "x-made: 1\r\n");
    say(&e, c, ASK("/h", "X-Do: fail\r\n"));
    HEAR(&e, c, "\"reason\":\"plugin_failed\"");
    GOT(&e, "HTTP/1.1 500 ");
    close(c), c = client(&e);
    say(&e, c, ASK("/o", "X-Do: fail\r\n"));
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    HEAR(&e, c, "\r\n\r\nok");
    lines(&e);
    GOT(&e, ",\"tags\":{\"us\\\"er\":\"joe\",\"b\":\"2\"}}\n");
    GOT(&e, "\"status\":403");
    GOT(&e, "\"reason\":\"denied\",\"by\":\"gateway\",\"plugin\":\"plug\"}\n");
    GOT(&e, "\"reason\":\"plugin_failed\",\"by\":\"gateway\",\"plugin\":\"plug\"}\n");
    GOT(&e, "\"plugin_failed_open\":\"plug\"}\n");
    EQ(cell(&e)->failed, 2);
    EQ(cell(&e)->replies, 1);
    close(c), close(o);
    stop(&e);
}

TEST(an_own_answer_and_a_refusal_pass_the_reply_hooks_before_them)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/s", "X-Reply: reply\r\n"));
    HEAR(&e, c, "\r\n\r\nno\n");
    say(&e, c, ASK("/s", "X-Reply: fail\r\n"));
    HEAR(&e, c, "\"reason\":\"plugin_failed\"");
    close(c), c = client(&e);
    close(e.upstream), e.upstream = -1;
    say(&e, c, ASK("/h", "X-Reply: reply\r\n"));       /* a 502 of the gateway's own */
    HEAR(&e, c, "\r\n\r\nno\n");
    close(c);
    stop(&e);
}

TEST(a_reply_is_answered_instead)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Reply: reply\r\n"));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-Theirs: 1\r\n\r\nhal");
    HEAR(&e, c, "\r\n\r\nno\n");
    GOT(&e, "HTTP/1.1 403 ");
    GOT(&e, "x-made: 1\r\n");
    GOT_NO(&e, "X-Theirs");
    HEAR(&e, o, NULL);                   /* half an answer: its connection cannot be used again */
    say(&e, c, ASK("/p", ""));           /* the client's can */
    int p = origin(&e);
    HEAR(&e, p, "\r\n\r\n");
    say(&e, p, OK2);
    HEAR(&e, c, "\r\n\r\nok");
    close(c), close(o), close(p);
    stop(&e);
}

TEST(a_parked_request_goes_on)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    turn(&e, 5);
    EQ(nparked, 1);
    EQ(live(&e).parked_hooks, 1);
    EQ(atomic_load(&e.w->gauges->parked), 1);
    EQ(cell(&e)->parked, 1);
    OK(origin_idle(&e));
    done(&e, 0, FGW_HOOK_NEXT);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    HEAR(&e, c, "\r\n\r\nok");
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    turn(&e, 5);
    done(&e, 1, FGW_HOOK_REPLY_MADE);
    HEAR(&e, c, "\r\n\r\nno\n");
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    turn(&e, 5);
    done(&e, 2, FGW_HOOK_FAILED);
    HEAR(&e, c, "\"reason\":\"plugin_failed\"");
    close(c), close(o);
    stop(&e);
}

TEST(a_body_waits_for_a_parked_request_and_a_reply_for_a_parked_reply)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, "POST /h HTTP/1.1\r\nHost: a\r\nX-Do: park\r\nX-Reply: park\r\nContent-Length: 6\r\n\r\nabc");
    turn(&e, 5);
    say(&e, c, "def");
    turn(&e, 5);
    OK(origin_idle(&e));
    done(&e, 0, FGW_HOOK_NEXT);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\nabcdef");
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n");
    turn(&e, 5);
    EQ(nparked, 2);
    say(&e, o, "2\r\nuv\r\n0\r\n\r\n");
    turn(&e, 5);
    done(&e, 1, FGW_HOOK_NEXT);
    HEAR(&e, c, "2\r\nuv\r\n0\r\n\r\n");
    GOT(&e, "3\r\nxyz\r\n");
    plain(&e, c, o);
    close(c), close(o);
    stop(&e);
}

TEST(the_budget_of_a_parked_one)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    turn(&e, 5);
    passes(&e, 1001);
    HEAR(&e, c, "\"reason\":\"plugin_timeout\"");
    GOT(&e, "HTTP/1.1 504 ");
    EQ(overs[FGW_HOOK_BUDGET], 1);
    OK(!parked[0]);
    close(c), c = client(&e);
    say(&e, c, ASK("/o", "X-Do: park\r\nX-Reply: park\r\n"));
    turn(&e, 5);
    passes(&e, 1001);                    /* open: the request goes on, */
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    turn(&e, 5);
    passes(&e, 1001);                    /* and the reply too */
    HEAR(&e, c, "\r\n\r\nok");
    EQ(overs[FGW_HOOK_BUDGET], 3);
    EQ(cell(&e)->timed_out, 3);
    close(c), close(o);
    stop(&e);
}

TEST(whoever_leaves_cancels_what_is_parked)
{
    for (int reply = 0; reply < 2; reply++)
        for (int how = 0; how < 1 + reply; how++) {
            struct engine e;
            start(&e);
            int c = client(&e), o = -1;
            say(&e, c, reply ? ASK("/h", "X-Reply: park\r\n") : ASK("/h", "X-Do: park\r\n"));
            if (reply) {
                o = origin(&e);
                HEAR(&e, o, "\r\n\r\n");
                say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
            }
            turn(&e, 5);
            EQ(nparked, 1);
            reset(how ? o : c);
            turn(&e, 10);
            OK(!parked[0]);
            EQ(cell(&e)->cancelled, 1);
            EQ(cell(&e)->parked, 0);
            if (how) HEAR(&e, c, "HTTP/1.1 502 ");
            if (how) close(c);
            else if (o >= 0) close(o);
            stop(&e);
        }
}

/* The second hook waits when the deadline comes; the first one, asked about the refusal, waits too: the second's end means nothing. */
TEST(a_deadline_cancels_what_is_parked_before_the_refusal_is_parked)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/t", "X-Do: park\r\n"));
    turn(&e, 5);
    passes(&e, 501);
    HEAR(&e, c, "\"reason\":\"request_timeout\"");
    OK(!parked[0]);
    EQ(cell(&e)->cancelled, 1);
    close(c), c = client(&e);
    say(&e, c, ASK("/two", "X-Do: park\r\nX-Reply: park\r\n"));
    turn(&e, 5);
    EQ(nparked, 2);
    done(&e, 1, FGW_HOOK_NEXT);          /* the first goes on, the second waits */
    EQ(nparked, 3);
    passes(&e, 501);
    OK(!parked[2] && parked[3]);         /* the second is cancelled; the first has its word on the refusal, and waits */
    EQ(cell(&e)->cancelled, 2);
    EQ(live(&e).parked_hooks, 1);
    done(&e, 3, FGW_HOOK_NEXT);
    HEAR(&e, c, "\"reason\":\"request_timeout\"");
    nparked = 0;
    close(c), c = client(&e);
    say(&e, c, ASK("/two", "X-Do: no\r\nX-Reply: park\r\n"));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    turn(&e, 5);
    EQ(nparked, 1);
    done(&e, 0, FGW_HOOK_NEXT);          /* the last step's part first, then the first's */
    EQ(nparked, 2);
    done(&e, 1, FGW_HOOK_REPLY_MADE);
    HEAR(&e, c, "\r\n\r\nno\n");
    close(c), close(o);
    stop(&e);
}

TEST(a_switch_of_protocols_lets_the_snapshot_and_the_views_go)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Do: tag\r\nConnection: upgrade\r\nUpgrade: x\r\n"));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    EQ(live_notes, 1);
    say(&e, o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 101 ");
    turn(&e, 5);
    EQ(live_notes, 0);
    EQ(overs[FGW_HOOK_ENDED], 1);
    struct mini_snapshot *next = mini_new((const struct mini_route[]){{.prefix = "p"}}, 1, e.shm->heap_off, 2, FGW_LOG_JSON);
    char err[200];
    struct mini_seg *const segs[] = {&next->routes, &next->settings, &next->upstream, &next->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    struct fgw_snapshot *s = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    OK(s != NULL);
    fgw_worker_commit(e.w, s);
    EQ(unbound, 1);                      /* the tunnel does not keep it */
    say(&e, c, "hi");
    HEAR(&e, o, "hi");
    close(c);
    HEAR(&e, o, NULL);
    close(o);
    turn(&e, 5);
    lines(&e);
    GOT(&e, "\"tags\":{\"us\\\"er\":\"joe\",\"b\":\"2\"}");
    stop(&e);
    free(next);
}

TEST(a_reload_while_one_is_parked_and_a_plugin_that_is_not_loaded)
{
    struct engine e;
    start(&e);
    int c = client(&e);
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    turn(&e, 5);
    struct mini_snapshot *next = mini_new(ROUTES, ENGINE_ROUTES, e.shm->heap_off, 2, FGW_LOG_OFF);
    char err[200] = "";
    OK(fgw_worker_root(e.w, next->root_hash) == NULL);
    EQ(fgw_worker_segment_add_bytes(e.w, next->root.bytes, next->root.used, err, sizeof err), 0);
    OK(fgw_worker_root(e.w, next->root_hash) != NULL);
    OK(fgw_worker_root(e.w, next->routes_hash) == NULL);
    refuse_bind = true;
    OK(!fgw_worker_prepare(e.w, next->root_hash, err, sizeof err));
    OK(strstr(err, "not loaded"));
    refuse_bind = false;
    fgw_worker_segment_add_bytes(e.w, next->root.bytes, next->root.used, err, sizeof err);
    struct fgw_snapshot *s = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    OK(s != NULL);
    EQ(bound, 2);
    fgw_worker_commit(e.w, s);
    EQ(unbound, 0);                      /* the parked one has the old snapshot */
    done(&e, 0, FGW_HOOK_NEXT);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, OK2);
    HEAR(&e, c, "\r\n\r\nok");
    turn(&e, 5);
    EQ(unbound, 1);
    fgw_worker_host(e.w, NULL);
    fgw_worker_segment_add_bytes(e.w, next->root.bytes, next->root.used, err, sizeof err);
    fgw_worker_segment_add_bytes(e.w, e.snap->root.bytes, e.snap->root.used, err, sizeof err);
    OK(!fgw_worker_prepare(e.w, e.snap->root_hash, err, sizeof err));
    OK(strstr(err, "nobody runs them"));
    fgw_worker_host(e.w, &the_host);
    close(c), close(o);
    stop(&e);
    free(next);
}

TEST(a_drain_waits_for_what_is_parked)
{
    for (int late = 0; late < 2; late++) {
        struct engine e;
        start(&e);
        int c = client(&e);
        say(&e, c, ASK("/s", "X-Do: park\r\n"));
        turn(&e, 5);
        fgw_worker_drain(e.w, 300, true);
        turn(&e, 5);
        OK(!fgw_worker_drained(e.w));
        if (late) {
            passes(&e, 301);
            OK(!parked[0]);
            EQ(cell(&e)->cancelled, 1);
        } else {
            done(&e, 0, FGW_HOOK_NEXT);
            HEAR(&e, c, "\r\n\r\nhello");
        }
        turn(&e, 5);
        OK(fgw_worker_drained(e.w));
        close(c);
        stop(&e);
    }
}

TEST(a_worker_may_end_while_some_are_parked)
{
    struct engine e;
    start(&e);
    int c = client(&e), d = client(&e);
    say(&e, c, ASK("/h", "X-Do: park\r\n"));
    say(&e, d, ASK("/s", "X-Reply: park\r\n"));
    turn(&e, 5);
    EQ(nparked, 2);
    engine_stop(&e);
    EQ(live_notes, 0);
    EQ(bound, unbound);
    close(c), close(d);
}
TEST_MAIN()
