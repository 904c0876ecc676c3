#include "base/block.h"
#include "base/poison.h"
#include <stdbool.h>
#include <stdlib.h>

#define HEADER sizeof(struct fgw_block)
#define CAP(kib) ((uint32_t)(((kib) << 10) - HEADER))

static const struct { uint32_t cap, keep; } CLASSES[FGW_BLOCK_CLASSES] = {{CAP(4), 64}, {CAP(16), 64}, {CAP(64), 32}};

static inline unsigned class_of(size_t want)
{
    return (unsigned)(want > CAP(4)) + (unsigned)(want > CAP(16)) + (unsigned)(want > CAP(64));
}

void fgw_blocks_init(struct fgw_blocks *bs, uint64_t max_bytes)
{
    *bs = (struct fgw_blocks){.max_bytes = max_bytes};
}

void fgw_blocks_fini(struct fgw_blocks *bs)
{
    fgw_blocks_trim(bs);
    FGW_CHECK(bs->live == 0);
    FGW_CHECK(bs->bytes == 0);
}

static FGW_RARE void give_back(struct fgw_blocks *bs, struct fgw_block *b)
{
    bs->bytes -= HEADER + b->cap;
    bs->given += HEADER + b->cap;
    free(b);
}

void fgw_blocks_trim(struct fgw_blocks *bs)
{
    for (unsigned cls = 0; cls < FGW_BLOCK_CLASSES; cls++) {
        for (struct fgw_block *b = bs->free[cls], *next; b; b = next) {
            next = b->next;
            give_back(bs, b);
        }
        bs->free[cls] = NULL;
        bs->nfree[cls] = 0;
    }
}

uint64_t fgw_blocks_used(const struct fgw_blocks *bs)
{
    uint64_t cached = 0;
    for (unsigned cls = 0; cls < FGW_BLOCK_CLASSES; cls++) cached += (uint64_t)bs->nfree[cls] * (HEADER + CLASSES[cls].cap);
    return bs->bytes - cached;
}

static bool is_over(const struct fgw_blocks *bs, size_t more) { return bs->max_bytes && bs->bytes + more > bs->max_bytes; }

static FGW_RARE struct fgw_block *take(struct fgw_blocks *bs, size_t want, unsigned cls)
{
    if (want > FGW_BLOCK_MAX) return NULL;
    uint32_t cap = cls < FGW_BLOCK_CLASSES ? CLASSES[cls].cap : (uint32_t)((want + 15) & ~(size_t)15);
    if (is_over(bs, HEADER + cap)) {
        fgw_blocks_trim(bs);      /* free blocks of other classes count too: they make room first */
        if (is_over(bs, HEADER + cap)) return NULL;
    }
    bs->mallocs++;
    struct fgw_block *b = malloc(HEADER + cap);
    if (!b) return NULL;
    *b = (struct fgw_block){.refs = 1, .cap = cap, .home = bs, .cls = (uint8_t)cls};
    bs->bytes += HEADER + cap;
    bs->live++;
    return b;
}

struct fgw_block *fgw_block_get(struct fgw_blocks *bs, size_t want)
{
    unsigned cls = class_of(want);
    struct fgw_block *b;
    if (fgw_unlikely(cls == FGW_BLOCK_CLASSES) || fgw_unlikely(!(b = bs->free[cls]))) return take(bs, want, cls);
    FGW_CHECK(b->refs == 0 && b->home == bs);
    bs->free[cls] = b->next;
    bs->nfree[cls]--;
    bs->live++;
    b->refs = 1;
    b->next = NULL;
    FGW_UNPOISON(b->data, b->cap);
    return b;
}

void fgw_block_free_(struct fgw_block *b)
{
    struct fgw_blocks *bs = b->home;
    unsigned cls = b->cls;
    FGW_CHECK(b->refs == 0 && bs->live > 0);
    bs->live--;
    if (fgw_unlikely(cls == FGW_BLOCK_CLASSES) || fgw_unlikely(bs->nfree[cls] >= CLASSES[cls].keep)) {
        give_back(bs, b);
        return;
    }
    b->next = bs->free[cls];
    bs->free[cls] = b;
    bs->nfree[cls]++;
    FGW_POISON(b->data, b->cap);
}
