#include "base/num.h"
#include "base/check.h"
#include <endian.h>

static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960"
    "616263646566676869707172737475767778798081828384858687888990919293949596979899";

static const uint64_t POW10[FGW_DEC_MAX] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
    10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
    10000000000000000000u,
};

/* bits * log10(2) is the number of digits or one too many. */
static int digits_of(uint64_t v)
{
    int bits = 64 - __builtin_clzll(v | 1), guess = bits * 1233 >> 12;
    return guess + (v >= POW10[guess] || v == 0);
}

int fgw_u64_dec(char out[FGW_DEC_MAX], uint64_t v)
{
    int n = digits_of(v);
    char *p = out + n;
    for (; v >= 100; v /= 100) memcpy(p -= 2, PAIRS + 2 * (v % 100), 2);
    if (v >= 10) memcpy(p -= 2, PAIRS + 2 * v, 2);
    else *--p = (char)('0' + v);
    FGW_CHECK(p == out);
    return n;
}

int fgw_u64_hex(char out[FGW_HEX_MAX], uint64_t v)
{
    int n = (64 - __builtin_clzll(v | 1) + 3) / 4;
    for (char *p = out + n; p > out; v >>= 4) *--p = "0123456789abcdef"[v & 15];
    return n;
}

/* Eight digits: each nibble into a byte of its own, the first digit lowest; then 10 and more become letters. */
static void hex8(char *p, uint32_t v)
{
    uint64_t x = (uint64_t)(v & 0xffff) << 32 | v >> 16;
    x = (x & 0x000000ff000000ff) << 16 | (x >> 8 & 0x000000ff000000ff);
    x = (x & 0x000f000f000f000f) << 8 | (x >> 4 & 0x000f000f000f000f);
    uint64_t letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
    x = htole64(x + 0x3030303030303030 + letters * ('a' - '0' - 10));
    memcpy(p, &x, 8);
}

void fgw_u64_hex16(char out[FGW_HEX_MAX], uint64_t v) { hex8(out, (uint32_t)(v >> 32)), hex8(out + 8, (uint32_t)v); }

bool fgw_dec_u64(struct fgw_str s, uint64_t *v)
{
    uint64_t r = 0;
    if (s.n == 0 || s.n > FGW_DEC_MAX) return false;
    for (uint32_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
        if (d > 9 || __builtin_mul_overflow(r, 10u, &r) || __builtin_add_overflow(r, d, &r)) return false;
    }
    *v = r;
    return true;
}
