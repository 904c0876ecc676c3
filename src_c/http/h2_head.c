/* Header blocks: from nghttp2's field callbacks to a fgw_msg. What nghttp2 has checked (order, names in lower case, one of each pseudo field,
 * no connection-specific field, te, form of content-length) is not checked again; what HTTP/1 would refuse is refused here. */
#include "http/h2_impl.h"
#include "http/chars.h"
#include "http/target.h"

enum { BLOCK_FIRST = 3 << 10, METHOD_MAX = 32, BOMB_FACTOR = 4 };

static struct fgw_h2_stream *stream_of(nghttp2_session *ng, int32_t id) { return nghttp2_session_get_stream_user_data(ng, id); }

static struct fgw_msg *msg_new(struct fgw_h2_stream *s)
{
    struct fgw_msg *m = fgw_msg_get(&s->h->env->h1->msgs);
    if (!m) return NULL;
    m->b = fgw_block_get(&s->h->env->loop->blocks, BLOCK_FIRST);
    if (!m->b) {
        fgw_msg_put(m);
        return NULL;
    }
    m->head.base = m->b->data, m->head.minor = 1;
    s->fill = s->listed = 0;
    return m;
}

/* The block of the head in hand, grown to take n more bytes: offsets stay what they are. */
static bool room(struct fgw_h2_stream *s, size_t n)
{
    struct fgw_msg *m = s->m;
    if (s->fill + n <= m->b->cap) return true;
    struct fgw_block *b = fgw_block_get(&s->h->env->loop->blocks, (s->fill + n) * 2);
    if (!b) return false;
    memcpy(b->data, m->b->data, s->fill);
    fgw_block_unref(m->b);
    m->b = b, m->head.base = b->data;
    return true;
}

static uint32_t stash(struct fgw_h2_stream *s, const void *p, size_t n)  /* there is room */
{
    uint32_t at = s->fill;
    if (n) memcpy(s->m->b->data + at, p, n);
    s->fill += (uint32_t)n;
    return at;
}

enum fgw_err fgw_h2_add_field(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value)
{
    struct fgw_msg *m = s->m;
    const struct fgw_h1_limits *lim = s->h->lim;
    uint32_t max = s->head_done ? lim->body.trailer_fields : lim->head.max_fields;
    if (m->head.nfields >= max || m->head.nfields >= FGW_FIELDS_MAX) return FGW_E_TOO_MANY_FIELDS;
    if ((uint64_t)name.n + value.n > lim->head.field_max || name.n > UINT16_MAX) return FGW_E_FIELD_TOO_LONG;
    if (!room(s, (size_t)name.n + value.n)) return FGW_E_NO_MEMORY;
    struct fgw_field *f = &m->fields[m->head.nfields++];
    f->id = (uint8_t)fgw_field_id(name.p, name.n), f->flags = 0;
    f->name_len = (uint16_t)name.n, f->value_len = value.n;
    f->name = stash(s, name.p, name.n), f->value = stash(s, value.p, value.n);
    m->head.known |= 1ull << f->id;
    return FGW_E_NONE;
}

/* ---- pseudo fields (section 8.3.1) ---- */
enum fgw_err fgw_h2_set_method(struct fgw_h2_stream *s, struct fgw_str v)
{
    if (v.n == 0 || v.n > METHOD_MAX) return FGW_E_BAD_METHOD;
    for (uint32_t i = 0; i < v.n; i++)
        if (!fgw_char_is(v.p[i], FGW_C_TOKEN)) return FGW_E_BAD_LINE;
    if (!room(s, v.n)) return FGW_E_NO_MEMORY;
    struct fgw_head *d = &s->m->head;
    d->method_off = stash(s, v.p, v.n), d->method_len = (uint8_t)v.n, d->method = (uint8_t)fgw_method_id(v);
    return FGW_E_NONE;
}

static enum fgw_err target(struct fgw_h2_stream *s, struct fgw_str v)
{
    if (v.n > s->h->lim->head.line_max) return FGW_E_LINE_TOO_LONG;
    for (uint32_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] >= 0x7f || v.p[i] == '#') return FGW_E_BAD_LINE;
    if (!v.n || (v.p[0] != '/' && v.p[0] != '*')) return FGW_E_BAD_TARGET;
    if (!room(s, v.n)) return FGW_E_NO_MEMORY;
    s->m->head.target = stash(s, v.p, v.n), s->m->head.target_len = v.n;
    return FGW_E_NONE;
}

static enum fgw_err pseudo(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str v)
{
    if (fgw_str_eq(name, FGW_STR(":method"))) return fgw_h2_set_method(s, v);
    if (fgw_str_eq(name, FGW_STR(":path"))) return target(s, v);
    if (fgw_str_eq(name, FGW_STR(":authority"))) return fgw_h2_add_field(s, FGW_STR("host"), v);
    if (fgw_str_eq(name, FGW_STR(":scheme"))) {
        s->scheme = fgw_str_ieq(v, FGW_STR("http")) || fgw_str_ieq(v, FGW_STR("https")) ? 1 : 2;
        return FGW_E_NONE;
    }
    if (fgw_str_eq(name, FGW_STR(":protocol"))) {       /* nghttp2 sees that it comes with CONNECT, :scheme and :path */
        s->protocol = fgw_str_ieq(v, FGW_STR("websocket")) ? FGW_H2_PROTOCOL_WEBSOCKET : FGW_H2_PROTOCOL_OTHER;
        return FGW_E_NONE;
    }
    return FGW_E_BAD_REQUEST;
}

/* ---- nghttp2's callbacks ---- */
int fgw_h2_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_server *h = user;
    struct fgw_h2_stream *s = stream_of(ng, f->hd.stream_id);
    if (!s && f->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (!(s = fgw_h2_stream_new(h, f->hd.stream_id))) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        nghttp2_session_set_stream_user_data(ng, f->hd.stream_id, s);
    }
    if (!s) return 0;
    h->head_ms = fgw_h2_now(h);
    fgw_msg_put(s->m);
    s->m = msg_new(s);
    if (!s->m) s->ours = true;
    return s->m ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* A list that goes on beyond its bound is read, since the peer's compression state is ours too, but not kept; far beyond it is an attack
 * (a few bytes can stand for megabytes: RFC 7541 section 7.3). */
int fgw_h2_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    struct fgw_h2_server *h = user;
    struct fgw_h2_stream *s = stream_of(ng, f->hd.stream_id);
    (void)flags;
    if (!s || !s->m) return 0;
    uint32_t max = s->head_done ? h->lim->body.trailer_max : h->lim->head.head_max;
    s->listed += (uint32_t)(nn + vn + 32);
    if (s->listed > (uint64_t)max * BOMB_FACTOR + (64 << 10)) return fgw_h2_trip(h, FGW_E_H2_HEAD_BOMB, NGHTTP2_ENHANCE_YOUR_CALM);
    if (s->listed > max && !s->refuse) s->refuse = FGW_E_HEAD_TOO_LONG;
    if (s->refuse) return 0;
    struct fgw_str n = fgw_str((const char *)name, nn), v = fgw_str((const char *)value, vn);
    s->refuse = (uint8_t)(nn && name[0] == ':' ? pseudo(s, n, v) : fgw_h2_add_field(s, n, v));
    return 0;
}

/* nghttp2 would leave such a field out; a request that has one is malformed (section 8.2.1). */
int fgw_h2_invalid_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    (void)ng, (void)f, (void)name, (void)nn, (void)value, (void)vn, (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
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
    if (!room(s, size)) return FGW_E_NO_MEMORY;
    struct fgw_field *first = NULL;
    uint32_t at = s->fill;
    uint16_t kept = 0;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        struct fgw_field f = m->fields[i];
        if (f.id == FGW_H_COOKIE) {
            if (s->fill != at) stash(s, "; ", 2);
            stash(s, m->head.base + f.value, f.value_len);
            if (first) continue;
        }
        m->fields[kept] = f;
        if (f.id == FGW_H_COOKIE) first = &m->fields[kept];
        kept++;
    }
    if (first) first->value = at, first->value_len = s->fill - at;
    m->head.nfields = kept;
    return FGW_E_NONE;
}

static void body_length(struct fgw_msg *m, bool end)
{
    const struct fgw_field *cl = fgw_head_find(&m->head, FGW_H_CONTENT_LENGTH);
    m->len = end ? FGW_LEN_NONE : cl ? FGW_LEN_KNOWN : FGW_LEN_UNKNOWN;
    m->length = 0;
    for (uint32_t i = 0; cl && i < cl->value_len; i++) m->length = m->length * 10 + (uint64_t)(m->head.base[cl->value + i] - '0');   /* nghttp2 has seen that it fits */
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
    body_length(m, end || s->connect);
    return e;
}

enum fgw_err fgw_h2_trailers_end(struct fgw_h2_stream *s)
{
    s->m->head.len = s->fill;
    if (s->refuse) return (enum fgw_err)s->refuse;
    return fgw_msg_underscores(s->m, (enum fgw_underscores)s->h->lim->underscores);
}
