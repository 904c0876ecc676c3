#include "core/snapshot.h"
#include <stdio.h>
#include <stdlib.h>
#include "core/worker_impl.h"
#include "policy/step.h"

struct fgw_segment *fgw_segment_find(struct fgw_worker *w, uint64_t hash)
{
    for (struct fgw_link *k = w->segments.next; k != &w->segments; k = k->next) {
        struct fgw_segment *s = fgw_container(k, struct fgw_segment, link);
        if (s->hash == hash) return s;
    }
    return NULL;
}

static void segment_free(struct fgw_segment *s)
{
    fgw_link_remove(&s->link);
    fgw_regexes_free(s->regexes);
    fgw_tls_server_unref(s->tls);
    fgw_tls_client_unref(s->client);
    if (s->mapped) fgw_seg_unmap((void *)s->p, s->size);
    else free((void *)s->p);
    free(s);
}

void fgw_segments_sweep(struct fgw_worker *w)
{
    for (struct fgw_link *k = w->segments.next, *next; k != &w->segments; k = next) {
        struct fgw_segment *s = fgw_container(k, struct fgw_segment, link);
        next = k->next;
        if (s->refs == 0 && !s->fresh) segment_free(s);
    }
}

void fgw_segments_forget(struct fgw_worker *w)
{
    for (struct fgw_link *k = w->segments.next; k != &w->segments; k = k->next) fgw_container(k, struct fgw_segment, link)->fresh = false;
}

/* ---- regexes ---- */

/* Compile up to `most` patterns of a segment. Returns how many are left; -1: err says why. */
static int segment_compile(struct fgw_segment *g, uint32_t most, char *err, size_t err_n)
{
    const struct fgw_l_seg *h = g->p;
    if (h->kind != FGW_SEG_ROUTES || !((const struct fgw_l_routes *)fgw_l_body(h))->regexes.count) return 0;
    if (!g->regexes && !(g->regexes = fgw_regexes_new(h))) {
        snprintf(err, err_n, "out of memory");
        return -1;
    }
    return fgw_regexes_compile(g->regexes, most, err, err_n);
}

uint32_t fgw_segments_compile(struct fgw_worker *w, uint32_t most)
{
    char err[256];                                     /* fgw_snapshot_bind will say it */
    for (struct fgw_link *k = w->segments.next; k != &w->segments; k = k->next) {
        struct fgw_segment *g = fgw_container(k, struct fgw_segment, link);
        int left = g->fresh ? segment_compile(g, most, err, sizeof err) : 0;
        if (left > 0) return (uint32_t)left;
    }
    return 0;
}

void fgw_bound_given_up(struct fgw_worker *w, const struct fgw_bound *b)
{
    struct fgw_regex_given_up g;
    const struct fgw_l_routes *r = fgw_l_body(b->routes);
    const struct fgw_l_regex *l = fgw_l_at(b->routes, r->regexes.off);
    while (fgw_regexes_given_up(b->regexes, &g)) {
        const struct fgw_l_route *route = fgw_l_at(b->routes, l[g.regex].route);
        struct fgw_str name = fgw_l_text(b->routes, route->name);
        uint32_t slot = b->slots[route->index];
        if (slot < FGW_SHM_STATS) fgw_stats_add(&fgw_stats_cell(w->shm, w->column, slot)->regex_given_up, g.times);
        if (g.first) fgw_worker_report(w, 2, "route %.*s: its regex takes too many steps for a path that was asked for, and did not match",
                                       (int)name.n, name.p);
    }
}

static struct fgw_snapshot *bad(struct fgw_snapshot *s, char *err, size_t n, const char *what, struct fgw_str name)
{
    snprintf(err, n, "%s%s%.*s", what, name.n ? ": " : "", (int)name.n, name.n ? name.p : "");
    fgw_snapshot_unref(s);
    return NULL;
}

static const void *seg_at(const struct fgw_snapshot *s, uint32_t i, enum fgw_seg_kind kind)
{
    if (i >= s->nsegs) return NULL;
    const struct fgw_l_seg *h = s->segs[i]->p;
    return h->kind == kind ? h : NULL;
}

static struct fgw_pool *pool_of(struct fgw_worker *w, uint32_t id, struct fgw_str name)
{
    for (struct fgw_link *k = w->pools.next; k != &w->pools; k = k->next) {
        struct fgw_pool *p = fgw_container(k, struct fgw_pool, link);
        if (p->id == id) return p;
    }
    struct fgw_pool *p = fgw_pool_new(&w->upstream, id, name);
    if (p) fgw_list_push(&w->pools, &p->link);
    return p;
}

static bool bind_segments(struct fgw_snapshot *s)
{
    const uint64_t *hashes = fgw_l_at(s->root_seg->p, s->root->segs.off);
    s->segs = calloc(s->root->segs.count + 1, sizeof *s->segs);
    if (!s->segs) return false;
    for (uint32_t i = 0; i < s->root->segs.count; i++) {
        struct fgw_segment *g = fgw_segment_find(s->w, hashes[i]);
        if (!g) return false;
        g->refs++;
        s->segs[s->nsegs++] = g;
    }
    return true;
}

/* What connections to the upstream need to speak TLS. A segment that has it already keeps it. */
static bool bind_client(struct fgw_snapshot *s, uint32_t index, char *err, size_t n)
{
    struct fgw_segment *g = s->segs[index];
    const struct fgw_l_upstream *u = fgw_l_body(g->p);
    if (!u->tls || g->client) return true;
    static const struct fgw_str offers[] = {[FGW_PROTO_H1] = {"\x08http/1.1", 9}, [FGW_PROTO_H2] = {"\x02h2", 3}, [FGW_PROTO_AUTO] = {"\x02h2\x08http/1.1", 12}};
    struct fgw_tls_client_options o = {.alpn = offers[u->protocol], .ca = fgw_l_text(g->p, u->tls_ca), .name = fgw_l_text(g->p, u->tls_name),
                                       .own = {fgw_l_text(g->p, u->tls_cert), fgw_l_text(g->p, u->tls_key)}, .ciphers = fgw_l_text(g->p, u->tls_ciphers),
                                       .min_version = u->tls_min_version, .verify = u->tls_verify};
    return (g->client = fgw_tls_client_new(s->w->tls, &o, err, n)) != NULL;
}

static bool bind_pools(struct fgw_snapshot *s, char *err, size_t n)
{
    const struct fgw_l_upstream_ref *u = fgw_l_at(s->root_seg->p, s->root->upstreams.off);
    s->pools = calloc(s->root->upstreams.count + 1, sizeof *s->pools);
    if (!s->pools) return false;
    for (uint32_t i = 0; i < s->root->upstreams.count; i++) {
        if (!seg_at(s, u[i].seg, FGW_SEG_UPSTREAM) || (u[i].endpoints && u[i].endpoints >= s->w->shm->size)) return false;
        if (!bind_client(s, u[i].seg, err, n)) return false;
        struct fgw_pool *p = pool_of(s->w, u[i].id, fgw_l_text(s->root_seg->p, u[i].name));
        if (!p) return false;
        fgw_pool_ref(p);
        s->pools[s->npools++] = p;
    }
    return true;
}

static struct fgw_pool *pool_named(const struct fgw_snapshot *s, struct fgw_str name)
{
    const struct fgw_l_upstream_ref *u = fgw_l_at(s->root_seg->p, s->root->upstreams.off);
    for (uint32_t i = 0; i < s->npools; i++)
        if (fgw_str_eq(fgw_l_text(s->root_seg->p, u[i].name), name)) return s->pools[i];
    return NULL;
}

static bool known_steps(const struct fgw_shm *m, const void *seg, const struct fgw_l_routes *r)
{
    const struct fgw_l_route *route = fgw_l_at(seg, r->routes.off);
    for (uint32_t i = 0; i < r->routes.count; i++) {
        const struct fgw_l_step *st = fgw_l_at(seg, route[i].chain.off);
        if (route[i].chain.count > 64) return false;
        for (uint32_t j = 0; j < route[i].chain.count; j++)
            if (!fgw_step_of((enum fgw_step_kind)st[j].kind) || !fgw_limit_fits(m, seg, &st[j])) return false;
    }
    return true;
}

static const char *bind_hooks(struct fgw_snapshot *s, struct fgw_bound *b, const struct fgw_l_routes *r)
{
    const struct fgw_hook_host *host = s->w->hooks.host;
    const uint64_t *keys = fgw_l_at(b->routes, r->hooks.off);
    if (!r->hooks.count) return NULL;
    if (!host) return "its routes name plugins, and nobody runs them here";
    if (!(b->numbers = calloc(r->hooks.count, sizeof *b->numbers))) return "out of memory";
    b->hooks = (struct fgw_hook_bound){&s->w->hooks, b->numbers};
    for (; b->nnumbers < r->hooks.count; b->nnumbers++)
        if ((b->numbers[b->nnumbers] = host->bind(host->self, keys[b->nnumbers])) < 0) return "its routes name a plugin that is not loaded";
    return NULL;
}

static void unbind_hooks(const struct fgw_snapshot *s, struct fgw_bound *b)
{
    const struct fgw_hook_host *host = s->w->hooks.host;
    while (b->nnumbers) host->unbind(host->self, b->numbers[--b->nnumbers]);
    free(b->numbers);
}

/* A segment that has contexts already keeps them: only what has changed costs anything at a reload. */
static const char *bind_tls(struct fgw_snapshot *s, struct fgw_bound *b, uint32_t index, char *err, size_t n)
{
    const void *seg = seg_at(s, index, FGW_SEG_TLS);
    if (!seg) return "a listener names a segment that is not there";
    struct fgw_segment *g = s->segs[index];
    const struct fgw_l_tls *x = fgw_l_body(seg);
    const struct fgw_l_tls_cert *c = fgw_l_at(seg, x->certs.off);
    uint32_t n_certs = g->tls ? 0 : x->certs.count;
    struct fgw_tls_pem *pem = calloc(n_certs + 1, sizeof *pem);
    struct fgw_tls_names *names = calloc(n_certs + 1, sizeof *names);
    bool read = true;
    for (uint32_t i = 0; pem && names && i < n_certs; i++) {
        pem[i] = (struct fgw_tls_pem){fgw_l_text(seg, c[i].cert), fgw_l_text(seg, c[i].key)};
        names[i] = (struct fgw_tls_names){fgw_l_text(seg, c[i].names), fgw_l_text(seg, c[i].kind)};
        read = read && names[i].kind.n;
    }
    struct fgw_tls_options o = {.certs = pem, .names = read ? names : NULL, .ncerts = x->certs.count, .ca = fgw_l_text(seg, x->ca),
                                .ciphers = fgw_l_text(seg, x->ciphers), .client_auth = x->client_auth, .min_version = x->min_version,
                                .strict_names = x->strict_names, .tickets = x->tickets,
                                .alpn = x->http2 ? FGW_STR("\x02h2\x08http/1.1") : FGW_STR("")};
    snprintf(err, n, "out of memory");
    if (!g->tls && pem && names) g->tls = fgw_tls_server_new(s->w->tls, &o, err, n);
    free(pem), free(names);
    b->tls = g->tls, b->handshake_ms = x->handshake_ms;
    return g->tls ? NULL : err;
}

static const char *bind_listener(struct fgw_snapshot *s, struct fgw_bound *b, const struct fgw_l_listener *l, char *err, size_t n)
{
    const void *routes = seg_at(s, l->routes_seg, FGW_SEG_ROUTES), *set = seg_at(s, l->settings_seg, FGW_SEG_SETTINGS);
    if (!routes || !set) return "a listener names a segment that is not there";
    const struct fgw_l_routes *r = fgw_l_body(routes);
    const struct fgw_l_str *names = fgw_l_at(routes, r->upstreams.off);
    if (l->route_slots.count != r->routes.count) return "a listener's stats slots do not fit its routes";
    if (!known_steps(s->w->shm, routes, r)) return "a chain has a step that this version does not know, or whose place in shared memory is none";
    *b = (struct fgw_bound){.l = l, .routes = routes, .settings_seg = set, .set = fgw_l_body(set),
                            .slots = fgw_l_at(s->root_seg->p, l->route_slots.off), .name = fgw_l_text(s->root_seg->p, l->name)};
    if (segment_compile(s->segs[l->routes_seg], UINT32_MAX, err, n) < 0) return err;
    b->regexes = s->segs[l->routes_seg]->regexes;
    b->pools = calloc(r->upstreams.count + 1, sizeof *b->pools);
    if (!b->pools) return "out of memory";
    for (uint32_t i = 0; i < r->upstreams.count; i++)
        if (!(b->pools[i] = pool_named(s, fgw_l_text(routes, names[i])))) return "a route names an upstream that is not there";
    const char *wrong = bind_hooks(s, b, r);
    return wrong || !l->tls_seg ? wrong : bind_tls(s, b, l->tls_seg - 1, err, n);
}

struct fgw_snapshot *fgw_snapshot_bind(struct fgw_worker *w, uint64_t root_hash, char *err, size_t err_n)
{
    struct fgw_segment *root = fgw_segment_find(w, root_hash);
    struct fgw_snapshot *s = calloc(1, sizeof *s);
    if (!s || !root || ((const struct fgw_l_seg *)root->p)->kind != FGW_SEG_ROOT) {
        snprintf(err, err_n, s ? "the root segment was not added" : "out of memory");
        free(s);
        return NULL;
    }
    *s = (struct fgw_snapshot){.w = w, .root_seg = root, .root = fgw_l_body(root->p), .refs = 1};
    root->refs++;
    w->snapshots++;
    s->trusted = fgw_l_at(root->p, s->root->trusted.off);
    char why_not[256] = "an upstream cannot be bound";
    bool whole = bind_segments(s);
    fgw_segments_forget(w);                            /* what it needs of them is counted now */
    if (!whole) return bad(s, err, err_n, "a segment named by the root was not added", FGW_STR(""));
    if (!bind_pools(s, why_not, sizeof why_not)) return bad(s, err, err_n, why_not, FGW_STR(""));
    const struct fgw_l_listener *l = fgw_l_at(root->p, s->root->listeners.off);
    s->bound = calloc(s->root->listeners.count + 1, sizeof *s->bound);
    if (!s->bound) return bad(s, err, err_n, "out of memory", FGW_STR(""));
    for (uint32_t i = 0; i < s->root->listeners.count; i++) {
        s->nbound++;
        const char *why = bind_listener(s, &s->bound[i], &l[i], why_not, sizeof why_not);
        if (why) return bad(s, err, err_n, why, fgw_l_text(root->p, l[i].name));
    }
    return s;
}

void fgw_snapshot_apply(struct fgw_snapshot *s)
{
    const struct fgw_l_upstream_ref *u = fgw_l_at(s->root_seg->p, s->root->upstreams.off);
    for (uint32_t i = 0; i < s->npools; i++) {
        s->pools[i]->slot = u[i].slot;
        fgw_pool_configure(s->pools[i], s->segs[u[i].seg]->p, u[i].endpoints ? (struct fgw_eptable *)((char *)s->w->shm + u[i].endpoints) : NULL);
        fgw_pool_transport(s->pools[i], s->segs[u[i].seg]->client, (enum fgw_protocol)s->pools[i]->set.protocol);
    }
}

void fgw_snapshot_unref(struct fgw_snapshot *s)
{
    if (--s->refs) return;
    for (uint32_t i = 0; i < s->nbound; i++) unbind_hooks(s, &s->bound[i]), free(s->bound[i].pools);
    for (uint32_t i = 0; i < s->npools; i++) fgw_pool_unref(s->pools[i]);
    for (uint32_t i = 0; i < s->nsegs; i++) s->segs[i]->refs--;
    s->root_seg->refs--;
    s->w->snapshots--;
    free(s->bound), free(s->pools), free(s->segs);
    fgw_segments_sweep(s->w);
    free(s);
}

const struct fgw_bound *fgw_snapshot_listener(const struct fgw_snapshot *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->nbound; i++)
        if (s->bound[i].l->id == id) return &s->bound[i];
    return NULL;
}

static bool inside(const struct fgw_l_cidr *c, uint64_t hi, uint64_t lo)
{
    uint64_t mh = c->bits >= 64 ? ~0ull : c->bits ? ~0ull << (64 - c->bits) : 0;
    uint64_t ml = c->bits >= 128 ? ~0ull : c->bits > 64 ? ~0ull << (128 - c->bits) : 0;
    return ((hi ^ c->hi) & mh) == 0 && ((lo ^ c->lo) & ml) == 0;
}

bool fgw_snapshot_trusts(const struct fgw_snapshot *s, uint64_t hi, uint64_t lo)
{
    for (uint32_t i = 0; i < s->root->trusted.count; i++)
        if (inside(&s->trusted[i], hi, lo)) return true;
    return false;
}
