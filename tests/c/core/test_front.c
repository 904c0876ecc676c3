#include "core/front.c"
#include "core/engine.h"

static void proxied(struct engine *e, bool trusts)
{
    mini_trusts_loopback = trusts;
    engine_start(e);
    mini_trusts_loopback = false;
    fgw_container(e->w->listeners.next, struct fgw_listener, link)->proxy_protocol = true;
}

static uint32_t refusals(struct engine *e) { return (uint32_t)atomic_load(&e->w->gauges->refused); }
static const char LINE[] = "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n";
static const char GET[] = "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

TEST(a_line_from_a_trusted_peer_names_the_client)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, LINE), say(&e, c, GET);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "X-Forwarded-For: 192.0.2.7\r\n");         /* whom the line named is not trusted: what it says itself is not believed */
    GOT(&e, "for=192.0.2.7;");
    GOT_NO(&e, "6.6.6.6");
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_stranger_is_closed_before_a_byte_is_read)
{
    struct engine e;
    proxied(&e, false);
    int c = client(&e);
    EQ(send(c, LINE, sizeof LINE - 1, 0), sizeof LINE - 1);       /* all of it is there before the worker looks */
    EQ(send(c, GET, sizeof GET - 1, 0), sizeof GET - 1);
    OK(hear(&e, c, NULL) || e.eof);
    EQ(e.n, 0);
    OK(origin_idle(&e));
    EQ(refusals(&e), 1);
    EQ(e.w->fronts.live, 0);
    close(c);
    engine_stop(&e);
}

TEST(a_bad_line_is_closed_and_counted)
{
    struct engine e;
    static const char *const bad[] = {"GET / HTTP/1.1\r\n", "\r\n\r\n\0\r\nQUIT\n", "PROXY TCP4 x y 1 2\r\n"};
    proxied(&e, true);
    for (uint32_t i = 0; i < FGW_COUNT(bad); i++) {
        int c = client(&e);
        say(&e, c, bad[i]);
        OK(hear(&e, c, NULL) || e.eof);
        EQ(e.n, 0);
        EQ(refusals(&e), i + 1);
        close(c);
    }
    engine_stop(&e);
}

TEST(a_drain_lets_half_a_line_be_finished_and_its_request_be_the_last)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, "PROXY TCP4 ");
    turn(&e, 10);
    EQ(e.w->fronts.live, 1);
    fgw_worker_drain(e.w, 60000);
    OK(!fgw_worker_drained(e.w));
    say(&e, c, "192.0.2.1 192.0.2.2 1 2\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    GOT(&e, "Connection: close\r\n");
    close(c);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(the_end_of_a_worker_ends_half_a_line)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, "PROXY");
    turn(&e, 10);
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
