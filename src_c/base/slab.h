/* base/slab.h: objects of one size.
 *
 * Owner    whoever embeds it, one a kind of object a worker; it may not be moved. `name` appears in the live-object report.
 * Memory   chunks of about 64 KiB; free objects are a LIFO list threaded through them. They stay until fini, or until sift finds all objects of
 *          one free. An object comes back dirty: callers initialise what they use. Under ASan free objects are poisoned.
 * Sifting  get and put know nothing of chunks. sift takes free objects from the list, a bounded number a call, and hangs each on its chunk; a
 *          chunk that has all of its own is given back (never the last one), the others are where get looks before it asks malloc.
 *
 *            put ──► free ──► get ◄── free is empty: the next chunk's ◄─┐
 *                     └───sift──► on its chunk ─────────────────────────┴─ all of them there ──► malloc's again
 * Thread   one.
 * Holds    live = got - put; fini demands 0 (FGW_CHECK). live + listed + hanging on chunks = chunks x per_chunk.
 * Cost     get and put O(1); malloc only when a chunk is added (counted in chunks). sift: one search among the chunks for an object. */
#ifndef FGW_BASE_SLAB_H
#define FGW_BASE_SLAB_H
#include <stdint.h>
#include "base/list.h"

struct fgw_slab {
    const char *name;
    uint32_t size;                /* of one object, rounded up to 16 */
    uint32_t per_chunk;
    uint64_t live, chunks;
    void *free;
    struct fgw_link all, partial; /* chunks; those that sifted objects hang on */
    void **sorted;                /* addresses of chunks while sifting */
    uint32_t nsorted;
};

void  fgw_slab_init(struct fgw_slab *s, const char *name, size_t size);
void  fgw_slab_fini(struct fgw_slab *s);
void *fgw_slab_get(struct fgw_slab *s);           /* 16-byte aligned; NULL: no memory */
void  fgw_slab_put(struct fgw_slab *s, void *p);  /* NULL is fine */
uint64_t fgw_slab_bytes(const struct fgw_slab *s);                /* taken from malloc */
/* At most so many objects. true: there is more to do; call again when there is time. */
bool  fgw_slab_sift(struct fgw_slab *s, uint32_t most);

#endif
