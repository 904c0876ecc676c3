/* One publisher, two readers: for ThreadSanitizer, and an ordinary test elsewhere. */
#include "upstream/endpoint.c"
#include <pthread.h>
#include <sched.h>
#include "test.h"

enum { CAP = 40, READERS = 2, VERSIONS = 3000 };
static struct fgw_eptable *table_;
static _Atomic int done_, torn_, got_[READERS];

/* Version v has as many endpoints as v says, and v in every byte of them. */
static uint32_t count_of(uint32_t v) { return 1 + v % CAP; }
static void fill(struct fgw_endpoint *e, uint32_t n, uint32_t v)
{
    for (uint32_t i = 0; i < n; i++) memset(&e[i], (int)(v & 0xff), sizeof e[i]), e[i].slot = i, e[i].generation = v;
}

static void *reader(void *arg)
{
    _Atomic int *got = arg;
    struct fgw_endpoint out[CAP], want[CAP];
    uint32_t seen = 0, last = 0;
    while (!atomic_load(&done_)) {
        int n = fgw_eptable_read(table_, &seen, out, CAP);
        if (n < 0) { sched_yield(); continue; }
        fill(want, (uint32_t)n, seen);
        if (seen <= last || (uint32_t)n != count_of(seen) || memcmp(out, want, (size_t)n * sizeof out[0])) atomic_fetch_add(&torn_, 1);
        last = seen;
        atomic_fetch_add(got, 1);
    }
    return NULL;
}

TEST(a_reader_gets_whole_versions_only)
{
    pthread_t t[READERS];
    struct fgw_endpoint e[CAP];
    table_ = malloc(fgw_eptable_size(CAP));
    fgw_eptable_init(table_, CAP);
    for (int i = 0; i < READERS; i++) OK(pthread_create(&t[i], NULL, reader, &got_[i]) == 0);
    for (uint32_t v = 1; v <= VERSIONS || atomic_load(&got_[0]) < 20 || atomic_load(&got_[1]) < 20; v++) {
        fill(e, count_of(v), v);
        fgw_eptable_publish(table_, e, count_of(v));
        if (v % 16 == 0) sched_yield();
    }
    atomic_store(&done_, 1);
    for (int i = 0; i < READERS; i++) pthread_join(t[i], NULL);
    EQ(atomic_load(&torn_), 0);
    free(table_);
}
TEST_MAIN()
