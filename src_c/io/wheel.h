/* io/wheel.h: timers, 1 ms tick, hierarchical (Varghese, Lauck: "Hashed and hierarchical timing wheels", 1987).
 *
 * Owner    a loop; single thread. The timer is embedded in what it times; its fire function may set or cancel any timer.
 * Lazy     moving a deadline later only stores it: the entry is looked at when its old slot comes and put forward then.
 *          So the steady state (a deadline pushed back at every request) touches one word.
 * Holds    armed timers are in exactly one slot; fire is called once, at the first advance with now >= deadline, never before.
 *          Those due in one advance fire in no promised order; one that fire sets for a time that has passed waits for the
 *          next advance, so an advance ends. fire must not call advance or next.
 * Cost     set O(1), cancel O(1), advance O(slots passed + entries due); next: O(levels) by bitmaps. */
#ifndef FGW_IO_WHEEL_H
#define FGW_IO_WHEEL_H
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

struct fgw_timer {
    struct fgw_link link;         /* its slot */
    uint64_t deadline;            /* ms, monotonic; 0: not armed */
    uint64_t slot_at;             /* ms at which its slot is looked at */
    void (*fire)(struct fgw_timer *t);
};

enum { FGW_WHEEL_BITS = 6, FGW_WHEEL_LEVELS = 6, FGW_WHEEL_SLOTS = 1 << FGW_WHEEL_BITS };  /* 2^36 ms: two years */
struct fgw_wheel {
    uint64_t now;                 /* ms: all slots up to here have been looked at */
    uint64_t armed;               /* timers in slots */
    uint64_t bits[FGW_WHEEL_LEVELS];
    struct fgw_link slots[FGW_WHEEL_LEVELS][FGW_WHEEL_SLOTS];
};

void fgw_wheel_init(struct fgw_wheel *w, uint64_t now_ms);
void fgw_timer_set(struct fgw_wheel *w, struct fgw_timer *t, uint64_t deadline_ms);  /* a past deadline fires at the next advance */
void fgw_timer_cancel(struct fgw_wheel *w, struct fgw_timer *t);                      /* fine when not armed */
static inline bool fgw_timer_armed(const struct fgw_timer *t) { return t->deadline != 0; }
void fgw_wheel_advance(struct fgw_wheel *w, uint64_t now_ms);                         /* fires what is due */
uint64_t fgw_wheel_next(const struct fgw_wheel *w);      /* a time <= the first possible fire (may be early, never late); UINT64_MAX: none */

#endif
