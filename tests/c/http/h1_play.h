/* tests/c/http/h1_play.h: one HTTP/1 connection as a written conversation: the peer speaks over a wire, the user of the side is the test.
 *
 * What comes up is written down in words: "head GET /a|body abc|end|". Adjacent pieces of body are one word, so that the record does not
 * depend on how the bytes were cut. SAW and HEARD compare what has come since the last one, and forget it.
 * Owner    the test; play_end demands that nothing is left. */
#ifndef FGW_TESTS_H1_PLAY_H
#define FGW_TESTS_H1_PLAY_H
#include <stdarg.h>
#include "http/h1.h"
#include "http/wire.h"
#include "test.h"

struct play {
    struct fgw_loop loop;
    struct fgw_h1_env env;
    struct fgw_h1_limits lim;
    struct wire *w;
    struct fgw_h1_server *server;        /* a server's play; NULL once it is gone */
    struct fgw_mux *mux;                 /* a client's play; NULL once it is gone */
    struct fgw_side *side;               /* of the message in hand; NULL: none, or released */
    char log[1 << 17];
    size_t n;
    bool in_body, refuse, echo, eager;   /* refuse: nobody takes a request; echo: each is answered at its end; eager: credit at once */
    uint64_t given, room;                /* body bytes that came up; bytes that left */
    uint64_t used;                       /* of the blocks, before */
};

static void play_note(struct play *p, const char *fmt, ...)
{
    va_list ap;
    if (p->n + 512 > sizeof p->log) return;                  /* long enough to be wrong */
    va_start(ap, fmt);
    p->n += (size_t)vsnprintf(p->log + p->n, sizeof p->log - p->n, fmt, ap);
    va_end(ap);
    p->in_body = false;
}

static void play_release(struct play *p)
{
    if (p->side) p->side->down->release(p->side), p->side = NULL;
}

/* ---- the user of the side ---- */
static void play_fields(struct play *p, const struct fgw_msg *m)
{
    struct fgw_out_field f[FGW_FIELDS_MAX];
    uint32_t n = fgw_msg_fields(m, f);
    for (uint32_t i = 0; i < n; i++) play_note(p, " %.*s=%.*s", (int)f[i].name_len, f[i].name, (int)f[i].value_len, f[i].value);
}

static void play_on_info(struct fgw_side *s, struct fgw_msg *m)
{
    struct play *p = s->user;
    play_note(p, "info %d", m->head.status);
    play_fields(p, m);
    play_note(p, "|");
}

static void play_on_head(struct fgw_side *s, struct fgw_msg *m)
{
    struct play *p = s->user;
    if (m->head.status) play_note(p, "head %d", m->head.status);
    else {
        struct fgw_str method = fgw_head_method(&m->head), target = fgw_head_target(&m->head);
        play_note(p, "head %.*s %.*s", (int)method.n, method.p, (int)target.n, target.p);
    }
    play_fields(p, m);
    play_note(p, "|");
    fgw_msg_put(m);
}

static void play_on_body(struct fgw_side *s, struct fgw_span b)
{
    struct play *p = s->user;
    p->given += b.len;
    if (p->in_body) p->n--;
    else play_note(p, "body ");
    if (p->n + b.len + 2 < sizeof p->log) memcpy(p->log + p->n, fgw_span_p(b), b.len), p->n += b.len;
    p->log[p->n++] = '|', p->log[p->n] = 0;
    p->in_body = true;
    if (p->eager) s->down->credit(s, b.len);
}

static void play_on_trailers(struct fgw_side *s, struct fgw_msg *m)
{
    struct play *p = s->user;
    play_note(p, "trailers");
    play_fields(p, m);
    play_note(p, "|");
    fgw_msg_put(m);
}

static void play_on_end(struct fgw_side *s)
{
    struct play *p = s->user;
    play_note(p, "end|");
    if (!p->echo) return;
    const struct fgw_out o = {.status = 204};
    s->down->send_head(s, &o);
    s->down->finish(s);
    play_release(p);
}

static void play_on_tunnel(struct fgw_side *s) { play_note(s->user, "tunnel|"); s->down->tunnel(s); }
static void play_on_room(struct fgw_side *s, uint64_t n) { ((struct play *)s->user)->room += n; }
static void play_on_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    struct play *p = s->user;
    bool early = why.heard && (why.code == FGW_E_UPSTREAM_CLOSED || why.code == FGW_E_UPSTREAM_RESET);   /* where it decides something */
    play_note(p, "abort %s%s%s|", fgw_err_word((enum fgw_err)why.code), processed ? "" : " unprocessed", early ? " heard" : "");
    play_release(p);
}
static const struct fgw_side_up play_up = {play_on_info, play_on_head, play_on_body, play_on_trailers, play_on_end, play_on_tunnel, play_on_room, play_on_abort};

static void play_bind(struct play *p, struct fgw_side *side) { p->side = side, side->up = &play_up, side->user = p; }

/* ---- life ---- */
static void play_begin(struct play *p)
{
    memset(p, 0, offsetof(struct play, log)), p->n = 0, p->log[0] = 0;
    p->in_body = p->refuse = p->echo = p->eager = false, p->given = p->room = 0;
    wires_now = 1000;
    if (fgw_loop_init(&p->loop, &wires_clock, 0) < 0) abort();
    fgw_h1_env_init(&p->env, &p->loop);
    p->lim = (struct fgw_h1_limits){.head = {16384, 16384, 65536, 100}, .body = {256, 16384, 8192, 32}, .window = 65536, .head_ms = 10000,
        .body_idle_ms = 30000, .send_idle_ms = 30000, .keepalive_ms = 75000, .linger_ms = 2000};
}

static inline void play_turn(struct play *p) { OK(wires_turn(&p->loop)); }
static inline void play_wait(struct play *p, uint64_t ms) { OK(wires_wait(&p->loop, ms)); }
static inline void play_settle(struct play *p) { fgw_loop_settle(&p->loop); }

/* The peer says this, and the engine hears all it wants of it. */
static inline void play_say(struct play *p, const char *text) { wire_say(p->w, text), play_turn(p); }

static void play_over(struct play *p)
{
    fgw_loop_settle(&p->loop);
    OK(p->w == NULL || p->w->c == NULL);
    EQ(p->env.msgs.live, 0);
    EQ(p->env.servers.live, 0);
    EQ(p->env.clients.live, 0);
    EQ(p->loop.wheel.armed, 0);
    EQ(p->loop.bufs.nodes.live, 0);
    if (p->w) wire_free(p->w);
    fgw_h1_env_fini(&p->env);
    fgw_loop_fini(&p->loop);
}

static inline void play_saw(struct play *p, const char *want, const char *file, int line)
{
    test_eq_bytes_(file, line, "what came up", p->log, p->n, want, strlen(want));
    p->n = 0, p->log[0] = 0, p->in_body = false;
}
static inline void play_heard(struct play *p, const char *want, const char *file, int line)
{
    test_eq_bytes_(file, line, "what was sent", p->w->out ? p->w->out : "", p->w->out_n, want, strlen(want));
    wire_forget(p->w);
}
#define SAW(p, want) play_saw((p), (want), __FILE__, __LINE__)
#define HEARD(p, want) play_heard((p), (want), __FILE__, __LINE__)
#define SAYS(p, what) (strstr(wire_heard((p)->w), what) != NULL)

/* ---- what the user says ---- */
static inline void play_head(struct play *p, const struct fgw_out *o) { p->side->down->send_head(p->side, o); }
static inline void play_body_n(struct play *p, size_t n, char c)
{
    while (n) {
        uint32_t k = n < 32768 ? (uint32_t)n : 32768;
        struct fgw_block *b = fgw_block_get(&p->loop.blocks, k);
        memset(b->data, c, k);
        p->side->down->send_body(p->side, (struct fgw_span){b, 0, k});
        fgw_block_unref(b);
        n -= k;
    }
}
static inline void play_body(struct play *p, const char *text)
{
    struct fgw_block *b = fgw_block_get(&p->loop.blocks, strlen(text));
    memcpy(b->data, text, strlen(text));
    p->side->down->send_body(p->side, (struct fgw_span){b, 0, (uint32_t)strlen(text)});
    fgw_block_unref(b);
}
static inline void play_finish(struct play *p) { p->side->down->finish(p->side); }

#endif
