#include "io/wheel.h"

/* Where a timer sits, with `now` the time up to which all has been looked at:
 *
 *   level   the highest 6-bit digit in which its deadline differs from now      slot   that digit of the deadline
 *
 * so above that digit both agree and the slot is always greater than now's own digit: nothing wraps, the first slot of
 * the lowest level in use comes first, and moving now forward within (now, first slot) changes no timer's place.
 * A digit greater than another is never 0, which leaves slot 0 of every level unused. Two of them have a meaning:
 * level 0's holds what is due at the next advance, the top level's what lies beyond the top digit's next turn. */
enum { TOP = FGW_WHEEL_LEVELS - 1, SPAN_BITS = FGW_WHEEL_BITS * FGW_WHEEL_LEVELS };

struct place { unsigned level, slot; uint64_t at; };      /* at: when the slot is looked at */

void fgw_wheel_init(struct fgw_wheel *w, uint64_t now_ms)
{
    *w = (struct fgw_wheel){.now = now_ms};
    for (unsigned i = 0; i < FGW_WHEEL_LEVELS; i++)
        for (unsigned k = 0; k < FGW_WHEEL_SLOTS; k++) fgw_list_init(&w->slots[i][k]);
}

static inline uint64_t span_end(uint64_t now) { return ((now >> SPAN_BITS) + 1) << SPAN_BITS; }

static inline struct place place_of(uint64_t now, uint64_t deadline)
{
    if (deadline <= now) return (struct place){0, 0, 0};
    unsigned level = (unsigned)(63 - __builtin_clzll(deadline ^ now)) / FGW_WHEEL_BITS, shift = level * FGW_WHEEL_BITS;
    if (fgw_unlikely(level > TOP)) return (struct place){TOP, 0, span_end(now)};
    uint64_t digit = deadline >> shift;
    return (struct place){level, (unsigned)digit % FGW_WHEEL_SLOTS, digit << shift};
}

static inline void put(struct fgw_wheel *w, struct fgw_timer *t)
{
    struct place at = place_of(w->now, t->deadline);
    t->slot_at = at.at;
    w->bits[at.level] |= 1ull << at.slot;
    fgw_list_push(&w->slots[at.level][at.slot], &t->link);
}

/* A lone timer's neighbours are both the head of its slot, unless advance() holds it on its own list. */
static inline void take(struct fgw_wheel *w, struct fgw_timer *t)
{
    struct fgw_link *next = t->link.next;
    bool lone = next == t->link.prev;
    fgw_link_remove(&t->link);
    size_t i = ((uintptr_t)next - (uintptr_t)w->slots) / sizeof(struct fgw_link);
    if (lone && i < FGW_WHEEL_LEVELS * FGW_WHEEL_SLOTS) w->bits[i / FGW_WHEEL_SLOTS] &= ~(1ull << i % FGW_WHEEL_SLOTS);
}

void fgw_timer_set(struct fgw_wheel *w, struct fgw_timer *t, uint64_t deadline_ms)
{
    bool armed = fgw_timer_armed(t);
    t->deadline = deadline_ms | !deadline_ms;     /* 0 would say "not armed"; 1 is as far in the past */
    if (fgw_likely(armed)) {
        if (fgw_likely(t->deadline >= t->slot_at)) return;
        take(w, t);
    } else {
        w->armed++;
    }
    put(w, t);
}

void fgw_timer_cancel(struct fgw_wheel *w, struct fgw_timer *t)
{
    if (!fgw_timer_armed(t)) return;
    FGW_CHECK(w->armed > 0);
    take(w, t);
    t->deadline = 0;
    w->armed--;
}

/* The slot that comes first after now, the due one left out; false: there is none. */
static bool first_place(const struct fgw_wheel *w, struct place *first)
{
    for (unsigned level = 0; level <= TOP; level++) {
        uint64_t bits = w->bits[level] & ~1ull;
        if (!bits) continue;
        unsigned slot = (unsigned)__builtin_ctzll(bits), shift = level * FGW_WHEEL_BITS;
        uint64_t above = w->now >> shift >> FGW_WHEEL_BITS << FGW_WHEEL_BITS;
        *first = (struct place){level, slot, (above | slot) << shift};
        FGW_CHECK(first->at > w->now);
        return true;
    }
    *first = (struct place){TOP, 0, span_end(w->now)};
    return w->bits[TOP] & 1;
}

uint64_t fgw_wheel_next(const struct fgw_wheel *w)
{
    struct place first;
    if (w->bits[0] & 1) return w->now;
    return first_place(w, &first) ? first.at : UINT64_MAX;
}

static void empty_slot(struct fgw_wheel *w, unsigned level, unsigned slot, struct fgw_link *into)
{
    fgw_list_splice(into, &w->slots[level][slot]);
    w->bits[level] &= ~(1ull << slot);
}

/* now has come to this slot: what is due by `until` goes to the due list, the rest nearer to its deadline. */
static void look_at(struct fgw_wheel *w, struct place at, uint64_t until, struct fgw_link *due)
{
    struct fgw_link slot, *n;
    fgw_list_init(&slot);
    empty_slot(w, at.level, at.slot, &slot);
    w->now = at.at;
    while ((n = fgw_list_pop(&slot))) {
        struct fgw_timer *t = fgw_container(n, struct fgw_timer, link);
        if (t->deadline > until) {
            put(w, t);
        } else {
            t->slot_at = 0;       /* so that set() only stores, whatever it is told before we get there */
            fgw_list_push(due, n);
        }
    }
}

/* Timers are fired after all slots have been passed: a fire function sees a wheel at rest, and what it sets for the
 * past waits for the next advance, so this ends. */
void fgw_wheel_advance(struct fgw_wheel *w, uint64_t now_ms)
{
    struct fgw_link due, *n;
    struct place at;
    FGW_CHECK(now_ms >= w->now);
    fgw_list_init(&due);
    empty_slot(w, 0, 0, &due);
    while (first_place(w, &at) && at.at <= now_ms) look_at(w, at, now_ms, &due);
    if (now_ms > w->now) w->now = now_ms;
    while ((n = fgw_list_pop(&due))) {
        struct fgw_timer *t = fgw_container(n, struct fgw_timer, link);
        if (t->deadline > w->now) {
            put(w, t);
            continue;
        }
        t->deadline = 0;
        w->armed--;
        t->fire(t);
    }
}
