/* tests/c/upstream/dials.h: where a pool's connections come from in tests: wires (http/wire.h), not sockets.
 *
 * This is the only place that knows how: it puts dials_dial in the place of HTTP/1's for the upstream/pool.c that is included after it.
 * The test says for each dial whether it is refused at once, hangs, or opens at settle, and is told of the wire.
 * Owner    one table a program; `made` gets wires that the test must let go (wire_free) when they are closed. */
#ifndef FGW_TESTS_DIALS_H
#define FGW_TESTS_DIALS_H
#include "http/h1.h"
#include "http/wire.h"

enum dial_as { DIAL_OPENS, DIAL_HANGS, DIAL_REFUSED };
static struct {
    enum dial_as (*how)(const struct sockaddr *a);
    void (*made)(const struct sockaddr *a, struct wire *w, struct fgw_mux *m, bool hangs);
} dials;

static struct fgw_mux *dials_dial(struct fgw_h1_env *e, const struct sockaddr *addr, socklen_t len, const struct fgw_h1_limits *lim,
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

#define fgw_h1_client_dial dials_dial     /* from here on: in upstream/pool.c */

#endif
