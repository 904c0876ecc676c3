/* The finders of every level against the class table, from every place to every end. */
#include "http/scan.c"
#include "test.h"

static size_t first_outside(const char *p, size_t pos, size_t end, unsigned class)
{
    while (pos < end && fgw_char_is(p[pos], class)) pos++;
    return pos;
}

static void finders_like_table(const char *p, size_t end)
{
    for (size_t pos = 0; pos <= end; pos++) {
        EQ(fgw_scanner_->token(p, pos, end), first_outside(p, pos, end, FGW_C_TOKEN));
        EQ(fgw_scanner_->value(p, pos, end), first_outside(p, pos, end, FGW_C_VALUE));
        EQ(fgw_scanner_->target(p, pos, end), first_outside(p, pos, end, FGW_C_TARGET));
    }
}

#define EACH_LEVEL(level) \
    for (enum fgw_simd level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) if (fgw_head_simd_use(level))

TEST(finders_equal_the_table_from_every_place_to_every_end)
{
    EACH_LEVEL(level) {
        EQ(fgw_head_simd(), level);
        char in[256];
        for (int c = 0; c < 256; c++) in[c] = (char)c;
        char *edge = at_edge(in, sizeof in);
        finders_like_table(edge, sizeof in);
        at_edge_free(edge, sizeof in);
        for (size_t n = 1; n <= 100; n++) {
            uint32_t seed = (uint32_t)n * 2654435761u;
            memset(in, 'a', n);
            edge = at_edge(in, n);
            finders_like_table(edge, n);
            edge[seed % n] = (char)(seed >> 24), edge[(seed >> 8) % n] = (char)(seed >> 16);
            finders_like_table(edge, n);
            at_edge_free(edge, n);
        }
    }
}

static size_t text_end(enum fgw_simd level, const char *p, size_t pos, size_t end)
{
#if defined(__x86_64__)
    if (level == FGW_SIMD_SSE42 && end >= 16) return fgw_text_end_sse42(p, pos, end);
    if (level == FGW_SIMD_AVX2 && end >= 32) return fgw_text_end_avx2(p, pos, end);
#endif
    return fgw_text_end_plain(p, pos, end);
}

/* The byte alone in a run that all classes have, in each lane; with the vector whole, and cut by the end of the input. */
TEST(every_byte_in_every_lane)
{
    EACH_LEVEL(level) for (size_t n = 64; n <= 75; n += 11) {
        char in[75];
        memset(in, 'a', n);
        char *edge = at_edge(in, n);
        for (size_t lane = 0; lane < n; lane++)
            for (int c = 0; c < 256; c++) {
                size_t at = lane / 3;
                edge[lane] = (char)c;
                EQ(fgw_scanner_->token(edge, at, n), fgw_char_is((char)c, FGW_C_TOKEN) ? n : lane);
                EQ(fgw_scanner_->value(edge, at, n), fgw_char_is((char)c, FGW_C_VALUE) ? n : lane);
                EQ(fgw_scanner_->target(edge, at, n), fgw_char_is((char)c, FGW_C_TARGET) ? n : lane);
                EQ(text_end(level, edge, at, n), c >= 32 && c < 127 ? n : lane);
                edge[lane] = 'a';
            }
        at_edge_free(edge, n);
    }
}

TEST(levels_have_names)
{
    OK(strcmp(fgw_simd_name(FGW_SIMD_PLAIN), "plain") == 0);
    OK(strcmp(fgw_simd_name(FGW_SIMD_SSE42), "sse4.2") == 0);
    OK(strcmp(fgw_simd_name(FGW_SIMD_AVX2), "avx2") == 0);
    OK(strcmp(fgw_simd_name((enum fgw_simd)7), "?") == 0);
    OK(!fgw_head_simd_use((enum fgw_simd)7));
}

TEST_MAIN()
