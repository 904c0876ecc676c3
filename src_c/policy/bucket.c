#include "policy/bucket.h"
#include "base/check.h"

#define FRESH (1ull << 63)                             /* an entry that has paid nothing yet; below it a stamp */
enum { ANNOUNCED = 1, ENTRY_SHIFT = 1, NUMBER_SHIFT = 8 };

typedef struct fgw_pair_value value;

static inline uint64_t look(_Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_seq_cst); }
static inline uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

enum outcome { CHANGED, PASS, REFUSE };

/* ---- one entry ---- */
static enum outcome charge(struct fgw_bucket_set *s, uint32_t i, uint64_t now, uint64_t cost, uint64_t tau, struct fgw_bucket *b)
{
    struct fgw_pair *e = &s->e[i];
    uint64_t was = look(&e->hi), from = was;
    if (fgw_unlikely(was & FRESH)) from = later(was & ~FRESH, look(&s->shared));
    from = later(from, now);
    uint64_t to = from + cost;
    b->entry = i;
    if (to > now + tau) {
        b->full_at = from;
        if (fgw_unlikely(was & FRESH))                 /* from here on it ages by itself, whatever others do to the shared one */
            return fgw_pair_cas(e, (value){b->tag, was}, (value){b->tag, from}) ? REFUSE : CHANGED;
        return look(&e->lo) == b->tag ? REFUSE : CHANGED;   /* the tag once more: was this time that key's? */
    }
    if (fgw_unlikely(!fgw_pair_cas(e, (value){b->tag, was}, (value){b->tag, to}))) return CHANGED;
    b->full_at = b->after = to, b->before = was;
    return PASS;
}

static inline uint32_t find(struct fgw_bucket_set *s, uint64_t tag)
{
    uint32_t i = 0;
    while (i < FGW_BUCKET_WAYS && look(&s->e[i].lo) != tag) i++;
    return i;
}

/* ---- inserting ---- */

/* What is announced, both words of one announcement: the number changes with every one. */
static value insertion(struct fgw_bucket_set *s)
{
    for (;;) {
        value a = {look(&s->insertion.lo), look(&s->insertion.hi)};
        if (look(&s->insertion.lo) == a.lo) return a;
    }
}

/* Finish what is announced in `a`. The entry is empty until this is done, and only then: nobody empties while something is
 * announced. The second look at the number makes sure that the emptiness seen is the announced one. */
static void finish(struct fgw_bucket_set *s, value a)
{
    struct fgw_pair *e = &s->e[(a.lo >> ENTRY_SHIFT) & 0x7f];
    uint64_t stamp = look(&e->hi), tag = look(&e->lo);
    if (look(&s->insertion.lo) != a.lo) return;
    if (tag == 0) fgw_pair_cas(e, (value){0, stamp}, (value){a.hi, FRESH | (stamp + 1)});
    fgw_pair_cas(&s->insertion, a, (value){((a.lo >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT, 0});
}

/* An entry that a new key may have: empty, or full and so emptied now. FGW_BUCKET_WAYS: none, or CHANGED meanwhile. */
static uint32_t make_room(struct fgw_bucket_set *s, value a, uint64_t now, bool *changed)
{
    uint32_t full = FGW_BUCKET_WAYS;
    value found = {0, 0};
    for (uint32_t i = 0; i < FGW_BUCKET_WAYS; i++) {
        value v = {look(&s->e[i].lo), look(&s->e[i].hi)};
        if (v.lo == 0) return i;
        if (v.hi & FRESH) {                            /* who put it there has not come to use it yet, or never will: let it age */
            fgw_pair_cas(&s->e[i], v, (value){v.lo, later(later(v.hi & ~FRESH, now), look(&s->shared))});
            continue;
        }
        if (v.hi < now && full == FGW_BUCKET_WAYS) full = i, found = v;    /* < : two newcomers do not drive each other out for ever */
    }
    if (full == FGW_BUCKET_WAYS) return full;
    if (look(&s->insertion.lo) == a.lo && fgw_pair_cas(&s->e[full], found, (value){0, found.hi})) return full;
    *changed = true;
    return FGW_BUCKET_WAYS;
}

/* ---- the shared bucket ---- */
static enum outcome charge_shared(struct fgw_bucket_set *s, uint64_t now, uint64_t cost, uint64_t tau, struct fgw_bucket *b)
{
    uint64_t was = look(&s->shared), from, to;
    do {
        from = later(was, now), to = from + cost;
        b->full_at = from;
        if (to > now + tau) return REFUSE;
    } while (!atomic_compare_exchange_strong_explicit(&s->shared, &was, to, memory_order_seq_cst, memory_order_seq_cst));
    b->full_at = b->after = to, b->before = was;
    b->was_shared = true;
    return PASS;
}

/* The key had no entry. Give it one (CHANGED: it may have one now), or let it pay into the shared bucket. */
static FGW_RARE enum outcome newcomer(struct fgw_bucket_set *s, uint64_t now, uint64_t cost, uint64_t tau, struct fgw_bucket *b)
{
    value a = insertion(s);
    bool changed = false;
    if (a.lo & ANNOUNCED) return finish(s, a), CHANGED;
    if (find(s, b->tag) < FGW_BUCKET_WAYS) return CHANGED;
    if (b->was_shared) {                               /* paid before: and no entry came since? */
        b->full_at = b->after;
        return look(&s->insertion.lo) == a.lo ? PASS : CHANGED;
    }
    uint32_t i = make_room(s, a, now, &changed);
    if (changed) return CHANGED;
    if (i < FGW_BUCKET_WAYS) {
        value mine = {((a.lo >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT | i << ENTRY_SHIFT | ANNOUNCED, b->tag};
        if (fgw_pair_cas(&s->insertion, a, mine)) finish(s, mine);
        return CHANGED;
    }
    if (look(&s->insertion.lo) != a.lo) return CHANGED;
    enum outcome o = charge_shared(s, now, cost, tau, b);
    return look(&s->insertion.lo) == a.lo ? o : CHANGED;
}

struct fgw_bucket fgw_bucket_take(struct fgw_bucket_set *s, uint64_t tag, uint64_t now, uint64_t cost, uint64_t tau)
{
    struct fgw_bucket b = {.set = s, .tag = tag};
    enum outcome o;
    do {
        uint32_t i = find(s, tag);
        if (fgw_likely(i < FGW_BUCKET_WAYS)) {
            o = charge(s, i, now, cost, tau, &b);
            if (o == PASS) b.was_shared = false;       /* a payment into the shared bucket, made before the entry came, stays there */
        } else o = newcomer(s, now, cost, tau, &b);
    } while (fgw_unlikely(o == CHANGED));
    b.pass = o == PASS;
    return b;
}

bool fgw_bucket_put_back(const struct fgw_bucket *b)
{
    uint64_t after = b->after;
    if (!b->pass) return false;
    if (b->was_shared) return atomic_compare_exchange_strong_explicit(&b->set->shared, &after, b->before, memory_order_seq_cst, memory_order_seq_cst);
    return fgw_pair_cas(&b->set->e[b->entry], (value){b->tag, b->after}, (value){b->tag, b->before});
}
