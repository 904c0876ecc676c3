/* tests/fuzz/fuzz_h2.c: an HTTP/2 client that sends anything, against the codec and a user that answers.
 *
 * Input: first a byte of the user's manners (bit 0: credits at once, 1: answers before the body, 2: aborts, 3: sends trailers and much body,
 * 4: takes nobody, 5: the socket takes nothing for a while, 6: time passes, 7: agrees to tunnels), then the bytes of the connection behind preface and SETTINGS.
 * Checked: a stream is never given more body than its window, nothing comes up behind an end, and when the client has left nothing is left. */
#include "http/h2_play.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))
enum { STREAMS = 16 };
struct user { struct fgw_side *side; uint64_t held; bool ended, done, asks, tunnel; };   /* asks: for a tunnel; is in one */
static struct user users[STREAMS];
static uint8_t manners;

static void u_free(struct user *u) { u->side->down->release(u->side), u->side = NULL; }
static void u_answer(struct user *u)
{
    static const struct fgw_out_field f[] = {{"x-f", "1", 1, 3, 0, 0}};
    const struct fgw_out o = {.status = 200, .len = manners & 8 ? FGW_LEN_UNKNOWN : FGW_LEN_KNOWN, .length = 3, .fields = f, .nfields = 1};
    if (u->done) return;
    u->done = true;
    if (manners & 4) {
        u->side->down->abort(u->side, FGW_E_CANCELLED), u_free(u);
        return;
    }
    u->side->down->send_head(u->side, &o);
    struct fgw_block *b = fgw_block_get(&p.loop.blocks, 100000);
    memset(b->data, 'x', 100000);
    u->side->down->send_body(u->side, (struct fgw_span){b, 0, manners & 8 ? 100000 : 3});
    fgw_block_unref(b);
    if (manners & 8) u->side->down->send_trailers(u->side, f, 1);
    u->side->down->finish(u->side);
    u_free(u);
}
static void u_agree(struct user *u)
{
    const struct fgw_out o = {.status = 101, .upgrade = FGW_STR("websocket")};
    u->ended = false, u->tunnel = true;
    u->side->down->send_head(u->side, &o);
    u->side->down->tunnel(u->side);
    struct fgw_block *b = fgw_block_get(&p.loop.blocks, 1000);
    memset(b->data, 'x', 1000);
    u->side->down->send_body(u->side, (struct fgw_span){b, 0, 1000});
    fgw_block_unref(b);
    if (manners & 8) u->side->down->finish(u->side), u->done = true;
}
static void u_head(struct fgw_side *s, struct fgw_msg *m)
{
    struct user *u = s->user;
    MUST(m->head.method_len && m->head.target_len && m->head.nfields >= 1);
    MUST(!m->upgrade || (m->upgrade_only && m->len == FGW_LEN_NONE && fgw_msg_upgrade(m).n));
    u->asks = m->upgrade;
    fgw_msg_put(m);
    if (manners & 2 && !u->asks) u_answer(u);
}
static void u_body(struct fgw_side *s, struct fgw_span b)
{
    struct user *u = s->user;
    MUST(!u->ended && b.len);
    u->held += b.len;
    MUST(u->held <= q.lim.window);
    if (manners & 1) s->down->credit(s, b.len), u->held = 0;
}
static void u_trailers(struct fgw_side *s, struct fgw_msg *m) { MUST(!((struct user *)s->user)->asks), MUST(!((struct user *)s->user)->ended), fgw_msg_put(m); }
static void u_end(struct fgw_side *s)
{
    struct user *u = s->user;
    MUST(!u->ended);
    u->ended = true;
    if (u->tunnel) {
        if (manners & 4) u->side->down->abort(u->side, FGW_E_CANCELLED);
        else if (!u->done) u->side->down->finish(u->side);
        u_free(u);
    } else if (u->asks && manners & 128) u_agree(u);
    else u_answer(u);
}
static void u_room(struct fgw_side *s, uint64_t n) { (void)s, MUST(n > 0); }
static void u_abort(struct fgw_side *s, struct fgw_fail why, bool processed) { (void)processed, MUST(why.code), u_free(s->user); }
static const struct fgw_side_up up = {.on_head = u_head, .on_body = u_body, .on_trailers = u_trailers, .on_end = u_end, .on_room = u_room, .on_abort = u_abort};

static void begin(struct fgw_demux *d, struct fgw_side *s)
{
    (void)d;
    for (int i = 0; i < STREAMS && !(manners & 16); i++)
        if (!users[i].side) {
            users[i] = (struct user){.side = s};
            s->up = &up, s->user = &users[i];
            return;
        }
}
static const struct fgw_demux_user fuzz_user = {.begin = begin, .refused = h2_refused, .gone = h2_gone};

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    if (size < 1 || size > 1 << 16) return 0;
    manners = in[0];
    memset(users, 0, sizeof users);
    h2_set(), h2_come();
    q.server->demux.user = &fuzz_user;
    h2_hello();
    if (manners & 32) p.w->room = 100;
    wire_put(p.w, (const char *)in + 1, size - 1);
    MUST(wires_turn(&p.loop));
    p.w->room = SIZE_MAX;
    MUST(wires_turn(&p.loop));
    if (manners & 64) MUST(wires_wait(&p.loop, 31000));
    if (p.w->c) p.w->eof = true, MUST(wires_turn(&p.loop));
    if (p.w->c) MUST(wires_wait(&p.loop, 2500));
    MUST(!p.w->c && !q.server);
    for (int i = 0; i < STREAMS; i++) MUST(!users[i].side);
    h2_stop();
    return 0;
}
