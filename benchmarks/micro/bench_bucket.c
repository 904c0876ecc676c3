/* benchmarks/micro/bench_bucket.c: what a decision of a rate limit costs, and whether it is exact.
 *
 *   hot      one key, nobody else: the hash excluded, the clock given
 *   refused  the same, of an empty bucket
 *   cold     keys never seen before, in a table larger than the caches: each makes its entry
 *   known    a million keys that have their entries, in random order
 *   exact    PROCESSES take ATTEMPTS each from one bucket: as many pass as are allowed
 * One JSON object a line. Arguments: rounds (11) and attempts of each process (10,000,000). With "count NAME N" only that loop runs,
 * N times: for callgrind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "policy/bucket.h"

enum { N = 1000000, ROUNDS_MAX = 101, SETS = 1 << 19, PROCESSES = 4 };
#define KEEP(x) __asm__ volatile("" : : "r"(x) : "memory")
static const uint64_t NOW = 1ull << 50, UNIT = 1600;

static struct fgw_bucket_set *table;
static uint64_t keys[N], next_cold = 1;

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) | 1;
}
static struct fgw_bucket_set *set(uint64_t tag) { return fgw_bucket_set_of(table, SETS, tag); }

static void hot(long n) { for (long i = 0; i < n; i++) { struct fgw_bucket b = fgw_bucket_take(set(77), 77, NOW + (uint64_t)i * UNIT, UNIT, UNIT * 100); KEEP(b.pass); } }
static void refused(long n) { for (long i = 0; i < n; i++) { struct fgw_bucket b = fgw_bucket_take(set(78), 78, NOW, UNIT, UNIT); KEEP(b.pass); } }
static void cold(long n)
{
    for (long i = 0; i < n; i++) {
        uint64_t tag = mix(next_cold++ * 0x9e3779b97f4a7c15u);
        struct fgw_bucket b = fgw_bucket_take(set(tag), tag, NOW + next_cold * 2, UNIT, UNIT * 100);
        KEEP(b.pass);
    }
}
static void known(long n)
{
    for (long i = 0; i < n; i++) { struct fgw_bucket b = fgw_bucket_take(set(keys[i % N]), keys[i % N], NOW, UNIT, UNIT * 100000); KEEP(b.pass); }
}
static void empty(long n) { for (long i = 0; i < n; i++) KEEP(i); }

static const struct { const char *name; void (*run)(long); } LOOPS[] = {{"hot", hot}, {"refused", refused}, {"cold", cold}, {"known", known}, {"empty", empty}};

static double ns_each(void (*run)(long))
{
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    run(N);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / N;
}
static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return (x > y) - (x < y); }

static void exact(long attempts)
{
    struct { struct fgw_bucket_set set; uint64_t passed[PROCESSES]; } *m =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t allowed = (uint64_t)attempts * PROCESSES / 4, passed = 0;
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            uint64_t mine = 0;
            for (long k = 0; k < attempts; k++) mine += fgw_bucket_take(&m->set, 5, NOW, UNIT, allowed * UNIT).pass;
            m->passed[i] = mine;
            _exit(0);
        }
    for (int i = 0; i < PROCESSES; i++) wait(NULL);
    for (int i = 0; i < PROCESSES; i++) passed += m->passed[i];
    printf("{\"what\": \"exact\", \"processes\": %d, \"attempts\": %ld, \"allowed\": %llu, \"passed\": %llu}\n", PROCESSES, attempts,
           (unsigned long long)allowed, (unsigned long long)passed);
    if (passed != allowed) exit(1);
}

int main(int argc, char **argv)
{
    table = mmap(NULL, SETS * sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint64_t i = 0; i < N; i++) keys[i] = mix(i * 0xd1342543de82ef95u + 99);
    if (argc == 4 && strcmp(argv[1], "count") == 0) {
        for (unsigned i = 0; i < sizeof LOOPS / sizeof *LOOPS; i++)
            if (strcmp(argv[2], LOOPS[i].name) == 0) LOOPS[i].run(atol(argv[3]));
        return 0;
    }
    int rounds = argc > 1 ? atoi(argv[1]) : 11;
    if (rounds < 1 || rounds > ROUNDS_MAX) return 2;
    for (unsigned i = 0; i < 4; i++) {
        double ns[ROUNDS_MAX];
        if (i == 3) known(N);
        for (int k = 0; k < rounds; k++) ns[k] = ns_each(LOOPS[i].run);
        qsort(ns, (size_t)rounds, sizeof *ns, ascending);
        printf("{\"what\": \"%s\", \"ns\": %.2f, \"least\": %.2f}\n", LOOPS[i].name, ns[rounds / 2], ns[0]);
    }
    exact(argc > 2 ? atol(argv[2]) : 10000000);
    return 0;
}
