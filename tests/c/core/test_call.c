#include "core/call.c"
#include "core/engine.h"

TEST(a_call_that_fails_is_told_as_the_gateways_answer)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "GET /probe ");
    close(o);
    o = origin(&e);
    HEAR(&e, o, "x-probe: 000\r\n");
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_client_that_leaves_ends_the_call_too)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "GET /probe ");
    EQ(live(&e).exchanges, 2);
    reset(c);
    HEAR(&e, o, NULL);                   /* the origin is told by the end of its connection */
    EQ(live(&e).exchanges, 0);
    EQ(live(&e).tries, 0);
    EQ(e.w->calls.live, 0);
    close(o);
    engine_stop(&e);
}

/* ---- calls made by hand, of an exchange that waits for its origin ---- */
static int times;
static uint16_t status;
static enum fgw_err fail;
static char body[200 << 10];
static uint64_t body_n;
static void done(struct fgw_call *c)
{
    times++, status = c->status, fail = (enum fgw_err)c->fail.code, body_n = c->body.bytes;
    char *p = body;
    for (struct fgw_buf_node *n = c->body.first; n; p += n->s.len, n = n->next) memcpy(p, fgw_span_p(n->s), n->s.len);
    *p = 0;
}

static struct fgw_exchange *waiting(struct engine *e, int *c, int *o)
{
    *c = client(e);
    say(e, *c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    *o = origin(e);
    HEAR(e, *o, "\r\n\r\n");
    times = 0, status = 0, fail = FGW_E_NONE, body_n = 0;
    return fgw_container(e->w->live.next, struct fgw_exchange, live);
}
static const struct fgw_call_spec GET = {FGW_STR("GET"), FGW_STR("/q?r"), FGW_STR("")};

TEST(a_call_collects_its_answer_and_tells_once)
{
    struct engine e;
    int c, o;
    engine_start(&e);
    struct fgw_exchange *x = waiting(&e, &c, &o);
    OK(fgw_call_start(x, &GET, 1000, done, NULL) != NULL);
    EQ(times, 0);                        /* not from within */
    int p = origin(&e);
    HEAR(&e, p, "\r\n\r\n");
    GOT(&e, "GET /q?r HTTP/1.1\r\nHost: a\r\n");
    GOT_NO(&e, "X-Forwarded-For");       /* it is the gateway that asks */
    say(&e, p, "HTTP/1.1 203 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    turn(&e, 10);
    EQ(times, 1);
    EQ(status, 203);
    EQ_BYTES(body, body_n, "abcde");
    EQ(e.w->calls.live, 0);
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 204 ");        /* its parent goes on */
    close(c), close(o), close(p);
    engine_stop(&e);
}

TEST(an_answer_longer_than_wanted_fails_the_call)
{
    struct engine e;
    int c, o;
    engine_start(&e);
    struct fgw_exchange *x = waiting(&e, &c, &o);
    OK(fgw_call_start(x, &GET, 4, done, NULL) != NULL);
    int p = origin(&e);
    HEAR(&e, p, "\r\n\r\n");
    say(&e, p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde");
    turn(&e, 10);
    EQ(times, 1);
    EQ(status, 0);
    EQ(fail, FGW_E_BODY_TOO_LONG);
    close(c), close(o), close(p);
    engine_stop(&e);
}

TEST(a_call_that_gets_no_answer_says_why)
{
    struct engine e;
    int c, o;
    engine_start(&e);
    struct fgw_exchange *x = waiting(&e, &c, &o);
    OK(fgw_call_start(x, &GET, 1000, done, NULL) != NULL);
    int p = origin(&e);
    HEAR(&e, p, "\r\n\r\n");
    say(&e, p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    close(p);
    turn(&e, 10);
    EQ(times, 1);
    EQ(status, 0);
    EQ(fail, FGW_E_UPSTREAM_TRUNCATED);
    close(e.upstream), e.upstream = -1;
    OK(fgw_call_start(x, &GET, 1000, done, NULL) != NULL);
    turn(&e, 10);
    EQ(times, 2);
    EQ(fail, FGW_E_CONNECT_REFUSED);
    close(c), close(o);
    engine_stop(&e);
}

TEST(depth_and_number_are_bounded)
{
    struct engine e;
    int c, o, p[FGW_CALLS_MAX];
    engine_start(&e);
    fgw_container(e.w->pools.next, struct fgw_pool, link)->set.max_connections = 100;
    struct fgw_exchange *x = waiting(&e, &c, &o);
    x->depth = FGW_CALL_DEPTH;
    OK(!fgw_call_start(x, &GET, 1000, done, NULL));
    x->depth = FGW_CALL_DEPTH - 1;
    struct fgw_call *first = fgw_call_start(x, &GET, 1000, done, NULL);
    OK(first != NULL);
    struct fgw_exchange *child = first->side.user;
    EQ(child->depth, FGW_CALL_DEPTH);
    OK(!fgw_call_start(child, &GET, 1000, done, NULL));
    for (int i = 1; i < FGW_CALLS_MAX; i++) OK(fgw_call_start(x, &GET, 1000, done, NULL) != NULL);
    OK(!fgw_call_start(x, &GET, 1000, done, NULL));
    for (int i = 0; i < FGW_CALLS_MAX; i++) p[i] = origin(&e);
    EQ(live(&e).exchanges, 1 + FGW_CALLS_MAX);
    reset(c);                            /* and all end with the parent */
    turn(&e, 20);
    EQ(live(&e).exchanges, 0);
    EQ(times, FGW_CALLS_MAX);
    EQ(e.w->calls.live, 0);
    for (int i = 0; i < FGW_CALLS_MAX; i++) close(p[i]);
    close(o);
    engine_stop(&e);
}

TEST_MAIN()
