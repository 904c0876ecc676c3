/* What the user of a stream's side asks for: only submitted here; the pump lets nghttp2 speak. */
#include "http/h2_impl.h"
#include "base/num.h"
#include "http/problem.h"

enum { COPY_MAX = 1024, PSEUDO_MAX = 4 };

static struct fgw_bufs *bufs(struct fgw_h2_stream *s) { return &s->h->env->loop->bufs; }

void fgw_h2_reset(struct fgw_h2_stream *s, uint32_t code)
{
    if (s->closed || s->ours) return;
    s->ours = true;
    nghttp2_submit_rst_stream(s->h->ng, NGHTTP2_FLAG_NONE, s->id, code);
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
    if (c->out.bytes >= FGW_H2_OUT_HIGH) return NGHTTP2_ERR_WOULDBLOCK;
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
    return 0;
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

/* ---- heads ---- */
static void put(struct fgw_h2_stream *s, const struct fgw_out *o, bool info, bool body)
{
    nghttp2_nv v[FGW_FIELDS_MAX * 2 + PSEUDO_MAX];
    uint16_t said = o->status == 101 ? 200 : o->status;                  /* RFC 8441 section 5: that is how CONNECT is agreed to */
    const char status[3] = {(char)('0' + said / 100 % 10), (char)('0' + said / 10 % 10), (char)('0' + said % 10)};
    char length[24];
    size_t n = 0;
    if (o->nfields > FGW_FIELDS_MAX * 2) {
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    v[n++] = fgw_h2_nv(FGW_STR(":status"), fgw_str(status, 3));
    if (o->len == FGW_LEN_KNOWN && !info && o->status != 204) v[n++] = fgw_h2_nv(FGW_STR("content-length"), fgw_str(length, fgw_u64_dec(length, o->length)));
    n += fgw_h2_fields(o->fields, o->nfields, v + n);
    nghttp2_data_provider prd = {.source.ptr = s, .read_callback = fgw_h2_read_body};
    int r = info ? nghttp2_submit_headers(s->h->ng, NGHTTP2_FLAG_NONE, s->id, NULL, v, n, NULL)
                 : nghttp2_submit_response(s->h->ng, s->id, v, n, body ? &prd : NULL);
    if (r) fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
    fgw_h2_later(s->h);
}

static bool mute(const struct fgw_h2_stream *s) { return s->closed || s->ours; }

static void send_info(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (mute(s) || s->out_head || o->status == 101) return;              /* section 8.6: there is no 101 */
    if (o->status == 100 && s->expect) s->expect = false, s->read_ms = s->body_ms = fgw_h2_now(s->h);
    put(s, o, true, false);
}

static void send_head(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (mute(s) || s->out_head) return;
    bool agreed = o->status == 101;
    if (agreed && !s->connect) {                       /* section 8.6: there is no 101 */
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    bool body = agreed || !(s->head_request || o->no_body || o->len == FGW_LEN_NONE || (o->len == FGW_LEN_KNOWN && !o->length) || o->status == 204 || o->status == 304);
    s->out_head = true;
    s->out_known = body && o->len == FGW_LEN_KNOWN, s->left = o->length;
    if (!body) s->out_end = s->eof = true, fgw_h2_stir(s);
    put(s, o, false, body);
}

static void send_body(struct fgw_side *side, struct fgw_span b)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (mute(s) || s->out_end || !b.len) return;                         /* out_end: a body where none may be, the answer to HEAD */
    if (s->out_known && b.len > s->left) {
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    s->left -= s->out_known ? b.len : 0;
    if (!queue(s, b)) return;
    nghttp2_session_resume_data(s->h->ng, s->id);
    fgw_h2_later(s->h);
}

static void send_trailers(struct fgw_side *side, const struct fgw_out_field *f, uint32_t n)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    nghttp2_nv v[FGW_FIELDS_MAX];
    if (mute(s) || s->out_end || s->trailers || n > FGW_FIELDS_MAX) return;
    size_t k = fgw_h2_fields(f, n, v), size = k * sizeof *v;
    for (size_t i = 0; i < k; i++) size += v[i].namelen + v[i].valuelen;
    if (!k || !(s->trailers = fgw_block_get(&s->h->env->loop->blocks, size))) return;
    nghttp2_nv *mine = (nghttp2_nv *)(void *)s->trailers->data;
    uint8_t *p = (uint8_t *)(mine + k);
    for (size_t i = 0; i < k; i++) {
        mine[i] = v[i];
        mine[i].name = memcpy(p, v[i].name, v[i].namelen), p += v[i].namelen;
        mine[i].value = p;
        if (v[i].valuelen) memcpy(p, v[i].value, v[i].valuelen);
        p += v[i].valuelen;
    }
    s->ntrailers = (uint32_t)k;
}

static void finish(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (mute(s) || s->out_end) return;
    s->out_end = true;
    if (s->out_known && s->left) {                     /* shorter than promised */
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    nghttp2_session_resume_data(s->h->ng, s->id);
    fgw_h2_later(s->h);
}

static void tunnel(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    s->tunnel = s->connect;
    if (!s->tunnel) fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);             /* none was asked for */
    else if (s->early.bytes || s->in_end) fgw_h2_stir(s), fgw_h2_later(s->h);
}

static void credit(struct fgw_side *side, uint64_t n)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (n > s->held) n = s->held;
    s->held -= n;
    if (mute(s) || !n) return;
    if (!s->held) s->read_ms = fgw_h2_now(s->h);
    nghttp2_session_consume_stream(s->h->ng, s->id, (size_t)n);
    fgw_h2_later(s->h);
}

/* The window stays shut, so the peer soon stops; with the end of the answer it is told (stirred: h2_server.c). */
static void stop_reading(struct fgw_side *side, enum fgw_err why)
{
    (void)why;
    fgw_h2_stream_of(side)->discard = true;
}

static void abort_(struct fgw_side *side, enum fgw_err why)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    fgw_h2_reset(s, s->tunnel ? NGHTTP2_CANCEL : fgw_h2_code(why));      /* RFC 8441 section 5: what TCP says by RST */
}

static void release(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    side->up = NULL;
    s->released = true;
    if (s->aborted) return;
    if (s->closed) fgw_h2_stream_free(s);
    else if (!s->out_end) fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
    else if (s->eof) fgw_h2_stir(s), fgw_h2_later(s->h);
}

const struct fgw_side_down fgw_h2_server_down = {"h2", send_info, send_head, send_body, send_trailers, finish, tunnel, credit, stop_reading, abort_, release};

/* ---- the codec's own answers ---- */
static void answer_call(struct fgw_h2_stream *s, enum fgw_err why, int status)
{
    struct fgw_out_field f[FGW_GRPC_FIELDS];
    const char *text = fgw_err_text(why);
    struct fgw_out o = {.fields = f, .nfields = fgw_grpc_fields(fgw_grpc_of(why, status), fgw_str(text, strlen(text)), f), .status = 200};
    send_head(&s->side, &o);
    finish(&s->side);
}

static void answer(struct fgw_h2_stream *s, enum fgw_err why, int status)
{
    if (s->grpc) {
        answer_call(s, why, status);
        return;
    }
    char text[FGW_PROBLEM_MAX];
    uint32_t n = fgw_problem_write(why, status, text);
    const struct fgw_out_field f[] = {
        {"date", fgw_clock_date(&s->h->env->loop->clock), 29, 4, FGW_H_DATE, 0},
        {"content-type", "application/problem+json", 24, 12, FGW_H_CONTENT_TYPE, 0}};
    struct fgw_block *b = fgw_block_get(&s->h->env->loop->blocks, n);
    if (!b) {
        fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    memcpy(b->data, text, n);
    struct fgw_out o = {.fields = f, .nfields = 2, .status = (uint16_t)status, .len = FGW_LEN_KNOWN, .length = n};
    send_head(&s->side, &o);
    send_body(&s->side, (struct fgw_span){b, 0, n});
    fgw_block_unref(b);
    finish(&s->side);
}

void fgw_h2_refuse(struct fgw_h2_stream *s, enum fgw_err why)
{
    int status = fgw_err_status(why);
    bool begun = s->out_head;
    if (s->side.up) fgw_h2_abort_up(s, fgw_fail(why, FGW_BY_CLIENT));
    else s->h->demux.user->refused(&s->h->demux, s->m, why);
    s->discard = s->released = true;
    if (s->closed) return;
    if (begun || !status || why == FGW_E_BAD_REQUEST) fgw_h2_reset(s, fgw_h2_code(why));
    else if (!s->ours) answer(s, why, status);
}
