/* What a peer may make us do for nothing, and how long it may take. A trip ends the connection; a slow stream only itself. */
#include "http/h2_impl.h"

/* nghttp2 has a bound of its own, 8 continuations, and no word for it. */
enum { SPENT_MS = 10000, CONTINUATIONS_MAX = 7, RATE_GRACE_MS = 10000, REFUND = 2 };

int fgw_h2_trip(struct fgw_h2_conn *h, enum fgw_err fault, uint32_t code)
{
    if (!h->fault) h->fault = (uint8_t)fault, h->code = code;
    return h->receiving ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

bool fgw_h2_spend(struct fgw_h2_conn *h, enum fgw_h2_spent what)
{
    const uint32_t limits[] = {h->h2->resets, h->h2->control, h->h2->empty};
    uint64_t now = fgw_loop_ms(h->env->loop), max = limits[what];        /* the peer went on while we stood still */
    if (!max) return true;
    uint64_t flowed = (now - h->guard.spent[what].at_ms) * max / SPENT_MS;
    if (flowed) {
        h->guard.spent[what].n = flowed < h->guard.spent[what].n ? h->guard.spent[what].n - (uint32_t)flowed : 0;
        h->guard.spent[what].at_ms = now;
    }
    return ++h->guard.spent[what].n <= max;
}

void fgw_h2_refund(struct fgw_h2_conn *h)
{
    uint32_t *n = &h->guard.spent[FGW_H2_CONTROL].n;
    *n -= *n < REFUND ? *n : REFUND;
}

/* What comes for streams that are over is read and dropped by nghttp2 for as long as it comes, windows given back and HPACK kept up: header
 * blocks whose end it does not tell, DATA without any callback, as frames of unknown types. So both are counted by what is not heard. As
 * much of it is no fault as a peer may have sent before it heard of our reset: a window of bytes, an answer's head and trailers with
 * two interim ones. What is more counts as control frames, bytes by the LATE_UNIT: they cost little. */
enum { LATE_HEADS = 4, LATE_UNIT = 32 << 10 };

void fgw_h2_allow_late(struct fgw_h2_conn *h)
{
    h->guard.late_heads += LATE_HEADS;
    h->guard.late_bytes += h->h2->window;
}

static bool late_head(struct fgw_h2_conn *h)
{
    struct fgw_h2_guard *g = &h->guard;
    g->begun = false;
    if (h->state != FGW_H2_OPEN) return false;         /* beyond our GOAWAY streams are ignored by right */
    if (g->late_heads) return g->late_heads--, false;
    return !fgw_h2_spend(h, FGW_H2_CONTROL);
}

void fgw_h2_read(struct fgw_h2_conn *h, uint32_t n)
{
    struct fgw_h2_guard *g = &h->guard;
    g->unheard += n;
    while (fgw_unlikely(g->unheard >= g->late_bytes + LATE_UNIT) && !h->fault) {
        g->late_bytes += LATE_UNIT;
        if (h->state == FGW_H2_OPEN && !fgw_h2_spend(h, FGW_H2_CONTROL)) fgw_h2_trip(h, FGW_E_H2_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static int empty(struct fgw_h2_conn *h) { return fgw_h2_spend(h, FGW_H2_EMPTY) ? 0 : fgw_h2_trip(h, FGW_E_H2_EMPTY, NGHTTP2_ENHANCE_YOUR_CALM); }

int fgw_h2_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct fgw_h2_conn *h = user;
    (void)ng;
    h->guard.unheard -= 9 + (hd->type == NGHTTP2_DATA ? 0 : (int64_t)hd->length);        /* of DATA what is handed out */
    if (fgw_unlikely(h->guard.begun) && hd->type != NGHTTP2_CONTINUATION && late_head(h)) return fgw_h2_trip(h, FGW_E_H2_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
    if (hd->type == NGHTTP2_HEADERS) h->guard.begun = true;
    switch (hd->type) {
    case NGHTTP2_DATA: return hd->length || hd->flags & NGHTTP2_FLAG_END_STREAM ? 0 : empty(h);
    case NGHTTP2_HEADERS: h->guard.continuations = 0, h->heading = NULL; return hd->length > 5 || hd->flags & NGHTTP2_FLAG_END_HEADERS ? 0 : empty(h);
    case NGHTTP2_CONTINUATION:
        if (++h->guard.continuations > CONTINUATIONS_MAX) return fgw_h2_trip(h, FGW_E_H2_CONTINUATION, NGHTTP2_ENHANCE_YOUR_CALM);
        return hd->length ? 0 : empty(h);
    case NGHTTP2_PRIORITY:                             /* nghttp2 no longer reads them */
        if (!hd->stream_id) return fgw_h2_trip(h, FGW_E_H2_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
        /* fallthrough */
    default:                                           /* SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, priorities; of unknown types nghttp2 skips the bytes */
        return fgw_h2_spend(h, FGW_H2_CONTROL) ? 0 : fgw_h2_trip(h, FGW_E_H2_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

/* ---- time ---- */
static bool below(uint64_t bytes, uint32_t rate, uint64_t ms) { return rate && ms > RATE_GRACE_MS && bytes * 1000 < (uint64_t)rate * ms; }

/* A call's messages come when they come. What it may not do is hold a stream open for nothing: as for a tunnel, a byte in either direction is life. */
static void look_lasting(struct fgw_h2_stream *s, uint64_t now)
{
    uint64_t last = s->read_ms > s->out_ms ? s->read_ms : s->out_ms;
    if (s->held || s->out.bytes || now - last < s->side.silence_ms) return;
    s->h->role->bad(s, (enum fgw_err)s->h->role->body_idle);
}

static void look_in(struct fgw_h2_stream *s, uint64_t now)
{
    const struct fgw_h1_limits *lim = s->h->lim;
    if (s->in_end || s->connect || !s->head_done || s->discard || s->expect || !s->side.up) return;
    if (s->side.silence_ms) {
        look_lasting(s, now);
        return;
    }
    if (s->held) {                                     /* we hold it back ourselves: the wait is not the peer's */
        s->body_ms += now - s->h->looked_ms;
        if (s->body_ms > now) s->body_ms = now;
        s->read_ms = now;
    } else if (lim->body_idle_ms && now - s->read_ms >= lim->body_idle_ms) s->h->role->bad(s, (enum fgw_err)s->h->role->body_idle);
    else if (below(s->got, lim->body_rate, now - s->body_ms)) s->h->role->bad(s, (enum fgw_err)s->h->role->body_slow);
}

/* It has bytes and no window, or too little of it, or the socket takes nothing. */
static void look_out(struct fgw_h2_stream *s, uint64_t now)
{
    const struct fgw_h1_limits *lim = s->h->lim;
    const struct fgw_h2_role *r = s->h->role;
    enum fgw_err why = lim->send_idle_ms && now - s->out_ms >= lim->send_idle_ms ? (enum fgw_err)r->send_idle
                       : below(s->taken, lim->send_rate, now - s->out_since) ? (enum fgw_err)r->send_slow : FGW_E_NONE;
    if (!s->out.bytes || !why) return;
    fgw_h2_reset(s, fgw_h2_code(why));
    fgw_h2_abort_up(s, fgw_fail(why, (enum fgw_by)r->by));
}

static void look_streams(struct fgw_h2_conn *h, uint64_t now)
{
    for (struct fgw_link *k = h->streams.next, *next; k != &h->streams; k = next) {
        struct fgw_h2_stream *s = fgw_container(k, struct fgw_h2_stream, link);
        next = k->next;
        if (fgw_h2_mute(s)) continue;
        look_in(s, now);
        if (!s->ours) look_out(s, now);
    }
}

void fgw_h2_look(struct fgw_timer *t)
{
    struct fgw_h2_conn *h = fgw_container(t, struct fgw_h2_conn, timer);
    const struct fgw_h1_limits *lim = h->lim;
    uint64_t now = fgw_h2_now(h);
    look_streams(h, now);
    h->looked_ms = now;
    if (lim->send_idle_ms && h->conn.out.bytes && now - h->sent_ms >= lim->send_idle_ms) {
        fgw_h2_over(h, fgw_fail((enum fgw_err)h->role->send_idle, (enum fgw_by)h->role->by));
        return;
    }
    if (lim->head_ms && ((h->head_ms && now - h->head_ms >= lim->head_ms) || (!h->settled && now - h->born_ms >= lim->head_ms))) {
        fgw_h2_trip(h, FGW_E_HEAD_TIMEOUT, NGHTTP2_ENHANCE_YOUR_CALM);
        fgw_h2_fault(h);
        return;
    }
    if (lim->connection_ms && now - h->born_ms >= lim->connection_ms) h->role->aged(h);
    h->looking = h->nstreams > 0 || h->conn.out.bytes;
    if (h->looking) fgw_loop_timer(h->env->loop, &h->timer, FGW_H2_LOOK_MS);
    else h->role->rested(h);
}
