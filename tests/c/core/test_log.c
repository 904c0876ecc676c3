#include "core/log.c"
#include "core/engine.h"

TEST(a_finished_request_is_counted_at_its_route)
{
    struct engine e;
    struct fgw_stats_total t;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    fgw_stats_total(e.shm, 2, &t);
    EQ(t.by_class[2], 1);
    EQ(t.bytes_out, 5);
    close(c);
    engine_stop(&e);
}

static struct fgw_stats_total total(struct engine *e, uint32_t slot)
{
    struct fgw_stats_total t;
    fgw_stats_total(e->shm, slot, &t);
    return t;
}

TEST(a_line_tells_what_was_asked_and_what_became_of_it)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p/x?q=1 HTTP/1.1\r\nHost: Shop.example:80\r\nUser-Agent: me\r\nReferer: there\r\nContent-Length: 3\r\n\r\nabc");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\nabc");
    passes(&e, 7);
    say(&e, o, "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
    HEAR(&e, c, "hello");
    turn(&e, 4);
    lines(&e);
    static const char *const parts[] = {"\"method\":\"POST\"", "/p/x", "\"host\":\"shop.example\"", "\"status\":201", "\"bytes_in\":3", "\"bytes_out\":5",
        "\"user_agent\":\"me\"", "\"referer\":\"there\"", "\"listener\":\"front\"", "\"route\":\"p\"", "\"upstream\":\"up\"", "\"endpoint\":\"origin:1\"",
        "\"client\":\"127.0.0.1\"", "\"tries\":1"};
    for (size_t i = 0; i < FGW_COUNT(parts); i++) GOT(&e, parts[i]);
    OK(e.n > 0 && e.got[e.n - 1] == '\n' && strchr(e.got, '\n') == e.got + e.n - 1);         /* one line */
    struct fgw_stats_total t = total(&e, 1);
    EQ(t.by_class[2], 1);
    EQ(t.bytes_in, 3);
    EQ(t.bytes_out, 5);
    EQ(t.sum_us, 7000);
    EQ(t.gateway_errors, 0);
    close(c), close(o);
    engine_stop(&e);
}

TEST(failures_are_told_by_their_word_and_counted)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":404");
    lines(&e);
    GOT(&e, "no_route");
    GOT(&e, "\"status\":404");
    close(e.upstream), e.upstream = -1;
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":502");
    lines(&e);
    GOT(&e, "connect_refused");
    struct fgw_stats_total t = total(&e, 1);
    EQ(t.by_class[5], 1);
    EQ(t.gateway_errors, 1);
    close(c);
    engine_stop(&e);
}

TEST(an_origins_own_failure_is_not_the_gateways)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    struct fgw_stats_total t = total(&e, 1);
    EQ(t.by_class[5], 1);
    EQ(t.gateway_errors, 0);
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_client_that_left_and_a_second_try_are_counted)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    close(o);
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    lines(&e);                           /* the first request's */
    reset(c);
    turn(&e, 10);
    lines(&e);
    GOT(&e, "client_gone");
    GOT(&e, "\"tries\":2");
    struct fgw_stats_total t = total(&e, 1);
    EQ(t.by_class[0], 1);
    EQ(t.retries, 1);
    close(o);
    engine_stop(&e);
}

TEST_MAIN()
