/* io/loop.h: one thread's events, timers, and the single way out of every entry: settle.
 *
 *   turn   = epoll_wait(0) ─► ready(fd) ... ─► timers due ─┐
 *   a call from outside (Python hook done, send) ──────────┴─► settle = ready list ─► flush dirty ─► free the dead ─► arm timer
 *
 * Owner    a worker (or a test); single thread. Watches, ready, dirty and dead nodes are embedded in what they serve.
 * Rules    downward calls only queue work here (dirty, dead): no I/O, no free, no call up. Freeing waits for settle, so an event of
 *          the same batch never meets freed memory, and closed descriptors' numbers are not reused within a batch.
 * Ready    work that epoll cannot see. While the list is not empty an eventfd of the set stays readable.
 * Stalls   time in which this thread should have run and did not (stopped, starved, held by a hook) is nobody's slowness but ours. It
 *          is known from how late the turn after it comes: while any timer is set the loop wakes at least once a second.
 * Cost     steady state: one epoll_wait a turn; the timerfd is set only when the first deadline comes earlier than armed, and when it
 *          was due. */
#ifndef FGW_IO_LOOP_H
#define FGW_IO_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "io/wheel.h"

struct fgw_watch { int fd; uint32_t events; void (*ready)(struct fgw_watch *w, uint32_t events); };
struct fgw_job   { struct fgw_link link; void (*run)(struct fgw_job *j); };     /* an entry of ready, dirty or dead */

enum { FGW_LOOP_EVENTS = 256, FGW_LOOP_CLOCK_EVERY = 16, FGW_LOOP_ROUNDS = 4,
       FGW_LOOP_TICK_MS = 1000, FGW_LOOP_LATE_MS = 250 };    /* later than that is a stall */
struct fgw_loop {
    int ep, timer_fd, event_fd;
    struct fgw_clock clock;
    struct fgw_wheel wheel;
    struct fgw_blocks blocks;
    struct fgw_bufs bufs;
    struct fgw_block *in;             /* where small reads go, shared by all conns; one reference */
    uint32_t in_fill;
    struct fgw_link ready, dirty, dead;
    uint64_t timer_at;                /* ms the timerfd is armed for; UINT64_MAX: not */
    uint64_t stalled_ms;              /* all stalls together */
    bool awake;                       /* the eventfd is readable */
    struct fgw_watch timer_watch, event_watch;
    uint64_t turns, events;
};

int  fgw_loop_init(struct fgw_loop *l, const struct fgw_clock_source *clock, uint64_t memory_max);   /* -1: errno */
void fgw_loop_fini(struct fgw_loop *l);                /* everything registered must be gone */
int  fgw_loop_turn(struct fgw_loop *l, int wait_ms);   /* events served; the caller settles afterwards */
void fgw_loop_settle(struct fgw_loop *l);
void fgw_loop_pass(struct fgw_loop *l);                /* a clock that is told has been moved on: timers are due, and it is no stall */

int  fgw_watch_add(struct fgw_loop *l, struct fgw_watch *w, uint32_t events);    /* -1: errno */
void fgw_watch_mod(struct fgw_loop *l, struct fgw_watch *w, uint32_t events);    /* no call when nothing changes */
void fgw_watch_del(struct fgw_loop *l, struct fgw_watch *w);

static inline void fgw_job_add(struct fgw_link *list, struct fgw_job *j) { if (!fgw_link_in(&j->link)) fgw_list_push(list, &j->link); }
static inline uint64_t fgw_loop_ms(const struct fgw_loop *l) { return l->clock.mono_ms; }
/* A clock that stands still in stalls: by it a peer's speed is measured, and how long it is silent. */
static inline uint64_t fgw_loop_ran_ms(const struct fgw_loop *l) { return l->clock.mono_ms - l->stalled_ms; }
static inline void fgw_loop_timer(struct fgw_loop *l, struct fgw_timer *t, uint64_t in_ms)      /* 0: never */
{
    if (in_ms) fgw_timer_set(&l->wheel, t, l->clock.mono_ms + in_ms);
    else fgw_timer_cancel(&l->wheel, t);
}
#endif
