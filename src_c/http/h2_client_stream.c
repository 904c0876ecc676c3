/* One request to an upstream and its answer, as a stream. */
#include "http/h2_client_impl.h"
#include "http/h2_tunnel.h"
#include "base/num.h"
#include "http/websocket.h"

enum { PSEUDO_MAX = 7, INFO_MAX = 32,                  /* with content-length and te; interim answers to one request */
       SILENT_MS = 1000 };

/* ---- answers ---- */
enum fgw_err fgw_h2_reply_pseudo(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str v)
{
    unsigned status = 0;
    if (!fgw_str_eq(name, FGW_STR(":status")) || v.n != 3) return FGW_E_UPSTREAM_BAD;
    for (uint32_t i = 0; i < 3; i++) status = status * 10 + (unsigned)(v.p[i] - '0');      /* nghttp2 has seen that they are digits */
    s->m->head.status = (uint16_t)status;
    return status < 100 || status > 999 ? FGW_E_UPSTREAM_BAD : FGW_E_NONE;
}

static void info(struct fgw_h2_stream *s, struct fgw_msg *m)
{
    bool too_many = ++s->infos > INFO_MAX;
    if (!too_many && s->side.up) s->side.up->on_info(&s->side, m);
    fgw_msg_put(m);
    if (too_many) fgw_h2_client_bad(s, FGW_E_UPSTREAM_BAD);
}

void fgw_h2_reply_head(struct fgw_h2_stream *s, bool end)
{
    struct fgw_msg *m = s->m;
    uint16_t status = m->head.status;
    bool agreed = s->connect && status / 100 == 2;
    enum fgw_err e = s->refuse ? (enum fgw_err)s->refuse : agreed ? fgw_h2_connect_agreed(s) : FGW_E_NONE;
    if (!e) e = fgw_msg_connection(m, false);
    s->m = NULL;
    if (e || !s->side.up) {
        fgw_msg_put(m);
        if (e) fgw_h2_client_bad(s, e);
        return;
    }
    m->head.len = s->fill;
    m->keep_alive = true, m->upgrade = agreed;
    if (status < 200) {
        info(s, m);
        return;
    }
    if (s->connect && !agreed) s->connect = false, fgw_h2_finish(&s->side);          /* an answer like any other: nothing will follow the request */
    fgw_h2_head_length(m);
    if (agreed || s->head_request || status == 204 || status == 304) m->len = FGW_LEN_NONE, m->length = 0;
    else if (end) m->len = FGW_LEN_KNOWN, m->length = 0;
    s->head_done = true;
    s->body_ms = s->read_ms = fgw_h2_now(s->h);
    s->side.up->on_head(&s->side, m);
    if (agreed && s->side.up) s->side.up->on_tunnel(&s->side);
    if (end) fgw_h2_in_end(s);
}

/* ---- failures ---- */
static enum fgw_err word(enum fgw_err why)
{
    switch (why) {
    case FGW_E_HEAD_TOO_LONG: case FGW_E_FIELD_TOO_LONG: case FGW_E_TOO_MANY_FIELDS: return FGW_E_UPSTREAM_HEAD_LONG;
    case FGW_E_UPSTREAM_IDLE: case FGW_E_UPSTREAM_SEND: case FGW_E_NO_MEMORY: case FGW_E_INTERNAL: case FGW_E_NO_UPGRADE: return why;
    default: return FGW_E_UPSTREAM_BAD;
    }
}

void fgw_h2_client_bad(struct fgw_h2_stream *s, enum fgw_err why)
{
    why = word(why);
    bool own = why == FGW_E_NO_MEMORY || why == FGW_E_INTERNAL || why == FGW_E_NO_UPGRADE;
    if (s->id) fgw_h2_reset(s, why == FGW_E_UPSTREAM_BAD ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_CANCEL);
    fgw_h2_abort_up(s, fgw_fail(why, own ? FGW_BY_GATEWAY : FGW_BY_UPSTREAM));
    if (s->id) return;
    s->closed = true;
    fgw_h2_stream_free(s);
}

/* All that the peer had to say has come; of a tunnel also all that it had to hear. */
static bool whole(const struct fgw_h2_stream *s) { return s->in_end && (!s->tunnel || s->eof); }

struct fgw_fail fgw_h2_client_lost(struct fgw_h2_stream *s, struct fgw_fail why)
{
    bool processed = s->h->conn.sent > s->mark, began = s->head_done || s->infos || s->m;
    fgw_h2_client_of(s->h)->mux.no_more = true;        /* before anybody who is told asks again */
    if (whole(s)) return (struct fgw_fail){0};
    if (!why.code) why = fgw_fail(FGW_E_INTERNAL, FGW_BY_GATEWAY);
    if (s->head_done && (why.code == FGW_E_UPSTREAM_CLOSED || why.code == FGW_E_UPSTREAM_RESET)) why.code = FGW_E_UPSTREAM_TRUNCATED;
    why.retry_safe = !processed, why.heard = processed && began;
    return why;
}

/* Section 8.7: REFUSED_STREAM, and a GOAWAY below our id, which nghttp2 tells as that: nothing was done. Else the one who resets has heard us. */
static struct fgw_fail why_closed(const struct fgw_h2_stream *s, uint32_t code)
{
    bool fresh = s->mark == UINT64_MAX, began = s->head_done || s->infos;
    struct fgw_fail why = fgw_fail(s->theirs ? FGW_E_UPSTREAM_REFUSED : FGW_E_UPSTREAM_GOAWAY, FGW_BY_UPSTREAM);
    why.retry_safe = true;
    if (s->ours) return fgw_fail(FGW_E_CANCELLED, FGW_BY_GATEWAY);
    if (fresh || (code == NGHTTP2_REFUSED_STREAM && !began)) return why;
    why = fgw_fail(!s->theirs ? FGW_E_UPSTREAM_BAD : s->head_done ? FGW_E_UPSTREAM_TRUNCATED : FGW_E_UPSTREAM_RESET, FGW_BY_UPSTREAM);
    why.heard = true;
    return why;
}

int fgw_h2_client_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
    if (!s) return 0;
    bool theirs = code && !s->ours;
    fgw_h2_unbind(s);
    s->closed = true;
    if (!s->released && whole(s)) return 0;            /* its user lets go when it likes */
    if (!s->released) fgw_h2_abort_up(s, why_closed(s, code));
    fgw_h2_later(h);
    fgw_h2_stream_free(s);
    return theirs ? fgw_h2_wasted(h) : 0;
}

/* ---- downward ---- */
static void send_info(struct fgw_side *side, const struct fgw_out *o) { (void)side, (void)o; }   /* requests have none */

static void fail(struct fgw_h2_stream *s, enum fgw_err why)              /* told with the next output: this is a downward call */
{
    s->failed = (uint8_t)why;
    fgw_h2_stir(s);
    fgw_h2_later(s->h);
}

static nghttp2_nv pseudo(struct fgw_str name, struct fgw_str value, bool never)
{
    nghttp2_nv v = fgw_h2_nv(name, value);
    if (never) v.flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    return v;
}

static size_t head_fields(const struct fgw_h2_stream *s, const struct fgw_out *o, char length[24], nghttp2_nv *v)
{
    size_t n = 0;
    v[n++] = pseudo(FGW_STR(":method"), s->connect ? FGW_STR("CONNECT") : o->method, o->never & FGW_NEVER_METHOD);
    if (s->connect) v[n++] = fgw_h2_nv(FGW_STR(":protocol"), FGW_STR("websocket"));
    v[n++] = fgw_h2_nv(FGW_STR(":scheme"), fgw_h2_client_of(s->h)->secure ? FGW_STR("https") : FGW_STR("http"));
    v[n++] = pseudo(FGW_STR(":path"), o->target, o->never & FGW_NEVER_PATH);
    if (o->authority.n) v[n++] = pseudo(FGW_STR(":authority"), o->authority, o->never & FGW_NEVER_AUTHORITY);
    if (o->len == FGW_LEN_KNOWN && !s->connect) v[n++] = fgw_h2_nv(FGW_STR("content-length"), fgw_str(length, fgw_u64_dec(length, o->length)));
    if (o->trailers) v[n++] = fgw_h2_nv(FGW_STR("te"), FGW_STR("trailers"));
    return n + fgw_h2_fields(o->fields, o->nfields, v + n);
}

static void send_head(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    nghttp2_nv v[FGW_FIELDS_MAX * 2 + PSEUDO_MAX];
    char length[24];
    if (fgw_h2_mute(s) || s->out_head) return;
    bool websocket = fgw_ws_is(o->upgrade);
    s->connect = websocket && nghttp2_session_get_remote_settings(s->h->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
    bool body = s->connect || o->len == FGW_LEN_UNKNOWN || (o->len == FGW_LEN_KNOWN && o->length);
    s->out_head = true;
    s->body_ms = fgw_h2_now(s->h);                     /* until the head has come: since when it is waited for */
    s->head_request = fgw_str_eq(o->method, FGW_STR("HEAD"));
    s->out_known = body && o->len == FGW_LEN_KNOWN && !s->connect, s->left = o->length;
    if (!body) s->out_end = s->eof = true;
    if (websocket && !s->connect) {                    /* another Upgrade may be ignored (RFC 9110 section 7.8): it is only an offer */
        fail(s, FGW_E_NO_UPGRADE);
        return;
    }
    if (o->nfields > FGW_FIELDS_MAX * 2) {
        fail(s, FGW_E_INTERNAL);
        return;
    }
    nghttp2_data_provider prd = {.source.ptr = s, .read_callback = fgw_h2_read_body};
    int32_t id = nghttp2_submit_request(s->h->ng, NULL, v, head_fields(s, o, length, v), body ? &prd : NULL, s);
    if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) fgw_h2_client_of(s->h)->mux.no_more = true;
    if (id < 0) fail(s, id == NGHTTP2_ERR_NOMEM ? FGW_E_NO_MEMORY : FGW_E_INTERNAL);
    else s->id = id;
    fgw_h2_later(s->h);
}

/* The end of a request that asks for a tunnel is not that of its stream. */
static void finish(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    if (!s->connect || s->tunnel) fgw_h2_finish(side);
}

/* Given up after a while in which its connection said nothing at all: is it dead? Its kernel would not tell for a quarter of an hour. */
static bool silent(const struct fgw_h2_stream *s)
{
    uint64_t now = fgw_h2_now(s->h), heard = fgw_h2_client_of(s->h)->heard_ms;
    return !s->head_done && s->mark != UINT64_MAX && now - (heard > s->body_ms ? heard : s->body_ms) >= SILENT_MS;
}

static void release(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    side->up = NULL;
    s->released = true;
    if (s->aborted) return;
    if (s->closed || !s->id) {
        s->closed = true;
        fgw_h2_stream_free(s);
    } else if (!s->in_end || !s->out_end || (s->out.bytes && !s->tunnel)) {
        if (silent(s)) fgw_h2_client_doubt(fgw_h2_client_of(s->h));
        fgw_h2_reset(s, NGHTTP2_CANCEL);
    }
}

const struct fgw_side_down fgw_h2_client_down = {
    "h2", send_info, send_head, fgw_h2_send_body, fgw_h2_send_trailers, finish, fgw_h2_tunnel, fgw_h2_credit, fgw_h2_stop_reading, fgw_h2_abort, release, NULL};

struct fgw_h2_stream *fgw_h2_client_open(struct fgw_h2_client *c)
{
    struct fgw_h2_stream *s = c->spare;
    *s = (struct fgw_h2_stream){.h = &c->h, .mark = UINT64_MAX, .side = {.down = &fgw_h2_client_down, .minor = 1, .h = 2}};
    fgw_h2_stream_add(&c->h, s);
    return s;
}
