/* The class table, byte by byte, against the words of the RFCs; and the SIMD scanners against the table. */
#include "http/chars.c"
#include "http/scan.h"
#include "test.h"

static int in(int c, const char *set) { return c != 0 && strchr(set, c) != NULL; }
static int alpha(int c) { return in(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"); }
static int digit(int c) { return in(c, "0123456789"); }

TEST(every_class_of_every_byte)
{
    for (int c = 0; c < 256; c++) {
        char b = (char)c;
        EQ(fgw_char_is(b, FGW_C_TOKEN), alpha(c) || digit(c) || in(c, "!#$%&'*+-.^_`|~"));
        EQ(fgw_char_is(b, FGW_C_VALUE), c == 9 || (c >= 32 && c <= 126) || c >= 128);
        EQ(fgw_char_is(b, FGW_C_TARGET), c >= 0x21 && c <= 0x7e && c != '#');
        EQ(fgw_char_is(b, FGW_C_DIGIT), digit(c));
        EQ(fgw_char_is(b, FGW_C_HEX), digit(c) || in(c, "abcdefABCDEF"));
        EQ(fgw_char_is(b, FGW_C_ALPHA), alpha(c));
        EQ(fgw_char_is(b, FGW_C_UNRESERVED), alpha(c) || digit(c) || in(c, "-._~"));
        EQ(fgw_char_is(b, FGW_C_REGNAME), alpha(c) || digit(c) || in(c, "-._~!$&'()*+,;="));
    }
}

TEST(case_and_hex)
{
    for (int c = 0; c < 256; c++) EQ(fgw_char_lower((char)c), c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c);
    for (unsigned v = 0; v < 16; v++) {
        EQ(fgw_hex_value("0123456789abcdef"[v]), v);
        EQ(fgw_hex_value("0123456789ABCDEF"[v]), v);
    }
}

/* Every byte value at every place of a vector, in inputs of every length up to three vectors, starting at every offset. */
static void scan_like_table(const struct fgw_scanner *s, const char *base, uint32_t n)
{
    for (uint32_t pos = 0; pos < n; pos++) {
        struct fgw_masks m = s->block(base, pos, n);
        uint32_t first = n;
        for (uint32_t i = 0; i < FGW_SCAN_BLOCK; i++) {
            int beyond = pos + i >= n;
            int name = beyond || !fgw_char_is(base[pos + i], FGW_C_TOKEN), value = beyond || !fgw_char_is(base[pos + i], FGW_C_VALUE);
            if ((m.name >> i & 1) != (uint64_t)name || (m.value >> i & 1) != (uint64_t)value) {
                EQ(-1, i);
                return;
            }
        }
        for (uint32_t i = n; i-- > pos;)
            if (!fgw_char_is(base[i], FGW_C_TARGET)) first = i;
        EQ(s->target(base, pos, n), first);
    }
    EQ(s->target(base, n, n), n);
}

TEST(scanners_equal_the_table)
{
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        EQ(fgw_head_simd(), level);
        char in[256];
        for (int c = 0; c < 256; c++) in[c] = (char)c;
        char *edge = at_edge(in, sizeof in);
        scan_like_table(fgw_scanner_, edge, sizeof in);
        at_edge_free(edge, sizeof in);
        for (uint32_t n = 1; n <= 97; n++) {
            uint32_t bad = n * 7 % n, seed = n * 2654435761u;
            memset(in, 'a', n);
            in[bad] = (char)(seed >> 24), in[n - 1 - bad] = (char)(seed >> 16);
            edge = at_edge(in, n);
            scan_like_table(fgw_scanner_, edge, n);
            at_edge_free(edge, n);
        }
    }
    OK(fgw_head_simd_use(FGW_SIMD_PLAIN));
}

TEST(every_byte_in_every_lane)
{
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        char in[70];
        memset(in, 'a', sizeof in);
        char *edge = at_edge(in, sizeof in);
        for (uint32_t lane = 0; lane < 64; lane++)
            for (int c = 0; c < 256; c++) {
                edge[lane] = (char)c;
                struct fgw_masks m = fgw_scanner_->block(edge, 0, sizeof in);
                EQ(m.name, fgw_char_is((char)c, FGW_C_TOKEN) ? 0 : 1ull << lane);
                EQ(m.value, fgw_char_is((char)c, FGW_C_VALUE) ? 0 : 1ull << lane);
                EQ(fgw_scanner_->target(edge, 0, sizeof in), fgw_char_is((char)c, FGW_C_TARGET) ? sizeof in : lane);
                edge[lane] = 'a';
            }
        at_edge_free(edge, sizeof in);
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
