/* Header blocks: from nghttp2's field callbacks to a fgw_msg. What nghttp2 has checked (order, names in lower case, one of each pseudo field,
 * no connection-specific field, te, form of content-length) is not checked again; what HTTP/1 would refuse is refused here, or by the role. */
#include "http/h2_impl.h"

enum { HEADS = 15 << 10, FIRST = 2 << 10, BOMB_FACTOR = 4 };             /* HEADS: a block for many; FIRST: what one should find free in it */

/* Heads share blocks: with hundreds under way a page for each would cost more than the work on it. One that waits is moved out of it
 * (core/unpin.c). */
static struct fgw_block *shared(struct fgw_h2_env *e)
{
    if (e->heads && e->heads->refs == 1) e->heads_fill = 0;
    if (e->heads && e->heads->cap - e->heads_fill >= FIRST) return e->heads;
    struct fgw_block *b = fgw_block_get(&e->loop->blocks, HEADS);
    if (!b) return NULL;
    if (e->heads) fgw_block_unref(e->heads);
    e->heads = b, e->heads_fill = 0;
    return b;
}

struct fgw_msg *fgw_h2_msg_new(struct fgw_h2_stream *s)
{
    struct fgw_h2_env *e = s->h->env;
    struct fgw_msg *m = fgw_msg_get(&e->h1->msgs);
    if (!m) return NULL;
    struct fgw_block *b = shared(e);
    if (!b) {
        fgw_msg_put(m);
        return NULL;
    }
    e->heads_fill = (e->heads_fill + 15) & ~15u;
    m->b = fgw_block_ref(b);
    m->head.base = b->data + e->heads_fill, m->head.minor = 1;
    s->fill = s->listed = 0;
    return m;
}

/* Grown, offsets stay what they are. Once another head has begun behind it in the shared block, or no room is left there, it gets its own. */
bool fgw_h2_head_room(struct fgw_h2_stream *s, size_t n)
{
    struct fgw_msg *m = s->m;
    struct fgw_h2_env *e = s->h->env;
    size_t end = (size_t)(m->head.base - m->b->data) + s->fill;
    if (end + n <= m->b->cap && (m->b != e->heads || end == e->heads_fill)) return true;
    struct fgw_block *b = fgw_block_get(&e->loop->blocks, (s->fill + n) * 2);
    if (!b) return false;
    memcpy(b->data, m->head.base, s->fill);
    fgw_block_unref(m->b);
    m->b = b, m->head.base = b->data;
    return true;
}

uint32_t fgw_h2_head_stash(struct fgw_h2_stream *s, const void *p, size_t n)
{
    struct fgw_msg *m = s->m;
    uint32_t at = s->fill;
    if (n) memcpy(m->b->data + (m->head.base - m->b->data) + at, p, n);
    s->fill += (uint32_t)n;
    if (m->b == s->h->env->heads) s->h->env->heads_fill += (uint32_t)n;
    return at;
}

enum fgw_err fgw_h2_head_field(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value)
{
    struct fgw_msg *m = s->m;
    const struct fgw_h1_limits *lim = s->h->lim;
    uint32_t max = s->head_done ? lim->body.trailer_fields : lim->head.max_fields;
    if (m->head.nfields >= max || m->head.nfields >= FGW_FIELDS_MAX) return FGW_E_TOO_MANY_FIELDS;
    if ((uint64_t)name.n + value.n > lim->head.field_max || name.n > UINT16_MAX) return FGW_E_FIELD_TOO_LONG;
    if (!fgw_h2_head_room(s, (size_t)name.n + value.n)) return FGW_E_NO_MEMORY;
    struct fgw_field *f = &m->fields[m->head.nfields++];
    f->id = (uint8_t)fgw_field_id(name.p, name.n), f->flags = 0;
    f->name_len = (uint16_t)name.n, f->value_len = value.n;
    f->name = fgw_h2_head_stash(s, name.p, name.n), f->value = fgw_h2_head_stash(s, value.p, value.n);
    m->head.known |= 1ull << f->id;
    return FGW_E_NONE;
}

/* ---- nghttp2's callbacks ---- */
int fgw_h2_begin_block(struct fgw_h2_conn *h, struct fgw_h2_stream *s)
{
    h->head_ms = fgw_h2_now(h);
    h->heading = s;
    fgw_msg_put(s->m);
    s->m = fgw_h2_msg_new(s);
    if (!s->m) s->ours = true;
    return s->m ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* The field that has just come was never to be indexed. */
static void never(struct fgw_msg *m, struct fgw_str name)
{
    if (fgw_str_eq(name, FGW_STR(":method"))) m->never |= FGW_NEVER_METHOD;
    else if (fgw_str_eq(name, FGW_STR(":path"))) m->never |= FGW_NEVER_PATH;
    else if (fgw_str_eq(name, FGW_STR(":authority")) || fgw_str_eq(name, FGW_STR("host"))) m->never |= FGW_NEVER_AUTHORITY;
    else if (name.n && name.p[0] != ':') m->fields[m->head.nfields - 1].flags |= FGW_FIELD_NEVER;
}

/* A list that goes on beyond its bound is read, since the peer's compression state is ours too, but not kept; far beyond it is an attack
 * (a few bytes can stand for megabytes: RFC 7541 section 7.3). */
int fgw_h2_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = h->heading;
    (void)ng, (void)f;
    if (!s || !s->m) return 0;
    uint32_t max = s->head_done ? h->lim->body.trailer_max : h->lim->head.head_max;
    s->listed += (uint32_t)(nn + vn + 32);
    if (s->listed > (uint64_t)max * BOMB_FACTOR + (64 << 10)) return fgw_h2_trip(h, FGW_E_H2_HEAD_BOMB, NGHTTP2_ENHANCE_YOUR_CALM);
    if (s->listed > max && !s->refuse) s->refuse = FGW_E_HEAD_TOO_LONG;
    if (s->refuse) return 0;
    struct fgw_str n = fgw_str((const char *)name, nn), v = fgw_str((const char *)value, vn);
    s->refuse = (uint8_t)(nn && name[0] == ':' ? h->role->pseudo(s, n, v) : fgw_h2_head_field(s, n, v));
    if (fgw_unlikely(flags & NGHTTP2_NV_FLAG_NO_INDEX) && !s->refuse) never(s->m, n);
    return 0;
}

/* nghttp2 would leave such a field out; a message that has one is malformed (section 8.2.1). */
int fgw_h2_invalid_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    (void)ng, (void)f, (void)name, (void)nn, (void)value, (void)vn, (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- the whole ---- */
void fgw_h2_head_length(struct fgw_msg *m)
{
    const struct fgw_field *cl = fgw_head_find(&m->head, FGW_H_CONTENT_LENGTH);
    m->len = cl ? FGW_LEN_KNOWN : FGW_LEN_UNKNOWN;
    m->length = 0;
    for (uint32_t i = 0; cl && i < cl->value_len; i++) m->length = m->length * 10 + (uint64_t)(m->head.base[cl->value + i] - '0');   /* nghttp2 has seen that it fits */
}

enum fgw_err fgw_h2_trailers_end(struct fgw_h2_stream *s)
{
    s->m->head.len = s->fill;
    if (s->refuse || s->h->role->by != FGW_BY_CLIENT) return (enum fgw_err)s->refuse;
    return fgw_msg_underscores(s->m, (enum fgw_underscores)s->h->lim->underscores);
}
