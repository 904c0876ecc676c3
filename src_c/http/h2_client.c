/* Connections to upstreams: dial, settings, places, ends. Their streams are in h2_client_stream.c; what both roles share in h2_conn.c. */
#include "http/h2_client_impl.h"
#include <errno.h>
#include "io/tls.h"

enum { PONG_MS = 5000 };

static const struct fgw_mux_ops mux_ops;
static struct fgw_h2_client *of(struct fgw_mux *m) { return fgw_container(m, struct fgw_h2_client, mux); }

/* ---- places ---- */
static void gone(struct fgw_h2_client *c, struct fgw_fail why)
{
    if (c->told) return;
    c->told = true;
    c->mux.user->on_gone(&c->mux, why);
}

/* How many sides there may be now: what the peer allows, our own bound, and what there is memory for. */
static void places(struct fgw_h2_client *c)
{
    uint32_t before = c->mux.max, max = c->peer_max < c->h.h2->streams ? c->peer_max : c->h.h2->streams;
    if (!c->spare) c->spare = fgw_slab_get(&c->h.env->streams);
    if ((!c->spare || c->doubt) && max > c->mux.used) max = c->mux.used;
    if (c->ready && !c->peer_max) c->mux.no_more = true;                 /* it wants no further request; another connection may serve */
    if (c->told) return;
    if (!c->ready) {
        if (!max) return;                              /* none yet: the dial goes on */
        c->ready = true, c->mux.max = max;
        c->mux.user->on_ready(&c->mux);
        return;
    }
    c->mux.max = max ? max : 1;
    if (c->mux.max > before && !c->mux.no_more) c->roomy = true, fgw_h2_later(&c->h);
}

/* Nothing more is asked of it until it has shown a sign of life. Unused it is not worth the wait. */
void fgw_h2_client_doubt(struct fgw_h2_client *c)
{
    if (c->doubt || c->h.state != FGW_H2_OPEN) return;
    c->doubt = true;
    if (c->mux.used > 1) {                             /* the one that was given up goes now */
        c->mux.max = c->mux.used - 1;
        nghttp2_submit_ping(c->h.ng, NGHTTP2_FLAG_NONE, NULL);
        fgw_loop_timer(c->h.env->loop, &c->h.leave_timer, PONG_MS);
    } else c->mux.no_more = true;
    fgw_h2_later(&c->h);
}

static void heard(struct fgw_h2_client *c)
{
    c->heard_ms = fgw_h2_now(&c->h);
    if (!c->doubt) return;
    c->doubt = false;
    if (c->h.state == FGW_H2_OPEN) fgw_timer_cancel(&c->h.env->loop->wheel, &c->h.leave_timer);
    places(c);
}

static void no_pong(struct fgw_timer *t)
{
    struct fgw_h2_conn *h = fgw_container(t, struct fgw_h2_conn, leave_timer);
    if (h->state == FGW_H2_LINGER) fgw_h2_lost(h);
    else fgw_h2_over(h, fgw_fail(FGW_E_UPSTREAM_SILENT, FGW_BY_UPSTREAM));
}

/* A stream went. The pool is above, and this may be a downward call: it hears of it from the pump. */
static void client_freed(struct fgw_h2_conn *h)
{
    struct fgw_h2_client *c = fgw_h2_client_of(h);
    c->mux.used = h->nstreams;
    if (c->doubt) c->mux.max = c->mux.used ? c->mux.used : 1;
    c->roomy = true;
    fgw_h2_later(h);
}

/* ---- ends ---- */
static void client_dead(struct fgw_h2_conn *h)
{
    struct fgw_h2_client *c = fgw_h2_client_of(h);
    fgw_link_remove(&c->opening.link);
    fgw_slab_put(&h->env->streams, c->spare);
    fgw_slab_put(&h->env->clients, c);
}

static void client_over(struct fgw_h2_conn *h, struct fgw_fail why) { gone(fgw_h2_client_of(h), why); }

static enum fgw_err fault_word(const struct fgw_h2_client *c, enum fgw_err why)
{
    if (!c->ready) return FGW_E_UPSTREAM_NOT_H2;
    if (why == FGW_E_H2_HEAD_BOMB) return FGW_E_UPSTREAM_HEAD_LONG;
    if (why == FGW_E_HEAD_TIMEOUT) return FGW_E_UPSTREAM_IDLE;
    return why == FGW_E_H2_PROTOCOL ? FGW_E_UPSTREAM_PROTOCOL : FGW_E_UPSTREAM_FLOOD;
}

static void client_fault(struct fgw_h2_conn *h, enum fgw_err why)
{
    struct fgw_h2_client *c = fgw_h2_client_of(h);
    struct fgw_fail fail = fgw_fail(fault_word(c, why), FGW_BY_UPSTREAM);
    c->mux.no_more = true;
    fgw_h2_streams_abort(h, fail);
    gone(c, fail);
}

/* Nobody needs it any more: say so and close. */
static void goodbye(struct fgw_h2_client *c)
{
    nghttp2_session_terminate_session(c->h.ng, NGHTTP2_NO_ERROR);
    fgw_h2_pull(&c->h);
    c->h.state = FGW_H2_LINGER;
    fgw_conn_finish(&c->h.conn);
}

static void client_done(struct fgw_h2_conn *h)
{
    struct fgw_h2_client *c = fgw_h2_client_of(h);
    bool roomy = c->roomy;
    if (roomy && !c->spare) places(c);
    c->roomy = false;
    if (c->doubt && !h->nstreams) c->mux.no_more = true;
    if (!h->nstreams && (c->mux.no_more || !nghttp2_session_want_read(h->ng))) goodbye(c);
    else if (roomy && !c->told && !c->doubt && !c->mux.no_more && c->mux.used < c->mux.max) c->mux.user->on_room(&c->mux);
}

static void client_rested(struct fgw_h2_conn *h) { (void)h; }            /* how long it may rest is the pool's affair */

static void client_aged(struct fgw_h2_conn *h)
{
    fgw_h2_client_of(h)->mux.no_more = true;
    fgw_h2_later(h);
}

/* ---- nghttp2's callbacks ---- */
static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_client *c = fgw_h2_client_of(user);
    int r = fgw_h2_on_frame(ng, f, user);
    if (r) return r;
    if (f->hd.type == NGHTTP2_SETTINGS && !(f->hd.flags & NGHTTP2_FLAG_ACK)) {
        c->peer_max = nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        places(c);
    } else if (f->hd.type == NGHTTP2_GOAWAY) {
        c->mux.no_more = true;
        fgw_h2_later(&c->h);
    }
    return 0;
}

/* An answer before the question has left: whoever guessed the stream's number wants to answer somebody else's request. nghttp2 cannot tell. */
static int begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
    if (s && h->conn.sent <= s->mark) return fgw_h2_trip(h, FGW_E_H2_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
    return s && !fgw_h2_mute(s) ? fgw_h2_begin_block(h, s) : 0;
}

/* The request's bytes begin here: until they leave, nobody can have acted on them. */
static int before_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = f->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(ng, f->hd.stream_id) : NULL;
    if (s && s->mark == UINT64_MAX) s->mark = h->conn.sent + h->conn.out.bytes;
    return 0;
}

nghttp2_session_callbacks *fgw_h2_client_callbacks(void)
{
    nghttp2_session_callbacks *cb = fgw_h2_callbacks();
    if (!cb) return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, begin_headers);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, before_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, fgw_h2_client_closed);
    return cb;
}

static const struct fgw_h2_role role = {
    .by = FGW_BY_UPSTREAM, .body_idle = FGW_E_UPSTREAM_IDLE, .body_slow = FGW_E_UPSTREAM_IDLE, .send_idle = FGW_E_UPSTREAM_SEND,
    .send_slow = FGW_E_UPSTREAM_SEND, .pseudo = fgw_h2_reply_pseudo, .head = fgw_h2_reply_head, .bad = fgw_h2_client_bad, .lost = fgw_h2_client_lost,
    .fault = client_fault, .over = client_over, .done = client_done, .rested = client_rested, .aged = client_aged, .freed = client_freed,
    .dead = client_dead};

/* ---- the conn ---- */
static void on_open(struct fgw_conn *conn)
{
    struct fgw_h2_client *c = fgw_h2_client_of(fgw_container(conn, struct fgw_h2_conn, conn));
    c->h.state = FGW_H2_OPEN;
    if (!c->secure || fgw_str_eq(fgw_tls_alpn(conn->tp_state), FGW_STR("h2"))) {
        fgw_conn_copy(conn, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
        fgw_h2_later(&c->h);
        return;
    }
    if (c->either && c->mux.user->other && c->mux.user->other(&c->mux, conn)) c->told = true;
    fgw_h2_over(&c->h, fgw_fail(FGW_E_UPSTREAM_NOT_H2, FGW_BY_UPSTREAM));
}

static void on_input(struct fgw_conn *conn)
{
    struct fgw_h2_client *c = fgw_h2_client_of(fgw_container(conn, struct fgw_h2_conn, conn));
    uint32_t n = fgw_conn_in_len(conn);
    bool strange = !c->spoke && n >= 4 && fgw_conn_in(conn)[3] != NGHTTP2_SETTINGS;      /* an alert, a banner: there may be no more of it */
    c->spoke = c->spoke || n;
    if (n) heard(c);
    if (strange || (conn->eof && c->spoke && !c->ready && !n)) fgw_h2_over(&c->h, fgw_fail(FGW_E_UPSTREAM_NOT_H2, FGW_BY_UPSTREAM));
    else fgw_h2_conn_user.on_input(conn);
}

static void on_sent(struct fgw_conn *conn, uint64_t n) { fgw_h2_conn_user.on_sent(conn, n); }

static void on_fail(struct fgw_conn *conn)
{
    struct fgw_h2_client *c = fgw_h2_client_of(fgw_container(conn, struct fgw_h2_conn, conn));
    enum fgw_err why = c->h.state == FGW_H2_DIALING ? fgw_conn_dial_error(conn) : conn->err == ENOMEM ? FGW_E_NO_MEMORY : FGW_E_UPSTREAM_RESET;
    bool mine = conn->err == 0 || conn->err == ECANCELED;
    fgw_h2_over(&c->h, mine && c->h.state != FGW_H2_DIALING ? fgw_fail(FGW_E_NONE, FGW_BY_NOBODY) : fgw_fail(why, FGW_BY_UPSTREAM));
}

static const struct fgw_conn_user conn_user = {on_open, on_input, on_sent, on_fail};

/* ---- downward: the mux ---- */
static struct fgw_side *mux_open(struct fgw_mux *m)
{
    struct fgw_h2_client *c = of(m);
    FGW_CHECK(c->ready && c->spare && m->used < m->max);
    struct fgw_h2_stream *s = fgw_h2_client_open(c);
    c->spare = fgw_slab_get(&c->h.env->streams);
    m->used = c->h.nstreams;
    if (!c->spare) m->max = m->used;                   /* no memory for another one, as long as that lasts */
    c->requests++;
    if (c->h.lim->requests_max && c->requests >= c->h.lim->requests_max) m->no_more = true;
    return &s->side;
}

static void mux_close(struct fgw_mux *m)
{
    struct fgw_h2_client *c = of(m);
    m->no_more = true;
    c->told = true;
    if (c->h.state == FGW_H2_DIALING) fgw_conn_kill(&c->h.conn);
    else fgw_h2_later(&c->h);
}

static const struct fgw_mux_ops mux_ops = {mux_open, mux_close};

/* ---- life ---- */
static bool session(struct fgw_h2_conn *h)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->h2->window}, {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->lim->head.head_max}};
    return fgw_h2_session(h, false, iv, FGW_COUNT(iv));
}

static struct fgw_h2_client *client_init(struct fgw_h2_env *e, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2, const struct fgw_mux_user *user)
{
    struct fgw_h2_client *c = fgw_slab_get(&e->clients);
    if (!c) return NULL;
    *c = (struct fgw_h2_client){.mux = {.ops = &mux_ops, .user = user}};
    fgw_h2_conn_init(&c->h, &role, e, lim, h2);
    c->h.state = FGW_H2_DIALING, c->h.leave_timer.fire = no_pong;
    c->spare = fgw_slab_get(&e->streams);
    if (c->spare && session(&c->h)) return c;
    fgw_h2_conn_unmake(&c->h);
    return NULL;
}

struct fgw_mux *fgw_h2_client_dial(struct fgw_h2_env *e, const struct sockaddr *addr, socklen_t len, enum fgw_h2_how how, const struct fgw_h1_limits *lim,
                                   const struct fgw_h2_limits *h2, const struct fgw_mux_user *user)
{
    bool connecting;
    struct fgw_h2_client *c = client_init(e, lim, h2, user);
    if (!c) {
        errno = ENOMEM;
        return NULL;
    }
    c->secure = how != FGW_H2_PLAIN, c->either = how == FGW_H2_TLS_EITHER;
    int fd = fgw_conn_dial(addr, len, &connecting);
    /* Also a connect that succeeded at once (unix) is announced by the first event, never from inside this call. */
    if (fd < 0 || fgw_conn_init(&c->h.conn, e->loop, fd, true, &conn_user) < 0) {
        int err = errno;
        if (fd >= 0) fgw_fd_close(fd);
        fgw_h2_conn_unmake(&c->h);
        errno = err;
        return NULL;
    }
    return &c->mux;
}

static void announce(struct fgw_job *j)
{
    struct fgw_h2_client *c = fgw_container(j, struct fgw_h2_client, opening);
    if (c->h.state == FGW_H2_DIALING) on_open(&c->h.conn);
}

struct fgw_mux *fgw_h2_client_memory(struct fgw_h2_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                     const struct fgw_mux_user *user)
{
    struct fgw_h2_client *c = client_init(e, lim, h2, user);
    if (!c) return NULL;
    fgw_conn_init_memory(&c->h.conn, e->loop, tp, &conn_user);
    c->opening.run = announce;
    fgw_job_add(&e->loop->ready, &c->opening);
    return &c->mux;
}

struct fgw_conn *fgw_h2_client_conn(struct fgw_mux *m) { return &of(m)->h.conn; }
size_t fgw_h2_client_size(void) { return sizeof(struct fgw_h2_client); }
