/* http/chars.h: which byte may stand where in HTTP/1, as one table of class bits.
 *
 * Classes are those of RFC 9110 section 5.6.2 (token), 5.5 (field value), RFC 3986 section 2 and 3.2.2 (URI).
 * Thread: any, constant. Cost: one load. The SIMD scanners (scan.c) restate TOKEN, VALUE and TARGET; tests hold them together. */
#ifndef FGW_HTTP_CHARS_H
#define FGW_HTTP_CHARS_H
#include <stdbool.h>
#include <stdint.h>

enum {
    FGW_C_TOKEN      = 1,    /* tchar */
    FGW_C_VALUE      = 2,    /* HTAB SP VCHAR obs-text: field values, reason phrases, chunk extensions */
    FGW_C_TARGET     = 4,    /* 0x21..0x7e without '#' */
    FGW_C_DIGIT      = 8,
    FGW_C_HEX        = 16,
    FGW_C_UNRESERVED = 32,   /* ALPHA DIGIT - . _ ~ */
    FGW_C_REGNAME    = 64,   /* unreserved and sub-delims; '%' is judged by its digits */
    FGW_C_ALPHA      = 128,
};

extern const uint8_t fgw_chars[256] __attribute__((visibility("hidden")));

static inline bool fgw_char_is(char c, unsigned classes) { return (fgw_chars[(uint8_t)c] & classes) != 0; }
static inline char fgw_char_lower(char c) { return fgw_char_is(c, FGW_C_ALPHA) ? (char)(c | 0x20) : c; }
/* The value of a hex digit; c must be FGW_C_HEX. */
static inline unsigned fgw_hex_value(char c) { return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10); }

#endif
