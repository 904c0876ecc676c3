/* io/proxy_v2.h: the binary header of the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt of 2020, section 2.2).
 *
 *   signature (12) │ version, command │ family, transport │ length (2) │ addresses │ TLVs: type, length (2), value ...
 *
 * LOCAL (a balancer's own connection, such as a health check) and families without an address keep the socket's; the rest of such a header is
 * skipped. TLVs are walked but not read, besides the checksum (CRC32C), which must be right if it is there. At most
 * FGW_PROXY_V2_MAX bytes in all. Anything else is malformed. Pure: no state, nothing allocated. Thread any. */
#ifndef FGW_IO_PROXY_V2_H
#define FGW_IO_PROXY_V2_H
#include "io/listen.h"

enum { FGW_PROXY_V2_MAX = 4096 };

/* Bytes used; 0 partial, and what there is may still become a header; -1 bad. src->len 0: keep the socket's address. n > 0. */
int fgw_proxy_v2_parse(const char *p, uint32_t n, struct fgw_addr *src);

#endif
