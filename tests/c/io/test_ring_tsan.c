/* The ring under two threads: for ThreadSanitizer, and an ordinary test elsewhere. */
#include "io/ring.c"
#include <pthread.h>
#include <sched.h>
#include "test.h"

enum { SIZE = 1024, RECORDS = 20000 };
static _Alignas(64) char room_[sizeof(struct fgw_ring) + SIZE];
static struct fgw_ring *const ring_ = (struct fgw_ring *)room_;

static uint32_t length_of(uint32_t i) { return 4 + i * 29 % 200; }

static void *writer(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < RECORDS;) {
        uint32_t n = length_of(i);
        char *p = fgw_ring_room(ring_, n + i % 3);        /* as in use: more is asked than committed */
        if (!p) { sched_yield(); continue; }
        memset(p, (int)(i & 0xff), n);
        memcpy(p, &i, 4);
        fgw_ring_commit(ring_, n), i++;
    }
    return NULL;
}

TEST(every_record_arrives_whole_and_in_order)
{
    pthread_t t;
    char out[700];
    uint32_t next = 0;
    fgw_ring_init(ring_, SIZE);
    OK(pthread_create(&t, NULL, writer, NULL) == 0);
    while (next < RECORDS) {
        size_t n = fgw_ring_read(ring_, out, sizeof out), at = 0;
        if (n == 0) sched_yield();
        for (; at < n; next++) {
            uint32_t i, len = length_of(next);
            memcpy(&i, out + at, 4);
            if (i != next || at + len > n || out[at + len - 1] != (len > 4 ? (char)(next & 0xff) : out[at + 3])) { OK(!"torn"); next = RECORDS; break; }
            at += len;
        }
    }
    pthread_join(t, NULL);
    EQ(atomic_load(&ring_->broken), 0);
}
TEST_MAIN()
