#include "io/proxy_v2.c"
#include "test.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\2\1" "\xc0\0\2\2" "\0\x0a" "\0\x14"
#define V6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\xff\xff" "\0\1"

static struct fgw_addr a;

/* What becomes of these bytes, which end at an unmapped page. */
static int parse(const char *bytes, size_t n)
{
    char *p = at_edge(bytes, n);
    memset(&a, 0xee, sizeof a);
    int used = fgw_proxy_v2_parse(p, (uint32_t)n, &a);
    at_edge_free(p, n);
    return used;
}
#define PARSE(text) parse((text), sizeof(text) - 1)

/* Every proper part of a good header is partial, and what follows it changes nothing. */
static void good(const char *bytes, size_t n, const char *address, uint16_t port)
{
    char more[FGW_PROXY_V2_MAX + 8];
    for (size_t i = 1; i < n; i++) EQ(parse(bytes, i), 0);
    EQ(parse(bytes, n), (int)n);
    OK(strcmp(a.text, address) == 0 && a.len == strlen(address) && a.port == port);
    memcpy(more, bytes, n), memcpy(more + n, "GET", 3);
    EQ(parse(more, n + 3), (int)n);
}
#define GOOD(text, address, port) good((text), sizeof(text) - 1, (address), (port))

TEST(addresses_of_all_families)
{
    GOOD(SIG "\x21\x11\0\x0c" V4, "192.0.2.1", 10);
    GOOD(SIG "\x21\x12\0\x0c" V4, "192.0.2.1", 10);
    GOOD(SIG "\x21\x21\0\x24" V6, "2001:db8::1", 65535);
    OK(a.hi == 0x20010db800000000 && a.lo == 1);
    char local[16 + 216] = SIG "\x21\x31\0\xd8" "/run/balancer.sock";
    good(local, sizeof local, "unix", 0);
    OK(!a.hi && !a.lo);
    GOOD(SIG "\x21\x21\0\x24" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2" "\0\1\0\2", "192.0.2.1", 1);
}

TEST(without_an_address_the_sockets_is_kept)
{
    GOOD(SIG "\x20\0\0\0", "", 0);
    GOOD(SIG "\x20\x11\0\x0c" V4, "", 0);
    GOOD(SIG "\x20\xff\0\3" "\xff\xff\xff", "", 0);          /* LOCAL: nothing behind it is looked at */
    GOOD(SIG "\x21\0\0\0", "", 0);
    GOOD(SIG "\x21\0\0\5" "abcde", "", 0);
    GOOD(SIG "\x21\1\0\0", "", 0);
    GOOD(SIG "\x21\x10\0\0", "", 0);
}

TEST(tlvs_are_skipped_and_the_checksum_is_verified)
{
    GOOD(SIG "\x21\x11\0\x0f" V4 "\4\0\0", "192.0.2.1", 10);
    GOOD(SIG "\x21\x11\0\x17" V4 "\1\0\2h2" "\4\0\0" "\xe0\0\0", "192.0.2.1", 10);
    /* as HAProxy sends it: send-proxy-v2 proxy-v2-options crc32c */
    char crc[] = SIG "\x21\x11\0\x13" V4 "\3\0\4\0\0\0\0";
    uint32_t sum = UINT32_MAX;
    for (size_t i = 0; i < sizeof crc - 1; i++) sum = crc_add(sum, (unsigned char)crc[i]);
    sum = ~sum;
    for (int i = 0; i < 4; i++) crc[sizeof crc - 5 + i] = (char)(sum >> (24 - 8 * i));
    good(crc, sizeof crc - 1, "192.0.2.1", 10);
    for (size_t i = 16; i < sizeof crc - 1; i++) {           /* no bit behind the lengths may change */
        if (i >= 28 && i < 31) continue;                     /* the TLV's own head */
        crc[i] ^= 4;
        EQ(parse(crc, sizeof crc - 1), -1);
        crc[i] ^= 4;
    }
    static const char check[] = "123456789";
    sum = UINT32_MAX;
    for (int i = 0; i < 9; i++) sum = crc_add(sum, (unsigned char)check[i]);
    EQ(~sum, 0xe3069283u);                                   /* the published check value */
}

TEST(any_deviation_is_bad)
{
    EQ(PARSE("\r\n\r\n\0\r\nQUIT\r"), -1); EQ(PARSE("\r\n\r\r"), -1); EQ(PARSE("PROXY"), -1);
    EQ(PARSE(SIG "\x11"), -1); EQ(PARSE(SIG "\x22\x11\0\x0c" V4), -1); EQ(PARSE(SIG "\x31\x11\0\x0c" V4), -1);
    EQ(PARSE(SIG "\x21\x41\0\x0c" V4), -1); EQ(PARSE(SIG "\x21\x13\0\x0c" V4), -1); EQ(PARSE(SIG "\x21\x04\0\0"), -1);
    EQ(PARSE(SIG "\x21\x11\0\x0b" V4), -1); EQ(PARSE(SIG "\x21\x21\0\x23" V6), -1); EQ(PARSE(SIG "\x21\x31\0\xd7"), -1);
    EQ(PARSE(SIG "\x21\x11\x0f\xf1"), -1); EQ(PARSE(SIG "\x20\0\xff\xff"), -1);      /* too long, said before it came */
    EQ(PARSE(SIG "\x21\x11\x0f\xf0"), 0);
    EQ(PARSE(SIG "\x21\x11\0\x0d" V4 "\4"), -1); EQ(PARSE(SIG "\x21\x11\0\x0f" V4 "\4\0\1"), -1); EQ(PARSE(SIG "\x21\x11\0\x10" V4 "\4\xff\xff" "a"), -1);
    EQ(PARSE(SIG "\x21\x11\0\x12" V4 "\3\0\3\0\0\0"), -1);
    EQ(PARSE(SIG "\x21\x11\0\x1a" V4 "\3\0\4\0\0\0\0\3\0\4\0\0\0\0"), -1);
}

TEST_MAIN()
