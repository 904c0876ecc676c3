/* base/arena.h: small data that dies together.
 *
 * Owner    an exchange (or a test). Starts in storage its owner embeds (`first`), goes on in 4 KiB blocks.
 * Memory   nothing is freed singly; fini drops all, and the arena is then empty but usable (blocks only, `first` is the
 *          owner's again). Nothing whose count grows with stream length goes in. Under ASan the free rest is poisoned,
 *          so fini must come before the storage of `first` is used for anything else.
 * Limit    `max` bytes in all (0: none); alloc beyond it is refused, as is out of memory: NULL.
 * Cost     a bump of a pointer; 8-byte aligned. */
#ifndef FGW_BASE_ARENA_H
#define FGW_BASE_ARENA_H
#include <stddef.h>
#include <stdint.h>
#include "base/block.h"
#include "base/poison.h"
#include "base/str.h"

struct fgw_arena {
    struct fgw_blocks *home;
    char *p, *end;                /* free room of the current piece */
    struct fgw_block *blocks;     /* chained by data's first word */
    uint32_t used, max;
};

void  fgw_arena_init(struct fgw_arena *a, struct fgw_blocks *home, void *first, size_t n, uint32_t max);
void  fgw_arena_fini(struct fgw_arena *a);
void *fgw_arena_more_(struct fgw_arena *a, size_t n);
static inline void *fgw_arena_alloc(struct fgw_arena *a, size_t n)
{
    FGW_CHECK(n <= UINT32_MAX);
    n = (n + 7) & ~(size_t)7;
    if (fgw_unlikely((size_t)(a->end - a->p) < n)) return fgw_arena_more_(a, n);
    void *r = a->p;
    FGW_UNPOISON(r, n);
    a->p += n; a->used += (uint32_t)n;
    return r;
}
/* A copy that lives as long as the arena. p == NULL: no room (an empty s gives a non-NULL p). */
struct fgw_str fgw_arena_dup(struct fgw_arena *a, struct fgw_str s);

#endif
