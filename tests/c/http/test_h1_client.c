/* The client codec's conversations and its timers. */
#include "http/h1_client.c"
#include <sys/un.h>
#include "http/h1_play.h"

static struct play p;
static const struct fgw_out GET = {.method = FGW_STR("GET"), .target = FGW_STR("/a"), .authority = FGW_STR("h")};
#define ASKED "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define REPLY(n) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n\r\n"
#define CHUNKS "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void mux_ready(struct fgw_mux *m) { (void)m, play_note(&p, "ready|"); }
static void mux_room(struct fgw_mux *m) { (void)m, play_note(&p, "room|"); }
static void mux_gone(struct fgw_mux *m, struct fgw_fail why) { (void)m, play_note(&p, "gone %s|", fgw_err_word((enum fgw_err)why.code)), p.mux = NULL; }
static const struct fgw_mux_user mux_user = {mux_ready, mux_room, mux_gone, NULL};

static void come(void)
{
    p.mux = fgw_h1_client_memory(&p.env, &wire_transport, &p.lim, &mux_user);
    p.w = wire_attach(fgw_h1_client_conn(p.mux));
    EQ(p.mux->max, 0);                   /* until it is announced */
    play_turn(&p);
    SAW(&p, "ready|");
    EQ(p.mux->max, 1);
}
static void start(void) { play_begin(&p), come(); }
static void stop(void)
{
    play_release(&p);
    if (p.w->c) p.w->reset = true, play_turn(&p);
    play_over(&p);
}

static struct fgw_h1_client *client(void) { return of_mux(p.mux); }
static void open_side(void) { play_bind(&p, p.mux->ops->open(p.mux)); }
static void ask(const struct fgw_out *o) { open_side(), play_head(&p, o), play_finish(&p), play_turn(&p); }
static void done(void) { play_release(&p), play_turn(&p); }

/* ---- plain exchanges ---- */
TEST(a_reply_comes_up_and_the_connection_serves_again)
{
    start();
    ask(&GET);
    HEARD(&p, ASKED);
    EQ(p.mux->used, 1);
    play_say(&p, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: 1\r\n\r\nabc");
    SAW(&p, "head 200 X-A=1|body abc|end|");
    play_release(&p);
    SAW(&p, "");                         /* room is told at settle, not from the downward call */
    play_turn(&p);
    SAW(&p, "room|");
    EQ(p.mux->used, 0);
    OK(client()->conn.in_b == NULL && p.env.msgs.live == 0);
    EQ(p.loop.wheel.armed, 0);           /* idle is the pool's affair */
    ask(&GET);
    play_say(&p, REPLY(0));
    SAW(&p, "head 200|end|");
    done();
    SAW(&p, "room|");
    stop();
}

TEST(any_cut_of_the_bytes_is_heard_alike)
{
    static const char *const of[][2] = {
        {REPLY(5) "hello", "head 200|body hello|end|"}, {REPLY(0), "head 200|end|"},
        {CHUNKS "3;x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "head 200|body abcde|end|"},
        {CHUNKS "1\r\na\r\n0\r\nX-T: 1\r\n\r\n", "head 200|body a|trailers X-T=1|end|"},
        {"HTTP/1.1 204 No Content\r\n\r\n", "head 204|end|"}, {"HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n", "head 304|end|"},
        {"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n" REPLY(1) "z", "info 103 Link=x|info 100|head 200|body z|end|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (size_t piece = 0; piece < 9; piece++) {
            start();
            p.w->piece = piece;
            ask(&GET);
            play_say(&p, of[i][0]);
            SAW(&p, of[i][1]);
            done();
            SAW(&p, "room|");
            stop();
        }
}

TEST(forms_of_requests)
{
    static const struct fgw_out_field f = {"X-A", "1", 1, 3, FGW_H_OTHER, 0};
    static const struct { struct fgw_out o; const char *body, *heard; } of[] = {
        {{.method = FGW_STR("POST"), .len = FGW_LEN_KNOWN, .length = 3, .fields = &f, .nfields = 1}, "abc",
         "POST /a HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc"},
        {{.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN}, "abc", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
        {{.method = FGW_STR("GET"), .trailers = true}, "", "GET /a HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n"},
        {{.method = FGW_STR("GET"), .upgrade = FGW_STR("x")}, "", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct fgw_out o = of[i].o;
        o.target = GET.target, o.authority = GET.authority;
        start();
        open_side();
        play_head(&p, &o), play_head(&p, &GET);              /* a second head is ignored */
        p.side->down->send_info(p.side, &o);                 /* requests have none */
        if (of[i].body[0]) play_body(&p, of[i].body);
        play_finish(&p), play_finish(&p), play_turn(&p);
        HEARD(&p, of[i].heard);
        EQ(p.room, strlen(of[i].body));
        stop();
    }
}

TEST(request_trailers_end_a_chunked_body)
{
    const struct fgw_out_field t = {"X-T", "1", 1, 3, FGW_H_OTHER, 0};
    start();
    open_side();
    play_head(&p, &(struct fgw_out){.method = FGW_STR("POST"), .target = GET.target, .authority = GET.authority, .len = FGW_LEN_UNKNOWN});
    play_body(&p, "a");
    p.side->down->send_trailers(p.side, &t, 1);
    play_finish(&p), play_turn(&p);
    HEARD(&p, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n");
    stop();
}

TEST(a_request_that_breaks_its_promise_is_cut)
{
    for (int longer = 0; longer < 2; longer++) {
        start();
        open_side();
        play_head(&p, &(struct fgw_out){.method = FGW_STR("PUT"), .target = GET.target, .authority = GET.authority, .len = FGW_LEN_KNOWN, .length = 3});
        play_turn(&p);
        play_body(&p, longer ? "abcd" : "ab");
        play_finish(&p), play_turn(&p);
        OK(p.w->c == NULL && strstr(p.log, "abort ") && strstr(p.log, "|gone "));
        stop();
    }
}

TEST(head_requests_get_no_body)
{
    start();
    ask(&(struct fgw_out){.method = FGW_STR("HEAD"), .target = GET.target, .authority = GET.authority});
    play_say(&p, REPLY(5));
    SAW(&p, "head 200|end|");
    done();
    SAW(&p, "room|");
    stop();
}

/* ---- keep or not ---- */
TEST(what_is_kept_and_what_is_not)
{
    static const struct { const char *reply; bool eof, kept; } of[] = {
        {REPLY(0), false, true}, {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, true},
        {"HTTP/1.1 200 OK\r\n\r\nall", true, false}, {REPLY(3) "abcd", false, false}, {REPLY(0) "HTTP/1.1 200 OK\r\n", false, false}, {REPLY(0), true, false}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        start();
        ask(&GET);
        wire_say(p.w, of[i].reply);
        p.w->eof = of[i].eof;
        play_turn(&p);
        OK(strstr(p.log, "end|") && !strstr(p.log, "abort"));
        p.n = 0, p.log[0] = 0;
        done();
        SAW(&p, of[i].kept ? "room|" : "gone ok|");
        EQ(p.w->c != NULL, of[i].kept);
        stop();
    }
}

TEST(bytes_that_come_behind_the_reply_while_it_is_held_end_it)
{
    start();
    ask(&GET);
    play_say(&p, REPLY(0));
    play_say(&p, "x");
    SAW(&p, "head 200|end|");
    done();
    SAW(&p, "gone ok|");
    stop();
}

TEST(bytes_or_an_end_while_idle_end_it)
{
    for (int how = 0; how < 3; how++) {
        start();
        if (how == 0) wire_say(p.w, "HTTP/1.1 408 Timeout\r\n\r\n");
        p.w->eof = how == 1, p.w->reset = how == 2;
        play_turn(&p);
        SAW(&p, "gone ok|");
        OK(p.w->c == NULL);
        stop();
    }
}

TEST(a_connection_serves_so_many_requests)
{
    play_begin(&p);
    p.lim.requests_max = 2;
    come();
    for (int i = 0; i < 2; i++) {
        ask(&GET), play_say(&p, REPLY(0));
        p.n = 0;
        done();
        SAW(&p, i ? "gone ok|" : "room|");
    }
    stop();
}

TEST(a_reply_before_the_request_is_out_keeps_nothing)
{
    start();
    open_side();
    play_head(&p, &(struct fgw_out){.method = FGW_STR("PUT"), .target = GET.target, .authority = GET.authority, .len = FGW_LEN_KNOWN, .length = 3});
    play_turn(&p);
    play_say(&p, REPLY(2) "no");
    SAW(&p, "head 200|body no|end|");
    done();
    SAW(&p, "gone ok|");
    OK(p.w->c == NULL);
    stop();
}

/* ---- bad answers ---- */
TEST(an_answer_before_the_question_is_nobodys)
{
    start();
    open_side();
    wire_say(p.w, REPLY(0)), play_turn(&p);
    SAW(&p, "abort upstream_bad_answer unprocessed|gone upstream_bad_answer|");
    stop();
}

TEST(bad_answers_are_told_and_the_connection_ends)
{
    static const struct { const char *bytes, *saw; } of[] = {
        {"nonsense\r\n\r\n", "abort upstream_bad_answer|gone upstream_bad_answer|"},
        {"HTTP/2.0 200 OK\r\n\r\n", "abort upstream_bad_answer|gone upstream_bad_answer|"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "abort upstream_bad_answer|gone upstream_bad_answer|"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "abort upstream_bad_answer|gone upstream_bad_answer|"},
        {"HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n", "abort upstream_bad_answer|gone upstream_bad_answer|"},
        {"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "abort upstream_bad_upgrade|gone upstream_bad_upgrade|"},
        {CHUNKS "zz\r\n", "head 200|abort upstream_bad_answer|gone upstream_bad_answer|"},
        {CHUNKS "0\r\nX Y: 1\r\n\r\n", "head 200|abort upstream_bad_answer|gone upstream_bad_answer|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (size_t piece = 0; piece < 2; piece++) {
            start();
            p.w->piece = piece;
            ask(&GET);
            play_say(&p, of[i].bytes);
            SAW(&p, of[i].saw);
            OK(p.w->c == NULL);
            stop();
        }
}

TEST(a_head_beyond_its_limits_is_its_own_failure)
{
    char lengthy[140], line[140];
    memset(lengthy, 'a', sizeof lengthy), lengthy[sizeof lengthy - 1] = 0;
    snprintf(line, sizeof line, "HTTP/1.1 200 %.110s\r\n", lengthy), memcpy(lengthy, "X: ", 3), memcpy(lengthy + 120, "\r\n", 3);
    const char *const of[][2] = {{"HTTP/1.1 200 OK\r\n", "A: b\r\nA: b\r\nA: b\r\n"}, {"HTTP/1.1 200 OK\r\n", lengthy}, {line, ""}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        play_begin(&p);
        p.lim.head = (struct fgw_head_limits){100, 100, 200, 2};
        come();
        ask(&GET);
        wire_say(p.w, of[i][0]), wire_say(p.w, of[i][1]), play_say(&p, "\r\n");
        SAW(&p, "abort upstream_head_too_long|gone upstream_head_too_long|");
        stop();
    }
}

TEST(interim_answers_without_end_are_an_attack)
{
    start();
    ask(&GET);
    for (int i = 0; i < INFO_MAX; i++) wire_say(p.w, "HTTP/1.1 102 P\r\n\r\n");
    play_turn(&p);
    OK(p.side != NULL);
    p.n = 0, p.log[0] = 0;
    play_say(&p, "HTTP/1.1 102 P\r\n\r\n");
    SAW(&p, "abort upstream_bad_answer|gone upstream_bad_answer|");
    stop();
}

/* ---- ends ---- */
TEST(an_end_or_a_reset_is_told_as_what_it_is)
{
    static const struct { const char *bytes, *end, *reset; } of[] = {
        {"", "abort upstream_closed|", "abort upstream_reset|"}, {"HTTP/1.1 20", "abort upstream_closed heard|", "abort upstream_reset heard|"},
        {"HTTP/1.1 100 C\r\n\r\n", "info 100|abort upstream_closed heard|", "info 100|abort upstream_reset heard|"},
        {REPLY(5) "ab", "head 200|body ab|abort upstream_truncated|", "head 200|body ab|abort upstream_truncated|"},
        {CHUNKS "5\r\nab", "head 200|body ab|abort upstream_truncated|", "head 200|body ab|abort upstream_truncated|"},
        {CHUNKS "0\r\nX", "head 200|abort upstream_truncated|", "head 200|abort upstream_truncated|"},
        {"HTTP/1.1 200 OK\r\n\r\nab", "head 200|body ab|end|", "head 200|body ab|abort upstream_truncated|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (int reset = 0; reset < 2; reset++) {
            start();
            ask(&GET);
            play_say(&p, of[i].bytes);
            p.w->eof = !reset, p.w->reset = reset;
            play_turn(&p);
            const char *want = reset ? of[i].reset : of[i].end;
            EQ(strncmp(p.log, want, strlen(want)), 0);
            stop();
        }
}

TEST(nothing_sent_means_nothing_processed)
{
    start();
    open_side();
    play_head(&p, &GET);
    p.w->reset = true, play_turn(&p);    /* the send itself fails */
    SAW(&p, "abort upstream_reset unprocessed|gone upstream_reset|");
    stop();
    start();
    ask(&GET), play_say(&p, REPLY(0)), done();
    p.n = 0;
    open_side();                         /* bytes of an earlier request do not count */
    p.w->eof = true, play_turn(&p);
    SAW(&p, "abort upstream_closed unprocessed|gone upstream_closed|");
    stop();
}

TEST(an_end_while_the_body_is_held_back_is_seen_after_it)
{
    play_begin(&p);
    p.lim.window = 4;
    come();
    ask(&GET);
    wire_say(p.w, REPLY(6) "abcdef"), p.w->eof = true;
    play_turn(&p);
    SAW(&p, "head 200|body abcd|");
    p.side->down->credit(p.side, 4), play_turn(&p);
    SAW(&p, "body ef|end|");
    done();
    SAW(&p, "gone ok|");
    stop();
}

/* ---- flow ---- */
TEST(no_more_body_comes_up_than_the_window_and_credit_reads_on)
{
    static const char *const of[] = {REPLY(16) "0123456789abcdef", CHUNKS "4\r\n0123\r\n1\r\n4\r\nb\r\n56789abcdef\r\n0\r\n\r\n"};
    for (size_t i = 0; i < FGW_COUNT(of); i++)
        for (uint32_t window = 1; window < 16; window++) {
            uint64_t credit = 0;
            play_begin(&p);
            p.lim.window = window;
            come();
            ask(&GET);
            play_say(&p, of[i]);
            for (int k = 0; k < 40 && !strstr(p.log, "end|"); k++) {
                OK(p.given - credit == window);
                OK(!client()->conn.want_read);
                p.side->down->credit(p.side, p.given - credit), credit = p.given, play_turn(&p);
            }
            SAW(&p, "head 200|body 0123456789abcdef|end|");
            stop();
        }
}

TEST(a_window_does_not_grow_by_what_was_given_at_once)
{
    play_begin(&p);
    p.lim.window = 100;
    come();
    ask(&GET);
    wire_say(p.w, REPLY(100000));
    char *some = malloc(100000);
    memset(some, 'x', 100000);
    wire_put(p.w, some, 100000);
    free(some);
    for (uint64_t credited = 0; credited < 5000; credited += 7, p.side->down->credit(p.side, 7)) {
        play_turn(&p);
        OK(p.given - credited <= 100);
    }
    stop();
}

/* ---- tunnels ---- */
static void switch_over(const char *behind)
{
    ask(&(struct fgw_out){.method = GET.method, .target = GET.target, .authority = GET.authority, .upgrade = FGW_STR("x")});
    wire_forget(p.w);
    wire_say(p.w, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), play_say(&p, behind);
}

TEST(a_tunnel_carries_both_ways_and_ends_by_halves)
{
    start();
    switch_over("early");
    SAW(&p, "head 101|tunnel|body early|");
    play_say(&p, "HTTP/1.1 200 OK\r\n\r\n");
    SAW(&p, "body HTTP/1.1 200 OK\r\n\r\n|");
    play_body(&p, "up"), play_turn(&p);
    HEARD(&p, "up");
    play_finish(&p), play_turn(&p);
    OK(p.w->shut && p.w->c);
    play_say(&p, "late");
    p.w->eof = true, play_turn(&p);
    SAW(&p, "body late|end|");
    done();
    SAW(&p, "gone ok|");
    stop();
    start();
    switch_over("");                     /* the other half first */
    p.w->eof = true, play_turn(&p);
    SAW(&p, "head 101|tunnel|end|");
    play_body(&p, "still"), play_turn(&p);
    HEARD(&p, "still");
    done();
    stop();
}

TEST(a_tunnel_keeps_its_window)
{
    play_begin(&p);
    p.lim.window = 4;
    come();
    switch_over("abcdefghij");
    SAW(&p, "head 101|tunnel|body abcd|");
    p.w->eof = true, play_turn(&p);
    p.side->down->credit(p.side, 3), play_turn(&p);
    SAW(&p, "body efg|");
    p.side->down->credit(p.side, 3), play_turn(&p);
    SAW(&p, "body hij|end|");
    stop();
}

TEST(a_protocol_too_long_to_be_passed_on_was_not_asked_for)
{
    char lengthy[FGW_H1_UPGRADE_MAX + 2];
    memset(lengthy, 'x', sizeof lengthy - 1), lengthy[sizeof lengthy - 1] = 0;
    start();
    ask(&(struct fgw_out){.method = GET.method, .target = GET.target, .authority = GET.authority, .upgrade = fgw_str(lengthy, sizeof lengthy - 1)});
    HEARD(&p, ASKED);
    play_say(&p, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    SAW(&p, "abort upstream_bad_upgrade|gone upstream_bad_upgrade|");
    stop();
    start();                             /* nor can it be agreed to */
    ask(&(struct fgw_out){.method = GET.method, .target = GET.target, .authority = GET.authority, .upgrade = FGW_STR("x")});
    wire_say(p.w, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: "), wire_say(p.w, lengthy), play_say(&p, "\r\n\r\n");
    SAW(&p, "abort upstream_bad_upgrade|gone upstream_bad_upgrade|");
    stop();
}

/* ---- release, abort, close at each state ---- */
enum point { OPENED, SENDING, ASKED_, INFORMED, HEAD_CAME, BODY_CAME, HELD, TUNNEL, POINTS };
static void reach(enum point at)
{
    play_begin(&p);
    p.lim.window = 4;
    come();
    if (at == TUNNEL) switch_over("");
    else open_side();
    if (at == SENDING) play_head(&p, &(struct fgw_out){.method = FGW_STR("PUT"), .target = GET.target, .authority = GET.authority, .len = FGW_LEN_UNKNOWN});
    else if (at > OPENED && at < TUNNEL) play_head(&p, &GET), play_finish(&p);
    play_turn(&p);
    static const char *const says[] = {"", "", "", "HTTP/1.1 102 P\r\n\r\n", CHUNKS, REPLY(9) "ab", REPLY(9) "abcdefg", ""};
    play_say(&p, says[at]);
    p.n = 0, p.log[0] = 0, p.in_body = false;
}

TEST(released_before_all_is_done_the_connection_ends)
{
    for (enum point at = OPENED; at < POINTS; at++) {
        reach(at);
        play_release(&p);
        OK(p.w->c != NULL);              /* not before settle */
        SAW(&p, "");
        play_turn(&p);
        OK(p.w->c == NULL);
        SAW(&p, "gone ok|");             /* the pool is told; who has released is not */
        stop();
    }
}

TEST(aborted_or_stopped_the_connection_ends)
{
    for (enum point at = OPENED; at < POINTS; at++)
        for (int stopped = 0; stopped < 2; stopped++) {
            reach(at);
            if (stopped) p.side->down->stop_reading(p.side, FGW_E_CANCELLED);
            else p.side->down->abort(p.side, FGW_E_CANCELLED);
            play_release(&p), play_turn(&p);
            OK(p.w->c == NULL);
            SAW(&p, "gone ok|");
            stop();
        }
}

TEST(closed_by_the_pool_it_ends_when_its_side_is_released)
{
    for (enum point at = OPENED; at < POINTS; at++) {
        reach(at);
        p.mux->ops->close(p.mux), play_turn(&p);
        OK(p.w->c != NULL && p.side != NULL);
        done();
        OK(p.w->c == NULL);
        SAW(&p, "");                     /* who closes it is not told */
        stop();
    }
    start();
    p.mux->ops->close(p.mux), play_turn(&p);
    OK(p.w->c == NULL);
    SAW(&p, "");
    stop();
    start();                             /* and when the reply is whole, too */
    ask(&GET), play_say(&p, REPLY(0));
    p.mux->ops->close(p.mux);
    p.n = 0;
    done();
    OK(p.w->c == NULL && p.n == 0);
    stop();
}

/* ---- timers ---- */
TEST(a_reply_that_stalls_is_given_up_but_not_while_we_hold_it_back)
{
    play_begin(&p);
    p.lim.window = 4;
    come();
    ask(&GET);
    play_wait(&p, 200000);               /* before the head it is the try's timer */
    play_say(&p, REPLY(9) "abcdef");
    play_wait(&p, 30000), play_wait(&p, 30000);
    OK(p.side != NULL);
    p.side->down->credit(p.side, 4), play_turn(&p);
    play_wait(&p, 29999);
    OK(p.side != NULL);
    play_wait(&p, 1);
    SAW(&p, "head 200|body abcdef|abort upstream_idle|gone upstream_idle|");
    stop();
    start();
    ask(&GET);
    play_say(&p, CHUNKS "0\r\nX");
    play_wait(&p, 30000);
    SAW(&p, "head 200|abort upstream_idle|gone upstream_idle|");
    stop();
}

TEST(a_request_that_is_not_taken_is_given_up)
{
    start();
    open_side();
    p.w->room = 5;
    play_head(&p, &(struct fgw_out){.method = FGW_STR("PUT"), .target = GET.target, .authority = GET.authority, .len = FGW_LEN_KNOWN, .length = 5000});
    play_body_n(&p, 5000, 'x'), play_turn(&p);
    for (int i = 0; i < 3; i++) play_wait(&p, 29999), p.w->room = 5, play_turn(&p);
    SAW(&p, "");
    play_wait(&p, 30000);
    SAW(&p, "abort upstream_send_timeout|gone upstream_send_timeout|");
    stop();
    start();                             /* taken at last: nothing is armed any more */
    p.w->room = 0;
    ask(&GET);
    play_wait(&p, 29000);
    p.w->room = SIZE_MAX, play_turn(&p);
    EQ(p.loop.wheel.armed, 0);
    stop();
}

/* ---- dialing, memory ---- */
TEST(a_dial_that_fails_tells_how)
{
    play_begin(&p);
    p.mux = fgw_h1_client_memory(&p.env, &wire_transport, &p.lim, &mux_user);
    p.w = wire_attach(fgw_h1_client_conn(p.mux));
    fgw_link_remove(&client()->ready.link);                  /* it is still under way */
    p.w->reset = true, play_turn(&p);
    SAW(&p, "gone connect_failed|");
    stop();
    play_begin(&p);                      /* or is given up */
    p.mux = fgw_h1_client_memory(&p.env, &wire_transport, &p.lim, &mux_user);
    p.w = wire_attach(fgw_h1_client_conn(p.mux));
    p.mux->ops->close(p.mux), play_turn(&p);
    OK(p.w->c == NULL && !strstr(p.log, "gone"));
    stop();
}

TEST(a_real_dial_is_announced_by_an_event)
{
    char dir[] = "/tmp/fgw-h1-XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX}, none = {.sun_family = AF_UNIX};
    OK(mkdtemp(dir) != NULL);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir), snprintf(none.sun_path, sizeof none.sun_path, "%s/none", dir);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    OK(bind(s, (struct sockaddr *)&at, sizeof at) == 0 && listen(s, 4) == 0);
    play_begin(&p);
    p.w = NULL;
    OK(!fgw_h1_client_dial(&p.env, (struct sockaddr *)&none, sizeof none, &p.lim, &mux_user));
    EQ(errno, ENOENT);
    EQ(p.env.clients.live, 0);
    p.mux = fgw_h1_client_dial(&p.env, (struct sockaddr *)&at, sizeof at, &p.lim, &mux_user);
    OK(p.mux != NULL);
    fgw_loop_settle(&p.loop);
    SAW(&p, "");
    fgw_loop_turn(&p.loop, 10), fgw_loop_settle(&p.loop);
    SAW(&p, "ready|");
    close(s);                            /* never accepted: the end is seen while idle */
    for (int i = 0; i < 10 && p.mux; i++) fgw_loop_turn(&p.loop, 10), fgw_loop_settle(&p.loop);
    SAW(&p, "gone ok|");
    unlink(at.sun_path), rmdir(dir);
    play_over(&p);
}

TEST(without_memory_the_user_is_told)
{
    for (int input = 0; input < 2; input++) {
        start();
        fgw_blocks_trim(&p.loop.blocks);
        if (input) ask(&GET);
        else open_side();
        p.loop.blocks.max_bytes = 1;
        fgw_blocks_trim(&p.loop.blocks);
        if (!input) play_head(&p, &GET), play_turn(&p);
        else play_say(&p, REPLY(0));
        OK(strstr(p.log, "abort ") && strstr(p.log, "|gone "));
        if (input) OK(strstr(p.log, "abort no_memory|"));
        stop();
    }
}

TEST_MAIN()
