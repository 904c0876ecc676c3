/* What is sent: forms of answers, flow, trailers, ends. */
#include "http/h2_down.c"
#include "http/h2_play.h"

static void get(void) { h2_start(), ask(1, ES, GET), forget(); }
static void credits(size_t n, uint32_t id) { number(F_WINDOW, id, (uint32_t)n); }

TEST(trailers_end_the_stream)
{
    static const struct fgw_out_field f[] = {{"X-T", "1", 1, 3, 0, 0}};
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    get();
    play_head(&p, &o), play_body(&p, "abc"), p.side->down->send_trailers(p.side, f, 1), play_finish(&p), play_release(&p), play_turn(&p);
    SAID("HEADERS 1 :status=200|DATA 1 abc|HEADERS 1 x-t=1 END|");
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(a_window_stops_one_stream_and_not_another)
{
    get();
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body_n(&p, 100000, 'x'), play_turn(&p);
    EQ(p.room, 65535);
    said();
    struct fgw_side *first = p.side;
    credits(1 << 20, 0), ask(3, ES, GET);
    reply(200, "abc");
    SAID("HEADERS 3 :status=200 content-length=3|DATA 3 abc END|");
    p.side = first;
    credits(40000, 1), play_turn(&p);
    EQ(p.room, 100000);
    play_finish(&p), play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(output_waits_in_the_stream_while_the_socket_takes_nothing)
{
    get();
    credits(1 << 24, 0), credits(1 << 24, 1), play_turn(&p);
    p.w->room = 0;
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body_n(&p, 400000, 'x'), play_turn(&p);
    OK(q.server->h.conn.out.bytes < 64 << 10 || q.server->h.conn.out.bytes < (64 << 10) + 17000);
    OK(p.room < 90000);
    p.w->room = SIZE_MAX, play_turn(&p);
    EQ(p.room, 400000);
    play_finish(&p), play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(credit_gives_the_streams_window_back_and_the_connections_is_given_at_once)
{
    static char body[1000];
    h2_start();
    q.windows = true;
    ask(1, 0, POST);
    frame(F_DATA, 0, 1, body, 1000), play_turn(&p);
    SAID("");
    p.side->down->credit(p.side, 400), play_turn(&p);
    SAID("");                                        /* less than half is not worth a frame */
    p.side->down->credit(p.side, 600), play_turn(&p);
    SAID("WINDOW 1 1000|");
    frame(F_DATA, 0, 1, body, 1000), frame(F_DATA, 0, 1, body, 1), play_turn(&p);
    OK(strstr(said(), "3|") != NULL);                /* FLOW_CONTROL_ERROR */
    OK(p.given <= 2000);
    h2_stop();
}

TEST(a_length_that_is_not_kept_is_a_reset)
{
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_KNOWN, .length = 3};
    get();
    play_head(&p, &o), play_body(&p, "ab"), play_finish(&p), play_release(&p), play_turn(&p);
    OK(strstr(said(), "RST 1 2|") != NULL);
    h2_stop();
    get();
    play_head(&p, &o), play_body(&p, "abcd"), play_release(&p), play_turn(&p);
    OK(strstr(said(), "RST 1 2|") != NULL);
    h2_stop();
}

TEST_MAIN()
