#include "http/scan.h"

#if defined(__x86_64__)
#define TWICE(...)  {__VA_ARGS__, __VA_ARGS__}
#define ALL_32(x)   TWICE(x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x)

const struct fgw_scan_tables fgw_scan_tables_ = {
    .token = TWICE(0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf8, 0xf8, 0xf4, 0x54, 0xd0, 0x54, 0xf4, 0x70),
    .target = TWICE(0xf8, 0xfc, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0x7c),
    .bad_value = TWICE(3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 3, 3, 3, 3, 3, 0x83),
    .bits = TWICE(1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    .nibble = ALL_32(15), .one = ALL_32(1), .after_sp = ALL_32(0x21),
};
#endif

#define ANY_END(name, level, width, below, target)                                                       \
    target static size_t name##_##level(const char *b, size_t pos, size_t end)                           \
    {                                                                                                    \
        return end >= (width) ? fgw_##name##_end_##level(b, pos, end) : below(b, pos, end);              \
    }
#if defined(__x86_64__)
ANY_END(token, sse42, 16, fgw_token_end_plain, FGW_SSE42)
ANY_END(value, sse42, 16, fgw_value_end_plain, FGW_SSE42)
ANY_END(target, sse42, 16, fgw_target_end_plain, FGW_SSE42)
ANY_END(token, avx2, 32, token_sse42, FGW_AVX2)
ANY_END(value, avx2, 32, value_sse42, FGW_AVX2)
ANY_END(target, avx2, 32, target_sse42, FGW_AVX2)
#endif

static const struct fgw_scanner SCANNERS[] = {
    {FGW_SIMD_PLAIN, fgw_token_end_plain, fgw_value_end_plain, fgw_target_end_plain},
#if defined(__x86_64__)
    {FGW_SIMD_SSE42, token_sse42, value_sse42, target_sse42},
    {FGW_SIMD_AVX2, token_avx2, value_avx2, target_avx2},
#endif
};

const struct fgw_scanner *fgw_scanner_ = &SCANNERS[FGW_SIMD_PLAIN];

static bool cpu_has(enum fgw_simd level)
{
    if (level == FGW_SIMD_PLAIN) return true;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level == FGW_SIMD_SSE42) return __builtin_cpu_supports("sse4.2");
    if (level == FGW_SIMD_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
#endif
    return false;
}

bool fgw_head_simd_use(enum fgw_simd level)
{
    if (!cpu_has(level)) return false;
    fgw_scanner_ = &SCANNERS[level];
    return true;
}

__attribute__((constructor)) static void choose(void)
{
    if (!fgw_head_simd_use(FGW_SIMD_AVX2)) fgw_head_simd_use(FGW_SIMD_SSE42);
}

enum fgw_simd fgw_head_simd(void) { return fgw_scanner_->level; }

const char *fgw_simd_name(enum fgw_simd level)
{
    static const char *const NAMES[] = {"plain", "sse4.2", "avx2"};
    return (unsigned)level < FGW_COUNT(NAMES) ? NAMES[level] : "?";
}
