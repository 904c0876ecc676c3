/* Who waits for a connection, and who gets what. */
#include "upstream/pool_impl.h"

enum next { NEXT_NONE, NEXT_DIALS, NEXT_TAKEN };    /* no endpoint is left to try; a dial is under way; an open connection was there */

static void note_tried(struct fgw_lease *l, const struct fgw_ep *e) { if (l->ntried < FGW_TRIED_MAX) l->tried[l->ntried++] = e; }

void fgw_lease_leave(struct fgw_lease *l)
{
    fgw_waiting_remove(l);
    fgw_timer_cancel(&fgw_pool_loop(l->pool)->wheel, &l->timer);
    fgw_uconn_unask(l);
}

void fgw_lease_undial(struct fgw_lease *l)
{
    if (l->ntried && l->tried[l->ntried - 1] == l->dial->ep) l->ntried--;
    if (l->connects) l->connects--;
    fgw_uconn_unask(l);
}

static void give(struct fgw_lease *l, struct fgw_uconn *u)
{
    fgw_lease_leave(l);
    fgw_uconn_take(u, l);
    l->done(l);
}

static void join(struct fgw_lease *l, struct fgw_uconn *u)
{
    l->connects++;
    note_tried(l, u->ep);
    fgw_uconn_ask(u, l);
}

/* The next endpoint for l: its open connection, else a dial that has a place for it, else one of its own; on to another while one refuses at once. */
static enum next next_for(struct fgw_pool *p, struct fgw_lease *l)
{
    while (l->connects <= p->set.retry_connect) {
        struct fgw_ep *e = p->balance->pick(p, l);
        struct fgw_uconn *u;
        if (!e) return NEXT_NONE;
        if (!l->fresh && (u = fgw_uconn_open(e))) return fgw_uconn_take(u, l), NEXT_TAKEN;
        if ((u = fgw_uconn_dialing(e))) return join(l, u), NEXT_DIALS;
        l->connects++;
        note_tried(l, e);
        if (fgw_uconn_dial(e, l)) return NEXT_DIALS;
    }
    return NEXT_NONE;
}

static bool go_on(struct fgw_pool *p, struct fgw_lease *l, struct fgw_fail why)    /* false: it waits on */
{
    enum next n = next_for(p, l);
    if (n == NEXT_DIALS) return false;
    fgw_lease_leave(l);
    if (n == NEXT_NONE && !l->fail.code) l->fail = why;
    l->done(l);
    return true;
}

void fgw_lease_move_on(struct fgw_pool *p, struct fgw_lease *l, struct fgw_fail why) { go_on(p, l, why); }

void fgw_leases_feed(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->waiting.next, *next; k != &p->waiting && p->conns < p->set.max_connections; k = next) {
        struct fgw_lease *l = fgw_container(k, struct fgw_lease, link);
        next = k->next;
        if (!l->dial && go_on(p, l, fgw_fail(FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY)))
            next = p->waiting.next;                    /* the list may have changed under the callback: begin again */
    }
}

/* Its endpoint is no longer a member: nobody gets it, and its place is somebody else's. */
static void put_away(struct fgw_uconn *u)
{
    struct fgw_pool *p = u->ep->pool;
    struct fgw_link *k;
    u->mux->no_more = true;
    while ((k = fgw_list_first(&u->askers))) fgw_lease_undial(fgw_container(k, struct fgw_lease, ask));
    if (!u->mux->used) fgw_uconn_close(u);
    fgw_leases_feed(p);
}

/* Those who asked for this connection and found it full: whoever got their places may have left them others. */
static void left_over(struct fgw_pool *p, struct fgw_uconn *u)
{
    struct fgw_link *k, *next;
    struct fgw_link rest;
    fgw_list_init(&rest);
    while ((k = fgw_list_first(&u->askers))) {
        fgw_lease_undial(fgw_container(k, struct fgw_lease, ask));
        fgw_list_push(&rest, k);
    }
    for (k = p->all.next; k != &p->all && !fgw_list_empty(&rest); k = next) {
        struct fgw_uconn *d = fgw_container(k, struct fgw_uconn, all);
        next = k->next;
        while (d->dialing && !d->ep->gone && d->asked < d->ep->places && !fgw_list_empty(&rest))
            join(fgw_container(fgw_list_pop(&rest), struct fgw_lease, ask), d);
    }
    while (fgw_list_pop(&rest)) continue;
}

/* Those who must have a new one go first: nobody's old one will do for them. */
static void serve_fresh(struct fgw_uconn *u)
{
    for (struct fgw_link *k = u->askers.next, *next; k != &u->askers && fgw_uconn_room(u); k = next) {
        struct fgw_lease *l = fgw_container(k, struct fgw_lease, ask);
        next = k->next;
        if (!l->fresh) continue;
        give(l, u);
        next = u->askers.next;                         /* the list may have changed under the callback */
    }
}

void fgw_leases_serve(struct fgw_uconn *u, bool dialed)
{
    struct fgw_pool *p = u->ep->pool;
    if (fgw_likely(!dialed && !u->ep->gone && fgw_list_empty(&p->waiting) && fgw_uconn_room(u))) {
        fgw_uconn_keep(u);
        return;
    }
    fgw_pool_ref(p);                                   /* telling a waiter may let go of the pool */
    if (u->ep->gone) {
        put_away(u);
        fgw_pool_unref(p);
        return;
    }
    if (dialed) serve_fresh(u);
    while (fgw_uconn_room(u) && !fgw_list_empty(&p->waiting)) give(fgw_waiting_next(p), u);
    if (fgw_uconn_room(u)) fgw_uconn_keep(u);
    else if (!fgw_list_empty(&u->askers)) {
        left_over(p, u);
        fgw_leases_feed(p);
    }
    fgw_pool_unref(p);
}

/* ---- leases ---- */
static void queue_timeout(struct fgw_timer *t)
{
    struct fgw_lease *l = fgw_container(t, struct fgw_lease, timer);
    if (l->dial && !l->displaced) {                    /* it waits for no place but for its dial, which the connect timeout bounds */
        fgw_loop_timer(fgw_pool_loop(l->pool), t, l->pool->set.queue_ms);
        return;
    }
    fgw_lease_leave(l);
    l->fail = fgw_fail(l->displaced ? FGW_E_POOL_FULL : FGW_E_POOL_TIMEOUT, FGW_BY_GATEWAY);
    l->fail.retry_safe = l->displaced;
    l->done(l);
}

static struct fgw_side *refused(struct fgw_lease *l, enum fgw_err why, enum fgw_by by)
{
    if (!l->fail.code) l->fail = fgw_fail(why, by);
    l->fail.retry_safe = true;
    return NULL;
}

static struct fgw_side *enqueue(struct fgw_pool *p, struct fgw_lease *l)
{
    if (!fgw_waiting_add(p, l)) {
        fgw_lease_leave(l);
        return refused(l, FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
    }
    l->timer = (struct fgw_timer){.fire = queue_timeout};
    fgw_loop_timer(fgw_pool_loop(p), &l->timer, p->set.queue_ms);
    return NULL;
}

static struct fgw_uconn *any_open(struct fgw_pool *p)
{
    struct fgw_uconn *u = NULL;
    for (uint32_t i = 0; i < p->neps && !u; i++) u = fgw_uconn_open(p->eps[i]);
    return u;
}

/* The picked endpoint has no connection with room. */
static struct fgw_side *get_new(struct fgw_pool *p, struct fgw_ep *e, struct fgw_lease *l)
{
    struct fgw_uconn *u = fgw_uconn_dialing(e);
    enum next n = NEXT_DIALS;
    if (u) join(l, u);
    else {
        l->connects = 1;
        note_tried(l, e);
        if (!fgw_uconn_dial(e, l)) n = next_for(p, l);
    }
    if (n == NEXT_NONE) return refused(l, FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY);
    l->fail = (struct fgw_fail){0};
    return n == NEXT_TAKEN ? l->side : enqueue(p, l);
}

struct fgw_side *fgw_lease_get(struct fgw_lease *l)
{
    struct fgw_pool *p = l->pool;
    struct fgw_uconn *u;
    if (p->table && atomic_load_explicit(&p->table->version, memory_order_relaxed) != p->seen) fgw_pool_refresh(p);
    l->fail = (struct fgw_fail){0};
    l->side = NULL, l->conn = NULL, l->dial = NULL, l->connects = 0, l->asked_ms = 0, l->displaced = false;
    struct fgw_ep *e = p->balance->pick(p, l);
    if (!e) return refused(l, FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY);
    if (!l->fresh && (u = fgw_uconn_open(e))) return fgw_uconn_take(u, l);
    if (p->conns < p->set.max_connections) return get_new(p, e, l);
    if (!l->fresh && (u = any_open(p))) return fgw_uconn_take(u, l);
    if (p->waiters >= p->set.queue_max && !fgw_waiting_displace(p, l)) return refused(l, FGW_E_POOL_FULL, FGW_BY_GATEWAY);
    return enqueue(p, l);
}

void fgw_lease_put(struct fgw_lease *l)
{
    if (l->pool) fgw_lease_leave(l);
    if (l->side) l->side->down->release(l->side), l->side = NULL;
    if (l->ep) {
        l->ep->in_flight--;
        fgw_ep_unused(l->ep);
    }
    l->ep = NULL, l->conn = NULL;
}
