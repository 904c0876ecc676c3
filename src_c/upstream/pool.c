#include "upstream/pool.h"
#include <errno.h>
#include <stdlib.h>

struct fgw_uconn {
    struct fgw_link link;                    /* in ep.open while it has room */
    struct fgw_link all;                     /* in pool.all */
    struct fgw_ep *ep;
    struct fgw_mux *mux;
    struct fgw_lease *asker;                 /* dialing: the lease it was begun for, while that waits */
    struct fgw_timer timer;                  /* connect, then idle */
    uint64_t idle_since;
    bool dialing, used_before;
};
enum { AVOID_MAX_MS = 30000, AVOID_SHIFT_MAX = 8 };

enum next { NEXT_NONE, NEXT_DIALS, NEXT_TAKEN };    /* no endpoint is left to try; a dial is under way; an idle conn was there */

static void feed(struct fgw_pool *p);
static enum next next_for(struct fgw_pool *p, struct fgw_lease *l);

static struct fgw_loop *loop(const struct fgw_pool *p) { return p->env->h1->loop; }
uint64_t fgw_pool_now(const struct fgw_pool *p) { return fgw_loop_ms(loop(p)); }
static bool has_room(const struct fgw_uconn *u) { return !u->dialing && !u->mux->no_more && u->mux->used < u->mux->max; }

void fgw_pool_env_init(struct fgw_pool_env *e, struct fgw_h1_env *h1)
{
    *e = (struct fgw_pool_env){.h1 = h1};
    fgw_slab_init(&e->conns, "upstream_conn", sizeof(struct fgw_uconn));
}

void fgw_pool_env_fini(struct fgw_pool_env *e) { fgw_slab_fini(&e->conns); }

/* ---- endpoints ---- */
static void ep_unused(struct fgw_ep *e)
{
    if (e->gone && e->conns == 0 && e->in_flight == 0) free(e);
}

static void ep_failed(struct fgw_ep *e, struct fgw_fail why, int err)
{
    struct fgw_pool *p = e->pool;
    if (e->avoid_until <= fgw_pool_now(p)) {           /* many dials that fail together are one failure */
        uint64_t ms = (uint64_t)p->set.avoid_ms << (e->fails < AVOID_SHIFT_MAX ? e->fails : AVOID_SHIFT_MAX);
        e->fails++;
        e->avoid_until = fgw_pool_now(p) + (ms < AVOID_MAX_MS ? ms : AVOID_MAX_MS);
    }
    if (p->env->report) p->env->report(p->env->ctx, p, e, why, err);
}

/* ---- connections ---- */
static void forget(struct fgw_uconn *u)
{
    struct fgw_ep *e = u->ep;
    struct fgw_pool *p = e->pool;
    if (fgw_link_in(&u->link)) fgw_link_remove(&u->link), p->env->idle--;
    fgw_link_remove(&u->all);
    fgw_timer_cancel(&loop(p)->wheel, &u->timer);
    if (u->dialing) p->dialing--;
    if (u->asker) u->asker->dial = NULL;
    p->conns--, e->conns--, p->env->open--;
    fgw_slab_put(&p->env->conns, u);
    ep_unused(e);
}

static void close_conn(struct fgw_uconn *u)
{
    u->mux->ops->close(u->mux);
    forget(u);
}

static void unlist(struct fgw_uconn *u)
{
    fgw_link_remove(&u->link);
    u->ep->pool->env->idle--;
}

static void list_open(struct fgw_uconn *u)
{
    struct fgw_pool *p = u->ep->pool;
    if (fgw_link_in(&u->link)) return;
    fgw_list_push_head(&u->ep->open, &u->link);
    p->env->idle++;
    u->idle_since = fgw_pool_now(p);
    if (p->set.idle_ms) fgw_timer_set(&loop(p)->wheel, &u->timer, u->idle_since + p->set.idle_ms);
}

static void trim_idle(struct fgw_pool *p, struct fgw_ep *e)
{
    uint32_t n = 0;
    for (struct fgw_link *k = e->open.next; k != &e->open; k = k->next) n++;
    while (n > p->set.max_idle) {
        struct fgw_uconn *oldest = fgw_container(e->open.prev, struct fgw_uconn, link);
        if (oldest->mux->used) break;
        close_conn(oldest), n--;
    }
}

static struct fgw_side *take(struct fgw_lease *l, struct fgw_uconn *u)
{
    if (fgw_link_in(&u->link) && u->mux->used + 1 >= u->mux->max) unlist(u);
    l->conn = u, l->ep = u->ep;
    l->warm = u->used_before;
    u->used_before = true;
    u->ep->in_flight++;
    l->side = u->mux->ops->open(u->mux);
    return l->side;
}

static void note_tried(struct fgw_lease *l, const struct fgw_ep *e) { if (l->ntried < FGW_TRIED_MAX) l->tried[l->ntried++] = e; }

static void leave_queue(struct fgw_lease *l)
{
    if (fgw_link_in(&l->link)) fgw_link_remove(&l->link), l->pool->waiters--;
    fgw_timer_cancel(&loop(l->pool)->wheel, &l->timer);
    if (l->dial) l->dial->asker = NULL, l->dial = NULL;
}

/* The dial begun for l is of no use to it, which is not the endpoint's failure: it counts for nothing. */
static void undial(struct fgw_lease *l)
{
    if (l->ntried && l->tried[l->ntried - 1] == l->dial->ep) l->ntried--;
    if (l->connects) l->connects--;
    l->dial->asker = NULL, l->dial = NULL;
}

/* l gets what was dialled for another, who gets what was dialled for l, if anything was. */
static void swap_dials(struct fgw_uconn *u, struct fgw_lease *l)
{
    struct fgw_lease *other = u->asker;
    if (!other || other == l) return;
    undial(other);
    if (!l->dial) return;
    struct fgw_uconn *mine = l->dial;
    undial(l);
    mine->asker = other, other->dial = mine, other->connects++, note_tried(other, mine->ep);
}

/* Its endpoint is no longer a member: nobody gets it, and its place is somebody else's. */
static void put_away(struct fgw_uconn *u)
{
    struct fgw_pool *p = u->ep->pool;
    u->mux->no_more = true;
    if (u->mux->used) return;
    if (u->asker) undial(u->asker);
    fgw_pool_ref(p);                                   /* telling a waiter may let go of the pool */
    close_conn(u);
    feed(p);
    fgw_pool_unref(p);
}

/* A conn has room: the oldest waiter gets it, else it is kept. */
static void give_out(struct fgw_uconn *u)
{
    struct fgw_pool *p = u->ep->pool;
    if (u->ep->gone) {
        put_away(u);
        return;
    }
    while (has_room(u) && !fgw_list_empty(&p->waiting)) {
        struct fgw_lease *l = fgw_container(p->waiting.next, struct fgw_lease, link);
        swap_dials(u, l);
        leave_queue(l);
        take(l, u);
        l->done(l);
    }
    if (!has_room(u)) return;
    list_open(u);
    if (u->ep->conns > p->set.max_idle) trim_idle(p, u->ep);
}

static void mux_ready(struct fgw_mux *m)
{
    struct fgw_uconn *u = m->owner;
    struct fgw_pool *p = u->ep->pool;
    u->dialing = false, p->dialing--;
    u->ep->fails = 0, u->ep->avoid_until = 0;
    if (p->env->connected) p->env->connected(p->env->ctx, p);
    fgw_timer_cancel(&loop(p)->wheel, &u->timer);
    if (u->asker && u->asker->fresh && !u->ep->gone) {                 /* it must not be served by somebody's old conn, so it goes first */
        struct fgw_lease *l = u->asker;
        leave_queue(l);
        take(l, u);
        l->done(l);
    }
    give_out(u);
}

static void mux_room(struct fgw_mux *m) { give_out(m->owner); }

static void lease_fail(struct fgw_lease *l, struct fgw_fail why)
{
    leave_queue(l);
    l->fail = why;
    l->done(l);
}

/* One who waits goes on to the next endpoint, or is told why not. false: it waits on. */
static bool move_on(struct fgw_pool *p, struct fgw_lease *l, struct fgw_fail why)
{
    enum next n = next_for(p, l);
    if (n == NEXT_TAKEN) leave_queue(l), l->done(l);
    if (n == NEXT_NONE) lease_fail(l, l->fail.code ? l->fail : why);
    return n != NEXT_DIALS;
}

static void conn_lost(struct fgw_uconn *u, struct fgw_fail why)
{
    struct fgw_pool *p = u->ep->pool;
    struct fgw_lease *l = u->asker;
    bool dialing = u->dialing;
    fgw_pool_ref(p);                                   /* telling the asker may let go of the pool */
    if (dialing) ep_failed(u->ep, why, 0);
    if (l) l->dial = NULL, u->asker = NULL;
    forget(u);
    why.retry_safe = true;
    if (dialing && l) move_on(p, l, why);              /* the dial came to nothing: its asker goes on */
    feed(p);
    fgw_pool_unref(p);
}

static void mux_gone(struct fgw_mux *m, struct fgw_fail why) { conn_lost(m->owner, why); }

static const struct fgw_mux_user mux_user = {mux_ready, mux_room, mux_gone};

static void conn_timeout(struct fgw_timer *t)
{
    struct fgw_uconn *u = fgw_container(t, struct fgw_uconn, timer);
    struct fgw_pool *p = u->ep->pool;
    if (u->dialing) {
        u->mux->ops->close(u->mux);
        conn_lost(u, fgw_fail(FGW_E_CONNECT_TIMEOUT, FGW_BY_UPSTREAM));
        return;
    }
    if (!fgw_link_in(&u->link) || u->mux->used || !p->set.idle_ms) return;   /* in use: set anew when it comes back */
    uint64_t due = u->idle_since + p->set.idle_ms;
    if (due > fgw_pool_now(p)) fgw_timer_set(&loop(p)->wheel, t, due);
    else close_conn(u);
}

/* ---- dialing ---- */

static bool dial(struct fgw_ep *e, struct fgw_lease *asker)
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
        ep_failed(e, asker->fail, err);
        return false;
    }
    *u = (struct fgw_uconn){.ep = e, .mux = m, .asker = asker, .dialing = true, .timer = {.fire = conn_timeout}};
    m->owner = u;
    asker->dial = u;
    p->conns++, e->conns++, p->dialing++, p->env->open++;
    fgw_list_push(&p->all, &u->all);
    fgw_loop_timer(loop(p), &u->timer, p->set.connect_ms);
    return true;
}

/* The next endpoint for l: its idle conn, else a dial; on to another while one refuses at once. */
static enum next next_for(struct fgw_pool *p, struct fgw_lease *l)
{
    while (l->connects <= p->set.retry_connect) {
        struct fgw_ep *e = p->balance->pick(p, l);
        if (!e) return NEXT_NONE;
        if (!l->fresh && !fgw_list_empty(&e->open)) return take(l, fgw_container(e->open.next, struct fgw_uconn, link)), NEXT_TAKEN;
        l->connects++;
        note_tried(l, e);
        if (dial(e, l)) return NEXT_DIALS;
    }
    return NEXT_NONE;
}

/* Capacity came free: begin dials for waiters that have none under way. */
static void feed(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->waiting.next, *next; k != &p->waiting && p->conns < p->set.max_connections; k = next) {
        struct fgw_lease *l = fgw_container(k, struct fgw_lease, link);
        next = k->next;
        if (!l->dial && move_on(p, l, fgw_fail(FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY)))
            next = p->waiting.next;                    /* the list may have changed under the callback: begin again */
    }
}

/* ---- leases ---- */
static void queue_timeout(struct fgw_timer *t)
{
    struct fgw_lease *l = fgw_container(t, struct fgw_lease, timer);
    if (l->dial && l->dial->dialing) {                 /* it waits for no place but for its dial, which the connect timeout bounds */
        fgw_loop_timer(loop(l->pool), t, l->pool->set.queue_ms);
        return;
    }
    lease_fail(l, fgw_fail(FGW_E_POOL_TIMEOUT, FGW_BY_GATEWAY));
}

static struct fgw_side *enqueue(struct fgw_pool *p, struct fgw_lease *l)
{
    fgw_list_push(&p->waiting, &l->link);
    p->waiters++;
    l->timer = (struct fgw_timer){.fire = queue_timeout};
    fgw_loop_timer(loop(p), &l->timer, p->set.queue_ms);
    return NULL;
}

static struct fgw_uconn *any_open(struct fgw_pool *p)
{
    for (uint32_t i = 0; i < p->neps; i++)
        if (!fgw_list_empty(&p->eps[i]->open)) return fgw_container(p->eps[i]->open.next, struct fgw_uconn, link);
    return NULL;
}

static struct fgw_side *refused(struct fgw_lease *l, enum fgw_err why, enum fgw_by by)
{
    if (!l->fail.code) l->fail = fgw_fail(why, by);
    l->fail.retry_safe = true;
    return NULL;
}

struct fgw_side *fgw_lease_get(struct fgw_lease *l)
{
    struct fgw_pool *p = l->pool;
    struct fgw_uconn *u;
    if (p->table && atomic_load_explicit(&p->table->version, memory_order_relaxed) != p->seen) fgw_pool_refresh(p);
    l->fail = (struct fgw_fail){0};
    l->side = NULL, l->conn = NULL, l->dial = NULL, l->connects = 0;
    struct fgw_ep *e = p->balance->pick(p, l);
    if (!e) return refused(l, FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY);
    if (!l->fresh && !fgw_list_empty(&e->open)) return take(l, fgw_container(e->open.next, struct fgw_uconn, link));
    if (p->conns < p->set.max_connections) {
        l->connects = 1;
        note_tried(l, e);
        enum next n = dial(e, l) ? NEXT_DIALS : next_for(p, l);
        if (n == NEXT_NONE) return refused(l, FGW_E_NO_UPSTREAM, FGW_BY_GATEWAY);
        l->fail = (struct fgw_fail){0};
        return n == NEXT_TAKEN ? l->side : enqueue(p, l);
    }
    if (!l->fresh && (u = any_open(p))) return take(l, u);
    if (p->waiters >= p->set.queue_max) return refused(l, FGW_E_POOL_FULL, FGW_BY_GATEWAY);
    return enqueue(p, l);
}

void fgw_lease_put(struct fgw_lease *l)
{
    if (l->pool) leave_queue(l);
    if (l->side) l->side->down->release(l->side), l->side = NULL;
    if (l->ep) {
        l->ep->in_flight--;
        ep_unused(l->ep);
    }
    l->ep = NULL, l->conn = NULL;
}

/* ---- membership and life ---- */
static struct fgw_ep *find_ep(struct fgw_pool *p, const struct fgw_endpoint *e)
{
    for (uint32_t i = 0; i < p->neps; i++)
        if (p->eps[i]->e.slot == e->slot && p->eps[i]->e.generation == e->generation) return p->eps[i];
    return NULL;
}

static void retire_ep(struct fgw_ep *e)
{
    struct fgw_link *k;
    e->gone = true;
    e->in_flight++;                                    /* keeps it while its conns go */
    while ((k = fgw_list_first(&e->open))) {
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, link);
        if (u->mux->used) unlist(u), u->mux->no_more = true;
        else close_conn(u);
    }
    e->in_flight--;
    ep_unused(e);
}

static struct fgw_ep *new_ep(struct fgw_pool *p)
{
    struct fgw_ep *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->pool = p;
    fgw_list_init(&e->open);
    return e;
}

static void adopt(struct fgw_pool *p, const struct fgw_endpoint *list, int n)
{
    struct fgw_ep **next = calloc((size_t)n + 1, sizeof *next);
    uint32_t k = 0;
    if (!next) return;                                 /* no memory: the old membership serves on */
    for (int i = 0; i < n; i++) {
        struct fgw_ep *e = find_ep(p, &list[i]);
        if (!e && !(e = new_ep(p))) continue;
        e->e = list[i];
        next[k++] = e;
    }
    for (uint32_t i = 0; i < p->neps; i++) {
        bool kept = false;
        for (uint32_t j = 0; j < k && !kept; j++) kept = next[j] == p->eps[i];
        if (!kept) retire_ep(p->eps[i]);
    }
    free(p->eps);
    p->eps = next, p->neps = k;
}

void fgw_pool_refresh(struct fgw_pool *p)
{
    if (!p->table) return;
    uint32_t cap = p->table->cap < FGW_EPS_MAX ? p->table->cap : FGW_EPS_MAX;
    struct fgw_endpoint *list = malloc((size_t)cap * sizeof *list);
    if (!list) return;
    int n = fgw_eptable_read(p->table, &p->seen, list, cap);
    if (n >= 0) adopt(p, list, n);
    free(list);
}

struct fgw_pool *fgw_pool_new(struct fgw_pool_env *e, uint32_t id, struct fgw_str name)
{
    struct fgw_pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->env = e, p->id = id, p->balance = &fgw_pick_rr, p->dialer = &fgw_dial_h1;
    uint32_t n = name.n < sizeof p->name - 1 ? name.n : (uint32_t)sizeof p->name - 1;
    if (n) memcpy(p->name, name.p, n);
    fgw_list_init(&p->waiting), fgw_list_init(&p->all);
    return p;
}

void fgw_pool_configure(struct fgw_pool *p, const void *seg, struct fgw_eptable *table)
{
    const struct fgw_l_upstream *u = fgw_l_body(seg);
    p->set = *u;
    struct fgw_str host = fgw_l_text(seg, u->host);
    uint32_t n = host.n < sizeof p->host - 1 ? host.n : (uint32_t)sizeof p->host - 1;
    if (n) memcpy(p->host, host.p, n);
    p->host[n] = 0;
    p->limits = (struct fgw_h1_limits){
        .head = {u->line_max, u->field_max, u->head_max, (uint16_t)(u->fields_max < FGW_FIELDS_MAX ? u->fields_max : FGW_FIELDS_MAX)},
        .body = {256, 16 << 10, 8 << 10, 32}, .window = 64 << 10, .body_idle_ms = u->read_idle_ms, .send_idle_ms = u->send_idle_ms,
        .requests_max = u->requests_max};
    if (p->table != table) p->table = table, p->seen = 0;
    fgw_pool_refresh(p);
}

void fgw_pool_transport(struct fgw_pool *p, struct fgw_tls_client *tls)
{
    if (fgw_tls_client_same(p->tls, tls)) return;      /* the one that is here keeps its sessions */
    struct fgw_tls_client *before = p->tls;
    p->tls = tls ? fgw_tls_client_ref(tls) : NULL, fgw_tls_client_unref(before);
    fgw_pool_ref(p);                                   /* telling a waiter may let go of the pool */
    fgw_pool_cut(p);
    feed(p);
    fgw_pool_unref(p);
}

void fgw_pool_ref(struct fgw_pool *p) { p->refs++; }

void fgw_pool_cut(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->all.next, *next; k != &p->all; k = next) {
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, all);
        next = k->next;
        if (u->mux->used) u->mux->no_more = true;
        else close_conn(u);
    }
}

static void pool_free(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->all.next, *next; k != &p->all; k = next) {
        next = k->next;
        close_conn(fgw_container(k, struct fgw_uconn, all));
    }
    FGW_CHECK(p->conns == 0 && p->waiters == 0);
    for (uint32_t i = 0; i < p->neps; i++) free(p->eps[i]);
    free(p->eps);
    fgw_link_remove(&p->link);
    fgw_tls_client_unref(p->tls);
    free(p);
}

void fgw_pool_unref(struct fgw_pool *p)
{
    FGW_CHECK(p->refs > 0);
    if (--p->refs == 0) pool_free(p);
}
