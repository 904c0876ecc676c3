/* A connection of either role: streams, input, output, ends. What the roles do with it is in h2_server.c and h2_client.c. */
#include "http/h2_tunnel.h"

enum { DISCARD_MAX = 256 << 10 };

/* ---- streams ---- */
static struct fgw_h2_stream *stream_at(const struct fgw_h2_conn *h, int32_t id)
{
    return h->heading && h->heading->id == id ? h->heading : nghttp2_session_get_stream_user_data(h->ng, id);
}

void fgw_h2_stream_add(struct fgw_h2_conn *h, struct fgw_h2_stream *s)
{
    fgw_list_push(&h->streams, &s->link);
    h->nstreams++;
    if (!h->looking) {                                 /* the timer was the idle connection's */
        h->looking = true;
        h->looked_ms = fgw_h2_now(h);
        fgw_loop_timer(h->env->loop, &h->timer, FGW_H2_LOOK_MS);
    }
}

void fgw_h2_unbind(struct fgw_h2_stream *s)
{
    if (s->h->heading == s) s->h->heading = NULL;
    if (s->id) nghttp2_session_set_stream_user_data(s->h->ng, s->id, NULL);
}

static void stream_dead(struct fgw_job *j)
{
    struct fgw_h2_stream *s = fgw_container(j, struct fgw_h2_stream, dead);
    fgw_slab_put(&s->h->env->streams, s);
}

static void conn_dead(struct fgw_job *j)
{
    struct fgw_h2_conn *h = fgw_container(j, struct fgw_h2_conn, dead);
    nghttp2_session_del(h->ng);
    h->role->dead(h);
}

void fgw_h2_stream_free(struct fgw_h2_stream *s)
{
    struct fgw_h2_conn *h = s->h;
    if (s->freed) return;
    s->freed = true;
    if (h->heading == s) h->heading = NULL;
    fgw_link_remove(&s->link), fgw_link_remove(&s->stir);
    fgw_buf_clear(&h->env->loop->bufs, &s->out), fgw_buf_clear(&h->env->loop->bufs, &s->early);
    fgw_msg_put(s->m), s->m = NULL;
    if (s->trailers) fgw_block_unref(s->trailers), s->trailers = NULL;
    h->nstreams--;
    if (!h->nstreams) h->idle_ms = fgw_h2_now(h);
    s->dead.run = stream_dead;
    fgw_job_add(&h->env->loop->dead, &s->dead);
    h->role->freed(h);
    if (h->state == FGW_H2_CLOSED && !h->nstreams) fgw_job_add(&h->env->loop->dead, &h->dead);   /* behind the stream's */
}

void fgw_h2_abort_up(struct fgw_h2_stream *s, struct fgw_fail why)
{
    const struct fgw_side_up *up = s->side.up;
    s->aborted = true;
    if (up) up->on_abort(&s->side, why, !why.retry_safe);
    s->side.up = NULL, s->released = true;
}

/* ---- ends ---- */
/* One that is whole is its user's until it lets go, also when the connection is not there any more. */
void fgw_h2_streams_abort(struct fgw_h2_conn *h, struct fgw_fail why)
{
    struct fgw_link all;
    struct fgw_link *k;
    fgw_list_init(&all);
    fgw_list_splice(&all, &h->streams);
    while ((k = fgw_list_pop(&all))) {
        struct fgw_h2_stream *s = fgw_container(k, struct fgw_h2_stream, link);
        struct fgw_fail own = h->role->lost(s, why);
        fgw_list_push(&h->streams, &s->link);
        s->closed = true;
        fgw_h2_unbind(s);
        if (!s->released && !own.code) continue;
        if (!s->released) fgw_h2_abort_up(s, own);
        fgw_h2_stream_free(s);
    }
}

void fgw_h2_over(struct fgw_h2_conn *h, struct fgw_fail why)
{
    if (h->state == FGW_H2_CLOSED) return;
    h->state = FGW_H2_CLOSED;
    fgw_conn_close(&h->conn, false);
    fgw_h2_streams_abort(h, why);
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_timer_cancel(&h->env->loop->wheel, &h->leave_timer);
    fgw_link_remove(&h->pump.link);
    h->role->over(h, why);
    if (!h->nstreams) fgw_job_add(&h->env->loop->dead, &h->dead);
}

void fgw_h2_lost(struct fgw_h2_conn *h) { fgw_h2_over(h, fgw_fail(h->role->by == FGW_BY_CLIENT ? FGW_E_CLIENT_GONE : FGW_E_UPSTREAM_CLOSED, h->role->by)); }

/* All is said. Unread input would turn close(2) into a reset that can overtake it, so read on for a while. */
void fgw_h2_linger(struct fgw_h2_conn *h)
{
    h->state = FGW_H2_LINGER;
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_conn_shut(&h->conn);
    fgw_loop_timer(h->env->loop, &h->leave_timer, h->lim->linger_ms ? h->lim->linger_ms : 1);
    uint32_t n = fgw_conn_in_len(&h->conn);
    if (n) fgw_conn_take(&h->conn, n);
    if (h->conn.eof) fgw_conn_finish(&h->conn);
}

void fgw_h2_pull(struct fgw_h2_conn *h)
{
    const uint8_t *p;
    ssize_t n = 0;
    while (h->conn.out.bytes < FGW_H2_OUT_HIGH && (n = nghttp2_session_mem_send(h->ng, &p)) > 0) fgw_conn_copy(&h->conn, p, (size_t)n);
    fgw_h2_frame_over(h->env);
    if (n < 0) fgw_conn_kill(&h->conn);
}

void fgw_h2_fault(struct fgw_h2_conn *h)
{
    if (h->state >= FGW_H2_LINGER) return;
    nghttp2_session_terminate_session(h->ng, h->code);
    fgw_h2_pull(h);
    h->role->fault(h, (enum fgw_err)h->fault);
    fgw_h2_linger(h);
}

/* ---- output ---- */
/* What nghttp2 took is told; an answer that is whole while its request is not ends the stream without blame (section 8.1). */
static void stirred(struct fgw_h2_conn *h)
{
    struct fgw_link *k;
    while ((k = fgw_list_pop(&h->stirred))) {
        struct fgw_h2_stream *s = fgw_container(k, struct fgw_h2_stream, stir);
        uint64_t room = s->room;
        s->room = 0;
        if (s->failed) {
            h->role->bad(s, (enum fgw_err)s->failed);
            continue;
        }
        if (s->connect) fgw_h2_tunnel_run(s);
        if (s->eof && s->released && !s->in_end && !s->closed) fgw_h2_reset(s, NGHTTP2_NO_ERROR);
        if (room && s->side.up) s->side.up->on_room(&s->side, room);
    }
}

static void input(struct fgw_h2_conn *h);

static void pump(struct fgw_job *j)
{
    struct fgw_h2_conn *h = fgw_container(j, struct fgw_h2_conn, pump);
    if (h->state >= FGW_H2_LINGER || h->state == FGW_H2_DIALING) return;
    if (fgw_conn_in_len(&h->conn)) {                   /* what another codec had read */
        input(h);
        if (h->state >= FGW_H2_LINGER) return;
    }
    bool idle = h->conn.out.bytes == 0;
    for (int i = 0; i < 2; i++) {
        fgw_h2_pull(h);
        if (h->fault) {
            fgw_h2_fault(h);
            return;
        }
        if (fgw_list_empty(&h->stirred)) break;
        stirred(h);
    }
    if (idle) h->sent_ms = fgw_h2_now(h);
    h->role->done(h);
}

static void on_sent(struct fgw_conn *c, uint64_t n)
{
    struct fgw_h2_conn *h = fgw_container(c, struct fgw_h2_conn, conn);
    if (n) h->sent_ms = fgw_h2_now(h);
    if (h->state < FGW_H2_LINGER && c->out.bytes < FGW_H2_OUT_HIGH && nghttp2_session_want_write(h->ng)) fgw_h2_later(h);
}

/* ---- input: nghttp2's callbacks ---- */
void fgw_h2_in_end(struct fgw_h2_stream *s)
{
    s->in_end = true;
    if (fgw_h2_tunnel_waits(s)) return;                /* told with what is held */
    s->in_told = true;
    if (s->side.up) s->side.up->on_end(&s->side);
    else if (s->eof) fgw_h2_stir(s);
}

static void trailers(struct fgw_h2_stream *s)
{
    enum fgw_err e = s->connect ? FGW_E_BAD_REQUEST : fgw_h2_trailers_end(s);        /* section 8.5: DATA and nothing else */
    struct fgw_msg *m = s->m;
    s->m = NULL;
    if (!e && s->side.up && !s->discard && m->head.nfields) s->side.up->on_trailers(&s->side, m);
    else fgw_msg_put(m);
    if (e) s->h->role->bad(s, e);
    else fgw_h2_in_end(s);
}

int fgw_h2_on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = f->hd.stream_id ? stream_at(h, f->hd.stream_id) : NULL;
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    (void)ng;
    if (f->hd.type == NGHTTP2_SETTINGS) h->settled = true;
    if (f->hd.type == NGHTTP2_HEADERS) h->head_ms = 0;
    if (f->hd.type == NGHTTP2_DATA && f->hd.length && f->hd.length <= f->data.padlen && !end && !fgw_h2_spend(h, FGW_H2_EMPTY))
        return fgw_h2_trip(h, FGW_E_H2_EMPTY, NGHTTP2_ENHANCE_YOUR_CALM);
    if (s && f->hd.type == NGHTTP2_RST_STREAM) s->theirs = true;
    if (!s || s->ours) return 0;
    h->guard.begun = false;
    if (f->hd.type == NGHTTP2_DATA) h->guard.unheard -= (int64_t)f->data.padlen;
    if (f->hd.type == NGHTTP2_HEADERS && s->m) s->head_done ? trailers(s) : h->role->head(s, end);
    else if (f->hd.type == NGHTTP2_DATA && end) fgw_h2_in_end(s);
    return h->fault ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct fgw_h2_conn *h = user;
    struct fgw_h2_stream *s = stream_at(h, id);
    (void)flags;
    nghttp2_session_consume_connection(ng, n);
    if (!s || s->ours) return 0;
    h->guard.unheard -= (int64_t)n;
    if (!s->side.up || s->discard) return 0;
    if (s->held + n > h->h2->window) {                 /* nghttp2 resets it, but hands the bytes out all the same */
        s->ours = true;
        return fgw_h2_wasted(h);
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
int fgw_h2_wasted(struct fgw_h2_conn *h) { return fgw_h2_spend(h, FGW_H2_RESETS) ? 0 : fgw_h2_trip(h, FGW_E_H2_RESETS, NGHTTP2_ENHANCE_YOUR_CALM); }

/* nghttp2 answers such a frame itself, with a reset or with GOAWAY. */
static int on_invalid(nghttp2_session *ng, const nghttp2_frame *f, int error, void *user)
{
    struct fgw_h2_conn *h = user;
    (void)error;
    if (f->hd.type == NGHTTP2_HEADERS) h->head_ms = 0;
    return f->hd.stream_id && !nghttp2_session_get_stream_user_data(ng, f->hd.stream_id) ? fgw_h2_wasted(h) : 0;
}

/* gRPC's ends open a stream's window with every call, whatever is answered. And where nghttp2 found a fault itself, what it says last is
 * all there is to say. */
static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct fgw_h2_conn *h = user;
    (void)ng;
    if (f->hd.type == NGHTTP2_HEADERS) fgw_h2_refund(h);
    if (f->hd.type == NGHTTP2_RST_STREAM) fgw_h2_allow_late(h);
    if (f->hd.type == NGHTTP2_GOAWAY && h->state == FGW_H2_NOTICED) nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
    if (f->hd.type == NGHTTP2_GOAWAY && f->goaway.error_code && !h->fault) h->fault = FGW_E_H2_PROTOCOL, h->code = f->goaway.error_code;
    return 0;
}

nghttp2_session_callbacks *fgw_h2_callbacks(void)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb)) return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, fgw_h2_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(cb, fgw_h2_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, fgw_h2_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, fgw_h2_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid);
    nghttp2_session_callbacks_set_send_data_callback(cb, fgw_h2_send_data);
    return cb;
}

/* ---- input ---- */
static void read_linger(struct fgw_h2_conn *h)
{
    uint32_t n = fgw_conn_in_len(&h->conn);
    h->discarded += n;
    if (n) fgw_conn_take(&h->conn, n);
    if (h->conn.eof || h->discarded > DISCARD_MAX) fgw_conn_finish(&h->conn);
}

static void input(struct fgw_h2_conn *h)
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
        else fgw_h2_read(h, n);
        if (h->fault) {
            fgw_h2_fault(h);
            return;
        }
        fgw_conn_take(c, n);
    }
    if (c->eof) fgw_h2_lost(h);
    else if (nghttp2_session_want_write(h->ng) || h->state == FGW_H2_LEAVING || !nghttp2_session_want_read(h->ng)) fgw_h2_later(h);
}

static void on_input(struct fgw_conn *c) { input(fgw_container(c, struct fgw_h2_conn, conn)); }
static void on_fail(struct fgw_conn *c) { fgw_h2_lost(fgw_container(c, struct fgw_h2_conn, conn)); }
const struct fgw_conn_user fgw_h2_conn_user = {.on_input = on_input, .on_sent = on_sent, .on_fail = on_fail};

/* ---- life ---- */
static void lingered(struct fgw_timer *t) { fgw_h2_lost(fgw_container(t, struct fgw_h2_conn, leave_timer)); }

void fgw_h2_conn_init(struct fgw_h2_conn *h, const struct fgw_h2_role *role, struct fgw_h2_env *e, const struct fgw_h1_limits *lim,
                      const struct fgw_h2_limits *h2)
{
    h->role = role, h->env = e, h->lim = lim, h->h2 = h2;
    h->pump.run = pump, h->dead.run = conn_dead;
    h->timer.fire = fgw_h2_look, h->leave_timer.fire = lingered;
    h->state = FGW_H2_OPEN;
    h->born_ms = h->idle_ms = h->sent_ms = h->looked_ms = fgw_loop_ran_ms(e->loop);
    fgw_list_init(&h->streams), fgw_list_init(&h->stirred);
}

void fgw_h2_conn_unmake(struct fgw_h2_conn *h)
{
    fgw_timer_cancel(&h->env->loop->wheel, &h->timer);
    fgw_link_remove(&h->pump.link);
    nghttp2_session_del(h->ng);
    h->role->dead(h);
}
