/* benchmarks/micro/bench_base.c: what the smallest parts cost, each beside what it stands in for.
 *
 * A pair is two functions that do N times the same work. Rounds alternate between them, so that a busy machine is busy
 * for both; told are the medians of ns per operation and the median of the per-round ratios. One JSON object a line.
 * The only argument is the number of rounds (11). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/str.h"
#include "io/wheel.h"

enum { N = 200000, ROUNDS_MAX = 101, HELD = 64 };
#define KEEP(x) __asm__ volatile("" : : "r"(x) : "memory")

static struct fgw_blocks blocks;
static struct fgw_bufs bufs;
static struct fgw_slab slab;
static struct fgw_wheel wheel;
static void *held[HELD];

/* HELD objects are alive at any time; each step gives the oldest back and takes a new one, as connections come and go. */
static void slab_churn(void)
{
    for (int i = 0; i < N; i++) { void **h = &held[i % HELD]; fgw_slab_put(&slab, *h); KEEP(*h = fgw_slab_get(&slab)); }
    for (int i = 0; i < HELD; i++) { fgw_slab_put(&slab, held[i]); held[i] = NULL; }
}
static void malloc_churn(void)
{
    for (int i = 0; i < N; i++) { void **h = &held[i % HELD]; free(*h); KEEP(*h = malloc(256)); }
    for (int i = 0; i < HELD; i++) { free(held[i]); held[i] = NULL; }
}

static void block_churn(void) { for (int i = 0; i < N; i++) { struct fgw_block *b = fgw_block_get(&blocks, 16000); KEEP(b); fgw_block_unref(b); } }
static void malloc_16k(void) { for (int i = 0; i < N; i++) { void *p = malloc(16384); KEEP(p); free(p); } }

/* A 300-byte head is queued, made an iovec, and sent. */
static char head[300];
static void buf_head(void)
{
    struct fgw_buf b = {0};
    struct iovec iov[4];
    for (int i = 0; i < N; i++) {
        if (!fgw_buf_copy(&bufs, &b, head, sizeof(head))) abort();
        KEEP(fgw_buf_iov(&b, iov, 4));
        fgw_buf_consume(&bufs, &b, sizeof(head));
    }
}
static void memcpy_head(void)
{
    char *to = malloc(sizeof(head));
    for (int i = 0; i < N; i++) { memcpy(to, head, sizeof(head)); KEEP(to); }
    free(to);
}

static void arena_8(void)
{
    _Alignas(8) char first[1024];
    for (int i = 0; i < N / 8; i++) {
        struct fgw_arena a;
        fgw_arena_init(&a, &blocks, first, sizeof(first), 0);
        for (int k = 0; k < 8; k++) KEEP(fgw_arena_alloc(&a, 48));
        fgw_arena_fini(&a);
    }
}
static void malloc_8(void)
{
    for (int i = 0; i < N / 8; i++) {
        void *p[8];
        for (int k = 0; k < 8; k++) KEEP(p[k] = malloc(48));
        for (int k = 0; k < 8; k++) free(p[k]);
    }
}

/* 64 connections whose idle deadlines are pushed back at each request; the other way takes the timer out and in. */
static struct fgw_timer timers[HELD];
static void never(struct fgw_timer *t) { (void)t; abort(); }
static void timers_stop(void) { for (int i = 0; i < HELD; i++) fgw_timer_cancel(&wheel, &timers[i]); }
static void timer_lazy(void)
{
    for (uint64_t i = 0; i < N; i++) {
        fgw_timer_set(&wheel, &timers[i % HELD], wheel.now + 60000);
        if (i % HELD == 0) fgw_wheel_advance(&wheel, wheel.now + 1);
    }
    timers_stop();
}
static void timer_eager(void)
{
    for (uint64_t i = 0; i < N; i++) {
        fgw_timer_cancel(&wheel, &timers[i % HELD]);
        fgw_timer_set(&wheel, &timers[i % HELD], wheel.now + 60000);
        if (i % HELD == 0) fgw_wheel_advance(&wheel, wheel.now + 1);
    }
    timers_stop();
}

static const struct fgw_hash_key KEY = {1, 2};
static void sip_24(void) { for (int i = 0; i < N; i++) KEEP(fgw_hash_sip13(&KEY, head + i % 64, 24)); }
static void xxh3_24(void) { for (int i = 0; i < N; i++) KEEP(fgw_hash_xxh3(head + i % 64, 24)); }

static const struct fgw_str UPPER = FGW_STR("X-Forwarded-Proto"), LOWER = FGW_STR("x-forwarded-proto");
static void str_ieq(void) { for (int i = 0; i < N; i++) KEEP(fgw_str_ieq(UPPER, LOWER)); }
static void libc_ieq(void) { for (int i = 0; i < N; i++) KEEP(strncasecmp(UPPER.p, LOWER.p, UPPER.n)); }

static char digits[32];
static void num_dec(void) { for (uint64_t i = 0; i < N; i++) { KEEP(fgw_u64_dec(digits, i * 977)); KEEP(digits); } }
static void libc_dec(void) { for (uint64_t i = 0; i < N; i++) { KEEP(snprintf(digits, sizeof(digits), "%" PRIu64, i * 977)); KEEP(digits); } }

static const struct pair { const char *name, *beside; void (*run)(void), (*other)(void); } PAIRS[] = {
    {"slab get+put", "malloc+free 256", slab_churn, malloc_churn},
    {"block get+unref 16K", "malloc+free 16K", block_churn, malloc_16k},
    {"buf copy+iov+consume 300", "memcpy 300", buf_head, memcpy_head},
    {"arena alloc 48", "malloc+free 48", arena_8, malloc_8},
    {"timer put off", "timer cancel+set", timer_lazy, timer_eager},
    {"siphash-1-3 24", "xxh3 24", sip_24, xxh3_24},
    {"str ieq 17", "strncasecmp 17", str_ieq, libc_ieq},
    {"u64 dec", "snprintf", num_dec, libc_dec},
};

static double ns_each(void (*run)(void))
{
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    run();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N;
}

static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }
static double median(double *v, int n) { qsort(v, (size_t)n, sizeof(*v), ascending); return v[n / 2]; }

static void measure(const struct pair *p, int rounds)
{
    double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
    p->run();
    p->other();
    for (int i = 0; i < rounds; i++) {
        ours[i] = ns_each(p->run);
        theirs[i] = ns_each(p->other);
        ratio[i] = ours[i] / theirs[i];
    }
    printf("{\"what\": \"%s\", \"ns\": %.2f, \"beside\": \"%s\", \"beside_ns\": %.2f, \"ratio\": %.3f}\n", p->name,
           median(ours, rounds), p->beside, median(theirs, rounds), median(ratio, rounds));
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 11;
    if (rounds < 1 || rounds > ROUNDS_MAX) return 2;
    fgw_blocks_init(&blocks, 0);
    fgw_bufs_init(&bufs, &blocks);
    fgw_slab_init(&slab, "bench", 256);
    fgw_wheel_init(&wheel, 1);
    for (int i = 0; i < HELD; i++) timers[i].fire = never;
    for (unsigned i = 0; i < FGW_COUNT(PAIRS); i++) measure(&PAIRS[i], rounds);
    fgw_slab_fini(&slab);
    fgw_bufs_fini(&bufs);
    fgw_blocks_fini(&blocks);
    return 0;
}
