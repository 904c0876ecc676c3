/* tests/c/upstream/dials.h: where a pool's connections come from in tests: wires (http/wire.h), not sockets.
 *
 * This is the only place that knows how: it includes upstream/pool.c with its dial put in the place of HTTP/1's. The test says for each
 * dial whether it is refused at once, hangs, or opens at settle, and is told of the wire.
 * Owner    one table a program; `made` gets wires that the test must let go (wire_free) when they are closed. */
#ifndef FGW_TESTS_DIALS_H
#define FGW_TESTS_DIALS_H
#include "http/wire.h"
#define fgw_h1_client_dial dials_dial
#include "upstream/pool.c"
#undef fgw_h1_client_dial

enum dial_as { DIAL_OPENS, DIAL_HANGS, DIAL_REFUSED };
static struct {
    enum dial_as (*how)(const struct sockaddr *a);
    void (*made)(const struct sockaddr *a, struct wire *w, struct fgw_mux *m, bool hangs);
} dials;

struct fgw_mux *dials_dial(struct fgw_h1_env *e, const struct sockaddr *addr, socklen_t len, const struct fgw_h1_limits *lim,
                           const struct fgw_mux_user *user)
{
    enum dial_as as = dials.how(addr);
    (void)len;
    struct fgw_mux *m = as == DIAL_REFUSED ? NULL : fgw_h1_client_memory(e, &wire_transport, lim, user);
    if (!m) return errno = ECONNREFUSED, NULL;
    struct wire *w = wire_attach(fgw_h1_client_conn(m));
    if (!w) abort();
    if (as == DIAL_HANGS) fgw_h1_client_conn(m)->state = FGW_CONN_CONNECTING, fgw_link_remove(e->loop->ready.prev);   /* its announcement */
    dials.made(addr, w, m, as == DIAL_HANGS);
    return m;
}

/* A dial that hung comes through, or fails. */
static inline void dials_through(struct wire *w) { w->c->state = FGW_CONN_OPEN, w->c->user->on_open(w->c); }
static inline void dials_fail(struct wire *w) { w->c->state = FGW_CONN_OPEN, w->reset = true; }

#endif
