/* Extended CONNECT (RFC 8441): a stream that asks to become a tunnel. To those above it is what HTTP/1.1 asks by Upgrade: a GET whose msg
 * names the protocol, complete at once; a 101 that agrees is 200 on the wire, and from then on DATA is the tunnel's.
 *
 *   asked ──101──► agreed ──tunnel()──► open        asked ──any other answer──► an answer like any other; then the stream is reset
 *
 * DATA that comes before it is open waits here, within the stream's window, and is dropped with a stream that was not agreed to. */
#include "http/h2_server_impl.h"

static struct fgw_bufs *bufs(struct fgw_h2_stream *s) { return &s->h->env->loop->bufs; }

enum fgw_err fgw_h2_connect_ask(struct fgw_h2_stream *s)
{
    struct fgw_msg *m = s->m;
    if (s->protocol == FGW_H2_PROTOCOL_OTHER) return FGW_E_BAD_PROTOCOL;
    if (m->head.known & (FGW_H_BIT(CONTENT_LENGTH) | FGW_H_BIT(EXPECT))) return FGW_E_BAD_FRAMING;     /* it has no content to speak of */
    enum fgw_err e = fgw_h2_head_field(s, FGW_STR("upgrade"), FGW_STR("websocket"));
    if (!e) e = fgw_h2_set_method(s, FGW_STR("GET"));
    for (uint16_t i = 0; i < m->head.nfields; i++)     /* HTTP/1.1's alone: a codec that needs them makes its own */
        if (m->fields[i].id == FGW_H_SEC_WEBSOCKET_KEY || m->fields[i].id == FGW_H_SEC_WEBSOCKET_ACCEPT) m->fields[i].flags |= FGW_FIELD_DROP;
    return e;
}

enum fgw_err fgw_h2_connect_agreed(struct fgw_h2_stream *s)
{
    struct fgw_msg *m = s->m;
    enum fgw_err e = m->head.known & FGW_H_BIT(UPGRADE) ? FGW_E_UPSTREAM_BAD : fgw_h2_head_field(s, FGW_STR("upgrade"), FGW_STR("websocket"));
    m->head.status = 101, m->upgrade = true;
    return e;
}

bool fgw_h2_tunnel_hold(struct fgw_h2_stream *s, struct fgw_span b)
{
    fgw_span_ref(b);
    if (fgw_buf_push(bufs(s), &s->early, b)) return true;
    fgw_span_drop(&b);
    return false;
}

/* From the pump, so that what came up before the tunnel was open cannot overtake it. */
void fgw_h2_tunnel_run(struct fgw_h2_stream *s)
{
    if (!s->tunnel) return;
    while (s->early.bytes && s->side.up) {
        struct fgw_span b = s->early.first->s;
        fgw_span_ref(b);
        fgw_buf_consume(bufs(s), &s->early, b.len);
        s->side.up->on_body(&s->side, b);
        fgw_span_drop(&b);
    }
    if (s->in_end && !s->in_told && s->side.up) {
        s->in_told = true;
        s->side.up->on_end(&s->side);
    }
}

/* ---- downward ---- */
void fgw_h2_tunnel(struct fgw_side *side)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    s->tunnel = s->connect;
    if (!s->tunnel) fgw_h2_reset(s, NGHTTP2_INTERNAL_ERROR);             /* none was asked for */
    else if (s->early.bytes || s->in_end) fgw_h2_stir(s), fgw_h2_later(s->h);
}

void fgw_h2_abort(struct fgw_side *side, enum fgw_err why)
{
    struct fgw_h2_stream *s = fgw_h2_stream_of(side);
    fgw_h2_reset(s, s->tunnel ? NGHTTP2_CANCEL : fgw_h2_code(why));      /* RFC 8441 section 5: what TCP says by RST */
}
