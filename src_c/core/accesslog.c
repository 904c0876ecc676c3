#include "core/accesslog.h"
#include <string.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/num.h"
#include "policy/layout.h"

enum { FIXED = 800, SECOND_NS = 1000000000 };          /* room for all that is not a string: keys, punctuation, numbers, dots, time, reason */

/* Two copies of a line's making are wanted: one that only copies, one that escapes. */
#define INLINE inline __attribute__((always_inline))

/* Constant text; the size is known to the compiler, so this is a few moves. */
#define LIT(p, text) ((char *)memcpy((p), (text), sizeof(text) - 1) + sizeof(text) - 1)

static inline char *number(char *p, uint64_t v)
{
    if (v >= 10) return p + fgw_u64_dec(p, v);
    *p = (char)('0' + v);
    return p + 1;
}
static inline char *two(char *p, unsigned v)
{
    p[0] = (char)('0' + v / 10), p[1] = (char)('0' + v % 10);
    return p + 2;
}
static inline char *three(char *p, unsigned v)
{
    *p = (char)('0' + v / 100);
    return two(p + 1, v % 100);
}

/* HTTP/1.0, HTTP/1.1; from 2 on there is no minor version (RFC 9110 section 2.5). */
static inline char *version(char *p, const struct fgw_log_facts *f)
{
    p = LIT(p, "HTTP/");
    if (f->h > 1) *p++ = (char)('0' + f->h % 10);
    else *p++ = '1', *p++ = '.', *p++ = (char)('0' + (f->minor < 10 ? f->minor : 9));
    return p;
}

/* -- strings --------------------------------------------------------------------------------------------------------
 * A line is first made as if nothing needed escaping; on the way all its bytes are looked at, and `bad` remembers whether one did.
 * If so, the line is made once more, byte by byte (bad == NULL). */

typedef uint8_t  bytes16 __attribute__((vector_size(16)));        /* SSE2, NEON or plain words, as the machine has */
typedef int8_t   signed16 __attribute__((vector_size(16)));
typedef uint32_t words4  __attribute__((vector_size(16)));
typedef uint64_t pair    __attribute__((vector_size(16)));

static inline uint32_t load4(const char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t load8(const char *p) { uint64_t v; memcpy(&v, p, 8); return v; }

/* Controls, DEL, quote, backslash, and all above: not to be copied as they are, in either format. */
static inline bytes16 special16(bytes16 b)
{
    signed16 below = (signed16)(b + 1) < 0x21;         /* as signed bytes those from 0x7f up are below too */
    return (bytes16)(below | (b == '"') | (b == '\\'));
}
static inline bool any(bytes16 b) { return ((pair)b)[0] | ((pair)b)[1]; }
static inline bool special(unsigned char c) { return c < 0x20 || c >= 0x7f || c == '"' || c == '\\'; }

/* Bytes of the well-formed UTF-8 character at s (RFC 3629: shortest form, no surrogates, at most U+10FFFF); 0: none. */
static unsigned utf8_at(const unsigned char *s, size_t n)
{
    unsigned c = s[0], len = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len == 0 || len > n) return 0;
    for (unsigned i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f)) return 0;
    return len;
}

static char *unicode(char *p, unsigned v)
{
    p = LIT(p, "\\u00");
    *p++ = "0123456789abcdef"[v >> 4];
    *p++ = "0123456789abcdef"[v & 15];
    return p;
}

/* One character that is not copied as it is. C1 controls (U+0080 to U+009F) are escaped: a terminal may obey them. */
static char *json_special(char *p, const unsigned char *s, size_t n, size_t *took)
{
    unsigned c = *s, len = c < 0x80 ? 0 : utf8_at(s, n);
    *took = len ? len : 1;
    if (len == 2 && c == 0xc2 && s[1] < 0xa0) return unicode(p, s[1]);
    if (len) return (char *)memcpy(p, s, len) + len;
    switch (c) {
    case '"': case '\\': *p++ = '\\', *p++ = (char)c; return p;
    case '\n': return LIT(p, "\\n");
    case '\r': return LIT(p, "\\r");
    case '\t': return LIT(p, "\\t");
    }
    return unicode(p, c);
}

static char *combined_special(char *p, const unsigned char *s, size_t n, size_t *took)
{
    (void)n;
    *took = 1;
    p = LIT(p, "\\x");
    *p++ = "0123456789ABCDEF"[*s >> 4];
    *p++ = "0123456789ABCDEF"[*s & 15];
    return p;
}

/* Up to 15 bytes, in at most three overlapping pieces. bad == NULL: nothing is looked at. */
static INLINE char *copy_short(char *p, const char *s, uint32_t n, bytes16 *bad)
{
    bytes16 v;
    if (n >= 8) {
        uint64_t a = load8(s), b = load8(s + n - 8);
        memcpy(p, &a, 8), memcpy(p + n - 8, &b, 8);
        v = (bytes16)(pair){a, b};
    } else if (n >= 4) {
        uint32_t a = load4(s), b = load4(s + n - 4);
        memcpy(p, &a, 4), memcpy(p + n - 4, &b, 4);
        v = (bytes16)(words4){a, b, a, b};
    } else if (n) {
        uint8_t first = (uint8_t)s[0], mid = (uint8_t)s[n >> 1], last = (uint8_t)s[n - 1];
        uint32_t a = (uint32_t)first << 24 | (uint32_t)last << 16 | (uint32_t)mid << 8 | first;
        p[0] = (char)first, p[n >> 1] = (char)mid, p[n - 1] = (char)last;
        v = (bytes16)(words4){a, a, a, a};
    } else return p;
    if (bad) *bad |= special16(v);
    return p + n;
}

/* The last 16 bytes overlap those before them. */
static INLINE char *copy_looking(char *p, struct fgw_str s, bytes16 *bad, bool look)
{
    if (s.n < 16) return copy_short(p, s.p, s.n, look ? bad : NULL);
    if (fgw_unlikely(s.n > FGW_LOG_TEXT)) { bad[0][0] = 1; return p; }
    const char *last = s.p + s.n - 16;
    char *end = p + s.n;
    bytes16 v;
    for (; s.p < last; s.p += 16, p += 16) {
        memcpy(&v, s.p, 16);
        memcpy(p, &v, 16);
        if (look) *bad |= special16(v);
    }
    memcpy(&v, last, 16);
    memcpy(end - 16, &v, 16);
    if (look) *bad |= special16(v);
    return end;
}
static inline char *copy(char *p, struct fgw_str s, bytes16 *bad) { return copy_looking(p, s, bad, true); }
/* What cannot need escaping: see accesslog.h. */
static inline char *copy_plain(char *p, struct fgw_str s, bytes16 *bad) { return copy_looking(p, s, bad, false); }

typedef char *escape_one(char *p, const unsigned char *s, size_t n, size_t *took);

/* s, escaped; of a longer one FGW_LOG_TEXT bytes and dots. */
static __attribute__((noinline, cold)) char *escape(char *p, struct fgw_str s, escape_one *one)
{
    size_t n = s.n < FGW_LOG_TEXT ? s.n : FGW_LOG_TEXT, took;
    for (size_t i = 0; i < n; i += took) {
        took = 1;
        if (!special((unsigned char)s.p[i])) *p++ = s.p[i];
        else p = one(p, (const unsigned char *)s.p + i, n - i, &took);
    }
    return s.n > n ? LIT(p, "...") : p;
}

/* -- JSON ----------------------------------------------------------------------------------------------------------- */

static INLINE char *json(char *p, struct fgw_str s, bytes16 *bad) { return bad ? copy(p, s, bad) : escape(p, s, json_special); }

static INLINE char *json_plain(char *p, struct fgw_str s, bytes16 *bad) { return bad ? copy_plain(p, s, bad) : escape(p, s, json_special); }

/* ,"key":"value", or nothing where there is no value. */
#define PLAIN(p, key, s) ((s).n ? LIT(json_plain(LIT(p, ",\"" key "\":\""), s, bad), "\"") : (p))
#define FIELD(p, key, s) ((s).n ? LIT(json(LIT(p, ",\"" key "\":\""), s, bad), "\"") : (p))

static char *millis(char *p, uint64_t us)
{
    return three(LIT(number(p, us / 1000), "."), (unsigned)(us % 1000));
}

/* The text of wall_ns to the second, 19 bytes and what follows them. It is kept by who has a place for it: most lines of a busy worker share
 * theirs. *ns: what is beyond the second. */
static const char *second(uint64_t wall_ns, struct fgw_log_time *t, uint32_t *ns)
{
    uint64_t beyond = wall_ns - t->begin_ns;
    if (fgw_unlikely(beyond >= SECOND_NS || !t->text[0])) {
        fgw_clock_rfc3339(wall_ns, t->text);
        beyond = wall_ns % SECOND_NS;
        t->begin_ns = wall_ns - beyond;
    }
    *ns = (uint32_t)beyond;
    return t->text;
}

static char *json_time(char *p, uint64_t wall_ns, struct fgw_log_time *t)
{
    uint32_t ns;
    memcpy(p, second(wall_ns, t, &ns), 20);
    return LIT(three(p + 20, ns / 1000000), "Z");
}

static char *json_reply(char *p, const struct fgw_log_facts *f)
{
    p = LIT(p, ",\"status\":");
    p = f->status >= 100 && f->status < 1000 ? three(p, f->status) : number(p, f->status);
    if (fgw_unlikely(f->grpc)) p = number(LIT(p, ",\"grpc_status\":"), f->grpc - 1u);
    p = number(LIT(p, ",\"bytes_in\":"), f->bytes_in);
    p = number(LIT(p, ",\"bytes_out\":"), f->bytes_out);
    return millis(LIT(p, ",\"duration_ms\":"), f->duration_us);
}

static INLINE char *json_upstream(char *p, const struct fgw_log_facts *f, bytes16 *bad)
{
    if (f->upstream.n == 0) return p;
    p = PLAIN(p, "upstream", f->upstream);
    p = FIELD(p, "endpoint", f->endpoint);
    if (f->upstream_us) p = millis(LIT(p, ",\"upstream_ms\":"), f->upstream_us);
    return number(LIT(p, ",\"tries\":"), f->tries);
}

static INLINE char *json_reason(char *p, struct fgw_fail fail, bytes16 *bad)
{
    const char *word = fgw_err_word(fail.code), *by = fgw_by_name(fail.by);
    p = PLAIN(p, "reason", fgw_str(word, strlen(word)));
    return PLAIN(p, "by", fgw_str(by, strlen(by)));
}

static INLINE char *json_tags(char *p, const struct fgw_log_facts *f, bytes16 *bad)
{
    const char *between = ",\"tags\":{";
    size_t n = 9;
    for (uint32_t i = 0; i < f->ntags; i++) {
        const struct fgw_out_field *t = &f->tags[i];
        if (t->flags & FGW_FIELD_DROP) continue;
        p = LIT((char *)memcpy(p, between, n) + n, "\"");
        p = LIT(json(p, fgw_str(t->name, t->name_len), bad), "\":\"");
        p = LIT(json(p, fgw_str(t->value, t->value_len), bad), "\"");
        between = ",", n = 1;
    }
    return n == 1 ? LIT(p, "}") : p;
}

static INLINE char *json_line(char *p, const struct fgw_log_facts *f, bytes16 *bad)
{
    struct fgw_log_time own = {0}, *time = f->time ? f->time : &own;
    p = LIT(p, "{\"time\":\"");
    p = json_time(p, f->wall_ns, time);
    p = LIT(json_plain(LIT(p, "\",\"client\":\""), f->client, bad), "\"");
    p = PLAIN(p, "method", f->method);
    p = FIELD(p, "target", f->target);
    p = PLAIN(p, "host", f->host);
    p = LIT(version(LIT(p, ",\"protocol\":\""), f), "\"");
    p = json_reply(p, f);
    p = PLAIN(p, "route", f->route);
    p = PLAIN(p, "listener", f->listener);
    p = json_upstream(p, f, bad);
    p = PLAIN(p, "request_id", f->request_id);
    p = FIELD(p, "user_agent", f->user_agent);
    p = FIELD(p, "referer", f->referer);
    if (f->fail.code != FGW_E_NONE) p = json_reason(p, f->fail, bad);
    p = FIELD(p, "client_subject", f->subject);
    p = FIELD(p, "limit", f->limit);
    p = FIELD(p, "limit_dry_run", f->limit_dry);
    p = FIELD(p, "plugin", f->plugin);
    p = FIELD(p, "plugin_failed_open", f->plugin_open);
    if (f->ntags) p = json_tags(p, f, bad);
    return LIT(p, "}\n");
}

/* -- combined ------------------------------------------------------------------------------------------------------- */

static INLINE char *combined(char *p, struct fgw_str s, bytes16 *bad)
{
    if (s.n == 0) return LIT(p, "-");
    return bad ? copy(p, s, bad) : escape(p, s, combined_special);
}
static INLINE char *combined_plain(char *p, struct fgw_str s, bytes16 *bad)
{
    if (s.n == 0) return LIT(p, "-");
    return bad ? copy_plain(p, s, bad) : escape(p, s, combined_special);
}

/* 2026-01-02T03:04:05 -> 02/Jan/2026:03:04:05 +0000 */
static char *combined_time(char *p, uint64_t wall_ns, struct fgw_log_time *kept)
{
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint32_t ns;
    const char *t = second(wall_ns, kept, &ns);
    unsigned month = (unsigned)(t[5] - '0') * 10 + (unsigned)(t[6] - '0') - 1;
    memcpy(p, t + 8, 2), p[2] = '/';
    memcpy(p + 3, MONTHS + 3 * (month % 12), 3), p[6] = '/';
    memcpy(p + 7, t, 4), p[11] = ':';
    memcpy(p + 12, t + 11, 8);
    return LIT(p + 20, " +0000");
}

/* client - - [time] "method target HTTP/1.x" status bytes "referer" "user agent" */
static INLINE char *combined_line(char *p, const struct fgw_log_facts *f, bytes16 *bad)
{
    struct fgw_log_time own = {0}, *time = f->time ? f->time : &own;
    p = combined_plain(p, f->client, bad);
    p = LIT(combined_time(LIT(p, " - - ["), f->wall_ns, time), "] \"");
    p = combined_plain(p, f->method, bad);
    p = combined(LIT(p, " "), f->target, bad);
    p = version(LIT(p, " "), f);
    p = three(LIT(p, "\" "), f->status % 1000u);
    p = number(LIT(p, " "), f->bytes_out);
    p = combined(LIT(p, " \""), f->referer, bad);
    p = combined(LIT(p, "\" \""), f->user_agent, bad);
    return LIT(p, "\"\n");
}

/* -- a line --------------------------------------------------------------------------------------------------------- */

static uint32_t capped(uint32_t n) { return n < FGW_LOG_TEXT ? n : FGW_LOG_TEXT; }

/* Room for the worst line: no byte becomes more than six, and of no string is more than FGW_LOG_TEXT written. */
static uint32_t worst(const struct fgw_log_facts *f)
{
    uint64_t sum = (uint64_t)f->client.n + f->method.n + f->target.n + f->host.n + f->user_agent.n + f->referer.n + f->request_id.n +
                   f->listener.n + f->route.n + f->upstream.n + f->endpoint.n + f->limit.n + f->limit_dry.n + f->plugin.n + f->plugin_open.n + f->subject.n;
    uint32_t tags = 0;
    for (uint32_t i = 0; i < f->ntags; i++) tags += 16 + 6 * (capped(f->tags[i].name_len) + capped(f->tags[i].value_len));
    return FIXED + tags + 6 * (uint32_t)(sum < 16 * FGW_LOG_TEXT ? sum : 16 * FGW_LOG_TEXT);
}

static char *line(char *p, int format, const struct fgw_log_facts *f)
{
    bytes16 bad = {0};
    char *end = format == FGW_LOG_JSON ? json_line(p, f, &bad) : combined_line(p, f, &bad);
    return fgw_likely(!any(bad)) ? end : NULL;
}

static __attribute__((noinline, cold)) char *escaped_line(char *p, int format, const struct fgw_log_facts *f)
{
    return format == FGW_LOG_JSON ? json_line(p, f, NULL) : combined_line(p, f, NULL);
}

void fgw_accesslog_write(struct fgw_ring *r, int format, const struct fgw_log_facts *f)
{
    if (format == FGW_LOG_OFF) return;
    uint32_t room = worst(f);
    char *p = fgw_ring_room(r, room);
    if (!p) return;
    char *end = line(p, format, f);
    if (fgw_unlikely(!end)) end = escaped_line(p, format, f);
    FGW_CHECK(end <= p + room);
    fgw_ring_commit(r, (uint32_t)(end - p));
}
