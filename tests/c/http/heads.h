/* tests/c/http/heads.h: parsing one input in every way it may arrive, and demanding the same outcome.
 * Used by the unit tests and by the fuzz target of the head parser. */
#ifndef FGW_TESTS_HEADS_H
#define FGW_TESTS_HEADS_H
#include "http/head.h"
#include "test.h"

enum kind { REQUEST, REPLY, TRAILERS };
enum { MAX_FIELDS = 128 };
struct outcome { int r; struct fgw_head h; struct fgw_field fields[MAX_FIELDS]; };

static const struct fgw_head_limits WIDE = {16384, 16384, 65536, MAX_FIELDS};

static int parse_more(struct outcome *o, enum kind k, const char *p, uint32_t n, const struct fgw_head_limits *lim)
{
    return k == REQUEST ? fgw_head_parse_request(&o->h, p, n, lim)
         : k == REPLY   ? fgw_head_parse_reply(&o->h, p, n, lim)
                        : fgw_head_parse_trailers(&o->h, p, n, lim);
}

/* Room between two unmapped pages, made once: a copy laid against one of them shows every read beyond that end. */
enum { ROOM = 128 << 10 };
static char *room(void)
{
    static char *r;
    if (r) return r;
    r = mmap(NULL, ROOM + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED || mprotect(r + 4096, ROOM, PROT_READ | PROT_WRITE) != 0) abort();
    return r += 4096;
}

static void step_at(struct outcome *o, enum kind k, const char *p, uint32_t n, const struct fgw_head_limits *lim, char *to)
{
    if (n) memcpy(to, p, n);
    o->r = parse_more(o, k, to, n, lim);
    o->h.base = p;                                            /* offsets stay good; the next call brings another copy */
}

static void step(struct outcome *o, enum kind k, const char *p, uint32_t n, const struct fgw_head_limits *lim)
{
    if (n > ROOM) abort();
    step_at(o, k, p, n, lim, room() + ROOM - n);
}

static void begin(struct outcome *o)
{
    o->h.fields = o->fields;
    fgw_head_reset(&o->h);
    o->r = 0;
}

static void whole(struct outcome *o, enum kind k, const char *p, uint32_t n, const struct fgw_head_limits *lim)
{
    begin(o);
    step(o, k, p, n, lim);
}

/* Fields compare without padding. A failure leaves only its code behind. */
static int outcomes_equal(const struct outcome *a, const struct outcome *b)
{
    const struct fgw_head *x = &a->h, *y = &b->h;
    if (a->r != b->r || x->err != y->err) return 0;
    if (a->r < 0) return 1;
    if (x->nfields != y->nfields || x->known != y->known) return 0;
    for (int i = 0; i < x->nfields; i++) {
        const struct fgw_field *f = &a->fields[i], *g = &b->fields[i];
        if (f->name != g->name || f->name_len != g->name_len || f->value != g->value || f->value_len != g->value_len ||
            f->id != g->id || f->flags != g->flags) return 0;
    }
    return a->r == 0 || (x->len == y->len && x->target == y->target && x->target_len == y->target_len &&
           x->method_off == y->method_off && x->method_len == y->method_len && x->method == y->method && x->minor == y->minor &&
           x->status == y->status && x->reason == y->reason && x->reason_len == y->reason_len);
}

/* The first `cut` bytes, then all. */
static void in_two(struct outcome *o, enum kind k, const char *p, uint32_t n, uint32_t cut, const struct fgw_head_limits *lim)
{
    begin(o);
    step(o, k, p, cut, lim);
    if (o->r == 0) step(o, k, p, n, lim);
}

/* `by` bytes more at each call. */
static void in_steps(struct outcome *o, enum kind k, const char *p, uint32_t n, uint32_t by, const struct fgw_head_limits *lim)
{
    begin(o);
    for (uint32_t i = by < n ? by : n; o->r == 0; i = n - i > by ? i + by : n) {
        step(o, k, p, i, lim);
        if (i == n) break;
    }
}

/* All levels, all cuts, byte by byte: the outcome of the plain scanner on the whole, or the number of disagreements. */
static int disagreements(struct outcome *want, enum kind k, const char *p, uint32_t n, const struct fgw_head_limits *lim)
{
    struct outcome got;
    int bad = 0;
    fgw_head_simd_use(FGW_SIMD_PLAIN);
    whole(want, k, p, n, lim);
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        whole(&got, k, p, n, lim), bad += !outcomes_equal(want, &got);
        begin(&got), step_at(&got, k, p, n, lim, room()), bad += !outcomes_equal(want, &got);
        for (uint32_t cut = 0; cut < n; cut++) in_two(&got, k, p, n, cut, lim), bad += !outcomes_equal(want, &got);
        in_steps(&got, k, p, n, 1, lim), bad += !outcomes_equal(want, &got);
        in_steps(&got, k, p, n, 7, lim), bad += !outcomes_equal(want, &got);
    }
    return bad;
}

#endif
