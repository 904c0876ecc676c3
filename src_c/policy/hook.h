/* policy/hook.h: the `hook` step: code outside the engine looks at a request's head, or at a reply's. Python's plugins, or a test.
 *
 *   run ──NEXT, REPLY_MADE, FAILED──► verdict
 *    └─PARKED─► waits ──fgw_hook_done──► the chain goes on, asks again and hears what it came to
 *                 │ ├─ the budget is spent: over(BUDGET), then the fail mode speaks
 *                 └─ the exchange ended or was refused meanwhile: over(ENDED)
 * Owner    struct fgw_hooks: the worker. The state: the exchange's arena. What the host keeps for an exchange hangs on `host` of the state;
 *          while that is set, over() will be called once, and after it the host knows neither the state nor the request any more.
 * Thread   one: all calls, both ways, are made in the worker's thread. The host holds back its own exceptions.
 * Edits    a hook's edits are to be seen only when it has ended well: the host makes them then, just before it returns or calls done.
 * Cost     a call through a table, two readings of the clock, four adds in shared memory. Routes without hooks: nothing. */
#ifndef FGW_POLICY_HOOK_H
#define FGW_POLICY_HOOK_H
#include "io/loop.h"
#include "io/shm.h"
#include "policy/step.h"

enum fgw_hook_phase { FGW_HOOK_ACCESS, FGW_HOOK_REPLY, FGW_HOOK_PHASES };
enum fgw_hook_out   { FGW_HOOK_NEXT, FGW_HOOK_REPLY_MADE /* r->answer, r->reply */, FGW_HOOK_PARKED, FGW_HOOK_FAILED };
enum fgw_hook_over  { FGW_HOOK_ENDED, FGW_HOOK_BUDGET };
enum fgw_hook_stage { FGW_HOOK_IDLE, FGW_HOOK_RUNS, FGW_HOOK_WAITS, FGW_HOOK_DONE, FGW_HOOK_LATE };

enum { FGW_TAGS_MAX = 16, FGW_TAG_NAME_MAX = 64, FGW_TAG_VALUE_MAX = 512 };    /* of one request; bytes */

/* What a stats slot of kind "plugin" holds, in each column. */
struct fgw_hook_cell {
    _Atomic uint64_t calls, replies, failed, timed_out, cancelled, blocked;
    _Atomic uint64_t ns;                     /* from start to end, waiting included */
    _Atomic uint64_t pad[28];
    _Atomic uint64_t parked;                 /* now; where an upstream's cell has in_flight: it is zeroed with it at the worker's death */
};
_Static_assert(sizeof(struct fgw_hook_cell) <= FGW_SHM_CELL, "it is a stats slot");

struct fgw_hooks;
struct fgw_hook_state {                      /* the step's state */
    void *host;                              /* the host's own */
    struct fgw_hooks *hooks;
    struct fgw_req *r;
    const struct fgw_l_hook *l;
    struct fgw_timer budget;
    uint64_t start_ns;
    uint8_t phase, stage, out;
};
struct fgw_hook_host {                       /* who runs hooks */
    void *self;
    int32_t (*bind)(void *self, uint64_t key);                     /* a hook number, counted; negative: not known, prepare is refused */
    void (*unbind)(void *self, int32_t number);                    /* a snapshot that had bound it is gone */
    /* PARKED: done will follow, later, unless over comes before. */
    enum fgw_hook_out (*run)(void *self, int32_t number, enum fgw_hook_phase phase, struct fgw_req *r, struct fgw_hook_state *s);
    void (*over)(void *self, struct fgw_req *r, struct fgw_hook_state *s, enum fgw_hook_over why);   /* views die, who waits is cancelled */
};
struct fgw_hooks {                           /* a worker's */
    const struct fgw_hook_host *host;        /* NULL: nobody runs hooks here */
    struct fgw_shm *shm;
    struct fgw_loop *loop;
    uint32_t column, parked;
    void (*resume)(struct fgw_hooks *h, struct fgw_ticket t, enum fgw_verdict v);
    void (*blocked)(struct fgw_hooks *h, struct fgw_str name, uint64_t ms);      /* one did not suspend for longer than its budget */
    void (*settle)(struct fgw_hooks *h);     /* to be called after done, when the call did not come from within the engine */
};
struct fgw_hook_bound { struct fgw_hooks *hooks; const int32_t *numbers; };      /* a listener's hooks by their index in its routes segment */

/* A parked hook has come to its end. The exchange goes on within this call, and may end in it: s and its request are not to be used after. */
void fgw_hook_done(struct fgw_hook_state *s, enum fgw_hook_out out);
/* A parked hook had the thread again since start_ns (monotonic): was that too long? */
void fgw_hook_slice(struct fgw_hooks *h, const struct fgw_l_hook *l, struct fgw_str name, uint64_t start_ns);

static inline struct fgw_hook_cell *fgw_hook_cell(const struct fgw_hooks *h, uint32_t slot) { return fgw_shm_cell(h->shm, h->column, slot); }
static inline void fgw_hook_count(_Atomic uint64_t *c, uint64_t n)               /* one writer a column */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
#endif
