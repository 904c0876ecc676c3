#include "base/slab.h"
#include "base/check.h"
#include "base/poison.h"
#include <stdlib.h>
#ifdef FGW_DEBUG
#include <stdio.h>
#endif

enum { CHUNK_BYTES = 64 << 10, MALLOC_OWN = 16 };   /* what malloc adds: a chunk stays within whole pages */

struct hole { struct hole *next; };                 /* what a free object holds */
struct chunk {
    struct fgw_link all, partial;
    struct hole *holes;           /* sifted */
    uint32_t nholes;
    _Alignas(16) char objects[];
};

void fgw_slab_init(struct fgw_slab *s, const char *name, size_t size)
{
    FGW_CHECK(size > 0 && size < UINT32_MAX - 16);
    size_t room = CHUNK_BYTES - MALLOC_OWN - sizeof(struct chunk);
    size = (size + 15) & ~(size_t)15;
    *s = (struct fgw_slab){.name = name, .size = (uint32_t)size, .per_chunk = size < room ? (uint32_t)(room / size) : 1};
    fgw_list_init(&s->all), fgw_list_init(&s->partial);
}

static size_t chunk_bytes(const struct fgw_slab *s) { return sizeof(struct chunk) + (size_t)s->per_chunk * s->size; }
uint64_t fgw_slab_bytes(const struct fgw_slab *s) { return s->chunks * chunk_bytes(s); }

static void chunk_free(struct fgw_slab *s, struct chunk *c)
{
    fgw_link_remove(&c->all), fgw_link_remove(&c->partial);
    FGW_UNPOISON(c->objects, (size_t)s->per_chunk * s->size);
    free(c);
    s->chunks--;
}

/* The next search is in what there is then. */
static void sift_over(struct fgw_slab *s)
{
    free(s->sorted);
    s->sorted = NULL;
}

void fgw_slab_fini(struct fgw_slab *s)
{
#ifdef FGW_DEBUG
    if (s->live) fprintf(stderr, "slab %s: %llu objects are still live\n", s->name, (unsigned long long)s->live);
#endif
    FGW_CHECK(s->live == 0);
    for (struct fgw_link *k; (k = fgw_list_first(&s->all)); ) chunk_free(s, fgw_container(k, struct chunk, all));
    sift_over(s);
    s->free = NULL;
    s->live = 0;
}

/* Threads the new objects in the order of their addresses, so that the first ones taken are neighbours. */
static bool chunk_add(struct fgw_slab *s)
{
    struct chunk *c = malloc(chunk_bytes(s));
    if (!c) return false;
    *c = (struct chunk){.nholes = 0};
    fgw_list_push(&s->all, &c->all);
    s->chunks++;
    sift_over(s);
    struct hole *next = s->free;
    for (uint32_t i = s->per_chunk; i-- > 0;) {
        struct hole *o = (struct hole *)(void *)(c->objects + (size_t)i * s->size);
        o->next = next;
        next = o;
        FGW_POISON(o, s->size);
    }
    s->free = next;
    return true;
}

static FGW_RARE void *get_first_of_chunk(struct fgw_slab *s)
{
    struct fgw_link *k = fgw_list_pop(&s->partial);
    if (!k) return chunk_add(s) ? fgw_slab_get(s) : NULL;
    struct chunk *c = fgw_container(k, struct chunk, partial);
    s->free = c->holes;
    c->holes = NULL, c->nholes = 0;
    return fgw_slab_get(s);
}

void *fgw_slab_get(struct fgw_slab *s)
{
    struct hole *o = s->free;
    if (fgw_unlikely(!o)) return get_first_of_chunk(s);
    FGW_UNPOISON(o, s->size);
    s->free = o->next;
    s->live++;
    return o;
}

void fgw_slab_put(struct fgw_slab *s, void *p)
{
    if (!p) return;
    FGW_CHECK(s->live > 0);
    struct hole *o = p;
    o->next = s->free;            /* a second put of the same object is a write to poisoned memory */
    s->free = o;
    s->live--;
    FGW_POISON(o, s->size);
}

/* ---- sifting ---- */
static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;
    return (x > y) - (x < y);
}

static bool sift_begin(struct fgw_slab *s)
{
    uint32_t n = 0;
    if (!s->free || !(s->sorted = malloc(s->chunks * sizeof *s->sorted))) return false;
    for (struct fgw_link *k = s->all.next; k != &s->all; k = k->next) s->sorted[n++] = fgw_container(k, struct chunk, all);
    s->nsorted = n;
    qsort(s->sorted, n, sizeof *s->sorted, by_address);
    return true;
}

/* Chunks that are gone are still among the addresses, but no object is in them. */
static struct chunk *chunk_of(const struct fgw_slab *s, const void *p)
{
    uint32_t low = 0, high = s->nsorted;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if ((uintptr_t)s->sorted[mid] <= (uintptr_t)p) low = mid;
        else high = mid;
    }
    return s->sorted[low];
}

bool fgw_slab_sift(struct fgw_slab *s, uint32_t most)
{
    if (!s->sorted && !sift_begin(s)) return false;
    for (struct hole *o; most && (o = s->free); most--) {
        struct chunk *c = chunk_of(s, o);
        FGW_UNPOISON(o, sizeof *o);
        s->free = o->next;
        o->next = c->holes;
        FGW_POISON(o, sizeof *o);
        c->holes = o;
        if (!c->nholes++) fgw_list_push(&s->partial, &c->partial);
        if (c->nholes == s->per_chunk && s->chunks > 1) chunk_free(s, c);
    }
    if (s->free) return true;
    sift_over(s);
    return false;
}
