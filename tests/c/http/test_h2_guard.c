/* What a peer may not make us do, and how long it may take. */
#include "http/h2_guard.c"
#include "http/h2_play.h"

static void calm(const char *why)
{
    char want[64];
    snprintf(want, sizeof want, "refused %s|", why);
    OK(strstr(p.log, want) != NULL);
    const char *s = said(), *g = strstr(s, "GOAWAY ");
    OK(g && strstr(g, " 11|"));
    if (!g || !strstr(p.log, want)) fprintf(stderr, "%s: %s, %s\n", why, s, p.log);
    OK(p.w->shut);
    p.w->eof = true, play_turn(&p);
    h2_stop();
}

TEST(rapid_reset)
{
    h2_start();
    for (uint32_t i = 0; i < 11; i++) headers(1 + 2 * i, EH | ES, GET), number(F_RST, 1 + 2 * i, 8);
    p.refuse = false;
    play_turn(&p);
    calm("rapid_reset");
}

TEST(resets_that_we_are_made_to_send_count_too)
{
    h2_start();
    for (uint32_t i = 0; i < 11; i++) headers(1 + 2 * i, EH | ES, GET), number(F_WINDOW, 1 + 2 * i, 0x7fffffff), play_turn(&p);
    calm("rapid_reset");
}

TEST(malformed_heads_count_too)
{
    h2_start();
    for (uint32_t i = 0; i < 11; i++) headers(1 + 2 * i, EH | ES, GET "|connection=x"), play_turn(&p);
    calm("rapid_reset");
}

TEST(resets_flow_off)
{
    h2_start();
    for (uint32_t i = 0; i < 40; i++) {
        headers(1 + 2 * i, EH | ES, GET), number(F_RST, 1 + 2 * i, 8);
        play_turn(&p), play_wait(&p, 1000);
        forget();
    }
    OK(strstr(said(), "GOAWAY") == NULL);
    h2_stop();
}

TEST(control_frames)
{
    for (int kind = 0; kind < 4; kind++) {
        h2_start();
        for (int i = 0; i < 21; i++) {
            if (kind == 0) frame(F_PING, 0, 0, "12345678", 8);
            if (kind == 1) frame(F_SETTINGS, 0, 0, "\0\4\0\0\0\1", 6);
            if (kind == 2) number(F_WINDOW, 0, 1);
            if (kind == 3) frame(F_PRIORITY, 0, 1, "\0\0\0\0\1", 5);
        }
        play_turn(&p);
        calm("control_flood");
    }
}

TEST(what_we_send_allows_for_its_updates)
{
    h2_start();
    ask(1, ES, GET);
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o);
    for (int i = 0; i < 200; i++) {
        play_body(&p, "x"), play_turn(&p);
        number(F_WINDOW, 1, 1), number(F_WINDOW, 0, 1), play_turn(&p);
    }
    OK(strstr(said(), "GOAWAY") == NULL);
    h2_stop();
}

/* A request that we reset: nghttp2 drops what comes for it from then on. Twice the window and eight heads are let pass. */
static void reset_one(uint32_t id)
{
    headers(id, EH, POST), play_turn(&p);
    p.side->down->abort(p.side, FGW_E_CANCELLED), play_release(&p), play_turn(&p);
    forget();
}
static bool gone_away(void) { return strstr(said(), "GOAWAY") != NULL; }

TEST(what_goes_on_for_a_stream_that_was_reset_is_a_flood_at_last)
{
    static char bytes[16000];
    for (int blocked = 0; blocked < 2; blocked++) {
        h2_start();
        if (blocked) p.w->room = 0;                    /* our reset does not get out: nghttp2 still has the stream */
        reset_one(1);
        for (int i = 0; i < 30; i++) frame(F_DATA, 0, 1, bytes, sizeof bytes), play_turn(&p);
        p.w->room = SIZE_MAX, play_turn(&p);
        OK(!gone_away());
        for (int i = 0; i < 30; i++) frame(F_DATA, 0, 1, bytes, sizeof bytes), play_turn(&p);
        calm("control_flood");
    }
    h2_start();
    reset_one(1);
    for (int i = 0; i < 26; i++) headers(1, EH, "x=1"), play_turn(&p);
    OK(!gone_away());
    for (int i = 0; i < 4; i++) headers(1, EH, "x=1"), play_turn(&p);
    calm("control_flood");
}

TEST(what_was_on_its_way_when_streams_were_reset_is_none)
{
    char bytes[1000] = {0};
    h2_start();
    q.lim.resets = 0;
    for (uint32_t i = 0; i < 200; i++) {
        reset_one(1 + 2 * i);
        frame(F_DATA, 0, 1 + 2 * i, bytes, sizeof bytes);
        headers(1 + 2 * i, EH | ES, "x=1"), play_turn(&p);
    }
    OK(!gone_away());
    ask(1001, ES, GET), play_turn(&p);
    SAW(&p, "head GET /a|end|");
    h2_stop();
}

TEST(empty_frames)
{
    h2_start();
    headers(1, EH, POST);
    for (int i = 0; i < 6; i++) frame(F_DATA, 0, 1, NULL, 0);
    play_turn(&p);
    calm("empty_frames");
    h2_start();
    headers(1, EH, POST);
    for (int i = 0; i < 6; i++) frame(F_DATA, PADDED, 1, "\3\0\0\0", 4);
    play_turn(&p);
    calm("empty_frames");
}

TEST(continuations)
{
    char b[1024];
    h2_start();
    size_t n = block(b, GET);
    frame(F_HEADERS, ES, 1, b, n);
    for (int i = 0; i < 9; i++) frame(F_CONT, 0, 1, b, literal(b, "x", "1", 1));
    play_turn(&p);
    calm("continuation_flood");
}

TEST(more_streams_than_allowed)
{
    h2_start();
    for (uint32_t i = 0; i < 9; i++) headers(1 + 2 * i, EH | ES, GET);
    play_turn(&p);
    const char *s = said();
    OK(strstr(s, "RST 17 7|") || strstr(s, "GOAWAY"));
    OK(q.server == NULL || q.env.streams.live <= 8);
    h2_stop();
}

TEST(a_limit_of_0_is_none)
{
    h2_set();
    q.lim.control = 0;
    h2_come(), h2_hello();
    for (int i = 0; i < 200; i++) frame(F_PING, 1, 0, "12345678", 8);
    play_turn(&p);
    SAID("");
    h2_stop();
}

/* ---- time ---- */
TEST(a_header_block_that_does_not_end)
{
    char b[256];
    h2_start();
    frame(F_HEADERS, ES, 1, b, block(b, GET)), play_turn(&p);
    play_wait(&p, 9000);
    SAW(&p, "");
    play_wait(&p, 1600);
    calm("head_timeout");
}

TEST(a_preface_that_does_not_come)
{
    h2_set(), h2_come();
    play_turn(&p);
    play_wait(&p, 10100);
    calm("head_timeout");
}

TEST(a_body_that_does_not_come)
{
    h2_start();
    ask(1, 0, POST);
    play_wait(&p, 29000);
    SAW(&p, "head POST /a|");
    play_wait(&p, 1600);
    SAW(&p, "abort body_timeout|");
    const char *s = said();
    OK(strstr(s, ":status=408") && strstr(s, "RST 1 0|"));
    h2_stop();
}

TEST(a_body_that_we_hold_back_is_not_late)
{
    h2_start();
    headers(1, EH, POST), frame(F_DATA, 0, 1, "abc", 3), play_turn(&p);
    for (int i = 0; i < 100; i++) play_wait(&p, 1000);
    SAW(&p, "head POST /a|body abc|");
    p.side->down->credit(p.side, 3);
    play_wait(&p, 31000);
    SAW(&p, "abort body_timeout|");
    h2_stop();
}

TEST(a_body_below_its_rate)
{
    h2_set();
    p.lim.body_rate = 500, p.eager = true;
    h2_come(), h2_hello();
    ask(1, 0, POST);
    for (int i = 0; i < 13 && !strstr(p.log, "abort"); i++) frame(F_DATA, 0, 1, "abc", 3), play_turn(&p), play_wait(&p, 1000);
    OK(strstr(p.log, "abort body_too_slow|") != NULL);
    h2_stop();
}

TEST(time_in_which_the_worker_did_not_run_is_not_the_clients)
{
    h2_set();
    p.lim.body_rate = 500, p.eager = true;
    h2_come(), h2_hello();
    ask(1, 0, POST);
    frame(F_DATA, 0, 1, "abc", 3), play_turn(&p);
    p.loop.stalled_ms += 60000, play_wait(&p, 60000);
    OK(strstr(p.log, "abort") == NULL);
    play_wait(&p, 11000);
    OK(strstr(p.log, "abort body_too_slow|") != NULL);
    h2_stop();
}

TEST(an_answer_nobody_takes)
{
    h2_set(), h2_come();
    wire_put(p.w, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    frame(F_SETTINGS, 0, 0, "\0\4\0\0\0\0", 6), frame(F_SETTINGS, 1, 0, NULL, 0);    /* no window at all */
    headers(1, EH | ES, GET), play_turn(&p);
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body(&p, "abc"), play_turn(&p);
    forget();
    play_wait(&p, 29000);
    SAW(&p, "");
    play_wait(&p, 1600);
    SAW(&p, "abort send_timeout|");
    OK(strstr(said(), "RST 1 8|") != NULL);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(an_answer_taken_byte_by_byte)
{
    h2_set();
    p.lim.send_rate = 500, q.lim.control = 0;
    h2_come();
    wire_put(p.w, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    frame(F_SETTINGS, 0, 0, "\0\4\0\0\0\0", 6), frame(F_SETTINGS, 1, 0, NULL, 0);
    headers(1, EH | ES, GET), play_turn(&p);
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body_n(&p, 30000, 'x'), play_turn(&p);
    forget();
    for (int i = 0; i < 13 && !strstr(p.log, "abort"); i++) number(F_WINDOW, 1, 1), play_turn(&p), play_wait(&p, 1000);
    SAW(&p, "abort send_too_slow|");
    h2_stop();
}

TEST(a_socket_that_takes_nothing)
{
    h2_start();
    ask(1, ES, GET);
    p.w->room = 0;
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body(&p, "abc"), play_turn(&p);
    forget();
    play_wait(&p, 31000);
    SAW(&p, "abort send_timeout|gone|");
    h2_stop();
}

TEST(an_idle_connection_and_an_old_one)
{
    h2_start();
    play_wait(&p, 74000);
    OK(!p.w->shut);
    play_wait(&p, 2000);
    SAID("GOAWAY 0 0|");
    OK(p.w->shut);
    h2_stop();
    h2_set();
    p.lim.connection_ms = 5000;
    h2_come(), h2_hello();
    ask(1, ES, GET);
    play_wait(&p, 5600);
    SAID("GOAWAY 2147483647 0|PING|");
    reply(204, "");
    h2_stop();
}

#define CALL POST "|content-type=application/grpc|te=trailers"

/* A call may be silent for longer than a body, and slower; not for ever, but a byte in either direction is life. */
TEST(calls_may_be_silent)
{
    h2_set();
    p.lim.head_ms = p.lim.keepalive_ms = 0;
    p.lim.body_idle_ms = 1000, p.lim.body_rate = 500;
    h2_come(), h2_hello();
    ask(1, 0, CALL);
    p.side->silence_ms = 60000;
    play_wait(&p, 30000);
    frame(F_DATA, 0, 1, "abc", 3), play_turn(&p);
    p.side->down->credit(p.side, 3);
    play_wait(&p, 40000);
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_body(&p, "x"), play_turn(&p);
    SAID("HEADERS 1 :status=200|DATA 1 x|");
    play_wait(&p, 40000);
    SAID("");
    play_wait(&p, 30000);
    SAID("RST 1 8|");
    ask(3, 0, CALL);                                   /* it says so, but its user does not */
    play_wait(&p, 2000);
    OK(strstr(said(), "HEADERS 3 :status=200 content-type=application/grpc grpc-status=4 ") != NULL);
    h2_stop();
}

TEST(a_silent_call_is_answered_in_its_own_form)
{
    h2_set();
    p.lim.head_ms = p.lim.keepalive_ms = 0;
    h2_come(), h2_hello();
    ask(1, 0, CALL);
    p.side->silence_ms = 10000;
    play_wait(&p, 11000);
    SAID("HEADERS 1 :status=200 content-type=application/grpc grpc-status=4 grpc-message=the request body did not arrive in time END|RST 1 0|");
    ask(3, 0, POST), play_wait(&p, 11000);             /* nothing else is judged by that */
    SAID("");
    h2_stop();
}

/* The pings of a client that keeps its connection alive every second, and measures what it gets, for a minute. */
TEST(pings_of_calls_are_no_flood)
{
    h2_start();
    ask(1, 0, CALL);
    for (int i = 0; i < 60; i++) frame(F_PING, 0, 0, "12345678", 8), play_turn(&p), play_wait(&p, 1000), forget();
    OK(strstr(said(), "GOAWAY") == NULL);
    h2_stop();
}

/* gRPC's own library opens the stream's window with each call, and an answer that is all status has no DATA that would pay for it. */
TEST(heads_that_are_sent_give_back)
{
    h2_start();
    for (uint32_t i = 0; i < 60; i++) {
        headers(1 + 2 * i, EH | ES, GET), number(F_WINDOW, 1 + 2 * i, 5);
        play_turn(&p), reply(204, ""), forget();
    }
    OK(strstr(said(), "GOAWAY") == NULL);
    h2_stop();
}

TEST_MAIN()
