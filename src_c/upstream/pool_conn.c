/* Connections of a pool, from dial to end. */
#include "upstream/pool_impl.h"
#include <errno.h>

static void forget(struct fgw_uconn *u)
{
    struct fgw_ep *e = u->ep;
    struct fgw_pool *p = e->pool;
    struct fgw_link *k;
    while ((k = fgw_list_first(&u->askers))) fgw_lease_undial(fgw_container(k, struct fgw_lease, ask));
    fgw_link_remove(&u->link), fgw_link_remove(&u->all);
    fgw_timer_cancel(&fgw_pool_loop(p)->wheel, &u->timer);
    if (u->idle) p->env->idle--;
    if (u->dialing) p->dialing--;
    p->conns--, e->conns--, p->env->open--;
    fgw_slab_put(&p->env->conns, u);
    fgw_ep_unused(e);
}

void fgw_uconn_close(struct fgw_uconn *u)
{
    u->mux->ops->close(u->mux);
    forget(u);
}

void fgw_uconn_unlist(struct fgw_uconn *u)
{
    fgw_link_remove(&u->link);
    if (u->idle) u->idle = false, u->ep->pool->env->idle--;
}

/* ---- asking ---- */
void fgw_uconn_ask(struct fgw_uconn *u, struct fgw_lease *l)
{
    l->dial = u;
    if (!l->asked_ms) l->asked_ms = fgw_pool_now(l->pool);
    fgw_list_push(&u->askers, &l->ask);
    u->asked++;
}

void fgw_uconn_unask(struct fgw_lease *l)
{
    fgw_link_remove(&l->ask);
    if (l->dial) l->dial->asked--, l->dial = NULL;
}

struct fgw_uconn *fgw_uconn_dialing(struct fgw_ep *e)
{
    for (struct fgw_link *k = e->dials.next; k != &e->dials; k = k->next) {
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, link);
        if (u->asked < e->places) return u;
    }
    return NULL;
}

/* One may have lost its room without a word: its peer allows less, or takes no more. */
struct fgw_uconn *fgw_uconn_open(struct fgw_ep *e)
{
    struct fgw_link *k;
    while ((k = fgw_list_first(&e->open))) {
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, link);
        if (fgw_likely(fgw_uconn_room(u))) return u;
        fgw_uconn_unlist(u);
    }
    return NULL;
}

struct fgw_side *fgw_uconn_take(struct fgw_uconn *u, struct fgw_lease *l)
{
    if (u->idle) u->idle = false, u->ep->pool->env->idle--;
    if (fgw_link_in(&u->link) && u->mux->used + 1 >= u->mux->max) fgw_link_remove(&u->link);
    l->conn = u, l->ep = u->ep;
    l->warm = u->used_before;
    u->used_before = true;
    u->ep->in_flight++;
    l->side = u->mux->ops->open(u->mux);
    return l->side;
}

/* ---- keeping ---- */
static void trim_idle(struct fgw_pool *p, struct fgw_ep *e)
{
    uint32_t n = 0;
    for (struct fgw_link *k = e->open.next; k != &e->open; k = k->next) n += fgw_container(k, struct fgw_uconn, link)->idle;
    for (struct fgw_link *k = e->open.prev, *before; k != &e->open && n > p->set.max_idle; k = before) {       /* the oldest first */
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, link);
        before = k->prev;
        if (u->idle) fgw_uconn_close(u), n--;
    }
}

void fgw_uconn_keep(struct fgw_uconn *u)
{
    struct fgw_ep *e = u->ep;
    struct fgw_pool *p = e->pool;
    if (!fgw_link_in(&u->link)) fgw_list_push_head(&e->open, &u->link);
    if (u->mux->used || u->idle) return;
    u->idle = true, p->env->idle++;
    u->idle_since = fgw_pool_now(p);
    if (p->set.idle_ms) fgw_timer_set(&fgw_pool_loop(p)->wheel, &u->timer, u->idle_since + p->set.idle_ms);
    if (e->conns > p->set.max_idle) trim_idle(p, e);
}

/* ---- what the codec says ---- */
static void mux_ready(struct fgw_mux *m)
{
    struct fgw_uconn *u = m->owner;
    struct fgw_pool *p = u->ep->pool;
    u->dialing = false, p->dialing--;
    fgw_link_remove(&u->link);
    u->ep->fails = 0, u->ep->avoid_until = 0;
    u->ep->places = m->max;
    if (p->env->connected) p->env->connected(p->env->ctx, p);
    fgw_timer_cancel(&fgw_pool_loop(p)->wheel, &u->timer);
    fgw_leases_serve(u, true);
}

static void mux_room(struct fgw_mux *m) { fgw_leases_serve(m->owner, false); }

/* Its askers go on, each to what it finds; telling one may take others away. */
static void lost(struct fgw_uconn *u, struct fgw_fail why)
{
    struct fgw_pool *p = u->ep->pool;
    struct fgw_link askers, *k;
    bool dialing = u->dialing;
    uint64_t now = fgw_pool_now(p);
    fgw_pool_ref(p);                                   /* telling an asker may let go of the pool */
    if (dialing) fgw_ep_failed(u->ep, why, 0);
    fgw_list_init(&askers);
    while (dialing && (k = fgw_list_first(&u->askers))) {
        struct fgw_lease *l = fgw_container(k, struct fgw_lease, ask);
        if (why.code == FGW_E_CONNECT_TIMEOUT && now - l->asked_ms < p->set.connect_ms) fgw_lease_undial(l);
        else fgw_uconn_unask(l), l->asked_ms = 0;
        fgw_list_push(&askers, &l->ask);
    }
    forget(u);
    why.retry_safe = true;
    while ((k = fgw_list_pop(&askers))) fgw_lease_move_on(p, fgw_container(k, struct fgw_lease, ask), why);
    fgw_leases_feed(p);
    fgw_pool_unref(p);
}

static void mux_gone(struct fgw_mux *m, struct fgw_fail why) { lost(m->owner, why); }

static const struct fgw_mux_user mux_user;
static bool mux_other(struct fgw_mux *m, struct fgw_conn *conn)
{
    struct fgw_uconn *u = m->owner;
    struct fgw_pool *p = u->ep->pool;
    struct fgw_mux *to = p->dialer->other ? p->dialer->other(p, conn, &mux_user) : NULL;
    if (!to) return false;
    u->mux = to, to->owner = u;
    mux_ready(to);
    return true;
}

static const struct fgw_mux_user mux_user = {mux_ready, mux_room, mux_gone, mux_other};

static void timeout(struct fgw_timer *t)
{
    struct fgw_uconn *u = fgw_container(t, struct fgw_uconn, timer);
    struct fgw_pool *p = u->ep->pool;
    if (u->dialing) {
        u->mux->ops->close(u->mux);
        lost(u, fgw_fail(FGW_E_CONNECT_TIMEOUT, FGW_BY_UPSTREAM));
        return;
    }
    if (!u->idle || !p->set.idle_ms) return;           /* in use: set anew when it comes back */
    uint64_t due = u->idle_since + p->set.idle_ms;
    if (due > fgw_pool_now(p)) fgw_timer_set(&fgw_pool_loop(p)->wheel, t, due);
    else fgw_uconn_close(u);
}

/* ---- dialing ---- */
bool fgw_uconn_dial(struct fgw_ep *e, struct fgw_lease *asker)
{
    struct fgw_pool *p = e->pool;
    struct fgw_uconn *u = fgw_slab_get(&p->env->conns);
    if (!u) return false;
    struct fgw_mux *m = p->dialer->dial(p, &e->e, &mux_user);
    if (!m) {
        int err = errno;
        bool refused = err == ECONNREFUSED || err == ENOENT || err == EAGAIN;
        fgw_slab_put(&p->env->conns, u);
        asker->fail = fgw_fail(refused ? FGW_E_CONNECT_REFUSED : FGW_E_CONNECT_FAILED, FGW_BY_UPSTREAM);
        fgw_ep_failed(e, asker->fail, err);
        return false;
    }
    *u = (struct fgw_uconn){.ep = e, .mux = m, .dialing = true, .timer = {.fire = timeout}};
    fgw_list_init(&u->askers);
    m->owner = u;
    fgw_uconn_ask(u, asker);
    p->conns++, e->conns++, p->dialing++, p->env->open++;
    fgw_list_push(&p->all, &u->all), fgw_list_push(&e->dials, &u->link);
    uint64_t spent = fgw_pool_now(p) - asker->asked_ms;                  /* on another's dial, which it had joined late */
    fgw_loop_timer(fgw_pool_loop(p), &u->timer, p->set.connect_ms > spent ? p->set.connect_ms - spent : 1);
    return true;
}
