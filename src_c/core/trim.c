/* Memory that a burst took and nobody needs any more goes back to the system.
 *
 *   a turn, once a second ──more than KEEP in slabs──► look, every LOOK_MS ──twice more than half is free──► sift, every SLICE_MS, until done
 *
 * malloc keeps what it gets back, in holes of its heap; after TELL bytes of slabs or blocks it is asked to let go of them.
 * Slabs only grow by themselves. Requests pay nothing for this: a comparison of times a turn, and while a slab is sifted it gives colder objects.
 * A burst that comes back within two looks finds its chunks as they were. What is sifted once is sifted again when it has grown or lost a
 * quarter of what was live: the rest lies scattered, and looking at it again would find the same. */
#include "core/worker_impl.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { TURN_MS = 1000, LOOK_MS = 5000, SLICE_MS = 10, SLICE = 1000, CHUNKS = 4 };
enum { KEEP = 4 << 20, TELL = 4 << 20 };

static size_t slabs_of(struct fgw_worker *w, struct fgw_slab *v[FGW_TRIM_SLABS])
{
    struct fgw_slab *const of[] = {&w->exchanges, &w->tries, &w->fronts, &w->calls, &w->h1.msgs, &w->h1.servers, &w->h1.clients,
                                   &w->h2.servers, &w->h2.clients, &w->h2.streams, &w->upstream.conns, &w->upstream.waits, &w->loop.bufs.nodes};
    size_t n = FGW_COUNT(of);
    _Static_assert(FGW_COUNT(of) + FGW_H2_SIZES == FGW_TRIM_SLABS, "all of them");
    memcpy(v, of, sizeof of);
    for (int i = 0; i < FGW_H2_SIZES; i++) v[n++] = &w->h2.memory.small[i];
    return n;
}

uint64_t fgw_worker_slab_bytes(struct fgw_worker *w)
{
    struct fgw_slab *v[FGW_TRIM_SLABS];
    uint64_t sum = 0;
    for (size_t n = slabs_of(w, v); n-- > 0;) sum += fgw_slab_bytes(v[n]);
    return sum;
}

static bool is_ample(const struct fgw_slab *s, const struct fgw_trimmed *t)
{
    uint64_t spare = s->chunks * s->per_chunk - s->live;
    return spare > s->live && spare / s->per_chunk >= CHUNKS && (s->chunks > t->chunks || s->live < t->live / 4 * 3);
}

/* true: some are to be sifted. */
static bool look(struct fgw_worker *w)
{
    struct fgw_slab *v[FGW_TRIM_SLABS];
    bool any = false;
    for (size_t n = slabs_of(w, v); n-- > 0;) {
        struct fgw_trimmed *t = &w->trim.of[n];
        bool ample = is_ample(v[n], t);
        t->sift = ample && t->ample;
        t->ample = ample;
        any = any || t->sift;
    }
    return any;
}

static void tell(struct fgw_worker *w)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    w->trim.given = 0, w->trim.told = w->loop.blocks.given;
}

static bool blocks_went(const struct fgw_worker *w) { return w->loop.blocks.given - w->trim.told >= TELL; }

/* One slab's next objects. true: there is more. */
static bool slice(struct fgw_worker *w)
{
    struct fgw_slab *v[FGW_TRIM_SLABS];
    for (size_t n = slabs_of(w, v); n-- > 0;) {
        struct fgw_trimmed *t = &w->trim.of[n];
        if (!t->sift) continue;
        uint64_t before = fgw_slab_bytes(v[n]);
        t->sift = fgw_slab_sift(v[n], SLICE);
        w->trim.given += before - fgw_slab_bytes(v[n]);
        if (!t->sift) t->live = v[n]->live, t->chunks = v[n]->chunks, t->ample = false;
        if (w->trim.given >= TELL) tell(w);
        return true;
    }
    if (w->trim.given) tell(w);
    return false;
}

static void trim(struct fgw_timer *timer)
{
    struct fgw_worker *w = fgw_container(timer, struct fgw_worker, trim.timer);
    if (blocks_went(w) && !w->trim.sifting) tell(w);
    w->trim.sifting = w->trim.sifting ? slice(w) : look(w);
    fgw_loop_timer(&w->loop, timer, w->trim.sifting ? SLICE_MS : fgw_worker_slab_bytes(w) > KEEP ? LOOK_MS : 0);
}

void fgw_worker_trim_look(struct fgw_worker *w)
{
    w->trim.turn_at = w->loop.clock.mono_ms + TURN_MS;
    w->trim.timer.fire = trim;
    if (!fgw_timer_armed(&w->trim.timer) && (blocks_went(w) || fgw_worker_slab_bytes(w) > KEEP)) fgw_loop_timer(&w->loop, &w->trim.timer, LOOK_MS);
}
