/* http/scan.h: finding the end of a token many bytes at a time; AVX2, SSE4.2 or plain, chosen once at start.
 *
 * For each class of chars.h that is scanned for, and each level, there is one finder: the first byte from pos on that is
 * not of the class, or end. `text` is the part of VALUE that two instructions tell: SP and VCHAR. They are inline so that
 * the head parser's loop over fields holds them (one loop a level); everybody else calls through fgw_scanner_.
 *
 * Holds    nothing outside base[0..end) is read: a vector that would reach beyond is loaded as the last one before `end`
 *          and its front bytes, which were read before, are shifted away. So a finder wants end >= its width; those in
 *          fgw_scanner_ take any end and leave short inputs to the level below.
 * Thread   any; the choice is a pointer set before main and changed by tests only. */
#ifndef FGW_HTTP_SCAN_H
#define FGW_HTTP_SCAN_H
#include <stddef.h>
#include <stdint.h>
#include "base/check.h"
#include "http/chars.h"
#include "http/head.h"

typedef size_t fgw_find(const char *base, size_t pos, size_t end);     /* pos <= end */

struct fgw_scanner { enum fgw_simd level; fgw_find *token, *value, *target; };
extern const struct fgw_scanner *fgw_scanner_ __attribute__((visibility("hidden")));

/* ---- plain ---- */

#define FGW_FIND_PLAIN(name, class)                                                    \
    static inline size_t fgw_##name##_end_plain(const char *b, size_t pos, size_t end) \
    {                                                                                  \
        while (pos < end && fgw_char_is(b[pos], class)) pos++;                         \
        return pos;                                                                    \
    }
FGW_FIND_PLAIN(token, FGW_C_TOKEN)
FGW_FIND_PLAIN(value, FGW_C_VALUE)
FGW_FIND_PLAIN(target, FGW_C_TARGET)
static inline size_t fgw_text_end_plain(const char *b, size_t pos, size_t end)
{
    while (pos < end && (uint8_t)(b[pos] - ' ') <= '~' - ' ') pos++;
    return pos;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Constants by the vector, in memory: built from immediates they would cost three instructions each a call.
 * A byte is looked up by its low nibble; the row found has one bit for each high nibble. pshufb gives 0 for bytes from 0x80
 * on: no token or target byte, and no bad value byte. `bits` of the high nibbles 8..15 need only differ from 0. */
struct fgw_scan_tables { _Alignas(32) uint8_t token[32], target[32], bad_value[32], bits[32], nibble[32], one[32], after_sp[32]; };
extern const struct fgw_scan_tables fgw_scan_tables_ __attribute__((visibility("hidden")));

/* The finder of one class at one level: `stops` gives a bit for each byte of a vector that is not of the class. */
#define FGW_FIND_SIMD(name, level, width, vector, target)                                                         \
    target static inline size_t fgw_##name##_end_##level(const char *b, size_t pos, size_t end)                   \
    {                                                                                                             \
        uint32_t m;                                                                                               \
        for (; fgw_likely(pos <= end - width); pos += width)                                                      \
            if (fgw_likely((m = fgw_##name##_stops_##level(vector(b + pos))) != 0)) return pos + fgw_first_bit(m); \
        if (pos == end) return end;                                                                               \
        m = fgw_##name##_stops_##level(vector(b + end - width)) >> (pos - (end - width));                         \
        return m != 0 ? pos + fgw_first_bit(m) : end;                                                             \
    }
static inline uint32_t fgw_first_bit(uint32_t m) { return (uint32_t)__builtin_ctz(m); }

/* ---- SSE4.2 ---- */

#define FGW_SSE42 __attribute__((target("sse4.2")))

FGW_SSE42 static inline __m128i fgw_16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
#define T16(name) fgw_16(fgw_scan_tables_.name)
FGW_SSE42 static inline __m128i fgw_bits_16(__m128i x)
{
    return _mm_shuffle_epi8(T16(bits), _mm_and_si128(_mm_srli_epi16(x, 4), T16(nibble)));
}
FGW_SSE42 static inline uint32_t fgw_outside_16(__m128i x, __m128i rows)
{
    __m128i in = _mm_and_si128(_mm_shuffle_epi8(rows, x), fgw_bits_16(x));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(in, _mm_setzero_si128()));
}
FGW_SSE42 static inline uint32_t fgw_token_stops_sse42(__m128i x) { return fgw_outside_16(x, T16(token)); }
FGW_SSE42 static inline uint32_t fgw_target_stops_sse42(__m128i x) { return fgw_outside_16(x, T16(target)); }
FGW_SSE42 static inline uint32_t fgw_value_stops_sse42(__m128i x)
{
    __m128i bit = fgw_bits_16(x), bad = _mm_and_si128(_mm_shuffle_epi8(T16(bad_value), x), bit);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bad, bit));
}
FGW_SSE42 static inline uint32_t fgw_text_stops_sse42(__m128i x)               /* x + 1 <= 0x20, signed: 00..1f and 7f..ff */
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmplt_epi8(_mm_add_epi8(x, T16(one)), T16(after_sp)));
}
#undef T16
FGW_FIND_SIMD(token, sse42, 16, fgw_16, FGW_SSE42)
FGW_FIND_SIMD(value, sse42, 16, fgw_16, FGW_SSE42)
FGW_FIND_SIMD(text, sse42, 16, fgw_16, FGW_SSE42)
FGW_FIND_SIMD(target, sse42, 16, fgw_16, FGW_SSE42)

/* ---- AVX2 ---- */

#define FGW_AVX2 __attribute__((target("avx2,bmi,bmi2")))

FGW_AVX2 static inline __m256i fgw_32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
#define T32(name) fgw_32(fgw_scan_tables_.name)
FGW_AVX2 static inline __m256i fgw_bits_32(__m256i x)
{
    return _mm256_shuffle_epi8(T32(bits), _mm256_and_si256(_mm256_srli_epi16(x, 4), T32(nibble)));
}
FGW_AVX2 static inline uint32_t fgw_outside_32(__m256i x, __m256i rows)
{
    __m256i in = _mm256_and_si256(_mm256_shuffle_epi8(rows, x), fgw_bits_32(x));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(in, _mm256_setzero_si256()));
}
FGW_AVX2 static inline uint32_t fgw_token_stops_avx2(__m256i x) { return fgw_outside_32(x, T32(token)); }
FGW_AVX2 static inline uint32_t fgw_target_stops_avx2(__m256i x) { return fgw_outside_32(x, T32(target)); }
FGW_AVX2 static inline uint32_t fgw_value_stops_avx2(__m256i x)
{
    __m256i bit = fgw_bits_32(x), bad = _mm256_and_si256(_mm256_shuffle_epi8(T32(bad_value), x), bit);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bad, bit));
}
FGW_AVX2 static inline uint32_t fgw_text_stops_avx2(__m256i x)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(T32(after_sp), _mm256_add_epi8(x, T32(one))));
}
#undef T32
FGW_FIND_SIMD(token, avx2, 32, fgw_32, FGW_AVX2)
FGW_FIND_SIMD(value, avx2, 32, fgw_32, FGW_AVX2)
FGW_FIND_SIMD(text, avx2, 32, fgw_32, FGW_AVX2)
FGW_FIND_SIMD(target, avx2, 32, fgw_32, FGW_AVX2)
#endif

#endif
