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
