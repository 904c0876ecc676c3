#include "policy/layout.h"
#include "base/hash.h"
#include "http/fields.h"
#include "http/message.h"
#include "http/target.h"
#include "io/inflight.h"
#include "io/tls.h"
#include "policy/hook.h"
#include "policy/limit.h"

/* ---- the list of fields ---- */

bool fgw_layout_field(uint32_t i, struct fgw_layout_field *out)
{
    uint32_t at = 0;
#define FGW_L_BEGIN(r) { typedef struct fgw_l_##r record; static const char name[] = #r;
#define FGW_L_FIELD(t, f)                                                                                                    \
    if (at++ == i)                                                                                                           \
        return *out = (struct fgw_layout_field){name, #f, #t, (uint32_t)offsetof(record, f), (uint32_t)sizeof(FGW_LT_##t),   \
                                                (uint32_t)sizeof(record), (uint32_t)_Alignof(record)}, true;
#define FGW_L_END(r) }
#include "policy/layout.def"
#undef FGW_L_BEGIN
#undef FGW_L_FIELD
#undef FGW_L_END
    return false;
}

/* ---- checking a segment ---- */

struct look {
    const char *seg;
    size_t size;
    size_t room;                          /* bytes not yet claimed by a record: each claims its own, so the work is linear */
    const char *why;
    const struct fgw_l_routes *routes;
    uint32_t nparams;                     /* of the route being looked at */
    uint32_t nsegs;                       /* of the root */
};
typedef bool (*look_fn)(struct look *k, const void *record);

#define MUST(x, text) do { if (!(x)) return k->why = (text), false; } while (0)

static bool text_ok(struct look *k, struct fgw_l_str s)
{
    MUST(s.len <= k->size && s.off <= k->size - s.len, "a text lies outside");
    return true;
}

/* A name goes into logs as it is (core/accesslog.h). It lies inside. */
static bool name_ok(struct look *k, struct fgw_l_str s)
{
    for (const char *p = k->seg + s.off, *end = p + s.len; p < end; p++)
        MUST(*p > 0x20 && *p < 0x7f && *p != '"' && *p != '\\', "a name has bytes that names have not");
    return true;
}

/* Claim `count` records at `off`. */
static bool claim(struct look *k, uint32_t off, uint32_t count, size_t size, size_t align)
{
    size_t bytes = count * size;
    if (!count) { MUST(off == 0, "an empty list has a place"); return true; }
    MUST(off >= sizeof(struct fgw_l_seg) && bytes <= k->size && off <= k->size - bytes, "a record lies outside");
    MUST(off % align == 0, "a record is not aligned");
    MUST(bytes <= k->room, "records overlap");
    k->room -= bytes;
    return true;
}

static bool each(struct look *k, struct fgw_l_arr a, size_t size, size_t align, look_fn fn)
{
    if (!claim(k, a.off, a.count, size, align)) return false;
    for (uint32_t i = 0; fn && i < a.count; i++)
        if (!fn(k, k->seg + a.off + i * size)) return false;
    return true;
}
#define EACH(list, r) each(k, (list), sizeof(struct fgw_l_##r), _Alignof(struct fgw_l_##r), r##_ok)
#define ONE(ref, r) EACH(((struct fgw_l_arr){(ref), 1}), r)

/* texts_<record>: all fields of type str, whatever the record. */
#define TEXT_u8(s)
#define TEXT_u16(s)
#define TEXT_u32(s)
#define TEXT_u64(s)
#define TEXT_ref(s)
#define TEXT_arr(s)
#define TEXT_str(s) && text_ok(k, s)
#define FGW_L_BEGIN(r) __attribute__((unused)) static bool texts_##r(struct look *k, const struct fgw_l_##r *x) { (void)k, (void)x; return true
#define FGW_L_FIELD(t, f) TEXT_##t(x->f)
#define FGW_L_END(r) ; }
#include "policy/layout.def"
#undef FGW_L_BEGIN
#undef FGW_L_FIELD
#undef FGW_L_END

static bool str_ok(struct look *k, const void *p) { return text_ok(k, *(const struct fgw_l_str *)p); }

/* ---- routes and what they do ---- */

static bool part_ok(struct look *k, const void *p)
{
    const struct fgw_l_part *x = p;
    MUST(x->kind < FGW_PARTS, "a template has an unknown part");
    MUST(x->kind != FGW_PART_PARAM || x->param < k->nparams, "a template names a parameter that is not there");
    return texts_part(k, x);
}

static bool edit_ok(struct look *k, const void *p)
{
    const struct fgw_l_edit *x = p;
    MUST(x->op <= FGW_EDIT_APPEND && x->id < FGW_H_COUNT && x->to_id < FGW_H_COUNT, "an edit is unknown");
    return texts_edit(k, x) && EACH(x->value, part);
}

static bool headers_ok(struct look *k, const void *p)
{
    const struct fgw_l_headers *x = p;
    return EACH(x->request, edit) && EACH(x->reply, edit);
}

static bool redirect_ok(struct look *k, const void *p)
{
    const struct fgw_l_redirect *x = p;
    MUST(x->status >= 300 && x->status <= 399, "a redirect has no redirecting status");
    return EACH(x->location, part);
}

static bool pair_ok(struct look *k, const void *p) { return texts_pair(k, p); }

static bool answer_ok(struct look *k, const void *p)
{
    const struct fgw_l_answer *x = p;
    MUST(x->status >= 200 && x->status <= 599, "an answer has no final status");
    return texts_answer(k, x) && EACH(x->fields, pair);
}

static bool limit_key_ok(struct look *k, const void *p)
{
    const struct fgw_l_limit_key *x = p;
    MUST(x->kind <= FGW_LIMIT_ROUTE && x->id < FGW_H_COUNT, "a limit counts by something unknown");
    MUST(x->kind != FGW_LIMIT_PATH || x->param < k->nparams, "a limit counts by a parameter that is not there");
    return texts_limit_key(k, x);
}

static bool rate_limit_ok(struct look *k, const void *p)
{
    const struct fgw_l_rate_limit *x = p;
    MUST(x->unit && x->burst && x->cost && x->cost <= x->burst && x->burst <= FGW_LIMIT_TIME_MAX / x->unit, "a rate is out of range");
    MUST(x->sets && x->table % FGW_LIMIT_TABLE_ALIGN == 0 && x->slot < FGW_SHM_STATS, "a limit's table is nowhere");
    MUST(x->tell <= FGW_TELL_NEVER && x->cost_id < FGW_H_COUNT && x->keys.count <= FGW_LIMIT_KEYS_MAX, "a limit's settings are unknown");
    return texts_rate_limit(k, x) && EACH(x->keys, limit_key);
}

static bool concurrency_ok(struct look *k, const void *p)
{
    const struct fgw_l_concurrency *x = p;
    MUST(x->max && x->max <= FGW_INFLIGHT_MAX && x->slot < FGW_SHM_STATS, "a limit's settings are out of range");
    MUST(x->keys.count <= FGW_LIMIT_KEYS_MAX, "a limit's settings are unknown");
    return texts_concurrency(k, x) && EACH(x->keys, limit_key);
}

static bool hook_ok(struct look *k, const void *p)
{
    const struct fgw_l_hook *x = p;
    MUST(x->index < k->routes->hooks.count, "a hook's plugin is not there");
    MUST(x->phases && x->phases < 1u << FGW_HOOK_PHASES && x->fail <= FGW_HOOK_OPEN && x->slot < FGW_SHM_STATS, "a hook's settings are unknown");
    return texts_hook(k, x);
}

static bool step_ok(struct look *k, const void *p)
{
    const struct fgw_l_step *x = p;
    MUST(x->kind < FGW_STEP_COUNT, "a step is unknown");
    switch (x->kind) {
    case FGW_STEP_HEADERS:  return ONE(x->args, headers);
    case FGW_STEP_REDIRECT: return ONE(x->args, redirect);
    case FGW_STEP_ANSWER:   return ONE(x->args, answer);
    case FGW_STEP_RATE_LIMIT:  return ONE(x->args, rate_limit);
    case FGW_STEP_CONCURRENCY: return ONE(x->args, concurrency);
    case FGW_STEP_HOOK:        return ONE(x->args, hook);
    }
    MUST(x->args == 0, "a step without arguments has some");
    return true;
}

static bool route_ok(struct look *k, const void *p)
{
    const struct fgw_l_route *x = p;
    const struct fgw_l_route *first = fgw_l_at(k->seg, k->routes->routes.off);
    MUST(x->index == (uint32_t)(x - first), "a route has another's index");
    MUST(x->to <= FGW_TO_REDIRECT && x->grpc_slot < FGW_SHM_STATS, "a route leads to something unknown");
    MUST(x->nparams <= FGW_PARAMS_MAX && x->nparams == x->params.count, "a route's parameters are miscounted");
    MUST(x->to != FGW_TO_UPSTREAM || x->upstream < k->routes->upstreams.count, "a route's upstream is not there");
    k->nparams = x->nparams;
    return texts_route(k, x) && name_ok(k, x->name) && EACH(x->params, str) && EACH(x->chain, step) &&
           (x->to != FGW_TO_STATIC || ONE(x->answer, answer)) && (x->to != FGW_TO_REDIRECT || ONE(x->answer, redirect));
}

/* ---- the trie. It is a tree: a node's parent stands before it, and a node is the child of its parent alone. ---- */

static const void *member(struct look *k, struct fgw_l_arr list, size_t size, uint32_t off)
{
    bool in = off >= list.off && (off - list.off) % size == 0 && (off - list.off) / size < list.count;
    return in ? k->seg + off : NULL;
}
static const struct fgw_l_node *node_at(struct look *k, uint32_t off) { return member(k, k->routes->nodes, sizeof(struct fgw_l_node), off); }
static const struct fgw_l_leaf *leaf_at(struct look *k, uint32_t off) { return member(k, k->routes->leaves, sizeof(struct fgw_l_leaf), off); }

static bool cond_ok(struct look *k, const void *p)
{
    const struct fgw_l_cond *x = p;
    MUST(x->id < FGW_H_COUNT && x->value.len <= FGW_COND_VALUE_MAX, "a condition is unknown");
    return texts_cond(k, x);
}

static bool cand_ok(struct look *k, const void *p)
{
    const struct fgw_l_cand *x = p;
    const struct fgw_l_route *r = member(k, k->routes->routes, sizeof *r, x->route);
    MUST(r, "a candidate's route is not there");
    MUST(r->nparams == k->nparams, "a candidate's route has other parameters");
    return EACH(x->others, str) && EACH(x->headers, cond) && EACH(x->query, cond);
}

static bool leaf_ok(struct look *k, const void *p)
{
    const struct fgw_l_leaf *x = p;
    const struct fgw_l_leaf *next = x->next ? leaf_at(k, x->next) : NULL;
    k->nparams = x->nparams;
    MUST(!x->next || (next && next < x && !next->nparams && !x->nparams), "a prefix has no shorter one");
    MUST(x->cands.count, "a leaf has no candidate");
    return EACH(x->cands, cand);
}

static bool node_leaves_ok(struct look *k, const struct fgw_l_node *x)
{
    const struct fgw_l_leaf *leaf = leaf_at(k, x->leaf), *rest = leaf_at(k, x->rest);
    const struct fgw_l_leaf *ended = leaf_at(k, x->ended), *goes_on = leaf_at(k, x->goes_on);
    MUST(!x->leaf || (leaf && leaf->nparams == x->nparams), "a path's end has other parameters");
    MUST(!x->rest || (rest && rest->nparams == x->nparams + 1), "a rest is not the last parameter");
    MUST(!x->ended || (ended && !ended->nparams), "a prefix has parameters");
    MUST(!x->goes_on || (goes_on && !goes_on->nparams), "a prefix has parameters");
    return true;
}

static bool rx_ok(struct look *k, const void *p)
{
    const struct fgw_l_rx *x = p;
    const struct fgw_l_regex *regex = fgw_l_at(k->seg, k->routes->regexes.off);
    const struct fgw_l_leaf *leaf = leaf_at(k, x->leaf);
    MUST(x->regex < k->routes->regexes.count, "a regex is not there");
    const struct fgw_l_route *route = fgw_l_at(k->seg, regex[x->regex].route);
    MUST(leaf && leaf->nparams == route->nparams, "a regex's route has other parameters");
    return true;
}

static bool child_ok(struct look *k, const struct fgw_l_node *x, uint32_t off, unsigned kind)
{
    const struct fgw_l_node *child = node_at(k, off);
    MUST(child && child > x && child->kind == kind && node_at(k, child->parent) == x, "a child is another's");
    return true;
}

static bool root_at_ok(struct look *k, uint32_t off)
{
    const struct fgw_l_node *root = node_at(k, off);
    MUST(root && root->kind == FGW_NODE_ROOT, "a host's paths have no root");
    return true;
}

static bool try_ok(struct look *k, const void *p) { return root_at_ok(k, ((const struct fgw_l_try *)p)->root); }

static bool mixed_ok(struct look *k, const void *p)
{
    const struct fgw_l_mixed *x = p;
    return root_at_ok(k, x->root) && EACH(x->regexes, rx);
}

static bool node_place_ok(struct look *k, const struct fgw_l_node *x)
{
    const struct fgw_l_node *parent = x->parent ? node_at(k, x->parent) : NULL;
    MUST(x->kind <= FGW_NODE_PARAM && x->fanout <= FGW_FANOUT_EDGES, "a node is of no kind");
    MUST(!x->parent || (parent && parent < x), "a node stands before its parent");
    MUST(x->nparams == (parent ? parent->nparams : 0) + (x->kind == FGW_NODE_PARAM), "a node's parameters are miscounted");
    MUST(x->nparams + (x->rest != 0) <= FGW_PARAMS_MAX, "a path has too many parameters");
    MUST(!x->mixed.count || (x->kind == FGW_NODE_HOST && !x->roots.count), "a host's paths are told twice");
    switch (x->kind) {
    case FGW_NODE_HOSTS:
    case FGW_NODE_ROOT: MUST(!parent, "a root is below something"); break;
    case FGW_NODE_HOST: MUST(!parent || parent->kind == FGW_NODE_HOSTS, "a host is below a path"); break;
    default:            MUST(parent && parent->kind >= FGW_NODE_ROOT, "a path's node is below no root");
    }
    return true;
}

static bool node_ok(struct look *k, const void *p)
{
    const struct fgw_l_node *x = p;
    return node_place_ok(k, x) && texts_node(k, x) && node_leaves_ok(k, x) && EACH(x->roots, try) && EACH(x->mixed, mixed) &&
           (!x->param || child_ok(k, x, x->param, FGW_NODE_PARAM)) &&
           (x->fanout != FGW_FANOUT_ONE || child_ok(k, x, x->only, FGW_NODE_LITERAL));
}

static bool edge_ok(struct look *k, const void *p)
{
    const struct fgw_l_edge *x = p;
    const struct fgw_l_node *to = x->node ? node_at(k, x->node) : NULL;
    MUST(!x->node || (to && to->parent && (to->kind == FGW_NODE_LITERAL || to->kind == FGW_NODE_HOST)), "an edge leads nowhere");
    return true;
}

static bool edges_ok(struct look *k)
{
    const struct fgw_l_routes *x = k->routes;
    if (!EACH(x->edges, edge)) return false;
    MUST(x->edges.count > x->edge_mask, "a search begins outside the edges");
    const struct fgw_l_edge *last = (const struct fgw_l_edge *)fgw_l_at(k->seg, x->edges.off) + x->edges.count - 1;
    MUST(!last->node, "a search has no end");
    return true;
}

static bool hosts_ok(struct look *k)
{
    const struct fgw_l_routes *x = k->routes;
    const struct fgw_l_node *hosts = node_at(k, x->hosts), *wilds = node_at(k, x->wilds), *any = node_at(k, x->any);
    MUST(!x->hosts || (hosts && hosts->kind == FGW_NODE_HOSTS), "the hosts are none");
    MUST(x->wilds ? wilds && wilds->kind == FGW_NODE_HOSTS : !x->wild_labels, "the wildcards are none");
    MUST(!x->any || (any && any->kind == FGW_NODE_HOST), "the paths of any host have no root");
    return true;
}

static bool regex_ok(struct look *k, const void *p)
{
    const struct fgw_l_regex *x = p;
    MUST(x->text.len && x->text.len <= FGW_REGEX_MAX, "a regex is empty or too long");
    MUST(member(k, k->routes->routes, sizeof(struct fgw_l_route), x->route), "a regex's route is not there");
    return texts_regex(k, x);
}

static bool routes_ok(struct look *k, const void *p)
{
    const struct fgw_l_routes *x = k->routes = p;
    MUST(x->regexes.count <= FGW_REGEXES_MAX, "too many regexes");
    /* In this order a list is known to lie inside before a later one's members name its members. */
    return EACH(x->upstreams, str) && claim(k, x->hooks.off, x->hooks.count, 8, 8) && EACH(x->routes, route) && EACH(x->regexes, regex) &&
           EACH(x->leaves, leaf) && EACH(x->nodes, node) && edges_ok(k) && hosts_ok(k);
}

/* ---- the other kinds ---- */

static bool upstream_ok(struct look *k, const void *p)
{
    const struct fgw_l_upstream *x = p;
    MUST(x->balance == 0, "an upstream's balance is unknown");
    MUST(x->protocol <= FGW_PROTO_AUTO && (x->protocol == FGW_PROTO_H1 || x->streams_max), "an upstream's protocol is unknown, or has no streams");
    MUST(!x->tls || x->tls_min_version == 2 || x->tls_min_version == 3, "an upstream's TLS version is unknown");
    return texts_upstream(k, x);
}

static bool settings_ok(struct look *k, const void *p)
{
    const struct fgw_l_settings *x = p;
    MUST(x->slashes <= FGW_SLASHES_DECODE, "a listener's slashes are unknown");
    MUST(x->underscores <= FGW_UNDERSCORES_REJECT, "what becomes of underscores is unknown");
    MUST(x->buffer_low <= x->buffer_high, "a listener's buffers are upside down");
    MUST(x->h2_window <= INT32_MAX && x->h2_connection_window <= INT32_MAX, "an HTTP/2 window is out of range");
    return true;
}

static bool tls_cert_ok(struct look *k, const void *p) { return texts_tls_cert(k, p); }

static bool tls_ok(struct look *k, const void *p)
{
    const struct fgw_l_tls *x = p;
    MUST(x->certs.count, "a TLS listener has no certificate");
    MUST(x->client_auth <= FGW_TLS_AUTH_REQUIRE && (x->min_version == 2 || x->min_version == 3), "a TLS listener's rules are unknown");
    MUST(!x->client_auth || x->ca.len, "client certificates are asked for and nobody's are believed");
    return texts_tls(k, x) && EACH(x->certs, tls_cert);
}

static bool cidr_ok(struct look *k, const void *p)
{
    MUST(((const struct fgw_l_cidr *)p)->bits <= 128, "a network has too many bits");
    return true;
}

static bool listener_ok(struct look *k, const void *p)
{
    const struct fgw_l_listener *x = p;
    MUST(x->routes_seg < k->nsegs && x->settings_seg < k->nsegs, "a listener's segment is not there");
    MUST(x->tls_seg <= k->nsegs && x->tls_slot < FGW_SHM_STATS, "a listener's TLS segment is not there");
    return texts_listener(k, x) && name_ok(k, x->name) && claim(k, x->route_slots.off, x->route_slots.count, 4, 4);
}

static bool upstream_ref_ok(struct look *k, const void *p)
{
    const struct fgw_l_upstream_ref *x = p;
    MUST(x->seg < k->nsegs, "an upstream's segment is not there");
    return texts_upstream_ref(k, x) && name_ok(k, x->name);
}

static bool plugin_ok(struct look *k, const void *p)
{
    const struct fgw_l_plugin *x = p;
    return texts_plugin(k, x) && EACH(x->path, str);
}

static bool root_ok(struct look *k, const void *p)
{
    const struct fgw_l_root *x = p;
    MUST(x->log_format <= FGW_LOG_COMBINED && x->error_level <= 3, "a log is unknown");
    k->nsegs = x->segs.count;
    return texts_root(k, x) && claim(k, x->segs.off, x->segs.count, 8, 8) && EACH(x->listeners, listener) &&
           EACH(x->upstreams, upstream_ref) && EACH(x->trusted, cidr) && EACH(x->plugins, plugin);
}

static bool kind_ok(struct look *k, unsigned kind)
{
    const uint32_t body = sizeof(struct fgw_l_seg);
    switch (kind) {
    case FGW_SEG_ROOT:     return ONE(body, root);
    case FGW_SEG_ROUTES:   return ONE(body, routes);
    case FGW_SEG_SETTINGS: return ONE(body, settings);
    case FGW_SEG_UPSTREAM: return ONE(body, upstream);
    case FGW_SEG_TLS:      return ONE(body, tls);
    }
    MUST(false, "a segment of no kind");
}

const char *fgw_seg_check(const void *seg, size_t size)
{
    const struct fgw_l_seg *h = seg;
    struct look k = {.seg = seg, .size = size, .room = size};
    if ((uintptr_t)seg % 8) return "a segment is not aligned";
    if (size < sizeof *h || size > UINT32_MAX) return "a segment of no size";
    if (h->magic != FGW_SEG_MAGIC) return "not a segment";
    if (h->layout != FGW_LAYOUT_VERSION) return "a segment of another layout";
    if (h->size != size) return "a segment is cut short";
    if (h->hash != fgw_hash_xxh3(h + 1, size - sizeof *h)) return "a segment's hash is not that of its content";
    return kind_ok(&k, h->kind) ? NULL : k.why;
}

/* ---- a snapshot as a whole ---- */

static bool upstream_known(const void *root, struct fgw_str name)
{
    const struct fgw_l_root *r = fgw_l_body(root);
    const struct fgw_l_upstream_ref *u = fgw_l_at(root, r->upstreams.off);
    for (uint32_t i = 0; i < r->upstreams.count; i++)
        if (fgw_str_eq(fgw_l_text(root, u[i].name), name)) return true;
    return false;
}

static bool plugin_known(const void *root, uint64_t key)
{
    const struct fgw_l_root *r = fgw_l_body(root);
    const struct fgw_l_plugin *p = fgw_l_at(root, r->plugins.off);
    for (uint32_t i = 0; i < r->plugins.count; i++)
        if (p[i].key == key) return true;
    return false;
}

static const char *listener_links(const void *root, const struct fgw_l_listener *l, const void *const *segs)
{
    const struct fgw_l_seg *seg = segs[l->routes_seg], *settings = segs[l->settings_seg];
    if (seg->kind != FGW_SEG_ROUTES || settings->kind != FGW_SEG_SETTINGS) return "a listener's segment is of another kind";
    if (l->tls_seg && ((const struct fgw_l_seg *)segs[l->tls_seg - 1])->kind != FGW_SEG_TLS) return "a listener's segment is of another kind";
    const struct fgw_l_routes *routes = fgw_l_body(seg);
    if (l->route_slots.count != routes->routes.count) return "a listener's routes and slots differ in number";
    const struct fgw_l_str *names = fgw_l_at(seg, routes->upstreams.off);
    for (uint32_t i = 0; i < routes->upstreams.count; i++)
        if (!upstream_known(root, fgw_l_text(seg, names[i]))) return "a route's upstream is not in the root";
    const uint64_t *keys = fgw_l_at(seg, routes->hooks.off);
    for (uint32_t i = 0; i < routes->hooks.count; i++)
        if (!plugin_known(root, keys[i])) return "a route's plugin is not in the root";
    return NULL;
}

const char *fgw_snapshot_check(const void *root, const void *const *segs)
{
    const struct fgw_l_root *r = fgw_l_body(root);
    const uint64_t *hashes = fgw_l_at(root, r->segs.off);
    for (uint32_t i = 0; i < r->segs.count; i++)
        if (((const struct fgw_l_seg *)segs[i])->hash != hashes[i]) return "a segment is not the one that the root names";
    const struct fgw_l_listener *l = fgw_l_at(root, r->listeners.off);
    for (uint32_t i = 0; i < r->listeners.count; i++) {
        const char *why = listener_links(root, &l[i], segs);
        if (why) return why;
    }
    const struct fgw_l_upstream_ref *u = fgw_l_at(root, r->upstreams.off);
    for (uint32_t i = 0; i < r->upstreams.count; i++)
        if (((const struct fgw_l_seg *)segs[u[i].seg])->kind != FGW_SEG_UPSTREAM) return "an upstream's segment is of another kind";
    return NULL;
}
