/* A small writer of segments for tests: records are put one behind the other, and patched in place. */
#ifndef FGW_TESTS_SEG_H
#define FGW_TESTS_SEG_H
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "http/fields.h"
#include "policy/layout.h"
#include "policy/route.h"

enum { SEG_ROOM = 1 << 16, SEG_SLOTS = 64, SEG_EDGES = SEG_SLOTS + 8, SEG_NODES = 64, SEG_LEAVES = 64, SEG_ROUTES = 32,
       SEG_REGEXES = 8 };

struct seg { char *p; uint32_t n; };

static inline uint32_t seg_room(struct seg *s, uint32_t size)              /* zeroed, aligned to 8 */
{
    uint32_t at = (s->n + 7) & ~7u;
    if (at + size > SEG_ROOM) abort();
    s->n = at + size;
    return at;
}
static inline uint32_t seg_put(struct seg *s, const void *record, uint32_t size)
{
    uint32_t at = seg_room(s, size);
    memcpy(s->p + at, record, size);
    return at;
}
#define SEG_PUT(s, type, ...) seg_put((s), &(struct fgw_l_##type)__VA_ARGS__, sizeof(struct fgw_l_##type))
#define SEG_AT(s, type, off) ((struct fgw_l_##type *)((s)->p + (off)))

static inline struct fgw_l_str seg_text(struct seg *s, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    return (struct fgw_l_str){n ? seg_put(s, text, n) : 0, n};
}
static inline struct seg seg_new(unsigned kind)
{
    struct seg s = {calloc(1, SEG_ROOM), 0};
    SEG_PUT(&s, seg, {.magic = FGW_SEG_MAGIC, .layout = FGW_LAYOUT_VERSION, .kind = (uint16_t)kind});
    return s;
}
static inline void seg_free(struct seg *s) { free(s->p); }
static inline const char *seg_check(struct seg *s)                         /* finish and check a copy that ends at an unmapped page */
{
    s->n = (s->n + 7) & ~7u;
    struct fgw_l_seg *h = SEG_AT(s, seg, 0);
    if (h->kind == FGW_SEG_ROUTES && !SEG_AT(s, routes, sizeof *h)->regexes.count) SEG_AT(s, routes, sizeof *h)->regexes.off = 0;
    h->size = s->n;
    h->hash = fgw_hash_xxh3(h + 1, s->n - sizeof *h);
    char *copy = at_edge(s->p, s->n);
    const char *why = fgw_seg_check(copy, s->n);
    at_edge_free(copy, s->n);
    return why;
}

/* ---- a ROUTES segment: lists with room, counted as they fill ---- */

static inline struct fgw_l_routes *seg_top(struct seg *s) { return SEG_AT(s, routes, sizeof(struct fgw_l_seg)); }

static inline struct seg seg_routes(void)
{
    struct seg s = seg_new(FGW_SEG_ROUTES);
    seg_room(&s, sizeof(struct fgw_l_routes));
    struct fgw_l_routes *r = seg_top(&s);
    struct fgw_l_str up = seg_text(&s, "u");
    r->routes.off = seg_room(&s, SEG_ROUTES * sizeof(struct fgw_l_route));
    r->nodes.off = seg_room(&s, SEG_NODES * sizeof(struct fgw_l_node));
    r->leaves.off = seg_room(&s, SEG_LEAVES * sizeof(struct fgw_l_leaf));
    r->regexes.off = seg_room(&s, SEG_REGEXES * sizeof(struct fgw_l_regex));
    r->edges = (struct fgw_l_arr){seg_room(&s, SEG_EDGES * sizeof(struct fgw_l_edge)), SEG_EDGES};
    r->edge_mask = SEG_SLOTS - 1, r->segment_max = 64;
    r->upstreams = (struct fgw_l_arr){seg_put(&s, &up, sizeof up), 1};
    return s;
}
static inline uint32_t seg_route(struct seg *s, const char *name, uint8_t nparams)
{
    struct fgw_l_routes *r = seg_top(s);
    uint32_t i = r->routes.count++, off = r->routes.off + i * (uint32_t)sizeof(struct fgw_l_route);
    struct fgw_l_str names[FGW_PARAMS_MAX];
    for (uint32_t k = 0; k < nparams; k++) names[k] = seg_text(s, "p");
    *SEG_AT(s, route, off) = (struct fgw_l_route){.name = seg_text(s, name), .index = i, .nparams = nparams,
        .params = {nparams ? seg_put(s, names, nparams * sizeof *names) : 0, nparams}};
    return off;
}
static inline uint32_t seg_leaf(struct seg *s, uint8_t nparams, const struct fgw_l_cand *cands, uint32_t n)
{
    struct fgw_l_routes *r = seg_top(s);
    uint32_t off = r->leaves.off + r->leaves.count++ * (uint32_t)sizeof(struct fgw_l_leaf);
    SEG_AT(s, leaf, off)->nparams = nparams;
    SEG_AT(s, leaf, off)->cands = (struct fgw_l_arr){seg_put(s, cands, n * sizeof *cands), n};
    return off;
}
/* A leaf with one new route that takes every method. */
static inline uint32_t seg_leaf_of(struct seg *s, const char *route, uint8_t nparams)
{
    return seg_leaf(s, nparams, &(struct fgw_l_cand){.route = seg_route(s, route, nparams), .methods = UINT16_MAX}, 1);
}
static inline void seg_edge(struct seg *s, uint32_t parent, const char *key, uint32_t node)
{
    struct fgw_l_routes *r = seg_top(s);
    struct fgw_route_slot at = fgw_route_slot(fgw_route_hash(key, (uint32_t)strlen(key)), parent, r->edge_mask);
    struct fgw_l_edge *e = SEG_AT(s, edge, r->edges.off) + at.slot;
    while (e->node) e++;
    *e = (struct fgw_l_edge){at.tag, node};
}
/* A node below `parent`, found by an edge if it is LITERAL or HOST. */
static inline uint32_t seg_node(struct seg *s, unsigned kind, uint32_t parent, const char *text)
{
    struct fgw_l_routes *r = seg_top(s);
    uint32_t off = r->nodes.off + r->nodes.count++ * (uint32_t)sizeof(struct fgw_l_node);
    struct fgw_l_node *n = SEG_AT(s, node, off);
    n->kind = (uint8_t)kind, n->parent = parent, n->text = seg_text(s, text);
    if (parent) n->nparams = SEG_AT(s, node, parent)->nparams;
    if (kind == FGW_NODE_PARAM) n->nparams++, SEG_AT(s, node, parent)->param = off;
    if (kind != FGW_NODE_LITERAL && kind != FGW_NODE_HOST) return off;
    char key[64] = "";
    strncat(key, text, kind == FGW_NODE_HOST ? 63 : strcspn(text, "/"));
    if (parent) seg_edge(s, parent, key, off), SEG_AT(s, node, parent)->fanout = FGW_FANOUT_EDGES;
    return off;
}
/* What a host tries: always, these roots. */
static inline void seg_tries(struct seg *s, uint32_t host, const uint32_t *roots, uint32_t n)
{
    struct fgw_l_try t[8];
    for (uint32_t i = 0; i < n; i++) t[i] = (struct fgw_l_try){FGW_ROUTE_ALWAYS, roots[i]};
    struct fgw_l_arr list = {seg_put(s, t, n * sizeof *t), n};
    SEG_AT(s, node, host)->roots = list;
}
/* A route with a regex, whose leaf has one candidate. Returns what a mixed root lists. */
static inline struct fgw_l_rx seg_regex(struct seg *s, const char *route, const char *pattern, uint8_t nparams)
{
    struct fgw_l_routes *r = seg_top(s);
    uint32_t i = r->regexes.count++, leaf = seg_leaf_of(s, route, nparams);
    SEG_AT(s, regex, r->regexes.off)[i] =
        (struct fgw_l_regex){seg_text(s, pattern), r->routes.off + (r->routes.count - 1) * (uint32_t)sizeof(struct fgw_l_route)};
    return (struct fgw_l_rx){i, leaf};
}
/* What a host tries instead: one root, and regexes behind it. */
static inline void seg_mixed(struct seg *s, uint32_t host, uint32_t root, const struct fgw_l_rx *rx, uint32_t n)
{
    struct fgw_l_arr list = {seg_put(s, rx, n * sizeof *rx), n};
    uint32_t at = SEG_PUT(s, mixed, {FGW_ROUTE_ALWAYS, root, list});
    SEG_AT(s, node, host)->mixed = (struct fgw_l_arr){at, 1}, SEG_AT(s, node, host)->roots = (struct fgw_l_arr){0, 0};
}
/* One root for any host. */
static inline uint32_t seg_any(struct seg *s)
{
    uint32_t any = seg_node(s, FGW_NODE_HOST, 0, ""), root = seg_node(s, FGW_NODE_ROOT, 0, "");
    seg_tries(s, any, &root, 1);
    seg_top(s)->any = any;
    return root;
}
#endif
