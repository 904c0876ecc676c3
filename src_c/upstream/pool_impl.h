/* upstream/pool_impl.h: what the files of the pool share and nobody else sees. Owner, thread and memory: pool.h.
 *
 *   pool.c  members, settings, life     pool_conn.c  connections     lease.c  who gets what     waiting.c  in which order
 *
 * dials    a dial under way has `askers`: leases it was begun for, or that joined it, at most as many as its endpoint's connections have
 *          had places so far (places). Whoever's turn it is gets a place that comes free, whatever it had asked for: an asker that is left
 *          without one goes on, and its dial counts for nothing. One that has waited for less than the connect time when the dial it joined
 *          ran out of it dials anew. */
#ifndef FGW_UPSTREAM_POOL_IMPL_H
#define FGW_UPSTREAM_POOL_IMPL_H
#include "upstream/pool.h"

struct fgw_uconn {
    struct fgw_link link;                    /* in ep.open while it has room; in ep.dials while dialing */
    struct fgw_link all;                     /* in pool.all */
    struct fgw_ep *ep;
    struct fgw_mux *mux;
    struct fgw_link askers;                  /* dialing: leases, while they wait */
    struct fgw_timer timer;                  /* connect, then idle */
    uint64_t idle_since;
    uint32_t asked;                          /* askers */
    bool dialing, used_before, idle;         /* idle: nothing is asked of it */
};

static inline struct fgw_loop *fgw_pool_loop(const struct fgw_pool *p) { return p->env->h1->loop; }
static inline bool fgw_uconn_room(const struct fgw_uconn *u) { return !u->dialing && !u->mux->no_more && u->mux->used < u->mux->max; }

/* ---- pool.c ---- */
void fgw_ep_unused(struct fgw_ep *e);
void fgw_ep_failed(struct fgw_ep *e, struct fgw_fail why, int err);

/* ---- pool_conn.c ---- */
struct fgw_uconn *fgw_uconn_open(struct fgw_ep *e);                      /* the newest one with room; NULL: none */
struct fgw_uconn *fgw_uconn_dialing(struct fgw_ep *e);                   /* a dial that one more may wait for; NULL: none */
bool fgw_uconn_dial(struct fgw_ep *e, struct fgw_lease *asker);          /* false: refused at once, asker->fail is set */
void fgw_uconn_ask(struct fgw_uconn *u, struct fgw_lease *l);            /* l waits for this dial */
void fgw_uconn_unask(struct fgw_lease *l);                               /* it no longer does; fine if it did not */
struct fgw_side *fgw_uconn_take(struct fgw_uconn *u, struct fgw_lease *l);
void fgw_uconn_keep(struct fgw_uconn *u);                                /* it has room, and nobody waits */
void fgw_uconn_unlist(struct fgw_uconn *u);
void fgw_uconn_close(struct fgw_uconn *u);                               /* and forget it */

/* ---- lease.c ---- */
void fgw_lease_leave(struct fgw_lease *l);                               /* it waits no longer */
void fgw_lease_undial(struct fgw_lease *l);                              /* the dial is of no use to it, which is not the endpoint's failure: it counts for nothing */
void fgw_lease_move_on(struct fgw_pool *p, struct fgw_lease *l, struct fgw_fail why);   /* to the next endpoint, or it is told why not */
void fgw_leases_serve(struct fgw_uconn *u, bool dialed);                 /* it has room: the oldest waiters get it, else it is kept */
void fgw_leases_feed(struct fgw_pool *p);                                /* capacity came free: dials for waiters that have none under way */

/* ---- waiting.c ---- */
bool fgw_waiting_add(struct fgw_pool *p, struct fgw_lease *l);           /* false: no memory */
void fgw_waiting_remove(struct fgw_lease *l);                            /* fine if it does not wait */
struct fgw_lease *fgw_waiting_next(struct fgw_pool *p);                  /* whose turn it is; it is to be removed. There are waiters */
bool fgw_waiting_displace(struct fgw_pool *p, struct fgw_lease *l);      /* the queue is full: somebody's place for l, or false */

#endif
