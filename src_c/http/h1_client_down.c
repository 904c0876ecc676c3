/* What the user of a client side and the pool ask for: only queued here, sent at settle. */
#include "http/h1_client_impl.h"

static struct fgw_h1_client *of(struct fgw_side *side) { return fgw_container(side, struct fgw_h1_client, side); }
static struct fgw_h1_client *of_mux(struct fgw_mux *m) { return fgw_container(m, struct fgw_h1_client, mux); }

/* ---- downward: the side ---- */
static void send_info(struct fgw_side *side, const struct fgw_out *o) { (void)side, (void)o; }   /* requests have none */

static void send_head(struct fgw_side *side, const struct fgw_out *o)
{
    struct fgw_h1_client *c = of(side);
    char hop[FGW_H1_HOP_MAX + 64 + FGW_WS_LINE];
    if (c->state != S_BUSY || c->out != OUT_WAIT) return;
    c->head_request = fgw_str_eq(o->method, FGW_STR("HEAD"));
    c->upgrade_asked = o->upgrade.n > 0 && o->upgrade.n <= FGW_H1_UPGRADE_MAX;
    uint32_t n = fgw_h1_request_framing(&c->w, o, hop);
    n += fgw_h1_connection(o, c->upgrade_asked, true, 1, hop + n);
    if (o->trailers) memcpy(hop + n, "TE: trailers\r\n", 14), n += 14;
    int key = fgw_unlikely(c->upgrade_asked) ? fgw_ws_ask(o, hop + n, c->accept) : 0;
    c->key_ours = key > 0;
    c->out = OUT_BODY;
    if (key < 0 || !fgw_h1_send_request(&c->conn, o, fgw_str(hop, n + (uint32_t)key))) fgw_conn_kill(&c->conn);
}

static void send_body(struct fgw_side *side, struct fgw_span bytes)
{
    struct fgw_h1_client *c = of(side);
    if (c->state != S_BUSY || (c->out != OUT_BODY && c->out != OUT_TUNNEL)) return;
    if (!fgw_h1_writer_body(&c->w, &c->conn, bytes)) fgw_conn_kill(&c->conn);
}

static void send_trailers(struct fgw_side *side, const struct fgw_out_field *f, uint32_t n)
{
    struct fgw_h1_client *c = of(side);
    if (c->state == S_BUSY && c->out == OUT_BODY) fgw_h1_writer_trailers(&c->w, &c->conn, f, n);
}

static void finish(struct fgw_side *side)
{
    struct fgw_h1_client *c = of(side);
    if (c->state != S_BUSY) return;
    if (c->out == OUT_TUNNEL) c->out = OUT_SHUT, fgw_conn_shut(&c->conn);
    else if (c->out == OUT_BODY) {
        c->out = OUT_DONE;
        if (!fgw_h1_writer_end(&c->w, &c->conn)) fgw_conn_kill(&c->conn);
    }
}

static void tunnel(struct fgw_side *side)
{
    struct fgw_h1_client *c = of(side);
    if (c->state != S_BUSY || c->in == IN_DONE) return;
    c->out = OUT_TUNNEL;
    c->w.framing = FGW_BODY_CLOSE;
    if (fgw_conn_in_len(&c->conn) || c->conn.eof) client_later(c);
}

static void credit(struct fgw_side *side, uint64_t n)
{
    struct fgw_h1_client *c = of(side);
    bool was = c->window == 0;
    c->window += n;
    if (!was || c->state != S_BUSY) return;
    fgw_conn_want_read(&c->conn, true);
    if (fgw_conn_in_len(&c->conn) || c->conn.eof) client_later(c);
}

static void abort_(struct fgw_side *side, enum fgw_err why)
{
    struct fgw_h1_client *c = of(side);
    (void)why;
    c->keep = false;
    if (c->state == S_BUSY) fgw_conn_kill(&c->conn);
}

static void stop_reading(struct fgw_side *side, enum fgw_err why) { abort_(side, why); }

static void release(struct fgw_side *side)
{
    struct fgw_h1_client *c = of(side);
    side->up = NULL;
    if (c->state != S_BUSY) return;
    if (c->in == IN_DONE && c->out == OUT_DONE && c->keep) fgw_job_add(&c->env->loop->ready, &c->freed);
    else if (c->in == IN_DONE && c->out == OUT_SHUT) fgw_conn_finish(&c->conn);          /* a tunnel's last bytes may still wait here */
    else abort_(side, FGW_E_CANCELLED);
}

const struct fgw_side_down fgw_h1_client_down = {"h1", send_info, send_head, send_body, send_trailers, finish, tunnel, credit, stop_reading, abort_, release, NULL};

/* ---- downward: the mux ---- */
static struct fgw_side *mux_open(struct fgw_mux *m)
{
    struct fgw_h1_client *c = of_mux(m);
    FGW_CHECK(c->state == S_IDLE && m->used < m->max);
    m->used = 1;
    c->state = S_BUSY;
    c->in = IN_WAIT, c->out = OUT_WAIT, c->infos = 0;
    c->keep = false;
    c->mark = c->conn.sent;
    c->window = c->lim->window;
    c->requests++;
    c->side = (struct fgw_side){.down = &fgw_h1_client_down, .minor = 1, .h = 1};
    return &c->side;
}

static void mux_close(struct fgw_mux *m)
{
    struct fgw_h1_client *c = of_mux(m);
    m->no_more = true;
    c->closing = true;
    if (c->state != S_BUSY && c->state != S_GONE) fgw_conn_kill(&c->conn);
}

const struct fgw_mux_ops fgw_h1_client_mux = {mux_open, mux_close};
