/* A tunnel's two times, its place in the gauges, and what ends it. How bytes pass is tested in test_relay.c. */
#include "core/tunnel.c"
#include "core/engine.h"

static int c, o;
static struct fgw_exchange *open_(struct engine *e, const char *request)
{
    engine_start(e);
    c = client(e);
    say(e, c, request);
    o = origin(e);
    HEAR(e, o, "\r\n\r\n");
    say(e, o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    HEAR(e, c, "\r\n\r\n");
    GOT(e, "HTTP/1.1 101 ");
    return fgw_container(e->w->live.next, struct fgw_exchange, live);
}
#define ASK(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

static void over(struct engine *e, const char *reason)
{
    HEAR(e, c, NULL);
    HEAR(e, o, NULL);
    turn(e, 5);
    EQ(e->w->exchanges.live, 0);
    EQ(fgw_stats_gauges(e->shm, 0)->tunnels, 0);
    lines(e);
    GOT(e, "\"status\":101");
    GOT(e, reason);
    close(c), close(o);
    engine_stop(e);
}

TEST(silence_ends_it_and_either_direction_breaks_silence)
{
    struct engine e;
    open_(&e, ASK("/idle"));
    EQ(fgw_stats_gauges(e.shm, 0)->tunnels, 1);
    passes(&e, 9000);
    say(&e, c, "up");
    HEAR(&e, o, "up");
    passes(&e, 9000);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1000);
    over(&e, "\"reason\":\"tunnel_idle\"");
}

TEST(an_answer_breaks_it_too)
{
    struct engine e;
    open_(&e, ASK("/idle"));
    passes(&e, 9999);
    say(&e, o, "down");
    HEAR(&e, c, "down");
    passes(&e, 9999);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    over(&e, "\"reason\":\"tunnel_idle\"");
}

TEST(half_a_tunnel_may_be_silent_no_longer)
{
    struct engine e;
    open_(&e, ASK("/idle"));
    shutdown(c, SHUT_WR);
    HEAR(&e, o, NULL);
    passes(&e, 9999);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    over(&e, "\"reason\":\"tunnel_idle\"");
}

TEST(age_ends_it_however_busy_it_is)
{
    struct engine e;
    open_(&e, ASK("/idle"));
    for (int i = 0; i < 6; i++) {
        passes(&e, 4000);
        say(&e, c, "up"), say(&e, o, "down");
        HEAR(&e, o, "up");
        HEAR(&e, c, "down");
    }
    EQ(live(&e).exchanges, 1);
    passes(&e, 1000);
    over(&e, "\"reason\":\"tunnel_max\"");
}

TEST(age_alone_without_a_bound_on_silence_and_the_requests_deadline_is_over)
{
    struct engine e;
    struct fgw_exchange *x = open_(&e, ASK("/old"));
    EQ(x->tunnel_idle_ms, 0);
    passes(&e, 19999);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    over(&e, "\"reason\":\"tunnel_max\"");
}

TEST(without_either_it_lives_on)
{
    struct engine e;
    struct fgw_exchange *x = open_(&e, ASK("/p"));
    OK(!fgw_timer_armed(&x->deadline));
    passes(&e, 86400000);
    say(&e, c, "still");
    HEAR(&e, o, "still");
    close(c);
    HEAR(&e, o, NULL);
    close(o);
    turn(&e, 5);
    EQ(fgw_stats_gauges(e.shm, 0)->tunnels, 0);
    engine_stop(&e);
}

TEST(a_client_that_goes_when_the_upstream_has_ended_says_goodbye)
{
    for (int ended = 0; ended < 2; ended++) {
        struct engine e;
        open_(&e, ASK("/p"));
        if (ended) {
            close(o);
            HEAR(&e, c, NULL);
        }
        reset(c);
        turn(&e, 5);
        lines(&e);
        OK(strstr(e.got, "client_gone") ? !ended : ended);
        if (!ended) close(o);
        engine_stop(&e);
    }
}

TEST(a_filter_keeps_it_attached_and_its_times_hold_all_the_same)
{
    struct engine e;
    struct fgw_exchange *x = open_(&e, ASK("/b"));
    OK(x->tunnel && x->snap);
    close(c);
    HEAR(&e, o, NULL);
    close(o);
    turn(&e, 5);
    EQ(fgw_stats_gauges(e.shm, 0)->tunnels, 0);
    engine_stop(&e);
}

TEST_MAIN()
