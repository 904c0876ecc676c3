/* tests/c/upstream/muxes.h: connections that carry several requests at once, without a codec: the test is the codec.
 *
 * A dialer for a pool of pool_play.h, whose dials are played in the order in which they were begun: mux_open_up says how many places one has,
 * mux_full_of changes that, mux_end ends it. A side's release is told as a codec does it, not from within, but by mux_tell.
 * Owner    one table a program; what is closed is free again. */
#ifndef FGW_TESTS_MUXES_H
#define FGW_TESTS_MUXES_H
#include "upstream/pool_play.h"

enum { MUXES = 16, MUX_SIDES = 8 };
static struct fake {
    struct fgw_mux m;
    struct fgw_side sides[MUX_SIDES];
    bool busy[MUX_SIDES], there, freed;      /* freed: a place came free and was not told */
} fakes[MUXES];
static int nfakes;

static inline struct fake *fake_of(struct fgw_side *s)
{
    for (int i = 0; i < nfakes; i++)
        if (s >= fakes[i].sides && s < fakes[i].sides + MUX_SIDES) return &fakes[i];
    abort();
}
static inline void fake_release(struct fgw_side *s)
{
    struct fake *f = fake_of(s);
    f->busy[s - f->sides] = false;
    f->m.used--, f->freed = true;
}
static const struct fgw_side_down fake_down = {.name = "fake", .release = fake_release};
static inline struct fgw_side *fake_open(struct fgw_mux *m)
{
    struct fake *f = fgw_container(m, struct fake, m);
    OK(m->used < m->max && !m->no_more && f->there);
    for (int i = 0; i < MUX_SIDES; i++)
        if (!f->busy[i]) {
            f->busy[i] = true, m->used++;
            f->sides[i] = (struct fgw_side){.down = &fake_down, .h = 2};
            return &f->sides[i];
        }
    abort();
}
static inline void fake_close(struct fgw_mux *m) { m->no_more = true, fgw_container(m, struct fake, m)->there = false; }
static const struct fgw_mux_ops fake_ops = {fake_open, fake_close};

static inline struct fgw_mux *fake_dial(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    (void)p, (void)e;
    if (nfakes == MUXES) abort();
    struct fake *f = &fakes[nfakes++];
    *f = (struct fake){.m = {.ops = &fake_ops, .user = user}, .there = true};
    return &f->m;
}
static const struct fgw_dialer fake_dialer = {"fakes", fake_dial, NULL};

static inline void mux_open_up(int i, uint32_t places) { fakes[i].m.max = places, fakes[i].m.user->on_ready(&fakes[i].m); }
static inline void mux_end(int i, enum fgw_err why)
{
    fakes[i].there = false;
    fakes[i].m.user->on_gone(&fakes[i].m, fgw_fail(why, FGW_BY_UPSTREAM));
}
static inline void mux_tell(void)                /* as a codec's pump */
{
    for (int i = 0; i < nfakes; i++) {
        struct fake *f = &fakes[i];
        bool freed = f->freed;
        f->freed = false;
        if (!freed || !f->there) continue;
        if (f->m.no_more && !f->m.used) mux_end(i, FGW_E_NONE);
        else if (!f->m.no_more && f->m.used < f->m.max) f->m.user->on_room(&f->m);
    }
}

static inline void muxes(const char *numbers, uint32_t streams)    /* instead of begin() */
{
    begin(numbers);
    memset(fakes, 0, sizeof fakes), nfakes = 0;
    pool->protocol = FGW_PROTO_H2, pool->h2.streams = streams, pool->dialer = &fake_dialer;
    for (uint32_t i = 0; i < pool->neps; i++) pool->eps[i]->places = streams;
}
static inline void lets_go(struct ask *q) { fgw_lease_put(&q->lease), q->lease.fresh = false, mux_tell(); }
#endif
