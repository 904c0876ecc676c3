/* What is sent to clients: heads, interim answers, the codec's own answers. */
#include "http/h2_server_impl.h"
#include "base/num.h"
#include "http/grpc.h"
#include "http/problem.h"

enum { PSEUDO_MAX = 4 };

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

static void send_info(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (fgw_h2_mute(s) || s->out_head || o->status == 101) return;              /* section 8.6: there is no 101 */
    if (o->status == 100 && s->expect) s->expect = false, s->read_ms = s->body_ms = fgw_h2_now(s->h);
    put(s, o, true, false);
}

static void send_head(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (fgw_h2_mute(s) || s->out_head) return;
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

static uint64_t taken(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    nghttp2_session *ng = s->h->ng;
    if (fgw_h2_mute(s) || nghttp2_session_get_stream_remote_window_size(ng, s->id) <= 0 || nghttp2_session_get_remote_window_size(ng) <= 0) return 0;
    return 1 + fgw_conn_acked(&s->h->conn);
}

const struct fgw_side_down fgw_h2_server_down = {
    "h2", send_info, send_head, fgw_h2_send_body, fgw_h2_send_trailers, fgw_h2_finish, fgw_h2_tunnel, fgw_h2_credit, fgw_h2_stop_reading, fgw_h2_abort, release, taken};

/* ---- the codec's own answers ---- */
static void answer_call(struct fgw_h2_stream *s, enum fgw_err why, int status)
{
    struct fgw_out_field f[FGW_GRPC_FIELDS];
    const char *text = fgw_err_text(why);
    struct fgw_out o = {.fields = f, .nfields = fgw_grpc_fields(fgw_grpc_of(why, status), fgw_str(text, strlen(text)), f), .status = 200};
    send_head(&s->side, &o);
    fgw_h2_finish(&s->side);
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
    fgw_h2_send_body(&s->side, (struct fgw_span){b, 0, n});
    fgw_block_unref(b);
    fgw_h2_finish(&s->side);
}

void fgw_h2_refuse(struct fgw_h2_stream *s, enum fgw_err why)
{
    struct fgw_demux *d = &fgw_h2_server_of(s->h)->demux;
    int status = fgw_err_status(why);
    bool begun = s->out_head;
    if (s->side.up) fgw_h2_abort_up(s, fgw_fail(why, FGW_BY_CLIENT));
    else d->user->refused(d, s->m, why);
    s->discard = s->released = true;
    if (s->closed) return;
    if (begun || !status || why == FGW_E_BAD_REQUEST) fgw_h2_reset(s, fgw_h2_code(why));
    else if (!s->ours) answer(s, why, status);
}
