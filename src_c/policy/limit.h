/* policy/limit.h: what rate_limit and concurrency have in common: whom a request counts for, what is counted of the limit, what is told.
 *
 * Key      the parts of a limit's `by`, each hashed with the process key; then the hashes together. A part that is absent, empty,
 *          repeated (two fields, parameters or cookies of the name) or longer than FGW_LIMIT_VALUE_MAX (query) counts as absent: all
 *          such requests share one bucket, so that nobody gains by leaving it out or by confusing us about which one is meant.
 *          An IPv6 client is its /64.
 * Fields   RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-11; Retry-After in whole seconds, rounded up.
 * Owner    struct fgw_limits: the worker. Thread one. No allocation but from the request's arena. */
#ifndef FGW_POLICY_LIMIT_H
#define FGW_POLICY_LIMIT_H
#include "io/bell.h"
#include "io/loop.h"
#include "io/shm.h"
#include "policy/step.h"

#define FGW_LIMIT_TIME_MAX (1ull << 57)        /* of a whole burst, in 1/16 ns: 104 days */
enum { FGW_LIMIT_KEYS_MAX = 8, FGW_LIMIT_VALUE_MAX = 1024, FGW_LIMIT_TABLE_ALIGN = 4096,
       FGW_LIMIT_LISTS = 32,                   /* list i's news are topic i of the bell */
       FGW_LIMIT_WAITING_MAX = 16384 };        /* requests that wait in one worker */

/* What a stats slot of kind "limit" holds, in each column. */
struct fgw_limit_cell { _Atomic uint64_t allowed, limited, dry_run, shared, queued, timed_out; };
_Static_assert(sizeof(struct fgw_limit_cell) <= FGW_SHM_CELL, "it is a stats slot");

struct fgw_limits {                            /* a worker's */
    struct fgw_shm *shm;
    uint32_t column, waiting;
    struct fgw_loop *loop;
    struct fgw_bells *bells;
    struct fgw_link lists[FGW_LIMIT_LISTS];    /* requests that wait for a place, by tag, first come first */
    uint64_t freed, told;                      /* lists to be looked at: a place was given back here; elsewhere */
    uint64_t owed, left;                       /* lists: the next place is another worker's; one was left to others, until `grace` */
    uint16_t given[FGW_LIMIT_LISTS], turn[FGW_LIMIT_LISTS];      /* places given back and not looked for; whose turn it was last */
    struct fgw_timer grace;
    struct fgw_job job;
    void (*resume)(struct fgw_limits *l, struct fgw_ticket t, enum fgw_verdict v);
};
void fgw_limits_init(struct fgw_limits *l, struct fgw_shm *shm, uint32_t column, struct fgw_loop *loop, struct fgw_bells *bells,
                     void (*resume)(struct fgw_limits *, struct fgw_ticket, enum fgw_verdict));
void fgw_limits_fini(struct fgw_limits *l);
void fgw_limits_heard(struct fgw_limits *l, uint32_t topic);     /* another worker gave a place back; FGW_BELL_ALL: any may have */

uint64_t fgw_limit_tag(struct fgw_req *r, struct fgw_l_arr keys, struct fgw_str salt);      /* never 0 */
/* The value of the one field of this name as it will be forwarded; empty: absent, empty or repeated. */
struct fgw_str fgw_limit_field(const struct fgw_req *r, enum fgw_field_id id, struct fgw_str name);

static inline struct fgw_limit_cell *fgw_limit_cell(const struct fgw_limits *l, uint32_t slot) { return fgw_shm_cell(l->shm, l->column, slot); }
static inline void fgw_limit_count(_Atomic uint64_t *c)        /* one writer a column */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}
/* RateLimit-Policy, and RateLimit: "name";r=left[;t=seconds]. false: out of memory. */
bool fgw_limit_tell(struct fgw_req *r, struct fgw_str name, struct fgw_str policy, uint64_t left, uint64_t seconds);
/* Refuse: Retry-After, and the limit's name for log and body. */
enum fgw_verdict fgw_limit_refuse(struct fgw_req *r, struct fgw_str name, enum fgw_err why, uint64_t seconds);
/* Does what a step names lie in this shared memory? */
bool fgw_limit_fits(const struct fgw_shm *m, const void *seg, const struct fgw_l_step *s);

#endif
