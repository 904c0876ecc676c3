#include "base/arena.c"
#include "../test.h"
#include "death.h"
#include "random.h"

static struct fgw_blocks blocks;
static void setup(uint64_t max_bytes) { fgw_blocks_init(&blocks, max_bytes); }
static void teardown(void) { EQ(blocks.live, 0); fgw_blocks_fini(&blocks); }

TEST(the_first_piece_is_used_first)
{
    _Alignas(8) char first[64];
    struct fgw_arena a;
    setup(0);
    fgw_arena_init(&a, &blocks, first, sizeof(first), 0);
    OK(fgw_arena_alloc(&a, 1) == first);
    OK(fgw_arena_alloc(&a, 8) == first + 8);
    OK(fgw_arena_alloc(&a, 48) == first + 16);
    EQ(a.used, 64);
    EQ(blocks.live, 0);
    char *p = fgw_arena_alloc(&a, 1);
    OK(p && (p < first || p >= first + 64) && (uintptr_t)p % 8 == 0);
    EQ(blocks.live, 1);
    EQ(a.used, 72);
    fgw_arena_fini(&a);
    memset(first, 0, sizeof(first));
    EQ(a.used, 0);
    teardown();
}

TEST(without_a_first_piece_and_after_fini_blocks_serve)
{
    struct fgw_arena a;
    setup(0);
    fgw_arena_init(&a, &blocks, NULL, 0, 0);
    OK(fgw_arena_alloc(&a, 0) != NULL);
    EQ(blocks.live, 0);
    OK(fgw_arena_alloc(&a, 8) != NULL);
    EQ(blocks.live, 1);
    fgw_arena_fini(&a);
    EQ(blocks.live, 0);
    OK(fgw_arena_alloc(&a, 8) != NULL);
    EQ(a.used, 8);
    fgw_arena_fini(&a);
    teardown();
}

TEST(a_crooked_first_piece_is_straightened)
{
    _Alignas(8) char first[64];
    for (unsigned skew = 0; skew < 8; skew++) {
        struct fgw_arena a;
        setup(0);
        fgw_arena_init(&a, &blocks, first + skew, 20, 0);
        for (int i = 0; i < 3; i++) EQ((uintptr_t)fgw_arena_alloc(&a, 8) % 8, 0);
        fgw_arena_fini(&a);
        memset(first, 0, sizeof(first));
        teardown();
    }
}

TEST(the_piece_with_more_room_goes_on)
{
    _Alignas(8) char first[1024];
    struct fgw_arena a;
    setup(0);
    fgw_arena_init(&a, &blocks, first, sizeof(first), 0);
    OK(fgw_arena_alloc(&a, 8) == first);
    char *big = fgw_arena_alloc(&a, 4056);       /* fills a 4 KiB block to the last byte */
    EQ(blocks.bytes, 4096);
    memset(big, 1, 4056);
    OK(fgw_arena_alloc(&a, 8) == first + 8);     /* so the first piece is still in use */
    char *mid = fgw_arena_alloc(&a, 1100);
    OK(fgw_arena_alloc(&a, 8) == mid + 1104);    /* here the block is */
    OK(fgw_arena_alloc(&a, 100000) != NULL);     /* larger than any class */
    OK(fgw_arena_alloc(&a, 8) == mid + 1112);
    fgw_arena_fini(&a);
    memset(first, 0, sizeof(first));
    teardown();
}

TEST(the_limit_holds_in_every_piece)
{
    _Alignas(8) char first[512];
    for (uint32_t max = 1; max < 9000; max = max * 2 + 3) {
        for (size_t n = 1; n < 3000; n = n * 2 + 1) {
            struct fgw_arena a;
            uint32_t got = 0;
            setup(0);
            fgw_arena_init(&a, &blocks, first, sizeof(first), max);
            while (fgw_arena_alloc(&a, n)) got += (uint32_t)((n + 7) & ~7ull);
            OK(got <= max && got + ((n + 7) & ~7ull) > max);
            EQ(a.used, got);
            while (fgw_arena_alloc(&a, 1)) got += 8;     /* the rest goes to smaller ones */
            EQ(got, max & ~7u);
            fgw_arena_fini(&a);
            teardown();
        }
    }
    memset(first, 0, sizeof(first));
}

TEST(a_large_piece_counts_against_the_room_of_the_kept_one)
{
    _Alignas(8) char first[1024];
    struct fgw_arena a;
    setup(0);
    fgw_arena_init(&a, &blocks, first, sizeof(first), 4500);
    OK(fgw_arena_alloc(&a, 4056) != NULL);
    OK(fgw_arena_alloc(&a, 448) == NULL);
    OK(fgw_arena_alloc(&a, 440) == first);
    OK(fgw_arena_alloc(&a, 1) == NULL);
    fgw_arena_fini(&a);
    memset(first, 0, sizeof(first));
    teardown();
}

TEST(no_memory_is_null)
{
    struct fgw_arena a;
    setup(4096);
    fgw_arena_init(&a, &blocks, NULL, 0, 0);
    OK(fgw_arena_alloc(&a, 5000) == NULL);
    EQ(a.used, 0);
    OK(fgw_arena_alloc(&a, 4000) != NULL);
    OK(fgw_arena_alloc(&a, 4000) == NULL);
    OK(fgw_arena_alloc(&a, 56) != NULL);
    EQ(a.used, 4056);
    OK(fgw_arena_alloc(&a, FGW_BLOCK_MAX) == NULL);
    OK(fgw_arena_dup(&a, FGW_STR("abc")).p == NULL);
    fgw_arena_fini(&a);
    teardown();
}

TEST(dup)
{
    struct fgw_arena a;
    char text[] = "some bytes";
    setup(0);
    fgw_arena_init(&a, &blocks, NULL, 0, 0);
    struct fgw_str s = fgw_arena_dup(&a, fgw_str(text, 10)), empty = fgw_arena_dup(&a, (struct fgw_str){0});
    memset(text, 'x', 10);
    EQ_STR(s, "some bytes");
    OK(empty.p != NULL && empty.n == 0);
    fgw_arena_fini(&a);
    teardown();
}

TEST(pieces_do_not_overlap)
{
    static struct { unsigned char *p; size_t n; } all[3000];
    static _Alignas(8) char first[777];
    struct fgw_arena a;
    random_seed(4);
    setup(0);
    fgw_arena_init(&a, &blocks, first, sizeof(first), 0);
    for (int i = 0; i < 3000; i++) {
        all[i].n = 1 + (random_below(50) ? random_below(100) : random_below(9000));
        all[i].p = fgw_arena_alloc(&a, all[i].n);
        memset(all[i].p, i, all[i].n);
    }
    for (int i = 0; i < 3000; i++)
        for (size_t k = 0; k < all[i].n; k++) if (all[i].p[k] != (unsigned char)i) { EQ(all[i].p[k], (unsigned char)i); return; }
    fgw_arena_fini(&a);
    memset(first, 0, sizeof(first));
    teardown();
}

#ifdef FGW_ASAN
TEST(the_free_rest_may_not_be_touched)
{
    _Alignas(8) char first[64];
    struct fgw_arena a;
    setup(0);
    fgw_arena_init(&a, &blocks, first, sizeof(first), 0);
    volatile char *p = fgw_arena_alloc(&a, 16);
    p[15] = 1;
    DIES(p[16] = 1);
    volatile char *q = fgw_arena_alloc(&a, 100);
    q[103] = 1;
    DIES(q[104] = 1);
    p[16] = 1;                  /* the piece that was left is its owner's */
    fgw_arena_fini(&a);
    teardown();
}
#endif

TEST_MAIN()
