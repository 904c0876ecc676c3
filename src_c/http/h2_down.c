/* Bodies and their ends, in both roles: only submitted here; the pump lets nghttp2 speak. Heads are the role's. */
#include "http/h2_impl.h"

enum { COPY_MAX = 1024 };

static struct fgw_bufs *bufs(struct fgw_h2_stream *s) { return &s->h->env->loop->bufs; }

void fgw_h2_reset(struct fgw_h2_stream *s, uint32_t code)
{
    if (fgw_h2_mute(s)) return;
    s->ours = true;
    if (!s->id) return;                                /* nothing of it is known to the peer */
    nghttp2_submit_rst_stream(s->h->ng, NGHTTP2_FLAG_NONE, s->id, code);
    fgw_h2_allow_late(s->h);
    fgw_h2_later(s->h);
}

/* ---- bodies: nghttp2 asks how much, then for the bytes behind its frame header ---- */
static void submit_trailers(struct fgw_h2_stream *s, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(s->h->ng, s->id, (const nghttp2_nv *)(void *)s->trailers->data, s->ntrailers);
    fgw_block_unref(s->trailers);
    s->trailers = NULL;
}

ssize_t fgw_h2_read_body(nghttp2_session *ng, int32_t id, uint8_t *p, size_t n, uint32_t *flags, nghttp2_data_source *src, void *user)
{
    struct fgw_h2_stream *s = src->ptr;
    size_t k = s->out.bytes < n ? (size_t)s->out.bytes : n;
    (void)ng, (void)id, (void)p, (void)user;
    if (k == s->out.bytes && s->out_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailers) submit_trailers(s, flags);
        s->eof = true;
        fgw_h2_stir(s);
    } else if (!k) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)k;
}

int fgw_h2_send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *framehd, size_t n, nghttp2_data_source *src, void *user)
{
    struct fgw_h2_stream *s = src->ptr;
    struct fgw_conn *c = &s->h->conn;
    (void)ng, (void)f, (void)user;
    if (!fgw_conn_copy(c, framehd, 9)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    s->room += n, s->taken += n;
    s->out_ms = fgw_h2_now(s->h);
    while (n) {
        struct fgw_span sp = s->out.first->s;
        if (sp.len > n) sp.len = (uint32_t)n;
        if (!(sp.len <= COPY_MAX ? fgw_conn_copy(c, fgw_span_p(sp), sp.len) : fgw_conn_push(c, sp))) return NGHTTP2_ERR_CALLBACK_FAILURE;
        fgw_buf_consume(bufs(s), &s->out, sp.len);
        n -= sp.len;
    }
    fgw_h2_refund(s->h);
    fgw_h2_stir(s);
    return c->out.bytes < FGW_H2_OUT_HIGH ? 0 : NGHTTP2_ERR_PAUSE;      /* not WOULDBLOCK: the frame's head would wait in the buffer of all */
}

static bool queue(struct fgw_h2_stream *s, struct fgw_span b)
{
    if (!s->out.bytes) s->out_ms = s->out_since = fgw_h2_now(s->h), s->taken = 0;
    fgw_span_ref(b);
    if (fgw_buf_push(bufs(s), &s->out, b)) return true;
    fgw_span_drop(&b);
    fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
    return false;
}

/* ---- the side ---- */
void fgw_h2_send_body(struct fgw_side *side, struct fgw_span b)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (fgw_h2_mute(s) || s->out_end || !b.len) return;                         /* out_end: a body where none may be, the answer to HEAD */
    if (s->out_known && b.len > s->left) {
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    s->left -= s->out_known ? b.len : 0;
    if (!queue(s, b)) return;
    nghttp2_session_resume_data(s->h->ng, s->id);
    fgw_h2_later(s->h);
}

void fgw_h2_send_trailers(struct fgw_side *side, const struct fgw_out_field *f, uint32_t n)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    nghttp2_nv v[FGW_FIELDS_MAX];
    if (fgw_h2_mute(s) || s->out_end || s->trailers || n > FGW_FIELDS_MAX) return;
    size_t k = fgw_h2_fields(f, n, v), size = k * sizeof *v;
    for (size_t i = 0; i < k; i++) size += v[i].namelen + v[i].valuelen;
    if (!k || !(s->trailers = fgw_block_get(&s->h->env->loop->blocks, size))) return;
    nghttp2_nv *mine = (nghttp2_nv *)(void *)s->trailers->data;
    uint8_t *p = (uint8_t *)(mine + k);
    for (size_t i = 0; i < k; i++) {
        mine[i] = v[i];
        if (!(v[i].flags & NGHTTP2_NV_FLAG_NO_COPY_NAME)) mine[i].name = memcpy(p, v[i].name, v[i].namelen), p += v[i].namelen;
        mine[i].value = p;
        if (v[i].valuelen) memcpy(p, v[i].value, v[i].valuelen);
        p += v[i].valuelen;
    }
    s->ntrailers = (uint32_t)k;
}

void fgw_h2_finish(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (fgw_h2_mute(s) || s->out_end) return;
    s->out_end = true;
    if (s->out_known && s->left) {                     /* shorter than promised */
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    nghttp2_session_resume_data(s->h->ng, s->id);
    fgw_h2_later(s->h);
}

void fgw_h2_credit(struct fgw_side *side, uint64_t n)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (n > s->held) n = s->held;
    s->held -= n;
    if (fgw_h2_mute(s) || !n) return;
    if (!s->held) s->read_ms = fgw_h2_now(s->h);
    nghttp2_session_consume_stream(s->h->ng, s->id, (size_t)n);
    fgw_h2_later(s->h);
}

/* The window stays shut, so the peer soon stops; with the end of our message it is told (h2_conn.c). */
void fgw_h2_stop_reading(struct fgw_side *side, enum fgw_err why)
{
    (void)why;
    fgw_h2_stream_of(side)->discard = true;
}
