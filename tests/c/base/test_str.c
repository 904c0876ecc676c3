#include "base/str.c"
#include "../test.h"
#include "random.h"

static bool slow_ieq(struct fgw_str a, struct fgw_str b)
{
    if (a.n != b.n) return false;
    for (uint32_t i = 0; i < a.n; i++) {
        unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
        if (x >= 'A' && x <= 'Z') x += 32;
        if (y >= 'A' && y <= 'Z') y += 32;
        if (x != y) return false;
    }
    return true;
}

TEST(eq_is_exact)
{
    OK(fgw_str_eq(FGW_STR("abc"), FGW_STR("abc")));
    OK(!fgw_str_eq(FGW_STR("abc"), FGW_STR("abC")));
    OK(!fgw_str_eq(FGW_STR("abc"), FGW_STR("ab")));
    OK(fgw_str_eq((struct fgw_str){0}, FGW_STR("")));
    OK(fgw_str_eq(FGW_STR("a\0b"), FGW_STR("a\0b")));
    OK(!fgw_str_eq(FGW_STR("a\0b"), FGW_STR("a\0c")));
}

TEST(ieq_folds_ascii_letters_only)
{
    OK(fgw_str_ieq(FGW_STR("Content-Length"), FGW_STR("content-LENGTH")));
    OK(fgw_str_ieq((struct fgw_str){0}, FGW_STR("")));
    OK(!fgw_str_ieq(FGW_STR("te"), FGW_STR("te ")));
    OK(!fgw_str_ieq(FGW_STR("@"), FGW_STR("`")));
    OK(!fgw_str_ieq(FGW_STR("["), FGW_STR("{")));
    OK(!fgw_str_ieq(FGW_STR("\xc4"), FGW_STR("\xe4")));
}

TEST(ieq_agrees_with_the_slow_way_for_all_pairs_of_bytes_at_each_place)
{
    for (int len = 1; len <= 9; len += 4)
        for (int place = 0; place < len; place++)
            for (int x = 0; x < 256; x++)
                for (int y = 0; y < 256; y++) {
                    char a[9] = "kKkKkKkKk", b[9] = "KkKkKkKkK";
                    a[place] = (char)x;
                    b[place] = (char)y;
                    struct fgw_str sa = fgw_str(a, (size_t)len), sb = fgw_str(b, (size_t)len);
                    if (fgw_str_ieq(sa, sb) != slow_ieq(sa, sb)) {
                        EQ(x, y);
                        return;
                    }
                }
}

TEST(ieq_stays_inside_and_sees_every_byte)
{
    random_seed(1);
    for (uint32_t n = 0; n <= 40; n++) {
        char text[40], other[40];
        for (uint32_t i = 0; i < n; i++) text[i] = (char)('a' + random_below(26)), other[i] = (char)(text[i] - 32);
        char *a = at_edge(text, n), *b = at_edge(other, n);
        OK(fgw_str_ieq(fgw_str(a, n), fgw_str(b, n)));
        for (uint32_t i = 0; i < n; i++) {
            b[i] ^= 1;
            OK(!fgw_str_ieq(fgw_str(a, n), fgw_str(b, n)));
            b[i] ^= 1;
        }
        at_edge_free(a, n);
        at_edge_free(b, n);
    }
}

TEST(trim_takes_space_and_tab_only)
{
    EQ_STR(fgw_str_trim(FGW_STR(" \t a b\t ")), "a b");
    EQ_STR(fgw_str_trim(FGW_STR("a")), "a");
    EQ_STR(fgw_str_trim(FGW_STR("")), "");
    EQ_STR(fgw_str_trim(FGW_STR(" \t\t ")), "");
    EQ_STR(fgw_str_trim(FGW_STR("\r\na\v\f")), "\r\na\v\f");
    EQ(fgw_str_trim((struct fgw_str){0}).n, 0);
}

TEST_MAIN()
