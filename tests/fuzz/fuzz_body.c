/* tests/fuzz/fuzz_body.c: a body reads the same in any cut, and chunked bodies read as a second, slower reader reads them.
 * Input: a byte for the framing and limits, a byte for the cuts, then the bytes. */
#include <stdlib.h>
#include "base/check.h"
#include "http/body.h"
#include "http/chars.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))

struct reading { enum fgw_body_event ev; uint32_t used, n; char *data; };

/* In steps of `by` bytes, each in a block of its own size. */
static struct reading feed(enum fgw_framing f, uint64_t length, const struct fgw_body_limits *lim, const char *p, uint32_t n, uint32_t by)
{
    struct reading r = {.ev = FGW_BODY_MORE, .data = malloc(n + 1)};
    struct fgw_body b;
    fgw_body_start(&b, f, length);
    for (uint32_t at = 0; r.ev == FGW_BODY_MORE && at < n; at += by) {
        uint32_t len = by < n - at ? by : n - at, pos = 0, off = 0, got = 0;
        char *copy = malloc(len);
        memcpy(copy, p + at, len);
        while ((r.ev = fgw_body_next(&b, lim, copy, len, &pos, &off, &got)) == FGW_BODY_DATA) {
            MUST(got > 0 && off + got == pos && pos <= len);
            memcpy(r.data + r.n, copy + off, got);
            r.n += got;
        }
        MUST(pos <= len && (r.ev != FGW_BODY_MORE || pos == len));
        r.used = at + pos;
        free(copy);
    }
    MUST(b.total == r.n && (r.ev == FGW_BODY_BAD) == (b.err == FGW_E_BAD_CHUNK));
    return r;
}

static const char *crlf_of(const char *p, const char *end)
{
    for (; end - p >= 2; p++)
        if (p[0] == '\r' && p[1] == '\n') return p;
    return NULL;
}

/* RFC 9112 section 7.1 line by line, without limits: where the trailer section begins; NULL: malformed or not complete. */
static const char *slow_reader(const char *p, const char *end, char *data, uint32_t *n)
{
    for (*n = 0;;) {
        const char *eol = crlf_of(p, end), *q = p;
        uint64_t size = 0;
        if (!eol) return NULL;
        for (; q < eol && q - p < 16 && fgw_char_is(*q, FGW_C_HEX); q++) size = size * 16 + fgw_hex_value(*q);
        if (q == p) return NULL;
        if (q < eol) {
            while (q < eol && (*q == ' ' || *q == '\t')) q++;
            if (q == eol || *q != ';') return NULL;
            for (; q < eol; q++) if (!fgw_char_is(*q, FGW_C_VALUE)) return NULL;
        }
        p = eol + 2;
        if (size == 0) return p;
        if ((uint64_t)(end - p) < 2 || size > (uint64_t)(end - p) - 2 || memcmp(p + size, "\r\n", 2) != 0) return NULL;
        memcpy(data + *n, p, size);
        *n += (uint32_t)size, p += size + 2;
    }
}

static void check_chunked(const struct reading *r, const char *p, uint32_t n)
{
    char *data = malloc(n + 1);
    uint32_t m;
    const char *trailers = slow_reader(p, p + n, data, &m);
    MUST((trailers != NULL) == (r->ev == FGW_BODY_TRAILERS));
    if (trailers) MUST(trailers == p + r->used && m == r->n && memcmp(data, r->data, m) == 0);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    static const struct fgw_body_limits WIDE = {1 << 20, 1 << 20, 8192, 32}, TIGHT = {4, 9, 8192, 32};
    if (size < 2 || size > 8192) return 0;
    bool other = in[0] & 128, tight = in[0] & 64;
    enum fgw_framing f = other ? (enum fgw_framing)(in[0] & 3) : FGW_BODY_CHUNKED;
    const struct fgw_body_limits *lim = tight ? &TIGHT : &WIDE;
    const char *p = (const char *)in + 2;
    uint32_t n = (uint32_t)size - 2;
    struct reading want = feed(f, in[1], lim, p, n, n + 1);
    const uint32_t BY[] = {1, 2, 3 + in[1] % 64u};
    for (unsigned i = 0; i < FGW_COUNT(BY); i++) {
        struct reading got = feed(f, in[1], lim, p, n, BY[i]);
        MUST(got.ev == want.ev && got.used == want.used && got.n == want.n && memcmp(got.data, want.data, got.n) == 0);
        free(got.data);
    }
    if (f == FGW_BODY_CHUNKED && !tight) check_chunked(&want, p, n);
    if (f == FGW_BODY_LENGTH) MUST(want.n <= in[1] && (n == 0 || (want.ev == FGW_BODY_END) == (want.n == in[1])));
    free(want.data);
    return 0;
}
