/* tests/c/http/wire.h: a connection without a socket: the peer is the test, which writes, reads, stops and breaks by hand.
 *
 *   test ──wire_say──► in ──recv──► engine          test ◄── out ◄──send── engine      room: bytes still taken before EAGAIN
 *
 * Owner    one table a test program. A wire is used again once its connection is closed and the test has let it go.
 * Time     wires_now is the engine's only clock; it moves by wires_wait alone.
 * Turns    wires_turn delivers level-triggered events as epoll would, until nothing is ready; it fails the test when that never comes. */
#ifndef FGW_TESTS_WIRE_H
#define FGW_TESTS_WIRE_H
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "io/conn.h"

enum { WIRES = 64, WIRE_ROUNDS = 1000 };   /* rounds in which no byte moves */
struct wire {
    struct fgw_conn *c;                  /* the engine's end; NULL: closed */
    char *in, *out;                      /* out is NUL-ended */
    size_t in_n, in_at, out_n, in_cap, out_cap;
    size_t room, piece;                  /* taken before EAGAIN (SIZE_MAX: all); most bytes a recv brings (0: all) */
    bool used, eof, reset, shut, was_reset;   /* shut: the engine ended its direction */
};
static struct wire wires_[WIRES];
static uint64_t wires_now = 1000;        /* ms */
static uint64_t wires_moved;             /* bytes, ever */

static uint64_t wires_mono(void *ctx) { (void)ctx; return wires_now * 1000000; }
static uint64_t wires_wall(void *ctx) { (void)ctx; return 1700000000000000000ull + wires_now * 1000000; }
static const struct fgw_clock_source wires_clock = {wires_mono, wires_wall, NULL};

static inline void wire_grow(char **p, size_t *cap, size_t want)
{
    if (want <= *cap) return;
    *cap = want * 2 + 256;
    if (!(*p = realloc(*p, *cap))) abort();
}

/* ---- the engine's side: a transport; the wire is found by the descriptor that is none ---- */
static inline struct wire *wire_of(const struct fgw_conn *c) { return &wires_[-2 - c->watch.fd]; }

static ssize_t wire_recv(struct fgw_conn *c, void *p, size_t n)
{
    struct wire *w = wire_of(c);
    size_t k = w->in_n - w->in_at;
    if (w->reset) return errno = ECONNRESET, -1;
    if (k == 0) return w->eof ? 0 : (errno = EAGAIN, -1);
    if (k > n) k = n;
    if (w->piece && k > w->piece) k = w->piece;
    memcpy(p, w->in + w->in_at, k);
    w->in_at += k, wires_moved += k;
    return (ssize_t)k;
}

static ssize_t wire_send(struct fgw_conn *c, const struct iovec *v, int n)
{
    struct wire *w = wire_of(c);
    size_t sum = 0;
    if (w->reset) return errno = EPIPE, -1;
    for (int i = 0; i < n && w->room; i++) {
        size_t k = v[i].iov_len < w->room ? v[i].iov_len : w->room;
        wire_grow(&w->out, &w->out_cap, w->out_n + k + 1);
        if (k) memcpy(w->out + w->out_n, v[i].iov_base, k);
        w->out_n += k, sum += k, wires_moved += k;
        w->out[w->out_n] = 0;
        if (w->room != SIZE_MAX) w->room -= k;
    }
    return sum ? (ssize_t)sum : (errno = EAGAIN, -1);
}

static void wire_shut(struct fgw_conn *c) { wire_of(c)->shut = true; }
static void wire_close(struct fgw_conn *c, bool reset)
{
    struct wire *w = wire_of(c);
    w->c = NULL, w->shut = true, w->was_reset = reset;
}
static int wire_arm(struct fgw_conn *c, uint32_t events) { c->watch.events = events; return 0; }
static const struct fgw_transport wire_transport = {wire_recv, wire_send, wire_shut, wire_close, wire_arm, NULL, NULL};

/* Give a connection made over wire_transport its wire. NULL: all are taken. */
static inline struct wire *wire_attach(struct fgw_conn *c)
{
    for (int i = 0; i < WIRES; i++) {
        struct wire *w = &wires_[i];
        if (w->used) continue;
        *w = (struct wire){.c = c, .in = w->in, .out = w->out, .in_cap = w->in_cap, .out_cap = w->out_cap, .room = SIZE_MAX, .used = true};
        if (w->out) w->out[0] = 0;
        c->watch.fd = -2 - i;
        c->watch.events = EPOLLIN | EPOLLRDHUP;
        return w;
    }
    return NULL;
}
static inline void wire_free(struct wire *w) { w->used = false, w->c = NULL; }
static inline void wires_free(void)
{
    for (int i = 0; i < WIRES; i++) free(wires_[i].in), free(wires_[i].out), wires_[i] = (struct wire){0};
}

/* ---- the test's side ---- */
static inline void wire_put(struct wire *w, const char *p, size_t n)
{
    if (w->in_at == w->in_n) w->in_at = w->in_n = 0;
    wire_grow(&w->in, &w->in_cap, w->in_n + n);
    if (n) memcpy(w->in + w->in_n, p, n);
    w->in_n += n;
}
static inline void wire_say(struct wire *w, const char *text) { wire_put(w, text, strlen(text)); }
static inline void wire_forget(struct wire *w) { w->out_n = 0; if (w->out) w->out[0] = 0; }
static inline const char *wire_heard(const struct wire *w) { return w->out && w->out_n ? w->out : ""; }

static inline uint32_t wire_events(const struct wire *w)
{
    uint32_t e = 0;
    if (w->reset) return EPOLLERR | EPOLLHUP | (w->c->watch.events & (EPOLLIN | EPOLLOUT));
    if (w->in_n > w->in_at || w->eof) e |= EPOLLIN;
    if (w->room) e |= EPOLLOUT;
    return e & w->c->watch.events;
}

/* One event for each wire that has one, then settle. False: nothing was ready. */
static inline bool wires_round(struct fgw_loop *l)
{
    bool any = !fgw_list_empty(&l->ready) || !fgw_list_empty(&l->dirty);
    for (int i = 0; i < WIRES; i++) {
        struct wire *w = &wires_[i];
        uint32_t e = w->used && w->c ? wire_events(w) : 0;
        if (e) any = true, fgw_conn_event(w->c, e);
    }
    fgw_loop_settle(l);
    return any;
}
/* Until nothing is ready. False: it never came to rest. */
static inline bool wires_turn(struct fgw_loop *l)
{
    uint64_t moved = wires_moved;
    for (int i = 0; i < WIRE_ROUNDS; i++) {
        if (!wires_round(l)) return true;
        if (moved != wires_moved) moved = wires_moved, i = 0;
    }
    return false;
}
/* Let time pass at once: all that falls due fires in one advance, as after a long turn. */
static inline bool wires_wait(struct fgw_loop *l, uint64_t ms)
{
    wires_now += ms;
    fgw_clock_update(&l->clock);
    fgw_wheel_advance(&l->wheel, l->clock.mono_ms);
    fgw_loop_settle(l);
    return wires_turn(l);
}

#endif
