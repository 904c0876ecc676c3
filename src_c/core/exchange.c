#include "core/exchange.h"
#include "core/call.h"
#include "http/grpc.h"
#include "http/problem.h"

enum { ARENA_MAX = 512 << 10 };
#define TO(s) (1u << FGW_RQ_##s)

static enum fgw_rq rq_early(struct fgw_exchange *x);
static enum fgw_rq rq_route(struct fgw_exchange *x);
static enum fgw_rq rq_try(struct fgw_exchange *x);
static enum fgw_rq rq_body(struct fgw_exchange *x);

/* Request direction. A step does one station's work and names the next; STAY waits for bytes, time or a verdict. */
static const struct { const char *name; enum fgw_rq (*step)(struct fgw_exchange *); unsigned to; } REQUEST[] = {
    [FGW_RQ_EARLY] = {"early", rq_early, TO(ROUTE) | TO(DONE)},
    [FGW_RQ_ROUTE] = {"route", rq_route, TO(CHAIN) | TO(DONE)},
    [FGW_RQ_CHAIN] = {"chain", fgw_chain_request, TO(TRY) | TO(DONE)},  /* a PARK stays here, with a ticket */
    [FGW_RQ_TRY]   = {"try",   rq_try,   TO(BODY) | TO(DONE)},
    [FGW_RQ_BODY]  = {"body",  rq_body,  TO(TRY) | TO(DONE)},       /* a retry begins another try; the body was kept */
    [FGW_RQ_DONE]  = {"done",  NULL, 0},
};
/* Reply direction: what may follow what. */
static const struct { const char *name; unsigned to; } REPLY[] = {
    [FGW_RP_WAIT]  = {"wait",  1u << FGW_RP_CHAIN | 1u << FGW_RP_DONE},
    [FGW_RP_CHAIN] = {"chain", 1u << FGW_RP_BODY | 1u << FGW_RP_DONE},
    [FGW_RP_BODY]  = {"body",  1u << FGW_RP_DONE},
    [FGW_RP_DONE]  = {"done",  0},
};

const char *fgw_rq_name(enum fgw_rq s) { return s <= FGW_RQ_DONE ? REQUEST[s].name : "stay"; }
const char *fgw_rp_name(enum fgw_rp s) { return s <= FGW_RP_DONE ? REPLY[s].name : "?"; }
unsigned fgw_rq_next(enum fgw_rq s) { return s <= FGW_RQ_DONE ? REQUEST[s].to : 0; }
unsigned fgw_rp_next(enum fgw_rp s) { return s <= FGW_RP_DONE ? REPLY[s].to : 0; }

void fgw_exchange_rp(struct fgw_exchange *x, enum fgw_rp to)
{
    FGW_CHECK(REPLY[x->rp].to & (1u << to));
    x->rp = (uint8_t)to;
}

/* Called when what it waited for has come. */
void fgw_exchange_run(struct fgw_exchange *x)
{
    enum fgw_rq next;
    while (!x->ended && x->rq != FGW_RQ_DONE) {
        uint8_t from = x->rq;                          /* a refusal within the step has set it to done already */
        if ((next = REQUEST[from].step(x)) == FGW_RQ_STAY) break;
        FGW_CHECK(REQUEST[from].to & (1u << next));
        x->rq = (uint8_t)next;
    }
}

static enum fgw_rq refuse(struct fgw_exchange *x, enum fgw_err code, enum fgw_by by)
{
    fgw_exchange_refuse(x, fgw_fail(code, by));
    return FGW_RQ_DONE;
}

static enum fgw_rq rq_early(struct fgw_exchange *x)
{
    x->r.grpc = fgw_grpc_is(&x->msg->head);
    enum fgw_err e = fgw_forward_early(x);
    if (e) {
        x->close = true;                               /* what a peer got wrong once it may get wrong again: no next request */
        return refuse(x, e, FGW_BY_CLIENT);
    }
    if (fgw_worker_overloaded(x->w)) return refuse(x, FGW_E_OVERLOAD, FGW_BY_GATEWAY);
    return FGW_RQ_ROUTE;
}

static void add_allow(struct fgw_exchange *x, uint16_t allow)
{
    char text[96], *p = text;
    for (int m = 1; m < FGW_M_COUNT; m++) {
        if (!(allow & 1u << m)) continue;
        struct fgw_str name = fgw_method_name((enum fgw_method)m);
        if (p != text) *p++ = ',', *p++ = ' ';
        memcpy(p, name.p, name.n), p += name.n;
    }
    struct fgw_str v = fgw_arena_dup(&x->r.arena, fgw_str(text, (size_t)(p - text)));
    if (v.p) fgw_fields_add(&x->r.arena, &x->r.reply, FGW_H_OTHER, FGW_STR("allow"), v);
}

static enum fgw_rq rq_route(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    struct fgw_route_out out;
    struct fgw_route_in in = {r->host, r->target.path, r->target.query, r->method, &x->msg->head, x->msg->head.method, x->bound->regexes};
    bool found = fgw_route_find(x->bound->routes, &in, &out);
    if (fgw_unlikely(in.regexes)) fgw_bound_given_up(x->w, x->bound);
    if (!found) {
        if (out.allow) add_allow(x, out.allow);
        return refuse(x, out.allow ? FGW_E_METHOD_NOT_ALLOWED : FGW_E_NO_ROUTE, FGW_BY_CLIENT);
    }
    const struct fgw_l_route *route = out.route;
    r->route = route, r->seg = x->bound->routes;
    for (uint8_t i = 0; i < route->nparams && i < FGW_PARAMS_MAX; i++) r->params[i] = out.params[i];
    x->slot = x->bound->slots[route->index];
    x->body_max = route->body_max ? route->body_max : x->bound->set->body_max;
    x->first_byte_ms = route->first_byte_ms;
    if (route->to == FGW_TO_UPSTREAM) x->pool = x->bound->pools[route->upstream];
    if (x->body_max && x->msg->len == FGW_LEN_KNOWN && x->msg->length > x->body_max) return refuse(x, FGW_E_BODY_TOO_LONG, FGW_BY_CLIENT);
    x->grpc_slot = route->grpc_slot;
    if (r->grpc && !fgw_grpc_deadline(x)) return refuse(x, FGW_E_BAD_FIELD, FGW_BY_CLIENT);
    if (route->request_ms && !x->deadline_ns) fgw_loop_timer(&x->w->loop, &x->deadline, route->request_ms);
    if (!fgw_forward_build(x)) return refuse(x, FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
    return FGW_RQ_CHAIN;
}

static enum fgw_rq rq_try(struct fgw_exchange *x)
{
    const struct fgw_l_route *route = x->r.route;
    const void *to = route ? fgw_l_at(x->r.seg, route->answer) : NULL;
    bool ok = true;
    if (route && route->to != FGW_TO_UPSTREAM) {
        ok = route->to == FGW_TO_STATIC ? fgw_answer_static(&x->r, to) : fgw_answer_redirect(&x->r, to);
        if (!ok) return refuse(x, FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
        fgw_chain_answer(x);
        return FGW_RQ_DONE;
    }
    return fgw_try_start(x) ? FGW_RQ_BODY : FGW_RQ_DONE;
}

static enum fgw_rq rq_body(struct fgw_exchange *x)
{
    if (!x->t) return FGW_RQ_TRY;
    return x->request_ended && x->rp == FGW_RP_DONE ? FGW_RQ_DONE : FGW_RQ_STAY;
}

void fgw_exchange_refuse(struct fgw_exchange *x, struct fgw_fail why)
{
    struct fgw_req *r = &x->r;
    int status = fgw_err_status((enum fgw_err)why.code);
    char *body = fgw_arena_alloc(&r->arena, FGW_PROBLEM_MAX);
    x->fail = why;
    fgw_chain_cancel(x);
    fgw_try_drop(x);
    x->rq = FGW_RQ_DONE;
    if (x->rp == FGW_RP_BODY || x->rp == FGW_RP_DONE || !status || !body) {
        if (r->grpc && x->rp == FGW_RP_BODY && why.code == FGW_E_REQUEST_TIMEOUT) fgw_grpc_end(x);
        else if (x->rp != FGW_RP_DONE) x->front->down->abort(x->front, (enum fgw_err)why.code);   /* an unfinished message tells the truth */
        x->ended = true;
        return;
    }
    fgw_msg_put(x->reply_msg), x->reply_msg = NULL;
    fgw_buf_clear(&x->w->loop.bufs, &x->reply_kept);
    if (x->rp != FGW_RP_WAIT) r->reply.n = 0;          /* before that it holds only what goes with the refusal */
    struct fgw_str text = fgw_str(body, fgw_problem_limit((enum fgw_err)why.code, status, r->limit, body));
    const char *detail = fgw_err_text((enum fgw_err)why.code);
    r->answer = (struct fgw_answer){(uint16_t)status, text, (enum fgw_err)why.code, fgw_str(detail, strlen(detail))};
    fgw_fields_add(&r->arena, &r->reply, FGW_H_CONTENT_TYPE, FGW_STR("content-type"), FGW_STR("application/problem+json"));
    if (status == 503) fgw_fields_add(&r->arena, &r->reply, FGW_H_RETRY_AFTER, FGW_STR("retry-after"), FGW_STR("1"));
    if (!x->request_ended && x->msg && x->msg->len != FGW_LEN_NONE) x->close = true;   /* its body may be long, and nobody wants it */
    if (x->rp == FGW_RP_CHAIN) x->rp = FGW_RP_WAIT, x->step = 0;   /* the reply's own chain failed: begin again without the steps */
    fgw_chain_answer(x);
}

/* ---- front side: up calls ---- */
#define ENTER(s) struct fgw_exchange *x = (s)->user
static void leave(struct fgw_exchange *x) { if (x->ended) fgw_exchange_end(x); }

static void on_head(struct fgw_side *s, struct fgw_msg *m)
{
    ENTER(s);
    x->msg = m;
    fgw_exchange_run(x);
    leave(x);
}

static void on_body(struct fgw_side *s, struct fgw_span bytes)
{
    ENTER(s);
    x->bytes_in += bytes.len;
    if (x->body_max && !x->tunnel && x->bytes_in > x->body_max) fgw_exchange_refuse(x, fgw_fail(FGW_E_BODY_TOO_LONG, FGW_BY_CLIENT));
    else fgw_relay_request(x, bytes, false);
    leave(x);
}

static void on_trailers(struct fgw_side *s, struct fgw_msg *m)
{
    ENTER(s);
    x->trailers = m;
}

static void on_end(struct fgw_side *s)
{
    ENTER(s);
    x->request_ended = true;
    fgw_relay_request(x, (struct fgw_span){0}, true);
    if (x->tunnel && x->rp == FGW_RP_DONE) x->ended = true;
    leave(x);
}

static void on_room(struct fgw_side *s, uint64_t n)
{
    ENTER(s);
    fgw_relay_credit(x, FGW_DIR_REPLY, n);
}

static void on_abort(struct fgw_side *s, struct fgw_fail why, bool processed)
{
    ENTER(s);
    (void)processed;
    bool goodbye = x->tunnel && x->rp == FGW_RP_DONE && why.code == FGW_E_CLIENT_GONE;   /* the other half had ended properly */
    if (!x->fail.code && !goodbye) x->fail = why;
    x->ended = true;
    leave(x);
}

static void on_nothing(struct fgw_side *s) { (void)s; }
static void on_info(struct fgw_side *s, struct fgw_msg *m) { (void)s, (void)m; }

static const struct fgw_side_up front_up = {on_info, on_head, on_body, on_trailers, on_end, on_nothing, on_room, on_abort};

/* ---- life ---- */
static void deadline(struct fgw_timer *t)
{
    struct fgw_exchange *x = fgw_container(t, struct fgw_exchange, deadline);
    fgw_exchange_refuse(x, fgw_fail(FGW_E_REQUEST_TIMEOUT, FGW_BY_GATEWAY));
    leave(x);
}

static struct fgw_exchange *exchange_new(struct fgw_worker *w, struct fgw_side *side)
{
    struct fgw_exchange *x = fgw_slab_get(&w->exchanges);
    if (!x) return NULL;
    memset(x, 0, offsetof(struct fgw_exchange, endpoint));
    x->endpoint[0] = 0;
    fgw_arena_init(&x->r.arena, &w->loop.blocks, x->first, sizeof x->first, ARENA_MAX);
    x->w = w, x->front = side, x->r.limits = &w->limits;
    x->snap = fgw_snapshot_ref(w->snap);
    x->deadline.fire = deadline;
    x->grpc_status = FGW_GRPC_NONE;
    x->start_ns = w->loop.clock.mono_ns, x->start_wall = w->loop.clock.wall_ns;
    side->up = &front_up, side->user = x;
    fgw_list_init(&x->children);
    fgw_list_push(&w->live, &x->live);
    return x;
}

bool fgw_exchange_begin(struct fgw_worker *w, struct fgw_listener *l, struct fgw_side *side)
{
    const struct fgw_bound *b = w->snap ? fgw_snapshot_listener(w->snap, l->id) : NULL;
    struct fgw_exchange *x = b ? exchange_new(w, side) : NULL;
    if (!x) return false;
    x->listener = l, x->bound = b;
    x->slot = b->l->other_slot;
    return true;
}

bool fgw_exchange_begin_call(struct fgw_worker *w, struct fgw_exchange *parent, struct fgw_pool *pool, struct fgw_call *call, struct fgw_side *side)
{
    struct fgw_exchange *x = exchange_new(w, side);
    if (!x) return false;
    x->caller = call, x->pool = pool, x->depth = (uint8_t)(parent->depth + 1);
    x->bound = fgw_snapshot_listener(x->snap, parent->bound->l->id);
    if (!x->bound) x->bound = x->snap->bound;
    x->rq = FGW_RQ_TRY;                                /* its route is decided: it is the pool */
    return true;
}

void fgw_exchange_cancel(struct fgw_exchange *x, enum fgw_err why)
{
    fgw_exchange_refuse(x, fgw_fail(why, FGW_BY_GATEWAY));
    leave(x);
}

void fgw_exchange_end(struct fgw_exchange *x)
{
    struct fgw_worker *w = x->w;
    if (x->finished) return;
    x->finished = true;
    fgw_tunnel_end(x);
    fgw_chain_unpark(x);
    fgw_call_cancel_all(x);
    fgw_try_drop(x);
    fgw_chain_end(x);
    for (struct fgw_hold *h; (h = x->r.holds);) x->r.holds = h->next, h->drop(h);
    if (x->caller && x->fail.code) x->caller->fail = x->fail;   /* our own problem answer is no answer to a caller */
    x->front->down->release(x->front);
    if (!x->caller) fgw_exchange_log(x);
    fgw_timer_cancel(&w->loop.wheel, &x->deadline);
    fgw_buf_clear(&w->loop.bufs, &x->kept), fgw_buf_clear(&w->loop.bufs, &x->reply_kept);
    fgw_msg_put(x->msg), fgw_msg_put(x->reply_msg), fgw_msg_put(x->trailers), fgw_msg_put(x->reply_trailers);
    fgw_link_remove(&x->live);
    fgw_arena_fini(&x->r.arena);
    if (x->snap) fgw_snapshot_unref(x->snap);
    else if (x->pool) fgw_pool_unref(x->pool);
    fgw_slab_put(&w->exchanges, x);
}
