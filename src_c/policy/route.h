/* policy/route.h: which route a request takes. A walk over the flat ROUTES segment; writes nothing, allocates nothing.
 *
 * Precedence: priority, host exact > longest wildcard > any, exact path > pattern (literal before parameter, left to right)
 * > longest prefix by segment > regex, then method given, more headers, more query, name; regexes among themselves as they are written
 * in the configuration. Of all routes that match in every respect the first
 * in this order wins; so under a host that has no match at all the next, wider host is tried.
 *
 *   hosts ──"api.example.com"──► host ─┬─► root (own paths)  ──"orders"──► node ──{param}──► node ──► leaf: candidates in order
 *   wilds ──"example.org"──────► host  ├─► root (of *.example.com)           │ ended, goes_on
 *   any ───────────────────────► host  └─► root (of any)                     └──► leaf of the longest prefix ──next──► shorter ones
 *
 * A host lists the roots to try, perhaps with regexes behind them, one for each (host that covers it, priority), in order: that part of the precedence is settled when
 * the segment is built. An arrow with a text is an edge: one look-up in one hash table, keyed by (node, text), so the cost does not grow
 * with the number of routes; an only child is compared with directly, and a
 * row of segments without a fork is one node ("open/mine"). The table is fed by the configuration alone; what clients
 * send is only looked up, and the builder bounds the length of a search.
 * The walk goes down literally first and comes back for parameters: a node is visited at most once a walk.
 * Segments are what lies between slashes: "/a/" is "a" and "". {name} takes one segment that is not empty, {name*} all that follows
 * the slash, perhaps nothing. Prefix "/a" takes "/a", "/a/" and "/a/b"; prefix "/a/" takes "/a/" and "/a/b". A route that names
 * no path takes every one, "*" too. A regex takes whole paths that begin with a slash; it costs what it costs, and only requests that
 * nothing else under its host and priority took.
 * Thread any. Cost: at most 450 instructions with 10,000 mixed routes, at most 1.3 times that of 100. */
#ifndef FGW_POLICY_ROUTE_H
#define FGW_POLICY_ROUTE_H
#include "http/head.h"
#include "policy/layout.h"
#include "policy/regex.h"

struct fgw_route_in {
    struct fgw_str host;            /* folded (fgw_host_fold), no port */
    struct fgw_str path;            /* normalised; "*" for OPTIONS *; empty (CONNECT): no route */
    struct fgw_str query;
    struct fgw_str method;
    const struct fgw_head *head;    /* for header conditions; NULL: no fields */
    uint8_t method_id;              /* enum fgw_method */
    struct fgw_regexes *regexes;    /* of this segment, compiled; NULL: none of its regexes matches */
};
struct fgw_route_out {
    const struct fgw_l_route *route;             /* NULL: none */
    struct fgw_str params[FGW_PARAMS_MAX];       /* route->nparams of them: views into path, still percent-encoded where the norm keeps it */
    uint16_t allow;                              /* no route, but these methods (1 << enum fgw_method) would have matched: 405 */
};
/* `seg`: a checked ROUTES segment. true when out->route is set. */
bool fgw_route_find(const void *seg, const struct fgw_route_in *in, struct fgw_route_out *out);

/* The path that strip_prefix leaves, a view into `path`; if it does not begin with '/', one is to be sent in front. */
static inline struct fgw_str fgw_route_rest(const struct fgw_l_route *r, struct fgw_str path)
{
    uint32_t cut = r->strip < path.n ? r->strip : path.n;
    return fgw_str(path.p + cut, path.n - cut);
}

/* How the builder of a segment hashes a host or path segment, and where the search for (parent, hash) begins. */
uint64_t fgw_route_hash(const char *p, uint32_t n);
struct fgw_route_slot { uint32_t slot, tag; };
static inline struct fgw_route_slot fgw_route_slot(uint64_t hash, uint32_t parent, uint32_t mask)
{
    uint64_t x = hash ^ parent * UINT64_C(0x5bd1e995);   /* both halves depend on the parent */
    return (struct fgw_route_slot){(uint32_t)(x >> 32) & mask, (uint32_t)x};
}

/* A root is tried only if it shares a bit with the first segment of the path. A segment has one of 64, and every path the highest. */
#define FGW_ROUTE_ALWAYS (1ull << 63)
static inline uint64_t fgw_route_first(uint64_t hash) { return 1ull << (hash >> 58); }

#endif
