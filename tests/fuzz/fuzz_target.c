/* tests/fuzz/fuzz_target.c: a target that is accepted is in normal form, and normalising it again changes nothing.
 * Input: a byte for policy and method, then the target; behind it are the helpers for authorities and queries. */
#include <stdlib.h>
#include "base/check.h"
#include "http/chars.h"
#include "http/target.h"

#define MUST(x) ((x) ? (void)0 : fgw_check_failed(#x, __FILE__, __LINE__))

static bool escape_is(const char *p, const char *upper) { return p[0] == '%' && p[1] == upper[0] && p[2] == upper[1]; }

static void check_segment(struct fgw_str s, bool last, bool merge)
{
    MUST(!(s.n == 1 && s.p[0] == '.') && !(s.n == 2 && s.p[0] == '.' && s.p[1] == '.'));
    MUST(s.n > 0 || last || !merge);
}

static void check_path(struct fgw_str path, const struct fgw_target_policy *pol)
{
    MUST(path.n > 0 && path.p[0] == '/');
    uint32_t from = 1;
    for (uint32_t i = 1; i <= path.n; i++) {
        if (i == path.n || path.p[i] == '/') check_segment(fgw_str(path.p + from, i - from), i == path.n, pol->merge_slashes), from = i + 1;
        if (i == path.n) break;
        const char *p = path.p + i;
        MUST(fgw_char_is(*p, FGW_C_TARGET) && *p != '\\' && *p != '?');
        if (*p != '%') continue;
        MUST(path.n - i >= 3 && fgw_char_is(p[1], FGW_C_HEX) && fgw_char_is(p[2], FGW_C_HEX) && p[1] < 'a' && p[2] < 'a');
        char c = (char)(fgw_hex_value(p[1]) << 4 | fgw_hex_value(p[2]));
        MUST(!fgw_char_is(c, FGW_C_UNRESERVED) && (uint8_t)c >= 0x20 && c != 0x7f);
        MUST(pol->slashes == FGW_SLASHES_KEEP || (!escape_is(p, "2F") && !escape_is(p, "5C")));
    }
}

static void check_again(const struct fgw_target *t, const struct fgw_target_policy *pol)
{
    struct fgw_target u;
    MUST(fgw_target_parse(t->path, FGW_M_GET, pol, NULL, 0, &u) == FGW_E_NONE);   /* no room needed: it is normal already */
    MUST(fgw_str_eq(u.path, t->path) && !u.has_query && u.form == FGW_FORM_ORIGIN);
}

static void check_target(struct fgw_str raw, enum fgw_method m, const struct fgw_target_policy *pol)
{
    struct fgw_target t;
    struct fgw_str host;
    uint16_t port;
    uint32_t room = pol->slashes == FGW_SLASHES_KEEP ? 3 * raw.n + 1 : raw.n + 1;
    char *out = malloc(room);
    enum fgw_err e = fgw_target_parse(raw, m, pol, out, room, &t);
    MUST(e == FGW_E_NONE || e == FGW_E_BAD_TARGET || e == FGW_E_BAD_HOST);
    if (e != FGW_E_NONE) MUST(t.path.n == 0 && t.query.n == 0 && t.authority.n == 0);
    else if (t.form == FGW_FORM_AUTHORITY) MUST(m == FGW_M_CONNECT && t.path.n == 0);
    else if (t.path.p[0] == '*') MUST(m == FGW_M_OPTIONS && t.path.n == 1);
    else check_path(t.path, pol), check_again(&t, pol);
    if (e == FGW_E_NONE) MUST((t.authority.n > 0) == (t.form == FGW_FORM_ABSOLUTE || t.form == FGW_FORM_AUTHORITY));
    if (t.authority.n > 0) MUST(fgw_authority_split(t.authority, &host, &port, false) && !memchr(t.authority.p, '@', t.authority.n));
    free(out);
}

static void check_helpers(struct fgw_str s)
{
    struct fgw_str host, value;
    uint16_t port;
    char *out = malloc(s.n + 1);
    if (fgw_authority_split(s, &host, &port, true)) {
        MUST(host.n <= s.n && (s.n == 0 || host.n > 0));
        MUST(fgw_host_fold(host, out) <= host.n);
    }
    if (fgw_query_get(s, FGW_STR("a"), out, s.n, &value)) MUST(value.p == out && value.n <= s.n);
    char tiny[3];
    if (fgw_query_get(s, FGW_STR("b c"), tiny, sizeof tiny, &value)) MUST(value.n <= sizeof tiny);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
    static const enum fgw_method METHODS[] = {FGW_M_GET, FGW_M_GET, FGW_M_OPTIONS, FGW_M_CONNECT};
    if (size < 1 || size > 4096) return 0;
    struct fgw_target_policy pol = {.slashes = (uint8_t)(in[0] % 3), .merge_slashes = in[0] & 64};
    uint32_t n = (uint32_t)size - 1;
    char *copy = malloc(n ? n : 1);
    memcpy(copy, in + 1, n);
    check_target(fgw_str(copy, n), METHODS[in[0] >> 4 & 3], &pol);
    check_helpers(fgw_str(copy, n));
    free(copy);
    return 0;
}
