/* Every interleaving of a ring's writer and reader, with a death at every step, also in the middle of a copy: lines come whole, in
 * order, each once; those that found no room are counted; what a dead writer leaves can be read, and written on. */
#include "model.h"
#include <string.h>
#include "base/check.h"

/* Copies are steps: the other side may act between them. */
static void *model_copy(void *to, const void *from, size_t n)
{
    model_step();
    __builtin_memcpy(to, from, n);
    model_saw(n ? *(const unsigned char *)from : 0);
    return to;
}
#define memcpy(to, from, n) model_copy(to, from, n)
#include "io/ring.c"
#undef memcpy

enum { SIZE = 64, LINES = 5, READS = 3, OUT = 128 };
static _Alignas(64) struct { struct fgw_ring r; char data[SIZE]; } ring_;
static struct { char ring[sizeof ring_]; char out[OUT]; uint64_t n, said, lost; } world_;
static char out_[OUT];                                 /* what the reader got, and how much */
static uint64_t n_, said_, lost_;                      /* lines committed (a bit each) and refused */
static const uint32_t *lengths_;
static uint64_t start_;

static void gather(void)
{
    memcpy(world_.ring, (void *)&ring_, sizeof ring_), memcpy(world_.out, out_, OUT);
    world_.n = n_, world_.said = said_, world_.lost = lost_;
}
static void scatter(void)
{
    memcpy((void *)&ring_, world_.ring, sizeof ring_), memcpy(out_, world_.out, OUT);
    n_ = world_.n, said_ = world_.said, lost_ = world_.lost;
}
static void reset(void)
{
    memset((void *)&ring_, 0, sizeof ring_), memset(out_, 0, OUT);
    fgw_ring_init(&ring_.r, SIZE);
    ring_.r.head = ring_.r.tail = start_;
    memset(ring_.r.data, 0x5a, SIZE);
    n_ = said_ = lost_ = 0;
    gather();
}

static bool line(int i, bool steps)
{
    uint32_t n = lengths_[i];
    char *p = fgw_ring_room(&ring_.r, n);
    if (!p) return false;
    memset(p, 'a' + i, n / 2);                         /* a line is written in pieces */
    if (steps) model_step();
    memset(p + n / 2, 'a' + i, n - n / 2);
    fgw_ring_commit(&ring_.r, n);
    return true;
}
static void writer(void)
{
    for (int i = 0; i < LINES; i++)
        if (line(i, true)) said_ |= 1ull << i;
        else lost_++;
}
static void reader(void)
{
    for (int i = 0; i < READS; i++) {
        size_t got = fgw_ring_read(&ring_.r, out_ + n_, OUT - n_);
        n_ += got;
    }
}

/* Take `from`'s next lines off: each whole, none twice, in order. Bits of those found. */
static uint64_t lines(const char *p, uint64_t n)
{
    uint64_t found = 0;
    for (uint64_t at = 0; at < n;) {
        unsigned i = (unsigned)(p[at] - 'a');
        OK(i <= LINES);
        if (i > LINES) return ~0ull;
        uint32_t k = i == LINES ? 4 : lengths_[i];
        OK(at + k <= n);
        for (uint32_t j = 0; j < k && at + k <= n; j++) OK(p[at + j] == p[at]);
        OK(!(found >> i));                             /* none of it, and none after it, was there before */
        found |= 1ull << i;
        at += k;
    }
    return found;
}

static void check(void)
{
    uint64_t read = lines(out_, n_), rest;
    char more[OUT];
    if (model_dead(1)) {                               /* who reads next may get again what the dead one did not come to tick off */
        rest = lines(more, fgw_ring_read(&ring_.r, more, OUT));
        OK(((read | rest) & said_) == said_);
    } else {
        n_ += fgw_ring_read(&ring_.r, out_ + n_, OUT - n_);
        rest = lines(out_, n_);
        OK((rest & said_) == said_);
        if (!model_dead(0)) EQ(rest, said_);
        OK((rest & ~said_) == 0 || ((rest & ~said_) & ((rest & ~said_) - 1)) == 0);    /* one may be committed and not yet noted */
        OK(fgw_ring_read(&ring_.r, more, OUT) == 0);
    }
    EQ(ring_.r.broken, 0);
    if (!model_dead(0)) EQ(ring_.r.dropped, lost_);
    char *p = fgw_ring_room(&ring_.r, 4);              /* the successor writes on */
    OK(p != NULL);
    if (!p) return;
    memset(p, 'a' + LINES, 4);
    fgw_ring_commit(&ring_.r, 4);
    EQ(fgw_ring_read(&ring_.r, more, OUT), 4);
    EQ(lines(more, 4), 1u << LINES);
}

static uint64_t explore(const uint32_t lengths[LINES], uint64_t start)
{
    lengths_ = lengths, start_ = start;
    return model_run(&(struct model){.actors = 2, .actor = {writer, reader}, .memory = &world_, .size = sizeof world_, .gather = gather,
                                     .scatter = scatter, .reset = reset, .check = check, .kills = 1});
}
TEST(lines_that_fill_the_ring_to_the_last_byte) { OK(explore((const uint32_t[]){12, 12, 12, 12, 12}, 0) > 500); }
TEST(lines_that_would_wrap_are_skipped_to_the_front) { OK(explore((const uint32_t[]){13, 20, 24, 5, 28}, 0) > 500); }
TEST(lines_of_all_lengths_from_another_place) { OK(explore((const uint32_t[]){1, 28, 3, 17, 6}, 44) > 500); }
TEST(a_count_that_comes_round) { OK(explore((const uint32_t[]){9, 26, 2, 28, 7}, UINT64_MAX - 59) > 500); }
TEST_MAIN()
