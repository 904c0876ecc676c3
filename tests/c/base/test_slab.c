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
        OK((size_t)s.size * s.per_chunk <= CHUNK_BYTES && (size_t)s.size * (s.per_chunk + 1) + 32 > CHUNK_BYTES);
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
