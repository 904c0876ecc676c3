#include "http/fields.h"
#include "base/check.h"

static const struct fgw_str NAMES[FGW_H_COUNT] = {
#define FGW_F(id, name, flags) [FGW_H_##id] = {name, sizeof(name) - 1},
#include "http/fields.def"
#undef FGW_F
};

struct fgw_str fgw_field_name(enum fgw_field_id id) { return (unsigned)id < FGW_H_COUNT ? NAMES[id] : NAMES[FGW_H_OTHER]; }

uint64_t fgw_field_hop_bits(void)
{
    enum { H = 1, S = 2, HS = H | S };
    return 0
#define FGW_F(id, name, flags) | ((flags) & H ? FGW_H_BIT(id) : 0)
#include "http/fields.def"
#undef FGW_F
    ;
}

/* ---- name to id ---- */

static inline uint64_t word8(const char *p) { uint64_t w; memcpy(&w, p, 8); return w; }
static inline uint32_t word4(const char *p) { uint32_t w; memcpy(&w, p, 4); return w; }
/* 0x20 in each byte of a lower-case word that is a letter: the one bit in which its two cases differ. */
static inline uint64_t case_bits(uint64_t lower) { return ((lower + 0x1f1f1f1f1f1f1f1full) & 0x8080808080808080ull) >> 2; }
static inline bool same8(const char *p, const char *lower) { return (word8(p) | case_bits(word8(lower))) == word8(lower); }
static inline bool same4(const char *p, const char *lower)
{
    return (word4(p) | (uint32_t)case_bits(word4(lower))) == word4(lower);
}

/* p[0..n) equals the literal in any case. n is constant, so the literal's words and case bits become immediates. */
static inline __attribute__((always_inline)) bool same(const char *p, const char *lower, uint32_t n)
{
    if (n >= 8) {
        for (uint32_t i = 0; i + 8 < n; i += 8)
            if (!same8(p + i, lower + i)) return false;
        return same8(p + n - 8, lower + n - 8);
    }
    if (n >= 4) return same4(p, lower) && same4(p + n - 4, lower + n - 4);
    for (uint32_t i = 0; i < n; i++)
        if ((p[i] | ((uint8_t)lower[i] >= 'a' ? 0x20 : 0)) != lower[i]) return false;
    return true;
}
#define IS(lit, id) return same(p, lit, sizeof(lit) - 1) ? FGW_H_##id : FGW_H_OTHER

/* By length, then by the byte that tells the names of one length apart: one comparison decides. */
enum fgw_field_id fgw_field_id(const char *p, uint32_t n)
{
    switch (n) {
    case 2: IS("te", TE);
    case 3: IS("via", VIA);
    case 4: if ((p[0] | 0x20) == 'h') IS("host", HOST); else IS("date", DATE);
    case 6:
        switch (p[0] | 0x20) {
        case 'c': IS("cookie", COOKIE);
        case 'e': IS("expect", EXPECT);
        default: IS("server", SERVER);
        }
    case 7:
        switch (p[0] | 0x20) {
        case 'r': IS("referer", REFERER);
        case 'u': IS("upgrade", UPGRADE);
        default: IS("trailer", TRAILER);
        }
    case 8: IS("location", LOCATION);
    case 9: if ((p[0] | 0x20) == 'f') IS("forwarded", FORWARDED); else IS("x-real-ip", X_REAL_IP);
    case 10:
        switch (p[0] | 0x20) {
        case 'c': IS("connection", CONNECTION);
        case 'u': IS("user-agent", USER_AGENT);
        case 's': IS("set-cookie", SET_COOKIE);
        default: IS("keep-alive", KEEP_ALIVE);
        }
    case 11: if ((p[0] | 0x20) == 't') IS("traceparent", TRACEPARENT); else IS("retry-after", RETRY_AFTER);
    case 12: if ((p[0] | 0x20) == 'c') IS("content-type", CONTENT_TYPE); else IS("x-request-id", X_REQUEST_ID);
    case 13: if ((p[0] | 0x20) == 'c') IS("cache-control", CACHE_CONTROL); else IS("authorization", AUTHORIZATION);
    case 14: if ((p[0] | 0x20) == 'c') IS("content-length", CONTENT_LENGTH); else IS("http2-settings", HTTP2_SETTINGS);
    case 15: if ((p[0] | 0x20) == 'x') IS("x-forwarded-for", X_FORWARDED_FOR); else IS("idempotency-key", IDEMPOTENCY_KEY);
    case 16:
        switch (p[14] | 0x20) {
        case 's': IS("x-forwarded-host", X_FORWARDED_HOST);
        case 'r': IS("x-forwarded-port", X_FORWARDED_PORT);
        case 'n': IS("content-encoding", CONTENT_ENCODING);
        default: IS("proxy-connection", PROXY_CONNECTION);
        }
    case 17:
        switch (p[0] | 0x20) {
        case 't': IS("transfer-encoding", TRANSFER_ENCODING);
        case 'x': IS("x-forwarded-proto", X_FORWARDED_PROTO);
        default: IS("sec-websocket-key", SEC_WEBSOCKET_KEY);
        }
    case 18: IS("proxy-authenticate", PROXY_AUTHENTICATE);
    case 19: IS("proxy-authorization", PROXY_AUTHORIZATION);
    default: return FGW_H_OTHER;
    }
}

/* ---- comma lists ---- */

/* Where the member that begins at s.p ends: a comma outside a quoted string, or the end of s. */
static uint32_t member_end(struct fgw_str s)
{
    bool quoted = false;
    for (uint32_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\') i++;
        else if (s.p[i] == '"') quoted = !quoted;
        else if (s.p[i] == ',' && !quoted) return i;
    }
    return s.n;
}

bool fgw_list_next(struct fgw_str *rest, struct fgw_str *member)
{
    while (rest->n > 0) {
        uint32_t end = member_end(*rest), used = end < rest->n ? end + 1 : end;
        *member = fgw_str_trim(fgw_str(rest->p, end));
        *rest = fgw_str(rest->p + used, rest->n - used);
        if (member->n > 0) return true;
    }
    return false;
}

bool fgw_list_has(struct fgw_str list, struct fgw_str token)
{
    struct fgw_str m;
    while (fgw_list_next(&list, &m)) {
        const char *semi = memchr(m.p, ';', m.n);
        if (semi) m = fgw_str_trim(fgw_str(m.p, (size_t)(semi - m.p)));
        if (fgw_str_ieq(m, token)) return true;
    }
    return false;
}
