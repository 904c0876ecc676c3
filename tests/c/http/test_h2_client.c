/* Connections to upstreams: the dial, places, GOAWAY, ends, faults. */
#include "http/h2_client.c"
#include "http/h2_client_play.h"

/* ---- the dial ---- */
TEST(it_is_ready_when_the_peer_has_shown_that_it_speaks_http2)
{
    static const struct { uint32_t peer; const char *came; } of[] = {{100, "ready 8|"}, {3, "ready 3|"}, {UINT32_MAX, "ready 8|"}, {1, "ready 1|"}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_set(), up_dial();
        up_hello(of[i].peer);
        SAW(&p, of[i].came);
        up_stop();
        SAW(&p, "gone upstream_reset|");
    }
}

TEST(its_settings_forbid_push_and_give_windows)
{
    h2_set();
    p.lim.head.head_max = 5000;
    p.mux = fgw_h2_client_memory(&q.env, &wire_transport, &p.lim, &q.lim, &up_user);
    p.w = wire_attach(fgw_h2_client_conn(p.mux));
    play_turn(&p);
    static const unsigned char want[] = {0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 4, 0, 0, 3, 232, 0, 6, 0, 0, 19, 136,
                                         0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 15, 0, 1};      /* the window: 1 MiB, less the 65,535 there are */
    test_eq_bytes_(__FILE__, __LINE__, "settings", p.w->out + 24, p.w->out_n - 24, (const char *)want, sizeof want);
    up_stop();
}

TEST(a_peer_that_allows_no_stream_yet_is_waited_for)
{
    h2_set(), up_dial(), up_hello(0);
    SAW(&p, "");
    up_setting(3, 5), play_turn(&p);
    SAW(&p, "ready 5|");
    up_stop();
}

TEST(what_is_not_http2_is_told_as_that)
{
    static const char *const said[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n", "220 ready\r\n",
                                       "HTT"};
    for (size_t i = 0; i < FGW_COUNT(said); i++) {
        h2_set(), up_dial();
        wire_say(p.w, said[i]), p.w->eof = true, play_turn(&p);
        SAW(&p, "gone upstream_not_http2|");
        play_wait(&p, 10);
        OK(!p.w->c);
        up_stop();
    }
    h2_set(), up_dial();                        /* a frame, but another one than SETTINGS */
    frame(F_PING, 0, 0, "12345678", 8), play_turn(&p);
    SAW(&p, "gone upstream_not_http2|");
    play_wait(&p, 10);
    up_stop();
    h2_set(), up_dial();                        /* not a word: it closed, whatever it speaks */
    p.w->eof = true, play_turn(&p);
    SAW(&p, "gone upstream_closed|");
    up_stop();
}

TEST(a_dial_that_fails_or_is_given_up)
{
    for (int how = 0; how < 3; how++) {
        h2_set();
        p.mux = fgw_h2_client_memory(&q.env, &wire_transport, &p.lim, &q.lim, &up_user);
        p.w = wire_attach(fgw_h2_client_conn(p.mux));
        fgw_link_remove(&up_client()->opening.link);         /* it is still under way */
        if (how == 0) p.w->reset = true;
        else p.mux->ops->close(p.mux);
        play_turn(&p);
        SAW(&p, how ? "" : "gone connect_failed|");
        OK(!p.w->c);
        up_stop();
    }
}

/* ---- places ---- */
TEST(a_place_is_free_when_its_stream_has_ended_and_was_let_go)
{
    h2_set(), up_dial(), up_hello(2), SAW(&p, "ready 2|");
    fetch(1), fetch(2);
    EQ(p.mux->used, 2);
    SAID(ASKED(1) ASKED(3));
    asks[1].keep = true;
    answer(1, ES, ":status=204");
    SAW(&p, "1 head 204 none|1 end|");
    EQ(p.mux->used, 2);                         /* its user still has it */
    ask_release(&asks[1]), play_turn(&p);
    SAW(&p, "room 1/2|");
    fetch(3);
    SAID(ASKED(5));
    answer(3, ES, ":status=200"), answer(5, ES, ":status=200");
    SAW(&p, "2 head 200 len=0|2 end|room 1/2|3 head 200 len=0|3 end|room 0/2|");
    EQ(q.env.streams.live, 1);                  /* the spare one */
    SAID("");
    up_stop();
}

TEST(places_follow_the_peers_settings)
{
    h2_set(), up_dial(), up_hello(2), SAW(&p, "ready 2|");
    fetch(1), fetch(2);
    up_setting(3, 4), play_turn(&p);
    SAW(&p, "room 2/4|");
    fetch(3);
    up_setting(3, 1), play_turn(&p);
    EQ(p.mux->max, 1);
    SAW(&p, "");
    OK(!p.mux->no_more);
    answer(1, ES, ":status=200"), answer(3, ES, ":status=200");
    SAW(&p, "1 head 200 len=0|1 end|2 head 200 len=0|2 end|");
    answer(5, ES, ":status=200");
    SAW(&p, "3 head 200 len=0|3 end|room 0/1|");
    up_setting(3, 0), play_turn(&p);            /* it wants nothing more: another connection may do */
    SAW(&p, "gone ok|");
    OK(!p.w->c);
    up_stop();
}

TEST(after_requests_max_it_takes_no_more_and_ends_with_the_last)
{
    h2_set();
    p.lim.requests_max = 2;
    up_dial(), up_hello(9), SAW(&p, "ready 8|");
    fetch(1);
    OK(!p.mux->no_more);
    fetch(2);
    OK(p.mux->no_more);
    SAID(ASKED(1) ASKED(3));
    answer(1, ES, ":status=200"), answer(3, ES, ":status=200");
    SAW(&p, "1 head 200 len=0|1 end|2 head 200 len=0|2 end|gone ok|");
    SAID("GOAWAY 0 0|");
    OK(!p.w->c);
    up_stop();
}

TEST(closed_by_its_pool_it_ends_with_its_last_stream_and_says_nothing)
{
    up_start();
    fetch(1);
    p.mux->ops->close(p.mux), play_turn(&p);
    SAID(ASKED(1));
    answer(1, ES, ":status=200");
    SAW(&p, "1 head 200 len=0|1 end|");
    SAID("GOAWAY 0 0|");
    OK(!p.w->c);
    up_stop();
    up_start();                                 /* unused: at once */
    p.mux->ops->close(p.mux), play_turn(&p);
    SAID("GOAWAY 0 0|");
    OK(!p.w->c);
    SAW(&p, "");
    up_stop();
}

/* ---- ends ---- */
TEST(goaway_lets_finish_what_it_names_and_the_rest_was_never_done)
{
    up_start();
    fetch(1), fetch(2), fetch(3);
    SAID(ASKED(1) ASKED(3) ASKED(5));
    goaway(3, 0);
    OK(p.mux->no_more);
    SAW(&p, "3 abort upstream_goaway unprocessed|");
    answer(1, ES, ":status=200");
    answer(3, 0, ":status=200"), data(3, ES, "x");
    SAW(&p, "1 head 200 len=0|1 end|2 head 200|2 body x|2 end|gone ok|");
    OK(!p.w->c);
    up_stop();
}

TEST(goaway_with_nothing_under_way_ends_it)
{
    up_start();
    goaway(0, 0);
    SAW(&p, "gone ok|");
    OK(!p.w->c);
    up_stop();
}

TEST(a_request_given_to_a_connection_that_was_just_told_goaway_never_left)
{
    up_start();
    fetch(1), said();
    send_out(2, REQUEST(.len = FGW_LEN_NONE)), asks[2].side->down->finish(asks[2].side);
    goaway(0x7fffffff, 0);                      /* read before the request is written */
    SAW(&p, "2 abort upstream_goaway unprocessed|");
    SAID("");
    answer(1, ES, ":status=200");
    SAW(&p, "1 head 200 len=0|1 end|gone ok|");
    up_stop();
}

TEST(the_end_of_the_connection_means_something_else_to_each_stream)
{
    for (int how = 0; how < 2; how++) {
        up_start();
        fetch(1), fetch(2), fetch(3);
        answer(1, 0, ":status=200");
        asks[2].keep = true, answer(3, ES, ":status=200");
        p.w->room = 0, send_out(4, REQUEST(.len = FGW_LEN_NONE)), play_turn(&p);      /* not a byte of it left */
        forget();
        if (how) p.w->reset = true;
        else p.w->eof = true;
        play_turn(&p);
        SAW(&p, how ? "1 abort upstream_truncated|3 abort upstream_reset|4 abort upstream_reset unprocessed|gone upstream_reset|"
                    : "1 abort upstream_truncated|3 abort upstream_closed|4 abort upstream_closed unprocessed|gone upstream_closed|");
        EQ(q.env.clients.live, 1);              /* 2 is whole: it is its user's, and the memory stays as long */
        ask_release(&asks[2]), play_turn(&p);
        EQ(q.env.clients.live, 0);
        up_stop();
    }
}

TEST(an_answer_before_the_question_has_left_is_nobodys)
{
    up_start();
    fetch(1), said();
    p.w->room = 0;
    fetch(2);
    headers(3, ES | EH, ":status=200|x-a=stolen"), play_turn(&p);
    SAW(&p, "1 abort upstream_protocol_error|2 abort upstream_protocol_error unprocessed|gone upstream_protocol_error|");
    p.w->room = SIZE_MAX, play_wait(&p, 10);
    OK(!p.w->c);
    up_stop();
}

static void asks_again(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    OK(p.mux->no_more);                         /* whoever asks again in the same breath asks elsewhere */
    ask_on_abort(s, why, processed);
}

TEST(when_it_ends_it_takes_no_more_before_anybody_is_told)
{
    struct fgw_side_up up = ask_up;
    up.on_abort = asks_again;
    for (int how = 0; how < 3; how++) {
        up_start();
        fetch(1), fetch(2);
        asks[1].side->up = asks[2].side->up = &up;
        if (how == 0) p.w->eof = true;
        if (how == 1) p.w->reset = true;
        if (how == 2) frame(F_PING, 0, 1, "12345678", 8);
        play_turn(&p);
        OK(mux_gone_ && !asks[1].side && !asks[2].side);
        forget();
        play_wait(&p, 10);
        up_stop();
    }
}

TEST(a_fault_ends_the_connection_with_goaway_and_all_that_is_open)
{
    static const struct { const char *name; int type, flags; uint32_t id; const char *body; size_t n; unsigned code; } bad[] = {
        {"push although it is off", F_PUSH, EH, 1, "\0\0\0\2\x88", 5, 1},
        {"DATA on stream 0", F_DATA, 0, 0, "x", 1, 1},
        {"a stream nobody opened", F_HEADERS, EH | ES, 7, "\x88", 1, 1},
        {"an even stream", F_HEADERS, EH | ES, 2, "\x88", 1, 1},
        {"broken HPACK", F_HEADERS, EH | ES, 1, "\xff\xff\xff\xff\xff", 5, 9},
        {"SETTINGS of 5 bytes", F_SETTINGS, 0, 0, "12345", 5, 6},
        {"ENABLE_PUSH 1", F_SETTINGS, 0, 0, "\0\2\0\0\0\1", 6, 1},
        {"a window of 2^31", F_SETTINGS, 0, 0, "\0\4\x80\0\0\0", 6, 3},
        {"a PING of 7", F_PING, 0, 0, "1234567", 7, 6},
        {"WINDOW_UPDATE of 0", F_WINDOW, 0, 0, "\0\0\0\0", 4, 1},
        {"CONTINUATION of nothing", F_CONT, EH, 1, "\x88", 1, 1}};
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        char want[64];
        up_start();
        fetch(1), fetch(2), said();
        answer(1, 0, ":status=200"), forget();
        frame(bad[i].type, bad[i].flags, bad[i].id, bad[i].body, bad[i].n), play_turn(&p);
        SAW(&p, "1 abort upstream_protocol_error|2 abort upstream_protocol_error|gone upstream_protocol_error|");
        snprintf(want, sizeof want, "GOAWAY 0 %u|", bad[i].code);
        SAID(want);
        play_wait(&p, 10);
        OK(!p.w->c);
        up_stop();
    }
}

TEST(floods_end_it_by_their_own_word)
{
    for (int how = 0; how < 5; how++) {
        up_start();
        fetch(1);
        if (how == 3) answer(1, 0, ":status=200"), forget();
        for (int i = 0; i < 30 && !mux_gone_; i++) {
            if (how == 0) frame(F_PING, 0, 0, "12345678", 8);
            if (how == 1) frame(F_SETTINGS, 0, 0, NULL, 0);
            if (how == 2) number(F_WINDOW, 0, 1);
            if (how == 3) frame(F_DATA, 0, 1, NULL, 0);
            if (how == 4) frame(i ? F_CONT : F_HEADERS, 0, 1, i ? "\x40\x01\x61\x01\x62" : "\x88\x40\x01\x61\x01\x62", i ? 5 : 6);
            play_turn(&p);
        }
        SAW(&p, "1 abort upstream_flood|gone upstream_flood|");
        OK(strstr(said(), "GOAWAY 0 11|") != NULL);
        play_wait(&p, 10);
        up_stop();
    }
}

TEST(an_upstream_that_goes_on_after_our_reset_is_a_flood_at_last)
{
    static char bytes[16000];
    for (int how = 0; how < 3; how++) {
        up_start();
        fetch(1), fetch(2);
        if (how == 1) answer(1, 0, ":status=200");
        forget();
        int n = 0;
        for (; n < 200 && !mux_gone_; n++) {
            if (how == 0) answer(1, 0, ":status=103"); /* 32 are passed on */
            else if (how == 1) frame(F_DATA, 0, 1, bytes, sizeof bytes), play_turn(&p);      /* beyond the window, which nobody gives back */
            else answer(3, ES, n ? "x=1" : ":status=200|x y=1");                             /* malformed, and again */
        }
        OK(n > 21 && n < 80);                          /* of DATA 20 times 32 KiB */
        OK(strstr(p.log, "gone upstream_flood|") != NULL);
        OK(strstr(said(), "GOAWAY 0 11|") != NULL);
        play_wait(&p, 10);
        up_stop();
    }
}

TEST(a_header_bomb_ends_it)
{
    static char b[40000];
    up_start();
    p.lim.head.head_max = 1000;
    fetch(1);
    size_t n = literal(b + 1, "a", "", 0) + 1;
    b[0] = (char)0x88;
    n = 1;
    b[n++] = 0x40, b[n++] = 1, b[n++] = 'a', b[n++] = 127, b[n++] = (char)(0x80 | 65), b[n++] = 30;      /* indexed: 4,032 bytes */
    memset(b + n, 'x', 127 + 65 + 30 * 128), n += 127 + 65 + 30 * 128;
    for (int i = 0; i < 100; i++) b[n++] = (char)(0x80 | 62);
    frame(F_HEADERS, EH | ES, 1, b, n), play_turn(&p);
    SAW(&p, "1 abort upstream_head_too_long|gone upstream_head_too_long|");
    play_wait(&p, 10);
    up_stop();
}

/* ---- time ---- */
TEST(a_socket_that_takes_nothing_ends_it)
{
    up_start();
    send_out(1, REQUEST(.method = FGW_STR("POST"), .len = FGW_LEN_UNKNOWN));
    p.w->room = 0;
    push_body(1, "abc", 3), play_turn(&p);
    play_wait(&p, 29000);
    OK(!mux_gone_);
    play_wait(&p, 2000);
    SAW(&p, "1 abort upstream_send_timeout unprocessed|gone upstream_send_timeout|");
    up_stop();
}

TEST(a_connection_that_is_silent_to_one_who_gives_up_is_asked_whether_it_lives)
{
    static const char zeros[8] = {0};
    for (int lives = 0; lives < 2; lives++) {
        up_start();
        fetch(1), fetch(2), fetch(3), said();
        play_wait(&p, 2000);
        ask_release(&asks[1]), play_turn(&p);
        SAID("PING|RST 1 8|");
        EQ(p.mux->used, 2);
        EQ(p.mux->max, 2);                      /* nothing more is asked of it */
        SAW(&p, "");
        ask_release(&asks[2]), play_turn(&p);
        SAID("RST 3 8|");
        SAW(&p, "");
        EQ(p.mux->max, 1);
        if (lives) {
            frame(F_PING, 1, 0, zeros, 8), play_turn(&p);
            SAW(&p, "room 1/8|");
            play_wait(&p, 6000);
            OK(!mux_gone_);
        } else {
            play_wait(&p, 4900);
            SAW(&p, "");
            play_wait(&p, 200);
            SAW(&p, "3 abort upstream_silent|gone upstream_silent|");
            OK(!p.w->c);
        }
        up_stop();
    }
}

TEST(alone_a_silent_connection_is_not_worth_the_question)
{
    up_start();
    fetch(1), said();
    play_wait(&p, 2000);
    ask_release(&asks[1]), play_turn(&p);
    SAID("RST 1 8|GOAWAY 0 0|");
    SAW(&p, "gone ok|");
    up_stop();
}

TEST(who_gives_up_soon_or_while_others_are_answered_casts_no_doubt)
{
    up_start();
    fetch(1), said();
    play_wait(&p, 900);
    ask_release(&asks[1]), play_turn(&p);
    SAID("RST 1 8|");
    fetch(1), fetch(2), said();
    play_wait(&p, 1500);
    answer(5, 0, ":status=200");               /* another's */
    play_wait(&p, 900);
    ask_release(&asks[1]), play_turn(&p);
    SAID("RST 3 8|");
    OK(!p.mux->no_more && p.mux->max == 8);
    forget();
    up_stop();
}

TEST(a_sign_of_life_just_after_the_request_is_none_later)
{
    up_start();
    fetch(1), fetch(2), fetch(3), said();
    play_wait(&p, 100);
    answer(5, 0, ":status=200");
    play_wait(&p, 1500);
    ask_release(&asks[1]), play_turn(&p);
    SAID("PING|RST 1 8|");
    forget();
    up_stop();
}

TEST(without_streams_no_timer_runs)
{
    up_start();
    fetch(1);
    answer(1, ES, ":status=200");
    play_wait(&p, 1000);
    EQ(p.loop.wheel.armed, 0);
    play_wait(&p, 3600000);                     /* how long it may rest is its pool's affair */
    OK(!mux_gone_);
    OK(fgw_h2_client_conn(p.mux)->in_b == NULL);
    up_stop();
}

TEST_MAIN()
