#include "base/num.c"
#include "../test.h"
#include "random.h"
#include <inttypes.h>

static void agree(uint64_t v)
{
    char mine[32], theirs[32];
    memset(mine, '#', sizeof(mine));
    int n = fgw_u64_dec(mine, v), want = snprintf(theirs, sizeof(theirs), "%" PRIu64, v);
    if (n != want || memcmp(mine, theirs, (size_t)n) != 0 || mine[n] != '#') EQ_BYTES(mine, (size_t)n, "the same as printf");
    uint64_t back = 0;
    char *edge = at_edge(mine, (size_t)n);
    OK(fgw_dec_u64(fgw_str(edge, (size_t)n), &back) && back == v);
    at_edge_free(edge, (size_t)n);
    memset(mine, '#', sizeof(mine));
    n = fgw_u64_hex(mine, v), want = snprintf(theirs, sizeof(theirs), "%" PRIx64, v);
    if (n != want || memcmp(mine, theirs, (size_t)n) != 0 || mine[n] != '#') EQ_BYTES(mine, (size_t)n, "the same as printf");
    memset(mine, '#', sizeof(mine));
    fgw_u64_hex16(mine, v), snprintf(theirs, sizeof(theirs), "%016" PRIx64, v);
    if (memcmp(mine, theirs, 16) != 0 || mine[16] != '#') EQ_BYTES(mine, 16, "the same as printf");
}

TEST(around_every_power)
{
    for (uint64_t p = 1, more = 1; more; more = !__builtin_mul_overflow(p, 10u, &p)) agree(p - 1), agree(p), agree(p + 1);
    for (int bit = 0; bit < 64; bit++) agree((1ull << bit) - 1), agree(1ull << bit), agree((1ull << bit) + 1);
    agree(0);
    agree(UINT64_MAX);
}

TEST(random_values)
{
    random_seed(8);
    for (int i = 0; i < 3000; i++) agree(random_u64() >> random_below(64));
    for (uint64_t v = 0; v < 1100; v++) agree(v);
}

static bool reads(struct fgw_str s) { uint64_t v = 77; bool ok = fgw_dec_u64(s, &v); OK(ok || v == 77); return ok; }

TEST(only_digits_are_a_number)
{
    static const char *BAD[] = {"", "+1", "-1", " 1", "1 ", "1\t", "0x1", "1,1", "1.0", "a", "1a", ":", "/", "1e3", "\xb1", "١"};
    for (unsigned i = 0; i < FGW_COUNT(BAD); i++) OK(!reads(fgw_str(BAD[i], strlen(BAD[i]))));
    OK(!reads(FGW_STR("1\0")));
    OK(!reads((struct fgw_str){0}));
    for (int c = 0; c < 256; c++) EQ(reads(fgw_str((char[]){(char)c}, 1)), c >= '0' && c <= '9');
}

TEST(no_wrap)
{
    OK(reads(FGW_STR("18446744073709551615")));
    OK(!reads(FGW_STR("18446744073709551616")));
    OK(!reads(FGW_STR("18446744073709551620")));
    OK(!reads(FGW_STR("20000000000000000000")));
    OK(!reads(FGW_STR("99999999999999999999")));
    OK(!reads(FGW_STR("100000000000000000000")));
    OK(reads(FGW_STR("00000000000000000001")));
    OK(!reads(FGW_STR("000000000000000000001")));
}

TEST_MAIN()
