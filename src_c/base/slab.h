/* base/slab.h: objects of one size.
 *
 * Owner    whoever embeds it, one a kind of object a worker. `name` appears in the live-object report.
 * Memory   chunks of about 64 KiB, kept until fini; free objects are a LIFO list threaded through them.
 *          An object comes back dirty: callers initialise what they use. Under ASan free objects are poisoned.
 * Thread   one.
 * Holds    live = got - put; fini demands 0 (FGW_CHECK).
 * Cost     O(1); malloc only when a chunk is added (counted in chunks). */
#ifndef FGW_BASE_SLAB_H
#define FGW_BASE_SLAB_H
#include <stddef.h>
#include <stdint.h>

struct fgw_slab {
    const char *name;
    uint32_t size;                /* of one object, rounded up to 16 */
    uint32_t per_chunk;
    uint64_t live, chunks;
    void *free, *first_chunk;
};

void  fgw_slab_init(struct fgw_slab *s, const char *name, size_t size);
void  fgw_slab_fini(struct fgw_slab *s);
void *fgw_slab_get(struct fgw_slab *s);           /* 16-byte aligned; NULL: no memory */
void  fgw_slab_put(struct fgw_slab *s, void *p);  /* NULL is fine */

#endif
