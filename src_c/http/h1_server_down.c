/* What the user of a server side asks for: only queued here, sent at settle. */
#include "http/h1_server_impl.h"

static struct fgw_h1_server *of(struct fgw_side *side) { return fgw_container(side, struct fgw_h1_server, side); }

static bool may_keep(const struct fgw_h1_server *s, const struct fgw_out *o)
{
    if (!s->keep || o->close || s->draining || (s->expect && s->in == IN_BODY)) return false;
    if (s->lim->requests_max && s->requests >= s->lim->requests_max) return false;
    return !s->lim->connection_ms || server_now(s) - s->born_ms < s->lim->connection_ms;
}

static void send_info(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h1_server *s = of(side);
    if (s->failing || s->minor == 0 || s->out != OUT_WAIT) return;   /* 1.0 has no 1xx (RFC 9110 section 15.2) */
    if (o->status == 100 && s->expect) {
        s->expect = false, s->body_ms = server_now(s);
        server_read_timer(s, s->lim->body_idle_ms);
    }
    char hop[1] = "";
    fgw_h1_send_reply(&s->conn, o, fgw_str(hop, 0));
}

static void send_head(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h1_server *s = of(side);
    char hop[FGW_H1_HOP_MAX + 64 + FGW_WS_LINE];
    if (s->failing || s->out != OUT_WAIT) return;
    bool tunnel = o->status == 101;
    s->keep = !tunnel && may_keep(s, o);
    bool bodyless = s->head_request || o->no_body || o->status == 204 || o->status == 304;
    uint32_t n = fgw_h1_reply_framing(&s->w, o, bodyless, s->minor > 0, hop);
    if (s->w.framing == FGW_BODY_CLOSE) s->keep = false;
    n += fgw_h1_connection(o, tunnel, s->keep, s->minor, hop + n);
    if (fgw_unlikely(tunnel) && s->key_came) n += fgw_ws_agree(o, s->key, hop + n);
    s->out = OUT_BODY;
    if (!fgw_h1_send_reply(&s->conn, o, fgw_str(hop, n))) fgw_conn_kill(&s->conn);
}

static void send_body(struct fgw_side *side, struct fgw_span bytes)
{
    struct fgw_h1_server *s = of(side);
    if (s->failing || s->out == OUT_DONE || s->out == OUT_SHUT) return;
    if (!fgw_h1_writer_body(&s->w, &s->conn, bytes)) fgw_conn_kill(&s->conn);
}

static void send_trailers(struct fgw_side *side, const struct fgw_out_field *f, uint32_t n)
{
    struct fgw_h1_server *s = of(side);
    if (!s->failing && s->out == OUT_BODY) fgw_h1_writer_trailers(&s->w, &s->conn, f, n);
}

static void finish(struct fgw_side *side)
{
    struct fgw_h1_server *s = of(side);
    if (s->failing) return;
    if (s->out == OUT_TUNNEL) s->out = OUT_SHUT, fgw_conn_shut(&s->conn);
    else if (s->out == OUT_BODY) {
        s->out = OUT_DONE;
        if (!fgw_h1_writer_end(&s->w, &s->conn)) s->keep = false, fgw_conn_cut(&s->conn);   /* shorter than promised */
    }
}

static void tunnel(struct fgw_side *side)
{
    struct fgw_h1_server *s = of(side);
    if (s->failing || s->in != IN_DONE) return;
    s->in = IN_TUNNEL, s->out = OUT_TUNNEL;
    s->w.framing = FGW_BODY_CLOSE;
    s->keep = false;
    fgw_conn_want_read(&s->conn, true);
    server_read_timer(s, 0);                           /* how long it may be silent is for those above to say */
    if (fgw_conn_in_len(&s->conn) || s->conn.eof) server_later(s);
}

static void credit(struct fgw_side *side, uint64_t n)
{
    struct fgw_h1_server *s = of(side);
    bool was = s->window == 0;
    s->window += n;
    if (!was || s->failing || (s->in != IN_BODY && s->in != IN_TUNNEL)) return;
    if (s->paused_ms) s->body_ms += server_now(s) - s->paused_ms, s->paused_ms = 0;   /* the wait was ours, not the client's */
    fgw_conn_want_read(&s->conn, true);
    if (fgw_conn_in_len(&s->conn) || s->conn.eof) server_later(s);
}

static void stop_reading(struct fgw_side *side, enum fgw_err why)
{
    struct fgw_h1_server *s = of(side);
    (void)why;
    if (s->failing || (s->in != IN_BODY && s->in != IN_TRAILERS)) return;
    s->discard = true;
    fgw_conn_want_read(&s->conn, true);
    if (fgw_conn_in_len(&s->conn)) server_later(s);
}

static void abort_(struct fgw_side *side, enum fgw_err why)
{
    struct fgw_h1_server *s = of(side);
    (void)why;
    if (s->failing) return;
    s->failing = true, s->keep = false;
    s->in = IN_LINGER;
    fgw_conn_cut(&s->conn);                            /* what was said is delivered; the message stays visibly unfinished */
}

static void release(struct fgw_side *side)
{
    struct fgw_h1_server *s = of(side);
    side->up = NULL;
    if (s->failing || s->in == IN_CLOSED) return;
    if (s->out == OUT_DONE) fgw_h1_server_reply_over(s);
    else abort_(side, FGW_E_CANCELLED);
}

static uint64_t taken(struct fgw_side *side) { return 1 + fgw_conn_acked(&of(side)->conn); }

const struct fgw_side_down fgw_h1_server_down = {"h1", send_info, send_head, send_body, send_trailers, finish, tunnel, credit, stop_reading, abort_, release, taken};
