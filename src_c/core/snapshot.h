/* core/snapshot.h: one configuration as a worker holds it: segments by content address, listeners and pools bound.
 *
 *   segments (mapped, checked, counted) ◄── snapshot ──► pools (the worker's, by upstream id)
 *   prepare: bind everything, change nothing visible ─► commit: the worker's current one | discard
 * Owner    the worker; counted by the worker, and by each exchange until both its heads are done.
 * Memory   malloc, only at prepare. Connections and pools are never owned by a snapshot. Thread one. */
#ifndef FGW_CORE_SNAPSHOT_H
#define FGW_CORE_SNAPSHOT_H
#include "io/tls.h"
#include "policy/hook.h"
#include "upstream/pool.h"

struct fgw_segment {
    struct fgw_link link;
    uint64_t hash;
    const void *p;
    size_t size;
    struct fgw_regexes *regexes;         /* of a routes segment that has any, compiled when it is prepared; else NULL */
    uint32_t refs;
    struct fgw_tls_client *client;       /* of kind UPSTREAM, if it speaks TLS: the same */
    struct fgw_tls_server *tls;          /* of kind TLS: its contexts, made when a snapshot first needs them; connections keep theirs */
    bool mapped, fresh;                  /* fresh: added, and no snapshot has been prepared since: kept though nobody counts it yet */
};

struct fgw_bound {                       /* a listener of the snapshot */
    const struct fgw_l_listener *l;
    const void *routes, *settings_seg;
    const struct fgw_l_settings *set;
    struct fgw_pool **pools;             /* by the routes segment's own upstream index */
    const uint32_t *slots;               /* stats slot of each route */
    struct fgw_str name;
    struct fgw_hook_bound hooks;
    int32_t *numbers;                    /* of hooks, by the routes segment's own index */
    uint32_t nnumbers;
    struct fgw_regexes *regexes;         /* the routes segment's */
    struct fgw_tls_server *tls;          /* its segment's; NULL: plain text */
    uint32_t handshake_ms;
};
struct fgw_snapshot {
    struct fgw_worker *w;
    struct fgw_segment *root_seg, **segs;
    const struct fgw_l_root *root;
    const struct fgw_l_cidr *trusted;
    struct fgw_bound *bound;
    struct fgw_pool **pools;             /* of root.upstreams, same order; a reference each */
    uint32_t nsegs, nbound, npools, refs;
};
struct fgw_segment *fgw_segment_find(struct fgw_worker *w, uint64_t hash);
void fgw_segments_sweep(struct fgw_worker *w);           /* unmap those nobody counts and nobody will */
void fgw_segments_forget(struct fgw_worker *w);          /* none is fresh any more */
/* Compile up to `most` patterns of segments that no snapshot has bound yet, so that binding need not do all at once. Returns how many are
 * left; what does not compile is left for fgw_snapshot_bind to say. */
uint32_t fgw_segments_compile(struct fgw_worker *w, uint32_t most);
struct fgw_snapshot *fgw_snapshot_bind(struct fgw_worker *w, uint64_t root_hash, char *err, size_t err_n);
void fgw_snapshot_apply(struct fgw_snapshot *s);         /* at commit: pools take over their settings */
static inline struct fgw_snapshot *fgw_snapshot_ref(struct fgw_snapshot *s) { s->refs++; return s; }
void fgw_snapshot_unref(struct fgw_snapshot *s);
const struct fgw_bound *fgw_snapshot_listener(const struct fgw_snapshot *s, uint32_t id);
/* Count, and tell of each pattern once, the matches that were given up in the last look-up of a route. */
void fgw_bound_given_up(struct fgw_worker *w, const struct fgw_bound *b);
bool fgw_snapshot_trusts(const struct fgw_snapshot *s, uint64_t hi, uint64_t lo);

#endif
