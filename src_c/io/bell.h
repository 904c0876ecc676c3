/* io/bell.h: how one worker tells another that there is something to look at: a place given back, a ticket completed.
 *
 *   ring:   what changed ─► message into a free word ─► its bit in `pending` ─► target asleep? ─► write to its eventfd
 *   rest:   state = ASLEEP ─► pending? ─► none: sleep      some: AWAKE, hear them, look again
 *
 * Messages  one word each, many writers, in no order; the same message twice is one. No free word where it is tried: the bit ALL, "look
 *           at everything". A message is a hint: who hears it looks at what it tells of, which changed before.
 * Wants     a worker names the topics that it wants to hear of; whoever has news calls all who do. With nobody listening a call is one
 *           load for 64 workers. A worker that wants nothing is never written to.
 * Asleep    the owner alone sets its state. After ASLEEP it looks at `pending` once more, and a writer looks at the state after it set the
 *           bit: one of the two sees the other. A worker that wants something is AWAKE in its turns; then nobody makes a system call.
 * Death     every step is one atomic operation; a writer never waits. What a dead worker did not come to say the supervisor says in its
 *           stead: it resets the bell of the dead one and wakes all others with ALL. A descriptor that comes late (a new slot) is
 *           written to at once, as its bell may have been rung before.
 * Owner     the supervisor makes the eventfds, one a column, which outlive workers; a worker its struct fgw_bells. Thread one each.
 * Cost      to ring: two locked instructions, and a write() if the target sleeps. To listen: one locked store a turn. */
#ifndef FGW_IO_BELL_H
#define FGW_IO_BELL_H
#include "io/loop.h"
#include "io/shm.h"

#ifndef FGW_BELL_ROOM
#define FGW_BELL_ROOM 63                       /* the model check makes do with fewer, */
#define FGW_BELL_TRIES 4                       /* and with less */
#endif
enum { FGW_BELL_TOPICS = 64, FGW_BELL_ALL = FGW_BELL_TOPICS };     /* ALL: heard in place of a topic */

struct fgw_bell {                              /* a column's, in shared memory; all zero: nobody listens, nothing was said */
    _Alignas(64) _Atomic uint64_t state;       /* enum fgw_bell_state; written by the owner */
    _Atomic uint64_t wants;                    /* bit t: topic t; written by the owner */
    _Alignas(64) _Atomic uint64_t pending;     /* bit i: look at m[i]; bit 63: at everything */
    _Atomic uint64_t m[FGW_BELL_ROOM];
};
_Static_assert(sizeof(struct fgw_bell) <= FGW_SHM_BELL, "a column has that much");
enum fgw_bell_state { FGW_BELL_IDLE, FGW_BELL_ASLEEP, FGW_BELL_AWAKE };

struct fgw_bells {                             /* a worker's end */
    struct fgw_shm *shm;
    struct fgw_loop *loop;
    uint32_t column;
    enum fgw_bell_state state;                 /* as in shared memory */
    uint64_t want;
    struct fgw_watch watch;
    struct fgw_job job;
    void (*heard)(struct fgw_bells *b, uint32_t topic, uint64_t what);       /* in settle or before it; may add jobs, want and unwant */
    uint64_t written;                          /* system calls made to wake others */
    int fd[FGW_SHM_WORKERS];                   /* the columns' eventfds; -1: not known (yet) */
};
void fgw_bells_init(struct fgw_bells *b, struct fgw_shm *m, uint32_t column, struct fgw_loop *loop,
                    void (*heard)(struct fgw_bells *, uint32_t topic, uint64_t what));
void fgw_bells_fini(struct fgw_bells *b);
/* A column's eventfd, which is duplicated; another one than before takes its place. -1: errno. */
int  fgw_bells_fd(struct fgw_bells *b, uint32_t column, int fd);

void fgw_bell_want(struct fgw_bells *b, uint32_t topic);       /* afterwards, look once more: who had news before did not know */
void fgw_bell_unwant(struct fgw_bells *b, uint32_t topic);
/* Tell one worker. `what` has at most 55 bits. */
void fgw_bell_ring(struct fgw_bells *b, uint32_t column, uint32_t topic, uint64_t what);
void fgw_bell_call_listening(struct fgw_bells *b, uint32_t topic, uint64_t what);
/* The next column after this one, in a circle and without ours, that wants this topic. -1: none. */
int  fgw_bell_next(struct fgw_bells *b, uint32_t topic, uint32_t after);
static inline bool fgw_bell_heard(struct fgw_bells *b)         /* somebody listens; it may be us */
{
    uint64_t any = atomic_load_explicit(&b->shm->listening[0], memory_order_seq_cst);
    for (uint32_t c = 64; fgw_unlikely(c < atomic_load_explicit(&b->shm->used, memory_order_relaxed)); c += 64)
        any |= atomic_load_explicit(&b->shm->listening[c / 64], memory_order_seq_cst);
    return any;
}
/* Tell all others who want this topic. */
static inline void fgw_bell_call(struct fgw_bells *b, uint32_t topic, uint64_t what)
{
    if (fgw_unlikely(fgw_bell_heard(b))) fgw_bell_call_listening(b, topic, what);
}
/* Of a worker that wants something: at the beginning of a turn, and after its settle. rest: true: something was heard, settle again. */
void fgw_bell_awake(struct fgw_bells *b);
bool fgw_bell_rest(struct fgw_bells *b);

/* Supervisor: its worker is dead, or another is. look_at_all: whoever calls it then writes to the column's eventfd. */
void fgw_bell_reset(struct fgw_shm *m, uint32_t column);
void fgw_bell_look_at_all(struct fgw_shm *m, uint32_t column);

#endif
