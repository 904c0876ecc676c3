#include "core/try.c"
#include "core/engine.h"

TEST(a_warm_connection_that_dies_is_tried_again_once)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "GET /p/again HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    close(o);
    o = origin(&e);
    HEAR(&e, o, "GET /p/again ");
    close(o);
    HEAR(&e, c, "\"status\":502");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_post_is_not_sent_twice)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    HEAR(&e, o, "\r\n\r\nx");
    close(o);
    HEAR(&e, c, "\"status\":502");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_refused_connect_is_told)
{
    struct engine e;
    engine_start(&e);
    close(e.upstream), e.upstream = -1;
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":502");
    GOT(&e, "application/problem+json");
    close(c);
    engine_stop(&e);
}

/* ---- which failures of which requests are tried again ---- */
enum how { CLOSES, RESETS, SAYS_A_BIT, SAYS_100 };
static void breaks(struct engine *e, int o, enum how how)
{
    if (how == SAYS_A_BIT) say(e, o, "HTTP/1.1 20");
    if (how == SAYS_100) say(e, o, "HTTP/1.1 100 Continue\r\n\r\n");
    turn(e, 10);
    if (how == RESETS) reset(o);
    else close(o);
}

static void once(const char *request, bool warm, enum how how, bool again)
{
    struct engine e;
    char line[20];
    engine_start(&e);
    int c = client(&e), o = warm ? plain(&e, c, -1) : -1;
    say(&e, c, request);
    if (!warm) o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    breaks(&e, o, how);
    if (again) {
        o = origin(&e);
        snprintf(line, sizeof line, "%.*s", (int)(strchr(request, '/') - request + 2), request);
        HEAR(&e, o, strchr(request, '{') ? "{}" : "\r\n\r\n");
        GOT(&e, line);
        say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
        HEAR(&e, c, "HTTP/1.1 204 ");
        close(o);
    } else {
        HEAR(&e, c, "HTTP/1.1 502 ");
        OK(origin_idle(&e));
    }
    close(c);
    engine_stop(&e);
}

TEST(only_what_may_be_repeated_is_and_only_after_a_warm_connection_died_unheard)
{
    static const struct { const char *request; bool again; } of[] = {
        {"GET /p HTTP/1.1\r\nHost: a\r\n\r\n", true}, {"HEAD /p HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"OPTIONS /p HTTP/1.1\r\nHost: a\r\n\r\n", true}, {"DELETE /p HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", true}, {"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", false},
        {"PATCH /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", false}, {"FROB /p HTTP/1.1\r\nHost: a\r\n\r\n", false}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        once(of[i].request, true, CLOSES, of[i].again);
        once(of[i].request, true, RESETS, of[i].again);
    }
    for (size_t i = 0; i < 6; i++) once(of[i].request, false, i % 2 ? RESETS : CLOSES, false);
    once(of[0].request, true, SAYS_A_BIT, false);
    once(of[0].request, true, SAYS_100, false);
}

TEST(a_body_that_was_let_go_is_not_tried_again)
{
    static char big[100 << 10];
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    memset(big, 'x', sizeof big);
    say(&e, c, "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 102400\r\n\r\n");
    say_n(&e, c, big, sizeof big);
    for (size_t n = 0; n < sizeof big; n += e.n) HEAR(&e, o, "x");
    close(o);
    HEAR(&e, c, "HTTP/1.1 502 ");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_bad_answer_is_told_and_its_connection_not_used_again)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"upstream_bad_answer\"");
    HEAR(&e, o, NULL);                   /* closed */
    close(o);
    o = plain(&e, c, -1);
    close(c), close(o);
    engine_stop(&e);
}

TEST(an_answer_must_begin_in_time_counted_from_the_end_of_the_request)
{
    struct engine e;
    engine_start(&e);
    fgw_container(e.w->pools.next, struct fgw_pool, link)->set.first_byte_ms = 5000;
    int c = client(&e);
    say(&e, c, "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\na");
    passes(&e, 4000);
    passes(&e, 2000);                    /* the client is still at it */
    say(&e, c, "b");
    HEAR(&e, o, "b");
    passes(&e, 4999);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    HEAR(&e, c, "\"reason\":\"first_byte_timeout\"");
    GOT(&e, "HTTP/1.1 504 ");
    HEAR(&e, o, NULL);
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_truncated_answer_is_left_visibly_unfinished)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    HEAR(&e, c, "abc");
    close(o);
    HEAR(&e, c, NULL);                   /* the end, and nothing else */
    EQ(e.n, 0);
    say_n(&e, c, "", 0);
    close(c), c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    HEAR(&e, c, "abc");
    close(o);
    HEAR(&e, c, NULL);
    GOT_NO(&e, "0\r\n\r\n");
    close(c);
    engine_stop(&e);
}

TEST(a_full_pool_is_told_with_when_to_come_again)
{
    struct engine e;
    engine_start(&e);
    struct fgw_pool *p = fgw_container(e.w->pools.next, struct fgw_pool, link);
    p->set.max_connections = 1, p->set.queue_max = 0;
    int c = client(&e), d = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    say(&e, d, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, d, "\"reason\":\"pool_full\"");
    GOT(&e, "HTTP/1.1 503 ");
    GOT(&e, "retry-after: 1\r\n");
    close(c), close(d), close(o);
    engine_stop(&e);
}

TEST(states_have_names)
{
    EQ(strcmp(fgw_try_state_name(FGW_TRY_WON), "won"), 0);
    EQ(strcmp(fgw_try_state_name((enum fgw_try_state)9), "?"), 0);
    EQ(fgw_try_next(FGW_TRY_SENT), 1u << FGW_TRY_WON | 1u << FGW_TRY_NONE);
    EQ(fgw_try_next((enum fgw_try_state)9), 0);
}

/* Accept as soon as the worker has dialled, and speak before it has had another turn. */
static int eager(struct engine *e, const char *text)
{
    for (int i = 0; i < ROUNDS; i++) {
        int fd = accept4(e->upstream, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
            return fd;
        }
        fgw_worker_wait(e->w, 1);
    }
    OK(!"a connection to the origin");
    return -1;
}

TEST(an_answer_before_the_request_is_nobodys)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    static const char get[] = "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n", stolen[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);
    int first = eager(&e, stolen), second = eager(&e, stolen);
    HEAR(&e, c, "\"status\":502");
    GOT_NO(&e, "stolen");
    HEAR(&e, first, NULL);
    EQ(e.n, 0);                                        /* the request never left on it */
    HEAR(&e, second, NULL);
    EQ(e.n, 0);
    OK(origin_idle(&e));
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);
    int third = eager(&e, "");                         /* it may be asked again, once it behaves */
    HEAR(&e, third, "\r\n\r\n");
    say(&e, third, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    close(c), close(first), close(second), close(third);
    engine_stop(&e);
}

TEST(an_answer_on_an_idle_connection_is_nobodys)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    static const char get[] = "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n", stolen[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    EQ(send(o, stolen, sizeof stolen - 1, 0), sizeof stolen - 1);
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);          /* both are there when the worker looks next */
    int next = origin(&e);
    HEAR(&e, next, "\r\n\r\n");
    say(&e, next, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    GOT_NO(&e, "stolen");
    HEAR(&e, o, NULL);
    EQ(e.n, 0);
    close(c), close(o), close(next);
    engine_stop(&e);
}

/* The upstream's own counters: slot 7 of the mini snapshot. */
TEST(an_upstream_is_counted)
{
    struct engine e;
    struct fgw_stats_total t;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    turn(&e, 5);
    fgw_stats_total(e.shm, ENGINE_ROUTES + 1, &t);
    EQ(t.connects, 1);
    EQ(t.by_class[2], 1);
    EQ(t.in_flight, 0);
    EQ(t.upstream_failures, 0);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    fgw_stats_total(e.shm, ENGINE_ROUTES + 1, &t);
    EQ(t.in_flight, 1);
    close(o);                                          /* the warm one dies: tried again on another */
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    fgw_stats_total(e.shm, ENGINE_ROUTES + 1, &t);
    EQ(t.connects, 2);
    EQ(t.retries, 1);
    EQ(t.upstream_failures, 1);
    EQ(t.in_flight, 1);
    close(o);
    HEAR(&e, c, "\"status\":502");
    turn(&e, 5);
    fgw_stats_total(e.shm, ENGINE_ROUTES + 1, &t);
    EQ(t.upstream_failures, 2);
    EQ(t.by_class[0], 2);
    EQ(t.in_flight, 0);
    EQ(t.connect_failures, 0);
    close(e.upstream), e.upstream = -1;
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":502");
    fgw_stats_total(e.shm, ENGINE_ROUTES + 1, &t);
    OK(t.connect_failures >= 1);
    fgw_stats_zero_held(e.shm, 0, ENGINE_ROUTES + 1);
    fgw_stats_zero_held(e.shm, 0, FGW_SHM_STATS);      /* no such slot */
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
