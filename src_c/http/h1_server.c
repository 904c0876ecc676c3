/* The side that faces clients. States: see h1.h. */
#include "http/h1_server_impl.h"
#include <errno.h>
#include "http/problem.h"
#include "http/target.h"

enum { BURST = 32, DISCARD_MAX = 256 << 10, RATE_GRACE_MS = 10000, PIPELINE_MAX = 64 << 10,
       LAST_MS = 200, FRESH_MS = 2000 };    /* in a drain; a client's first packet that was lost comes again within the latter */

static const struct fgw_conn_user conn_user;
static const struct fgw_demux_ops demux_ops;
static void input(struct fgw_h1_server *s);

/* ---- ends ---- */
static void free_server(struct fgw_job *j)
{
    struct fgw_h1_server *s = fgw_container(j, struct fgw_h1_server, dead);
    fgw_slab_put(&s->env->servers, s);
}

/* The connection is over: tell whoever is bound, then the owner; memory goes at settle. Only from up-call context. */
static void over(struct fgw_h1_server *s, struct fgw_fail why)
{
    if (s->in == IN_CLOSED) return;
    s->in = IN_CLOSED;
    fgw_conn_close(&s->conn, false);
    if (s->side.up) {
        const struct fgw_side_up *up = s->side.up;
        up->on_abort(&s->side, why, true);
        s->side.up = NULL;
    }
    fgw_msg_put(s->msg), s->msg = NULL;
    fgw_timer_cancel(&s->env->loop->wheel, &s->read_timer);
    fgw_timer_cancel(&s->env->loop->wheel, &s->write_timer);
    fgw_link_remove(&s->ready.link);
    s->demux.user->gone(&s->demux);
    fgw_job_add(&s->env->loop->dead, &s->dead);
}

static void gone(struct fgw_h1_server *s) { over(s, fgw_fail(FGW_E_CLIENT_GONE, FGW_BY_CLIENT)); }

/* The last answer is queued. Unread input would turn close(2) into a reset that can overtake it, so read on for a while. */
void fgw_h1_server_linger(struct fgw_h1_server *s)
{
    s->draining = true;
    if (s->conn.eof || (s->in == IN_DONE && !fgw_conn_in_len(&s->conn) && !s->failing)) {
        s->in = IN_LINGER;
        fgw_conn_finish(&s->conn);
        return;
    }
    s->in = IN_LINGER;
    s->discarded = 0;
    fgw_conn_shut(&s->conn);
    fgw_conn_want_read(&s->conn, true);
    server_read_timer(s, s->lim->linger_ms ? s->lim->linger_ms : 1);
    if (fgw_conn_in_len(&s->conn)) server_later(s);
}

static void idle(struct fgw_h1_server *s)
{
    s->in = IN_IDLE, s->out = OUT_WAIT;
    s->discard = s->expect = s->failing = false;
    s->probes = 0;
    if (s->conn.eof && !fgw_conn_in_len(&s->conn)) {
        fgw_conn_finish(&s->conn);
        s->in = IN_LINGER;
        return;
    }
    server_read_timer(s, s->lim->keepalive_ms);
    fgw_conn_want_read(&s->conn, fgw_conn_in_len(&s->conn) < PIPELINE_MAX);
    if (fgw_conn_in_len(&s->conn)) server_later(s);
}

/* The reply is complete and nobody is bound: what becomes of the connection. Only queues. */
void fgw_h1_server_reply_over(struct fgw_h1_server *s)
{
    if (!s->keep || s->draining) fgw_h1_server_linger(s);
    else if (s->in == IN_DONE) idle(s);
    else {                                             /* an early answer: take in the rest of the body, within bounds */
        s->discard = true, s->discarded = 0;
        fgw_conn_want_read(&s->conn, true);
        server_read_timer(s, s->lim->linger_ms ? s->lim->linger_ms : 1);
        if (fgw_conn_in_len(&s->conn)) server_later(s);
    }
}

/* The codec's own answer to what never became a request, or stopped being one. */
static void refuse(struct fgw_h1_server *s, enum fgw_err why)
{
    int status = fgw_err_status(why);
    struct fgw_fail f = fgw_fail(why, FGW_BY_CLIENT);
    s->failing = true;
    s->keep = false;
    if (s->side.up) {
        s->side.up->on_abort(&s->side, f, true);
        s->side.up = NULL;
    } else s->demux.user->refused(&s->demux, s->msg, why);
    if (s->out != OUT_WAIT || !status) {               /* a reply has begun: only an unfinished message tells the truth */
        if (s->out == OUT_WAIT) fgw_conn_finish(&s->conn);
        else if (s->out == OUT_BODY) fgw_conn_cut(&s->conn);
        s->in = IN_LINGER;
        return;
    }
    char body[FGW_PROBLEM_MAX], head[FGW_PROBLEM_MAX];
    uint32_t n = fgw_problem_write(why, status, body);
    struct fgw_str reason = fgw_reason(status);
    int h = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %.*s\r\ndate: %s\r\ncontent-type: application/problem+json\r\ncontent-length: %u\r\nconnection: close\r\n\r\n",
                     status, (int)reason.n, reason.p, fgw_clock_date(&s->env->loop->clock), n);
    fgw_conn_copy(&s->conn, head, (size_t)h);
    if (!s->head_request) fgw_conn_copy(&s->conn, body, n);
    s->out = OUT_DONE;
    fgw_h1_server_linger(s);
}

/* ---- input ---- */
static void begin(struct fgw_h1_server *s)
{
    struct fgw_msg *m = s->msg;
    s->msg = NULL;
    s->requests++;
    s->minor = m->head.minor;
    s->head_request = m->head.method == FGW_M_HEAD;
    s->expect = m->expect && m->len != FGW_LEN_NONE;
    s->keep = m->keep_alive;
    s->key_came = fgw_unlikely(m->upgrade) && fgw_ws_key_of(m, s->key);
    s->discard = s->failing = false;
    s->window = s->lim->window;
    s->out = OUT_WAIT;
    s->in = m->len == FGW_LEN_NONE || (m->len == FGW_LEN_KNOWN && m->length == 0) ? IN_DONE : IN_BODY;
    if (s->in == IN_BODY) {
        s->body_ms = s->expect ? 0 : server_now(s), s->paused_ms = 0;
        server_read_timer(s, s->lim->body_idle_ms);
        fgw_conn_want_read(&s->conn, true);
    }
    s->side = (struct fgw_side){.down = &fgw_h1_server_down, .peer = &s->demux.peer, .minor = s->minor, .h = 1};
    s->demux.user->begin(&s->demux, &s->side);
    if (!s->side.up) {                                 /* nobody took it: out of memory, or shedding */
        fgw_msg_put(m);
        refuse(s, FGW_E_OVERLOAD);
        return;
    }
    s->side.up->on_head(&s->side, m);
    if (s->in == IN_DONE && s->side.up) s->side.up->on_end(&s->side);
}

/* What follows a CONNECT may be meant for a tunnel: it is never read as a request. */
static enum fgw_err connect_refused(const struct fgw_head *h)
{
    struct fgw_target t;
    enum fgw_err e = fgw_target_parse(fgw_head_target(h), FGW_M_CONNECT, NULL, NULL, 0, &t);
    return e ? e : FGW_E_METHOD_NOT_ALLOWED;
}

/* A first request that begins like HTTP/2's preface (RFC 9113 section 3.4). True: it is that, or may become it: not ours to parse. */
static FGW_RARE bool other(struct fgw_h1_server *s)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint32_t n = fgw_conn_in_len(&s->conn), k = n < 24 ? n : 24;
    if (!s->demux.user->other || s->draining || memcmp(fgw_conn_in(&s->conn), preface, k) != 0) return false;
    if (s->in == IN_IDLE) s->in = IN_HEAD, server_read_timer(s, s->lim->head_ms);
    if (k < 24) return true;
    if (!s->demux.user->other(&s->demux, &s->conn)) return false;
    s->in = IN_CLOSED;
    server_read_timer(s, 0);
    fgw_link_remove(&s->ready.link);
    fgw_job_add(&s->env->loop->dead, &s->dead);
    return true;
}

static bool read_head(struct fgw_h1_server *s)
{
    struct fgw_conn *c = &s->conn;
    uint32_t n = fgw_conn_in_len(c);
    if (n == 0) return false;
    if (fgw_unlikely(s->requests == 0 && !s->msg && fgw_conn_in(c)[0] == 'P') && other(s)) return false;
    if (s->in == IN_IDLE && c->out.bytes > s->lim->window) {   /* it asks on but does not read: on_sent comes back to this */
        fgw_conn_want_read(c, false);
        return false;
    }
    if (!s->msg && !(s->msg = fgw_msg_get(&s->env->msgs))) {
        refuse(s, FGW_E_NO_MEMORY);
        return false;
    }
    s->head_request = false;
    int r = fgw_head_parse_request(&s->msg->head, fgw_conn_in(c), n, &s->lim->head);
    if (r == 0) {
        if (s->in == IN_IDLE) s->in = IN_HEAD, server_read_timer(s, s->lim->head_ms);
        fgw_conn_want_read(c, true);
        return false;
    }
    enum fgw_err e = FGW_E_NONE;
    enum fgw_framing f = FGW_BODY_NONE;
    uint64_t length = 0;
    if (r < 0) e = (enum fgw_err)s->msg->head.err;
    if (!e && s->msg->head.method == FGW_M_CONNECT) e = connect_refused(&s->msg->head);
    if (!e) e = fgw_framing_request(&s->msg->head, &f, &length);
    if (!e) e = fgw_msg_underscores(s->msg, (enum fgw_underscores)s->lim->underscores);
    if (!e) e = fgw_msg_connection(s->msg, true);
    if (e) {
        refuse(s, e);
        return false;
    }
    s->msg->b = fgw_block_ref(c->in_b);
    fgw_body_start(&s->body, f, length);
    s->msg->len = fgw_h1_len(f), s->msg->length = length;
    fgw_conn_take(c, (uint32_t)r);
    begin(s);
    return true;
}

static bool too_slow(const struct fgw_h1_server *s)
{
    uint64_t ms = server_now(s) - s->body_ms;
    return s->lim->body_rate && s->body_ms && ms > RATE_GRACE_MS && s->body.total * 1000 < (uint64_t)s->lim->body_rate * ms;
}

static void body_data(struct fgw_h1_server *s, uint32_t off, uint32_t len)
{
    if (s->expect) s->expect = false, s->body_ms = server_now(s);
    if (s->discard || !s->side.up) {
        s->discarded += len;
        return;
    }
    FGW_CHECK(len <= s->window);
    s->window -= len;
    s->side.up->on_body(&s->side, (struct fgw_span){s->conn.in_b, s->conn.in_off + off, len});
}

/* How much of the input may be looked at for body bytes: never more than may be given up, framing included. */
static uint32_t within_window(const struct fgw_h1_server *s)
{
    uint32_t n = fgw_conn_in_len(&s->conn);
    return s->discard || n <= s->window ? n : (uint32_t)s->window;
}

static void body_end(struct fgw_h1_server *s)
{
    s->in = IN_DONE;
    s->expect = false;
    if (s->side.up) s->side.up->on_end(&s->side);
    else if (s->out == OUT_DONE) fgw_h1_server_reply_over(s);        /* the rest of an early-answered request */
}

static bool body_paused(struct fgw_h1_server *s)
{
    if (s->discard || s->window) return false;
    if (!s->paused_ms) s->paused_ms = server_now(s);
    fgw_conn_want_read(&s->conn, false);
    return true;
}

static bool read_body(struct fgw_h1_server *s)
{
    while (s->in == IN_BODY && fgw_conn_in_len(&s->conn)) {
        if (body_paused(s)) return false;
        uint32_t pos = 0, off = 0, len = 0;
        enum fgw_body_event e = fgw_body_next(&s->body, &s->lim->body, fgw_conn_in(&s->conn), within_window(s), &pos, &off, &len);
        if (e == FGW_BODY_BAD) {
            refuse(s, (enum fgw_err)s->body.err);
            return false;
        }
        if (e == FGW_BODY_DATA) body_data(s, off, len);
        if (s->in != IN_BODY) return false;
        fgw_conn_take(&s->conn, pos);
        if (e == FGW_BODY_END) body_end(s);
        else if (e == FGW_BODY_TRAILERS) s->in = IN_TRAILERS;
        else if (s->body.framing == FGW_BODY_LENGTH && s->body.left == 0) body_end(s);
    }
    if (s->in != IN_BODY) return s->in != IN_CLOSED;
    if (s->discard && s->discarded > DISCARD_MAX) s->keep = false, fgw_h1_server_linger(s);
    else if (too_slow(s)) refuse(s, FGW_E_BODY_TOO_SLOW);
    else if (s->out != OUT_DONE) server_read_timer(s, s->lim->body_idle_ms);
    return false;
}

static bool read_trailers(struct fgw_h1_server *s)
{
    if (!fgw_conn_in_len(&s->conn)) return false;
    if (!s->msg && !(s->msg = fgw_msg_get(&s->env->msgs))) {
        refuse(s, FGW_E_NO_MEMORY);
        return false;
    }
    struct fgw_head_limits lim = {s->lim->head.line_max, s->lim->head.field_max, s->lim->body.trailer_max, s->lim->body.trailer_fields};
    int r = fgw_head_parse_trailers(&s->msg->head, fgw_conn_in(&s->conn), fgw_conn_in_len(&s->conn), &lim);
    if (r == 0) return false;
    enum fgw_err e = r < 0 ? (enum fgw_err)s->msg->head.err : fgw_msg_underscores(s->msg, (enum fgw_underscores)s->lim->underscores);
    if (e) {
        refuse(s, e == FGW_E_BAD_FIELD ? FGW_E_BAD_CHUNK : e);
        return false;
    }
    struct fgw_msg *m = s->msg;
    s->msg = NULL;
    m->b = fgw_block_ref(s->conn.in_b);
    fgw_conn_take(&s->conn, (uint32_t)r);
    if (s->side.up && !s->discard && m->head.nfields) s->side.up->on_trailers(&s->side, m);
    else fgw_msg_put(m);
    if (s->in == IN_TRAILERS) body_end(s);
    return true;
}

static bool read_tunnel(struct fgw_h1_server *s)
{
    uint32_t n = fgw_conn_in_len(&s->conn);
    if (n && body_paused(s)) return false;
    if (n && s->side.up) {
        n = within_window(s);
        body_data(s, 0, n);
        fgw_conn_take(&s->conn, n);
    }
    if (fgw_conn_in_len(&s->conn)) return s->side.up && s->in == IN_TUNNEL;
    if (s->conn.eof && s->side.up && s->in == IN_TUNNEL) {
        s->in = IN_DONE;
        s->side.up->on_end(&s->side);
    }
    return false;
}

static bool read_linger(struct fgw_h1_server *s)
{
    uint32_t n = fgw_conn_in_len(&s->conn);
    s->discarded += n;
    if (n) fgw_conn_take(&s->conn, n);
    if (s->conn.eof || s->discarded > DISCARD_MAX) fgw_conn_finish(&s->conn);
    return false;
}

/* The end of the client's bytes. After a whole request it may only be half of the connection: it still gets its answer. */
static void input_end(struct fgw_h1_server *s)
{
    switch (s->in) {
    case IN_IDLE:
        if (s->conn.out.bytes) s->in = IN_LINGER, fgw_conn_finish(&s->conn);   /* half-closed: it still gets what it asked for */
        else gone(s);
        break;
    case IN_HEAD: gone(s); break;
    case IN_BODY: case IN_TRAILERS:
        if (s->side.up) over(s, fgw_fail(FGW_E_BODY_TRUNCATED, FGW_BY_CLIENT));
        else gone(s);
        break;
    case IN_DONE:
        s->keep = false;
        if (s->out == OUT_WAIT && s->lim->half_close_probe_ms) server_read_timer(s, s->lim->half_close_probe_ms);
        break;
    default: break;
    }
}

static void input(struct fgw_h1_server *s)
{
    for (int i = 0; i < BURST; i++) {
        bool more = false;
        switch (s->in) {
        case IN_IDLE: case IN_HEAD: more = read_head(s); break;
        case IN_BODY:     more = read_body(s); break;
        case IN_TRAILERS: more = read_trailers(s); break;
        case IN_TUNNEL:   more = read_tunnel(s); break;
        case IN_LINGER:   more = read_linger(s); break;
        default: break;
        }
        if (s->in == IN_CLOSED) return;
        if (s->in == IN_DONE && fgw_conn_in_len(&s->conn) >= PIPELINE_MAX) fgw_conn_want_read(&s->conn, false);
        if (!more) {
            if (s->conn.eof && (!fgw_conn_in_len(&s->conn) || s->in == IN_HEAD || s->in == IN_BODY || s->in == IN_TRAILERS)) {
                if (s->in == IN_BODY && fgw_conn_in_len(&s->conn)) return;   /* paused: the rest is still to be given up */
                input_end(s);
            }
            return;
        }
    }
    if (fgw_conn_in_len(&s->conn)) server_later(s);           /* a long pipeline: others first */
}

static void on_input(struct fgw_conn *c) { input(fgw_container(c, struct fgw_h1_server, conn)); }

static void ready(struct fgw_job *j)
{
    struct fgw_h1_server *s = fgw_container(j, struct fgw_h1_server, ready);
    if (s->in != IN_CLOSED) input(s);
}

/* ---- output ---- */
static void on_sent(struct fgw_conn *c, uint64_t n)
{
    struct fgw_h1_server *s = fgw_container(c, struct fgw_h1_server, conn);
    if (!c->out.bytes) {
        if (s->blocked_ms) s->blocked_ms = 0, fgw_timer_cancel(&s->env->loop->wheel, &s->write_timer);
    } else {
        if (!s->blocked_ms) s->blocked_ms = server_now(s), s->blocked_sent = c->sent;
        if (n || !fgw_timer_armed(&s->write_timer)) fgw_loop_timer(s->env->loop, &s->write_timer, s->lim->send_idle_ms);
        uint64_t ms = server_now(s) - s->blocked_ms;
        if (s->lim->send_rate && ms > RATE_GRACE_MS && (c->sent - s->blocked_sent) * 1000 < (uint64_t)s->lim->send_rate * ms) {
            over(s, fgw_fail(FGW_E_SEND_TOO_SLOW, FGW_BY_CLIENT));
            return;
        }
    }
    uint64_t room = fgw_h1_writer_acked(&s->w, c->out.bytes);
    if (room && s->side.up) s->side.up->on_room(&s->side, room);
    if (s->in == IN_IDLE && fgw_conn_in_len(c) && c->out.bytes <= s->lim->window) server_later(s);
}

static void on_fail(struct fgw_conn *c)
{
    struct fgw_h1_server *s = fgw_container(c, struct fgw_h1_server, conn);
    gone(s);
}

static const struct fgw_conn_user conn_user = {.on_input = on_input, .on_sent = on_sent, .on_fail = on_fail};

static void probe(struct fgw_h1_server *s)
{
    if (s->minor == 0 || s->out != OUT_WAIT) return;
    fgw_conn_copy(&s->conn, "HTTP/1.1 102 Processing\r\n\r\n", 27);   /* a client that is gone answers with a reset */
    server_read_timer(s, (uint64_t)s->lim->half_close_probe_ms << (s->probes < 6 ? ++s->probes : 6));
}

static void read_timeout(struct fgw_timer *t)
{
    struct fgw_h1_server *s = fgw_container(t, struct fgw_h1_server, read_timer);
    switch (s->in) {
    case IN_IDLE:
        if (s->conn.out.bytes) server_read_timer(s, s->lim->keepalive_ms);   /* not idle yet: the write timer judges */
        else over(s, fgw_fail(FGW_E_IDLE_TIMEOUT, FGW_BY_CLIENT));
        break;
    case IN_HEAD: refuse(s, FGW_E_HEAD_TIMEOUT); break;
    case IN_BODY: case IN_TRAILERS:
        if (s->out == OUT_DONE) s->keep = false, fgw_h1_server_linger(s);
        else if (!s->discard && !s->window) server_read_timer(s, s->lim->body_idle_ms);   /* we hold it back ourselves */
        else refuse(s, FGW_E_BODY_TIMEOUT);
        break;
    case IN_DONE: if (s->conn.eof) probe(s);
        break;
    case IN_LINGER:                                    /* what cannot be delivered in time is the write timer's affair */
        if (s->conn.out.bytes) fgw_conn_finish(&s->conn);
        else gone(s);
        break;
    }
}

static void write_timeout(struct fgw_timer *t)
{
    over(fgw_container(t, struct fgw_h1_server, write_timer), fgw_fail(FGW_E_SEND_TIMEOUT, FGW_BY_CLIENT));
}

/* ---- life ---- */
static struct fgw_h1_server *server_init(struct fgw_h1_env *e, const struct fgw_h1_limits *lim, const struct fgw_demux_user *user,
                                         void *owner, const struct fgw_peer *peer)
{
    struct fgw_h1_server *s = fgw_slab_get(&e->servers);
    if (!s) return NULL;
    *s = (struct fgw_h1_server){.env = e, .lim = lim, .born_ms = fgw_loop_ran_ms(e->loop),
                                .ready = {.run = ready}, .dead = {.run = free_server},
                                .read_timer = {.fire = read_timeout}, .write_timer = {.fire = write_timeout}};
    fgw_demux_init(&s->demux, &demux_ops, user, owner, peer);
    s->minor = 1;
    server_read_timer(s, lim->head_ms);
    return s;
}

struct fgw_demux *fgw_h1_server_new(struct fgw_h1_env *e, int fd, const struct fgw_h1_limits *lim,
                                    const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h1_server *s = server_init(e, lim, user, owner, peer);
    if (s && fgw_conn_init(&s->conn, e->loop, fd, false, &conn_user) < 0) {
        fgw_timer_cancel(&e->loop->wheel, &s->read_timer);
        fgw_slab_put(&e->servers, s);
        return NULL;
    }
    return s ? &s->demux : NULL;
}

struct fgw_demux *fgw_h1_server_new_memory(struct fgw_h1_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                           const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h1_server *s = server_init(e, lim, user, owner, peer);
    if (s) fgw_conn_init_memory(&s->conn, e->loop, tp, &conn_user);
    return s ? &s->demux : NULL;
}

static struct fgw_h1_server *of(struct fgw_demux *d) { return fgw_container(d, struct fgw_h1_server, demux); }
struct fgw_conn *fgw_h1_server_conn(struct fgw_demux *d) { return &of(d)->conn; }
void fgw_h1_server_input(struct fgw_demux *d) { server_later(of(d)); }

static void drain(struct fgw_demux *d)
{
    struct fgw_h1_server *s = of(d);
    uint32_t ms = s->requests ? LAST_MS : FRESH_MS;
    if (s->draining || s->in == IN_LINGER || s->in == IN_CLOSED) return;
    s->draining = true;
    if (s->in == IN_IDLE) server_read_timer(s, s->lim->head_ms && s->lim->head_ms < ms ? s->lim->head_ms : ms);
}

static void cut(struct fgw_demux *d) { over(of(d), fgw_fail(FGW_E_DRAINING, FGW_BY_GATEWAY)); }
static const struct fgw_demux_ops demux_ops = {drain, cut};
size_t fgw_h1_server_size(void) { return sizeof(struct fgw_h1_server); }
