/* Members, settings, life. What becomes of connections is in pool_conn.c, who gets them in lease.c. */
#include "upstream/pool_impl.h"
#include <stdlib.h>

enum { AVOID_MAX_MS = 30000, AVOID_SHIFT_MAX = 8,
       H2_CONTROL = 1000, H2_EMPTY = 100 };       /* in ten seconds, of one connection: what no sane server comes near */

uint64_t fgw_pool_now(const struct fgw_pool *p) { return fgw_loop_ms(fgw_pool_loop(p)); }

void fgw_pool_env_init(struct fgw_pool_env *e, struct fgw_h1_env *h1, struct fgw_h2_env *h2)
{
    *e = (struct fgw_pool_env){.h1 = h1, .h2 = h2};
    fgw_slab_init(&e->conns, "upstream_conn", sizeof(struct fgw_uconn));
    fgw_slab_init(&e->waits, "upstream_claim", sizeof(struct fgw_claim));
    for (int i = 0; i < FGW_CLAIM_ROWS; i++) fgw_list_init(&e->claims[i]);
}

void fgw_pool_env_fini(struct fgw_pool_env *e) { fgw_slab_fini(&e->conns), fgw_slab_fini(&e->waits); }

/* ---- endpoints ---- */
void fgw_ep_unused(struct fgw_ep *e)
{
    if (e->gone && e->conns == 0 && e->in_flight == 0) free(e);
}

void fgw_ep_failed(struct fgw_ep *e, struct fgw_fail why, int err)
{
    struct fgw_pool *p = e->pool;
    if (e->avoid_until <= fgw_pool_now(p)) {           /* many dials that fail together are one failure */
        uint64_t ms = (uint64_t)p->set.avoid_ms << (e->fails < AVOID_SHIFT_MAX ? e->fails : AVOID_SHIFT_MAX);
        e->fails++;
        e->avoid_until = fgw_pool_now(p) + (ms < AVOID_MAX_MS ? ms : AVOID_MAX_MS);
    }
    if (p->env->report) p->env->report(p->env->ctx, p, e, why, err);
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
        if (u->mux->used) fgw_uconn_unlist(u), u->mux->no_more = true;
        else fgw_uconn_close(u);
    }
    e->in_flight--;
    fgw_ep_unused(e);
}

static struct fgw_ep *new_ep(struct fgw_pool *p)
{
    struct fgw_ep *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->pool = p;
    e->places = p->protocol == FGW_PROTO_H1 ? 1 : p->h2.streams;         /* until one has shown how many it has */
    fgw_list_init(&e->open), fgw_list_init(&e->dials);
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
    fgw_list_init(&p->waiting), fgw_list_init(&p->turns), fgw_list_init(&p->all);
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
        .body = {u->chunk_ext_max, u->chunk_ext_total, u->trailer_max, (uint16_t)(u->trailer_fields < FGW_FIELDS_MAX ? u->trailer_fields : FGW_FIELDS_MAX)},
        .window = 64 << 10, .head_ms = u->read_idle_ms, .body_idle_ms = u->read_idle_ms, .send_idle_ms = u->send_idle_ms,
        .requests_max = u->requests_max};
    p->h2 = (struct fgw_h2_limits){.streams = u->streams_max, .window = p->limits.window, .connection_window = 1 << 20,
                                   .resets = 0,        /* there are no more of them than requests of ours */
                                   .control = H2_CONTROL, .empty = H2_EMPTY, .on = true};
    if (p->table != table) p->table = table, p->seen = 0;
    fgw_pool_refresh(p);
}

void fgw_pool_transport(struct fgw_pool *p, struct fgw_tls_client *tls, enum fgw_protocol protocol)
{
    static const struct fgw_dialer *const dialers[] = {&fgw_dial_h1, &fgw_dial_h2, &fgw_dial_auto};
    if (p->protocol == protocol && fgw_tls_client_same(p->tls, tls)) return;       /* the one that is here keeps its sessions */
    struct fgw_tls_client *before = p->tls;
    p->tls = tls ? fgw_tls_client_ref(tls) : NULL, fgw_tls_client_unref(before);
    if (p->protocol != protocol) p->dialer = dialers[protocol];
    p->protocol = (uint8_t)protocol;
    for (uint32_t i = 0; i < p->neps; i++) p->eps[i]->places = protocol == FGW_PROTO_H1 ? 1 : p->h2.streams;
    fgw_pool_ref(p);                                   /* telling a waiter may let go of the pool */
    fgw_pool_cut(p);
    fgw_leases_feed(p);
    fgw_pool_unref(p);
}

void fgw_pool_ref(struct fgw_pool *p) { p->refs++; }

void fgw_pool_cut(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->all.next, *next; k != &p->all; k = next) {
        struct fgw_uconn *u = fgw_container(k, struct fgw_uconn, all);
        next = k->next;
        if (u->mux->used) u->mux->no_more = true;
        else fgw_uconn_close(u);
    }
}

static void pool_free(struct fgw_pool *p)
{
    for (struct fgw_link *k = p->all.next, *next; k != &p->all; k = next) {
        next = k->next;
        fgw_uconn_close(fgw_container(k, struct fgw_uconn, all));
    }
    FGW_CHECK(p->conns == 0 && p->waiters == 0);
    fgw_timer_cancel(&fgw_pool_loop(p)->wheel, &p->look);
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
