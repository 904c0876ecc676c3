/* Extended CONNECT: what comes up for it, when its bytes do, and what it must not be taken for. */
#include "http/h2_tunnel.c"
#include "http/h2_play.h"

#define CONNECT ":method=CONNECT|:protocol=websocket|:scheme=http|:path=/a|:authority=h"
static const struct fgw_out AGREED = {.status = 101, .upgrade = FGW_STR("websocket")};

static void data(int flags, const char *text) { frame(F_DATA, flags, 1, text, strlen(text)); }
static void says(int flags, const char *text) { data(flags, text), play_turn(&p); }
static void agree(void) { play_head(&p, &AGREED), p.side->down->tunnel(p.side), play_turn(&p); }
static void open_(void)
{
    h2_start();
    ask(1, 0, CONNECT);
    SAW(&p, "head GET /a|end|");         /* Upgrade is for the hop: it is not in the list that is passed on */
    agree();
    SAID("HEADERS 1 :status=200|");
}

TEST(the_setting_is_announced)
{
    h2_set(), h2_come();
    wire_put(p.w, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    frame(F_SETTINGS, 0, 0, NULL, 0), play_turn(&p);
    OK(p.w->out_n > 9);                  /* SETTINGS_ENABLE_CONNECT_PROTOCOL (8) is 1 */
    OK(memmem(p.w->out, p.w->out_n, "\0\x8\0\0\0\x1", 6) != NULL);
    h2_stop();
}

TEST(it_comes_up_as_a_request_for_an_upgrade)
{
    h2_set(), h2_come(), h2_hello();
    ask(1, 0, CONNECT "|sec-websocket-version=13|sec-websocket-protocol=chat|sec-websocket-key=dGhlIHNhbXBsZSBub25jZQ==");
    SAW(&p, "head GET /a sec-websocket-version=13 sec-websocket-protocol=chat|end|");
    h2_stop();
}

static struct fgw_msg *seen;
static void keep_head(struct fgw_side *s, struct fgw_msg *m) { (void)s, seen = m; }
static void begin_kept(struct fgw_demux *d, struct fgw_side *side)
{
    static struct fgw_side_up up;
    up = play_up, up.on_head = keep_head;
    h2_begin(d, side);
    side->up = &up;
}
TEST(its_message_says_which_protocol_and_that_nothing_else_will_do)
{
    static const struct fgw_demux_user mine = {.begin = begin_kept, .refused = h2_refused, .gone = h2_gone};
    h2_start();
    q.server->demux.user = &mine;
    ask(1, 0, CONNECT);
    OK(seen->upgrade && seen->upgrade_only && fgw_str_eq(fgw_msg_upgrade(seen), FGW_STR("websocket")));
    EQ(seen->head.method, FGW_M_GET);
    EQ(seen->len, FGW_LEN_NONE);
    fgw_msg_put(seen), play_release(&p);
    ask(3, ES, GET);
    OK(!seen->upgrade && !seen->upgrade_only && !fgw_msg_upgrade(seen).n);
    fgw_msg_put(seen);
    h2_stop();
}

TEST(bytes_pass_both_ways_and_each_half_ends_by_itself)
{
    open_();
    says(0, "up");
    SAW(&p, "body up|");
    play_body(&p, "down"), play_turn(&p);
    SAID("DATA 1 down|");
    EQ(p.room, 4);
    says(ES, "last");
    SAW(&p, "body last|end|");
    play_body(&p, "more"), play_turn(&p);
    SAID("DATA 1 more|");
    play_finish(&p), play_release(&p), play_turn(&p);
    SAID("DATA 1  END|");
    EQ(q.env.streams.live, 0);
    h2_stop();
    open_();                             /* the other half first */
    play_finish(&p), play_turn(&p);
    SAID("DATA 1  END|");
    says(0, "still");
    SAW(&p, "body still|");
    says(ES, "");
    SAW(&p, "end|");
    play_release(&p), play_turn(&p);
    EQ(q.env.streams.live, 0);
    h2_stop();
}

TEST(what_comes_before_it_is_open_waits_and_keeps_its_order)
{
    h2_start();
    headers(1, EH, CONNECT), data(0, "one "), says(0, "two ");
    SAW(&p, "head GET /a|end|");
    agree();
    SAID("HEADERS 1 :status=200|");
    SAW(&p, "body one two |");
    says(ES, "three");
    SAW(&p, "body three|end|");
    h2_stop();
    h2_start();                          /* its end too */
    headers(1, EH, CONNECT), says(ES, "all");
    SAW(&p, "head GET /a|end|");
    agree();
    SAW(&p, "body all|end|");
    h2_stop();
    h2_start();
    ask(1, ES, CONNECT);                 /* or nothing but it */
    SAW(&p, "head GET /a|end|");
    agree();
    SAW(&p, "end|");
    h2_stop();
}

TEST(bytes_behind_those_that_wait_do_not_overtake_them)
{
    h2_start();
    headers(1, EH, CONNECT), says(0, "one ");
    SAW(&p, "head GET /a|end|");
    play_head(&p, &AGREED), p.side->down->tunnel(p.side);
    data(0, "two "), says(ES, "three");  /* one input, before the pump has run */
    SAW(&p, "body one two three|end|");
    h2_stop();
}

TEST(what_waits_is_bounded_by_the_window_and_dropped_with_a_refusal)
{
    static char big[1001];
    memset(big, 'x', sizeof big);
    h2_start();
    ask(1, 0, CONNECT), forget();
    frame(F_DATA, 0, 1, big, 1000), play_turn(&p);
    SAW(&p, "");
    reply(403, "no");
    SAID("HEADERS 1 :status=403 content-length=2|DATA 1 no END|RST 1 0|");
    EQ(q.env.streams.live, 0);
    h2_stop();
    h2_start();
    ask(1, 0, CONNECT), forget();
    frame(F_DATA, 0, 1, big, 1001), play_turn(&p);
    OK(strstr(said(), "RST 1 3|") != NULL);
    h2_stop();
}

TEST(credit_opens_the_window_again)
{
    static char big[1000];
    memset(big, 'x', sizeof big);
    open_();
    q.windows = true;
    frame(F_DATA, 0, 1, big, 1000), play_turn(&p);
    wire_forget(p.w), forget();
    p.side->down->credit(p.side, 1000), play_turn(&p);
    SAID("WINDOW 1 1000|");
    h2_stop();
}

TEST(a_reset_is_the_end_of_it_either_way)
{
    open_();
    number(F_RST, 1, NGHTTP2_CANCEL), play_turn(&p);
    SAW(&p, "abort client_gone|");
    h2_stop();
    open_();
    p.side->down->abort(p.side, FGW_E_UPSTREAM_RESET), play_release(&p), play_turn(&p);
    SAID("RST 1 8|");                    /* RFC 8441 section 5: what TCP says by RST is CANCEL here */
    h2_stop();
}

TEST(silence_and_slowness_of_bodies_are_not_judged_in_it)
{
    p.lim.body_rate = 500;
    open_();
    p.lim.body_rate = 500, p.lim.body_idle_ms = 1000;
    for (int i = 0; i < 40; i++) play_wait(&p, 500);
    SAW(&p, "");
    h2_stop();
}

TEST(other_frames_than_data_break_it)
{
    open_();
    headers(1, ES | EH, "x-t=1"), play_turn(&p);
    SAW(&p, "abort bad_request|");
    SAID("RST 1 1|");
    h2_stop();
}

TEST(other_protocols_are_not_served)
{
    h2_start();
    ask(1, 0, ":method=CONNECT|:protocol=connect-udp|:scheme=http|:path=/a|:authority=h");
    SAW(&p, "refused unknown_protocol|");
    OK(strstr(said(), ":status=501") != NULL);
    h2_stop();
}

TEST(content_is_not_promised_by_it)
{
    static const char *const of[] = {CONNECT "|content-length=0", CONNECT "|content-length=5", CONNECT "|expect=100-continue"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_start();
        ask(1, 0, of[i]);
        SAW(&p, "refused bad_framing|");
        OK(strstr(said(), ":status=400") != NULL);
        h2_stop();
    }
}

TEST(malformed_ones_are_reset)
{
    static const char *const of[] = {
        ":method=GET|:protocol=websocket|:scheme=http|:path=/a|:authority=h", ":method=CONNECT|:protocol=websocket|:scheme=http|:authority=h",
        ":method=CONNECT|:protocol=websocket|:path=/a|:authority=h", ":method=CONNECT|:protocol=websocket|:scheme=http|:path=/a",
        ":method=CONNECT|:protocol=websocket|:protocol=websocket|:scheme=http|:path=/a|:authority=h",
        ":method=CONNECT|:scheme=http|:path=/a|:authority=h|x-a=1|:protocol=websocket"};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        h2_start();
        ask(1, 0, of[i]);
        OK(strstr(p.log, "head") == NULL);
        SAID("RST 1 1|");
        h2_stop();
    }
}

TEST(a_tunnel_that_nobody_asked_for_is_no_answer)
{
    h2_start();
    ask(1, ES, GET), forget();
    play_head(&p, &AGREED), play_turn(&p);
    SAID("RST 1 2|");
    h2_stop();
}

TEST(fields_of_the_agreement_pass_but_for_the_digest)
{
    static const struct fgw_out_field f[] = {{"Sec-WebSocket-Accept", "x", 1, 20, FGW_H_SEC_WEBSOCKET_ACCEPT, 0},
                                             {"Sec-WebSocket-Protocol", "chat", 4, 22, FGW_H_OTHER, 0}};
    const struct fgw_out o = {.status = 101, .upgrade = FGW_STR("websocket"), .fields = f, .nfields = 2};
    h2_start();
    ask(1, 0, CONNECT);
    play_head(&p, &o), p.side->down->tunnel(p.side), play_turn(&p);
    SAID("HEADERS 1 :status=200 sec-websocket-protocol=chat|");
    h2_stop();
}

TEST(a_drain_leaves_it_open)
{
    open_();
    q.server->demux.ops->drain(&q.server->demux), play_turn(&p);
    play_wait(&p, 1000);
    forget();
    says(0, "still");
    SAW(&p, "body still|");
    q.server->demux.ops->cut(&q.server->demux), play_turn(&p);
    SAW(&p, "abort draining|gone|");
    h2_stop();
}

TEST_MAIN()
