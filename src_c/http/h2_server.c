/* Connections: life, input, output. What a header block becomes is in h2_head.c, what is sent in h2_down.c, what is not allowed in h2_guard.c. */
#include "http/h2_impl.h"

enum { LAST_MS = 200, FRESH_MS = 500, DISCARD_MAX = 256 << 10 };

static const struct fgw_conn_user conn_user;
static const struct fgw_demux_ops demux_ops;
static void input(struct fgw_h2_server *h);

/* ---- streams ---- */
struct fgw_h2_stream *fgw_h2_stream_new(struct fgw_h2_server *h, int32_t id)
{
    struct fgw_h2_stream *s = fgw_slab_get(&h->env->streams);
    if (!s) return NULL;
    *s = (struct fgw_h2_stream){.h = h, .id = id, .side = {.down = &fgw_h2_server_down, .peer = &h->demux.peer, .minor = 1, .h = 2}};
    fgw_list_push(&h->streams, &s->link);
    h->nstreams++;
    if (!h->looking) {                                 /* the timer was the idle connection's */
        h->looking = true;
        h->looked_ms = fgw_h2_now(h);
        fgw_loop_timer(h->env->loop, &h->timer, FGW_H2_LOOK_MS);
    }
    return s;
}

static void stream_dead(struct fgw_job *j)
{
    struct fgw_h2_stream *s = fgw_container(j, struct fgw_h2_stream, dead);
    fgw_slab_put(&s->h->env->streams, s);
}

void fgw_h2_stream_free(struct fgw_h2_stream *s)
{
    struct fgw_h2_server *h = s->h;
    if (s->freed) return;
    s->freed = true;
    fgw_link_remove(&s->link), fgw_link_remove(&s->stir);
    fgw_buf_clear(&h->env->loop->bufs, &s->out), fgw_buf_clear(&h->env->loop->bufs, &s->early);
    fgw_msg_put(s->m), s->m = NULL;
    if (s->trailers) fgw_block_unref(s->trailers), s->trailers = NULL;
    h->nstreams--;
    if (!h->nstreams) h->idle_ms = fgw_h2_now(h);
    s->dead.run = stream_dead;
    fgw_job_add(&h->env->loop->dead, &s->dead);
}

void fgw_h2_abort_up(struct fgw_h2_stream *s, struct fgw_fail why)
{
    const struct fgw_side_up *up = s->side.up;
    s->aborted = true;
    if (up) up->on_abort(&s->side, why, true);
    s->side.up = NULL, s->released = true;
}

/* ---- ends ---- */
static void server_dead(struct fgw_job *j)
{
    struct fgw_h2_server *h = fgw_container(j, struct fgw_h2_server, dead);
    nghttp2_session_del(h->ng);
    fgw_slab_put(&h->env->servers, h);
}

static void streams_abort(struct fgw_h2_server *h, struct fgw_fail why)
{
    struct fgw_link *k;
    while ((k = fgw_list_first(&h->streams))) {
        struct fgw_h2_stream *s = fgw_container(k, struct fgw_h2_stream, link);
        s->closed = true;
        nghttp2_session_set_stream_user_data(h->ng, s->id, NULL);
        if (!s->released) fgw_h2_abort_up(s, why);
        fgw_h2_stream_free(s);
    }
}

void fgw_h2_over(struct fgw_h2_server *h, struct fgw_fail why)
{
    if (h->state == FGW_H2_CLOSED) return;
    h->state = FGW_H2_CLOSED;
    fgw_conn_close(&h->conn, false);
    streams_abort(h, why);
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_timer_cancel(&h->env->loop->wheel, &h->leave_timer);
    fgw_link_remove(&h->pump.link);
    h->demux.user->gone(&h->demux);
    fgw_job_add(&h->env->loop->dead, &h->dead);
}

static void gone(struct fgw_h2_server *h) { fgw_h2_over(h, fgw_fail(FGW_E_CLIENT_GONE, FGW_BY_CLIENT)); }

/* All is said. Unread input would turn close(2) into a reset that can overtake it, so read on for a while. */
static void linger(struct fgw_h2_server *h)
{
    h->state = FGW_H2_LINGER;
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_conn_shut(&h->conn);
    fgw_loop_timer(h->env->loop, &h->leave_timer, h->lim->linger_ms ? h->lim->linger_ms : 1);
    uint32_t n = fgw_conn_in_len(&h->conn);
    if (n) fgw_conn_take(&h->conn, n);
    if (h->conn.eof) fgw_conn_finish(&h->conn);
}

static void pull(struct fgw_h2_server *h)
{
    const uint8_t *p;
    ssize_t n = 0;
    while (h->conn.out.bytes < FGW_H2_OUT_HIGH && (n = nghttp2_session_mem_send(h->ng, &p)) > 0) fgw_conn_copy(&h->conn, p, (size_t)n);
    if (n < 0) fgw_conn_kill(&h->conn);
}

void fgw_h2_fault(struct fgw_h2_server *h)
{
    enum fgw_err why = (enum fgw_err)h->fault;
    if (h->state >= FGW_H2_LINGER) return;
    h->demux.user->refused(&h->demux, NULL, why);
    nghttp2_session_terminate_session(h->ng, h->code);
    pull(h);
    streams_abort(h, fgw_fail(why, FGW_BY_CLIENT));
    linger(h);
}

void fgw_h2_leave(struct fgw_h2_server *h)
{
    if (h->state >= FGW_H2_LEAVING) return;
    h->state = FGW_H2_LEAVING;
    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR, NULL, 0);
    fgw_h2_later(h);
}

static void leave_due(struct fgw_timer *t)
{
    struct fgw_h2_server *h = fgw_container(t, struct fgw_h2_server, leave_timer);
    if (h->state == FGW_H2_LINGER) gone(h);
    else fgw_h2_leave(h);
}

void fgw_h2_drain(struct fgw_h2_server *h)
{
    if (h->state != FGW_H2_OPEN) return;
    h->state = FGW_H2_NOTICED;
    nghttp2_submit_shutdown_notice(h->ng);
    fgw_loop_timer(h->env->loop, &h->leave_timer, h->requests ? LAST_MS : FRESH_MS);
    fgw_h2_later(h);
}

/* ---- output ---- */
/* What nghttp2 took is told; an answer that is whole while its request is not ends the stream without blame (section 8.1). */
static void stirred(struct fgw_h2_server *h)
{
    struct fgw_link *k;
    while ((k = fgw_list_pop(&h->stirred))) {
        struct fgw_h2_stream *s = fgw_container(k, struct fgw_h2_stream, stir);
        uint64_t room = s->room;
        s->room = 0;
        if (s->connect) fgw_h2_tunnel_run(s);
        if (s->eof && s->released && !s->in_end && !s->closed) fgw_h2_reset(s, NGHTTP2_NO_ERROR);
        if (room && s->side.up) s->side.up->on_room(&s->side, room);
    }
}

static void pump(struct fgw_job *j)
{
    struct fgw_h2_server *h = fgw_container(j, struct fgw_h2_server, pump);
    if (h->state >= FGW_H2_LINGER) return;
    if (fgw_conn_in_len(&h->conn)) {                   /* what another codec had read */
        input(h);
        if (h->state >= FGW_H2_LINGER) return;
    }
    bool idle = h->conn.out.bytes == 0;
    for (int i = 0; i < 2; i++) {
        pull(h);
        if (h->fault) {
            fgw_h2_fault(h);
            return;
        }
        if (fgw_list_empty(&h->stirred)) break;
        stirred(h);
    }
    if (idle) h->sent_ms = fgw_h2_now(h);
    if (!h->nstreams && !nghttp2_session_want_write(h->ng) && (h->state == FGW_H2_LEAVING || !nghttp2_session_want_read(h->ng))) linger(h);
}

static void on_sent(struct fgw_conn *c, uint64_t n)
{
    struct fgw_h2_server *h = fgw_container(c, struct fgw_h2_server, conn);
    if (n) h->sent_ms = fgw_h2_now(h);
    if (h->state < FGW_H2_LINGER && c->out.bytes < FGW_H2_OUT_HIGH && nghttp2_session_want_write(h->ng)) fgw_h2_later(h);
}

/* ---- input: nghttp2's callbacks ---- */
static void in_end(struct fgw_h2_stream *s)
{
    s->in_end = true;
    if (fgw_h2_tunnel_waits(s)) return;                /* told with what is held */
    s->in_told = true;
    if (s->side.up) s->side.up->on_end(&s->side);
    else if (s->eof) fgw_h2_stir(s);
}

static void request(struct fgw_h2_stream *s, bool end)
{
    struct fgw_h2_server *h = s->h;
    const struct fgw_h1_limits *lim = h->lim;
    enum fgw_err e = fgw_h2_head_end(s, end);
    s->head_done = true, s->grpc = fgw_grpc_is(&s->m->head);
    s->body_ms = s->read_ms = fgw_h2_now(h);
    if (++h->requests == lim->requests_max && lim->requests_max) fgw_h2_drain(h);
    if (e) {
        s->in_end = end;
        fgw_h2_refuse(s, e);
        fgw_msg_put(s->m), s->m = NULL;
        return;
    }
    struct fgw_msg *m = s->m;
    s->m = NULL;
    s->expect = m->expect && !end && !s->connect;
    h->demux.user->begin(&h->demux, &s->side);
    if (!s->side.up) {                                 /* nobody took it: nothing was done, another may be asked */
        h->demux.user->refused(&h->demux, m, FGW_E_OVERLOAD);
        fgw_msg_put(m);
        s->released = true;
        fgw_h2_reset(s, NGHTTP2_REFUSED_STREAM);
        return;
    }
    s->side.up->on_head(&s->side, m);
    if (s->connect && s->side.up) s->side.up->on_end(&s->side);          /* the request is whole; what follows is the tunnel's */
    if (end) in_end(s);
}

static void trailers(struct fgw_h2_stream *s)
{
    enum fgw_err e = s->connect ? FGW_E_BAD_REQUEST : fgw_h2_trailers_end(s);        /* section 8.5: DATA and nothing else */
    struct fgw_msg *m = s->m;
    s->m = NULL;
    if (!e && s->side.up && !s->discard && m->head.nfields) s->side.up->on_trailers(&s->side, m);
    else fgw_msg_put(m);
    if (e) fgw_h2_refuse(s, e);
    else in_end(s);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_server *h = user;
    struct fgw_h2_stream *s = f->hd.stream_id ? nghttp2_session_get_stream_user_data(ng, f->hd.stream_id) : NULL;
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (f->hd.type == NGHTTP2_SETTINGS) h->settled = true;
    if (f->hd.type == NGHTTP2_HEADERS) h->head_ms = 0;
    if (f->hd.type == NGHTTP2_DATA && f->hd.length && f->hd.length <= f->data.padlen && !end && !fgw_h2_spend(h, FGW_H2_EMPTY))
        return fgw_h2_trip(h, FGW_E_H2_EMPTY, NGHTTP2_ENHANCE_YOUR_CALM);
    if (!s || s->ours) return 0;
    if (f->hd.type == NGHTTP2_HEADERS && s->m) s->head_done ? trailers(s) : request(s, end);
    else if (f->hd.type == NGHTTP2_DATA && end) in_end(s);
    return h->fault ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int wasted(struct fgw_h2_server *h);

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct fgw_h2_server *h = user;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
    (void)flags;
    nghttp2_session_consume_connection(ng, n);
    if (!s || !s->side.up || s->discard) return 0;
    if (s->ours) return 0;
    if (s->held + n > h->h2->window) {                 /* nghttp2 resets it, but hands the bytes out all the same */
        s->ours = true;
        return wasted(h);
    }
    struct fgw_block *b = h->conn.in_b;
    FGW_CHECK((const char *)p >= b->data + h->conn.in_off && (const char *)p + n <= b->data + h->conn.in_end);
    s->expect = false;
    s->got += n, s->held += n;
    s->read_ms = fgw_h2_now(h);
    struct fgw_span bytes = {b, (uint32_t)((const char *)p - b->data), (uint32_t)n};
    if (!fgw_h2_tunnel_waits(s)) s->side.up->on_body(&s->side, bytes);
    else if (!fgw_h2_tunnel_hold(s, bytes)) return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

/* Whoever resets streams, or has them reset for faults, makes us work for nothing (CVE-2023-44487, CVE-2025-8671). */
static int wasted(struct fgw_h2_server *h) { return fgw_h2_spend(h, FGW_H2_RESETS) ? 0 : fgw_h2_trip(h, FGW_E_H2_RESETS, NGHTTP2_ENHANCE_YOUR_CALM); }

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
    struct fgw_h2_server *h = user;
    struct fgw_h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
    bool ours = s && s->ours;
    if (!s) return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    s->closed = true;
    if (s->m && !s->head_done) h->head_ms = 0;
    if (!s->head_done && code) h->demux.user->refused(&h->demux, s->m, ours ? FGW_E_NO_MEMORY : FGW_E_BAD_REQUEST);
    if (!s->head_done) s->released = true;
    if (!s->released && !code && s->in_end && s->eof) return 0;          /* whole; its user lets go when it likes */
    if (!s->released) fgw_h2_abort_up(s, fgw_fail(ours ? FGW_E_CANCELLED : code == NGHTTP2_PROTOCOL_ERROR ? FGW_E_BAD_FRAMING : FGW_E_CLIENT_GONE, FGW_BY_CLIENT));
    fgw_h2_later(h);
    fgw_h2_stream_free(s);
    return code && !ours ? wasted(h) : 0;
}

/* nghttp2 answers such a frame itself, with a reset or with GOAWAY. */
static int on_invalid(nghttp2_session *ng, const nghttp2_frame *f, int error, void *user)
{
    struct fgw_h2_server *h = user;
    (void)error;
    if (f->hd.type == NGHTTP2_HEADERS) h->head_ms = 0;
    return f->hd.stream_id && !nghttp2_session_get_stream_user_data(ng, f->hd.stream_id) ? wasted(h) : 0;
}

/* gRPC's clients open a stream's window with every call, whatever is answered. And where nghttp2 found a fault itself, what it says last
 * is all there is to say. */
static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_server *h = user;
    (void)ng;
    if (f->hd.type == NGHTTP2_HEADERS) fgw_h2_refund(h);
    if (f->hd.type == NGHTTP2_GOAWAY && f->goaway.error_code && !h->fault) h->fault = FGW_E_H2_PROTOCOL, h->code = f->goaway.error_code;
    return 0;
}

void fgw_h2_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, fgw_h2_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, fgw_h2_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, fgw_h2_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, fgw_h2_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid);
    nghttp2_session_callbacks_set_send_data_callback(cb, fgw_h2_send_data);
}

/* ---- input ---- */
static void read_linger(struct fgw_h2_server *h)
{
    uint32_t n = fgw_conn_in_len(&h->conn);
    h->discarded += n;
    if (n) fgw_conn_take(&h->conn, n);
    if (h->conn.eof || h->discarded > DISCARD_MAX) fgw_conn_finish(&h->conn);
}

static void input(struct fgw_h2_server *h)
{
    struct fgw_conn *c = &h->conn;
    uint32_t n = fgw_conn_in_len(c);
    if (h->state == FGW_H2_LINGER) {
        read_linger(h);
        return;
    }
    if (n) {
        h->receiving = true;
        ssize_t r = nghttp2_session_mem_recv(h->ng, (const uint8_t *)fgw_conn_in(c), n);
        h->receiving = false;
        if (r == NGHTTP2_ERR_FLOODED) fgw_h2_trip(h, FGW_E_H2_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
        else if (r < 0) fgw_h2_trip(h, FGW_E_H2_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
        if (h->fault) {
            fgw_h2_fault(h);
            return;
        }
        fgw_conn_take(c, n);
    }
    if (c->eof) gone(h);
    else if (nghttp2_session_want_write(h->ng) || h->state == FGW_H2_LEAVING || !nghttp2_session_want_read(h->ng)) fgw_h2_later(h);
}

static void on_input(struct fgw_conn *c) { input(fgw_container(c, struct fgw_h2_server, conn)); }
static void on_fail(struct fgw_conn *c) { gone(fgw_container(c, struct fgw_h2_server, conn)); }
static const struct fgw_conn_user conn_user = {.on_input = on_input, .on_sent = on_sent, .on_fail = on_fail};
static void look(struct fgw_timer *t) { fgw_h2_look(fgw_container(t, struct fgw_h2_server, timer)); }

/* ---- life ---- */
static bool session(struct fgw_h2_server *h)
{
    nghttp2_mem mem = fgw_h2_mem(h->env);
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->h2->streams}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->h2->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->lim->head.head_max}, {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};
    return nghttp2_session_server_new3(&h->ng, h->env->callbacks, h, h->env->option, &mem) == 0 &&
           nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, iv, FGW_COUNT(iv)) == 0 &&
           nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, (int32_t)h->h2->connection_window) == 0;
}

static void unmake(struct fgw_h2_server *h)
{
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_link_remove(&h->pump.link);
    nghttp2_session_del(h->ng);
    fgw_slab_put(&h->env->servers, h);
}

static struct fgw_h2_server *server_init(struct fgw_h2_env *e, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                         const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *h = fgw_slab_get(&e->servers);
    if (!h) return NULL;
    *h = (struct fgw_h2_server){.env = e, .lim = lim, .h2 = h2, .pump = {.run = pump}, .dead = {.run = server_dead},
                                .timer = {.fire = look}, .leave_timer = {.fire = leave_due}};
    h->born_ms = h->idle_ms = h->sent_ms = h->looked_ms = fgw_loop_ms(e->loop);
    fgw_list_init(&h->streams), fgw_list_init(&h->stirred);
    fgw_demux_init(&h->demux, &demux_ops, user, owner, peer);
    h->demux.h = 2;
    fgw_loop_timer(e->loop, &h->timer, lim->head_ms ? lim->head_ms : lim->keepalive_ms);
    fgw_h2_later(h);
    if (session(h)) return h;
    unmake(h);
    return NULL;
}

struct fgw_demux *fgw_h2_server_new(struct fgw_h2_env *e, int fd, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                    const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *h = server_init(e, lim, h2, user, owner, peer);
    if (h && fgw_conn_init(&h->conn, e->loop, fd, false, &conn_user) < 0) {
        unmake(h);
        return NULL;
    }
    return h ? &h->demux : NULL;
}

struct fgw_demux *fgw_h2_server_adopt(struct fgw_h2_env *e, struct fgw_conn *from, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                      const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *h = server_init(e, lim, h2, user, owner, peer);
    if (!h) return NULL;
    if (fgw_conn_move(&h->conn, from, &conn_user) < 0) {
        unmake(h);
        return NULL;
    }
    return &h->demux;
}

struct fgw_demux *fgw_h2_server_new_memory(struct fgw_h2_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                           const struct fgw_h2_limits *h2, const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer)
{
    struct fgw_h2_server *h = server_init(e, lim, h2, user, owner, peer);
    if (h) fgw_conn_init_memory(&h->conn, e->loop, tp, &conn_user);
    return h ? &h->demux : NULL;
}

static struct fgw_h2_server *of(struct fgw_demux *d) { return fgw_container(d, struct fgw_h2_server, demux); }
struct fgw_conn *fgw_h2_server_conn(struct fgw_demux *d) { return &of(d)->conn; }
size_t fgw_h2_server_size(void) { return sizeof(struct fgw_h2_server); }

static void drain(struct fgw_demux *d) { fgw_h2_drain(of(d)); }
static void cut(struct fgw_demux *d) { fgw_h2_over(of(d), fgw_fail(FGW_E_DRAINING, FGW_BY_GATEWAY)); }
static const struct fgw_demux_ops demux_ops = {drain, cut};
