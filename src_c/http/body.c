#include "http/body.h"
#include "base/check.h"
#include "http/chars.h"

const char *fgw_framing_name(enum fgw_framing f)
{
    static const char *const NAMES[] = {"none", "length", "chunked", "close"};
    return (unsigned)f < FGW_COUNT(NAMES) ? NAMES[f] : "?";
}

/* ---- framing ---- */

/* The only field with this id; *many if there are more. NULL: none. */
static const struct fgw_field *sole(const struct fgw_head *h, enum fgw_field_id id, bool *many)
{
    const struct fgw_field *first = fgw_head_find(h, id);
    *many = false;
    if (first)
        for (const struct fgw_field *f = first + 1; f < h->fields + h->nfields && !*many; f++) *many = f->id == id;
    return first;
}

/* RFC 9112 section 6.3: one line of 1*DIGIT. Above INT64_MAX it would wrap in somebody else's parser. */
static enum fgw_err content_length(struct fgw_str v, uint64_t *length)
{
    *length = 0;
    if (v.n == 0 || v.n > 19) return FGW_E_BAD_FRAMING;
    for (uint32_t i = 0; i < v.n; i++) {
        if (!fgw_char_is(v.p[i], FGW_C_DIGIT)) return FGW_E_BAD_FRAMING;
        *length = *length * 10 + (uint64_t)(v.p[i] - '0');
    }
    return *length <= INT64_MAX ? FGW_E_NONE : FGW_E_BAD_FRAMING;
}

/* "chunked" alone is served. A well-formed list of other codings that ends in "chunked" is honest but not implemented (501);
 * whatever else stands here is somebody trying how differently two parsers read it. */
static enum fgw_err transfer_coding(struct fgw_str v)
{
    static const struct fgw_str CHUNKED = FGW_STR("chunked");
    if (fgw_str_ieq(v, CHUNKED)) return FGW_E_NONE;
    bool last_is_chunked = false;
    for (uint32_t i = 0, from = 0; i <= v.n; i++) {
        if (i < v.n && v.p[i] != ',') continue;
        struct fgw_str m = fgw_str_trim(fgw_str(v.p + from, i - from));
        if (m.n == 0 || last_is_chunked) return FGW_E_BAD_FRAMING;
        for (uint32_t k = 0; k < m.n; k++)
            if (!fgw_char_is(m.p[k], FGW_C_TOKEN)) return FGW_E_BAD_FRAMING;
        last_is_chunked = fgw_str_ieq(m, CHUNKED);
        from = i + 1;
    }
    return last_is_chunked ? FGW_E_BAD_CODING : FGW_E_BAD_FRAMING;
}

/* What the head says, whoever sent it: CHUNKED, LENGTH, or NONE for neither. */
static enum fgw_err declared(const struct fgw_head *h, enum fgw_framing *f, uint64_t *length)
{
    *f = FGW_BODY_NONE, *length = 0;
    if (!(h->known & (FGW_H_BIT(TRANSFER_ENCODING) | FGW_H_BIT(CONTENT_LENGTH)))) return FGW_E_NONE;
    bool many_te, many_cl;
    const struct fgw_field *te = sole(h, FGW_H_TRANSFER_ENCODING, &many_te);
    const struct fgw_field *cl = sole(h, FGW_H_CONTENT_LENGTH, &many_cl);
    if ((te && cl) || many_te || many_cl || (te && h->minor == 0)) return FGW_E_BAD_FRAMING;
    enum fgw_err e = te ? transfer_coding(fgw_head_value(h, te)) : content_length(fgw_head_value(h, cl), length);
    if (e == FGW_E_NONE) *f = te ? FGW_BODY_CHUNKED : FGW_BODY_LENGTH;
    else *length = 0;
    return e;
}

enum fgw_err fgw_framing_request(const struct fgw_head *h, enum fgw_framing *f, uint64_t *length) { return declared(h, f, length); }

enum fgw_err fgw_framing_reply(const struct fgw_head *h, bool head_request, enum fgw_framing *f, uint64_t *length)
{
    if (declared(h, f, length) != FGW_E_NONE) return FGW_E_UPSTREAM_BAD;
    if (head_request || h->status < 200 || h->status == 204 || h->status == 304) *f = FGW_BODY_NONE, *length = 0;
    else if (*f == FGW_BODY_NONE) *f = FGW_BODY_CLOSE;
    return FGW_E_NONE;
}

/* ---- bodies ---- */

/* chunked: SIZE ─┬─────CR─► SIZE_LF ─► DATA ─left = 0─► DATA_CR ─► DATA_LF ─► SIZE …
 *                ├─";"─► EXT ─CR─┘  └─size 0─► TRAILERS
 *                └─SP─► BWS ─";"─► EXT                     length, close: DATA; END when nothing is left */
enum state { SIZE, BWS, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILERS, END, BAD };

void fgw_body_start(struct fgw_body *b, enum fgw_framing f, uint64_t length)
{
    bool empty = f == FGW_BODY_NONE || (f == FGW_BODY_LENGTH && length == 0);
    *b = (struct fgw_body){.framing = (uint8_t)f, .state_ = empty ? END : f == FGW_BODY_CHUNKED ? SIZE : DATA};
    b->left = f == FGW_BODY_LENGTH ? length : f == FGW_BODY_CLOSE ? UINT64_MAX : 0;
}

/* RFC 9112 section 7.1.1: extensions, and the whitespace before them, are counted and dropped. BWS may stand only before a ';'. */
static enum state ext_byte(struct fgw_body *b, const struct fgw_body_limits *lim, char c)
{
    if (b->state_ == EXT && c == '\r') return SIZE_LF;
    if (++b->ext_chunk_ > lim->ext_chunk_max || ++b->ext_total_ > lim->ext_total_max) return BAD;
    if (b->state_ != EXT && c != ';') return c == ' ' || c == '\t' ? BWS : BAD;
    return fgw_char_is(c, FGW_C_VALUE) ? EXT : BAD;
}

static enum state size_byte(struct fgw_body *b, const struct fgw_body_limits *lim, char c)
{
    if (fgw_char_is(c, FGW_C_HEX)) {
        if (b->saw_digit_ == 16) return BAD;
        b->saw_digit_++;
        b->left = b->left << 4 | fgw_hex_value(c);
        return SIZE;
    }
    if (b->saw_digit_ == 0) return BAD;
    b->ext_chunk_ = 0;
    return c == '\r' ? SIZE_LF : ext_byte(b, lim, c);
}

static enum state framing_byte(struct fgw_body *b, const struct fgw_body_limits *lim, char c)
{
    switch ((enum state)b->state_) {
    case SIZE: return size_byte(b, lim, c);
    case BWS:
    case EXT: return ext_byte(b, lim, c);
    case SIZE_LF: return c != '\n' ? BAD : b->left ? DATA : TRAILERS;
    case DATA_CR: return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        b->saw_digit_ = 0;
        return c == '\n' ? SIZE : BAD;
    default: FGW_UNREACHABLE();
    }
    return BAD;
}

static enum fgw_body_event data(struct fgw_body *b, uint32_t n, uint32_t *pos, uint32_t *off, uint32_t *len)
{
    uint32_t have = n - *pos;
    *off = *pos;
    *len = b->left < have ? (uint32_t)b->left : have;
    *pos += *len;
    b->total += *len;
    if (b->framing != FGW_BODY_CLOSE && (b->left -= *len) == 0) b->state_ = b->framing == FGW_BODY_CHUNKED ? DATA_CR : END;
    return FGW_BODY_DATA;
}

enum fgw_body_event fgw_body_next(struct fgw_body *b, const struct fgw_body_limits *lim, const char *p, uint32_t n,
                                  uint32_t *pos, uint32_t *off, uint32_t *len)
{
    FGW_CHECK(*pos <= n);
    for (;;) {
        if (b->state_ == TRAILERS) return FGW_BODY_TRAILERS;
        if (b->state_ == END) return FGW_BODY_END;
        if (b->state_ == BAD) return FGW_BODY_BAD;
        if (*pos == n) return FGW_BODY_MORE;
        if (b->state_ == DATA) return data(b, n, pos, off, len);
        b->state_ = (uint8_t)framing_byte(b, lim, p[(*pos)++]);
        if (b->state_ == BAD) b->err = FGW_E_BAD_CHUNK;
    }
}

bool fgw_body_eof(struct fgw_body *b)
{
    if (b->framing == FGW_BODY_CLOSE) b->state_ = END;
    return b->state_ == END;
}

int fgw_chunk_head(char *out, uint64_t n)
{
    FGW_CHECK(n > 0);
    int digits = (67 - __builtin_clzll(n)) / 4;
    for (int i = digits; i-- > 0; n >>= 4) out[i] = "0123456789abcdef"[n & 15];
    out[digits] = '\r', out[digits + 1] = '\n';
    return digits + 2;
}
