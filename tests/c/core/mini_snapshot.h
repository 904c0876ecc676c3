/* tests/c/core/mini_snapshot.h: a snapshot made by hand: one listener (id 1), one upstream "up" (id 1), some routes by path prefix.
 *
 * The trie is the plainest that is right: each route has a root of its own, whose only child is its one-segment prefix.
 * Offsets are given out in order by mini_room; the records are the structs of policy/layout.h, so they follow layout.def by themselves. */
#ifndef FGW_TESTS_MINI_SNAPSHOT_H
#define FGW_TESTS_MINI_SNAPSHOT_H
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "http/target.h"
#include "policy/layout.h"
#include "policy/route.h"

enum { MINI_HOOK = 77, MINI_HOOK_SLOT = 60 };
struct mini_route {
    const char *prefix;                  /* "a": takes /a and /a/... */
    uint8_t to;                          /* enum fgw_to */
    uint16_t status;                     /* static, redirect */
    const char *text;                    /* static: the body; redirect: the location */
    uint16_t steps[4];                   /* enum fgw_step_kind, without arguments; FGW_STEP_NONE ends them */
    uint64_t body_max;
    uint32_t request_ms, grpc_slot, tunnel_idle_ms, tunnel_max_ms;
    uint8_t hook_phases, hook_fail;      /* of a hook step, whose plugin's key is MINI_HOOK */
    uint32_t hook_budget;
    uint16_t methods, strip;             /* bits of enum fgw_method, 0: all; bytes of path that are not forwarded */
    const char *regex;                   /* takes these paths instead, when no prefix has; then `prefix` is only its name */
};

/* ---- one segment in the making; `at` and `p` stay valid, the room is fixed ---- */
enum { MINI_ROOM = 1 << 16 };
struct mini_seg { _Alignas(8) char bytes[MINI_ROOM]; uint32_t used; };

static inline uint32_t mini_room(struct mini_seg *s, size_t n)
{
    uint32_t off = (s->used + 7u) & ~7u;
    if (off + n > MINI_ROOM) abort();
    s->used = off + (uint32_t)n;
    return off;
}
static inline void *mini_at(struct mini_seg *s, uint32_t off) { return s->bytes + off; }
static inline struct fgw_l_str mini_text(struct mini_seg *s, const char *t)
{
    uint32_t n = (uint32_t)strlen(t), off = mini_room(s, n ? n : 1);
    memcpy(mini_at(s, off), t, n);
    return (struct fgw_l_str){off, n};
}
/* Room for the header and the top record. */
static inline void *mini_begin(struct mini_seg *s, size_t top)
{
    memset(s, 0, sizeof *s);
    mini_room(s, sizeof(struct fgw_l_seg));
    return mini_at(s, mini_room(s, top));
}
static inline uint64_t mini_end(struct mini_seg *s, enum fgw_seg_kind kind)
{
    struct fgw_l_seg *h = (struct fgw_l_seg *)s->bytes;
    s->used = (s->used + 7u) & ~7u;
    *h = (struct fgw_l_seg){FGW_SEG_MAGIC, FGW_LAYOUT_VERSION, (uint16_t)kind, s->used, 0};
    return h->hash = fgw_hash_xxh3(h + 1, s->used - sizeof *h);
}

struct mini_snapshot {
    struct mini_seg routes, settings, upstream, root, tls;
    uint64_t routes_hash, settings_hash, upstream_hash, root_hash, tls_hash;
};
/* What the next snapshot's listener ends TLS with; cert NULL: it does not. */
static struct { const char *cert, *key, *ca; uint8_t client_auth; } mini_tls;

static inline uint32_t mini_destination(struct mini_seg *s, const struct mini_route *m)
{
    if (m->to == FGW_TO_STATIC) {
        uint32_t off = mini_room(s, sizeof(struct fgw_l_answer)), pair = mini_room(s, sizeof(struct fgw_l_pair));
        *(struct fgw_l_pair *)mini_at(s, pair) = (struct fgw_l_pair){.name = mini_text(s, "content-type"), .value = mini_text(s, "text/plain")};
        *(struct fgw_l_answer *)mini_at(s, off) = (struct fgw_l_answer){.status = m->status, .fields = {pair, 1}, .body = mini_text(s, m->text)};
        return off;
    }
    if (m->to == FGW_TO_REDIRECT) {
        uint32_t off = mini_room(s, sizeof(struct fgw_l_redirect)), part = mini_room(s, 2 * sizeof(struct fgw_l_part));
        struct fgw_l_part *p = mini_at(s, part);
        p[0] = (struct fgw_l_part){.kind = FGW_PART_TEXT, .text = mini_text(s, m->text)};
        p[1] = (struct fgw_l_part){.kind = FGW_PART_PATH};
        *(struct fgw_l_redirect *)mini_at(s, off) = (struct fgw_l_redirect){.status = m->status, .location = {part, 2}};
        return off;
    }
    return 0;
}

static inline struct fgw_l_arr mini_chain(struct mini_seg *s, const struct mini_route *m)
{
    uint32_t n = 0;
    while (n < 4 && m->steps[n] != FGW_STEP_NONE) n++;
    if (!n) return (struct fgw_l_arr){0, 0};
    uint32_t off = mini_room(s, n * sizeof(struct fgw_l_step));
    struct fgw_l_step *st = mini_at(s, off);
    for (uint32_t i = 0; i < n; i++) {
        st[i].kind = m->steps[i];
        if (st[i].kind != FGW_STEP_HOOK) continue;
        st[i].args = mini_room(s, sizeof(struct fgw_l_hook));
        *(struct fgw_l_hook *)mini_at(s, st[i].args) =
            (struct fgw_l_hook){.name = mini_text(s, "plug"), .slot = MINI_HOOK_SLOT, .budget_ms = m->hook_budget, .phases = m->hook_phases, .fail = m->hook_fail};
    }
    return (struct fgw_l_arr){off, n};
}

/* nodes: 0 the host `any`; then for route i its root (1 + 2 i) and its prefix (2 + 2 i). */
static inline void mini_trie(struct mini_seg *s, struct fgw_l_routes *top, const struct mini_route *m, uint32_t n)
{
    const uint32_t node_size = sizeof(struct fgw_l_node);
    uint32_t nodes = mini_room(s, (1 + 2 * n) * node_size), leaves = mini_room(s, n * sizeof(struct fgw_l_leaf));
    uint32_t cands = mini_room(s, n * sizeof(struct fgw_l_cand)), tries = mini_room(s, n * sizeof(struct fgw_l_try));
    uint32_t edges = mini_room(s, sizeof(struct fgw_l_edge));
    struct fgw_l_node *node = mini_at(s, nodes);
    node[0] = (struct fgw_l_node){.kind = FGW_NODE_HOST, .roots = {tries, n}};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t root = nodes + (1 + 2 * i) * node_size, leaf = leaves + i * (uint32_t)sizeof(struct fgw_l_leaf);
        uint32_t len = (uint32_t)strlen(m[i].prefix);
        node[1 + 2 * i] = (struct fgw_l_node){.kind = FGW_NODE_ROOT, .fanout = FGW_FANOUT_ONE, .only = root + node_size};
        node[2 + 2 * i] = (struct fgw_l_node){.kind = FGW_NODE_LITERAL, .parent = root, .text = mini_text(s, m[i].prefix),
                                              .ended = leaf, .goes_on = leaf};
        ((struct fgw_l_leaf *)mini_at(s, leaves))[i] = (struct fgw_l_leaf){.cands = {cands + i * (uint32_t)sizeof(struct fgw_l_cand), 1}};
        ((struct fgw_l_cand *)mini_at(s, cands))[i] =
            (struct fgw_l_cand){.route = top->routes.off + i * (uint32_t)sizeof(struct fgw_l_route), .methods = m[i].methods ? m[i].methods : UINT16_MAX};
        ((struct fgw_l_try *)mini_at(s, tries))[i] = (struct fgw_l_try){FGW_ROUTE_ALWAYS, root};
        if (len > top->segment_max) top->segment_max = len;
    }
    top->nodes = (struct fgw_l_arr){nodes, 1 + 2 * n}, top->leaves = (struct fgw_l_arr){leaves, n};
    top->edges = (struct fgw_l_arr){edges, 1}, top->any = nodes;
}

/* If some routes have a regex, all roots are told as mixed ones; the root of such a route has no path of its own. */
static inline void mini_regexes(struct mini_seg *s, struct fgw_l_routes *top, const struct mini_route *m, uint32_t n)
{
    uint32_t count = 0, regexes = mini_room(s, n * sizeof(struct fgw_l_regex)), rx = mini_room(s, n * sizeof(struct fgw_l_rx));
    uint32_t mixed = mini_room(s, n * sizeof(struct fgw_l_mixed));
    struct fgw_l_node *any = mini_at(s, top->any);
    struct fgw_l_try *tries = mini_at(s, any->roots.off);
    struct fgw_l_mixed *to = mini_at(s, mixed);
    for (uint32_t i = 0; i < n; i++) {
        to[i] = (struct fgw_l_mixed){.firsts = m[i].regex ? 0 : tries[i].firsts, .root = tries[i].root};
        if (!m[i].regex) continue;
        ((struct fgw_l_regex *)mini_at(s, regexes))[count] =
            (struct fgw_l_regex){mini_text(s, m[i].regex), top->routes.off + i * (uint32_t)sizeof(struct fgw_l_route)};
        ((struct fgw_l_rx *)mini_at(s, rx))[count] = (struct fgw_l_rx){count, top->leaves.off + i * (uint32_t)sizeof(struct fgw_l_leaf)};
        to[i].regexes = (struct fgw_l_arr){rx + count * (uint32_t)sizeof(struct fgw_l_rx), 1};
        count++;
    }
    if (!count) return;
    top->regexes = (struct fgw_l_arr){regexes, count};
    any->mixed = (struct fgw_l_arr){mixed, n}, any->roots = (struct fgw_l_arr){0, 0};
}

static inline uint64_t mini_routes(struct mini_seg *s, const struct mini_route *m, uint32_t n)
{
    struct fgw_l_routes *top = mini_begin(s, sizeof *top);
    uint32_t routes = mini_room(s, n * sizeof(struct fgw_l_route)), names = mini_room(s, sizeof(struct fgw_l_str));
    *(struct fgw_l_str *)mini_at(s, names) = mini_text(s, "up");
    top->routes = (struct fgw_l_arr){routes, n}, top->upstreams = (struct fgw_l_arr){names, 1};
    for (uint32_t i = 0; i < n; i++)
        ((struct fgw_l_route *)mini_at(s, routes))[i] =
            (struct fgw_l_route){.name = mini_text(s, m[i].prefix), .pattern = mini_text(s, m[i].prefix), .index = i, .to = m[i].to,
                                 .answer = mini_destination(s, &m[i]), .chain = mini_chain(s, &m[i]), .request_ms = m[i].request_ms,
                                 .body_max = m[i].body_max, .grpc_slot = m[i].grpc_slot, .strip = m[i].strip,
                                 .tunnel_idle_ms = m[i].tunnel_idle_ms, .tunnel_max_ms = m[i].tunnel_max_ms};
    for (uint32_t i = 0; i < n && !top->hooks.count; i++)
        if (m[i].hook_phases) {
            top->hooks = (struct fgw_l_arr){mini_room(s, 8), 1};
            *(uint64_t *)mini_at(s, top->hooks.off) = MINI_HOOK;
        }
    mini_trie(s, top, m, n);
    mini_regexes(s, top, m, n);
    return mini_end(s, FGW_SEG_ROUTES);
}

static inline uint64_t mini_settings(struct mini_seg *s)
{
    struct fgw_l_settings *top = mini_begin(s, sizeof *top);
    *top = (struct fgw_l_settings){.line_max = 16384, .field_max = 16384, .head_max = 65536, .fields_max = 100, .chunk_ext_max = 256,
                                   .chunk_ext_total = 16384, .trailer_max = 8192, .trailer_fields = 32, .body_buffer_max = 10 << 20,
                                   .buffer_high = 65536, .buffer_low = 32768, .head_ms = 10000, .body_idle_ms = 30000, .send_idle_ms = 30000,
                                   .keepalive_ms = 75000, .keepalive_requests = 10000, .connection_ms = 3600000,
                                   .linger_ms = 2000, .h2_streams = 128, .h2_window = 65535, .h2_connection_window = 1 << 20, .h2_resets = 200,
                                   .h2_control = 1000, .h2_empty = 100, .http2 = 1, .slashes = FGW_SLASHES_KEEP,
                                   .scheme_https = mini_tls.cert != NULL};
    return mini_end(s, FGW_SEG_SETTINGS);
}

static inline uint64_t mini_upstream(struct mini_seg *s)
{
    struct fgw_l_upstream *top = mini_begin(s, sizeof *top);
    *top = (struct fgw_l_upstream){.name = mini_text(s, "up"), .retry_connect = 2, .retry_goaway = 7, .avoid_ms = 1, .max_idle = 8, .max_connections = 16,
                                   .queue_max = 16, .queue_ms = 1000, .stall_ms = 500, .idle_ms = 60000, .connect_ms = 2000, .first_byte_ms = 30000,
                                   .read_idle_ms = 60000, .send_idle_ms = 30000, .line_max = 16384,
                                   .field_max = 16384, .head_max = 65536, .fields_max = 100, .chunk_ext_max = 256, .chunk_ext_total = 16384, .trailer_max = 8192,
                                   .trailer_fields = 32, .streams_max = 100};
    return mini_end(s, FGW_SEG_UPSTREAM);
}

static inline uint64_t mini_tls_seg(struct mini_seg *s)
{
    struct fgw_l_tls *top = mini_begin(s, sizeof *top);
    uint32_t certs = mini_room(s, sizeof(struct fgw_l_tls_cert));
    *(struct fgw_l_tls_cert *)mini_at(s, certs) = (struct fgw_l_tls_cert){.cert = mini_text(s, mini_tls.cert), .key = mini_text(s, mini_tls.key)};
    *top = (struct fgw_l_tls){.certs = {certs, 1}, .handshake_ms = 5000, .client_auth = mini_tls.client_auth, .min_version = 2, .tickets = 1};
    if (mini_tls.ca) top->ca = mini_text(s, mini_tls.ca);
    return mini_end(s, FGW_SEG_TLS);
}

static bool mini_trusts_loopback;        /* 127.0.0.0/8 is in trusted_proxies of the next snapshot */

/* `endpoints`: offset of the upstream's endpoint table in shared memory; 0: none. The segments' own order in root.segs is 0 routes,
 * 1 settings, 2 upstream, 3 TLS. */
static uint32_t mini_up = 1;             /* the id of the next root's upstream */
static bool mini_trusts;                 /* the next root's trusted_proxies: 127.0.0.0/8 and 10.0.0.0/8 */
static inline uint64_t mini_root(struct mini_snapshot *s, uint32_t routes, uint64_t endpoints, uint64_t generation, uint8_t log_format)
{
    struct mini_seg *g = &s->root;
    struct fgw_l_root *top = mini_begin(g, sizeof *top);
    uint32_t segs = mini_room(g, 4 * sizeof(uint64_t)), l = mini_room(g, sizeof(struct fgw_l_listener));
    uint32_t u = mini_room(g, sizeof(struct fgw_l_upstream_ref)), slots = mini_room(g, routes * sizeof(uint32_t));
    memcpy(mini_at(g, segs), (uint64_t[]){s->routes_hash, s->settings_hash, s->upstream_hash, s->tls_hash}, 4 * sizeof(uint64_t));
    for (uint32_t i = 0; i < routes; i++) ((uint32_t *)mini_at(g, slots))[i] = i + 1;
    *(struct fgw_l_listener *)mini_at(g, l) = (struct fgw_l_listener){.name = mini_text(g, "front"), .id = 1, .routes_seg = 0,
                                                                     .route_slots = {slots, routes}, .settings_seg = 1,
                                                                     .tls_seg = s->tls_hash ? 4 : 0, .tls_slot = routes + 2};
    *(struct fgw_l_upstream_ref *)mini_at(g, u) =
        (struct fgw_l_upstream_ref){.name = mini_text(g, "up"), .seg = 2, .id = mini_up, .endpoints = endpoints, .slot = routes + 1};
    uint32_t trusted = mini_room(g, 2 * sizeof(struct fgw_l_cidr));
    struct fgw_l_cidr *t = mini_at(g, trusted);
    t[0] = (struct fgw_l_cidr){.lo = 0xffff7f000000, .bits = 104}, t[1] = (struct fgw_l_cidr){.lo = 0xffff0a000000, .bits = 104};
    *top = (struct fgw_l_root){.trusted = {mini_trusts ? trusted : 0, mini_trusts ? 2 : 0},
                               .generation = generation, .segs = {segs, s->tls_hash ? 4 : 3}, .listeners = {l, 1}, .upstreams = {u, 1}, .via = mini_text(g, "fastgw"),
                               .memory_max = 256 << 20, .connections_max = 1000, .drain_ms = 1000, .log_format = log_format, .error_level = 3};
    if (mini_trusts_loopback) {
        top->trusted = (struct fgw_l_arr){mini_room(g, sizeof(struct fgw_l_cidr)), 1};
        *(struct fgw_l_cidr *)mini_at(g, top->trusted.off) = (struct fgw_l_cidr){.lo = 0xffff7f000000ull, .bits = 104};
    }
    return mini_end(g, FGW_SEG_ROOT);
}

static inline struct mini_snapshot *mini_new(const struct mini_route *m, uint32_t n, uint64_t endpoints, uint64_t generation, uint8_t log_format)
{
    struct mini_snapshot *s = malloc(sizeof *s);
    if (!s) abort();
    s->routes_hash = mini_routes(&s->routes, m, n);
    s->settings_hash = mini_settings(&s->settings);
    s->upstream_hash = mini_upstream(&s->upstream);
    s->tls_hash = mini_tls.cert ? mini_tls_seg(&s->tls) : 0;
    s->root_hash = mini_root(s, n, endpoints, generation, log_format);
    return s;
}

#endif
