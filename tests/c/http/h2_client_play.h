/* tests/c/http/h2_client_play.h: one HTTP/2 connection to an upstream as a written conversation. The upstream is the test (h2_play.h: it
 * writes frames by hand); so are the users of up to eight sides, whose record is one: "1 head 200|1 body abc|2 abort upstream_reset|".
 * Owner    one table a test program; up_stop demands that nothing is left. */
#ifndef FGW_TESTS_H2_CLIENT_PLAY_H
#define FGW_TESTS_H2_CLIENT_PLAY_H
#include "http/h2_client_impl.h"
#include "http/h2_play.h"

enum { ASKS = 9 };
static struct ask { struct fgw_side *side; int n; uint64_t given, room; bool keep; } asks[ASKS];   /* keep: lets go of nothing by itself */
static bool mux_gone_;

static inline void ask_release(struct ask *a)
{
    if (a->side) a->side->down->release(a->side), a->side = NULL;
}
static inline void ask_on_info(struct fgw_side *s, struct fgw_msg *m)
{
    play_note(&p, "%d info %d", ((struct ask *)s->user)->n, m->head.status);
    play_fields(&p, m), play_note(&p, "|");
}
static inline void ask_on_head(struct fgw_side *s, struct fgw_msg *m)
{
    play_note(&p, "%d head %d", ((struct ask *)s->user)->n, m->head.status);
    play_fields(&p, m);
    if (m->len == FGW_LEN_KNOWN) play_note(&p, " len=%d", (int)m->length);
    if (m->len == FGW_LEN_NONE) play_note(&p, " none");
    play_note(&p, "|");
    fgw_msg_put(m);
}
static inline void ask_on_body(struct fgw_side *s, struct fgw_span b)
{
    struct ask *a = s->user;
    a->given += b.len;
    play_note(&p, "%d body %.*s|", a->n, b.len < 100 ? (int)b.len : 0, fgw_span_p(b));
}
static inline void ask_on_trailers(struct fgw_side *s, struct fgw_msg *m)
{
    play_note(&p, "%d trailers", ((struct ask *)s->user)->n);
    play_fields(&p, m), play_note(&p, "|");
    fgw_msg_put(m);
}
static inline void ask_on_end(struct fgw_side *s)
{
    struct ask *a = s->user;
    play_note(&p, "%d end|", a->n);
    if (!a->keep) ask_release(a);
}
static inline void ask_on_tunnel(struct fgw_side *s) { play_note(&p, "%d tunnel|", ((struct ask *)s->user)->n); }
static inline void ask_on_room(struct fgw_side *s, uint64_t n) { ((struct ask *)s->user)->room += n; }
static inline void ask_on_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    struct ask *a = s->user;
    bool early = why.heard && (why.code == FGW_E_UPSTREAM_CLOSED || why.code == FGW_E_UPSTREAM_RESET);   /* where it decides something */
    play_note(&p, "%d abort %s%s%s|", a->n, fgw_err_word((enum fgw_err)why.code), processed ? "" : " unprocessed", early ? " heard" : "");
    EQ(why.retry_safe, !processed);
    ask_release(a);
}
static const struct fgw_side_up ask_up = {ask_on_info, ask_on_head, ask_on_body, ask_on_trailers, ask_on_end, ask_on_tunnel, ask_on_room, ask_on_abort};

static inline void mux_ready_(struct fgw_mux *m) { play_note(&p, "ready %u|", m->max); }
static inline void mux_room_(struct fgw_mux *m) { play_note(&p, "room %u/%u|", m->used, m->max); }
static inline void mux_gone__(struct fgw_mux *m, struct fgw_fail why) { (void)m, play_note(&p, "gone %s|", fgw_err_word((enum fgw_err)why.code)), mux_gone_ = true; }
static const struct fgw_mux_user up_user = {mux_ready_, mux_room_, mux_gone__, NULL};

static inline struct fgw_h2_client *up_client(void) { return fgw_container(p.mux, struct fgw_h2_client, mux); }

/* ---- life ---- */
static inline void up_dial(void)                /* after h2_set: limits may be changed before */
{
    memset(asks, 0, sizeof asks);
    for (int i = 0; i < ASKS; i++) asks[i].n = i;
    mux_gone_ = false;
    p.lim.head_ms = p.lim.keepalive_ms = p.lim.linger_ms = 0;
    p.mux = fgw_h2_client_memory(&q.env, &wire_transport, &p.lim, &q.lim, &up_user);
    p.w = wire_attach(fgw_h2_client_conn(p.mux));
    play_turn(&p);
    OK(p.w->out_n >= NGHTTP2_CLIENT_MAGIC_LEN && memcmp(p.w->out, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) == 0);
    p.w->out_n -= NGHTTP2_CLIENT_MAGIC_LEN;
    memmove(p.w->out, p.w->out + NGHTTP2_CLIENT_MAGIC_LEN, p.w->out_n);
    SAID("SETTINGS|");
    SAW(&p, "");                                /* nobody knows yet that it speaks HTTP/2 */
}
static inline void up_setting(int id, uint32_t v)
{
    unsigned char b[6] = {0, (unsigned char)id, (unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
    frame(F_SETTINGS, 0, 0, b, 6);
}
static inline void up_hello(uint32_t streams)
{
    up_setting(3, streams), frame(F_SETTINGS, 1, 0, NULL, 0);
    play_turn(&p);
    SAID("SETTINGS ACK|");
}
static inline void up_start(void) { h2_set(), up_dial(), up_hello(100), SAW(&p, "ready 8|"); }
static inline void up_stop(void)
{
    if (p.w->c) p.w->reset = true, play_turn(&p);
    for (int i = 0; i < ASKS; i++) ask_release(&asks[i]);
    play_turn(&p);
    EQ(q.env.streams.live, 0);
    EQ(q.env.clients.live, 0);
    EQ(q.env.memory.bytes, 0);
    fgw_h2_env_fini(&q.env);
    nghttp2_hd_inflate_del(q.inf);
    play_over(&p);
}

/* ---- what the users say ---- */
static inline struct ask *open_side(int n)
{
    struct ask *a = &asks[n];
    a->given = a->room = 0, a->keep = false;
    a->side = p.mux->ops->open(p.mux);
    a->side->up = &ask_up, a->side->user = a;
    return a;
}
#define REQUEST(...) (const struct fgw_out){.target = FGW_STR("/a"), .authority = FGW_STR("h"), .scheme = FGW_STR("http"), __VA_ARGS__}
static inline void send_out(int n, struct fgw_out o)
{
    struct ask *a = open_side(n);
    if (!o.method.n) o.method = FGW_STR("GET");
    a->side->down->send_head(a->side, &o);
}
static inline void fetch(int n)                 /* GET, whole, and said */
{
    send_out(n, REQUEST(.len = FGW_LEN_NONE));
    asks[n].side->down->finish(asks[n].side);
    play_turn(&p);
}
static inline void push_body(int n, const char *text, size_t len)
{
    struct fgw_block *b = fgw_block_get(&p.loop.blocks, len ? len : 1);
    memcpy(b->data, text, len);
    asks[n].side->down->send_body(asks[n].side, (struct fgw_span){b, 0, (uint32_t)len});
    fgw_block_unref(b);
}
static inline void answer(uint32_t id, int flags, const char *fields) { headers(id, flags | EH, fields), play_turn(&p); }
static inline void data(uint32_t id, int flags, const char *text) { frame(F_DATA, flags, id, text, strlen(text)), play_turn(&p); }
static inline void goaway(uint32_t last, uint32_t code)
{
    unsigned char b[8] = {(unsigned char)(last >> 24), (unsigned char)(last >> 16), (unsigned char)(last >> 8), (unsigned char)last,
                          (unsigned char)(code >> 24), (unsigned char)(code >> 16), (unsigned char)(code >> 8), (unsigned char)code};
    frame(F_GOAWAY, 0, 0, b, 8), play_turn(&p);
}
#define ASKED(n) "HEADERS " #n " :method=GET :scheme=http :path=/a :authority=h END|"
#endif
