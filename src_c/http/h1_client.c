/* The side that faces upstreams. States: see h1.h. */
#include <errno.h>
#include "http/h1_client_impl.h"

enum { INFO_MAX = 32 };                /* interim answers to one request */

static void input(struct fgw_h1_client *c);
static struct fgw_h1_client *of_mux(struct fgw_mux *m) { return fgw_container(m, struct fgw_h1_client, mux); }

/* ---- ends ---- */
static void free_client(struct fgw_job *j)
{
    struct fgw_h1_client *c = fgw_container(j, struct fgw_h1_client, dead);
    fgw_slab_put(&c->env->clients, c);
}

/* Something of an answer has come: what breaks off now was broken off by somebody who had heard the request. */
static bool began(const struct fgw_h1_client *c) { return c->in != IN_WAIT || c->infos || c->msg; }

/* Up-call context only: the connection is finished with, whoever holds a side is told first, then the pool. */
static void over(struct fgw_h1_client *c, struct fgw_fail why)
{
    if (c->state == S_GONE) return;
    bool processed = c->conn.sent > c->mark;
    why.retry_safe = !processed, why.heard = processed && began(c);
    c->state = S_GONE;
    fgw_conn_close(&c->conn, false);
    fgw_timer_cancel(&c->env->loop->wheel, &c->read_timer);
    fgw_timer_cancel(&c->env->loop->wheel, &c->write_timer);
    fgw_link_remove(&c->ready.link), fgw_link_remove(&c->freed.link);
    fgw_msg_put(c->msg), c->msg = NULL;
    if (c->side.up) {
        if (!why.code) why.code = FGW_E_INTERNAL, why.by = FGW_BY_GATEWAY;
        c->side.up->on_abort(&c->side, why, processed);
        c->side.up = NULL;
    }
    if (!c->closing) c->mux.user->on_gone(&c->mux, why);
    fgw_job_add(&c->env->loop->dead, &c->dead);
}

static void fail(struct fgw_h1_client *c, enum fgw_err why) { over(c, fgw_fail(why, FGW_BY_UPSTREAM)); }

/* The place came free. Runs in settle, because release() is a downward call and the pool is above. */
static void freed(struct fgw_job *j)
{
    struct fgw_h1_client *c = fgw_container(j, struct fgw_h1_client, freed);
    if (c->state != S_BUSY || c->side.up) return;
    if (!c->keep || c->closing || c->conn.eof || c->mux.no_more || fgw_conn_in_len(&c->conn) || c->in != IN_DONE || c->out != OUT_DONE ||
        (c->lim->requests_max && c->requests >= c->lim->requests_max)) {
        over(c, fgw_fail(FGW_E_NONE, FGW_BY_NOBODY));
        return;
    }
    c->state = S_IDLE;
    c->mux.used = 0;
    client_read_timer(c, 0);
    c->mux.user->on_room(&c->mux);
}

/* ---- input ---- */
static enum fgw_err reply_head(struct fgw_h1_client *c, struct fgw_msg *m)
{
    enum fgw_framing f = FGW_BODY_NONE;
    uint64_t length = 0;
    enum fgw_err e = fgw_framing_reply(&m->head, c->head_request, &f, &length);
    if (!e) e = fgw_msg_connection(m, false);
    fgw_body_start(&c->body, f, length);
    m->len = fgw_h1_len(f), m->length = length;
    return e ? FGW_E_UPSTREAM_BAD : FGW_E_NONE;
}

static void info(struct fgw_h1_client *c, struct fgw_msg *m)
{
    bool too_many = ++c->infos > INFO_MAX;
    if (!too_many) c->side.up->on_info(&c->side, m);
    fgw_msg_put(m);
    if (too_many) fail(c, FGW_E_UPSTREAM_BAD);
}

static void switching(struct fgw_h1_client *c, struct fgw_msg *m)
{
    struct fgw_str to = fgw_msg_upgrade(m);
    bool asked = c->upgrade_asked && to.n && to.n <= FGW_H1_UPGRADE_MAX;             /* else unasked, or to nothing */
    if (!asked || (c->key_ours && !(fgw_ws_is(to) && fgw_ws_agreed(m, c->accept)))) {
        fgw_msg_put(m);
        fail(c, FGW_E_UPSTREAM_UPGRADE);
        return;
    }
    c->in = IN_TUNNEL;
    c->keep = false;
    c->side.up->on_head(&c->side, m);
    if (c->side.up) c->side.up->on_tunnel(&c->side);
}

static void final(struct fgw_h1_client *c, struct fgw_msg *m)
{
    bool none = m->len == FGW_LEN_NONE || (m->len == FGW_LEN_KNOWN && m->length == 0);
    c->keep = m->keep_alive && c->body.framing != FGW_BODY_CLOSE;
    c->in = none ? IN_DONE : IN_BODY;
    if (!none) client_read_timer(c, c->lim->body_idle_ms);
    c->side.up->on_head(&c->side, m);
    if (c->in == IN_DONE && c->side.up) c->side.up->on_end(&c->side);
}

/* An answer before the question: somebody else's, a banner, or an attack on whoever is served next (docs/threat-model.md says what is seen).
 * Bytes that came before our request left are told by `mark`; on a connection's first answer also those that came although the peer's
 * kernel has not acknowledged one byte of the request. On a warm one it would cost a fifth system call. */
static bool unasked(struct fgw_h1_client *c)
{
    if (c->conn.sent == c->mark) return true;
    if (c->heard || !c->tcp) return false;
    c->heard = true;
    return fgw_conn_unheard(&c->conn);
}

static bool read_head(struct fgw_h1_client *c)
{
    uint32_t n = fgw_conn_in_len(&c->conn);
    if (n == 0) return false;
    bool bad = unasked(c);
    if (bad || (!c->msg && !(c->msg = fgw_msg_get(&c->env->msgs)))) {
        fail(c, bad ? FGW_E_UPSTREAM_BAD : FGW_E_NO_MEMORY);
        return false;
    }
    int r = fgw_head_parse_reply(&c->msg->head, fgw_conn_in(&c->conn), n, &c->lim->head);
    if (r == 0) return false;
    struct fgw_msg *m = c->msg;
    enum fgw_err e = r < 0 ? (enum fgw_err)m->head.err : reply_head(c, m);
    if (e) {
        bool lengthy = e == FGW_E_HEAD_TOO_LONG || e == FGW_E_FIELD_TOO_LONG || e == FGW_E_TOO_MANY_FIELDS || e == FGW_E_LINE_TOO_LONG;
        fail(c, lengthy ? FGW_E_UPSTREAM_HEAD_LONG : FGW_E_UPSTREAM_BAD);
        return false;
    }
    c->msg = NULL;
    m->b = fgw_block_ref(c->conn.in_b);
    fgw_conn_take(&c->conn, (uint32_t)r);
    if (m->head.status == 101) switching(c, m);
    else if (m->head.status < 200) info(c, m);
    else final(c, m);
    return true;
}

/* How much of the input may be looked at for body bytes: never more than may be given up, framing included. */
static uint32_t within_window(const struct fgw_h1_client *c)
{
    uint32_t n = fgw_conn_in_len(&c->conn);
    return n <= c->window ? n : (uint32_t)c->window;
}

static bool paused(struct fgw_h1_client *c)
{
    if (c->window) return false;
    fgw_conn_want_read(&c->conn, false);
    return true;
}

static void give(struct fgw_h1_client *c, uint32_t off, uint32_t len)
{
    FGW_CHECK(len <= c->window);
    c->window -= len;
    c->side.up->on_body(&c->side, (struct fgw_span){c->conn.in_b, c->conn.in_off + off, len});
}

static void reply_end(struct fgw_h1_client *c)
{
    c->in = IN_DONE;
    client_read_timer(c, 0);
    if (c->side.up) c->side.up->on_end(&c->side);
}

static bool read_body(struct fgw_h1_client *c)
{
    while (c->in == IN_BODY && c->side.up && fgw_conn_in_len(&c->conn)) {
        if (paused(c)) return false;
        uint32_t pos = 0, off = 0, len = 0;
        enum fgw_body_event e = fgw_body_next(&c->body, &c->lim->body, fgw_conn_in(&c->conn), within_window(c), &pos, &off, &len);
        if (e == FGW_BODY_BAD) {
            fail(c, FGW_E_UPSTREAM_BAD);
            return false;
        }
        if (e == FGW_BODY_DATA) give(c, off, len);
        fgw_conn_take(&c->conn, pos);
        if (e == FGW_BODY_END) reply_end(c);
        else if (e == FGW_BODY_TRAILERS) c->in = IN_TRAILERS;
        else if (c->body.framing == FGW_BODY_LENGTH && c->body.left == 0) reply_end(c);
    }
    if (c->in == IN_BODY) client_read_timer(c, c->lim->body_idle_ms);
    return c->in == IN_TRAILERS;
}

static bool read_trailers(struct fgw_h1_client *c)
{
    if (!fgw_conn_in_len(&c->conn)) return false;
    if (!c->msg && !(c->msg = fgw_msg_get(&c->env->msgs))) {
        fail(c, FGW_E_NO_MEMORY);
        return false;
    }
    struct fgw_head_limits lim = {c->lim->head.line_max, c->lim->head.field_max, c->lim->body.trailer_max, c->lim->body.trailer_fields};
    int r = fgw_head_parse_trailers(&c->msg->head, fgw_conn_in(&c->conn), fgw_conn_in_len(&c->conn), &lim);
    if (r == 0) return false;
    if (r < 0) {
        fail(c, FGW_E_UPSTREAM_BAD);
        return false;
    }
    struct fgw_msg *m = c->msg;
    c->msg = NULL;
    m->b = fgw_block_ref(c->conn.in_b);
    fgw_conn_take(&c->conn, (uint32_t)r);
    if (m->head.nfields && c->side.up) c->side.up->on_trailers(&c->side, m);
    else fgw_msg_put(m);
    reply_end(c);
    return false;
}

static bool read_tunnel(struct fgw_h1_client *c)
{
    if (fgw_conn_in_len(&c->conn)) {
        uint32_t n = within_window(c);
        if (paused(c)) return false;
        give(c, 0, n);
        fgw_conn_take(&c->conn, n);
        if (fgw_conn_in_len(&c->conn)) return true;
    }
    if (c->conn.eof && c->in == IN_TUNNEL) {
        c->in = IN_DONE;
        if (c->side.up) c->side.up->on_end(&c->side);
    }
    return false;
}

/* The upstream ended its direction. */
static void input_end(struct fgw_h1_client *c)
{
    if (c->in == IN_WAIT) fail(c, FGW_E_UPSTREAM_CLOSED);
    else if (c->in == IN_BODY && fgw_conn_in_len(&c->conn) == 0) {
        if (fgw_body_eof(&c->body)) reply_end(c);
        else fail(c, FGW_E_UPSTREAM_TRUNCATED);
    } else if (c->in == IN_TRAILERS) fail(c, FGW_E_UPSTREAM_TRUNCATED);
}

static void input(struct fgw_h1_client *c)
{
    if (c->state == S_IDLE) {                          /* bytes or an end while nothing is asked: never used again */
        over(c, fgw_fail(FGW_E_NONE, FGW_BY_NOBODY));
        return;
    }
    bool more = true;
    while (more && c->state == S_BUSY && c->side.up) {
        switch (c->in) {
        case IN_WAIT:     more = read_head(c); break;
        case IN_BODY:     more = read_body(c); break;
        case IN_TRAILERS: more = read_trailers(c); break;
        case IN_TUNNEL:   more = read_tunnel(c); break;
        default:          more = false; break;
        }
    }
    if (c->state == S_BUSY && c->conn.eof) input_end(c);
}

static void on_input(struct fgw_conn *conn) { input(fgw_container(conn, struct fgw_h1_client, conn)); }

static void ready(struct fgw_job *j)
{
    struct fgw_h1_client *c = fgw_container(j, struct fgw_h1_client, ready);
    if (c->state == S_BUSY) input(c);
}

/* ---- output ---- */
static void on_open(struct fgw_conn *conn)
{
    struct fgw_h1_client *c = fgw_container(conn, struct fgw_h1_client, conn);
    c->state = S_IDLE;
    c->mux.max = 1;
    c->mux.user->on_ready(&c->mux);
}

static void on_sent(struct fgw_conn *conn, uint64_t n)
{
    struct fgw_h1_client *c = fgw_container(conn, struct fgw_h1_client, conn);
    if (!conn->out.bytes) {
        if (c->blocked) c->blocked = false, fgw_timer_cancel(&c->env->loop->wheel, &c->write_timer);
    } else if (n || !c->blocked) c->blocked = true, fgw_loop_timer(c->env->loop, &c->write_timer, c->lim->send_idle_ms);
    uint64_t room = fgw_h1_writer_acked(&c->w, conn->out.bytes);
    if (room && c->side.up) c->side.up->on_room(&c->side, room);
}

static void on_fail(struct fgw_conn *conn)
{
    struct fgw_h1_client *c = fgw_container(conn, struct fgw_h1_client, conn);
    if (c->state == S_DIALING) fail(c, fgw_conn_dial_error(conn));
    else if (c->state == S_IDLE || conn->err == 0 || conn->err == ECANCELED) over(c, fgw_fail(FGW_E_NONE, FGW_BY_NOBODY));
    else fail(c, conn->err == ENOMEM ? FGW_E_NO_MEMORY : c->in == IN_WAIT ? FGW_E_UPSTREAM_RESET : FGW_E_UPSTREAM_TRUNCATED);
}

static const struct fgw_conn_user conn_user = {on_open, on_input, on_sent, on_fail};

static void read_timeout(struct fgw_timer *t)
{
    struct fgw_h1_client *c = fgw_container(t, struct fgw_h1_client, read_timer);
    if (c->in != IN_BODY && c->in != IN_TRAILERS) return;
    if (!c->window) client_read_timer(c, c->lim->body_idle_ms);   /* held back by a slow client: that side's timers judge */
    else fail(c, FGW_E_UPSTREAM_IDLE);
}

static void write_timeout(struct fgw_timer *t)
{
    fail(fgw_container(t, struct fgw_h1_client, write_timer), FGW_E_UPSTREAM_SEND);
}

/* ---- life ---- */
static struct fgw_h1_client *client_init(struct fgw_h1_env *e, const struct fgw_h1_limits *lim, const struct fgw_mux_user *user)
{
    struct fgw_h1_client *c = fgw_slab_get(&e->clients);
    if (!c) return NULL;
    *c = (struct fgw_h1_client){.env = e, .lim = lim, .mux = {.ops = &fgw_h1_client_mux, .user = user},
                                .ready = {.run = ready}, .freed = {.run = freed}, .dead = {.run = free_client},
                                .read_timer = {.fire = read_timeout}, .write_timer = {.fire = write_timeout}};
    return c;
}

struct fgw_mux *fgw_h1_client_dial(struct fgw_h1_env *e, const struct sockaddr *addr, socklen_t len, const struct fgw_h1_limits *lim,
                                   const struct fgw_mux_user *user)
{
    bool connecting;
    struct fgw_h1_client *c = client_init(e, lim, user);
    if (!c) return errno = ENOMEM, NULL;
    int fd = fgw_conn_dial(addr, len, &connecting);
    /* Also a connect that succeeded at once (unix) is announced by the first event, never from inside this call. */
    if (fd < 0 || fgw_conn_init(&c->conn, e->loop, fd, true, &conn_user) < 0) {
        int err = errno;
        if (fd >= 0) fgw_fd_close(fd);
        fgw_slab_put(&e->clients, c);
        errno = err;
        return NULL;
    }
    c->tcp = addr->sa_family != AF_UNIX;
    return &c->mux;
}

static void announce(struct fgw_job *j)
{
    struct fgw_h1_client *c = fgw_container(j, struct fgw_h1_client, ready);
    c->ready.run = ready;
    if (c->state == S_DIALING) on_open(&c->conn);
}

struct fgw_mux *fgw_h1_client_memory(struct fgw_h1_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                     const struct fgw_mux_user *user)
{
    struct fgw_h1_client *c = client_init(e, lim, user);
    if (!c) return NULL;
    fgw_conn_init_memory(&c->conn, e->loop, tp, &conn_user);
    c->ready.run = announce;
    client_later(c);
    return &c->mux;
}

struct fgw_mux *fgw_h1_client_adopt(struct fgw_h1_env *e, struct fgw_conn *from, const struct fgw_h1_limits *lim, const struct fgw_mux_user *user)
{
    struct fgw_h1_client *c = client_init(e, lim, user);
    if (c && fgw_conn_move(&c->conn, from, &conn_user) < 0) fgw_slab_put(&e->clients, c), c = NULL;
    if (c) c->state = S_IDLE, c->mux.max = 1;
    return c ? &c->mux : NULL;
}

struct fgw_conn *fgw_h1_client_conn(struct fgw_mux *m) { return &of_mux(m)->conn; }
size_t fgw_h1_client_size(void) { return sizeof(struct fgw_h1_client); }
