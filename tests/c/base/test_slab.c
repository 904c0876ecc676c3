#include "refuse.h"
#include "base/slab.c"
#include "../test.h"
#include "death.h"
#include "random.h"

TEST(sizes_are_rounded_and_chunks_near_64k)
{
    struct fgw_slab s;
    for (size_t size = 1; size < 40000; size = size * 3 / 2 + 1) {
        fgw_slab_init(&s, "t", size);
        OK(s.size >= size && s.size % 16 == 0 && s.size < size + 16);
        OK((size_t)s.size * s.per_chunk <= CHUNK_BYTES && (size_t)s.size * (s.per_chunk + 1) + sizeof(struct chunk) + MALLOC_OWN > CHUNK_BYTES);
        EQ(s.chunks, 0);
        fgw_slab_fini(&s);
    }
    fgw_slab_init(&s, "huge", 1 << 20);
    EQ(s.per_chunk, 1);
    char *p = fgw_slab_get(&s);
    memset(p, 1, 1 << 20);
    fgw_slab_put(&s, p);
    fgw_slab_fini(&s);
}

TEST(last_put_is_next_got)
{
    struct fgw_slab s;
    fgw_slab_init(&s, "t", 40);
    void *a = fgw_slab_get(&s), *b = fgw_slab_get(&s);
    OK(a != b && s.live == 2);
    fgw_slab_put(&s, a);
    fgw_slab_put(&s, b);
    OK(fgw_slab_get(&s) == b);
    OK(fgw_slab_get(&s) == a);
    fgw_slab_put(&s, NULL);
    EQ(s.live, 2);
    fgw_slab_put(&s, a);
    fgw_slab_put(&s, b);
    EQ(s.live, 0);
    fgw_slab_fini(&s);
}

enum { MANY = 5000, SIZE = 48 };

TEST(objects_do_not_overlap_and_no_chunk_is_added_in_the_steady_state)
{
    static unsigned char *held[MANY];
    struct fgw_slab s;
    random_seed(2);
    fgw_slab_init(&s, "t", SIZE);
    for (int i = 0; i < MANY; i++) {
        held[i] = fgw_slab_get(&s);
        OK(held[i] && (uintptr_t)held[i] % 16 == 0);
        memset(held[i], i, SIZE);
    }
    uint64_t chunks = s.chunks;
    unsigned long calls = malloc_calls;
    EQ(chunks, (MANY + s.per_chunk - 1) / s.per_chunk);
    for (int round = 0; round < 20000; round++) {
        int i = (int)random_below(MANY), k = (int)random_below(MANY);
        for (int at = 0; at < SIZE; at++) if (held[i][at] != (unsigned char)i) { EQ(held[i][at], (unsigned char)i); return; }
        fgw_slab_put(&s, held[i]);
        if (i != k) fgw_slab_put(&s, held[k]);
        memset(held[i] = fgw_slab_get(&s), i, SIZE);
        if (i != k) memset(held[k] = fgw_slab_get(&s), k, SIZE);
    }
    EQ(s.live, MANY);
    EQ(s.chunks, chunks);
    EQ(malloc_calls, calls);
    for (int i = 0; i < MANY; i++) fgw_slab_put(&s, held[i]);
    EQ(s.live, 0);
    fgw_slab_fini(&s);
}

TEST(no_memory_is_null_and_changes_nothing)
{
    struct fgw_slab s;
    fgw_slab_init(&s, "t", 30000);
    malloc_refuses = true;
    OK(fgw_slab_get(&s) == NULL);
    EQ(s.live, 0);
    EQ(s.chunks, 0);
    malloc_refuses = false;
    void *a = fgw_slab_get(&s), *b = fgw_slab_get(&s);
    malloc_refuses = true;
    OK(fgw_slab_get(&s) == NULL);
    EQ(s.live, 2);
    fgw_slab_put(&s, a);
    OK(fgw_slab_get(&s) == a);
    malloc_refuses = false;
    fgw_slab_put(&s, a);
    fgw_slab_put(&s, b);
    fgw_slab_fini(&s);
}

TEST(what_a_burst_took_is_given_back)
{
    static void *held[MANY];
    struct fgw_slab s;
    random_seed(3);
    fgw_slab_init(&s, "t", SIZE);
    for (int i = 0; i < MANY; i++) held[i] = fgw_slab_get(&s);
    OK(s.chunks > 3 && fgw_slab_bytes(&s) >= (uint64_t)MANY * SIZE);
    for (int i = MANY; i > 0; i--) {                /* in any order */
        int k = (int)random_below((uint64_t)i);
        fgw_slab_put(&s, held[k]);
        held[k] = held[i - 1];
    }
    uint64_t chunks = s.chunks, calls = 0;
    while (fgw_slab_sift(&s, 100)) calls++;
    EQ(calls, chunks * s.per_chunk / 100 - (chunks * s.per_chunk % 100 == 0));
    EQ(s.chunks, 1);
    OK(fgw_slab_bytes(&s) <= CHUNK_BYTES);
    OK(!fgw_slab_sift(&s, 100));
    unsigned long mallocs = malloc_calls;
    for (uint32_t i = 0; i < s.per_chunk; i++) OK((held[i] = fgw_slab_get(&s)) != NULL);
    EQ(malloc_calls, mallocs);                       /* the one that is left serves first */
    EQ(s.chunks, 1);
    for (uint32_t i = 0; i < s.per_chunk; i++) fgw_slab_put(&s, held[i]);
    fgw_slab_fini(&s);
}

TEST(a_chunk_with_one_live_object_stays_and_serves)
{
    static char *held[MANY];
    struct fgw_slab s;
    fgw_slab_init(&s, "t", SIZE);
    for (int i = 0; i < MANY; i++) held[i] = fgw_slab_get(&s);
    uint64_t chunks = s.chunks;
    for (int i = 0; i < MANY; i++) {
        if (i % (int)s.per_chunk == 7) memset(held[i], 'k', SIZE);
        else fgw_slab_put(&s, held[i]), held[i] = NULL;
    }
    uint64_t live = s.live;
    while (fgw_slab_sift(&s, 1000)) {}
    EQ(s.chunks, chunks);
    unsigned long mallocs = malloc_calls;
    for (int i = 0; i < MANY; i++) if (!held[i]) memset(held[i] = fgw_slab_get(&s), 'n', SIZE);
    EQ(malloc_calls, mallocs);
    EQ(s.live, MANY);
    OK(live == chunks);
    for (int i = 0; i < MANY; i++) for (int k = 0; k < SIZE; k++) if (held[i][k] != (i % (int)s.per_chunk == 7 ? 'k' : 'n')) { EQ(i, -1); return; }
    for (int i = 0; i < MANY; i++) fgw_slab_put(&s, held[i]);
    fgw_slab_fini(&s);
}

TEST(sifting_between_gets_and_puts_loses_nothing)
{
    static unsigned char *held[MANY];
    struct fgw_slab s;
    random_seed(4);
    fgw_slab_init(&s, "t", 600);                     /* some hundred a chunk */
    int n = 0;
    for (int round = 0; round < 400; round++) {
        int to = (int)random_below(round % 20 < 10 ? MANY : 50);
        while (n < to) memset(held[n] = fgw_slab_get(&s), n % 251, 600), n++;
        while (n > to) {
            int k = (int)random_below((uint64_t)n--);
            for (int at = 0; at < 600; at += 37) if (held[k][at] != held[k][0]) { EQ(k, -1); return; }
            fgw_slab_put(&s, held[k]);
            held[k] = held[n];
        }
        EQ(s.live, n);
        fgw_slab_sift(&s, (uint32_t)random_below(3000));
        uint64_t free = 0;
        for (struct hole *o = s.free; o; free++) {
            FGW_UNPOISON(o, sizeof *o);
            struct hole *next = o->next;
            FGW_POISON(o, sizeof *o);
            o = next;
        }
        for (struct fgw_link *k = s.partial.next; k != &s.partial; k = k->next) free += fgw_container(k, struct chunk, partial)->nholes;
        EQ(free + s.live, s.chunks * s.per_chunk);
    }
    while (n) fgw_slab_put(&s, held[--n]);
    while (fgw_slab_sift(&s, 1000)) {}
    EQ(s.chunks, 1);
    fgw_slab_fini(&s);
}

TEST(no_memory_to_sift_with_leaves_all_as_it_is)
{
    struct fgw_slab s;
    fgw_slab_init(&s, "t", 30000);
    void *v[6];
    for (int i = 0; i < 6; i++) v[i] = fgw_slab_get(&s);
    for (int i = 0; i < 6; i++) fgw_slab_put(&s, v[i]);
    malloc_refuses = true;
    OK(!fgw_slab_sift(&s, 100));
    EQ(s.chunks, 3);
    malloc_refuses = false;
    OK(!fgw_slab_sift(&s, 100));
    EQ(s.chunks, 1);
    fgw_slab_fini(&s);
}

#ifdef FGW_DEBUG
TEST(a_live_object_at_the_end_is_an_error)
{
    struct fgw_slab s;
    fgw_slab_init(&s, "t", 16);
    void *p = fgw_slab_get(&s);
    DIES(fgw_slab_fini(&s));
    fgw_slab_put(&s, p);
    DIES(fgw_slab_put(&s, p));      /* put more than was got */
    fgw_slab_fini(&s);
}
#endif

#ifdef FGW_ASAN
TEST(free_objects_may_not_be_touched)
{
    struct fgw_slab s;
    fgw_slab_init(&s, "t", 64);
    volatile char *a = fgw_slab_get(&s), *b = fgw_slab_get(&s);
    fgw_slab_put(&s, (void *)a);
    DIES((void)a[0]);
    DIES(a[63] = 1);
    DIES(b[64] = 1);                /* the neighbour was never got */
    DIES(fgw_slab_put(&s, (void *)a));
    b[63] = 1;
    fgw_slab_put(&s, (void *)b);
    fgw_slab_fini(&s);
}
#endif

TEST_MAIN()
