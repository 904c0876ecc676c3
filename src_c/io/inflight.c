#include "io/inflight.h"

enum { SETS = FGW_SHM_INFLIGHT / sizeof(struct fgw_inflight_set), COUNT_BITS = 24 };
#define COUNT(word) ((word) & ((1ull << COUNT_BITS) - 1))

static struct fgw_inflight_set *set_of(struct fgw_shm *m, uint32_t column, uint64_t key)
{
    return (struct fgw_inflight_set *)((char *)m + m->inflight_off + (uint64_t)column * FGW_SHM_INFLIGHT) + key % SETS;
}
/* The bits that do not pick the set come first; never 0, which is what an unused entry has. */
static uint64_t tag_of(uint64_t key) { return (key & ~((1ull << COUNT_BITS) - 1)) | 1ull << 63; }

static inline uint64_t look(_Atomic uint64_t *p) { return atomic_load_explicit(p, memory_order_seq_cst); }

static uint64_t counted(struct fgw_inflight_set *s, uint64_t tag)
{
    uint64_t n = 0;
    for (int i = 0; i < FGW_INFLIGHT_WAYS; i++) {
        uint64_t w = look(&s->e[i]);
        if (w - COUNT(w) == tag) n += COUNT(w);
    }
    return n + look(&s->shared);
}

uint64_t fgw_inflight_sum(struct fgw_shm *m, uint64_t key)
{
    uint64_t n = 0;
    uint32_t used = atomic_load_explicit(&m->used, memory_order_acquire);
    for (uint32_t c = 0; c < used && c < m->workers; c++) n += counted(set_of(m, c, key), tag_of(key));
    return n;
}

_Atomic uint64_t *fgw_inflight_add(struct fgw_shm *m, uint32_t column, uint64_t key)
{
    struct fgw_inflight_set *s = set_of(m, column, key);
    uint64_t tag = tag_of(key), w;
    _Atomic uint64_t *at = &s->shared;
    for (int i = FGW_INFLIGHT_WAYS - 1; i >= 0; i--) {
        w = look(&s->e[i]);
        if (w - COUNT(w) == tag && COUNT(w)) { at = &s->e[i]; break; }
        if (COUNT(w) == 0) at = &s->e[i];
    }
    w = look(at);
    atomic_store_explicit(at, at == &s->shared ? w + 1 : tag | (COUNT(w) + 1), memory_order_seq_cst);
    return at;
}

void fgw_inflight_sub(_Atomic uint64_t *at) { atomic_store_explicit(at, look(at) - 1, memory_order_seq_cst); }

_Atomic uint64_t *fgw_inflight_take(struct fgw_shm *m, uint32_t column, uint64_t key, uint32_t max, bool *back)
{
    *back = false;
    if (fgw_inflight_sum(m, key) >= max) return NULL;
    _Atomic uint64_t *at = fgw_inflight_add(m, column, key);
    for (int i = 0; i <= FGW_INFLIGHT_PATIENCE >> (column < 5 ? column : 5); i++)
        if (fgw_inflight_sum(m, key) <= max) return at;
    fgw_inflight_sub(at);
    *back = true;
    return NULL;
}

void fgw_inflight_clear(struct fgw_shm *m, uint32_t column)
{
    fgw_shm_zero(m, m->inflight_off + (uint64_t)column * FGW_SHM_INFLIGHT, FGW_SHM_INFLIGHT);
}
