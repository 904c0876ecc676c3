/* upstream/pool.h: the connections of one worker to one upstream, and the requests that wait for them.
 *
 *   dial ──► DIALING ──ready──► OPEN(used/max) ──close, max age, endpoint gone──► DRAINING ──last out──► gone
 *                                 ▲  │ lease / put back
 *                                 └──┘                        (h1: max = 1; h2: the peer's stream limit, at most streams_max)
 *
 * Owner    the worker; keyed by the upstream's id. A snapshot only names it: it outlives reloads; an unnamed pool drains by itself.
 * Memory   conns in the worker's slab; endpoints by malloc, only when membership changes.
 * Holds    sum(conns) <= max_connections. Every idle conn is watched for reading, so a peer's close takes it off its list before
 *          anyone can lease it. Requests wait together for a dial that is expected to have room for them all.
 *          A failed connect tries the next endpoint (its open conn first) and avoids the dead one for a while (doubling to 30 s).
 *          A dial that somebody older got, or whose endpoint left, is not held against who asked for it.
 * Fair     who waits is served by client in turn, each client's oldest request first. In a full queue a client with fewer requests takes the
 *          place of the newest one of the client with the most. Clients that keep places while others wait: env.crowded (docs/design/0011).
 * Cost     lease with a warm conn: O(1), no allocation. Thread one, no lock. */
#ifndef FGW_UPSTREAM_POOL_H
#define FGW_UPSTREAM_POOL_H
#include "http/h2.h"
#include "io/tls_client.h"
#include "policy/layout.h"
#include "upstream/endpoint.h"

struct fgw_pool;
struct fgw_lease;

struct fgw_claim {                           /* one client's requests that wait in a pool */
    struct fgw_link turn;                    /* in pool.turns */
    struct fgw_link same;                    /* in env.claims: by pool and client */
    struct fgw_link leases;                  /* oldest first */
    struct fgw_pool *pool;
    uint64_t client;
    uint32_t n;
};
struct fgw_ep {                              /* one endpoint as this worker knows it */
    struct fgw_endpoint e;
    struct fgw_pool *pool;
    struct fgw_link open;                    /* conns with room, newest first */
    struct fgw_link dials;                   /* conns that are being dialled, oldest first */
    uint32_t conns, in_flight, fails;
    uint32_t places;                         /* what a connection that comes is expected to have: as the last one */
    int64_t  turn;                           /* the balancer's word */
    uint64_t avoid_until;                    /* ms; 0: fine */
    bool     gone;                           /* no longer a member: freed with its last conn */
};
/* A balancer. pick never returns an endpoint of weight 0; avoided, unhealthy and already tried ones only if there is no other. */
struct fgw_pick {
    const char *name;
    struct fgw_ep *(*pick)(struct fgw_pool *p, const struct fgw_lease *l);
};
extern const struct fgw_pick fgw_pick_rr;

/* How connections are made: begin a dial to e; events go to user. NULL and errno: it could not even begin. */
struct fgw_dialer {
    const char *name;
    struct fgw_mux *(*dial)(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user);
    /* The peer chose the other protocol (mux_user.other): a mux that is ready. NULL: no memory, conn is as before. May be NULL itself. */
    struct fgw_mux *(*other)(struct fgw_pool *p, struct fgw_conn *conn, const struct fgw_mux_user *user);
};
extern const struct fgw_dialer fgw_dial_h1, fgw_dial_h2, fgw_dial_auto;

enum { FGW_EPS_MAX = 1024, FGW_TRIED_MAX = 8, FGW_CLAIM_ROWS = 256 };
struct fgw_pool_env {                        /* one a worker */
    struct fgw_h1_env *h1;
    struct fgw_h2_env *h2;                   /* NULL: pools speak HTTP/1 only */
    struct fgw_slab conns, waits;            /* waits: fgw_claim */
    struct fgw_link claims[FGW_CLAIM_ROWS];
    int64_t idle, open;                      /* gauges; idle: nothing is asked of them */
    /* A line for the error log: an endpoint failed. */
    void (*report)(void *ctx, const struct fgw_pool *p, const struct fgw_ep *e, struct fgw_fail why, int err);
    void (*connected)(void *ctx, const struct fgw_pool *p);   /* a new connection is up */
    uint64_t (*client)(void *ctx, const struct fgw_lease *l);            /* whose request this is, hashed; asked of those that queue. NULL: all are one's */
    /* For some time requests have waited for whom no dial is under way, `wanting` of them: those that keep places may be made to give them up.
     * Returns how many were looked at; with many it is asked less often. NULL: nobody is. */
    uint32_t (*crowded)(void *ctx, struct fgw_pool *p, uint32_t wanting);
    void *ctx;
};
struct fgw_pool {
    struct fgw_pool_env *env;
    struct fgw_link link;                    /* the worker's list */
    uint32_t id, refs;                       /* snapshots that name it, and leases */
    uint32_t slot;                           /* its counters', for the owner */
    char name[80];
    struct fgw_l_upstream set;               /* the settings; its str and arr members are not used */
    char host[80];                           /* set.host's text */
    struct fgw_h1_limits limits;
    struct fgw_h2_limits h2;
    const struct fgw_pick *balance;
    const struct fgw_dialer *dialer;
    struct fgw_tls_client *tls;              /* counted; NULL: plain text */
    uint8_t protocol;                        /* enum fgw_protocol */
    struct fgw_eptable *table;
    uint32_t seen, neps, conns, dialing, waiters, nclaims;
    struct fgw_ep **eps;
    struct fgw_link waiting;                 /* leases, oldest first */
    struct fgw_link turns;                   /* fgw_claim: whose turn it is */
    struct fgw_timer look;                   /* while requests wait */
    struct fgw_link all;                     /* every conn */
};

struct fgw_lease {
    struct fgw_link link;                    /* in pool.waiting */
    struct fgw_link turn;                    /* in claim.leases */
    struct fgw_claim *claim;                 /* while it waits */
    struct fgw_pool *pool;
    struct fgw_ep *ep;                       /* of the side given */
    struct fgw_side *side;
    void (*done)(struct fgw_lease *l);       /* a queued lease: side is set, or fail is. From an up call. */
    struct fgw_link ask;                     /* among the askers of `dial` */
    struct fgw_uconn *dial, *conn;
    uint64_t asked_ms;                       /* since when it waits for a dial; 0: it does not yet */
    struct fgw_timer timer;
    struct fgw_fail fail;
    const struct fgw_ep *tried[FGW_TRIED_MAX];   /* compared, never followed */
    const struct fgw_ep *shun;               /* in: another endpoint, if a good one is there: the request has died at this one; compared, never followed */
    uint8_t ntried, connects;
    bool fresh;                              /* in: a new connection, please: a warm one just died under this request */
    bool warm;                               /* out: the connection had served before */
    bool displaced;                          /* another client's request has its place in the queue */
};

void fgw_pool_env_init(struct fgw_pool_env *e, struct fgw_h1_env *h1, struct fgw_h2_env *h2);
void fgw_pool_env_fini(struct fgw_pool_env *e);
struct fgw_pool *fgw_pool_new(struct fgw_pool_env *e, uint32_t id, struct fgw_str name);
void fgw_pool_configure(struct fgw_pool *p, const void *seg, struct fgw_eptable *table);   /* a checked UPSTREAM segment; at commit */
/* At commit: how connections are made from now on; NULL: plain text. Those that were made otherwise are used no more. */
void fgw_pool_transport(struct fgw_pool *p, struct fgw_tls_client *tls, enum fgw_protocol protocol);
void fgw_pool_refresh(struct fgw_pool *p);       /* take over a changed membership */
void fgw_pool_ref(struct fgw_pool *p);
void fgw_pool_unref(struct fgw_pool *p);         /* the last one drains and frees it */
void fgw_pool_cut(struct fgw_pool *p);           /* close idle conns and mark the others: shutdown */

/* A place on a connection. The side, or NULL: queued (done is called later), or l->fail is set. The lease is zeroed but for pool, done, fresh, shun, tried. */
struct fgw_side *fgw_lease_get(struct fgw_lease *l);
void fgw_lease_put(struct fgw_lease *l);         /* release the side; a queued lease is withdrawn; fine on an empty one */
uint64_t fgw_pool_now(const struct fgw_pool *p);

#endif
