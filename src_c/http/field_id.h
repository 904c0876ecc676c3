/* http/field_id.h: fgw_field_id as an inline function, for the head parser's loop over fields; everybody else calls fields.h.
 * Exact for any bytes: a known name differs from what is taken for it in the case of letters and in nothing else.
 * Cost: a jump by length, one comparison of a byte, one of the words of one name. */
#ifndef FGW_HTTP_FIELD_ID_H
#define FGW_HTTP_FIELD_ID_H
#include "http/fields.h"

static inline uint64_t fgw_word8(const char *p) { uint64_t w; memcpy(&w, p, 8); return w; }
static inline uint32_t fgw_word4(const char *p) { uint32_t w; memcpy(&w, p, 4); return w; }
/* 0x20 in each byte of a lower-case word that is a letter: the one bit in which its two cases differ. */
static inline uint64_t fgw_case_bits(uint64_t lower) { return ((lower + 0x1f1f1f1f1f1f1f1full) & 0x8080808080808080ull) >> 2; }
static inline bool fgw_same8(const char *p, const char *lower) { return (fgw_word8(p) | fgw_case_bits(fgw_word8(lower))) == fgw_word8(lower); }
static inline bool fgw_same4(const char *p, const char *lower)
{
    return (fgw_word4(p) | (uint32_t)fgw_case_bits(fgw_word4(lower))) == fgw_word4(lower);
}

/* p[0..n) equals the literal in any case. n is constant, so the literal's words and case bits become immediates. */
static inline __attribute__((always_inline)) bool fgw_same_name(const char *p, const char *lower, uint32_t n)
{
    if (n >= 8) {
        for (uint32_t i = 0; i + 8 < n; i += 8)
            if (!fgw_same8(p + i, lower + i)) return false;
        return fgw_same8(p + n - 8, lower + n - 8);
    }
    if (n >= 4) return fgw_same4(p, lower) && fgw_same4(p + n - 4, lower + n - 4);
    for (uint32_t i = 0; i < n; i++)
        if ((p[i] | ((uint8_t)lower[i] >= 'a' ? 0x20 : 0)) != lower[i]) return false;
    return true;
}
#define IS(lit, id) return fgw_same_name(p, lit, sizeof(lit) - 1) ? FGW_H_##id : FGW_H_OTHER

/* By length, then by the byte that tells the names of one length apart: one comparison decides. */
static inline __attribute__((always_inline)) enum fgw_field_id fgw_field_id_inline(const char *p, uint32_t n)
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
    case 20: IS("sec-websocket-accept", SEC_WEBSOCKET_ACCEPT);
    default: return FGW_H_OTHER;
    }
}
#undef IS

#endif
