/* base/block.h: refcounted blocks of bytes, the only place where message bytes live.
 *
 * Owner    a `fgw_blocks` (one a worker) hands them out and takes them back; its free lists are LIFO, so the
 *          block given next is the one that is still in the cache.
 * Memory   three classes of capacity (4, 16, 64 KiB less the header) plus exact ones up to FGW_BLOCK_MAX, which go
 *          back to malloc. Cached free blocks are bounded per class (64 x 4K, 64 x 16K, 32 x 64K); beyond it they are freed.
 * Thread   one. refs is a plain integer.
 * Holds    a block with refs == 0 is on a free list or gone. live counts blocks with refs > 0; fini demands 0 (FGW_CHECK).
 *          Under ASan a free block's data is poisoned.
 * Cost     get/unref O(1), no allocation when the class has a free block. */
#ifndef FGW_BASE_BLOCK_H
#define FGW_BASE_BLOCK_H
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"

#define FGW_BLOCK_MAX (16u << 20)

struct fgw_blocks;
struct fgw_block {
    uint32_t refs;
    uint32_t cap;                 /* bytes in data */
    struct fgw_blocks *home;
    struct fgw_block *next;       /* free list; NULL while referenced */
    uint8_t cls;                  /* index of its class; FGW_BLOCK_CLASSES: exact */
    _Alignas(16) char data[];
};

enum { FGW_BLOCK_CLASSES = 3 };
struct fgw_blocks {
    struct fgw_block *free[FGW_BLOCK_CLASSES];
    uint32_t nfree[FGW_BLOCK_CLASSES];
    uint64_t live, bytes;         /* referenced blocks; bytes taken from malloc, cached ones included */
    uint64_t mallocs;             /* how often malloc was asked: must stand still in the steady state */
    uint64_t given;               /* bytes given back to malloc, ever */
    uint64_t max_bytes;           /* 0: no cap. Above it get() refuses. */
};

void fgw_blocks_init(struct fgw_blocks *bs, uint64_t max_bytes);
void fgw_blocks_fini(struct fgw_blocks *bs);
uint64_t fgw_blocks_used(const struct fgw_blocks *bs);   /* bytes of referenced blocks: without the cached ones */
void fgw_blocks_trim(struct fgw_blocks *bs);      /* give cached free blocks back to malloc */

/* One reference, cap >= want. NULL: want > FGW_BLOCK_MAX, over max_bytes, or no memory. */
struct fgw_block *fgw_block_get(struct fgw_blocks *bs, size_t want);
void fgw_block_free_(struct fgw_block *b);        /* refs has reached 0 */

static inline struct fgw_block *fgw_block_ref(struct fgw_block *b) { FGW_CHECK(b->refs > 0); b->refs++; return b; }
static inline void fgw_block_unref(struct fgw_block *b)
{
    FGW_CHECK(b->refs > 0);
    if (--b->refs == 0) fgw_block_free_(b);
}

/* Bytes in a block, with one reference of it. A zeroed span is empty and holds nothing. */
struct fgw_span { struct fgw_block *b; uint32_t off, len; };
static inline const char *fgw_span_p(struct fgw_span s) { return s.b->data + s.off; }
static inline struct fgw_span fgw_span_ref(struct fgw_span s) { if (s.b) fgw_block_ref(s.b); return s; }
static inline void fgw_span_drop(struct fgw_span *s) { if (s->b) fgw_block_unref(s->b); *s = (struct fgw_span){0}; }

#endif
