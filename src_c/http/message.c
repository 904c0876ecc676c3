#include "http/message.h"

struct fgw_msg *fgw_msg_get(struct fgw_slab *home)
{
    struct fgw_msg *m = fgw_slab_get(home);
    if (!m) return NULL;
    m->home = home, m->b = NULL;
    m->len = FGW_LEN_NONE, m->length = 0;
    m->keep_alive = m->expect = m->upgrade = m->upgrade_only = false, m->never = 0;
    m->head.fields = m->fields;
    fgw_head_reset(&m->head);
    return m;
}

void fgw_msg_put(struct fgw_msg *m)
{
    if (!m) return;
    if (m->b) fgw_block_unref(m->b);
    fgw_slab_put(m->home, m);
}

/* A token of Connection: an option we know, or the name of a field that is not to be passed on. */
static void connection_option(struct fgw_msg *m, struct fgw_str t, bool *close, bool *keep, bool *upgrade)
{
    if (fgw_str_ieq(t, FGW_STR("close"))) *close = true;
    else if (fgw_str_ieq(t, FGW_STR("keep-alive"))) *keep = true;
    else if (fgw_str_ieq(t, FGW_STR("upgrade"))) *upgrade = true;
    else
        for (uint16_t i = 0; i < m->head.nfields; i++) {
            struct fgw_field *f = &m->fields[i];
            /* Host, Content-Length and the like are not options anybody may take away. */
            if (f->id != FGW_H_HOST && f->id != FGW_H_CONTENT_LENGTH && fgw_str_ieq(fgw_head_name(&m->head, f), t)) f->flags |= FGW_FIELD_DROP;
        }
}

static enum fgw_err read_expect(struct fgw_msg *m)
{
    for (uint16_t i = 0; i < m->head.nfields; i++)
        if (m->fields[i].id == FGW_H_EXPECT) {
            if (!fgw_str_ieq(fgw_head_value(&m->head, &m->fields[i]), FGW_STR("100-continue"))) return FGW_E_BAD_EXPECT;
            m->expect = m->head.minor > 0;             /* RFC 9110 section 10.1.1: ignored from HTTP/1.0 */
        }
    return FGW_E_NONE;
}

/* h2c is not negotiated by Upgrade (RFC 9113 dropped it; it smuggles): such a request is served as if it had not asked. */
static bool upgrade_wanted(const struct fgw_msg *m)
{
    const struct fgw_field *f = fgw_head_find(&m->head, FGW_H_UPGRADE);
    return f && f->value_len && !fgw_list_has(fgw_head_value(&m->head, f), FGW_STR("h2c"));
}

enum fgw_err fgw_msg_connection(struct fgw_msg *m, bool request)
{
    struct fgw_head *h = &m->head;
    uint64_t hop = fgw_field_hop_bits();
    m->keep_alive = h->minor > 0;
    if (fgw_unlikely(request && h->known & FGW_H_BIT(EXPECT))) {
        enum fgw_err e = read_expect(m);
        if (e) return e;
    }
    if (!(h->known & hop)) return FGW_E_NONE;
    bool close = false, keep = false, upgrade = false;
    for (uint16_t i = 0; i < h->nfields; i++) {
        struct fgw_field *f = &m->fields[i];
        if (f->id == FGW_H_OTHER || !(hop & (1ull << f->id))) continue;
        f->flags |= FGW_FIELD_DROP;
        struct fgw_str rest = fgw_head_value(h, f), t;
        if (f->id == FGW_H_CONNECTION)
            while (fgw_list_next(&rest, &t)) connection_option(m, t, &close, &keep, &upgrade);
    }
    if (close) m->keep_alive = false;
    else if (keep) m->keep_alive = true;
    m->upgrade = upgrade && h->minor > 0 && upgrade_wanted(m);
    return FGW_E_NONE;
}

enum fgw_err fgw_msg_underscores(struct fgw_msg *m, enum fgw_underscores what)
{
    struct fgw_head *h = &m->head;
    if (what == FGW_UNDERSCORES_ALLOW || !(h->known & FGW_H_BIT(OTHER))) return FGW_E_NONE;
    uint16_t kept = 0;
    for (uint16_t i = 0; i < h->nfields; i++) {
        const struct fgw_field *f = &m->fields[i];
        bool odd = f->id == FGW_H_OTHER && memchr(h->base + f->name, '_', f->name_len);
        if (odd && what == FGW_UNDERSCORES_REJECT) return FGW_E_BAD_FIELD;
        if (odd) continue;
        if (kept != i) m->fields[kept] = *f;
        kept++;
    }
    h->nfields = kept;
    return FGW_E_NONE;
}

uint32_t fgw_msg_fields(const struct fgw_msg *m, struct fgw_out_field *out)
{
    const uint64_t own = FGW_H_BIT(HOST) | FGW_H_BIT(CONTENT_LENGTH) | fgw_field_hop_bits();   /* also in trailers, which no Connection rules */
    const char *base = m->head.base;
    uint32_t n = 0;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        const struct fgw_field *f = &m->fields[i];
        if (f->flags & FGW_FIELD_DROP || (own >> f->id & 1)) continue;
        out[n++] = (struct fgw_out_field){base + f->name, base + f->value, f->value_len, f->name_len, f->id, f->flags};
    }
    return n;
}

struct fgw_str fgw_reason(int status)
{
    static const struct { short status; const char *text; } known[] = {
        {100, "Continue"}, {101, "Switching Protocols"}, {102, "Processing"}, {103, "Early Hints"}, {200, "OK"}, {201, "Created"},
        {202, "Accepted"}, {203, "Non-Authoritative Information"}, {204, "No Content"}, {205, "Reset Content"},
        {206, "Partial Content"}, {207, "Multi-Status"}, {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"},
        {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {407, "Proxy Authentication Required"}, {408, "Request Timeout"},
        {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
        {414, "URI Too Long"}, {415, "Unsupported Media Type"}, {416, "Range Not Satisfiable"}, {417, "Expectation Failed"},
        {418, "I'm a Teapot"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"}, {425, "Too Early"},
        {426, "Upgrade Required"}, {428, "Precondition Required"}, {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"}, {451, "Unavailable For Legal Reasons"}, {500, "Internal Server Error"},
        {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"}, {508, "Loop Detected"}};
    for (size_t i = 0; i < FGW_COUNT(known); i++)
        if (known[i].status == status) return fgw_str(known[i].text, strlen(known[i].text));
    return FGW_STR("");
}

/* ---- writing ---- */
static inline char *put(char *p, const char *s, size_t n)
{
    if (n) memcpy(p, s, n);                            /* an empty view may have no address */
    return p + n;
}
#define PUT(p, lit) put((p), (lit), sizeof(lit) - 1)

size_t fgw_out_write_fields(const struct fgw_out_field *f, uint32_t n, char *p)
{
    char *start = p;
    for (const struct fgw_out_field *end = n ? f + n : f; f < end; f++) {   /* an empty list may have no address */
        if (f->flags & FGW_FIELD_DROP) continue;
        p = put(p, f->name, f->name_len);
        *p++ = ':', *p++ = ' ';
        p = put(p, f->value, f->value_len);
        *p++ = '\r', *p++ = '\n';
    }
    return (size_t)(p - start);
}

size_t fgw_out_fields_size(const struct fgw_out_field *f, uint32_t n)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += f[i].name_len + (size_t)f[i].value_len + 4;
    return sum;
}

size_t fgw_out_size(const struct fgw_out *o)
{
    return 64 + o->method.n + (size_t)o->target.n + o->authority.n + o->reason.n + fgw_out_fields_size(o->fields, o->nfields);
}

size_t fgw_out_write_request(const struct fgw_out *o, struct fgw_str hop, char *p, size_t size)
{
    char *start = p;
    if (fgw_out_size(o) + hop.n > size) return 0;
    p = put(p, o->method.p, o->method.n);
    *p++ = ' ';
    p = put(p, o->target.p, o->target.n);
    p = PUT(p, " HTTP/1.1\r\nHost: ");
    p = put(p, o->authority.p, o->authority.n);
    p = PUT(p, "\r\n");
    p += fgw_out_write_fields(o->fields, o->nfields, p);
    p = put(p, hop.p, hop.n);
    p = PUT(p, "\r\n");
    return (size_t)(p - start);
}

size_t fgw_out_write_reply(const struct fgw_out *o, struct fgw_str hop, char *p, size_t size)
{
    char *start = p;
    if (fgw_out_size(o) + hop.n + 32 > size) return 0;
    struct fgw_str reason = o->reason.p ? o->reason : fgw_reason(o->status);
    p = PUT(p, "HTTP/1.1 ");
    *p++ = (char)('0' + o->status / 100 % 10), *p++ = (char)('0' + o->status / 10 % 10), *p++ = (char)('0' + o->status % 10);
    *p++ = ' ';
    p = put(p, reason.p, reason.n);
    p = PUT(p, "\r\n");
    p += fgw_out_write_fields(o->fields, o->nfields, p);
    p = put(p, hop.p, hop.n);
    p = PUT(p, "\r\n");
    return (size_t)(p - start);
}
