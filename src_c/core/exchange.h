/* core/exchange.h: one request and its reply: one front side, and tries of which at most one wins.
 *
 *   request: early ─► route ─► chain ─► try ─► body ─► done          reply: wait ─► chain ─► body ─► done
 *                       │        │  ▲ticket      │ ▲ retry                              │
 *                       └────────┴──┴── refuse / answer ────────────────────────────────┘
 *   The exchange ends when the reply is done (what of the request is still to come is the codec's affair) or a side aborts.
 * Owner    the worker's slab; freed inside the up call that ended it, after its sides were released.
 * Memory   the head's block is kept by msg; small data in one arena (its first piece embedded), freed whole. On entering a tunnel or
 *          a long stream what the log needs is copied and the head's block and the snapshot are let go.
 * Body     request bytes are kept (by reference) until KEEP_MAX for a retry; the window bounds what waits for a try.
 * Thread   one. Knows no protocol: only sides. */
#ifndef FGW_CORE_EXCHANGE_H
#define FGW_CORE_EXCHANGE_H
#include "core/worker_impl.h"
#include "policy/step.h"

enum fgw_rq { FGW_RQ_EARLY, FGW_RQ_ROUTE, FGW_RQ_CHAIN, FGW_RQ_TRY, FGW_RQ_BODY, FGW_RQ_DONE, FGW_RQ_STAY };
enum fgw_rp { FGW_RP_WAIT, FGW_RP_CHAIN, FGW_RP_BODY, FGW_RP_DONE };
enum fgw_try_state { FGW_TRY_NONE, FGW_TRY_LEASE, FGW_TRY_SENT, FGW_TRY_WON };
const char *fgw_rq_name(enum fgw_rq s);
const char *fgw_rp_name(enum fgw_rp s);
const char *fgw_try_state_name(enum fgw_try_state s);
/* What may follow a state, as a mask of states: the tables that debug builds hold every step to (docs/reference/states.md). */
unsigned fgw_rq_next(enum fgw_rq s);
unsigned fgw_rp_next(enum fgw_rp s);
unsigned fgw_try_next(enum fgw_try_state s);

struct fgw_exchange;
struct fgw_try {                         /* endpoint, lease, upstream side, own timer, own failure */
    struct fgw_exchange *x;
    struct fgw_lease lease;
    struct fgw_timer timer;              /* first byte */
    uint64_t sent_ns;                    /* when the request was given to the side */
    uint16_t status;                     /* the answer's; 0: none yet */
    uint8_t state;                       /* enum fgw_try_state */
    bool request_done, ended;            /* finish() was called; on_end came */
};

enum { FGW_STEPS_MAX = 64, FGW_CALL_DEPTH = 4, FGW_CALLS_MAX = 16 };
struct fgw_exchange {
    struct fgw_req r;
    struct fgw_link live;
    struct fgw_worker *w;
    struct fgw_snapshot *snap;           /* NULL once let go */
    const struct fgw_bound *bound;
    struct fgw_listener *listener;       /* NULL for calls */
    struct fgw_side *front;
    struct fgw_try *t;
    struct fgw_msg *msg, *reply_msg, *trailers, *reply_trailers;
    struct fgw_buf kept, reply_kept;     /* request bytes for a (re)try; reply bytes that wait for a parked chain */
    void **states;                       /* one a step entered */
    struct fgw_timer deadline;           /* of the whole; in a tunnel that of its silence and age */
    struct fgw_ticket ticket;
    struct fgw_pool *pool;
    const struct fgw_ep *died_at;        /* the last try's endpoint, when it is to be tried again; never followed */
    struct fgw_call *caller;             /* of a subrequest */
    struct fgw_link children;            /* calls of its own that are not over */
    uint64_t start_ns, start_wall, upstream_ns, head_ns;
    uint64_t bytes_in, bytes_out, in_given, in_credited, in_out, out_given, out_credited, out_out;
    uint64_t body_max;
    uint64_t moved_ms, tunnel_end_ms;    /* when a byte last moved; when a tunnel is too old, 0: never */
    uint64_t yield_ms, yield_own, yield_ack;   /* since when its client has held it back while others waited, and what it had moved then; 0: it has not */
    uint64_t deadline_ns;                /* of a call: when its deadline is; 0: it has none */
    uint32_t slot, first_byte_ms, tunnel_idle_ms, grpc_slot;   /* grpc_slot: where calls of its route are counted by status; 0: nowhere */
    struct fgw_fail fail;
    uint16_t step, nsteps;               /* request: next step; steps entered are [0, step) */
    uint8_t rq, rp, tries, depth, calls, grpc_status;   /* grpc_status: enum fgw_grpc_code, once it is told */
    bool parked, request_ended, kept_lost, reply_ended, agreed, tunnel, filters[2], own_reply, refused, finished, busy, ended, close;
    char endpoint[80];                   /* the last one tried, for the log */
    char first[1792];                    /* the arena's first piece */
};

/* A front side has a request: take it (bind up and user). false: no memory or no configuration; the codec answers. */
bool fgw_exchange_begin(struct fgw_worker *w, struct fgw_listener *l, struct fgw_side *side);
/* A subrequest to `pool` over the internal front side of `call`. */
bool fgw_exchange_begin_call(struct fgw_worker *w, struct fgw_exchange *parent, struct fgw_pool *pool, struct fgw_call *call, struct fgw_side *side);
/* Whoever holds a ticket completes it once; a stale one is ignored. REPLY: r->answer is set; FAIL: r->fail. */
void fgw_exchange_resume(struct fgw_worker *w, struct fgw_ticket t, enum fgw_verdict v);
static inline void fgw_exchange_resume_limited(struct fgw_limits *l, struct fgw_ticket t, enum fgw_verdict v)
{
    fgw_exchange_resume(fgw_container(l, struct fgw_worker, limits), t, v);
}
struct fgw_exchange *fgw_exchange_of(struct fgw_worker *w, struct fgw_ticket t);   /* NULL: stale */
void fgw_exchange_cancel(struct fgw_exchange *x, enum fgw_err why);

/* ---- between the files of core ---- */
void fgw_exchange_refuse(struct fgw_exchange *x, struct fgw_fail why);                 /* the gateway's own answer, or an abort */
void fgw_exchange_reply_head(struct fgw_exchange *x, struct fgw_msg *m);               /* the winning try's head; takes m over */
void fgw_exchange_end(struct fgw_exchange *x);
void fgw_exchange_run(struct fgw_exchange *x);                                         /* the request's direction: what it waited for has come */
void fgw_exchange_rp(struct fgw_exchange *x, enum fgw_rp to);
enum fgw_rq fgw_chain_request(struct fgw_exchange *x);                                 /* the request parts of the steps, from x->step on */
void fgw_chain_answer(struct fgw_exchange *x);                                         /* r->answer with r->reply's fields, through the reply parts */
void fgw_chain_unpark(struct fgw_exchange *x);
void fgw_chain_cancel(struct fgw_exchange *x);                                         /* the same, and the step that it waited for is told */
void fgw_chain_end(struct fgw_exchange *x);                                            /* on_end of every step */
void fgw_exchange_detach(struct fgw_exchange *x);
bool fgw_try_start(struct fgw_exchange *x);                                            /* false: x was refused */
void fgw_try_request_body(struct fgw_exchange *x, struct fgw_span s);
void fgw_try_request_end(struct fgw_exchange *x);
void fgw_try_drop(struct fgw_exchange *x);                                             /* release what it holds */
void fgw_relay_request(struct fgw_exchange *x, struct fgw_span s, bool end);           /* through the request's body filters */
void fgw_relay_reply(struct fgw_exchange *x, struct fgw_span s, bool end);
void fgw_relay_credit(struct fgw_exchange *x, enum fgw_dir d, uint64_t room);          /* bytes of direction d have left */
void fgw_tunnel_begin(struct fgw_exchange *x);                                         /* both sides have agreed, and the answer that says so is out */
void fgw_tunnel_end(struct fgw_exchange *x);
bool fgw_forward_build(struct fgw_exchange *x);                                        /* r.out: the fields to be sent upstream */
enum fgw_err fgw_forward_early(struct fgw_exchange *x);                                /* target, host, client, request id */
void fgw_exchange_log(struct fgw_exchange *x);
/* Calls of gRPC (r.grpc). */
bool fgw_grpc_deadline(struct fgw_exchange *x);                                        /* its deadline: the route's, or its own if that is sooner. false: malformed */
bool fgw_grpc_remaining(struct fgw_exchange *x);                                       /* r.out says what is left of it. false: no memory */
bool fgw_grpc_answer(struct fgw_exchange *x);                                          /* our own answer, in their form. false: no memory */
void fgw_grpc_end(struct fgw_exchange *x);                                             /* what has begun ends by its deadline: only trailers can say so */
void fgw_grpc_heard(struct fgw_exchange *x, const struct fgw_msg *m);                  /* an upstream's head, or trailers: the status, if it is there */
uint8_t fgw_grpc_outcome(const struct fgw_exchange *x, uint16_t status);               /* when it has ended; status: that was sent, 0 none */

#endif
