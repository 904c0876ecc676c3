#include "upstream/endpoint.h"
#include <stddef.h>
#include <string.h>
#include "base/check.h"

typedef uint64_t __attribute__((may_alias)) word;
enum { WORDS = sizeof(struct fgw_endpoint) / sizeof(word), TRIES = 3 };
_Static_assert(sizeof(struct fgw_endpoint) % sizeof(word) == 0 && offsetof(struct fgw_eptable_copy, e) % sizeof(word) == 0,
               "a copy is made of whole words");
_Static_assert(offsetof(struct fgw_eptable, copies) % sizeof(word) == 0, "and lies on a word");

static uint64_t copy_size(uint32_t cap) { return offsetof(struct fgw_eptable_copy, e) + (uint64_t)cap * sizeof(struct fgw_endpoint); }
static struct fgw_eptable_copy *copy_of(struct fgw_eptable *t, uint32_t version)
{
    return (struct fgw_eptable_copy *)(t->copies + (version & 1) * copy_size(t->cap));
}

uint64_t fgw_eptable_size(uint32_t cap) { return sizeof(struct fgw_eptable) + 2 * copy_size(cap); }

void fgw_eptable_init(struct fgw_eptable *t, uint32_t cap)
{
    FGW_CHECK(((uintptr_t)t & 7) == 0);
    t->cap = cap;
    atomic_store_explicit(&t->version, 0, memory_order_release);
}

void fgw_eptable_publish(struct fgw_eptable *t, const struct fgw_endpoint *e, uint32_t n)
{
    FGW_CHECK(n <= t->cap);
    uint32_t next = atomic_load_explicit(&t->version, memory_order_relaxed) + 1;
    if (next == 0) next = 2;                         /* 0 is "never written"; the copy alternates as ever */
    struct fgw_eptable_copy *c = copy_of(t, next);

    atomic_store_explicit((_Atomic uint32_t *)&c->count, n, memory_order_release);
    for (uint32_t i = 0; i < n; i++) {
        word w[WORDS];
        memcpy(w, &e[i], sizeof w);
        for (unsigned k = 0; k < WORDS; k++) atomic_store_explicit((_Atomic word *)&c->e[i] + k, w[k], memory_order_release);
    }
    atomic_store_explicit(&t->version, next, memory_order_release);
}

/* Copy one version out; meaningless unless the version has stayed. */
static uint32_t copy_out(struct fgw_eptable *t, uint32_t version, struct fgw_endpoint *out, uint32_t max)
{
    struct fgw_eptable_copy *c = copy_of(t, version);
    uint32_t n = atomic_load_explicit((_Atomic uint32_t *)&c->count, memory_order_acquire);
    if (n > t->cap) n = t->cap;
    if (n > max) n = max;
    for (uint32_t i = 0; i < n; i++) {
        word w[WORDS];
        for (unsigned k = 0; k < WORDS; k++) w[k] = atomic_load_explicit((_Atomic word *)&c->e[i] + k, memory_order_acquire);
        memcpy(&out[i], w, sizeof w);
    }
    return n;
}

int fgw_eptable_read(struct fgw_eptable *t, uint32_t *seen, struct fgw_endpoint *out, uint32_t max)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t version = atomic_load_explicit(&t->version, memory_order_acquire);
        if (version == *seen || version == 0) return -1;
        uint32_t n = copy_out(t, version, out, max);
        if (atomic_load_explicit(&t->version, memory_order_relaxed) != version) continue;
        *seen = version;
        return (int)n;
    }
    return -1;
}
