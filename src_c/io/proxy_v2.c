#include "io/proxy_v2.h"
#include <netinet/in.h>

enum { FIXED = 16, LOCAL = 0x20, PROXY = 0x21, INET = 1, INET6 = 2, UNIX = 3, DGRAM = 2, TLV_HEAD = 3, TLV_CRC32C = 3, CRC_SIZE = 4 };

static const unsigned char SIGNATURE[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* Bytes of the addresses of a family: source and destination, and ports where there are any. */
static const uint8_t ADDRESSES[] = {[INET] = 12, [INET6] = 36, [UNIX] = 216};

static uint32_t two(const unsigned char *p) { return (uint32_t)p[0] << 8 | p[1]; }

/* CRC32C (Castagnoli), four bits at a time: the polynomial is 0x82f63b78, reflected. */
static uint32_t crc_add(uint32_t crc, unsigned char byte)
{
    static const uint32_t TABLE[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    crc ^= byte;
    crc = crc >> 4 ^ TABLE[crc & 15];
    return crc >> 4 ^ TABLE[crc & 15];
}

/* Of the whole header, its own four bytes at `at` counted as zero. */
static bool checksum_right(const unsigned char *p, uint32_t n, uint32_t at)
{
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) crc = crc_add(crc, i >= at && i < at + CRC_SIZE ? 0 : p[i]);
    return ~crc == (two(p + at) << 16 | two(p + at + 2));
}

/* The TLVs of a header of n bytes, from `at` on: whole, and the checksum right. */
static bool tlvs_right(const unsigned char *p, uint32_t n, uint32_t at)
{
    uint32_t crc_at = 0;
    for (uint32_t len; at < n; at += TLV_HEAD + len) {
        if (n - at < TLV_HEAD || (len = two(p + at + 1)) > n - at - TLV_HEAD) return false;
        if (p[at] != TLV_CRC32C) continue;
        if (len != CRC_SIZE || crc_at) return false;
        crc_at = at + TLV_HEAD;
    }
    return !crc_at || checksum_right(p, n, crc_at);
}

static void read_address(unsigned family, const unsigned char *p, struct fgw_addr *src)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (family == INET) {
        memcpy(&in.sin_addr, p, 4), memcpy(&in.sin_port, p + 8, 2);
        fgw_addr_of((struct sockaddr *)&in, src);
    } else if (family == INET6) {
        memcpy(&six.sin6_addr, p, 16), memcpy(&six.sin6_port, p + 32, 2);
        fgw_addr_of((struct sockaddr *)&six, src);
    } else fgw_addr_of(&(struct sockaddr){.sa_family = AF_UNIX}, src);
}

int fgw_proxy_v2_parse(const char *text, uint32_t n, struct fgw_addr *src)
{
    const unsigned char *p = (const unsigned char *)text;
    *src = (struct fgw_addr){0};
    if (memcmp(p, SIGNATURE, n < sizeof SIGNATURE ? n : sizeof SIGNATURE) != 0) return -1;
    if (n > 12 && p[12] != LOCAL && p[12] != PROXY) return -1;
    if (n < FIXED) return 0;
    unsigned family = p[13] >> 4, transport = p[13] & 15;
    uint32_t whole = FIXED + two(p + 14);
    bool local = p[12] == LOCAL, nameless = family == 0 || transport == 0;
    if (whole > FGW_PROXY_V2_MAX || (!local && (family > UNIX || transport > DGRAM))) return -1;
    if (!local && !nameless && whole < (uint32_t)FIXED + ADDRESSES[family]) return -1;
    if (n < whole) return 0;
    if (local || nameless) return (int)whole;
    if (!tlvs_right(p, whole, FIXED + ADDRESSES[family])) return -1;
    read_address(family, p + FIXED, src);
    return (int)whole;
}
