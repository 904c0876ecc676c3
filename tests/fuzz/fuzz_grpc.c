/* A time-out that is taken means the same when it is written again, and nothing longer; a status is a code or none; a message is printable
 * ASCII that decodes to what it was, as far as it was told. Input: the value of a field. */
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "http/chars.h"
#include "http/grpc.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))

static void timeout(struct fgw_str v)
{
    uint64_t ns = 0, again = 0;
    char p[FGW_GRPC_TIMEOUT_MAX];
    if (!fgw_grpc_timeout(v, &ns)) return;
    MUST(v.n >= 2 && v.n <= FGW_GRPC_TIMEOUT_MAX);
    uint32_t n = fgw_grpc_timeout_write(ns, p);
    MUST(n >= 2 && n <= FGW_GRPC_TIMEOUT_MAX && fgw_grpc_timeout(fgw_str(p, n), &again));
    MUST(ns == 0 ? again == 1 : again <= ns && ns - again <= ns / 100000);
}

static void message(struct fgw_str v)
{
    char *out = malloc(3 * FGW_GRPC_MESSAGE_MAX), *back = malloc(FGW_GRPC_MESSAGE_MAX + 1);
    uint32_t n = fgw_grpc_message(v, out), k = 0;
    MUST(n <= 3 * FGW_GRPC_MESSAGE_MAX);
    for (uint32_t i = 0; i < n; i++) {
        MUST(out[i] >= 0x20 && out[i] < 0x7f);
        if (out[i] == '%') MUST(n - i >= 3), back[k++] = (char)(fgw_hex_value(out[i + 1]) << 4 | fgw_hex_value(out[i + 2])), i += 2;
        else back[k++] = out[i];
    }
    MUST(k <= v.n && memcmp(back, v.p, k) == 0);
    free(out), free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    if (size > 4096) return 0;
    char *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, in, size);
    struct fgw_str v = fgw_str(copy, size);
    timeout(v);
    message(v);
    enum fgw_grpc_code c = fgw_grpc_status(v);
    MUST(c < FGW_GRPC_CODES || c == FGW_GRPC_NONE);
    free(copy);
    return 0;
}
