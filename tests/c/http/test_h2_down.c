/* What is sent: forms of answers, flow, trailers, ends. */
#include "http/h2_down.c"
#include "http/h2_play.h"

static void get(void) { h2_start(), ask(1, ES, GET), forget(); }
static void credits(size_t n, uint32_t id) { number(F_WINDOW, id, (uint32_t)n); }

TEST(forms_of_answers)
{
    static const struct { struct fgw_out o; const char *said; } of[] = {
        {{.status = 200, .len = FGW_LEN_KNOWN}, "HEADERS 1 :status=200 content-length=0 END|"}, {{.status = 200}, "HEADERS 1 :status=200 END|"},
        {{.status = 204, .len = FGW_LEN_KNOWN}, "HEADERS 1 :status=204 END|"},
        {{.status = 304, .len = FGW_LEN_KNOWN, .length = 9, .no_body = true}, "HEADERS 1 :status=304 content-length=9 END|"},
        {{.status = 200, .len = FGW_LEN_UNKNOWN}, "HEADERS 1 :status=200|DATA 1  END|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        get();
        play_head(&p, &of[i].o), play_finish(&p), play_release(&p), play_turn(&p);
        SAID(of[i].said);
        EQ(q.env.streams.live, 0);
        h2_stop();
    }
}

TEST(the_answer_to_head_has_no_body)
{
    h2_start();
    ask(1, ES, ":method=HEAD|:scheme=http|:path=/a|:authority=h");
    reply(200, "abc");
    SAID("HEADERS 1 :status=200 content-length=3 END|");
    h2_stop();
}

TEST(fields_go_in_lower_case_and_without_those_of_a_connection)
{
    static const struct fgw_out_field f[] = {
        {"X-Big", "Y", 1, 5, 0, 0}, {"Connection", "close", 5, 10, FGW_H_CONNECTION, 0}, {"Transfer-Encoding", "x", 1, 17, FGW_H_TRANSFER_ENCODING, 0},
        {"Gone", "1", 1, 4, 0, 1}, {"Keep-Alive", "1", 1, 10, FGW_H_KEEP_ALIVE, 0}};
    const struct fgw_out o = {.status = 200, .fields = f, .nfields = FGW_COUNT(f)};
    get();
    play_head(&p, &o), play_finish(&p), play_release(&p), play_turn(&p);
    SAID("HEADERS 1 :status=200 x-big=Y END|");
    h2_stop();
}

TEST(interim_answers_come_before)
{
    get();
    const struct fgw_out early = {.status = 103}, switching = {.status = 101};
    p.side->down->send_info(p.side, &early), p.side->down->send_info(p.side, &switching);
    reply(200, "x");
    SAID("HEADERS 1 :status=103|HEADERS 1 :status=200 content-length=1|DATA 1 x END|");
    h2_stop();
}

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
    OK(q.server->conn.out.bytes < 64 << 10 || q.server->conn.out.bytes < (64 << 10) + 17000);
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

TEST(abort_and_release_in_the_middle_reset_the_stream)
{
    static const struct { enum fgw_err why; const char *said; } of[] = {
        {FGW_E_UPSTREAM_TRUNCATED, "RST 1 2|"}, {FGW_E_CANCELLED, "RST 1 8|"}, {FGW_E_REQUEST_TIMEOUT, "RST 1 8|"}, {FGW_E_NONE, "RST 1 2|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
        get();
        play_head(&p, &o), play_body(&p, "abc"), play_turn(&p);
        said();
        if (of[i].why) p.side->down->abort(p.side, of[i].why);
        play_release(&p), play_turn(&p);
        SAID(of[i].said);
        SAW(&p, "");
        EQ(q.env.streams.live, 0);
        ask(3, ES, GET), reply(204, "");
        SAID("HEADERS 3 :status=204 END|");
        h2_stop();
    }
}

/* What the codec answers itself: a call's head that is too long, and one that nobody can understand. */
TEST(calls_are_refused_in_their_own_form)
{
    h2_set();
    p.lim.head.max_fields = 4;
    h2_come(), h2_hello();
    ask(1, ES, POST "|content-type=application/grpc|te=trailers|a=1|b=2|c=3");
    SAID("HEADERS 1 :status=200 content-type=application/grpc grpc-status=8 grpc-message=there are more header fields than allowed END|");
    ask(3, ES, POST "|content-type=application/grpc-web|te=trailers|a=1|b=2|c=3");
    OK(strstr(said(), ":status=431 ") != NULL);
    ask(5, ES, ":method=POST|:scheme=http|:path=/a|:authority=h|content-type=application/grpc|host=other");
    SAID("HEADERS 5 :status=200 content-type=application/grpc grpc-status=13 grpc-message=the Host field is missing, repeated or malformed END|");
    h2_stop();
}

TEST_MAIN()
