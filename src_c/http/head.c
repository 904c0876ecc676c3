#include "http/head.h"
#include "base/check.h"
#include "http/chars.h"
#include "http/field_id.h"
#include "http/scan.h"

/* request  START ─[CRLF]─► METHOD ─SP─► TARGET ─SP─► VERSION ─CRLF─┐
 * reply    START ─version SP status [SP]─► REASON ─CRLF────────────┼─► NAME ─":"─► OWS ─► VALUE ─CRLF─► NAME …
 * trailers START ──────────────────────────────────────────────────┘     └─CRLF─► DONE
 *
 * A state says what the byte at pos_ is part of; line_ is where its line began, tok_ where its token did. Which failure a bad
 * input is must not depend on how its bytes were cut: the one whose byte comes first wins, limits counted as bytes. */
enum state { START, METHOD, TARGET, VERSION, REASON, NAME, OWS, VALUE, DONE };

enum { METHOD_MAX = 32, NAME_MAX = UINT16_MAX };

struct in { const char *b; uint32_t end; bool cut; const struct fgw_head_limits *lim; };   /* cut: more came than head_max */

static inline uint32_t line_max(const struct in *in, enum state st)
{
    if (st < NAME) return in->lim->line_max;
    return st == NAME && in->lim->field_max > NAME_MAX ? NAME_MAX : in->lim->field_max;
}

static int fail(struct fgw_head *h, enum fgw_err e)
{
    h->err = (uint8_t)e;
    return -1;
}

static int too_long(struct fgw_head *h, enum state st) { return fail(h, st < NAME ? FGW_E_LINE_TOO_LONG : FGW_E_FIELD_TOO_LONG); }

/* The byte at pos is bad, unless the line had passed its limit there. */
static int bad(struct fgw_head *h, const struct in *in, enum state st, uint32_t pos)
{
    if (pos - h->line_ + (in->b[pos] != '\r') > line_max(in, st)) return too_long(h, st);
    return fail(h, st < NAME ? FGW_E_BAD_LINE : FGW_E_BAD_FIELD);
}

/* Everything before pos is used up; the line goes on. */
static int partial(struct fgw_head *h, const struct in *in, enum state st, uint32_t pos)
{
    h->state_ = (uint8_t)st, h->pos_ = pos;
    if (pos - h->line_ > line_max(in, st)) return too_long(h, st);
    return in->cut ? fail(h, FGW_E_HEAD_TOO_LONG) : 0;
}

/* CRLF at pos, where a byte is: 1 and the line is within its limit; else what the parser has to return (0, -1). */
static inline int line_end(struct fgw_head *h, const struct in *in, enum state st, uint32_t pos)
{
    if (fgw_unlikely(in->b[pos] != '\r')) return bad(h, in, st, pos);
    if (fgw_unlikely(pos - h->line_ > line_max(in, st))) return too_long(h, st);
    if (fgw_unlikely(pos + 1 == in->end)) return partial(h, in, st, pos);
    if (fgw_unlikely(in->b[pos + 1] != '\n')) return fail(h, st < NAME ? FGW_E_BAD_LINE : FGW_E_BAD_FIELD);
    return 1;
}

/* ---- fields ---- */

/* The name of a field up to its colon: 1; the empty line: 2; else what to return. */
static inline int field_name(struct fgw_head *h, const struct in *in, uint32_t pos)
{
    if (pos == h->line_) {
        if (pos == in->end) return partial(h, in, NAME, pos);
        if (in->b[pos] == '\r') {
            int r = line_end(h, in, NAME, pos);
            return r > 0 ? 2 : r;
        }
        if (h->nfields == in->lim->max_fields) return fail(h, FGW_E_TOO_MANY_FIELDS);
    }
    uint32_t e = (uint32_t)fgw_scanner_->token(in->b, pos, in->end);
    if (e == in->end) return partial(h, in, NAME, e);
    if (in->b[e] != ':' || e == h->line_) return bad(h, in, NAME, e);
    if (e - h->line_ > NAME_MAX) return too_long(h, NAME);
    struct fgw_field *f = &h->fields[h->nfields];
    f->name = h->line_, f->name_len = (uint16_t)(e - h->line_), f->flags = 0;
    f->id = (uint8_t)fgw_field_id(in->b + f->name, f->name_len);
    h->pos_ = e + 1;
    return 1;
}

static inline int field_value(struct fgw_head *h, const struct in *in, uint32_t pos)
{
    uint32_t e = (uint32_t)fgw_scanner_->value(in->b, pos, in->end);
    if (e == in->end) return partial(h, in, VALUE, e);
    int r = line_end(h, in, VALUE, e);
    if (r <= 0) return r;
    h->line_ = h->pos_ = e + 2;
    while (e > h->tok_ && (in->b[e - 1] == ' ' || in->b[e - 1] == '\t')) e--;
    struct fgw_field *f = &h->fields[h->nfields++];
    f->value = h->tok_, f->value_len = e - h->tok_;
    h->known |= 1ull << f->id;
    return 1;
}

/* The empty line: its head's length; else what to return, or FIELD_TAKEN. */
enum { FIELD_TAKEN = -2 };

static int parse_field(struct fgw_head *h, const struct in *in)
{
    enum state st = h->state_;
    uint32_t pos = h->pos_;
    int r;
    if (st == NAME) {
        if ((r = field_name(h, in, pos)) <= 0) return r;
        if (r == 2) {
            h->state_ = DONE;
            return (int)(h->len = h->pos_ = pos + 2);
        }
        st = OWS, pos = h->pos_;
    }
    if (st == OWS) {
        while (pos < in->end && (in->b[pos] == ' ' || in->b[pos] == '\t')) pos++;
        if (pos == in->end) return partial(h, in, OWS, pos);
        h->tok_ = pos;
    }
    r = field_value(h, in, pos);
    if (r <= 0) return r;
    h->state_ = NAME;
    return FIELD_TAKEN;
}

/* ---- first lines ---- */

/* "HTTP/d.d" at pos: 1; else what to return; the line's state stays where the version's first byte is. */
static int version(struct fgw_head *h, const struct in *in, enum state st, uint32_t pos)
{
    static const char SHAPE[] = "HTTP/0.0";
    const char *p = in->b + pos;
    uint32_t n = in->end - pos;
    if (fgw_likely(n >= 8)) {
        h->minor = (uint8_t)(p[7] - '0');
        if (fgw_likely(h->minor < 2 && memcmp(p, "HTTP/1.", 7) == 0)) return 1;
    }
    for (uint32_t i = 0; i < n && i < 8; i++)
        if (SHAPE[i] == '0' ? !fgw_char_is(p[i], FGW_C_DIGIT) : p[i] != SHAPE[i]) return bad(h, in, st, pos + i);
    if (n >= 8) return pos + 8 - h->line_ > in->lim->line_max ? too_long(h, st) : fail(h, FGW_E_BAD_VERSION);
    int r = partial(h, in, st, in->end);
    h->pos_ = pos;
    return r;
}

static int request_start(struct fgw_head *h, const struct in *in)
{
    if (in->end == 0) return partial(h, in, START, 0);
    if (in->b[0] == '\r') {                                   /* RFC 9112 section 2.2: one empty line is ignored */
        if (in->end == 1) return in->cut ? fail(h, FGW_E_HEAD_TOO_LONG) : 0;
        if (in->b[1] != '\n') return fail(h, FGW_E_BAD_LINE);
        h->method_off = 2;
    }
    h->line_ = h->tok_ = h->pos_ = h->method_off;
    return 1;
}

static int request_method(struct fgw_head *h, const struct in *in)
{
    uint32_t pos = h->pos_, stop = h->line_ + METHOD_MAX;
    while (pos < in->end && fgw_char_is(in->b[pos], FGW_C_TOKEN) && pos < stop) pos++;
    if (pos == in->end) return partial(h, in, METHOD, pos);
    if (in->b[pos] != ' ' || pos == h->line_) return bad(h, in, METHOD, pos);
    h->method_len = (uint8_t)(pos - h->line_);
    h->method = (uint8_t)fgw_method_id(fgw_str(in->b + h->line_, h->method_len));
    h->tok_ = h->pos_ = pos + 1;
    return 1;
}

static int request_target(struct fgw_head *h, const struct in *in)
{
    uint32_t pos = (uint32_t)fgw_scanner_->target(in->b, h->pos_, in->end);
    if (pos == in->end) return partial(h, in, TARGET, pos);
    if (in->b[pos] != ' ' || pos == h->tok_) return bad(h, in, TARGET, pos);
    h->target = h->tok_, h->target_len = pos - h->tok_;
    h->tok_ = h->pos_ = pos + 1;
    return 1;
}

static int request_version(struct fgw_head *h, const struct in *in)
{
    int r = version(h, in, VERSION, h->tok_);
    if (r <= 0) return r;
    uint32_t pos = h->tok_ + 8;
    if (pos == in->end) {
        r = partial(h, in, VERSION, pos);
        h->pos_ = h->tok_;
        return r;
    }
    if ((r = line_end(h, in, VERSION, pos)) > 0) h->line_ = h->pos_ = pos + 2;
    return r;
}

static int request_line(struct fgw_head *h, const struct in *in)
{
    int r = 1;
    switch ((enum state)h->state_) {
    case START: if ((r = request_start(h, in)) <= 0) return r;
                /* fall through */
    case METHOD: if ((r = request_method(h, in)) <= 0) return r;
                /* fall through */
    case TARGET: if ((r = request_target(h, in)) <= 0) return r;
                /* fall through */
    case VERSION: return request_version(h, in);
    default: return r;
    }
}

/* "HTTP/1.1 200", then SP or the line's end. At most 13 bytes, looked at again from the first when cut. */
static int reply_start(struct fgw_head *h, const struct in *in)
{
    int r = version(h, in, START, 0);
    if (r <= 0) return r;
    h->status = 0;
    uint32_t pos = 8;
    for (; pos < 12 && pos < in->end; pos++) {
        char c = in->b[pos];
        if (pos == 8 ? c != ' ' : !fgw_char_is(c, FGW_C_DIGIT) || (pos == 9 && c == '0')) return bad(h, in, START, pos);
        if (pos > 8) h->status = (uint16_t)(h->status * 10 + (c - '0'));
    }
    if (pos == in->end) {
        r = partial(h, in, START, pos);
        h->pos_ = 0;
        return r;
    }
    if (in->b[12] != ' ' && in->b[12] != '\r') return bad(h, in, START, 12);
    h->reason = h->tok_ = h->pos_ = 12 + (in->b[12] == ' ');
    return 1;
}

static int reply_reason(struct fgw_head *h, const struct in *in)
{
    uint32_t pos = (uint32_t)fgw_scanner_->value(in->b, h->pos_, in->end);
    if (pos == in->end) return partial(h, in, REASON, pos);
    int r = line_end(h, in, REASON, pos);
    if (r <= 0) return r;
    h->reason_len = pos - h->reason;
    h->line_ = h->pos_ = pos + 2;
    return 1;
}

static int reply_line(struct fgw_head *h, const struct in *in)
{
    int r = h->state_ == START ? reply_start(h, in) : 1;
    return r > 0 ? reply_reason(h, in) : r;
}

/* ---- the ordinary ---- */

/* What nearly every head consists of, taken by whole lines: a line that is complete and good, with a value of SP and VCHAR
 * that begins after at most one SP and ends without one. These functions stop before the first line that is not like that,
 * having touched nothing of it, and the state machine above judges it. They only optimise: without them every head has the
 * same outcome. Each level has its own copy with its finders in it, so that what is hot stays in registers.
 * No limit can be passed within the first n bytes, where n is at most the smallest limit: they look no further. */
enum first { REQUEST_LINE, REPLY_LINE, NO_LINE };
#define HOT  static inline __attribute__((always_inline))
#define COLD static __attribute__((noinline))              /* keeps its registers out of the hot functions' prologues */

/* Where the line behind the first begins; 0: it is not ordinary. n >= 16. */
HOT size_t ordinary_request_line(struct fgw_head *h, const char *b, size_t n, fgw_find *target_end)
{
    size_t target = 4;
    if (memcmp(b, "GET ", 4) != 0) {
        if (memcmp(b, "POST ", 5) != 0) return 0;
        target = 5;
    }
    size_t e = target_end(b, target, n);
    if (e == target || e + 11 > n) return 0;
    if (memcmp(b + e, " HTTP/1.", 8) != 0 || (b[e + 8] | 1) != '1' || memcmp(b + e + 9, "\r\n", 2) != 0) return 0;
    h->method_len = (uint8_t)(target - 1), h->method = target == 4 ? FGW_M_GET : FGW_M_POST;
    h->target = (uint32_t)target, h->target_len = (uint32_t)(e - target);
    h->minor = b[e + 8] & 1;
    return e + 11;
}

HOT size_t ordinary_reply_line(struct fgw_head *h, const char *b, size_t n, fgw_find *text_end)
{
    if (memcmp(b, "HTTP/1.", 7) != 0 || (b[7] | 1) != '1' || b[8] != ' ' || b[12] != ' ') return 0;
    unsigned d1 = (unsigned)(b[9] - '0'), d2 = (unsigned)(b[10] - '0'), d3 = (unsigned)(b[11] - '0');
    if (d1 - 1 > 8 || d2 > 9 || d3 > 9) return 0;
    size_t e = text_end(b, 13, n);
    if (e + 2 > n || memcmp(b + e, "\r\n", 2) != 0) return 0;
    h->status = (uint16_t)(d1 * 100 + d2 * 10 + d3);
    h->reason = 13, h->reason_len = (uint32_t)(e - 13);
    h->minor = b[7] & 1;
    return e + 2;
}

/* *fields goes on behind those taken. Returns where the first line begins that was not. */
HOT size_t ordinary_fields(const char *b, size_t n, size_t line, struct fgw_field **fields, const struct fgw_field *stop,
                           fgw_find *token_end, fgw_find *text_end)
{
    struct fgw_field *f = *fields;
    for (; f < stop && line <= n - 4; f++) {
        size_t colon = token_end(b, line, n);
        if (colon > n - 4 || colon == line) break;
        size_t value = colon + 2;
        if (memcmp(b + colon, ": ", 2) != 0) {
            if (b[colon] != ':') break;
            value = colon + 1;
        }
        if ((uint8_t)b[value] <= ' ') break;
        size_t end = text_end(b, value, n);
        if (end > n - 2 || memcmp(b + end, "\r\n", 2) != 0 || b[end - 1] == ' ') break;
        f->name = (uint32_t)line, f->value = (uint32_t)value, f->value_len = (uint32_t)(end - value);
        f->name_len = (uint16_t)(colon - line);
        line = end + 2;
    }
    *fields = f;
    return line;
}

HOT uint64_t field_ids(const char *b, struct fgw_field *f, const struct fgw_field *end)
{
    uint64_t known = 0;
    for (; f < end; f++) {
        enum fgw_field_id id = fgw_field_id_inline(b + f->name, f->name_len);
        f->id = (uint8_t)id, f->flags = 0;
        known |= 1ull << id;
    }
    return known;
}

/* From the start of a head or of a field's line. The head's length, or 0: there is more, for the state machine. */
HOT int ordinary_head(struct fgw_head *h, const char *b, size_t n, uint32_t max_fields, enum first first, fgw_find *token_end,
                      fgw_find *text_end, fgw_find *target_end)
{
    size_t line;
    if (first == REQUEST_LINE) {
        if ((line = ordinary_request_line(h, b, n, target_end)) == 0) return 0;
    } else if (first == REPLY_LINE) {
        if ((line = ordinary_reply_line(h, b, n, text_end)) == 0) return 0;
    } else line = h->line_;
    struct fgw_field *f = h->fields + h->nfields, *end = f;
    line = ordinary_fields(b, n, line, &end, h->fields + max_fields, token_end, text_end);
    h->nfields = (uint16_t)(end - h->fields);
    h->known |= field_ids(b, f, end);
    h->line_ = (uint32_t)line;
    if (line + 2 > n || memcmp(b + line, "\r\n", 2) != 0) {
        h->pos_ = (uint32_t)line, h->state_ = NAME;
        return 0;
    }
    h->state_ = DONE;
    return (int)(h->len = h->pos_ = (uint32_t)line + 2);
}

#define ORDINARY(level, target)                                                                                     \
    target COLD int ordinary_##level(struct fgw_head *h, const char *b, size_t n, uint32_t max_fields, enum first first) \
    {                                                                                                               \
        return ordinary_head(h, b, n, max_fields, first, fgw_token_end_##level, fgw_text_end_##level,               \
                             fgw_target_end_##level);                                                               \
    }
ORDINARY(plain, )
#if defined(__x86_64__)
ORDINARY(sse42, FGW_SSE42)
ORDINARY(avx2, FGW_AVX2)
#endif

static inline uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

HOT int ordinary(struct fgw_head *h, const char *b, uint32_t n, const struct fgw_head_limits *lim, enum first first)
{
    n = least(least(n, lim->head_max), least(least(lim->line_max, lim->field_max), NAME_MAX));
#if defined(__x86_64__)
    if (fgw_likely(n >= 32 && fgw_scanner_->level == FGW_SIMD_AVX2)) return ordinary_avx2(h, b, n, lim->max_fields, first);
    if (n >= 16 && fgw_scanner_->level != FGW_SIMD_PLAIN) return ordinary_sse42(h, b, n, lim->max_fields, first);
#endif
    return n >= 16 ? ordinary_plain(h, b, n, lim->max_fields, first) : 0;
}

/* ---- the doors ---- */

void fgw_head_reset(struct fgw_head *h)
{
    struct fgw_field *fields = h->fields;
    *h = (struct fgw_head){.fields = fields};
}

/* The first line is done, but a field's line is not ordinary or not complete. */
static int fields_slowly(struct fgw_head *h, const struct in *in)
{
    for (;;) {
        int r = parse_field(h, in);
        if (r != FIELD_TAKEN) return r;
        if ((r = ordinary(h, in->b, in->end, in->lim, NO_LINE)) > 0) return r;
    }
}

COLD int head_slowly(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim, enum first first)
{
    struct in in = {base, least(n, lim->head_max), n > lim->head_max, lim};
    if (h->state_ < NAME) {
        int r = first == REQUEST_LINE ? request_line(h, &in) : first == REPLY_LINE ? reply_line(h, &in) : 1;
        if (r <= 0) return r;
        h->state_ = NAME;
        if ((r = ordinary(h, base, in.end, lim, NO_LINE)) > 0) return r;
    }
    return fields_slowly(h, &in);
}

HOT int parse(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim, enum first first)
{
    FGW_CHECK(h->state_ != DONE);
    h->base = base;
    int r = h->state_ == START ? ordinary(h, base, n, lim, first) : 0;
    return r > 0 ? r : head_slowly(h, base, n, lim, first);
}

int fgw_head_parse_request(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim)
{
    return parse(h, base, n, lim, REQUEST_LINE);
}

int fgw_head_parse_reply(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim)
{
    return parse(h, base, n, lim, REPLY_LINE);
}

int fgw_head_parse_trailers(struct fgw_head *h, const char *base, uint32_t n, const struct fgw_head_limits *lim)
{
    return parse(h, base, n, lim, NO_LINE);
}

/* ---- look-ups ---- */

static const struct fgw_str METHODS[FGW_M_COUNT] = {
    [FGW_M_GET] = {"GET", 3},         [FGW_M_HEAD] = {"HEAD", 4},       [FGW_M_POST] = {"POST", 4},
    [FGW_M_PUT] = {"PUT", 3},         [FGW_M_DELETE] = {"DELETE", 6},   [FGW_M_CONNECT] = {"CONNECT", 7},
    [FGW_M_OPTIONS] = {"OPTIONS", 7}, [FGW_M_TRACE] = {"TRACE", 5},     [FGW_M_PATCH] = {"PATCH", 5},
};

enum fgw_method fgw_method_id(struct fgw_str m)
{
    static const uint8_t FIRST[8] = {[3] = FGW_M_GET, [4] = FGW_M_HEAD, [5] = FGW_M_TRACE, [6] = FGW_M_DELETE, [7] = FGW_M_CONNECT};
    static const uint8_t SECOND[8] = {[3] = FGW_M_PUT, [4] = FGW_M_POST, [5] = FGW_M_PATCH, [7] = FGW_M_OPTIONS};
    if (m.n < 3 || m.n > 7) return FGW_M_OTHER;
    enum fgw_method a = FIRST[m.n], b = SECOND[m.n];          /* no three methods are of one length */
    if (memcmp(m.p, METHODS[a].p, m.n) == 0) return a;
    return b != FGW_M_OTHER && memcmp(m.p, METHODS[b].p, m.n) == 0 ? b : FGW_M_OTHER;
}

struct fgw_str fgw_method_name(enum fgw_method m) { return (unsigned)m < FGW_M_COUNT ? METHODS[m] : METHODS[FGW_M_OTHER]; }

const struct fgw_field *fgw_head_find(const struct fgw_head *h, enum fgw_field_id id)
{
    if (!(h->known >> id & 1)) return NULL;
    for (uint32_t i = 0; i < h->nfields; i++)
        if (h->fields[i].id == id) return &h->fields[i];
    return NULL;
}

const struct fgw_field *fgw_head_find_name(const struct fgw_head *h, struct fgw_str name)
{
    enum fgw_field_id id = fgw_field_id(name.p, name.n);
    if (id != FGW_H_OTHER) return fgw_head_find(h, id);
    if (!(h->known & 1)) return NULL;
    for (uint32_t i = 0; i < h->nfields; i++)
        if (h->fields[i].id == FGW_H_OTHER && fgw_str_ieq(fgw_head_name(h, &h->fields[i]), name)) return &h->fields[i];
    return NULL;
}
