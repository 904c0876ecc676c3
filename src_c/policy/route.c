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

/* The words between the first 16 bytes and the last: long texts are rare, and their loop would cost the others registers. */
static __attribute__((noinline)) uint64_t hash_middle(uint64_t a, const char *p, uint32_t n)
{
    for (uint32_t i = 16; i + 16 < n; i += 8) a = mix(a ^ load8(p + i), 0x1d8e4e27c47d124fu);
    return a;
}

/* In wyhash's manner: words from both ends, which overlap in texts that they do not fill; the middle of long texts is folded in.
 * Texts are of the configuration and hold no controls, so a factor is never 0 by their length alone. */
static inline uint64_t hash_of(const char *p, uint32_t n)
{
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        a = load8(p), b = load8(p + n - 8);
        if (n > 16) a ^= mix(load8(p + 8), load8(p + n - 16) ^ 0x589965cc75374cc3u);
        if (fgw_unlikely(n > 32)) a = hash_middle(a, p, n);
    } else if (n >= 4) {
        a = load4(p), b = load4(p + n - 4);
    } else if (n) {
        a = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16;
    }
    return mix(a ^ n, b ^ 0xe7037ed1a0b428dbu);
}

uint64_t fgw_route_hash(const char *p, uint32_t n) { return hash_of(p, n); }

static inline bool same8(const char *a, const char *b) { return load8(a) == load8(b); }
static inline bool same16(const char *a, const char *b)
{
#ifdef __SSE2__
    return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b))) == 0xffff;
#else
    return same8(a, b) && same8(a + 8, b + 8);
#endif
}

static inline bool same(const char *a, const char *b, uint32_t n)
{
    if (n >= 16) {
        if (!same16(a, b)) return false;
        for (uint32_t i = 16; fgw_unlikely(i + 16 < n); i += 16)
            if (!same16(a + i, b + i)) return false;
        return same16(a + n - 16, b + n - 16);
    }
    if (n >= 8) return same8(a, b) && same8(a + n - 8, b + n - 8);
    if (n >= 4) return load4(a) == load4(b) && load4(a + n - 4) == load4(b + n - 4);
    for (uint32_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Bit i: byte i of the word, counted from the lowest address, is c. */
static inline uint32_t bits8(uint64_t x, char c)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    x ^= (uint8_t)c * 0x0101010101010101u;
    uint64_t zero = ~(((x & low) + low) | x | low);
    return (uint32_t)((zero >> 7) * 0x0102040810204080u >> 56);
}

static inline uint32_t bits16(uint64_t first, uint64_t second, char c)
{
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_set_epi64x((int64_t)second, (int64_t)first), _mm_set1_epi8(c)));
#else
    return bits8(first, c) | bits8(second, c) << 8;
#endif
}

static inline uint32_t bits_at(const char *p, char c)                  /* of 16 bytes */
{
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8(c)));
#else
    return bits16(load8(p), load8(p + 8), c);
#endif
}

/* Of n bytes, less than 16. Words from both ends meet or overlap; nothing outside is read. c is not 0. */
static inline uint32_t bits_of_few(const char *p, uint32_t n, char c)
{
    if (n > 8) return bits16(load8(p), load8(p + n - 8) >> 8 * (16 - n), c);
    if (n >= 4) return bits8(load4(p) | (uint64_t)load4(p + n - 4) << 8 * (n - 4), c);
    uint32_t bits = 0;
    for (uint32_t i = 0; i < n; i++) bits |= (uint32_t)(p[i] == c) << i;
    return bits;
}

static uint64_t bits_of(const char *p, uint32_t n, char c)             /* n <= 64 */
{
    uint64_t bits = 0;
    uint32_t i = 0;
    for (; n - i >= 16; i += 16) bits |= (uint64_t)bits_at(p + i, c) << i;
    return i < n ? bits | (uint64_t)bits_of_few(p + i, n - i, c) << i : bits;
}

/* ---- the walk ---- */

struct walk {
    const char *seg;
    const struct fgw_route_in *in;
    struct fgw_route_out *out;
    uint64_t first_hash;          /* of the first segment, which every root begins with */
    uint32_t allow;
    const struct fgw_l_node *host;   /* the request's */
};

static inline const void *at(const struct walk *w, uint32_t off) { return w->seg + off; }      /* off is not 0 */
static inline const struct fgw_l_routes *top(const struct walk *w) { return fgw_l_body(w->seg); }

/* Where the segment that begins at `from` ends; if it is longer than `most`, some place behind that. */
static inline uint32_t segment_end(struct fgw_str path, uint32_t from, uint32_t most)
{
    uint32_t i = from, bits;
    for (; path.n - i >= 16; i += 16) {
        if ((bits = bits_at(path.p + i, '/'))) return i + (uint32_t)__builtin_ctz(bits);
        if (fgw_unlikely(i - from > most)) return i;
    }
    bits = bits_of_few(path.p + i, path.n - i, '/');
    return bits ? i + (uint32_t)__builtin_ctz(bits) : path.n;
}

/* The path from `from` on begins with the node's segments. 0: it does not; else where what follows them begins. */
static inline uint32_t behind_text(const struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    uint32_t len = n->text.len, left = w->in->path.n - from;
    const char *p = w->in->path.p + from;
    if (len > left || (len < left && p[len] != '/') || !same(w->seg + n->text.off, p, len)) return 0;
    return from + len + 1;
}

/* Where the search for (parent, hash) begins; it ends at an empty slot, of which the last is one. */
static inline const struct fgw_l_edge *edges_from(const struct walk *w, struct fgw_route_slot s)
{
    return (const struct fgw_l_edge *)at(w, top(w)->edges.off) + s.slot;
}

static inline const struct fgw_l_node *child_by_edge(const struct walk *w, uint32_t parent, uint64_t hash, uint32_t *from)
{
    struct fgw_route_slot s = fgw_route_slot(hash, parent, top(w)->edge_mask);
    for (const struct fgw_l_edge *e = edges_from(w, s); e->node; e++) {
        if (e->tag != s.tag) continue;
        const struct fgw_l_node *to = at(w, e->node);
        uint32_t next = behind_text(w, to, *from);
        if (fgw_likely(next && to->parent == parent)) return *from = next, to;
    }
    return NULL;
}

static inline const struct fgw_l_node *only_child(const struct walk *w, const struct fgw_l_node *n, uint32_t *from)
{
    const struct fgw_l_node *only = at(w, n->only);
    uint32_t next = behind_text(w, only, *from);
    return next ? *from = next, only : NULL;
}

static inline uint32_t offset_of(const struct walk *w, const struct fgw_l_node *n) { return (uint32_t)((const char *)n - w->seg); }

/* The child that the path's text leads to; `from` is advanced to the segment behind it. NULL: none. */
static inline const struct fgw_l_node *literal_child(const struct walk *w, const struct fgw_l_node *n, uint32_t *from)
{
    if (n->fanout == FGW_FANOUT_NONE) return NULL;
    if (n->fanout == FGW_FANOUT_ONE) return only_child(w, n, from);
    uint32_t most = top(w)->segment_max, len = segment_end(w->in->path, *from, most) - *from;
    return len > most ? NULL : child_by_edge(w, offset_of(w, n), hash_of(w->in->path.p + *from, len), from);
}

/* The same of a root, whose hash all roots share. */
static inline const struct fgw_l_node *first_child(const struct walk *w, const struct fgw_l_node *root, uint32_t *from)
{
    if (root->fanout == FGW_FANOUT_EDGES) return child_by_edge(w, offset_of(w, root), w->first_hash, from);
    return root->fanout == FGW_FANOUT_ONE ? only_child(w, root, from) : NULL;
}

/* ---- leaves ---- */

static inline bool method_fits(const struct walk *w, const struct fgw_l_cand *c)
{
    if (fgw_likely(c->methods == UINT16_MAX)) return true;
    return w->in->method_id == FGW_M_OTHER ? fgw_match_method(w->seg, c, w->in) : c->methods >> w->in->method_id & 1;
}

/* The first candidate of a leaf that fits; of those that fail by their method alone the methods are noted. */
static inline bool try_leaf(struct walk *w, const struct fgw_l_leaf *leaf)
{
    const struct fgw_l_cand *c = at(w, leaf->cands.off), *end = c + leaf->cands.count;
    do {                                                               /* there is at least one */
        if (fgw_unlikely(c->headers.count | c->query.count) && !fgw_match_conds(w->seg, c, w->in)) continue;
        if (method_fits(w, c)) return w->out->route = at(w, c->route), w->out->allow = 0, true;
        w->allow |= c->methods & ~(1u << FGW_M_OTHER);
    } while (++c < end);
    return false;
}

static inline bool try_chain(struct walk *w, uint32_t off)
{
    for (const struct fgw_l_leaf *leaf; off; off = leaf->next)
        if (try_leaf(w, leaf = at(w, off))) return true;
    return false;
}

/* ---- paths ---- */

static inline uint32_t forks(const struct fgw_l_node *n) { return n->param | n->rest; }

/* Down by texts alone as far as it goes; something is left of the path. Afterwards the path ended (*from lies behind it) or no
 * child of *n fits. Returns whether some node on the way, where the path goes on, has a parameter or a {rest*}. */
static inline uint32_t descend(const struct walk *w, const struct fgw_l_node **n, uint32_t *from)
{
    uint32_t forked = 0;
    do {
        forked |= forks(*n);
        const struct fgw_l_node *to = literal_child(w, *n, from);
        if (!to) break;
        *n = to;
    } while (*from <= w->in->path.n);
    return forked;
}

static bool try_rest(struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    if (!n->rest || !try_leaf(w, at(w, n->rest))) return false;
    w->out->params[n->nparams] = fgw_str(w->in->path.p + from, w->in->path.n - from);
    return true;
}

/* A segment that is not empty is taken as the parameter of n. Returns where what follows it begins; 0: it cannot be. */
static uint32_t take_param(struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    if (!n->param) return 0;
    uint32_t end = segment_end(w->in->path, from, UINT32_MAX);
    w->out->params[n->nparams] = fgw_str(w->in->path.p + from, end - from);
    return end == from ? 0 : end + 1;
}

/* Where n's own segments begin. */
static inline uint32_t begin_of(const struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    return n->kind == FGW_NODE_PARAM ? (uint32_t)(w->out->params[n->nparams - 1].p - w->in->path.p) : from - n->text.len - 1;
}

/* The texts below n do not fit what begins at `from`: try its parameter, then its {rest*}, then those of the nodes above it. */
static bool find_pattern(struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    const uint32_t path_n = w->in->path.n;
    for (bool param_done = false;;) {
        uint32_t next;
        if (from <= path_n && !param_done && (next = take_param(w, n, from))) {
            n = at(w, n->param), from = next;
            if (from <= path_n) descend(w, &n, &from);
            if (from > path_n && n->leaf && try_leaf(w, at(w, n->leaf))) return true;
            continue;
        }
        if (from <= path_n && try_rest(w, n, from)) return true;
        if (n->kind == FGW_NODE_ROOT) return false;
        param_done = n->kind == FGW_NODE_PARAM;
        from = begin_of(w, n, from);
        n = at(w, n->parent);
    }
}

/* The texts led to n, and there are parameters on the way. */
static __attribute__((noinline)) bool find_forked(struct walk *w, const struct fgw_l_node *n, uint32_t from)
{
    bool ended = from > w->in->path.n;
    const struct fgw_l_leaf *leaf = ended ? fgw_l_at(w->seg, n->leaf) : NULL;
    uint32_t prefixes = leaf ? leaf->next : ended ? n->ended : n->goes_on;
    return (leaf && try_leaf(w, leaf)) || find_pattern(w, n, from) || try_chain(w, prefixes);
}

static inline __attribute__((always_inline)) bool find_path(struct walk *w, const struct fgw_l_node *root)
{
    uint32_t from = 1;
    const struct fgw_l_node *n = first_child(w, root, &from);
    uint32_t forked = forks(root);
    if (!n) n = root;
    else if (from <= w->in->path.n) forked |= descend(w, &n, &from);
    if (forked) return find_forked(w, n, from);
    return try_chain(w, from > w->in->path.n ? n->ended : n->goes_on);
}

/* ---- hosts ---- */

static inline const struct fgw_l_node *host_by_edge(const struct walk *w, uint32_t parent, const char *text, uint32_t len)
{
    struct fgw_route_slot s = fgw_route_slot(hash_of(text, len), parent, top(w)->edge_mask);
    for (const struct fgw_l_edge *e = edges_from(w, s); e->node; e++) {
        if (e->tag != s.tag) continue;
        const struct fgw_l_node *to = at(w, e->node);
        if (to->parent == parent && to->text.len == len && same(w->seg + to->text.off, text, len)) return to;
    }
    return NULL;
}

static uint32_t dots_in(const char *p, uint32_t n)
{
    uint32_t dots = 0;
    for (uint32_t i = 0; i < n; i++) dots += p[i] == '.';
    return dots;
}

/* The longest wildcard whose rest the host ends with, of those lengths that exist. */
static const struct fgw_l_node *find_wild(struct walk *w, struct fgw_str h)
{
    const uint64_t lengths = top(w)->wild_labels;
    uint32_t labels = h.n > 64 ? dots_in(h.p + 64, h.n - 64) : 0;     /* behind the first dot */
    uint64_t dots = bits_of(h.p, h.n < 64 ? h.n : 64, '.');
    for (uint64_t d = dots; d; d &= d - 1) labels++;
    for (uint32_t begin = 0; labels; labels--, dots &= dots - 1) {
        while (!dots) {
            begin += 64;
            dots = bits_of(h.p + begin, h.n - begin < 64 ? h.n - begin : 64, '.');
        }
        if (labels > 63 || !(lengths >> labels & 1)) continue;
        uint32_t rest = begin + (uint32_t)__builtin_ctzll(dots) + 1;
        const struct fgw_l_node *host = host_by_edge(w, top(w)->wilds, h.p + rest, h.n - rest);
        if (host) return host;
    }
    return NULL;
}

static inline const struct fgw_l_node *find_host(struct walk *w, struct fgw_str h)
{
    const struct fgw_l_node *host = NULL;
    if (top(w)->hosts) host = host_by_edge(w, top(w)->hosts, h.p, h.n);
    if (!host && top(w)->wild_labels) host = find_wild(w, h);
    return host ? host : fgw_l_at(w->seg, top(w)->any);
}

/* The first segment is asked for by every root. Returns the filter bits that it has. */
static inline uint64_t first_segment(struct walk *w)
{
    struct fgw_str path = w->in->path;
    uint32_t most = top(w)->segment_max, len = segment_end(path, 1, most) - 1;
    if (fgw_unlikely(len > most)) return FGW_ROUTE_ALWAYS;            /* no text is that long; any hash finds none */
    w->first_hash = hash_of(path.p + 1, len);
    return FGW_ROUTE_ALWAYS | fgw_route_first(w->first_hash);
}

static bool none(struct walk *w)
{
    w->out->route = NULL, w->out->allow = (uint16_t)w->allow;
    return false;
}

static bool find_regex(struct walk *w, const struct fgw_l_mixed *m)
{
    const struct fgw_l_rx *x = at(w, m->regexes.off), *end = x + m->regexes.count;
    for (; w->in->regexes && x < end; x++)
        if (fgw_regexes_match(w->in->regexes, x->regex, w->in->path, w->out->params) && try_leaf(w, at(w, x->leaf))) return true;
    return false;
}

/* The host's roots told no route; or there are none, but some with regexes behind them, which are walked here, so that hosts without
 * any do not pay for it. */
static __attribute__((noinline)) bool find_mixed(struct walk *w, uint64_t first)
{
    const struct fgw_l_node *host = w->host;
    const struct fgw_l_mixed *m = at(w, host->mixed.off), *end = m + host->mixed.count;
    for (; m < end; m++)
        if ((m->firsts & first && find_path(w, at(w, m->root))) || find_regex(w, m)) return true;
    return none(w);
}

/* "*" has no segments: it ends before the first. No regex takes it. */
static __attribute__((noinline)) bool find_star(struct walk *w, const struct fgw_l_node *host)
{
    const struct fgw_l_try *t = at(w, host->roots.off);
    const struct fgw_l_mixed *m = at(w, host->mixed.off);
    for (uint32_t i = 0; i < host->roots.count; i++)
        if (find_forked(w, at(w, t[i].root), w->in->path.n + 1)) return true;
    for (uint32_t i = 0; i < host->mixed.count; i++)
        if (find_forked(w, at(w, m[i].root), w->in->path.n + 1)) return true;
    return none(w);
}

bool fgw_route_find(const void *seg, const struct fgw_route_in *in, struct fgw_route_out *out)
{
    struct walk w = {.seg = seg, .in = in, .out = out};
    const struct fgw_l_node *host = find_host(&w, in->host);
    if (!host) return none(&w);
    w.host = host;
    const struct fgw_l_try *t = at(&w, host->roots.off), *end = t + host->roots.count;
    if (fgw_unlikely(!in->path.n || in->path.p[0] != '/')) return find_star(&w, host);
    uint64_t first = first_segment(&w);
    for (; t < end; t++)
        if (t->firsts & first && find_path(&w, at(&w, t->root))) return true;
    return find_mixed(&w, first);
}
