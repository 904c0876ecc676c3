/* The server codec's timers, each on a clock that the test moves. The conversations are in test_h1_server.c. */
#include "http/h1_server_play.h"

static struct play p;

TEST(a_client_that_says_nothing_is_let_go)
{
    server_start(&p);
    play_wait(&p, 9999);
    OK(p.w->c != NULL);
    play_wait(&p, 1);
    SAW(&p, "gone|");
    HEARD(&p, "");
    server_stop(&p);
}

TEST(a_head_must_be_whole_in_time_however_it_drips)
{
    server_start(&p);
    play_say(&p, "G");
    for (int i = 0; i < 9; i++) play_wait(&p, 1000), play_say(&p, "E");
    play_wait(&p, 999);
    OK(p.w->out_n == 0);
    play_wait(&p, 1);
    SAW(&p, "refused head_timeout|");
    OK(SAYS(&p, "HTTP/1.1 408 ") && SAYS(&p, "connection: close\r\n"));
    play_wait(&p, 2000);                 /* linger */
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST(between_requests_keep_alive_counts_and_the_next_head_begins_anew)
{
    server_start(&p);
    ask(&p, GET), answer(&p, 200, "");
    play_wait(&p, 74000);
    play_say(&p, "GET /a");
    play_wait(&p, 9999);
    OK(p.w->c != NULL);
    play_say(&p, " HTTP/1.1\r\nHost: h\r\n\r\n");
    SAW(&p, "head GET /a|end|");
    play_wait(&p, 200000);               /* a reply takes what it takes: that is the upstream's affair */
    OK(p.w->c != NULL);
    answer(&p, 200, "");
    wire_forget(p.w);
    play_wait(&p, 74999);
    OK(p.w->c != NULL);
    play_wait(&p, 1);
    SAW(&p, "gone|");
    HEARD(&p, "");
    server_stop(&p);
}

TEST(an_answer_that_is_still_leaving_is_not_idleness)
{
    play_begin(&p);
    p.lim.keepalive_ms = 10000;
    server_come(&p);
    ask(&p, GET);
    p.w->room = 0;
    answer(&p, 200, "abcdef");
    for (int i = 0; i < 4; i++) play_wait(&p, 9000), p.w->room = 5, play_turn(&p);
    OK(p.w->c != NULL);
    p.w->room = SIZE_MAX, play_turn(&p);
    OK(SAYS(&p, "\r\n\r\nabcdef"));
    play_wait(&p, 10000), play_wait(&p, 10000);
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(a_body_that_stalls_is_given_up)
{
    static const char *const of[] = {POST(100) "a", CHUNKED "1\r\na\r\n", CHUNKED "0\r\nX-T"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        server_start(&p);
        ask(&p, of[i]);
        for (int k = 0; i < 1 && k < 3; k++) play_wait(&p, 29999), play_say(&p, "b");
        p.n = 0, p.log[0] = 0, p.in_body = false;
        play_wait(&p, 29999);
        SAW(&p, "");
        play_wait(&p, 1);
        SAW(&p, "abort body_timeout|");
        OK(SAYS(&p, "HTTP/1.1 408 "));
        play_wait(&p, 2000);
        SAW(&p, "gone|");
        server_stop(&p);
    }
}

TEST(a_body_that_stalls_behind_a_begun_answer_leaves_it_unfinished)
{
    server_start(&p);
    ask(&p, POST(100) "a");
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 9});
    play_body(&p, "xy"), play_turn(&p);
    play_wait(&p, 30000);
    SAW(&p, "abort body_timeout|gone|");
    HEARD(&p, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxy");
    server_stop(&p);
}

static void drip(uint32_t bytes_a_second, uint32_t seconds)
{
    char some[1000];
    memset(some, 'x', sizeof some);
    for (uint32_t i = 0; i < seconds && p.w->c && p.side; i++) {
        play_wait(&p, 1000);
        if (p.w->c) wire_put(p.w, some, bytes_a_second), play_turn(&p);
    }
}

TEST(a_body_below_the_rate_is_given_up_after_some_grace)
{
    for (int slow = 0; slow < 2; slow++) {
        play_begin(&p);
        p.lim.body_rate = 100;
        server_come(&p);
        ask(&p, POST(1000000));
        drip(slow ? 90 : 100, 10);
        OK(p.side != NULL);
        drip(slow ? 90 : 100, 20);
        EQ(p.side == NULL, slow);
        if (slow) OK(strstr(p.log, "abort body_too_slow|") && SAYS(&p, "HTTP/1.1 408 "));
        server_stop(&p);
    }
}

TEST(time_in_which_we_hold_a_body_back_is_not_the_clients)
{
    play_begin(&p);
    p.lim.body_rate = 100, p.lim.window = 500;
    server_come(&p);
    ask(&p, POST(100000));
    drip(100, 6);
    EQ(p.given, 500);
    for (int i = 0; i < 10; i++) play_wait(&p, 29000);       /* neither idle nor slow */
    OK(p.side != NULL);
    p.side->down->credit(p.side, 500), play_turn(&p);
    drip(100, 4);
    OK(p.side != NULL);
    p.side->down->credit(p.side, p.given), play_turn(&p);
    play_wait(&p, 30000);
    OK(p.side == NULL && strstr(p.log, "abort body_timeout|"));
    server_stop(&p);
}

TEST(time_in_which_the_worker_did_not_run_is_not_the_clients)
{
    play_begin(&p);
    p.lim.body_rate = 100;
    server_come(&p);
    ask(&p, POST(100000));
    drip(100, 6);
    p.loop.stalled_ms += 20000, play_wait(&p, 20000);
    drip(100, 5);
    OK(p.side != NULL);
    play_wait(&p, 20000), drip(100, 1);
    OK(p.side == NULL && strstr(p.log, "abort body_too_slow|"));
    server_stop(&p);
}

TEST(an_expected_body_is_timed_from_the_100)
{
    play_begin(&p);
    p.lim.body_rate = 100;
    server_come(&p);
    ask(&p, "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n");
    play_wait(&p, 20000);
    p.side->down->send_info(p.side, &(struct fgw_out){.status = 100}), play_turn(&p);
    drip(100, 20);
    OK(p.side != NULL);
    server_stop(&p);
}

TEST(an_answer_that_is_not_taken_is_given_up)
{
    server_start(&p);
    ask(&p, GET);
    p.w->room = 10;
    play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 9999});
    play_body_n(&p, 2000, 'y'), play_turn(&p);
    for (int i = 0; i < 3; i++) play_wait(&p, 29999), p.w->room = 10, play_turn(&p);       /* any progress counts */
    OK(p.side != NULL);
    play_wait(&p, 29999);
    OK(p.side != NULL);
    play_wait(&p, 1);
    SAW(&p, "abort send_timeout|gone|");
    server_stop(&p);
    server_start(&p);                    /* also when nobody is bound any more */
    ask(&p, GET);
    p.w->room = 0;
    answer(&p, 200, "abc");
    play_wait(&p, 30000);
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST(an_answer_that_was_taken_at_last_disarms)
{
    server_start(&p);
    ask(&p, GET);
    p.w->room = 0;
    answer(&p, 200, "abc");
    play_wait(&p, 29000);
    p.w->room = SIZE_MAX, play_turn(&p);
    play_wait(&p, 29000);
    OK(p.w->c != NULL);
    EQ(p.loop.wheel.armed, 1);           /* keep-alive alone */
    server_stop(&p);
}

static void take(uint32_t bytes_a_second, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds && p.w->c; i++) play_wait(&p, 1000), p.w->room = bytes_a_second, play_turn(&p);
}

TEST(an_answer_taken_below_the_rate_is_given_up_after_some_grace)
{
    for (int slow = 0; slow < 2; slow++) {
        play_begin(&p);
        p.lim.send_rate = 100;
        server_come(&p);
        ask(&p, GET);
        p.w->room = 0;
        play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 1000000});
        play_body_n(&p, 60000, 'y'), play_turn(&p);
        take(slow ? 90 : 110, 10);
        OK(p.side != NULL);
        take(slow ? 90 : 110, 10);
        EQ(p.side == NULL, slow);
        if (slow) SAW(&p, "abort send_too_slow|gone|");
        server_stop(&p);
    }
}

TEST(a_connection_that_is_old_enough_ends_with_its_next_answer)
{
    play_begin(&p);
    p.lim.connection_ms = 60000;
    server_come(&p);
    ask(&p, GET), answer(&p, 200, "");
    OK(!SAYS(&p, "Connection: close"));
    play_wait(&p, 60000);
    OK(p.w->c != NULL);                  /* idle it may stay: keep-alive counts */
    ask(&p, GET), answer(&p, 200, "");
    OK(SAYS(&p, "Connection: close") && p.w->c == NULL);
    server_stop(&p);
}

TEST(lingering_ends_with_the_client_or_with_its_time)
{
    for (int how = 0; how < 3; how++) {
        server_start(&p);
        play_say(&p, "nonsense\r\n\r\nmore");
        OK(p.w->shut && p.w->c != NULL);
        if (how == 0) p.w->eof = true, play_turn(&p);
        if (how == 1) play_wait(&p, 1999), OK(p.w->c != NULL), play_wait(&p, 1);
        if (how == 2) {
            static char some[1000];
            for (int i = 0; i < 300 && p.w->c; i++) wire_put(p.w, some, sizeof some), play_turn(&p);
        }
        OK(p.w->c == NULL);
        server_stop(&p);
    }
}

TEST(lingering_does_not_cut_an_answer_that_is_still_leaving)
{
    server_start(&p);
    p.w->room = 20;
    play_say(&p, "nonsense\r\n\r\nmore");
    play_wait(&p, 2000);
    OK(p.w->c != NULL);
    p.w->room = SIZE_MAX, play_turn(&p);
    OK(p.w->c == NULL && SAYS(&p, "\"status\":"));
    server_stop(&p);
    server_start(&p);
    p.w->room = 20;
    play_say(&p, "nonsense\r\n\r\nmore");
    play_wait(&p, 2000), play_wait(&p, 28000);               /* never taken: the send timer */
    OK(p.w->c == NULL);
    server_stop(&p);
}

TEST(a_half_closed_client_is_asked_whether_it_is_still_there)
{
    play_begin(&p);
    p.lim.half_close_probe_ms = 1000;
    server_come(&p);
    ask(&p, GET);
    p.w->eof = true, play_turn(&p);
    play_wait(&p, 999);
    HEARD(&p, "");
    uint64_t gap = 1;
    for (int i = 0; i < 8; i++) {
        play_wait(&p, gap);
        HEARD(&p, "HTTP/1.1 102 Processing\r\n\r\n");
        gap = 1000ull << (i < 6 ? i + 1 : 6);
        play_wait(&p, gap - 1);
        HEARD(&p, "");
        gap = 1;
    }
    p.w->reset = true, play_turn(&p);
    SAW(&p, "abort client_gone|gone|");
    server_stop(&p);
}

TEST(no_probe_to_http_1_0_nor_into_an_answer)
{
    for (int old = 0; old < 2; old++) {
        play_begin(&p);
        p.lim.half_close_probe_ms = 1000;
        server_come(&p);
        ask(&p, old ? "GET /a HTTP/1.0\r\n\r\n" : GET);
        if (!old) play_head(&p, &(struct fgw_out){.status = 200, .len = FGW_LEN_KNOWN, .length = 3}), play_turn(&p);
        wire_forget(p.w);
        p.w->eof = true, play_turn(&p);
        play_wait(&p, 1000), play_wait(&p, 5000);
        HEARD(&p, "");
        server_stop(&p);
    }
}

TEST(a_tunnel_may_be_silent_for_as_long_as_those_above_let_it)
{
    server_start(&p);
    ask(&p, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    play_head(&p, &(struct fgw_out){.status = 101, .upgrade = FGW_STR("x")});
    p.side->down->tunnel(p.side), play_turn(&p);
    EQ(p.loop.wheel.armed, 0);
    p.w->eof = true, play_turn(&p);
    SAW(&p, "end|");
    EQ(p.loop.wheel.armed, 0);
    server_stop(&p);
}

TEST(the_rest_of_an_early_answered_body_has_the_linger_time)
{
    server_start(&p);
    ask(&p, POST(100) "a");
    answer(&p, 200, "");
    play_wait(&p, 2000);
    OK(p.w->shut);
    play_wait(&p, 2000);
    SAW(&p, "gone|");
    server_stop(&p);
}

TEST_MAIN()
