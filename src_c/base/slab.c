#include "base/slab.h"
#include "base/check.h"
#include "base/poison.h"
#include <stdbool.h>
#include <stdlib.h>
#ifdef FGW_DEBUG
#include <stdio.h>
#endif

enum { CHUNK_BYTES = 64 << 10, MALLOC_OWN = 16 };   /* what malloc adds: a chunk stays within whole pages */

struct chunk { struct chunk *next; _Alignas(16) char objects[]; };
struct hole { struct hole *next; };                 /* what a free object holds */

void fgw_slab_init(struct fgw_slab *s, const char *name, size_t size)
{
    FGW_CHECK(size > 0 && size < UINT32_MAX - 16);
    size_t room = CHUNK_BYTES - MALLOC_OWN - sizeof(struct chunk);
    size = (size + 15) & ~(size_t)15;
    *s = (struct fgw_slab){.name = name, .size = (uint32_t)size, .per_chunk = size < room ? (uint32_t)(room / size) : 1};
}

void fgw_slab_fini(struct fgw_slab *s)
{
#ifdef FGW_DEBUG
    if (s->live) fprintf(stderr, "slab %s: %llu objects are still live\n", s->name, (unsigned long long)s->live);
#endif
    FGW_CHECK(s->live == 0);
    for (struct chunk *c = s->first_chunk, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    s->free = s->first_chunk = NULL;
    s->live = s->chunks = 0;
}

/* Threads the new objects in the order of their addresses, so that the first ones taken are neighbours. */
static bool chunk_add(struct fgw_slab *s)
{
    struct chunk *c = malloc(sizeof(*c) + (size_t)s->per_chunk * s->size);
    if (!c) return false;
    c->next = s->first_chunk;
    s->first_chunk = c;
    s->chunks++;
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

static FGW_RARE void *get_first_of_chunk(struct fgw_slab *s) { return chunk_add(s) ? fgw_slab_get(s) : NULL; }

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
