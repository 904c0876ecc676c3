/* The server codec's conversations; its timers are in test_h1_server_timers.c, the replies' form in test_h1_server_down.c. */
#include "http/h1_server.c"
#include "http/h1_server_play.h"

static struct play p;
#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "

/* ---- requests ---- */
TEST(a_request_comes_up_is_answered_and_leaves_nothing)
{
    server_start(&p);
    play_say(&p, "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\n\r\n");
    SAW(&p, "head GET /a?b X-A=1|end|");
    OK(p.side->peer->port == 7 && p.side->h == 1 && p.side->minor == 1);
    answer(&p, 200, "abc");
    HEARD(&p, OK_HEAD "3\r\n\r\nabc");
    EQ(p.server->in, IN_IDLE);
    EQ(p.env.msgs.live, 0);
    OK(p.server->conn.in_b == NULL && p.w->c != NULL);       /* an idle connection holds no block and no msg */
    server_stop(&p);
    SAW(&p, "gone|");
}

TEST(any_cut_of_the_bytes_is_heard_alike)
{
    static const char *const of[][2] = {
        {GET, "head GET /a|end|"},
        {"\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "head GET /a|end|"},
        {POST(5) "hello", "head POST /a|body hello|end|"},
        {POST(0), "head POST /a|end|"},
        {CHUNKED "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "head POST /a|body abcde|end|"},
        {CHUNKED "0\r\n\r\n", "head POST /a|end|"},
        {CHUNKED "1\r\na\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n", "head POST /a|body a|trailers X-T=1 X-U=2|end|"},
        {"HEAD /a HTTP/1.0\r\n\r\n", "head HEAD /a|end|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (size_t piece = 0; piece < 9; piece++) {
            server_start(&p);
            p.w->piece = piece;
            play_say(&p, of[i][0]);
            SAW(&p, of[i][1]);
            server_stop(&p);
        }
}

TEST(pipelined_requests_are_taken_one_by_one)
{
    server_start(&p);
    play_say(&p, POST(2) "xy" GET "GET /c HTTP/1.1\r\nHost: h\r\n\r\nGET /d HT");
    SAW(&p, "head POST /a|body xy|end|");
    answer(&p, 200, "1");
    SAW(&p, "head GET /a|end|");
    answer(&p, 200, "2");
    SAW(&p, "head GET /c|end|");
    play_say(&p, "TP/1.1\r\nHost: h\r\n\r\n");
    SAW(&p, "");
    answer(&p, 200, "3");
    SAW(&p, "head GET /d|end|");
    HEARD(&p, OK_HEAD "1\r\n\r\n1" OK_HEAD "1\r\n\r\n2" OK_HEAD "1\r\n\r\n3");
    server_stop(&p);
}

TEST(what_waits_behind_a_request_is_not_read_without_bound)
{
    server_start(&p);
    ask(&p, GET);
    for (int i = 0; i < 40000; i++) wire_say(p.w, GET);
    play_turn(&p);
    OK(fgw_conn_in_len(&p.server->conn) >= PIPELINE_MAX && fgw_conn_in_len(&p.server->conn) < 4 * PIPELINE_MAX);
    OK(p.w->in_n - p.w->in_at > 512 << 10);
    p.echo = true;                       /* from here on each is answered as it comes: all arrive */
    answer(&p, 204, "");
    OK(p.w->in_n == p.w->in_at);
    size_t heads = 0;
    for (const char *q = p.w->out; (q = strstr(q, "HTTP/1.1 204")); q++) heads++;
    EQ(heads, 40001);
    server_stop(&p);
}

TEST(a_client_that_asks_on_without_reading_is_not_read)
{
    server_start(&p);
    p.echo = true;
    p.w->room = 0;
    for (int i = 0; i < 40000; i++) wire_say(p.w, GET);
    play_turn(&p);
    OK(p.server->conn.out.bytes > p.lim.window && p.server->conn.out.bytes < p.lim.window + 4096);
    OK(fgw_conn_in_len(&p.server->conn) < 4 * PIPELINE_MAX);
    OK(p.w->in_n - p.w->in_at > 512 << 10);
    p.w->room = SIZE_MAX;
    play_turn(&p);
    OK(p.w->in_n == p.w->in_at && p.server->conn.out.bytes == 0);
    server_stop(&p);
}

TEST(a_long_pipeline_lets_others_run)
{
    server_start(&p);
    p.echo = true;
    for (int i = 0; i < BURST * 3; i++) wire_say(p.w, GET);
    fgw_conn_event(&p.server->conn, EPOLLIN);
    size_t heads = 0;
    for (const char *q = p.log; (q = strstr(q, "head ")); q++) heads++;
    EQ(heads, BURST);
    OK(!fgw_list_empty(&p.loop.ready));
    play_turn(&p);
    server_stop(&p);
}

/* ---- flow ---- */
static void flow(const char *request, const char *body, uint32_t window)
{
    play_begin(&p);
    p.lim.window = window;
    server_come(&p);
    wire_say(p.w, request), wire_say(p.w, body);
    for (uint64_t credit = 0, rounds = 0; rounds < 100; rounds++) {
        play_turn(&p);
        OK(p.given <= credit + window);
        if (strstr(p.log, "end|")) break;
        credit = p.given;
        EQ(p.server->window, 0);
        OK(!p.server->conn.want_read);
        p.side->down->credit(p.side, credit - (p.room ? p.room : 0)), p.room = credit;
    }
    OK(strstr(p.log, "body 0123456789abcdef|end|") != NULL);
    server_stop(&p);
}

TEST(no_more_body_comes_up_than_the_window_and_credit_reads_on)
{
    for (uint32_t window = 1; window < 16; window++) {
        flow(POST(16), "0123456789abcdef", window);
        flow(CHUNKED, "4\r\n0123\r\n1\r\n4\r\nb\r\n56789abcdef\r\n0\r\n\r\n", window);
    }
}

TEST(a_window_does_not_grow_by_what_was_given_at_once)
{
    play_begin(&p);
    p.lim.window = 100;
    server_come(&p);
    ask(&p, POST(100000));
    char *some = malloc(100000);
    memset(some, 'x', 100000);
    wire_put(p.w, some, 100000);
    free(some);
    uint64_t credited = 0;
    for (int i = 0; i < 500; i++) {
        play_turn(&p);
        OK(p.given - credited <= 100);
        uint64_t n = p.given - credited < 7 ? p.given - credited : 7;     /* a slow taker */
        credited += n, p.side->down->credit(p.side, n);
    }
    EQ(p.server->window + (p.given - credited), 100);
    server_stop(&p);
}

TEST(room_tells_what_has_left_body_bytes_only)
{
    server_start(&p);
    ask(&p, GET);
    p.w->room = 0;
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 50000});
    play_body_n(&p, 50000, 'y');
    play_turn(&p);
    EQ(p.room, 0);
    for (int i = 0; i < 5; i++) p.w->room = 10000, play_turn(&p);
    OK(p.room > 49000 && p.room < 50000);                    /* the head went first */
    p.w->room = SIZE_MAX, play_turn(&p);
    EQ(p.room, 50000);
    server_stop(&p);
}

/* ---- answers ---- */
TEST(forms_of_answers)
{
    static const struct { const char *request; struct fgw_out o; const char *body, *heard; bool kept; } of[] = {
        {GET, {.status = 200, .len = FGW_LEN_KNOWN, .length = 2}, "ab", OK_HEAD "2\r\n\r\nab", true},
        {GET, {.status = 200, .len = FGW_LEN_UNKNOWN}, "ab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true},
        {GET, {.status = 200, .len = FGW_LEN_NONE}, "", OK_HEAD "0\r\n\r\n", true},
        {GET, {.status = 204}, "ignored", "HTTP/1.1 204 No Content\r\n\r\n", true},
        {GET, {.status = 304, .len = FGW_LEN_KNOWN, .length = 70, .no_body = true}, "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n", true},
        {GET, {.status = 304}, "ignored", "HTTP/1.1 304 Not Modified\r\n\r\n", true},
        {GET, {.status = 200, .close = true}, "", OK_HEAD "0\r\nConnection: close\r\n\r\n", false},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", {.status = 200, .len = FGW_LEN_KNOWN, .length = 9}, "ignored", OK_HEAD "9\r\n\r\n", true},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", {.status = 200, .len = FGW_LEN_UNKNOWN}, "ignored", "HTTP/1.1 200 OK\r\n\r\n", true},
        {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", {.status = 200}, "", OK_HEAD "0\r\nConnection: close\r\n\r\n", false},
        {"GET /a HTTP/1.0\r\n\r\n", {.status = 200}, "", OK_HEAD "0\r\nConnection: close\r\n\r\n", false},
        {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {.status = 200}, "", OK_HEAD "0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {.status = 200, .len = FGW_LEN_UNKNOWN}, "ab", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab", false},
        {GET, {.status = 799, .reason = {"Odd", 3}}, "", "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n", true}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        server_start(&p);
        ask(&p, of[i].request);
        play_head(&p, &of[i].o);
        if (of[i].body[0]) play_body(&p, of[i].body);
        play_finish(&p), play_release(&p), play_turn(&p);
        HEARD(&p, of[i].heard);
        EQ(p.w->c != NULL, of[i].kept);
        server_stop(&p);
    }
}

TEST(interim_answers_and_a_chunked_one_with_trailers)
{
    server_start(&p);
    ask(&p, GET);
    const struct fgw_out_field f = {"Link", "x", 1, 4, FGW_H_OTHER, 0}, t = {"X-T", "1", 1, 3, FGW_H_OTHER, 0};
    p.side->down->send_info(p.side, &(struct fgw_out){.status = 103, .fields = &f, .nfields = 1});
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_UNKNOWN});
    play_head(&p, &(struct fgw_out){.status = 500});         /* a second head is ignored */
    p.side->down->send_info(p.side, &(struct fgw_out){.status = 102});                 /* and so is a late 1xx */
    play_body(&p, "abc");
    p.side->down->send_trailers(p.side, &t, 1);
    play_finish(&p), play_release(&p), play_turn(&p);
    HEARD(&p, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n");
    play_say(&p, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    p.side->down->send_info(p.side, &(struct fgw_out){.status = 103});
    play_turn(&p);
    HEARD(&p, "");                       /* RFC 9110 section 15.2: none to HTTP/1.0 */
    server_stop(&p);
}

TEST(an_answer_that_is_shorter_or_longer_than_promised_is_not_made_whole)
{
    server_start(&p);
    ask(&p, GET);
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 5});
    play_body(&p, "abc");
    play_finish(&p), play_release(&p), play_turn(&p);
    HEARD(&p, OK_HEAD "5\r\n\r\nabc");
    OK(p.w->c == NULL);
    server_stop(&p);
    server_start(&p);
    ask(&p, GET);
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 2});
    play_turn(&p);
    play_body(&p, "abc");
    play_turn(&p);
    SAW(&p, "abort client_gone|gone|");
    HEARD(&p, OK_HEAD "2\r\n\r\n");
    server_stop(&p);
}

TEST(expect_is_answered_by_the_user_or_ends_the_connection)
{
    static const char request[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    server_start(&p);
    play_say(&p, request);
    SAW(&p, "head PUT /a Expect=100-continue|");
    p.side->down->send_info(p.side, &(struct fgw_out){.status = 100});
    play_turn(&p);
    HEARD(&p, "HTTP/1.1 100 Continue\r\n\r\n");
    play_say(&p, "abc");
    SAW(&p, "body abc|end|");
    answer(&p, 200, "");
    HEARD(&p, OK_HEAD "0\r\n\r\n");
    ask(&p, request);
    answer(&p, 401, "");                 /* whether the body follows is not known: no next request may be read there */
    OK(SAYS(&p, "401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    play_wait(&p, 2000);
    OK(p.w->c == NULL);
    server_stop(&p);
    server_start(&p);
    ask(&p, request);
    play_say(&p, "abc");                 /* it did not wait: then its body has begun */
    answer(&p, 200, "");
    OK(!SAYS(&p, "Connection: close"));
    server_stop(&p);
}

/* ---- early answers ---- */
TEST(after_an_early_answer_the_rest_is_drained_and_the_next_request_served)
{
    server_start(&p);
    ask(&p, POST(10) "abc");
    answer(&p, 200, "no");
    HEARD(&p, OK_HEAD "2\r\n\r\nno");
    play_say(&p, "defghij" GET);
    SAW(&p, "head GET /a|end|");
    answer(&p, 200, "");
    HEARD(&p, OK_HEAD "0\r\n\r\n");
    ask(&p, CHUNKED "3\r\nabc\r\n");
    answer(&p, 200, "");
    play_say(&p, "1\r\nx\r\n0\r\nX-T: 1\r\n\r\n" GET);
    SAW(&p, "head GET /a|end|");
    server_stop(&p);
}

TEST(a_long_rest_after_an_early_answer_ends_the_connection)
{
    server_start(&p);
    ask(&p, POST(10000000));
    answer(&p, 413, "");
    for (int i = 0; i < 400 && p.w->c; i++) {
        static char some[1024];
        wire_put(p.w, some, sizeof some), play_turn(&p);
    }
    OK(p.w->shut);
    OK(p.server == NULL || p.server->in == IN_LINGER);
    play_wait(&p, 2000);
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(stop_reading_drops_the_body_and_the_answer_goes_on)
{
    server_start(&p);
    ask(&p, POST(10) "abc");
    p.side->down->stop_reading(p.side, FGW_E_BODY_TOO_LONG);
    play_say(&p, "defghij");
    SAW(&p, "end|");
    answer(&p, 200, "ok");
    HEARD(&p, OK_HEAD "2\r\n\r\nok");
    play_say(&p, GET);
    SAW(&p, "head GET /a|end|");
    p.side->down->stop_reading(p.side, FGW_E_BODY_TOO_LONG);             /* too late to mean anything */
    answer(&p, 200, "");
    OK(p.w->c != NULL);
    server_stop(&p);
}

/* ---- refusals ---- */
TEST(what_is_no_request_is_told_and_the_connection_ends)
{
    static const struct { const char *bytes; int status; const char *saw; } of[] = {
        {"GET /a\r\n\r\n", 505, NULL}, {"G(T / HTTP/1.1\r\n\r\n", 400, "refused bad_request_line|"},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400, "refused bad_field|"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "refused bad_framing|"},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, NULL},
        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", 417, "refused bad_expect|"},
        {CHUNKED "zz\r\n", 400, "head POST /a|abort bad_chunk|"},
        {CHUNKED "0\r\nX T: 1\r\n\r\n", 400, "head POST /a|abort bad_chunk|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (size_t piece = 0; piece < 2; piece++) {
            char line[40];
            server_start(&p);
            p.w->piece = piece;
            play_say(&p, of[i].bytes);
            snprintf(line, sizeof line, "HTTP/1.1 %d ", of[i].status);
            if (of[i].status != 505) OK(SAYS(&p, line));
            OK(SAYS(&p, "\r\nconnection: close\r\n") && SAYS(&p, "application/problem+json"));
            if (of[i].saw) {
                EQ(strncmp(p.log, of[i].saw, strlen(of[i].saw)), 0);
            }
            play_say(&p, GET);           /* read and thrown away, never taken for a request */
            OK(!strstr(p.log, "head GET"));
            OK(p.w->shut);
            p.w->eof = true, play_turn(&p);
            OK(p.w->c == NULL);
            server_stop(&p);
        }
}

TEST(a_head_beyond_its_limits_is_refused_in_any_cut)
{
    for (size_t piece = 0; piece < 2; piece++) {
        play_begin(&p);
        p.lim.head = (struct fgw_head_limits){100, 100, 200, 3};
        server_come(&p);
        p.w->piece = piece;
        play_say(&p, "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n");
        OK(SAYS(&p, "HTTP/1.1 431 ") && SAYS(&p, "too_many_fields"));
        server_stop(&p);
    }
}

TEST(a_bad_body_behind_a_begun_answer_leaves_it_unfinished)
{
    server_start(&p);
    ask(&p, CHUNKED "1\r\na\r\n");
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 5});
    play_body(&p, "ab"), play_turn(&p);
    play_say(&p, "nonsense\r\n");
    SAW(&p, "abort bad_chunk|gone|");
    HEARD(&p, OK_HEAD "5\r\n\r\nab");
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(a_request_that_nobody_takes_is_answered_by_the_codec)
{
    server_start(&p);
    p.refuse = true;
    play_say(&p, GET);
    SAW(&p, "refused overload|");
    OK(SAYS(&p, "HTTP/1.1 503 ") && p.w->shut);
    play_wait(&p, 2000);
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST(downward_calls_after_a_refusal_do_nothing)
{
    server_start(&p);
    ask(&p, CHUNKED);
    struct fgw_side *s = p.side;
    play_say(&p, "nonsense\r\n");
    wire_forget(p.w);
    s->down->send_head(s, &(struct fgw_out){.status = 200});
    s->down->send_info(s, &(struct fgw_out){.status = 103});
    s->down->finish(s), s->down->tunnel(s), s->down->credit(s, 1), s->down->stop_reading(s, FGW_E_NONE), s->down->abort(s, FGW_E_NONE);
    play_turn(&p);
    HEARD(&p, "");
    server_stop(&p);
}

/* ---- ends of the client's direction ---- */
TEST(half_closed_after_a_whole_request_it_is_still_answered)
{
    server_start(&p);
    ask(&p, GET);
    p.w->eof = true, play_turn(&p);
    SAW(&p, "");
    answer(&p, 200, "abc");
    HEARD(&p, OK_HEAD "3\r\nConnection: close\r\n\r\nabc");
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST(half_closed_behind_a_pipeline_all_are_answered)
{
    server_start(&p);
    wire_say(p.w, GET GET), p.w->eof = true;
    play_turn(&p);
    answer(&p, 200, "1");
    OK(p.side != NULL);
    if (p.side) answer(&p, 200, "2");
    OK(SAYS(&p, "\r\n\r\n1HTTP/1.1 200 OK") && SAYS(&p, "\r\n\r\n2"));
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(half_closed_with_an_answer_underway_it_still_gets_all_of_it)
{
    server_start(&p);
    ask(&p, GET);
    p.w->room = 10;
    answer(&p, 200, "abcdefgh");
    p.w->eof = true, play_turn(&p);      /* the request is over, the connection idle, its answer not yet taken */
    p.w->room = SIZE_MAX, play_turn(&p);
    HEARD(&p, OK_HEAD "8\r\n\r\nabcdefgh");
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(an_end_within_a_request_ends_it)
{
    static const char *const of[][2] = {{"", "gone|"}, {"GET /a HT", "gone|"}, {POST(3) "ab", "head POST /a|body ab|abort body_truncated|gone|"},
        {CHUNKED "1\r\na\r\n", "head POST /a|body a|abort body_truncated|gone|"}, {CHUNKED "0\r\nX-T", "head POST /a|abort body_truncated|gone|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (int reset = 0; reset < 2; reset++) {
            server_start(&p);
            play_say(&p, of[i][0]);
            if (reset) p.w->reset = true;
            else p.w->eof = true;
            play_turn(&p);
            if (!reset) SAW(&p, of[i][1]);
            else OK(strstr(p.log, "gone|") && !strstr(p.log, "|end|") && (!strstr(p.log, "head") || strstr(p.log, "abort client_gone|")));
            OK(p.w->c == NULL && p.w->out_n == 0);
            server_stop(&p);
        }
}

TEST(an_end_that_comes_while_we_hold_the_body_back_is_seen_after_the_body)
{
    play_begin(&p);
    p.lim.window = 4;
    server_come(&p);
    wire_say(p.w, POST(6) "abcdef"), p.w->eof = true;
    play_turn(&p);
    SAW(&p, "head POST /a|body abcd|");
    p.side->down->credit(p.side, 4), play_turn(&p);
    SAW(&p, "body ef|end|");
    answer(&p, 200, "");
    OK(SAYS(&p, "200 OK") && p.w->c == NULL);
    server_stop(&p);
}

/* ---- tunnels ---- */
static void switch_over(const char *behind)
{
    wire_say(p.w, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), play_say(&p, behind);
    play_head(&p, &(struct fgw_out){.status = 101, .upgrade = FGW_STR("x")});
    p.side->down->tunnel(p.side), play_turn(&p);
    HEARD(&p, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
}

TEST(a_tunnel_carries_both_ways_and_ends_by_halves)
{
    server_start(&p);
    switch_over("early");
    SAW(&p, "head GET /a|end|body early|");
    play_say(&p, "GET / HTTP/1.1\r\n\r\n");
    SAW(&p, "body GET / HTTP/1.1\r\n\r\n|");
    play_body(&p, "down"), play_turn(&p);
    HEARD(&p, "down");
    EQ(p.room, 4);
    p.w->eof = true, play_turn(&p);
    SAW(&p, "end|");
    play_body(&p, "more"), play_turn(&p);
    HEARD(&p, "more");
    play_finish(&p), play_turn(&p);
    OK(p.w->shut);
    play_release(&p), play_turn(&p);
    OK(p.w->c == NULL);
    server_stop(&p);
    server_start(&p);                    /* the other half first */
    switch_over("");
    play_finish(&p), play_turn(&p);
    OK(p.w->shut && p.w->c);
    play_say(&p, "still");
    SAW(&p, "head GET /a|end|body still|");
    server_stop(&p);
}

TEST(a_websocket_agreed_to_elsewhere_gets_its_digest)
{
#define WS "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    static const struct fgw_out_field said = {"Sec-WebSocket-Accept", "theirs", 6, 20, FGW_H_SEC_WEBSOCKET_ACCEPT, 0};
    static const struct { const char *key; uint32_t nfields; const char *heard; } of[] = {
        {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 0, SWITCHED "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
        {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 1,
         "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: theirs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
        {"Sec-WebSocket-Key: x\r\n", 0, SWITCHED "\r\n"}, {"", 0, SWITCHED "\r\n"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        server_start(&p);
        wire_say(p.w, WS), wire_say(p.w, of[i].key), play_say(&p, "\r\n");
        play_head(&p, &(struct fgw_out){.status = 101, .upgrade = FGW_STR("websocket"), .fields = &said, .nfields = of[i].nfields});
        p.side->down->tunnel(p.side), play_turn(&p);
        HEARD(&p, of[i].heard);
        server_stop(&p);
    }
}

TEST(a_tunnel_keeps_its_window)
{
    play_begin(&p);
    p.lim.window = 4;
    server_come(&p);
    switch_over("abcdefghij");
    SAW(&p, "head GET /a|end|body abcd|");
    p.w->eof = true, play_turn(&p);
    p.side->down->credit(p.side, 3), play_turn(&p);
    SAW(&p, "body efg|");
    p.side->down->credit(p.side, 4), play_turn(&p);
    SAW(&p, "body hij|end|");
    server_stop(&p);
}

/* ---- release, abort, drain, cut: at each state ---- */
enum point { AT_IDLE, AT_HEAD, AT_BODY, AT_PAUSED, AT_WAIT, AT_INFO, AT_ANSWER, AT_ANSWER_BODY, AT_TUNNEL, AT_LINGER, POINTS };
static void reach(enum point at)
{
    play_begin(&p);
    p.lim.window = 16;
    server_come(&p);
    switch (at) {
    case AT_IDLE:   ask(&p, GET), answer(&p, 200, ""); break;
    case AT_HEAD:   play_say(&p, "GET /a HT"); break;
    case AT_BODY:   ask(&p, POST(9) "abc"); break;
    case AT_PAUSED: ask(&p, POST(99) "0123456789abcdefghi"); break;
    case AT_WAIT:   ask(&p, GET); break;
    case AT_INFO:   ask(&p, GET), p.side->down->send_info(p.side, &(struct fgw_out){.status = 103}), play_turn(&p); break;
    case AT_ANSWER: case AT_ANSWER_BODY:
        ask(&p, at == AT_ANSWER ? GET : POST(9) "abc");
        play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 9});
        play_body(&p, "some"), play_turn(&p);
        break;
    case AT_TUNNEL: switch_over(""); break;
    case AT_LINGER: ask(&p, POST(9) "abc"), play_head(&p, &(struct fgw_out){.status = 200, .close = true}), play_finish(&p), play_release(&p), play_turn(&p); break;
    default: break;
    }
    p.n = 0, p.log[0] = 0, p.in_body = false;
    wire_forget(p.w);
}

TEST(released_before_both_directions_are_done_the_connection_ends)
{
    for (enum point at = AT_BODY; at <= AT_TUNNEL; at++) {
        reach(at);
        struct fgw_conn *c = p.w->c;
        play_release(&p);
        OK(p.w->c == c);                 /* nothing happens before settle */
        play_turn(&p);
        OK(p.w->c == NULL && p.w->out_n == 0);
        SAW(&p, "gone|");                /* and no abort goes to who has released */
        server_stop(&p);
    }
}

TEST(aborted_the_connection_ends_after_what_was_said)
{
    for (enum point at = AT_BODY; at <= AT_TUNNEL; at++) {
        reach(at);
        p.w->room = 0;
        if (at == AT_ANSWER) play_body(&p, "last"), play_settle(&p);
        p.side->down->abort(p.side, FGW_E_CANCELLED);
        OK(p.w->c != NULL);
        p.w->room = SIZE_MAX;
        play_turn(&p);
        HEARD(&p, at == AT_ANSWER ? "last" : "");
        OK(p.w->c == NULL && strstr(p.log, "gone|"));
        server_stop(&p);
    }
}

TEST(drained_it_ends_at_the_next_good_place)
{
    for (enum point at = AT_IDLE; at < POINTS; at++) {
        reach(at);
        drain(&p.server->demux);
        play_turn(&p);
        OK(p.w->c != NULL);
        if (at == AT_IDLE) {
            play_wait(&p, FRESH_MS);                         /* its first request may be on its way */
            OK(p.w->c == NULL);
        }
        if (at == AT_BODY || at == AT_WAIT || at == AT_INFO) {
            if (at == AT_BODY) play_say(&p, "defghi");
            answer(&p, 200, "");
            OK(SAYS(&p, "Connection: close\r\n") && p.w->c == NULL);
        }
        if (at == AT_ANSWER) {
            play_body(&p, "12345"), play_finish(&p), play_release(&p), play_turn(&p);
            HEARD(&p, "12345");
            OK(p.w->c == NULL);
        }
        server_stop(&p);
    }
}

TEST(drained_behind_a_pipeline_the_rest_of_it_is_not_served)
{
    server_start(&p);
    p.echo = true;
    for (int i = 0; i < BURST + 5; i++) wire_say(p.w, GET);
    fgw_conn_event(&p.server->conn, EPOLLIN);                /* a burst of them; the rest waits for its turn */
    drain(&p.server->demux);
    play_turn(&p);
    size_t heads = 0;
    for (const char *q = p.log; (q = strstr(q, "head ")); q++) heads++;
    EQ(heads, BURST + 1);                                    /* the next one is the last */
    OK(p.w->shut);
    play_wait(&p, 2000);
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(over_a_socket_it_is_the_same)
{
    int fd[2];
    char got[200];
    play_begin(&p);
    OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
    static const struct fgw_peer peer = {.address = {"unix", 4}};
    struct fgw_demux *d = fgw_h1_server_new(&p.env, fd[0], &p.lim, &server_user, &p, &peer);
    OK(d != NULL);
    OK(!fgw_h1_server_new(&p.env, -1, &p.lim, &server_user, &p, &peer));             /* no descriptor, no server, nothing left of it */
    p.server = of(d), p.echo = true;
    OK(send(fd[1], GET, sizeof GET - 1, 0) == sizeof GET - 1);
    fgw_loop_turn(&p.loop, 10), fgw_loop_settle(&p.loop);
    SAW(&p, "head GET /a|end|");
    ssize_t n = recv(fd[1], got, sizeof got, 0);
    EQ_BYTES(got, n > 0 ? (size_t)n : 0, "HTTP/1.1 204 No Content\r\n\r\n");
    close(fd[1]);
    for (int i = 0; i < 10 && p.server; i++) fgw_loop_turn(&p.loop, 10), fgw_loop_settle(&p.loop);
    SAW(&p, "gone|");
    p.w = NULL;
    play_over(&p);
}

TEST(cut_it_ends_at_once_and_who_is_bound_is_told)
{
    for (enum point at = AT_IDLE; at < POINTS; at++) {
        reach(at);
        bool bound = p.side != NULL;
        cut(&p.server->demux);
        OK(p.w->c == NULL);
        SAW(&p, bound ? "abort draining|gone|" : "gone|");
        server_stop(&p);
    }
}

TEST(a_reset_is_told_at_each_state)
{
    for (enum point at = AT_IDLE; at < POINTS; at++) {
        reach(at);
        bool bound = p.side != NULL;
        p.w->reset = true, play_turn(&p);
        OK(p.w->c == NULL);
        SAW(&p, bound ? "abort client_gone|gone|" : "gone|");
        server_stop(&p);
    }
}

TEST(the_last_request_a_connection_may_make_says_so)
{
    play_begin(&p);
    p.lim.requests_max = 2;
    server_come(&p);
    ask(&p, GET), answer(&p, 200, "");
    HEARD(&p, OK_HEAD "0\r\n\r\n");
    ask(&p, GET), answer(&p, 200, "");
    HEARD(&p, OK_HEAD "0\r\nConnection: close\r\n\r\n");
    OK(p.w->c == NULL);
    server_stop(&p);
}

/* ---- out of memory ---- */
TEST(without_memory_for_input_the_connection_ends)
{
    server_start(&p);
    p.loop.blocks.max_bytes = 1;
    play_say(&p, GET);
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST(without_memory_for_output_the_user_is_told)
{
    for (int part = 0; part < 3; part++) {
        server_start(&p);
        ask(&p, GET);
        struct fgw_block *b = fgw_block_get(&p.loop.blocks, 4000);
        fgw_blocks_trim(&p.loop.blocks);
        if (part) play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_UNKNOWN}), play_settle(&p);
        p.loop.blocks.max_bytes = 1;
        if (part == 0) play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_UNKNOWN});
        for (int i = 0; part == 1 && i < 100; i++) p.side->down->send_body(p.side, (struct fgw_span){b, 0, 1000});
        fgw_block_unref(b);
        if (part == 2) play_finish(&p);
        play_turn(&p);
        if (part < 2) SAW(&p, "abort client_gone|gone|");
        server_stop(&p);
    }
}

TEST(bytes_that_a_stage_has_read_are_heard)
{
    server_start(&p);
    OK(fgw_conn_room(&p.server->conn, 100));
    memcpy(p.server->conn.in_b->data + p.server->conn.in_end, GET, sizeof GET - 1);
    p.server->conn.in_end += sizeof GET - 1;
    fgw_h1_server_input(&p.server->demux);
    SAW(&p, "");
    play_turn(&p);
    SAW(&p, "head GET /a|end|");
    EQ_STR(p.server->demux.peer.address, "192.0.2.7");
    server_stop(&p);
}

/* ---- another protocol ---- */
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
static bool take;
static bool other_asked(struct fgw_demux *d, struct fgw_conn *c)
{
    play_note(d->owner, "other %u|", fgw_conn_in_len(c));
    if (take) fgw_conn_close(c, false), ((struct play *)d->owner)->server = NULL;
    return take;
}
static const struct fgw_demux_user both_user = {server_begin, server_refused, server_gone, other_asked};

static void both_start(void)
{
    server_start(&p);
    p.server->demux.user = &both_user;
}

TEST(a_preface_of_http_2_goes_to_its_codec_however_it_is_cut)
{
    take = true;
    for (size_t piece = 0; piece < 26; piece++) {
        both_start();
        p.w->piece = piece;
        play_say(&p, PREFACE);
        SAW(&p, "other 24|");
        EQ(p.env.servers.live, 0);
        OK(p.w->c == NULL && p.w->out_n == 0);
        play_over(&p);
    }
}

TEST(a_preface_nobody_takes_or_that_is_none_or_comes_late_is_a_bad_request)
{
    static const struct { const char *bytes, *saw; } of[] = {
        {PREFACE, "other 24|refused bad_version|"}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", "refused bad_version|"},
        {"PRI * HTTP/1.1\r\nHost: h\r\n\r\n", "head PRI *|end|"}, {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "head POST /a|end|"}};
    take = false;
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        both_start();
        play_say(&p, of[i].bytes);
        OK(!strncmp(p.log, of[i].saw, strlen(of[i].saw)));
        server_stop(&p);
    }
    both_start();
    ask(&p, GET), answer(&p, 204, "");
    play_say(&p, PREFACE);
    OK(strstr(p.log, "other") == NULL && strstr(p.log, "refused bad_version|") != NULL);
    server_stop(&p);
    server_start(&p);                                  /* a user that knows of no other */
    play_say(&p, PREFACE);
    OK(!strncmp(p.log, "refused bad_version|", 20));
    server_stop(&p);
}

TEST(a_preface_that_does_not_go_on_times_out)
{
    take = true;
    both_start();
    play_say(&p, "PRI * HTTP/2.0\r\n");
    play_wait(&p, 10001);
    SAW(&p, "refused head_timeout|");
    server_stop(&p);
}

TEST_MAIN()
