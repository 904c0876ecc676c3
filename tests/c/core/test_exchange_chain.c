/* A chain's step may be another than its kind says: one that thinks about the reply. */
#include "policy/step.h"
static const struct fgw_step *step_or_mine(enum fgw_step_kind kind);
#define fgw_step_of step_or_mine
#include "core/exchange_chain.c"
#undef fgw_step_of
#include "core/engine.h"

/* ---- a step that thinks about the reply ---- */
static enum fgw_verdict first_verdict, next_verdict;
static int asked, ended;
static enum fgw_verdict on_reply_mine(struct fgw_req *r, const void *args, void *state)
{
    (void)args, (void)state;
    r->fail = fgw_fail(FGW_E_DENIED, FGW_BY_GATEWAY);
    return asked++ ? next_verdict : first_verdict;
}
static void on_end_mine(struct fgw_req *r, const void *args, void *state) { (void)r, (void)args, (void)state, ended++; }
static const struct fgw_step mine = {.name = "mine", .on_reply = on_reply_mine, .on_end = on_end_mine};
static bool use_mine;
static const struct fgw_step *step_or_mine(enum fgw_step_kind kind) { return use_mine && kind == FGW_STEP_TEST_BODY ? &mine : fgw_step_of(kind); }

static struct fgw_exchange *thinking(struct engine *e, int *c, int *o, const char *reply, enum fgw_verdict first, enum fgw_verdict next)
{
    use_mine = true, asked = ended = 0, first_verdict = first, next_verdict = next;
    engine_start(e);
    *c = client(e);
    say(e, *c, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    *o = origin(e);
    HEAR(e, *o, "\r\n\r\n");
    say(e, *o, reply);
    turn(e, 10);
    return first == FGW_PARK ? fgw_container(e->w->live.next, struct fgw_exchange, live) : NULL;
}
static void thought(struct engine *e, int c, int o)
{
    EQ(ended, 1);
    EQ(live(e).exchanges, 0);
    close(c), close(o);
    engine_stop(e);
    use_mine = false;
}

TEST(a_reply_waits_for_a_parked_step_and_none_of_its_bytes_is_lost)
{
    struct engine e;
    int c, o;
    struct fgw_exchange *x = thinking(&e, &c, &o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", FGW_PARK, FGW_NEXT);
    OK(x->parked && x->rp == FGW_RP_CHAIN && x->reply_kept.bytes == 3);
    fgw_exchange_resume(e.w, x->ticket, FGW_NEXT);
    fgw_worker_settle(e.w);
    HEAR(&e, c, "0\r\nX-T: 1\r\n\r\n");
    GOT(&e, "3\r\nabc\r\n");
    EQ(asked, 2);
    thought(&e, c, o);
}

TEST(no_more_of_a_reply_is_kept_than_the_window)
{
    struct engine e;
    int c, o;
    struct fgw_exchange *x = thinking(&e, &c, &o, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", FGW_PARK, FGW_NEXT);
    static char some[200000];
    memset(some, 'k', sizeof some);
    size_t sent = 0, got = 0;
    for (int i = 0; i < 200; i++) {
        ssize_t r = send(o, some + sent, sizeof some - sent, MSG_NOSIGNAL);
        if (r > 0) sent += (size_t)r;
        turn(&e, 2);
    }
    EQ(x->reply_kept.bytes, 65536);
    fgw_exchange_resume(e.w, x->ticket, FGW_NEXT);
    fgw_worker_settle(e.w);
    for (int i = 0; i < ROUNDS && got < sizeof some; i++) {
        ssize_t r = send(o, some + sent, sizeof some - sent, MSG_NOSIGNAL);
        if (r > 0) sent += (size_t)r;
        r = recv(c, e.got, sizeof e.got, 0);
        for (ssize_t k = 0; k < r; k++) got += e.got[k] == 'k';
        fgw_worker_wait(e.w, r > 0 ? 0 : 1);
    }
    OK(got >= sizeof some);
    turn(&e, 4);
    thought(&e, c, o);
}

TEST(a_reply_may_be_refused_by_its_chain)
{
    struct engine e;
    int c, o;
    thinking(&e, &c, &o, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", FGW_FAIL, FGW_NEXT);
    HEAR(&e, c, "\"reason\":\"denied\"");
    GOT(&e, "HTTP/1.1 403 ");
    GOT_NO(&e, "abc");
    thought(&e, c, o);
    struct fgw_exchange *x = thinking(&e, &c, &o, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", FGW_PARK, FGW_NEXT);
    x->r.fail = fgw_fail(FGW_E_DENIED, FGW_BY_GATEWAY);
    fgw_exchange_resume(e.w, x->ticket, FGW_FAIL);
    fgw_worker_settle(e.w);
    HEAR(&e, c, "\"reason\":\"denied\"");
    GOT_NO(&e, "abc");
    thought(&e, c, o);
}

TEST(who_leaves_or_breaks_off_while_the_reply_is_parked)
{
    for (int how = 0; how < 2; how++) {
        struct engine e;
        int c, o;
        struct fgw_exchange *x = thinking(&e, &c, &o, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", FGW_PARK, FGW_NEXT);
        struct fgw_ticket t = x->ticket;
        if (how) reset(o);
        else reset(c);
        turn(&e, 10);
        OK(!fgw_exchange_of(e.w, t));
        if (how) HEAR(&e, c, "HTTP/1.1 502 ");
        else HEAR(&e, o, NULL);
        EQ(ended, 1);
        if (how) close(c);
        else close(o);
        turn(&e, 10);
        engine_stop(&e);
        use_mine = false;
    }
}

static struct fgw_exchange *switching(struct engine *e, int *c, int *o, const char *answer)
{
    use_mine = true, asked = ended = 0, first_verdict = FGW_PARK, next_verdict = FGW_NEXT;
    engine_start(e);
    *c = client(e);
    say(e, *c, "GET /b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    *o = origin(e);
    HEAR(e, *o, "\r\n\r\n");
    struct fgw_exchange *x = fgw_container(e->w->live.next, struct fgw_exchange, live);
    say(e, *o, answer);
    turn(e, 10);
    OK(x->parked && !x->tunnel);
    return x;
}

TEST(a_switch_of_protocols_may_be_thought_over)
{
    struct engine e;
    int c, o;
    struct fgw_exchange *x = switching(&e, &c, &o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly");
    say(&e, c, "from the client");
    fgw_exchange_resume(e.w, x->ticket, FGW_NEXT);
    fgw_worker_settle(e.w);
    HEAR(&e, c, "\r\n\r\nearly");
    HEAR(&e, o, "from the client");
    say(&e, o, "more");
    HEAR(&e, c, "more");
    close(c), close(o);
    turn(&e, 10);
    engine_stop(&e);
    use_mine = false;
}

TEST(a_switch_of_protocols_may_be_thought_better_of)
{
    struct engine e;
    int c, o;
    struct fgw_exchange *x = switching(&e, &c, &o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly");
    x->r.fail = fgw_fail(FGW_E_DENIED, FGW_BY_GATEWAY);
    fgw_exchange_resume(e.w, x->ticket, FGW_FAIL);
    fgw_worker_settle(e.w);
    HEAR(&e, c, "\"reason\":\"denied\"");
    GOT(&e, "HTTP/1.1 403 ");
    GOT_NO(&e, "early");
    HEAR(&e, o, NULL);
    thought(&e, c, o);
}

TEST(a_success_is_no_answer_to_a_request_that_is_only_for_an_upgrade)
{
    static const struct { const char *answer, *heard; } of[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "\"reason\":\"not_upgraded\""},
        {"HTTP/1.1 204 No\r\n\r\n", "\"reason\":\"not_upgraded\""}, {"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "\r\n\r\nno"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct engine e;
        engine_start(&e);
        int c = client(&e);
        say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        int o = origin(&e);
        HEAR(&e, o, "\r\n\r\n");
        fgw_container(e.w->live.next, struct fgw_exchange, live)->msg->upgrade_only = true;
        say(&e, o, of[i].answer);
        HEAR(&e, c, of[i].heard);
        GOT_NO(&e, "abc");
        close(c), close(o);
        turn(&e, 10);
        engine_stop(&e);
    }
}

TEST(a_method_that_no_route_takes_is_told_which_are)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    HEAR(&e, c, "\"status\":405");
    GOT(&e, "allow: GET, PUT\r\n");
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
