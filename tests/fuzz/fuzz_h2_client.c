/* tests/fuzz/fuzz_h2_client.c: an HTTP/2 upstream that sends anything, against the client codec and users that ask.
 *
 * Input: first two bytes of the users' manners (bit 0: credit at once, 1: ask with a body, 2: that does not end, 3: let go when the head has
 * come, 4: ask again at each end, 5: the socket takes nothing for a while, 6: time passes, 7: HEAD; 8: let go of nothing by oneself,
 * 9: the pool closes, 10: bytes come one by one, 11: no SETTINGS before, 12: ask for WebSockets), then the
 * bytes of the connection.
 * Checked: a stream is never given more body than its window, nothing comes up behind an end or an abort, there are never more sides than
 * places, on_gone comes once, and when the upstream has left nothing is left. */
#include "http/h2_client_play.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))
enum { USERS = 6, ASKED_MAX = 40 };
struct user { struct fgw_side *side; uint64_t held; bool head, ended, tunnel, open; };   /* open: a tunnel whose other half is ours to end */
static struct user users[USERS];
static unsigned manners;
static int asked, ready, gone;

static void u_free(struct user *u)
{
    struct fgw_side *s = u->side;
    u->side = NULL;
    if (s) s->down->release(s);
}
static const struct fgw_side_up fuzz_up;
static void u_ask(struct user *u)
{
    static const struct fgw_out_field f[] = {{"x-f", "1", 1, 3, 0, 0}};
    static char body[3000];
    struct fgw_out o = {.method = manners & 128 ? FGW_STR("HEAD") : FGW_STR("POST"), .target = FGW_STR("/a"), .authority = FGW_STR("h"), .fields = f, .nfields = 1,
                        .len = manners & 2 ? FGW_LEN_UNKNOWN : FGW_LEN_NONE};
    if (manners & 4096) o.method = FGW_STR("GET"), o.len = FGW_LEN_NONE, o.upgrade = FGW_STR("websocket");
    if (u->side || gone || p.mux->no_more || p.mux->used >= p.mux->max || asked++ > ASKED_MAX) return;
    *u = (struct user){.side = p.mux->ops->open(p.mux)};
    struct fgw_side *s = u->side;
    s->up = &fuzz_up, s->user = u;
    s->down->send_head(s, &o);
    if (manners & 4096) {
        s->down->finish(s);
        return;
    }
    if (manners & 2) {
        struct fgw_block *b = fgw_block_get(&p.loop.blocks, sizeof body);
        memcpy(b->data, body, sizeof body);
        s->down->send_body(s, (struct fgw_span){b, 0, sizeof body});
        fgw_block_unref(b);
        if (!(manners & 4)) s->down->send_trailers(s, f, 1);
    }
    if (!(manners & 4)) s->down->finish(s);
}
static void u_info(struct fgw_side *s, struct fgw_msg *m) { struct user *u = s->user; MUST(!u->head && !u->ended && m->head.status >= 100 && m->head.status < 200); }
static void u_head(struct fgw_side *s, struct fgw_msg *m)
{
    struct user *u = s->user;
    MUST(!u->head && !u->ended && (m->head.status >= 200 || (manners & 4096 && m->head.status == 101 && fgw_msg_upgrade(m).n)));
    MUST(!(manners & 4096) || m->head.status < 200 || m->head.status > 299);           /* a success is an agreement */
    u->head = true, u->tunnel = m->head.status == 101;
    fgw_msg_put(m);
    if (manners & 8) u_free(u);
}
static void u_body(struct fgw_side *s, struct fgw_span b)
{
    struct user *u = s->user;
    MUST(u->head && !u->ended && b.len && (!u->tunnel || u->open));
    u->held += b.len;
    MUST(u->held <= q.lim.window);
    if (manners & 1) s->down->credit(s, b.len), u->held = 0;
}
static void u_trailers(struct fgw_side *s, struct fgw_msg *m) { struct user *u = s->user; MUST(u->head && !u->ended && !u->tunnel), fgw_msg_put(m); }
static void u_end(struct fgw_side *s)
{
    struct user *u = s->user;
    MUST(u->head && !u->ended && (!u->tunnel || u->open));
    u->ended = true;
    if (manners & 256) return;
    if (u->tunnel) s->down->finish(s);
    u_free(u);
    if (manners & 16) u_ask(u);
}
static void u_tunnel(struct fgw_side *s)
{
    struct user *u = s->user;
    MUST(u->tunnel && !u->open && !u->ended);
    u->open = true;
    s->down->tunnel(s);
    struct fgw_block *b = fgw_block_get(&p.loop.blocks, 3000);
    memset(b->data, 'x', 3000);
    s->down->send_body(s, (struct fgw_span){b, 0, 3000});
    fgw_block_unref(b);
    if (manners & 4) s->down->finish(s);
}
static void u_room(struct fgw_side *s, uint64_t n) { struct user *u = s->user; MUST(u->side && n > 0); }
static void u_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    struct user *u = s->user;
    MUST(u->side == s && (!u->ended || u->tunnel) && why.code && why.retry_safe == !processed && !(u->head && !processed));
    u_free(u);
    if (manners & 16) u_ask(u);
}
static const struct fgw_side_up fuzz_up = {u_info, u_head, u_body, u_trailers, u_end, u_tunnel, u_room, u_abort};

static void m_ask(void) { for (int i = 0; i < 4; i++) u_ask(&users[i]); }
static void m_ready(struct fgw_mux *m) { MUST(!ready++ && m->max && m->max <= q.lim.streams), m_ask(); }
static void m_room(struct fgw_mux *m) { MUST(ready && !gone && m->used < m->max && !m->no_more), m_ask(); }
static void m_gone(struct fgw_mux *m, struct fgw_fail why) { (void)m, (void)why, MUST(!gone++); }
static const struct fgw_mux_user fuzz_user = {m_ready, m_room, m_gone, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    if (size < 2 || size > 1 << 16) return 0;
    manners = in[0] | (unsigned)in[1] << 8;
    memset(users, 0, sizeof users), memset(asks, 0, sizeof asks);
    asked = ready = gone = 0;
    h2_set();
    p.lim.keepalive_ms = p.lim.linger_ms = 0, p.lim.head_ms = 20000;
    p.mux = fgw_h2_client_memory(&q.env, &wire_transport, &p.lim, &q.lim, &fuzz_user);
    p.w = wire_attach(fgw_h2_client_conn(p.mux));
    MUST(wires_turn(&p.loop));
    if (manners & 4096) up_setting(8, 1);
    if (!(manners & 2048)) frame(F_SETTINGS, 0, 0, NULL, 0), frame(F_SETTINGS, 1, 0, NULL, 0);
    MUST(wires_turn(&p.loop));
    if (manners & 32) p.w->room = 100;
    p.w->piece = manners & 1024 ? 1 : 0;
    wire_put(p.w, (const char *)in + 2, size - 2);
    MUST(wires_turn(&p.loop));
    p.w->room = SIZE_MAX;
    MUST(wires_turn(&p.loop));
    if (manners & 512 && !gone) p.mux->ops->close(p.mux), gone++, MUST(wires_turn(&p.loop));
    if (manners & 64) for (int i = 0; i < 3; i++) MUST(wires_wait(&p.loop, 15500));
    if (p.w->c) p.w->eof = true, MUST(wires_turn(&p.loop));
    if (p.w->c) MUST(wires_wait(&p.loop, 10));
    MUST(!p.w->c && gone == 1);
    for (int i = 0; i < USERS; i++) MUST(!users[i].side || users[i].ended), u_free(&users[i]);
    MUST(wires_turn(&p.loop));
    up_stop();
    return 0;
}
