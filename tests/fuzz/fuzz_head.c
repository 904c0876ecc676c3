/* tests/fuzz/fuzz_head.c: the head parser gives one answer however its bytes come and whichever scanner reads them, and
 * what it accepts has the form that head.h promises.
 * Input: a byte for kind and limits, a byte for the cuts, then the bytes of the head. */
#include "base/check.h"
#include "http/body.h"
#include "http/chars.h"
#include "http/heads.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))

static bool all(struct fgw_str s, unsigned class)
{
    for (uint32_t i = 0; i < s.n; i++)
        if (!fgw_char_is(s.p[i], class)) return false;
    return true;
}

static bool blank(char c) { return c == ' ' || c == '\t'; }

static void check_field(const struct outcome *o, const struct fgw_field *f, uint32_t from)
{
    struct fgw_str name = fgw_head_name(&o->h, f), value = fgw_head_value(&o->h, f);
    MUST(f->name == from && name.n > 0 && all(name, FGW_C_TOKEN) && all(value, FGW_C_VALUE));
    MUST(name.p[name.n] == ':' && f->value > f->name + name.n && f->value + value.n + 4 <= o->h.len);
    MUST(value.n == 0 || (!blank(value.p[0]) && !blank(value.p[value.n - 1])));
    for (const char *p = name.p + name.n + 1; p < value.p; p++) MUST(blank(*p));
    MUST(f->id == fgw_field_id(name.p, name.n) && (o->h.known >> f->id & 1));
}

static void check_accepted(const struct outcome *o, enum kind k, const char *p, const struct fgw_head_limits *lim)
{
    const struct fgw_head *h = &o->h;
    uint32_t from = 0, len = h->len;
    MUST(o->r == (int)len && len <= lim->head_max && h->nfields <= lim->max_fields && memcmp(p + len - 2, "\r\n", 2) == 0);
    for (uint32_t i = 0; i < len; i++) MUST(p[i] == '\r' ? p[i + 1] == '\n' : p[i] != '\n' || p[i - 1] == '\r');
    if (k == REQUEST) {
        MUST(h->method_len > 0 && h->method_len <= 32 && all(fgw_head_method(h), FGW_C_TOKEN));
        MUST(h->target_len > 0 && all(fgw_head_target(h), FGW_C_TARGET) && h->target == h->method_off + h->method_len + 1u);
        MUST(memcmp(p + h->target + h->target_len, h->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n", 11) == 0);
        from = h->target + h->target_len + 11;
    } else if (k == REPLY) {
        MUST(h->status >= 100 && h->status <= 999 && all(fgw_str(p + h->reason, h->reason_len), FGW_C_VALUE));
        from = h->reason + h->reason_len + 2;
    }
    for (const struct fgw_field *f = h->fields; f < h->fields + h->nfields; f++) {
        check_field(o, f, from);
        for (from = f->value + f->value_len; blank(p[from]); from++) {}
        MUST(memcmp(p + from, "\r\n", 2) == 0);
        from += 2;
    }
    MUST(from + 2 == len);
}

static void check_framing(const struct outcome *o, enum kind k)
{
    enum fgw_framing f;
    uint64_t length;
    enum fgw_err e = k == REQUEST ? fgw_framing_request(&o->h, &f, &length) : fgw_framing_reply(&o->h, false, &f, &length);
    MUST(e == FGW_E_NONE || (f == FGW_BODY_NONE && length == 0));
    MUST(e != FGW_E_NONE || f == FGW_BODY_LENGTH || length == 0);
    MUST(e != FGW_E_NONE || !((o->h.known & FGW_H_BIT(CONTENT_LENGTH)) && (o->h.known & FGW_H_BIT(TRANSFER_ENCODING))));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    static const struct fgw_head_limits LIMITS[4] = {{16384, 16384, 65536, MAX_FIELDS}, {40, 40, 400, 4}, {20, 80, 100, 2}, {200, 10, 300, 9}};
    static struct outcome want, got;
    if (size < 2 || size > 4096) return 0;
    enum kind k = (enum kind)(in[0] % 3);
    const struct fgw_head_limits *lim = &LIMITS[in[0] / 3 % 4];
    uint32_t n = (uint32_t)size - 2, cut = n ? in[1] * 31u % n : 0;
    const char *p = (const char *)in + 2;
    fgw_head_simd_use(FGW_SIMD_PLAIN);
    whole(&want, k, p, n, lim);
    for (int level = FGW_SIMD_PLAIN; level <= FGW_SIMD_AVX2; level++) {
        if (!fgw_head_simd_use((enum fgw_simd)level)) continue;
        whole(&got, k, p, n, lim), MUST(outcomes_equal(&want, &got));
        in_two(&got, k, p, n, cut, lim), MUST(outcomes_equal(&want, &got));
        in_two(&got, k, p, n, n - cut, lim), MUST(outcomes_equal(&want, &got));
        in_steps(&got, k, p, n, 1, lim), MUST(outcomes_equal(&want, &got));
        in_steps(&got, k, p, n, 1 + in[1], lim), MUST(outcomes_equal(&want, &got));
    }
    if (want.r < 0) MUST(want.h.err != FGW_E_NONE);
    if (want.r > 0) check_accepted(&want, k, p, lim);
    if (want.r > 0 && k != TRAILERS) check_framing(&want, k);
    return 0;
}
