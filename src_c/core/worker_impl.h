/* core/worker_impl.h: the worker's inside, for core only. */
#ifndef FGW_CORE_WORKER_IMPL_H
#define FGW_CORE_WORKER_IMPL_H
#include "core/accesslog.h"
#include "core/snapshot.h"
#include "core/stats.h"
#include "core/worker.h"
#include "http/h2.h"
#include "io/listen.h"
#include "io/tls.h"
#include "policy/hook.h"
#include "policy/limit.h"

/* A listener as the worker holds it, over reloads: its sockets, its connections' limits. Freed when unlistened and its last connection is gone. */
struct fgw_listener {
    struct fgw_link link;
    struct fgw_worker *w;
    uint32_t id, conns;
    struct fgw_h1_limits limits;
    struct fgw_tls_server *tls;          /* counted; NULL: plain text */
    uint32_t handshake_ms;
    struct fgw_h2_limits h2;
    bool proxy_protocol, retired;
    struct fgw_link sockets;             /* fgw_door */
};
struct fgw_door { struct fgw_accept a; struct fgw_link link; struct fgw_listener *l; uint32_t socket_id; };
struct fgw_front {                       /* one client connection */
    struct fgw_link link;
    struct fgw_listener *l;
    struct fgw_demux *demux;             /* NULL while a stage is at work */
    struct fgw_proxy_stage *stage;
    struct fgw_tls_stage *handshake;
};
enum { FGW_TRIM_SLABS = 13 + FGW_H2_SIZES };
struct fgw_trim {                        /* trim.c */
    struct fgw_timer timer;
    uint64_t turn_at;                    /* ms: when a turn looks again whether there is much */
    uint64_t given, told;                /* bytes of slabs that malloc got back and may still hold; loop.blocks.given when it was last asked to let go */
    struct fgw_trimmed { uint64_t live, chunks; bool ample, sift; } of[FGW_TRIM_SLABS];   /* live, chunks: when it was sifted last */
    bool sifting;
};
struct fgw_ticket_slot { struct fgw_exchange *x; uint32_t generation, next_free; };

struct fgw_worker {
    struct fgw_loop loop;
    struct fgw_h1_env h1;
    struct fgw_h2_env h2;
    struct fgw_pool_env upstream;
    struct fgw_slab exchanges, tries, fronts, calls;
    struct fgw_link segments, pools, listeners, front_list, live;   /* live: exchanges */
    struct fgw_snapshot *snap;           /* committed; NULL before the first */
    struct fgw_shm *shm;
    uint32_t column;
    struct fgw_gauges *gauges;
    struct fgw_tls_env *tls;
    struct fgw_ring *log, *errors;
    struct fgw_log_time log_time;
    struct fgw_ticket_slot *tickets;
    uint32_t ntickets, free_ticket;
    uint64_t id_high, id_count;          /* request ids */
    uint64_t unpin_at, unpin_seen;       /* ms: when to look for slow requests again; ns: those begun until then have been looked at */
    struct fgw_bells bells;
    struct fgw_limits limits;
    struct fgw_hooks hooks;
    struct fgw_timer drain_timer, pause_timer;
    struct fgw_trim trim;
    bool draining, accept_paused;
    uint32_t snapshots;
    int spare_fd;
};
void fgw_listener_close(struct fgw_listener *l);             /* its sockets; connections stay */
void fgw_listener_free(struct fgw_listener *l);              /* one without sockets and connections */
void fgw_worker_report(struct fgw_worker *w, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));   /* error log line */
static inline struct fgw_stats_cell *fgw_worker_upstream(struct fgw_worker *w, const struct fgw_pool *p)      /* its counters */
{
    return fgw_stats_cell(w->shm, w->column, p->slot < FGW_SHM_STATS ? p->slot : 0);
}
void fgw_exchanges_forget(struct fgw_worker *w);             /* those that need no snapshot any more let go of old ones */
void fgw_exchanges_unpin(struct fgw_worker *w);              /* copy out what slow requests keep of large blocks */
uint64_t fgw_yield_client(void *ctx, const struct fgw_lease *l);             /* for the pools: whose request it is */
uint32_t fgw_yield_places(void *ctx, struct fgw_pool *p, uint32_t wanting);  /* those that clients keep for nothing are given up (core/yield.c) */
void fgw_worker_trim_look(struct fgw_worker *w);             /* what bursts left in slabs goes back, in slices */
uint64_t fgw_worker_slab_bytes(struct fgw_worker *w);        /* all that its slabs hold, in use or not */
bool fgw_worker_overloaded(const struct fgw_worker *w);      /* at 90 % of the set memory */

#endif
