/* A tunnel: bytes both ways until both ends have ended, one breaks off, or the time is up.
 *
 *   agreed ──the 101 has passed the chain──► open ──silence, age──► refused        (both ends, an abort: as in any exchange)
 *
 * Its two times are the exchange's, since only here is it known when a byte has moved in either direction. One timer serves both: it
 * fires when the next of them could be due, and looks. */
#include "core/exchange.h"

static uint64_t now_ms(const struct fgw_exchange *x) { return fgw_loop_ms(&x->w->loop); }

static void gauge(struct fgw_worker *w, int64_t n)
{
    _Atomic int64_t *g = &w->gauges->tunnels;
    atomic_store_explicit(g, atomic_load_explicit(g, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Until the next moment at which it may be over; 0: never. */
static uint64_t due_in(const struct fgw_exchange *x)
{
    uint64_t now = now_ms(x), at = x->tunnel_end_ms;
    uint64_t silent = x->tunnel_idle_ms ? x->moved_ms + x->tunnel_idle_ms : 0;
    if (silent && (!at || silent < at)) at = silent;
    return !at ? 0 : at > now ? at - now : 1;
}

static void due(struct fgw_timer *t)
{
    struct fgw_exchange *x = fgw_container(t, struct fgw_exchange, deadline);
    uint64_t now = now_ms(x);
    enum fgw_err why = x->tunnel_end_ms && now >= x->tunnel_end_ms ? FGW_E_TUNNEL_MAX
                       : x->tunnel_idle_ms && now - x->moved_ms >= x->tunnel_idle_ms ? FGW_E_TUNNEL_IDLE : FGW_E_NONE;
    if (!why) {
        fgw_loop_timer(&x->w->loop, &x->deadline, due_in(x));
        return;
    }
    fgw_exchange_refuse(x, fgw_fail(why, FGW_BY_GATEWAY));
    if (x->ended) fgw_exchange_end(x);
}

void fgw_tunnel_begin(struct fgw_exchange *x)
{
    struct fgw_try *t = x->t;
    const struct fgw_l_route *route = x->r.route;
    x->tunnel = true, x->request_ended = t->request_done = false;        /* the tunnel's direction ends anew */
    x->moved_ms = now_ms(x);
    if (route) {
        x->tunnel_idle_ms = route->tunnel_idle_ms;
        x->tunnel_end_ms = route->tunnel_max_ms ? x->moved_ms + route->tunnel_max_ms : 0;
    }
    x->deadline.fire = due;
    fgw_loop_timer(&x->w->loop, &x->deadline, due_in(x));
    gauge(x->w, 1);
    fgw_exchange_detach(x);
    t->lease.side->down->tunnel(t->lease.side);
    x->front->down->tunnel(x->front);
}

void fgw_tunnel_end(struct fgw_exchange *x)
{
    if (x->tunnel) gauge(x->w, -1);
}
