#include "refuse.h"
#include "base/block.c"
#include "../test.h"
#include "death.h"
#include "random.h"

TEST(layout)
{
    EQ(offsetof(struct fgw_block, data) % 16, 0);
    EQ(sizeof(struct fgw_block), offsetof(struct fgw_block, data));
}

TEST(classes)
{
    struct fgw_blocks bs;
    static const struct { size_t want; uint32_t cap, cls; } CASES[] = {
        {0, 4064, 0},     {1, 4064, 0},      {4064, 4064, 0},   {4065, 16352, 1},   {16352, 16352, 1},
        {16353, 65504, 2}, {65504, 65504, 2}, {65505, 65520, 3}, {1 << 20, 1 << 20, 3}, {FGW_BLOCK_MAX, FGW_BLOCK_MAX, 3},
    };
    fgw_blocks_init(&bs, 0);
    for (unsigned i = 0; i < FGW_COUNT(CASES); i++) {
        struct fgw_block *b = fgw_block_get(&bs, CASES[i].want);
        EQ(b->cap, CASES[i].cap);
        EQ(b->cls, CASES[i].cls);
        EQ(b->refs, 1);
        OK(b->home == &bs && !b->next && (uintptr_t)b->data % 16 == 0);
        memset(b->data, 7, b->cap);
        EQ(bs.live, 1);
        fgw_block_unref(b);
        EQ(bs.live, 0);
    }
    OK(fgw_block_get(&bs, FGW_BLOCK_MAX + 1) == NULL);
    OK(fgw_block_get(&bs, SIZE_MAX) == NULL);
    EQ(bs.nfree[0], 1);
    EQ(bs.nfree[1], 1);
    EQ(bs.nfree[2], 1);
    EQ(bs.bytes, (4 + 16 + 64) << 10);
    fgw_blocks_fini(&bs);
}

TEST(newest_first_and_no_malloc_when_warm)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    struct fgw_block *a = fgw_block_get(&bs, 100), *b = fgw_block_get(&bs, 100);
    fgw_block_unref(a);
    fgw_block_unref(b);
    uint64_t before = bs.mallocs;
    unsigned long calls = malloc_calls;
    OK(fgw_block_get(&bs, 4000) == b);
    OK(fgw_block_get(&bs, 1) == a);
    EQ(bs.mallocs, before);
    EQ(malloc_calls, calls);
    fgw_block_unref(a);
    fgw_block_unref(b);
    fgw_blocks_trim(&bs);
    EQ(bs.bytes, 0);
    EQ(bs.nfree[0], 0);
    fgw_block_unref(fgw_block_get(&bs, 1));
    EQ(bs.mallocs, before + 1);
    fgw_blocks_fini(&bs);
}

TEST(the_cache_is_bounded)
{
    static struct fgw_block *held[100];
    static const struct { size_t want; unsigned keep; } CASES[] = {{4000, 64}, {16000, 64}, {65000, 32}, {100000, 0}};
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    uint64_t bytes = 0;
    for (unsigned c = 0; c < FGW_COUNT(CASES); c++) {
        for (int i = 0; i < 100; i++) held[i] = fgw_block_get(&bs, CASES[c].want);
        uint64_t each = sizeof(struct fgw_block) + held[0]->cap;
        EQ(bs.bytes, bytes + 100 * each);
        for (int i = 0; i < 100; i++) fgw_block_unref(held[i]);
        if (c < FGW_BLOCK_CLASSES) EQ(bs.nfree[c], CASES[c].keep);
        EQ(bs.bytes, bytes += CASES[c].keep * each);
    }
    fgw_blocks_fini(&bs);
    EQ(bs.bytes, 0);
}

TEST(a_block_lives_until_its_last_reference)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    struct fgw_block *b = fgw_block_get(&bs, 10);
    memcpy(b->data, "hello", 5);
    struct fgw_span s = {b, 1, 3}, t = fgw_span_ref(s);
    EQ(b->refs, 2);
    EQ_BYTES(fgw_span_p(t), t.len, "ell");
    fgw_span_drop(&s);
    OK(!s.b && !s.off && !s.len && bs.live == 1);
    EQ_BYTES(fgw_span_p(t), t.len, "ell");
    fgw_span_drop(&t);
    fgw_span_drop(&t);
    s = fgw_span_ref((struct fgw_span){0});
    OK(!s.b);
    EQ(bs.live, 0);
    fgw_blocks_fini(&bs);
}

TEST(above_the_cap_get_refuses)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 32 << 10);
    struct fgw_block *a = fgw_block_get(&bs, 16000), *b = fgw_block_get(&bs, 16000);
    OK(a && b && bs.bytes == 32 << 10);
    OK(fgw_block_get(&bs, 1) == NULL);
    EQ(bs.live, 2);
    EQ(bs.bytes, 32 << 10);
    fgw_block_unref(a);
    struct fgw_block *c = fgw_block_get(&bs, 1);      /* the free 16K makes room */
    OK(c && bs.bytes == 20 << 10);
    fgw_block_unref(b);
    fgw_block_unref(c);
    OK(fgw_block_get(&bs, 65000) == NULL);
    fgw_blocks_fini(&bs);
}

TEST(no_memory_is_null_and_changes_nothing)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    malloc_refuses = true;
    OK(fgw_block_get(&bs, 1) == NULL);
    OK(fgw_block_get(&bs, 1 << 20) == NULL);
    malloc_refuses = false;
    EQ(bs.live, 0);
    EQ(bs.bytes, 0);
    fgw_blocks_fini(&bs);
}

TEST(random_use_keeps_the_books)
{
    struct fgw_blocks bs;
    struct fgw_block *held[64] = {0};
    uint64_t live = 0;
    random_seed(3);
    fgw_blocks_init(&bs, 4 << 20);
    for (int round = 0; round < 50000; round++) {
        unsigned i = (unsigned)random_below(64);
        if (held[i]) {
            EQ(*(unsigned *)(void *)held[i]->data, i);
            fgw_block_unref(held[i]);
            held[i] = NULL;
            live--;
        } else if ((held[i] = fgw_block_get(&bs, random_below(4) ? random_below(70000) : random_below(200)))) {
            *(unsigned *)(void *)held[i]->data = i;
            held[i]->data[held[i]->cap - 1] = 1;
            live++;
        }
        if (bs.live != live || bs.bytes > 4 << 20) { EQ(bs.live, live); break; }
    }
    for (int i = 0; i < 64; i++) if (held[i]) fgw_block_unref(held[i]);
    fgw_blocks_fini(&bs);
}

#ifdef FGW_DEBUG
TEST(misuse_is_caught)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    struct fgw_block *b = fgw_block_get(&bs, 1);
    DIES(fgw_blocks_fini(&bs));
    fgw_block_unref(b);
    DIES(fgw_block_unref(b));
    DIES(fgw_block_ref(b));
    fgw_blocks_fini(&bs);
}
#endif

#ifdef FGW_ASAN
TEST(a_free_block_may_not_be_touched)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    struct fgw_block *b = fgw_block_get(&bs, 1);
    volatile char *p = b->data;
    fgw_block_unref(b);
    DIES((void)p[0]);
    DIES(p[4063] = 1);
    OK(fgw_block_get(&bs, 1) == b);
    p[0] = p[4063] = 1;
    fgw_block_unref(b);
    fgw_blocks_fini(&bs);
}
#endif

TEST(cached_blocks_are_not_in_use)
{
    struct fgw_blocks bs;
    fgw_blocks_init(&bs, 0);
    struct fgw_block *a = fgw_block_get(&bs, 60000), *b = fgw_block_get(&bs, 100), *c = fgw_block_get(&bs, 100000);
    EQ(fgw_blocks_used(&bs), bs.bytes);
    fgw_block_unref(a), fgw_block_unref(c);
    EQ(fgw_blocks_used(&bs), 4096);
    EQ(bs.bytes, 4096 + 65536);
    fgw_block_unref(b);
    EQ(fgw_blocks_used(&bs), 0);
    fgw_blocks_fini(&bs);
}

TEST_MAIN()
