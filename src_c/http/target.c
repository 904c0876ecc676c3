#include "http/target.h"
#include <arpa/inet.h>
#include "base/check.h"
#include "http/chars.h"
#include "http/scan.h"

/* ---- paths ---- */

struct norm { char *out; uint32_t n, seg, size; const struct fgw_target_policy *pol; };   /* seg: where the last segment begins */

/* "." or ".." follows the slash at i. */
static bool dots_at(struct fgw_str s, uint32_t i)
{
    uint32_t k = i + 1;
    while (k < s.n && k < i + 3 && s.p[k] == '.') k++;
    return k > i + 1 && (k == s.n || s.p[k] == '/' || s.p[k] == '?');
}

/* The %XX at i is what normalising would leave of it. */
static bool escape_stays(struct fgw_str s, uint32_t i, const struct fgw_target_policy *pol)
{
    const char *p = s.p + i;
    if (s.n - i < 3 || !fgw_char_is(p[1], FGW_C_HEX) || !fgw_char_is(p[2], FGW_C_HEX) || p[1] >= 'a' || p[2] >= 'a') return false;
    char c = (char)(fgw_hex_value(p[1]) << 4 | fgw_hex_value(p[2]));
    if (c == '/' || c == '\\') return pol->slashes == FGW_SLASHES_KEEP;
    return !fgw_char_is(c, FGW_C_UNRESERVED) && (uint8_t)c >= 0x20 && c != 0x7f;
}

/* May the path be used as it stands? *end gets where it ends ('?' or the end of s). */
static bool path_is_normal(struct fgw_str s, const struct fgw_target_policy *pol, uint32_t *end)
{
    uint32_t i = 0;
    bool normal = true;
    for (; i < s.n && s.p[i] != '?'; i++) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : 0;
        if (c == '\\' || (c == '%' && !escape_stays(s, i, pol))) normal = false;
        if (c == '/' && ((next == '/' && pol->merge_slashes) || (next == '.' && dots_at(s, i)))) normal = false;
    }
    *end = i;
    return normal;
}

static enum fgw_err put(struct norm *o, const char *p, uint32_t n)
{
    if (o->size - o->n < n) return FGW_E_NO_MEMORY;
    memcpy(o->out + o->n, p, n);
    o->n += n;
    return FGW_E_NONE;
}

enum segment { KEPT, DROPPED, ABOVE_ROOT };

/* The last segment is complete: drop ".", and with ".." the one before it (RFC 3986 section 5.2.4). */
static enum segment segment_end(struct norm *o)
{
    uint32_t len = o->n - o->seg;
    const char *p = o->out + o->seg;
    if (len == 0 || len > 2 || p[0] != '.' || p[len - 1] != '.') return KEPT;
    if (len == 2 && o->seg == 1) return ABOVE_ROOT;
    o->n = o->seg - (len == 2);
    while (o->out[o->n - 1] != '/') o->n--;
    o->seg = o->n;
    return DROPPED;
}

static enum fgw_err separator(struct norm *o)
{
    enum segment s = segment_end(o);
    if (s == ABOVE_ROOT) return FGW_E_BAD_TARGET;
    if (s == DROPPED || (o->n == o->seg && o->pol->merge_slashes)) return FGW_E_NONE;
    enum fgw_err e = put(o, "/", 1);
    o->seg = o->n;
    return e;
}

/* A backslash, or a slash or backslash that was encoded. */
static enum fgw_err slash_like(struct norm *o, const char *kept)
{
    switch ((enum fgw_slashes)o->pol->slashes) {
    case FGW_SLASHES_KEEP: return put(o, kept, 3);
    case FGW_SLASHES_DECODE: return separator(o);
    case FGW_SLASHES_REJECT: break;
    }
    return FGW_E_BAD_TARGET;
}

static enum fgw_err encoded(struct norm *o, struct fgw_str s, uint32_t at)
{
    if (s.n - at < 3 || !fgw_char_is(s.p[at + 1], FGW_C_HEX) || !fgw_char_is(s.p[at + 2], FGW_C_HEX)) return FGW_E_BAD_TARGET;
    unsigned v = fgw_hex_value(s.p[at + 1]) << 4 | fgw_hex_value(s.p[at + 2]);
    char c = (char)v;
    if (v < 0x20 || v == 0x7f) return FGW_E_BAD_TARGET;
    if (c == '/') return slash_like(o, "%2F");
    if (c == '\\') return slash_like(o, "%5C");
    if (fgw_char_is(c, FGW_C_UNRESERVED)) return put(o, &c, 1);
    return put(o, (char[3]){'%', "0123456789ABCDEF"[v >> 4], "0123456789ABCDEF"[v & 15]}, 3);
}

/* s begins with '/'. */
static enum fgw_err normalise(struct norm *o, struct fgw_str s)
{
    enum fgw_err e = put(o, "/", 1);
    o->seg = 1;
    for (uint32_t i = 1; i < s.n && e == FGW_E_NONE; i++) {
        char c = s.p[i];
        if (c == '/') e = separator(o);
        else if (c == '\\') e = slash_like(o, "%5C");
        else if (c == '%') e = encoded(o, s, i), i += 2;
        else e = put(o, &c, 1);
    }
    if (e == FGW_E_NONE && segment_end(o) == ABOVE_ROOT) e = FGW_E_BAD_TARGET;
    return e;
}

/* ---- forms ---- */

/* Path and query of an origin form, or of what follows an absolute form's authority. */
static enum fgw_err path_and_query(struct fgw_str s, const struct fgw_target_policy *pol, char *out, uint32_t out_size,
                                   struct fgw_target *t)
{
    uint32_t end;
    bool normal = path_is_normal(s, pol, &end);
    t->path = fgw_str(s.p, end);
    t->has_query = end < s.n;
    t->query = t->has_query ? fgw_str(s.p + end + 1, s.n - end - 1) : fgw_str(s.p + s.n, 0);
    if (t->path.n == 0) t->path = FGW_STR("/");
    if (normal) return FGW_E_NONE;
    struct norm o = {.out = out, .size = out_size, .pol = pol};
    enum fgw_err e = normalise(&o, t->path);
    t->path = fgw_str(out, o.n);
    return e;
}

static bool scheme_is(struct fgw_str s, struct fgw_str scheme)
{
    return s.n >= scheme.n && fgw_str_ieq(fgw_str(s.p, scheme.n), scheme);
}

/* RFC 9112 section 3.2.2. */
static enum fgw_err absolute(struct fgw_str raw, enum fgw_method m, const struct fgw_target_policy *pol, char *out, uint32_t out_size,
                             struct fgw_target *t)
{
    static const struct fgw_str HTTP = FGW_STR("http://"), HTTPS = FGW_STR("https://");
    t->form = FGW_FORM_ABSOLUTE;
    t->https = scheme_is(raw, HTTPS);
    if (!t->https && !scheme_is(raw, HTTP)) return FGW_E_BAD_TARGET;
    uint32_t from = t->https ? HTTPS.n : HTTP.n, end = from;
    while (end < raw.n && raw.p[end] != '/' && raw.p[end] != '?') end++;
    t->authority = fgw_str(raw.p + from, end - from);
    if (t->authority.n > 0 && memchr(t->authority.p, '@', t->authority.n)) return FGW_E_BAD_TARGET;
    struct fgw_str host;
    uint16_t port;
    if (!fgw_authority_split(t->authority, &host, &port, false)) return FGW_E_BAD_HOST;
    enum fgw_err e = path_and_query(fgw_str(raw.p + end, raw.n - end), pol, out, out_size, t);
    if (end == raw.n && m == FGW_M_OPTIONS) t->path = FGW_STR("*");          /* section 3.2.4: that is what it means */
    return e;
}

static enum fgw_err parse(struct fgw_str raw, enum fgw_method m, const struct fgw_target_policy *pol, char *out, uint32_t out_size,
                          struct fgw_target *t)
{
    struct fgw_str host;
    uint16_t port;
    if (m == FGW_M_CONNECT) {
        t->form = FGW_FORM_AUTHORITY, t->authority = raw;
        return fgw_authority_split(raw, &host, &port, false) && port != 0 ? FGW_E_NONE : FGW_E_BAD_TARGET;
    }
    if (raw.n == 0 || fgw_scanner_->target(raw.p, 0, raw.n) != raw.n) return FGW_E_BAD_TARGET;
    if (raw.p[0] == '/') return path_and_query(raw, pol, out, out_size, t);
    if (raw.n > 1 || raw.p[0] != '*') return absolute(raw, m, pol, out, out_size, t);
    t->form = FGW_FORM_ASTERISK, t->path = raw;
    return m == FGW_M_OPTIONS ? FGW_E_NONE : FGW_E_BAD_TARGET;
}

enum fgw_err fgw_target_parse(struct fgw_str raw, enum fgw_method m, const struct fgw_target_policy *pol,
                              char *out, uint32_t out_size, struct fgw_target *t)
{
    struct fgw_str none = {"", 0};
    *t = (struct fgw_target){.path = none, .query = none, .authority = none, .form = FGW_FORM_ORIGIN};
    enum fgw_err e = parse(raw, m, pol, out, out_size, t);
    if (e != FGW_E_NONE) t->path = t->query = t->authority = none;           /* nobody shall use half a target */
    return e;
}

/* ---- authorities ---- */

/* "[" IPv6 "]" and no zone (RFC 3986 section 3.2.2; IPvFuture is not served). */
static bool is_ipv6(struct fgw_str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr a;
    if (s.n < 4 || s.n - 2 >= sizeof text || s.p[s.n - 1] != ']' || memchr(s.p, 0, s.n)) return false;
    memcpy(text, s.p + 1, s.n - 2);
    text[s.n - 2] = 0;
    return inet_pton(AF_INET6, text, &a) == 1;
}

/* *DIGIT behind the colon. Zero stands for "none", so it cannot be asked for. */
static bool port_number(const char *p, uint32_t n, uint16_t *port)
{
    uint32_t v = 0;
    if (n > 5) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!fgw_char_is(p[i], FGW_C_DIGIT)) return false;
        v = v * 10 + (uint32_t)(p[i] - '0');
    }
    *port = (uint16_t)v;
    return v <= 65535 && (v > 0 || n == 0);
}

bool fgw_authority_split(struct fgw_str a, struct fgw_str *host, uint16_t *port, bool may_be_empty)
{
    *host = fgw_str(a.p, 0), *port = 0;
    if (a.n == 0) return may_be_empty;
    uint32_t n = 0;
    if (a.p[0] == '[') {
        const char *close = memchr(a.p, ']', a.n);
        if (!close || !is_ipv6(fgw_str(a.p, (size_t)(close - a.p) + 1))) return false;
        n = (uint32_t)(close - a.p) + 1;
    } else while (n < a.n && fgw_char_is(a.p[n], FGW_C_REGNAME)) n++;
    if (n == 0 || (n < a.n && a.p[n] != ':')) return false;
    if (n < a.n && !port_number(a.p + n + 1, a.n - n - 1, port)) return false;
    host->n = n;
    return true;
}

uint32_t fgw_host_fold(struct fgw_str host, char *out)
{
    for (uint32_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        out[i] = (char)(c + ((uint8_t)(c - 'A') < 26 ? 'a' - 'A' : 0));
    }
    return host.n > 0 && out[host.n - 1] == '.' ? host.n - 1 : host.n;
}

/* ---- queries ---- */

/* The next byte of a form-encoded string; a '%' without two hex digits stands for itself. s is advanced and not empty. */
static char form_byte(struct fgw_str *s)
{
    char c = s->p[0];
    uint32_t used = 1;
    if (c == '+') c = ' ';
    else if (c == '%' && s->n >= 3 && fgw_char_is(s->p[1], FGW_C_HEX) && fgw_char_is(s->p[2], FGW_C_HEX)) {
        c = (char)(fgw_hex_value(s->p[1]) << 4 | fgw_hex_value(s->p[2]));
        used = 3;
    }
    s->p += used, s->n -= used;
    return c;
}

static bool form_equals(struct fgw_str encoded_name, struct fgw_str name)
{
    uint32_t i = 0;
    while (encoded_name.n > 0 && i < name.n && form_byte(&encoded_name) == name.p[i]) i++;
    return encoded_name.n == 0 && i == name.n;
}

bool fgw_query_get(struct fgw_str query, struct fgw_str name, char *out, uint32_t size, struct fgw_str *value)
{
    for (uint32_t from = 0, end; from < query.n; from = end + 1) {
        const char *p = query.p + from, *amp = memchr(p, '&', query.n - from);
        end = amp ? (uint32_t)(amp - query.p) : query.n;
        if (end == from) continue;
        const char *eq = memchr(p, '=', end - from);
        uint32_t key_n = eq ? (uint32_t)(eq - p) : end - from;
        if (!form_equals(fgw_str(p, key_n), name)) continue;
        struct fgw_str rest = eq ? fgw_str(eq + 1, end - from - key_n - 1) : fgw_str(p + key_n, 0);
        uint32_t n = 0;
        for (; rest.n > 0; n++) {
            if (n == size) return false;
            out[n] = form_byte(&rest);
        }
        *value = fgw_str(out, n);
        return true;
    }
    return false;
}
