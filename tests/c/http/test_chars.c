/* The class table, byte by byte, against the words of the RFCs. */
#include "http/chars.c"
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

TEST_MAIN()
