/* Connections of clients: requests, drains, ends. What both roles share is in h2_conn.c. */
#include "http/h2_server_impl.h"
#include "http/grpc.h"

enum { NOTICE_MS = 1000 };               /* how long a client may take to answer the PING behind a notice of its end */

static const struct fgw_demux_ops demux_ops;
static struct fgw_h2_server *of(struct fgw_demux *d) { return fgw_container(d, struct fgw_h2_server, demux); }
static struct fgw_h2_server *of_user(void *user) { return fgw_h2_server_of(user); }

/* ---- streams ---- */
struct fgw_h2_stream *fgw_h2_stream_new(struct fgw_h2_conn *h, int32_t id)
{
    struct fgw_h2_stream *s = fgw_slab_get(&h->env->streams);
    if (!s) return NULL;
    *s = (struct fgw_h2_stream){.h = h, .id = id, .side = {.down = &fgw_h2_server_down, .peer = &fgw_h2_server_of(h)->demux.peer, .minor = 1, .h = 2}};
    fgw_h2_stream_add(h, s);
    return s;
}

static struct fgw_fail stream_lost(struct fgw_h2_stream *s, struct fgw_fail why)
{
    (void)s;
    return why;
}

static void server_freed(struct fgw_h2_conn *h) { (void)h; }

/* ---- ends ---- */
static void server_dead(struct fgw_h2_conn *h) { fgw_slab_put(&h->env->servers, fgw_h2_server_of(h)); }

static void server_over(struct fgw_h2_conn *h, struct fgw_fail why)
{
    struct fgw_demux *d = &fgw_h2_server_of(h)->demux;
    (void)why;
    d->user->gone(d);
}

static void server_fault(struct fgw_h2_conn *h, enum fgw_err why)
{
    struct fgw_demux *d = &fgw_h2_server_of(h)->demux;
    d->user->refused(d, NULL, why);
    fgw_h2_streams_abort(h, fgw_fail(why, FGW_BY_CLIENT));
}

void fgw_h2_leave(struct fgw_h2_server *server)
{
    struct fgw_h2_conn *h = &server->h;
    if (h->state >= FGW_H2_LEAVING) return;
    h->state = FGW_H2_LEAVING;
    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR, NULL, 0);
    fgw_h2_later(h);
}

static void leave_due(struct fgw_timer *t)
{
    struct fgw_h2_conn *h = fgw_container(t, struct fgw_h2_conn, leave_timer);
    if (h->state == FGW_H2_LINGER) fgw_h2_lost(h);
    else fgw_h2_leave(fgw_h2_server_of(h));
}

/* What was on its way has come when the PING behind the notice is answered (h2_conn.c sends it). */
void fgw_h2_drain(struct fgw_h2_server *server)
{
    struct fgw_h2_conn *h = &server->h;
    if (h->state != FGW_H2_OPEN) return;
    h->state = FGW_H2_NOTICED;
    nghttp2_submit_shutdown_notice(h->ng);
    fgw_loop_timer(h->env->loop, &h->leave_timer, NOTICE_MS);
    fgw_h2_later(h);
}

static void server_done(struct fgw_h2_conn *h)
{
    if (!h->nstreams && !nghttp2_session_want_write(h->ng) && (h->state == FGW_H2_LEAVING || !nghttp2_session_want_read(h->ng))) fgw_h2_linger(h);
}

/* Nothing is being asked: the timer is the idle connection's. */
static void server_rested(struct fgw_h2_conn *h)
{
    const struct fgw_h1_limits *lim = h->lim;
    uint64_t idle = fgw_h2_now(h) - h->idle_ms, max = h->settled ? lim->keepalive_ms : lim->head_ms;
    if (max && idle >= max) fgw_h2_leave(fgw_h2_server_of(h));
    else fgw_loop_timer(h->env->loop, &h->timer, max ? max - idle : 0);
}

static void server_aged(struct fgw_h2_conn *h) { fgw_h2_drain(fgw_h2_server_of(h)); }

/* ---- requests ---- */
static void request(struct fgw_h2_stream *s, bool end)
{
    struct fgw_h2_server *server = fgw_h2_server_of(s->h);
    const struct fgw_h1_limits *lim = s->h->lim;
    enum fgw_err e = fgw_h2_head_end(s, end);
    s->head_done = true, s->grpc = fgw_grpc_is(&s->m->head);
    s->body_ms = s->read_ms = fgw_h2_now(s->h);
    if (++server->requests == lim->requests_max && lim->requests_max) fgw_h2_drain(server);
    if (e) {
        s->in_end = end;
        fgw_h2_refuse(s, e);
        fgw_msg_put(s->m), s->m = NULL;
        return;
    }
    struct fgw_msg *m = s->m;
    s->m = NULL;
    s->expect = m->expect && !end && !s->connect;
    server->demux.user->begin(&server->demux, &s->side);
    if (!s->side.up) {                                 /* nobody took it: nothing was done, another may be asked */
        server->demux.user->refused(&server->demux, m, FGW_E_OVERLOAD);
        fgw_msg_put(m);
        s->released = true;
        fgw_h2_reset(s, NGHTTP2_REFUSED_STREAM);
        return;
    }
    s->side.up->on_head(&s->side, m);
    if (s->connect && s->side.up) s->side.up->on_end(&s->side);          /* the request is whole; what follows is the tunnel's */
    if (end) fgw_h2_in_end(s);
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct fgw_demux *d = &of_user(user)->demux;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
    bool ours = s && s->ours;
    if (!s) return 0;
    fgw_h2_unbind(s);
    s->closed = true;
    if (s->m && !s->head_done) s->h->head_ms = 0;
    if (!s->head_done && code) d->user->refused(d, s->m, ours ? FGW_E_NO_MEMORY : FGW_E_BAD_REQUEST);
    if (!s->head_done) s->released = true;
    if (!s->released && !code && s->in_end && s->eof) return 0;          /* whole; its user lets go when it likes */
    if (!s->released) fgw_h2_abort_up(s, fgw_fail(ours ? FGW_E_CANCELLED : code == NGHTTP2_PROTOCOL_ERROR ? FGW_E_BAD_FRAMING : FGW_E_CLIENT_GONE, FGW_BY_CLIENT));
    fgw_h2_later(s->h);
    fgw_h2_stream_free(s);
    return code && !ours ? fgw_h2_wasted(user) : 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    if (f->hd.type == NGHTTP2_PING && f->hd.flags & NGHTTP2_FLAG_ACK && h->state == FGW_H2_NOTICED) fgw_h2_leave(fgw_h2_server_of(h));
    return fgw_h2_on_frame(ng, f, user);
}

nghttp2_session_callbacks *fgw_h2_server_callbacks(void)
{
    nghttp2_session_callbacks *cb = fgw_h2_callbacks();
    if (!cb) return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, fgw_h2_begin_headers);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    return cb;
}

static const struct fgw_h2_role role = {
    .by = FGW_BY_CLIENT, .body_idle = FGW_E_BODY_TIMEOUT, .body_slow = FGW_E_BODY_TOO_SLOW, .send_idle = FGW_E_SEND_TIMEOUT, .send_slow = FGW_E_SEND_TOO_SLOW,
    .pseudo = fgw_h2_request_pseudo, .head = request, .bad = fgw_h2_refuse, .lost = stream_lost, .fault = server_fault, .over = server_over,
    .done = server_done, .rested = server_rested, .aged = server_aged, .freed = server_freed, .dead = server_dead};

/* ---- life ---- */
static bool session(struct fgw_h2_conn *h)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->h2->streams}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->h2->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->lim->head.head_max}, {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};
    return fgw_h2_session(h, true, iv, FGW_COUNT(iv));
}

static struct fgw_h2_server *server_init(struct fgw_h2_env *e, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                         const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *server = fgw_slab_get(&e->servers);
    if (!server) return NULL;
    *server = (struct fgw_h2_server){.requests = 0};
    fgw_h2_conn_init(&server->h, &role, e, lim, h2);
    server->h.leave_timer.fire = leave_due;
    fgw_demux_init(&server->demux, &demux_ops, user, owner, peer);
    server->demux.h = 2;
    fgw_loop_timer(e->loop, &server->h.timer, lim->head_ms ? lim->head_ms : lim->keepalive_ms);
    fgw_h2_later(&server->h);
    if (session(&server->h)) return server;
    fgw_h2_conn_unmake(&server->h);
    return NULL;
}

struct fgw_demux *fgw_h2_server_new(struct fgw_h2_env *e, int fd, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                    const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *server = server_init(e, lim, h2, user, owner, peer);
    if (server && fgw_conn_init(&server->h.conn, e->loop, fd, false, &fgw_h2_conn_user) < 0) {
        fgw_h2_conn_unmake(&server->h);
        return NULL;
    }
    return server ? &server->demux : NULL;
}

struct fgw_demux *fgw_h2_server_adopt(struct fgw_h2_env *e, struct fgw_conn *from, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                      const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *server = server_init(e, lim, h2, user, owner, peer);
    if (!server) return NULL;
    if (fgw_conn_move(&server->h.conn, from, &fgw_h2_conn_user) < 0) {
        fgw_h2_conn_unmake(&server->h);
        return NULL;
    }
    return &server->demux;
}

struct fgw_demux *fgw_h2_server_new_memory(struct fgw_h2_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                           const struct fgw_h2_limits *h2, const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *server = server_init(e, lim, h2, user, owner, peer);
    if (server) fgw_conn_init_memory(&server->h.conn, e->loop, tp, &fgw_h2_conn_user);
    return server ? &server->demux : NULL;
}

struct fgw_conn *fgw_h2_server_conn(struct fgw_demux *d) { return &of(d)->h.conn; }
size_t fgw_h2_server_size(void) { return sizeof(struct fgw_h2_server); }

static void drain(struct fgw_demux *d) { fgw_h2_drain(of(d)); }
static void cut(struct fgw_demux *d) { fgw_h2_over(&of(d)->h, fgw_fail(FGW_E_DRAINING, FGW_BY_GATEWAY)); }
static const struct fgw_demux_ops demux_ops = {drain, cut};
