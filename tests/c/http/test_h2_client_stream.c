/* One request and its answer: forms, trailers, interim answers, windows, resets, and what is malformed. */
#include "http/h2_client_stream.c"
#include "http/h2_client_play.h"

TEST(forms_of_requests)
{
    static const struct fgw_out_field f[] = {{"X-A", "1", 1, 3, 0, 0}, {"gone", "1", 1, 4, 0, 1}, {"cookie", "a=1; b=2", 8, 6, FGW_H_COOKIE, 0},
                                             {"Connection", "close", 5, 10, FGW_H_CONNECTION, 0}, {"Host", "x", 1, 4, FGW_H_HOST, 0}};
    static const struct { struct fgw_out o; const char *said; } of[] = {
        {{.method = {"GET", 3}, .target = {"/a?b=c", 6}, .authority = {"h:8", 3}, .len = FGW_LEN_NONE},
         "HEADERS 1 :method=GET :scheme=http :path=/a?b=c :authority=h:8 END|"},
        {{.method = {"OPTIONS", 7}, .target = {"*", 1}, .authority = {"h", 1}, .len = FGW_LEN_NONE}, "HEADERS 1 :method=OPTIONS :scheme=http :path=* :authority=h END|"},
        {{.method = {"POST", 4}, .target = {"/", 1}, .authority = {"h", 1}, .len = FGW_LEN_KNOWN},
         "HEADERS 1 :method=POST :scheme=http :path=/ :authority=h content-length=0 END|"},
        {{.method = {"PUT", 3}, .target = {"/", 1}, .authority = {"h", 1}, .len = FGW_LEN_KNOWN, .length = 3},
         "HEADERS 1 :method=PUT :scheme=http :path=/ :authority=h content-length=3|"},
        {{.method = {"POST", 4}, .target = {"/", 1}, .authority = {"h", 1}, .len = FGW_LEN_UNKNOWN, .trailers = true},
         "HEADERS 1 :method=POST :scheme=http :path=/ :authority=h te=trailers|"},
        {{.method = {"GET", 3}, .target = {"/", 1}, .len = FGW_LEN_NONE, .upgrade = {"h2c", 3}}, "HEADERS 1 :method=GET :scheme=http :path=/ END|"},
        {{.method = {"GET", 3}, .target = {"/", 1}, .authority = {"h", 1}, .fields = f, .nfields = FGW_COUNT(f), .len = FGW_LEN_NONE},
         "HEADERS 1 :method=GET :scheme=http :path=/ :authority=h x-a=1 cookie=a=1; b=2 END|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        up_start();
        send_out(1, of[i].o), play_turn(&p);
        SAID(of[i].said);
        up_stop();
    }
}

TEST(over_tls_the_scheme_is_https)
{
    up_start();
    up_client()->secure = true;
    fetch(1);
    SAID("HEADERS 1 :method=GET :scheme=https :path=/a :authority=h END|");
    up_stop();
}

TEST(a_body_goes_out_and_trailers_end_it)
{
    static const struct fgw_out_field t[] = {{"X-T", "1", 1, 3, 0, 0}};
    up_start();
    send_out(1, REQUEST(.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN));
    push_body(1, "abc", 3), play_turn(&p);
    push_body(1, "de", 2);
    asks[1].side->down->send_trailers(asks[1].side, t, 1);
    asks[1].side->down->finish(asks[1].side);
    play_turn(&p);
    SAID("HEADERS 1 :method=POST :scheme=http :path=/a :authority=h|DATA 1 abc|DATA 1 de|HEADERS 1 x-t=1 END|");
    EQ(asks[1].room, 5);
    answer(1, ES, ":status=200");
    SAW(&p, "1 head 200 len=0|1 end|room 0/8|");
    SAID("");
    up_stop();
}

TEST(forms_of_answers)
{
    static const struct { const char *method, *fields, *body, *came; } of[] = {
        {"GET", ":status=200|content-length=3|x-a=1", "abc", "1 head 200 x-a=1 len=3|1 body abc|1 end|"},
        {"GET", ":status=200", "abc", "1 head 200|1 body abc|1 end|"},
        {"GET", ":status=200", NULL, "1 head 200 len=0|1 end|"},
        {"GET", ":status=204", NULL, "1 head 204 none|1 end|"},
        {"GET", ":status=304|content-length=10", NULL, "1 head 304 none|1 end|"},
        {"HEAD", ":status=200|content-length=10", NULL, "1 head 200 none|1 end|"},
        {"GET", ":status=999", NULL, "1 head 999 len=0|1 end|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        up_start();
        send_out(1, REQUEST(.method = fgw_str(of[i].method, strlen(of[i].method)), .len = FGW_LEN_NONE));
        asks[1].side->down->finish(asks[1].side), play_turn(&p);
        answer(1, of[i].body ? 0 : ES, of[i].fields);
        if (of[i].body) data(1, ES, of[i].body);
        OK(strncmp(p.log, of[i].came, strlen(of[i].came)) == 0);
        test_eq_bytes_(__FILE__, __LINE__, of[i].fields, p.log, strlen(of[i].came) < p.n ? strlen(of[i].came) : p.n, of[i].came, strlen(of[i].came));
        forget();
        up_stop();
    }
}

TEST(interim_answers_and_trailers_come_up_in_their_order)
{
    up_start();
    fetch(1);
    answer(1, 0, ":status=100"), answer(1, 0, ":status=103|link=x"), answer(1, 0, ":status=200");
    data(1, 0, "abc"), answer(1, ES, "x-t=1|x_u=2");
    SAW(&p, "1 info 100|1 info 103 link=x|1 head 200|1 body abc|1 trailers x-t=1 x_u=2|1 end|room 0/8|");
    fetch(1);
    for (int i = 0; i < 33; i++) answer(3, 0, ":status=102");
    OK(strstr(p.log, "1 abort upstream_bad_answer|") != NULL);
    OK(strstr(said(), "RST 3 1|") != NULL);
    forget();
    up_stop();
}

TEST(malformed_answers_are_reset_and_the_others_go_on)
{
    static const char *const of[] = {
        "x=1", ":status=20", ":status=2000", ":status=abc", ":status=200|:status=200", ":status=200|:path=/", "x=1|:status=200", ":status=200|X=1",
        ":status=200|connection=close", ":status=200|transfer-encoding=chunked", ":status=200|keep-alive=1", ":status=200|upgrade=x", ":status=101",
        ":status=200|content-length=x", ":status=200|content-length=1|content-length=2", ":status=099", ":status=200|a=b\nc", ":status=200|te=gzip",
        ":status=200|content-length=5", ":status=100", ":status=200|:scheme=http"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        up_start();
        fetch(1), fetch(2), said();
        answer(1, ES, of[i]);
        SAW(&p, "1 abort upstream_bad_answer|room 1/8|");
        SAID("RST 1 1|");
        answer(3, ES, ":status=200");
        SAW(&p, "2 head 200 len=0|2 end|room 0/8|");
        up_stop();
    }
}

TEST(a_body_is_counted_against_its_length)
{
    static const struct { const char *len, *body; } of[] = {{"2", "abc"}, {"4", "abc"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        char fields[64];
        up_start();
        fetch(1), said();
        snprintf(fields, sizeof fields, ":status=200|content-length=%s", of[i].len);
        answer(1, 0, fields), data(1, ES, of[i].body);
        OK(strstr(p.log, "1 abort upstream_bad_answer|") && !strstr(p.log, "end"));
        SAID("RST 1 1|");
        forget();
        up_stop();
    }
}

TEST(heads_and_trailers_beyond_their_bounds)
{
    static char big[9000];
    static const struct { int n, count; } of[] = {{300, 1}, {150, 9}, {1, 12}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (int trailers = 0; trailers < 2; trailers++) {
            h2_set();
            p.lim.head = (struct fgw_head_limits){.line_max = 100, .field_max = 200, .head_max = 1000, .max_fields = 8};
            p.lim.body.trailer_max = 1000, p.lim.body.trailer_fields = 8;
            up_dial(), up_hello(9);
            fetch(1), said();
            if (trailers) answer(1, 0, ":status=200");
            size_t n = trailers ? 0 : literal(big, ":status", "200", 3);
            for (int k = 0; k < of[i].count; k++) {
                char v[300];
                memset(v, 'v', sizeof v);
                n += literal(big + n, "x", v, (size_t)of[i].n);
            }
            frame(F_HEADERS, EH | ES, 1, big, n), play_turn(&p);
            OK(strstr(p.log, "1 abort upstream_head_too_long") != NULL);
            SAID("RST 1 8|");
            forget();
            up_stop();
        }
}

TEST(resets_say_whether_the_request_was_done)
{
    static const struct { unsigned code; int when; const char *came; } of[] = {
        {7, 0, "1 abort upstream_refused unprocessed|"}, {0, 0, "1 abort upstream_reset heard|"}, {2, 0, "1 abort upstream_reset heard|"},
        {8, 0, "1 abort upstream_reset heard|"}, {13, 0, "1 abort upstream_reset heard|"}, {0, 1, "1 abort upstream_truncated|"},
        {2, 1, "1 abort upstream_truncated|"}, {7, 1, "1 abort upstream_truncated|"}, {7, 2, "1 abort upstream_reset heard|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        up_start();
        fetch(1), fetch(2), said();
        if (of[i].when == 1) answer(1, 0, ":status=200");
        if (of[i].when == 2) answer(1, 0, ":status=103");
        forget();
        number(F_RST, 1, of[i].code), play_turn(&p);
        OK(strncmp(p.log, of[i].came, strlen(of[i].came)) == 0);
        SAID("");
        forget();
        answer(3, ES, ":status=200");
        SAW(&p, "2 head 200 len=0|2 end|room 0/8|");
        up_stop();
    }
}

TEST(an_early_answer_ends_the_exchange_while_the_request_is_still_sent)
{
    for (int how = 0; how < 2; how++) {
        up_start();
        send_out(1, REQUEST(.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN));
        push_body(1, "abc", 3), play_turn(&p), said();
        asks[1].keep = how;
        answer(1, ES, ":status=413");
        if (how) {                              /* its user does not let go at once, and the peer wants no more of it */
            number(F_RST, 1, 0), play_turn(&p);
            push_body(1, "def", 3), play_turn(&p);
            ask_release(&asks[1]), play_turn(&p);
        }
        SAW(&p, "1 head 413 len=0|1 end|room 0/8|");
        SAID(how ? "" : "RST 1 8|");
        up_stop();
    }
}

TEST(a_slow_reader_of_one_stream_holds_up_no_other)
{
    static char body[1000];
    memset(body, 'x', sizeof body);
    up_start();
    q.windows = true;
    fetch(1), fetch(2), said();
    answer(1, 0, ":status=200"), answer(3, 0, ":status=200");
    frame(F_DATA, 0, 1, body, 1000), play_turn(&p);
    EQ(asks[1].given, 1000);
    OK(!strstr(said(), "WINDOW 1 "));           /* nothing was credited */
    for (int i = 0; i < 700; i++) {             /* far more than the connection's window of 65,535 + a stream's */
        frame(F_DATA, 0, 3, body, 1000), play_turn(&p);
        asks[2].side->down->credit(asks[2].side, 1000), play_turn(&p);
        wire_forget(p.w);
    }
    EQ(asks[2].given, 700000);
    frame(F_DATA, 0, 1, "y", 1), play_turn(&p); /* beyond its window */
    OK(strstr(p.log, "1 abort") != NULL);
    OK(strstr(said(), "RST 1 3|") != NULL);
    forget();
    frame(F_DATA, ES, 3, "z", 1), play_turn(&p);
    SAW(&p, "2 body z|2 end|room 0/8|");
    up_stop();
}

TEST(a_peer_without_window_holds_up_that_stream_alone_and_not_for_ever)
{
    h2_set(), up_dial();
    up_hello(9), SAW(&p, "ready 8|");
    up_setting(4, 2), play_turn(&p), said();
    send_out(1, REQUEST(.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN));
    push_body(1, "abc", 3), play_turn(&p);
    SAID("HEADERS 1 :method=POST :scheme=http :path=/a :authority=h|DATA 1 ab|");
    EQ(asks[1].room, 2);
    fetch(2);
    answer(3, ES, ":status=200");
    play_wait(&p, 29000);
    SAW(&p, "2 head 200 len=0|2 end|room 1/8|");
    said();
    play_wait(&p, 1600);
    SAW(&p, "1 abort upstream_send_timeout|room 0/8|");
    SAID("RST 1 2|");
    up_stop();
}

TEST(an_answer_that_stalls)
{
    up_start();
    fetch(1), said();
    play_wait(&p, 60000);                       /* until the head the wait is the try's */
    answer(1, 0, ":status=200"), data(1, 0, "a");
    SAW(&p, "1 head 200|1 body a|");
    for (int i = 0; i < 200; i++) play_wait(&p, 500);        /* held back by its own user: not the peer's fault */
    SAW(&p, "");
    asks[1].side->down->credit(asks[1].side, 1);
    for (int i = 0; i < 59; i++) play_wait(&p, 500);
    SAW(&p, "");
    play_wait(&p, 1000);
    SAW(&p, "1 abort upstream_idle|room 0/8|");
    SAID("RST 1 8|");
    up_stop();
}

/* Neither side of a call need say anything for long; a byte in either direction is life, and none at all ends it as it ends a tunnel. */
TEST(an_answer_to_a_call_may_be_silent)
{
    h2_set();
    p.lim.body_idle_ms = 1000, p.lim.body_rate = 500;
    up_dial(), up_hello(100), SAW(&p, "ready 8|");
    send_out(1, REQUEST(.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN));
    asks[1].side->silence_ms = 60000;
    play_turn(&p), said();
    answer(1, 0, ":status=200");
    play_wait(&p, 40000);
    push_body(1, "abc", 3), play_turn(&p);
    SAID("DATA 1 abc|");
    play_wait(&p, 40000);
    SAW(&p, "1 head 200|");
    play_wait(&p, 30000);
    SAW(&p, "1 abort upstream_idle|room 0/8|");
    SAID("RST 1 8|");
    up_stop();
}

TEST(given_up_by_its_user_it_is_cancelled)
{
    up_start();
    fetch(1), said();
    ask_release(&asks[1]), play_turn(&p);
    SAID("RST 1 8|");
    SAW(&p, "room 0/8|");
    data(1, ES, "late"), answer(1, ES, ":status=200");       /* what was on its way */
    SAID("");
    send_out(1, REQUEST(.len = FGW_LEN_NONE));               /* before a byte of it was written */
    ask_release(&asks[1]), play_turn(&p);
    SAID("");
    open_side(2), ask_release(&asks[2]), play_turn(&p);      /* before there was a head */
    SAID("");
    EQ(p.mux->used, 0);
    forget();
    up_stop();
}

TEST(a_websocket_is_not_possible_and_is_told_from_no_downward_call)
{
    up_start();
    send_out(1, REQUEST(.len = FGW_LEN_NONE, .upgrade = FGW_STR("WebSocket")));
    asks[1].side->down->finish(asks[1].side);
    SAW(&p, "");
    play_turn(&p);
    SAW(&p, "1 abort upgrade_not_possible|room 0/8|");
    SAID("");
    up_stop();
}

TEST(more_than_promised_and_less_are_resets)
{
    for (int less = 0; less < 2; less++) {
        up_start();
        send_out(1, REQUEST(.method = FGW_STR("PUT"), .len = FGW_LEN_KNOWN, .length = 2));
        push_body(1, less ? "a" : "abc", less ? 1 : 3);
        if (less) asks[1].side->down->finish(asks[1].side);
        play_turn(&p);
        OK(strstr(p.log, "1 abort cancelled|") != NULL);
        forget();
        up_stop();
    }
}

TEST_MAIN()
