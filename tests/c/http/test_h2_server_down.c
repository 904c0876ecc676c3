/* What is sent to clients: heads, interim answers, ends before their time. */
#include "http/h2_server_down.c"
#include "http/h2_play.h"

static void get(void) { h2_start(), ask(1, ES, GET), forget(); }

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

TEST(what_is_taken_counts_while_there_are_windows)
{
    get();
    const struct fgw_out o = {.status = 200, .len = FGW_LEN_UNKNOWN};
    play_head(&p, &o), play_turn(&p);
    uint64_t before = p.side->down->taken(p.side);
    EQ(before, 1 + q.server->h.conn.sent);
    play_body_n(&p, 100000, 'x'), play_turn(&p);
    EQ(p.side->down->taken(p.side), 0);                /* both windows are used up */
    number(F_WINDOW, 1, 1 << 20), play_turn(&p);
    EQ(p.side->down->taken(p.side), 0);
    number(F_WINDOW, 0, 1 << 20), play_turn(&p);
    OK(p.side->down->taken(p.side) > before + 100000);
    play_finish(&p), play_release(&p), play_turn(&p);
    h2_stop();
}

TEST_MAIN()
