#include "base/str.h"
#include <stddef.h>

#define EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Eight bytes to lower case at once. The sums cannot carry into a neighbour: both addends stay below 0x80. */
static inline uint64_t lower8(uint64_t v)
{
    uint64_t low = v & EACH(0x7f);
    uint64_t from_a = low + EACH(0x80 - 'A'), past_z = low + EACH(0x80 - 'Z' - 1);
    return v | ((from_a ^ past_z) & ~v & EACH(0x80)) >> 2;
}

static inline uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline uint64_t load4(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* 1 to 7 bytes in one word; some may be in it twice, at places that depend on n only. */
static inline uint64_t load_short(const char *p, size_t n)
{
    if (n >= 4) return load4(p) | load4(p + n - 4) << 32;
    return (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n >> 1] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16;
}

bool fgw_str_ieq(struct fgw_str a, struct fgw_str b)
{
    size_t n = a.n;
    if (n != b.n) return false;
    if (n < 8) return n == 0 || lower8(load_short(a.p, n)) == lower8(load_short(b.p, n));
    for (size_t i = 0; i + 8 < n; i += 8)
        if (lower8(load8(a.p + i)) != lower8(load8(b.p + i))) return false;
    return lower8(load8(a.p + n - 8)) == lower8(load8(b.p + n - 8));
}

static inline bool is_ows(char c) { return c == ' ' || c == '\t'; }

struct fgw_str fgw_str_trim(struct fgw_str s)
{
    while (s.n && is_ows(s.p[0])) s.p++, s.n--;
    while (s.n && is_ows(s.p[s.n - 1])) s.n--;
    return s;
}
