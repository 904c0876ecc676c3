#include "policy/route.h"
#include "base/check.h"
#include "policy/match.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- bytes ---- */

static inline uint64_t load8(const char *p) { uint64_t x; memcpy(&x, p, 8); return x; }
static inline uint32_t load4(const char *p) { uint32_t x; memcpy(&x, p, 4); return x; }

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 x = (unsigned __int128)a * b;
    return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* In wyhash's manner: first and last word overlap, the middle of long texts is folded in eight bytes at a time. */
static inline uint64_t hash_of(const char *p, uint32_t n)
{
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        a = load8(p), b = load8(p + n - 8);
        for (uint32_t i = 8; i + 8 < n; i += 8) a = mix(a ^ load8(p + i), 0x8ebc6af09c88c6e3u);
    } else if (n >= 4) {
        a = load4(p), b = load4(p + n - 4);
    } else if (n) {
        a = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16;
    }
    return mix(a ^ 0xa0761d6478bd642fu ^ n, b ^ 0xe7037ed1a0b428dbu);
}

uint64_t fgw_route_hash(const char *p, uint32_t n) { return hash_of(p, n); }

static inline bool same8(const char *a, const char *b) { return load8(a) == load8(b); }

static inline bool same(const char *a, const char *b, uint32_t n)
{
    if (n > 16) return memcmp(a, b, n) == 0;
    if (n >= 8) return same8(a, b) && same8(a + n - 8, b + n - 8);
    if (n >= 4) return load4(a) == load4(b) && load4(a + n - 4) == load4(b + n - 4);
    for (uint32_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Bit i: byte i of the word, counted from the lowest address, is c. */
static inline uint64_t bits_of_word(uint64_t x, char c)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    x ^= (uint8_t)c * 0x0101010101010101u;
    uint64_t zero = ~(((x & low) + low) | x | low);
    return (zero >> 7) * 0x0102040810204080u >> 56;
}

static uint64_t bits_of_few(const char *p, uint32_t n, char c)         /* n < 8 */
{
    uint64_t bits = 0;
    if (n >= 4) {
        bits = bits_of_word(load4(p) | (uint64_t)load4(p + n - 4) << 32, c);
        return (bits & 15) | (bits >> 4) << (n - 4);
    }
    for (uint32_t i = 0; i < n; i++) bits |= (uint64_t)(p[i] == c) << i;
    return bits;
}

/* Bit i: p[i] is c; n <= 64. The last word overlaps the one before it, so nothing behind p + n is read. */
static inline uint64_t bits_of(const char *p, uint32_t n, char c)
{
    uint64_t bits = 0;
    uint32_t i = 0;
#ifdef __SSE2__
    const __m128i want = _mm_set1_epi8(c);
#define BITS16(at) ((uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at)), want)))
    for (; i + 16 <= n; i += 16) bits |= BITS16(p + i) << i;
    if (i && i < n) return bits | BITS16(p + n - 16) << (n - 16);
#undef BITS16
#endif
    for (; i + 8 <= n; i += 8) bits |= bits_of_word(load8(p + i), c) << i;
    if (i == n) return bits;
    return n >= 8 ? bits | bits_of_word(load8(p + n - 8), c) << (n - 8) : bits_of_few(p, n, c);
}

/* ---- the walk ---- */

struct walk {
    const char *seg;
    const struct fgw_l_edge *edges;
    uint32_t nslots, segment_max;
    struct fgw_str path;
    uint64_t slashes;             /* bit i: path[i] is '/'; of the first 64 bytes */
    uint64_t first_hash;          /* of the first segment, which every root begins with */
    uint32_t first_len;
    const struct fgw_route_in *in;
    struct fgw_route_out *out;
    uint16_t allow;
};

static inline uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline const void *at(const struct walk *w, uint32_t off) { return w->seg + off; }      /* off is not 0 */

/* Where the segment that begins at `from` ends, or a place more than `most` bytes behind `from`. */
static uint32_t segment_end_far(const struct walk *w, uint32_t from, uint32_t most)
{
    const char *slash = memchr(w->path.p + from, '/', least(w->path.n - from, most));
    return slash ? (uint32_t)(slash - w->path.p) : w->path.n;
}

static inline uint32_t segment_end(const struct walk *w, uint32_t from, uint32_t most)
{
    uint64_t behind = from < 64 ? w->slashes >> from : 0;
    if (fgw_likely(behind)) return from + (uint32_t)__builtin_ctzll(behind);
    return fgw_likely(w->path.n <= 64) ? w->path.n : segment_end_far(w, from, most);
}

static inline const struct fgw_l_edge *edge_from(const struct walk *w, struct fgw_route_slot *s)
{
    const struct fgw_l_edge *e;
    while ((e = &w->edges[s->slot])->node && e->tag != s->tag) s->slot = (s->slot + 1) & (w->nslots - 1);
    s->slot = (s->slot + 1) & (w->nslots - 1);
    return e;
}

/* The path from `from` on begins with the node's segments. 0: it does not; else where what follows them begins. */
static inline uint32_t behind_text(const struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    uint32_t len = n->text.len;
    const char *p = w->path.p + from;
    if (len > w->path.n - from || (len < w->path.n - from && p[len] != '/')) return 0;
    return same(w->seg + n->text.off, p, len) ? from + len + 1 : 0;
}

static inline const struct fgw_l_node *child_by_edge(struct walk *w, const struct fgw_l_node *n, uint32_t *from)
{
    uint32_t parent = (uint32_t)((const char *)n - w->seg), len = w->first_len, next;
    uint64_t hash = w->first_hash;
    if (*from > 1) {
        len = segment_end(w, *from, w->segment_max + 1) - *from;
        if (len > w->segment_max) return NULL;
        hash = hash_of(w->path.p + *from, len);
    }
    struct fgw_route_slot s = fgw_route_slot(hash, parent, w->nslots);
    for (const struct fgw_l_edge *e; (e = edge_from(w, &s))->node;) {
        const struct fgw_l_node *to = at(w, e->node);
        if (to->parent == parent && (next = behind_text(w, to, *from))) return *from = next, to;
    }
    return NULL;
}

/* The child that the path's text leads to; `from` is advanced to the segment behind it. NULL: none. */
static inline const struct fgw_l_node *literal_child(struct walk *w, const struct fgw_l_node *n, uint32_t *from)
{
    if (n->fanout == FGW_FANOUT_NONE) return NULL;
    if (n->fanout == FGW_FANOUT_EDGES) return child_by_edge(w, n, from);
    const struct fgw_l_node *only = at(w, n->only);
    uint32_t next = behind_text(w, only, *from);
    if (!next) return NULL;
    *from = next;
    return only;
}

/* ---- leaves ---- */

static inline bool take(struct walk *w, const struct fgw_l_cand *c)
{
    const struct fgw_l_routes *routes = fgw_l_body(w->seg);
    w->out->route = (const struct fgw_l_route *)at(w, routes->routes.off) + c->route;
    return true;
}

/* The first candidate of a leaf that fits; of those that fail by their method alone the methods are noted. */
static bool try_leaf(struct walk *w, uint32_t off)
{
    const struct fgw_l_leaf *leaf = at(w, off);
    const struct fgw_l_cand *c = at(w, leaf->cands.off), *end = c + leaf->cands.count;
    for (; c < end; c++) {
        if ((c->headers.count | c->query.count) && !fgw_match_conds(w->seg, c, w->in)) continue;
        if (c->methods == UINT16_MAX || fgw_match_method(w->seg, c, w->in)) return take(w, c);
        w->allow |= c->methods & ~(1u << FGW_M_OTHER);
    }
    return false;
}

static bool try_prefixes(struct walk *w, uint32_t off)
{
    for (; off; off = ((const struct fgw_l_leaf *)at(w, off))->next)
        if (try_leaf(w, off)) return true;
    return false;
}

/* ---- paths ---- */

/* Where the walk is: a node, and where the segments behind it begin; beyond the path's end: there are none. */
struct place { const struct fgw_l_node *node; uint32_t from; };
/* Where it can come back to: the node's parameter first, then its {rest*}. */
struct choice { struct place at; bool param_done; };
struct trail { uint32_t n; struct choice choices[FGW_ROUTE_DEPTH + 1]; };

/* Down by texts alone as far as it goes; true: the path ends there. */
static inline bool descend(struct walk *w, struct place *p, struct trail *t)
{
    for (const struct fgw_l_node *to; p->from <= w->path.n; p->node = to) {
        if (p->node->param | p->node->rest) t->choices[t->n++] = (struct choice){*p, false};
        if (!(to = literal_child(w, p->node, &p->from))) return false;
    }
    return true;
}

static bool try_param(struct walk *w, struct place at_, struct place *p)
{
    uint32_t end = segment_end(w, at_.from, UINT32_MAX);
    if (!at_.node->param || end == at_.from) return false;
    w->out->params[at_.node->nparams] = fgw_str(w->path.p + at_.from, end - at_.from);
    *p = (struct place){at(w, at_.node->param), end + 1};
    return true;
}

static bool try_rest(struct walk *w, struct place at_)
{
    if (!at_.node->rest || !try_leaf(w, at_.node->rest)) return false;
    w->out->params[at_.node->nparams] = fgw_str(w->path.p + at_.from, w->path.n - at_.from);
    return true;
}

/* The next untried parameter, nearest to the end of the path first; false: there is none, or (*won) a {rest*} ended the search. */
static bool come_back(struct walk *w, struct trail *t, struct place *p, bool *won)
{
    while (t->n) {
        struct choice *c = &t->choices[t->n - 1];
        if (!c->param_done) {
            c->param_done = true;
            if (try_param(w, c->at, p)) return true;
        }
        t->n--;
        if (try_rest(w, c->at)) return *won = true, false;
    }
    return false;
}

static inline bool find_path(struct walk *w, struct place p)
{
    struct trail t;
    t.n = 0;
    bool won = false, ended = descend(w, &p, &t);
    uint32_t prefixes = ended ? p.node->ended : p.node->goes_on;
    for (;;) {
        if (ended && p.node->leaf && try_leaf(w, p.node->leaf)) return true;
        if (!t.n || !come_back(w, &t, &p, &won)) break;
        ended = descend(w, &p, &t);
    }
    return won || try_prefixes(w, prefixes);
}

/* ---- hosts ---- */

static inline const struct fgw_l_node *host_by_edge(const struct walk *w, uint32_t parent, const char *text, uint32_t len)
{
    struct fgw_route_slot s = fgw_route_slot(hash_of(text, len), parent, w->nslots);
    for (const struct fgw_l_edge *e; (e = edge_from(w, &s))->node;) {
        const struct fgw_l_node *to = at(w, e->node);
        if (to->parent == parent && to->text.len == len && same(w->seg + to->text.off, text, len)) return to;
    }
    return NULL;
}

/* The longest wildcard whose rest the host ends with, of those lengths that exist. */
static const struct fgw_l_node *find_wild(struct walk *w, const struct fgw_l_routes *r, struct fgw_str h)
{
    uint32_t behind[64], labels = 0, most = 63 - (uint32_t)__builtin_clzll(r->wild_labels);
    for (uint32_t end = h.n; end && labels < most; end = end > 64 ? end - 64 : 0) {      /* dots, from the right */
        uint32_t begin = end > 64 ? end - 64 : 0;
        for (uint64_t dots = bits_of(h.p + begin, end - begin, '.'); dots && labels < most;) {
            uint32_t bit = 63 - (uint32_t)__builtin_clzll(dots);
            dots ^= 1ull << bit;
            behind[++labels] = begin + bit + 1;
        }
    }
    for (; labels; labels--) {
        if (!(r->wild_labels >> labels & 1)) continue;
        const struct fgw_l_node *host = host_by_edge(w, r->wilds, h.p + behind[labels], h.n - behind[labels]);
        if (host) return host;
    }
    return NULL;
}

static inline const struct fgw_l_node *find_host(struct walk *w, const struct fgw_l_routes *r, struct fgw_str h)
{
    const struct fgw_l_node *host = NULL;
    if (r->hosts) host = host_by_edge(w, r->hosts, h.p, h.n);
    if (!host && r->wild_labels) host = find_wild(w, r, h);
    return host || !r->any ? host : at(w, r->any);
}

/* What all roots share: the slashes, and the first segment with the filter bits that it has. */
static inline uint64_t first_segment(struct walk *w, uint32_t from)
{
    if (from > w->path.n) return FGW_ROUTE_ALWAYS;
    w->slashes = bits_of(w->path.p, least(w->path.n, 64), '/');
    w->first_len = segment_end(w, from, w->segment_max + 1) - from;
    w->first_hash = 0;
    if (w->first_len > w->segment_max) return FGW_ROUTE_ALWAYS;       /* no text is that long */
    w->first_hash = hash_of(w->path.p + from, w->first_len);
    return FGW_ROUTE_ALWAYS | fgw_route_first(w->first_hash);
}

bool fgw_route_find(const void *seg, const struct fgw_route_in *in, struct fgw_route_out *out)
{
    const struct fgw_l_routes *r = fgw_l_body(seg);
    struct walk w;
    out->route = NULL, out->allow = 0;
    if (!in->path.n) return false;
    w.seg = seg, w.edges = at(&w, r->edges.off), w.nslots = r->edges.count, w.segment_max = r->segment_max;
    w.in = in, w.out = out, w.path = in->path, w.allow = 0;
    const struct fgw_l_node *host = find_host(&w, r, in->host);
    if (!host) return false;
    uint32_t from = in->path.p[0] == '/' ? 1 : in->path.n + 1;         /* "*" has no segments */
    uint64_t first = first_segment(&w, from);
    const struct fgw_l_try *t = fgw_l_at(seg, host->roots.off), *end = t + host->roots.count;
    for (; t < end; t++)
        if (t->firsts & first && find_path(&w, (struct place){at(&w, t->root), from})) return true;
    out->allow = w.allow;
    return false;
}
