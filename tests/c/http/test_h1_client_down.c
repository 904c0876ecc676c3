/* What a user of a client side asks for beyond plain requests: WebSocket's handshake, and a tunnel's last bytes. The conversation itself is
 * tested in test_h1_client.c. */
#include "http/h1_client_down.c"
#include "http/h1_play.h"

static struct play p;
static void mux_ready(struct fgw_mux *m) { (void)m; }
static void mux_room(struct fgw_mux *m) { (void)m, play_note(&p, "room|"); }
static void mux_gone(struct fgw_mux *m, struct fgw_fail why) { (void)m, play_note(&p, "gone %s|", fgw_err_word((enum fgw_err)why.code)), p.mux = NULL; }
static const struct fgw_mux_user mux_user = {mux_ready, mux_room, mux_gone, NULL};

#define SWITCH "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
#define REQUEST .method = FGW_STR("GET"), .target = FGW_STR("/a"), .authority = FGW_STR("h"), .upgrade = FGW_STR("websocket"), .upgrade_only = true
static void ask(const struct fgw_out *o)
{
    play_begin(&p);
    p.mux = fgw_h1_client_memory(&p.env, &wire_transport, &p.lim, &mux_user);
    p.w = wire_attach(fgw_h1_client_conn(p.mux));
    play_turn(&p);
    play_bind(&p, p.mux->ops->open(p.mux));
    play_head(&p, o), play_finish(&p), play_turn(&p);
}
static void stop(void)
{
    play_release(&p);
    if (p.w->c) p.w->reset = true, play_turn(&p);
    play_over(&p);
}

/* The digest of the key that was sent, and the line that says it. */
static const char *answer(void)
{
    static char line[80];
    char accept[FGW_WS_ACCEPT];
    const char *key = strstr(wire_heard(p.w), "Sec-WebSocket-Key: ");
    OK(key != NULL);
    if (!key) return "";
    fgw_ws_accept(key + 19, accept);
    snprintf(line, sizeof line, "Sec-WebSocket-Accept: %.28s\r\n", accept);
    return line;
}

TEST(a_websocket_without_a_key_gets_one_and_its_answer_is_checked)
{
    ask(&(struct fgw_out){REQUEST});
    OK(strstr(wire_heard(p.w), "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ") != NULL);
    wire_say(p.w, SWITCH), wire_say(p.w, answer()), play_say(&p, "Sec-WebSocket-Protocol: chat\r\n\r\nhi");
    SAW(&p, "head 101 Sec-WebSocket-Protocol=chat|tunnel|body hi|");
    stop();
}

TEST(another_digest_or_none_or_another_protocol_is_no_agreement)
{
    static const char *const of[] = {"", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", NULL};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        ask(&(struct fgw_out){REQUEST});
        const char *right = answer();
        if (of[i]) wire_say(p.w, SWITCH), wire_say(p.w, of[i]);
        else wire_say(p.w, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: echo\r\n"), wire_say(p.w, right);
        play_say(&p, "\r\nhi");
        SAW(&p, "abort upstream_bad_upgrade|gone upstream_bad_upgrade|");
        stop();
    }
}

TEST(a_key_that_came_along_is_whoever_sent_its_affair)
{
    static const struct fgw_out_field key = {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", 24, 17, FGW_H_SEC_WEBSOCKET_KEY, 0};
    ask(&(struct fgw_out){REQUEST, .fields = &key, .nfields = 1});
    HEARD(&p, "GET /a HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    play_say(&p, SWITCH "Sec-WebSocket-Accept: x\r\n\r\n");
    SAW(&p, "head 101 Sec-WebSocket-Accept=x|tunnel|");
    stop();
}

TEST(an_answer_that_does_not_switch_needs_no_digest)
{
    ask(&(struct fgw_out){REQUEST});
    play_say(&p, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    SAW(&p, "head 403|body no|end|");
    play_release(&p), play_turn(&p);
    SAW(&p, "room|");
    stop();
}

TEST(the_last_bytes_of_a_tunnel_leave_though_its_user_has_let_go)
{
    ask(&(struct fgw_out){REQUEST});
    wire_say(p.w, SWITCH), wire_say(p.w, answer()), play_say(&p, "\r\n");
    p.w->eof = true, play_turn(&p);      /* the upstream has ended its half */
    SAW(&p, "head 101|tunnel|end|");
    wire_forget(p.w);
    play_body(&p, "last words"), play_finish(&p), play_release(&p);
    play_turn(&p);
    HEARD(&p, "last words");
    SAW(&p, "gone ok|");
    OK(p.w->c == NULL);
    stop();
}

TEST_MAIN()
