/* http/head.h: the HTTP/1 head parser, in picohttpparser's manner: one pass, views, no allocation; but strict (RFC 9112).
 *
 * Manner   bytes of one head lie contiguously at `base`. parse() is called with how many there are; it goes on
 *          where it stopped and looks at no byte more than twice: once in the loop that takes whole ordinary lines, and in
 *          the state machine if the line was cut or is not ordinary (total work stays O(n), also when bytes come one by one).
 * Memory   the caller's: `fields` is an array of `max_fields`. Offsets are from base, so base may move between calls.
 * Returns  > 0: the head is complete, that many bytes long (the first body byte is at base + result);
 *          0: partial, come back with more; -1: bad, `err` says why. After -1 or > 0 call reset before the next head.
 * Limits   line_max (request line: LINE_TOO_LONG), field_max (one field: FIELD_TOO_LONG), head_max (all: HEAD_TOO_LONG),
 *          max_fields (TOO_MANY_FIELDS); each is reported as soon as it is passed, not at the end.
 * Strict   CRLF only (bare CR or LF anywhere: BAD_LINE / BAD_FIELD), no NUL, no obs-fold, no space before the colon, names
 *          are tokens, values are HTAB SP VCHAR obs-text; method is a token of at most 32 bytes; target is 0x21..0x7e only without '#';
 *          the version is exactly HTTP/1.0 or HTTP/1.1 (another digit pair: BAD_VERSION; anything else: BAD_LINE; HTTP/0.9: BAD_LINE).
 *          At most one empty line before a request line is skipped (RFC 9112 section 2.2).
 *          Replies: status 100..999, reason may be empty, the SP before it may be missing only if the line ends there.
 * Speed    scans by AVX2, SSE4.2 or plain code, chosen once at start by CPU and overridable for tests.
 * Thread   any, one parser state a thread. Cost: recorded by callgrind, at most a third of llhttp's instructions a byte. */
#ifndef FGW_HTTP_HEAD_H
#define FGW_HTTP_HEAD_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "http/fields.h"

enum fgw_method {              /* methods known by number; bit masks of them are 16 wide */
    FGW_M_OTHER, FGW_M_GET, FGW_M_HEAD, FGW_M_POST, FGW_M_PUT, FGW_M_DELETE, FGW_M_CONNECT, FGW_M_OPTIONS,
    FGW_M_TRACE, FGW_M_PATCH, FGW_M_COUNT
};
enum fgw_method fgw_method_id(struct fgw_str m);           /* case-sensitive (RFC 9110 section 9.1) */
struct fgw_str  fgw_method_name(enum fgw_method m);

struct fgw_head_limits { uint32_t line_max, field_max, head_max; uint16_t max_fields; };

struct fgw_head {
    const char *base;          /* set by the caller at every call; offsets below are from here */
    struct fgw_field *fields;  /* the caller's array */
    uint64_t known;            /* FGW_H_BIT of every id seen */
    uint32_t len;              /* bytes of the whole head, after success */
    uint32_t target, target_len;
    uint32_t method_off;       /* after a skipped CRLF it is not 0 */
    uint32_t reason, reason_len;
    uint16_t nfields;
    uint16_t status;           /* replies */
    uint8_t  method_len;
    uint8_t  method;           /* enum fgw_method */
    uint8_t  minor;            /* HTTP/1.minor */
    uint8_t  err;              /* enum fgw_err after -1 */
    /* where the parser stopped; private */
    uint8_t  state_;
    uint32_t pos_, tok_, line_, colon_;
};

void fgw_head_reset(struct fgw_head *h);                   /* keeps fields */
int  fgw_head_parse_request(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);
int  fgw_head_parse_reply(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);
/* A chunked body's trailer section: fields up to the empty line, same rules; -1 with err = BAD_FIELD or a limit. */
int  fgw_head_parse_trailers(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim);

static inline struct fgw_str fgw_head_name(const struct fgw_head *h, const struct fgw_field *f)  { return fgw_str(h->base + f->name, f->name_len); }
static inline struct fgw_str fgw_head_value(const struct fgw_head *h, const struct fgw_field *f) { return fgw_str(h->base + f->value, f->value_len); }
static inline struct fgw_str fgw_head_method(const struct fgw_head *h) { return fgw_str(h->base + h->method_off, h->method_len); }
static inline struct fgw_str fgw_head_target(const struct fgw_head *h) { return fgw_str(h->base + h->target, h->target_len); }
/* The first field with this id / name; NULL: none. Checks `known` first. */
const struct fgw_field *fgw_head_find(const struct fgw_head *h, enum fgw_field_id id);
const struct fgw_field *fgw_head_find_name(const struct fgw_head *h, struct fgw_str name);

enum fgw_simd { FGW_SIMD_PLAIN, FGW_SIMD_SSE42, FGW_SIMD_AVX2 };
enum fgw_simd fgw_head_simd(void);                         /* in use */
bool fgw_head_simd_use(enum fgw_simd level);               /* false: this CPU has it not. Tests and benchmarks only. */
const char *fgw_simd_name(enum fgw_simd level);

#endif
