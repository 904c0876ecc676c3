/* The life of an HTTP/2 connection: streams, ends, drains, what the peer's resets become. */
#include "http/h2_server.c"
#include "http/h2_play.h"

TEST(a_request_comes_up_is_answered_and_leaves_nothing)
{
    h2_start();
    ask(1, ES, GET "|x-a=1");
    SAW(&p, "head GET /a x-a=1|end|");
    OK(p.side->h == 2 && p.side->peer->port == 7);
    reply(200, "abc");
    SAID("HEADERS 1 :status=200 content-length=3|DATA 1 abc END|");
    EQ(q.env.streams.live, 0);
    EQ(p.env.msgs.live, 0);
    OK(q.server->h.conn.in_b == NULL);
    h2_stop();
    SAW(&p, "gone|");
}

TEST(a_whole_stream_waits_for_its_user_and_an_early_answer_stops_the_request)
{
    h2_start();
    ask(1, 0, POST);
    reply(200, "no");                               /* released while the body is still to come */
    SAID("HEADERS 1 :status=200 content-length=2|DATA 1 no END|RST 1 0|");
    frame(F_DATA, ES, 1, "late", 4), play_turn(&p);
    SAID("");
    EQ(q.env.streams.live, 0);
    ask(3, ES, GET);
    const struct fgw_out o = {.status = 204};
    play_head(&p, &o), play_finish(&p), play_turn(&p);
    EQ(q.env.streams.live, 1);                       /* closed on the wire, not let go */
    play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(a_reset_by_the_client_aborts_its_side_only)
{
    h2_start();
    ask(1, ES, GET);
    number(F_RST, 1, 8), play_turn(&p);
    SAW(&p, "head GET /a|end|abort client_gone|");
    ask(3, ES, GET);
    reply(200, "x");
    SAID("HEADERS 3 :status=200 content-length=1|DATA 3 x END|");
    h2_stop();
}

TEST(nobody_takes_it_and_it_may_be_asked_elsewhere)
{
    h2_start();
    p.refuse = true;
    ask(1, ES, GET);
    SAW(&p, "refused overload|");
    SAID("RST 1 7|");
    h2_stop();
}

TEST(a_drain_is_in_two_steps_and_takes_what_is_on_its_way)
{
    h2_start();
    ask(1, ES, GET);
    q.server->demux.ops->drain(&q.server->demux), play_turn(&p);
    SAID("GOAWAY 2147483647 0|PING|");
    struct fgw_side *first = p.side;
    ask(3, ES, GET);                                 /* sent before the client heard */
    forget();
    reply(200, "3");
    SAID("HEADERS 3 :status=200 content-length=1|DATA 3 3 END|");
    play_wait(&p, 500);
    SAID("");
    frame(F_PING, 1, 0, "\0\0\0\0\0\0\0\0", 8), play_turn(&p);       /* it has heard, and what it sent before is here */
    SAID("GOAWAY 3 0|");
    ask(5, ES, GET);
    SAW(&p, "");
    p.side = first;
    reply(200, "1");
    SAID("HEADERS 1 :status=200 content-length=1|DATA 1 1 END|");
    OK(p.w->shut);
    p.w->eof = true, play_turn(&p);
    SAW(&p, "gone|");
    h2_stop();
}

TEST(a_cut_ends_all_at_once)
{
    h2_start();
    ask(1, ES, GET);
    forget();
    q.server->demux.ops->cut(&q.server->demux), play_turn(&p);
    SAW(&p, "abort draining|gone|");
    h2_stop();
}

TEST(the_last_request_a_connection_may_have_begins_the_drain)
{
    h2_set();
    p.lim.requests_max = 2;
    h2_come(), h2_hello();
    ask(1, ES, GET), reply(204, ""), ask(3, ES, GET), reply(204, "");
    SAID("HEADERS 1 :status=204 END|GOAWAY 2147483647 0|PING|HEADERS 3 :status=204 END|");
    play_wait(&p, 1100);                             /* it does not answer: not for ever */
    SAID("GOAWAY 3 0|");
    OK(p.w->shut);
    h2_stop();
}

TEST(a_client_that_says_goodbye_is_answered_and_let_go)
{
    h2_start();
    ask(1, ES, GET);
    frame(F_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8), play_turn(&p);
    OK(!p.w->shut);
    reply(200, "x");
    SAID("HEADERS 1 :status=200 content-length=1|DATA 1 x END|");
    OK(p.w->shut);
    p.w->eof = true, play_turn(&p);
    OK(p.w->c == NULL);
    h2_stop();
}

TEST(a_conn_is_adopted_with_its_bytes)
{
    static struct fgw_conn from;
    static const struct fgw_conn_user nobody = {0};
    static const struct fgw_peer peer = {.address = {"192.0.2.7", 9}};
    h2_set();
    fgw_conn_init_memory(&from, &p.loop, &wire_transport, &nobody);
    p.w = wire_attach(&from);
    wire_put(p.w, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    frame(F_SETTINGS, 0, 0, NULL, 0);
    headers(1, EH | ES, GET);
    OK(fgw_conn_room(&from, 4096));
    from.in_end = (uint32_t)wire_recv(&from, from.in_b->data, 4096);
    struct fgw_demux *d = fgw_h2_server_adopt(&q.env, &from, &p.lim, &q.lim, &h2_user, &p, &peer);
    q.server = fgw_container(d, struct fgw_h2_server, demux);
    p.w->c = fgw_h2_server_conn(d);
    EQ(from.state, FGW_CONN_CLOSED);
    play_turn(&p);
    SAW(&p, "head GET /a|end|");
    reply(200, "x");
    SAID("SETTINGS|SETTINGS ACK|HEADERS 1 :status=200 content-length=1|DATA 1 x END|");
    h2_stop();
}

TEST_MAIN()
