/* PROXY headers of both versions. A header that is whole is the same whatever follows it, and until it is whole every part of it is partial;
 * what is bad stays bad, however much more comes. Input: the bytes of a connection. */
#include <stdlib.h>
#include <string.h>
#include "io/proxy_v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(const uint8_t *data, size_t n, struct fgw_addr *src)
{
    char *own = malloc(n);                                  /* ASan sees the first byte read past it */
    if (!own) abort();
    memcpy(own, data, n);
    int used = own[0] == '\r' ? fgw_proxy_v2_parse(own, (uint32_t)n, src) : fgw_proxy_v1_parse(own, (uint32_t)n, src);
    free(own);
    if (used > (int)n || used < -1) abort();
    if (used > 0 && (src->len != strlen(src->text) || src->len >= sizeof src->text)) abort();
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || size > FGW_PROXY_V2_MAX) return 0;
    struct fgw_addr whole, part;
    int used = parse(data, size, &whole);
    size_t step = size > 300 ? size / 100 : 1;
    for (size_t n = 1; n < size; n += step) {
        int got = parse(data, n, &part);
        if (used > 0 && (n < (size_t)used ? got != 0 : got != used || memcmp(&part, &whole, sizeof part) != 0)) abort();
        if (used == 0 && got != 0) abort();
        if (got == -1 && used != -1) abort();
    }
    return 0;
}
