/* Heads of requests: pseudo fields, and what must be true of the whole. */
#include "http/h2_server_impl.h"
#include "http/chars.h"
#include "http/target.h"

enum { METHOD_MAX = 32 };

/* ---- pseudo fields (section 8.3.1) ---- */
enum fgw_err fgw_h2_set_method(struct fgw_h2_stream *s, struct fgw_str v)
{
    if (v.n == 0 || v.n > METHOD_MAX) return FGW_E_BAD_METHOD;
    for (uint32_t i = 0; i < v.n; i++)
        if (!fgw_char_is(v.p[i], FGW_C_TOKEN)) return FGW_E_BAD_LINE;
    if (!fgw_h2_head_room(s, v.n)) return FGW_E_NO_MEMORY;
    struct fgw_head *d = &s->m->head;
    d->method_off = fgw_h2_head_stash(s, v.p, v.n), d->method_len = (uint8_t)v.n, d->method = (uint8_t)fgw_method_id(v);
    return FGW_E_NONE;
}

static enum fgw_err target(struct fgw_h2_stream *s, struct fgw_str v)
{
    if (v.n > s->h->lim->head.line_max) return FGW_E_LINE_TOO_LONG;
    for (uint32_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] >= 0x7f || v.p[i] == '#') return FGW_E_BAD_LINE;
    if (!v.n || (v.p[0] != '/' && v.p[0] != '*')) return FGW_E_BAD_TARGET;
    if (!fgw_h2_head_room(s, v.n)) return FGW_E_NO_MEMORY;
    s->m->head.target = fgw_h2_head_stash(s, v.p, v.n), s->m->head.target_len = v.n;
    return FGW_E_NONE;
}

enum fgw_err fgw_h2_request_pseudo(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str v)
{
    if (fgw_str_eq(name, FGW_STR(":method"))) return fgw_h2_set_method(s, v);
    if (fgw_str_eq(name, FGW_STR(":path"))) return target(s, v);
    if (fgw_str_eq(name, FGW_STR(":authority"))) return fgw_h2_head_field(s, FGW_STR("host"), v);
    if (fgw_str_eq(name, FGW_STR(":scheme"))) {
        bool plain = fgw_str_eq(v, FGW_STR("https")) || fgw_str_eq(v, FGW_STR("http"));
        s->scheme = plain || fgw_str_ieq(v, FGW_STR("https")) || fgw_str_ieq(v, FGW_STR("http")) ? 1 : 2;
        return FGW_E_NONE;
    }
    if (fgw_str_eq(name, FGW_STR(":protocol"))) {       /* nghttp2 sees that it comes with CONNECT, :scheme and :path */
        s->protocol = fgw_str_ieq(v, FGW_STR("websocket")) ? FGW_H2_PROTOCOL_WEBSOCKET : FGW_H2_PROTOCOL_OTHER;
        return FGW_E_NONE;
    }
    return FGW_E_BAD_REQUEST;
}

int fgw_h2_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
    if (!s && f->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (!(s = fgw_h2_stream_new(h, f->hd.stream_id))) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        nghttp2_session_set_stream_user_data(ng, f->hd.stream_id, s);
    }
    return s ? fgw_h2_begin_block(h, s) : 0;
}

/* ---- the whole ---- */
/* :authority came first and has become Host; a Host field beside it must say the same (section 8.3.1). */
static enum fgw_err one_host(struct fgw_msg *m)
{
    struct fgw_str first = FGW_STR("");
    uint16_t kept = 0;
    bool seen = false;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        struct fgw_str v = fgw_head_value(&m->head, &m->fields[i]);
        if (m->fields[i].id == FGW_H_HOST && seen) {
            if (!fgw_str_ieq(first, v)) return FGW_E_BAD_HOST;
            continue;
        }
        if (m->fields[i].id == FGW_H_HOST) seen = true, first = v;
        m->fields[kept++] = m->fields[i];
    }
    m->head.nfields = kept;
    return seen ? FGW_E_NONE : FGW_E_BAD_HOST;
}

/* Section 8.2.3: the pieces of Cookie become one line again. */
static enum fgw_err one_cookie(struct fgw_h2_stream *s)
{
    struct fgw_msg *m = s->m;
    uint32_t count = 0, size = 0;
    for (uint16_t i = 0; i < m->head.nfields; i++)
        if (m->fields[i].id == FGW_H_COOKIE) count++, size += m->fields[i].value_len + 2;
    if (count < 2) return FGW_E_NONE;
    if (!fgw_h2_head_room(s, size)) return FGW_E_NO_MEMORY;
    struct fgw_field *first = NULL;
    uint32_t at = s->fill;
    uint16_t kept = 0;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        struct fgw_field f = m->fields[i];
        if (f.id == FGW_H_COOKIE) {
            if (s->fill != at) fgw_h2_head_stash(s, "; ", 2);
            fgw_h2_head_stash(s, m->head.base + f.value, f.value_len);
            if (first) {
                first->flags |= f.flags;               /* what was said of a piece holds for the whole */
                continue;
            }
        }
        m->fields[kept] = f;
        if (f.id == FGW_H_COOKIE) first = &m->fields[kept];
        kept++;
    }
    if (first) first->value = at, first->value_len = s->fill - at;
    m->head.nfields = kept;
    return FGW_E_NONE;
}

/* As fgw_msg_connection's answer for HTTP/1: CONNECT well formed is a method nobody here serves. */
static enum fgw_err connect_refused(const struct fgw_msg *m)
{
    const struct fgw_field *host = fgw_head_find(&m->head, FGW_H_HOST);
    struct fgw_target t;
    if (!host) return FGW_E_BAD_TARGET;
    enum fgw_err e = fgw_target_parse(fgw_head_value(&m->head, host), FGW_M_CONNECT, NULL, NULL, 0, &t);
    return e ? e : FGW_E_METHOD_NOT_ALLOWED;
}

enum fgw_err fgw_h2_head_end(struct fgw_h2_stream *s, bool end)
{
    struct fgw_msg *m = s->m;
    m->head.len = s->fill;
    s->head_request = m->head.method == FGW_M_HEAD;
    if (s->refuse) return (enum fgw_err)s->refuse;
    s->connect = m->head.method == FGW_M_CONNECT && s->protocol;
    if (m->head.method == FGW_M_CONNECT && !s->connect) return connect_refused(m);
    if (s->scheme != 1) return FGW_E_BAD_TARGET;
    enum fgw_err e = one_host(m);
    if (!e && s->connect) e = fgw_h2_connect_ask(s);
    if (!e && m->head.known & FGW_H_BIT(COOKIE)) e = one_cookie(s);
    if (!e) e = fgw_msg_underscores(m, (enum fgw_underscores)s->h->lim->underscores);
    if (!e) e = fgw_msg_connection(m, true);
    m->head.len = s->fill;
    m->keep_alive = true, m->upgrade = m->upgrade_only = s->connect;
    fgw_h2_head_length(m);
    if (end || s->connect) m->len = FGW_LEN_NONE, m->length = 0;
    return e;
}
