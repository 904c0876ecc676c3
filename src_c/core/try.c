/* One attempt to have a request answered: lease a side, send what the exchange wants sent, hear what comes of it. */
#include "core/exchange.h"

enum { KEEP_MAX = 64 << 10, TRIES_MAX = 2 };
static const struct fgw_side_up try_up;

/* What may follow what. A try that fails is dropped from any state; the next one begins anew. */
static const struct { const char *name; unsigned to; } STATES[] = {
    [FGW_TRY_NONE]  = {"none",  1u << FGW_TRY_LEASE},
    [FGW_TRY_LEASE] = {"lease", 1u << FGW_TRY_SENT | 1u << FGW_TRY_NONE},
    [FGW_TRY_SENT]  = {"sent",  1u << FGW_TRY_WON | 1u << FGW_TRY_NONE},
    [FGW_TRY_WON]   = {"won",   1u << FGW_TRY_NONE},
};
const char *fgw_try_state_name(enum fgw_try_state s) { return s < FGW_COUNT(STATES) ? STATES[s].name : "?"; }
unsigned fgw_try_next(enum fgw_try_state s) { return s < FGW_COUNT(STATES) ? STATES[s].to : 0; }

static void state_set(struct fgw_try *t, enum fgw_try_state to)
{
    FGW_CHECK(STATES[t->state].to & (1u << to));
    t->state = (uint8_t)to;
}

static void leave(struct fgw_exchange *x) { if (x->ended) fgw_exchange_end(x); }
static void first_byte_timer(struct fgw_try *t)
{
    uint32_t ms = t->x->first_byte_ms ? t->x->first_byte_ms : t->lease.pool->set.first_byte_ms;
    fgw_loop_timer(&t->x->w->loop, &t->timer, ms);
}

static bool may_have_body(struct fgw_str method)
{
    return fgw_str_eq(method, FGW_STR("POST")) || fgw_str_eq(method, FGW_STR("PUT")) || fgw_str_eq(method, FGW_STR("PATCH"));
}

static struct fgw_str ep_host(const struct fgw_try *t)
{
    const char *name = t->lease.ep->e.name;                /* the address as configured; a path is no host */
    if (strncmp(name, "unix:", 5) == 0) name = t->lease.pool->host;
    return fgw_str(name, strlen(name));
}

static struct fgw_str target_out(struct fgw_req *r)
{
    if (!r->target.has_query) return r->path_out;
    char *p = fgw_arena_alloc(&r->arena, (size_t)r->path_out.n + r->target.query.n + 1);
    if (!p) return fgw_str(NULL, 0);
    memcpy(p, r->path_out.p, r->path_out.n);
    p[r->path_out.n] = '?';
    if (r->target.query.n) memcpy(p + r->path_out.n + 1, r->target.query.p, r->target.query.n);
    return fgw_str(p, (size_t)r->path_out.n + r->target.query.n + 1);
}

static void set_length(const struct fgw_exchange *x, struct fgw_out *o)
{
    o->len = x->msg->len;
    o->length = x->msg->length;
    if (o->len != FGW_LEN_NONE && x->filters[0]) o->len = FGW_LEN_UNKNOWN;
    if (o->len == FGW_LEN_NONE && may_have_body(o->method)) o->len = FGW_LEN_KNOWN, o->length = 0;
}

static void send_request(struct fgw_try *t)
{
    struct fgw_exchange *x = t->x;
    struct fgw_req *r = &x->r;
    struct fgw_side *s = t->lease.side;
    bool told = !x->deadline_ns || fgw_grpc_remaining(x);
    struct fgw_out o = {.fields = r->out.v, .nfields = r->out.n, .method = r->method, .scheme = r->scheme, .target = target_out(r)};
    s->up = &try_up, s->user = t;
    state_set(t, FGW_TRY_SENT);
    t->sent_ns = x->w->loop.clock.mono_ns;
    fgw_stats_try_begun(fgw_worker_upstream(x->w, t->lease.pool));
    x->tries++;
    memcpy(x->endpoint, t->lease.ep->e.name, sizeof x->endpoint);
    o.authority = t->lease.pool->set.host_rewrite || !r->authority.n ? ep_host(t) : r->authority;
    set_length(x, &o);
    o.upgrade = fgw_msg_upgrade(x->msg), o.upgrade_only = x->msg->upgrade_only, o.never = x->msg->never;
    const struct fgw_field *te = fgw_head_find(&x->msg->head, FGW_H_TE);
    o.trailers = te && fgw_list_has(fgw_head_value(&x->msg->head, te), FGW_STR("trailers"));
    /* Towards HTTP/1.1 not: whoever says that it is a call could take its time anywhere. */
    if (r->grpc && t->lease.pool->protocol != FGW_PROTO_H1) s->silence_ms = x->front->silence_ms = r->route->tunnel_idle_ms ? r->route->tunnel_idle_ms : UINT32_MAX;
    if (!o.target.p || !told) {
        fgw_exchange_refuse(x, fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
        return;
    }
    s->down->send_head(s, &o);
    for (struct fgw_buf_node *n = x->kept.first; n; n = n->next) s->down->send_body(s, n->s);
    if (x->request_ended) fgw_try_request_end(x);
    first_byte_timer(t);
}

/* ---- failure: again, or told ---- */
static bool idempotent(struct fgw_str m)
{
    static const char *const safe[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};   /* RFC 9110 section 9.2.2 */
    for (size_t i = 0; i < FGW_COUNT(safe); i++)
        if (fgw_str_eq(m, fgw_str(safe[i], strlen(safe[i])))) return true;
    return false;
}

static bool may_retry(const struct fgw_try *t, struct fgw_fail why, bool processed)
{
    const struct fgw_exchange *x = t->x;
    int max = why.code == FGW_E_UPSTREAM_GOAWAY ? 1 + t->lease.pool->set.retry_goaway : TRIES_MAX;   /* a busy server that counts requests ends many connections */
    if (x->kept_lost || x->tries >= max || x->rp != FGW_RP_WAIT) return false;
    if (!processed) return true;
    bool broke = why.code == FGW_E_UPSTREAM_CLOSED || why.code == FGW_E_UPSTREAM_RESET;
    return t->lease.warm && broke && !why.heard && idempotent(x->r.method);
}

static void try_failed(struct fgw_try *t, struct fgw_fail why, bool processed)
{
    struct fgw_exchange *x = t->x;
    bool again = t->state == FGW_TRY_SENT && may_retry(t, why, processed);
    bool usual = again && why.code == FGW_E_UPSTREAM_GOAWAY;     /* how connections end: nobody has failed */
    x->fail = why;
    if (why.by == FGW_BY_UPSTREAM && t->state != FGW_TRY_LEASE) {
        struct fgw_stats_cell *cell = fgw_worker_upstream(x->w, t->lease.pool);
        if (!usual) fgw_stats_add(&cell->upstream_failures, 1);
        if (again) fgw_stats_add(&cell->retries, 1);
        if (!usual) fgw_worker_report(x->w, 2, "upstream %s endpoint %s: %s%s", t->lease.pool->name, t->lease.ep ? t->lease.ep->e.name : "-",
                          fgw_err_word((enum fgw_err)why.code), again ? ", tried again" : "");
    }
    if (!again) {
        fgw_exchange_refuse(x, why);
        return;
    }
    x->died_at = usual ? NULL : t->lease.ep;
    x->refused = usual || why.code == FGW_E_UPSTREAM_REFUSED;    /* no connection has died: another that is open will do */
    fgw_try_drop(x);
    x->fail = (struct fgw_fail){0};
    fgw_try_start(x);
}

static void leased(struct fgw_lease *l)
{
    struct fgw_try *t = fgw_container(l, struct fgw_try, lease);
    struct fgw_exchange *x = t->x;
    if (l->side) send_request(t);
    else try_failed(t, l->fail, false);
    leave(x);
}

static void first_byte(struct fgw_timer *timer)
{
    struct fgw_try *t = fgw_container(timer, struct fgw_try, timer);
    struct fgw_exchange *x = t->x;
    if (!x->request_ended) {                           /* the client is still sending: it is not the upstream's turn */
        first_byte_timer(t);
        return;
    }
    try_failed(t, fgw_fail(FGW_E_FIRST_BYTE_TIMEOUT, FGW_BY_UPSTREAM), true);
    leave(x);
}

bool fgw_try_start(struct fgw_exchange *x)
{
    struct fgw_try *t = fgw_slab_get(&x->w->tries);
    if (!t || !x->pool) {
        fgw_slab_put(&x->w->tries, t);
        fgw_exchange_refuse(x, fgw_fail(t ? FGW_E_NO_UPSTREAM : FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
        return false;
    }
    *t = (struct fgw_try){.x = x, .timer = {.fire = first_byte}};
    state_set(t, FGW_TRY_LEASE);
    t->lease.pool = x->pool, t->lease.done = leased, t->lease.fresh = x->tries > 0 && !x->refused, t->lease.shun = x->died_at;
    x->t = t;
    if (!x->upstream_ns) x->upstream_ns = x->w->loop.clock.mono_ns;
    fgw_pool_ref(x->pool);
    if (fgw_lease_get(&t->lease)) send_request(t);
    else if (t->lease.fail.code) try_failed(t, t->lease.fail, false);
    return x->t != NULL;
}

void fgw_try_drop(struct fgw_exchange *x)
{
    struct fgw_try *t = x->t;
    if (!t) return;
    x->t = NULL;
    if (t->state >= FGW_TRY_SENT) fgw_stats_try_ended(fgw_worker_upstream(x->w, t->lease.pool), t->status, (x->w->loop.clock.mono_ns - t->sent_ns) / 1000);
    fgw_timer_cancel(&x->w->loop.wheel, &t->timer);
    fgw_lease_put(&t->lease);
    fgw_pool_unref(t->lease.pool);
    state_set(t, FGW_TRY_NONE);
    fgw_slab_put(&x->w->tries, t);
}

/* ---- the request's body ---- */
void fgw_try_request_body(struct fgw_exchange *x, struct fgw_span s)
{
    struct fgw_try *t = x->t;
    bool sent = t && t->state >= FGW_TRY_SENT;
    if (x->tunnel) {
        if (sent) t->lease.side->down->send_body(t->lease.side, s);
        return;
    }
    if (!sent || (!x->kept_lost && x->kept.bytes + s.len <= KEEP_MAX && t->state == FGW_TRY_SENT)) {
        fgw_span_ref(s);
        if (!fgw_buf_push(&x->w->loop.bufs, &x->kept, s)) {
            fgw_span_drop(&s);
            fgw_exchange_refuse(x, fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
            return;
        }
    } else if (!x->kept_lost) {
        x->kept_lost = true;
        fgw_buf_clear(&x->w->loop.bufs, &x->kept);
    }
    if (sent) t->lease.side->down->send_body(t->lease.side, s);
}

void fgw_try_request_end(struct fgw_exchange *x)
{
    struct fgw_try *t = x->t;
    if (!t || t->state < FGW_TRY_SENT || t->request_done) return;
    t->request_done = true;
    if (x->trailers) {
        struct fgw_out_field f[FGW_FIELDS_MAX];
        t->lease.side->down->send_trailers(t->lease.side, f, fgw_msg_fields(x->trailers, f));
    }
    t->lease.side->down->finish(t->lease.side);
    if (t->state == FGW_TRY_SENT) first_byte_timer(t);
}

/* ---- upstream side: up calls ---- */
#define ENTER(s) struct fgw_try *t = (s)->user; struct fgw_exchange *x = t->x

static void on_info(struct fgw_side *s, struct fgw_msg *m)
{
    ENTER(s);
    struct fgw_out_field f[FGW_FIELDS_MAX];
    struct fgw_out o = {.fields = f, .nfields = fgw_msg_fields(m, f), .status = m->head.status,
                        .reason = fgw_msg_reason(m)};
    if (x->rp == FGW_RP_WAIT) x->front->down->send_info(x->front, &o);
}

static void on_head(struct fgw_side *s, struct fgw_msg *m)
{
    ENTER(s);
    if (m->head.status == 101 && !x->request_ended) {  /* RFC 9110 section 7.8: the request comes first, whole; else its rest would be tunnel bytes */
        fgw_msg_put(m);
        try_failed(t, fgw_fail(FGW_E_UPSTREAM_UPGRADE, FGW_BY_UPSTREAM), true);
        leave(x);
        return;
    }
    state_set(t, FGW_TRY_WON);
    if (x->start_ns <= x->w->unpin_seen) x->w->unpin_seen = x->start_ns - 1;   /* another head to be kept: look at it again */
    t->status = m->head.status;
    fgw_timer_cancel(&x->w->loop.wheel, &t->timer);
    fgw_buf_clear(&x->w->loop.bufs, &x->kept);
    x->kept_lost = true;
    fgw_exchange_reply_head(x, m);
    leave(x);
}

static void on_body(struct fgw_side *s, struct fgw_span bytes)
{
    ENTER(s);
    (void)t;
    fgw_relay_reply(x, bytes, false);
    leave(x);
}

static void on_trailers(struct fgw_side *s, struct fgw_msg *m)
{
    ENTER(s);
    (void)t;
    x->reply_trailers = m;
}

static void on_end(struct fgw_side *s)
{
    ENTER(s);
    t->ended = true;
    x->reply_ended = true;
    fgw_relay_reply(x, (struct fgw_span){0}, true);
    leave(x);
}

static void on_tunnel(struct fgw_side *s)
{
    ENTER(s);
    (void)t;
    x->agreed = true;                                  /* if a step is still thinking about the 101: begun when that has passed */
    if (x->rp == FGW_RP_BODY) fgw_tunnel_begin(x);
}

static void on_room(struct fgw_side *s, uint64_t n)
{
    ENTER(s);
    (void)t;
    fgw_relay_credit(x, FGW_DIR_REQUEST, n);
}

static void on_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    ENTER(s);
    if (x->tunnel && x->reply_ended) x->ended = true;  /* half of it had ended properly; the reset is how some peers say goodbye */
    else try_failed(t, why, processed);
    leave(x);
}

static const struct fgw_side_up try_up = {on_info, on_head, on_body, on_trailers, on_end, on_tunnel, on_room, on_abort};
