/* tests/c/upstream/dials.h: where a pool's connections come from in tests: wires (http/wire.h), not sockets.
 *
 * A dialer (upstream/pool.h) to be put into a pool: the test says for each dial whether it is refused at once, hangs, or opens at settle,
 * and is told of the wire.
 * Owner    one table a program; `made` gets wires that the test must let go (wire_free) when they are closed. */
#ifndef FGW_TESTS_DIALS_H
#define FGW_TESTS_DIALS_H
#include "upstream/pool.h"
#include "http/wire.h"

enum dial_as { DIAL_OPENS, DIAL_HANGS, DIAL_REFUSED };
static struct {
    enum dial_as (*how)(const struct fgw_endpoint *e);
    void (*made)(const struct fgw_endpoint *e, struct wire *w, struct fgw_mux *m, bool hangs);
} dials;

static struct fgw_mux *dials_dial(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    enum dial_as as = dials.how(e);
    struct fgw_loop *l = p->env->h1->loop;
    struct fgw_mux *m = as == DIAL_REFUSED ? NULL : fgw_h1_client_memory(p->env->h1, &wire_transport, &p->limits, user);
    if (!m) return errno = ECONNREFUSED, NULL;
    struct wire *w = wire_attach(fgw_h1_client_conn(m));
    if (!w) abort();
    if (as == DIAL_HANGS) fgw_h1_client_conn(m)->state = FGW_CONN_CONNECTING, fgw_link_remove(l->ready.prev);   /* its announcement */
    dials.made(e, w, m, as == DIAL_HANGS);
    return m;
}
static const struct fgw_dialer dials_dialer = {"wires", dials_dial, NULL};

/* A dial that hung comes through, or fails. */
static inline void dials_through(struct wire *w) { w->c->state = FGW_CONN_OPEN, w->c->user->on_open(w->c); }
static inline void dials_fail(struct wire *w) { w->c->state = FGW_CONN_OPEN, w->reset = true; }

#endif
