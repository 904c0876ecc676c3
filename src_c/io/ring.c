#include "io/ring.h"
#include <string.h>
#include "base/check.h"

static inline uint32_t padded(uint32_t n) { return (n + 3) & ~3u; }
static inline void put_length(struct fgw_ring *r, uint64_t at, uint32_t n) { memcpy(r->data + (at & (r->size - 1)), &n, 4); }

void fgw_ring_init(struct fgw_ring *r, uint32_t size)
{
    FGW_CHECK(size >= 64 && (size & (size - 1)) == 0);
    r->size = size;
    r->at = 0;
    atomic_init(&r->dropped, 0);
    atomic_init(&r->broken, 0);
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
}

char *fgw_ring_room(struct fgw_ring *r, uint32_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);   /* the reader is done with what lies before */
    uint64_t need = 4 + (uint64_t)padded(n & 0x7fffffff);
    uint64_t to_end = r->size - (head & (r->size - 1)), skip = to_end < need ? to_end : 0;

    if (fgw_unlikely(need > r->size / 2 || n > r->size || head + skip + need - tail > r->size)) {
        atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
        return NULL;
    }
    if (skip) put_length(r, head, FGW_RING_SKIP);
    r->at = head + skip;
    return r->data + (r->at & (r->size - 1)) + 4;
}

void fgw_ring_commit(struct fgw_ring *r, uint32_t n)
{
    put_length(r, r->at, n);
    /* The one store that makes the record (and a skip before it) exist. */
    atomic_store_explicit(&r->head, r->at + 4 + padded(n), memory_order_release);
}

/* The body length of the record at `at`, of `left` published bytes; a skip's is the way to the ring's end. -1: nonsense. */
static int64_t record_at(const struct fgw_ring *r, uint32_t size, uint64_t at, uint64_t left, bool *skip)
{
    uint32_t n, place = (uint32_t)(at & (size - 1)), to_end = size - place;
    if (left < 4) return -1;
    memcpy(&n, r->data + place, 4);
    *skip = n == FGW_RING_SKIP;
    if (*skip) return to_end < left ? (int64_t)to_end : -1;
    return n <= to_end - 4 && padded(n) <= left - 4 ? (int64_t)n : -1;
}

size_t fgw_ring_read(struct fgw_ring *r, char *out, size_t size)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    uint32_t ring = r->size;          /* read once: what is checked is what is used */
    bool ok = head - tail <= ring && !((head | tail) & 3), skip = false;
    size_t used = 0;

    while (ok && tail != head) {
        int64_t n = record_at(r, ring, tail, head - tail, &skip);
        if (n < 0) { ok = false; break; }
        if (skip) { tail += (uint64_t)n; continue; }
        if ((size_t)n > size - used) {
            if (used) break;
            atomic_fetch_add_explicit(&r->broken, 1, memory_order_relaxed);
        } else {
            memcpy(out + used, r->data + (tail & (ring - 1)) + 4, (size_t)n);
            used += (size_t)n;
        }
        tail += 4 + padded((uint32_t)n);
    }
    if (!ok) {
        atomic_fetch_add_explicit(&r->broken, 1, memory_order_relaxed);
        tail = head;
    }
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return used;
}
