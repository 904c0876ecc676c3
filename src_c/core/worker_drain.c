/* The end of a worker's service.
 *
 *   drain ──► (last: accept queues are emptied) ──► doors closed ──► every connection takes its last request, or none ──► drained
 *
 * A connection in an accept queue belongs to a client that believes itself connected: closing the last descriptor of the socket would
 * reset it. Where the supervisor keeps one, whoever is given the socket next has the queue too. */
#include "core/exchange.h"
#include "core/front.h"

static void close_doors(struct fgw_worker *w, bool last)
{
    for (struct fgw_link *k = w->listeners.next; k != &w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        for (struct fgw_link *d = l->sockets.next; last && d != &l->sockets; d = d->next) fgw_accept_all(&fgw_container(d, struct fgw_door, link)->a);
        fgw_listener_close(l);
    }
}

static void drain_over(struct fgw_timer *t) { fgw_fronts_cut(fgw_container(t, struct fgw_worker, drain_timer)); }

void fgw_worker_drain(struct fgw_worker *w, uint32_t deadline_ms, bool last)
{
    w->draining = true;
    close_doors(w, last);
    fgw_fronts_drain(w);
    w->drain_timer.fire = drain_over;
    fgw_loop_timer(&w->loop, &w->drain_timer, deadline_ms ? deadline_ms : 1);
    fgw_worker_settle(w);
}

bool fgw_worker_drained(const struct fgw_worker *w) { return w->draining && w->fronts.live == 0 && w->exchanges.live == 0; }
