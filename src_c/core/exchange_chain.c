/* The chain of a route: its steps' parts on the request, those on the reply, and the tickets of exchanges that wait for a verdict. */
#include "core/exchange.h"
#include "core/call.h"

static const struct fgw_l_step *step_at(const struct fgw_exchange *x, uint16_t i)
{
    return (const struct fgw_l_step *)fgw_l_at(x->r.seg, x->r.route->chain.off) + i;
}

/* ---- tickets ---- */
static void count(struct fgw_worker *w, int64_t n)
{
    _Atomic int64_t *g = &w->gauges->parked;
    atomic_store_explicit(g, atomic_load_explicit(g, memory_order_relaxed) + n, memory_order_relaxed);
}

static bool park(struct fgw_exchange *x)
{
    struct fgw_worker *w = x->w;
    if (w->free_ticket == UINT32_MAX) return false;
    uint32_t i = w->free_ticket;
    struct fgw_ticket_slot *s = &w->tickets[i];
    w->free_ticket = s->next_free;
    s->x = x;
    x->r.ticket = x->ticket = (struct fgw_ticket){i, s->generation};
    x->parked = true;
    count(w, 1);
    return true;
}

void fgw_chain_unpark(struct fgw_exchange *x)
{
    if (!x->parked) return;
    struct fgw_ticket_slot *s = &x->w->tickets[x->ticket.slot];
    s->x = NULL, s->generation++;
    s->next_free = x->w->free_ticket;
    x->w->free_ticket = x->ticket.slot;
    x->parked = false;
    count(x->w, -1);
}

/* The step whose verdict was waited for is told that nobody waits any more: what it comes to is of no use. */
static void cancel(struct fgw_exchange *x)
{
    uint16_t i = x->rp == FGW_RP_CHAIN ? (uint16_t)(x->step - 1) : x->step;
    const struct fgw_l_step *l = step_at(x, i);
    const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)l->kind);
    if (s->on_cancel) s->on_cancel(&x->r, fgw_l_at(x->r.seg, l->args), x->states[i]);
}

void fgw_chain_cancel(struct fgw_exchange *x)
{
    if (!x->parked) return;
    cancel(x);
    fgw_chain_unpark(x);
}

struct fgw_exchange *fgw_exchange_of(struct fgw_worker *w, struct fgw_ticket t)
{
    return t.slot < w->ntickets && w->tickets[t.slot].generation == t.generation ? w->tickets[t.slot].x : NULL;
}

/* ---- request ---- */
static enum fgw_rq refuse(struct fgw_exchange *x, enum fgw_err code)
{
    fgw_exchange_refuse(x, fgw_fail(code, FGW_BY_GATEWAY));
    return FGW_RQ_DONE;
}

static bool chain_prepare(struct fgw_exchange *x)
{
    x->nsteps = (uint16_t)x->r.route->chain.count;
    if (!x->nsteps || x->states) return true;
    x->r.hooks = &x->bound->hooks;
    x->states = fgw_arena_alloc(&x->r.arena, x->nsteps * sizeof *x->states);
    for (uint16_t i = 0; x->states && i < x->nsteps; i++) {
        const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)step_at(x, i)->kind);
        x->states[i] = s->state_size ? fgw_arena_alloc(&x->r.arena, s->state_size) : NULL;
        if (s->state_size && !x->states[i]) return false;
        if (s->state_size) memset(x->states[i], 0, s->state_size);
        x->filters[0] |= s->on_body[0] != NULL, x->filters[1] |= s->on_body[1] != NULL;
    }
    return x->states != NULL;
}

static void call_done(struct fgw_call *c)
{
    struct fgw_exchange *x = fgw_exchange_of(c->w, c->parent);
    if (!x) return;                                    /* the parent ended meanwhile */
    x->r.call_status = c->status;
    fgw_exchange_resume(c->w, c->parent, FGW_NEXT);
}

static bool start_call(struct fgw_exchange *x)
{
    struct fgw_call_spec spec = x->r.call;
    x->r.call = (struct fgw_call_spec){0};
    return fgw_call_start(x, &spec, 64 << 10, call_done, NULL) != NULL;
}

enum fgw_rq fgw_chain_request(struct fgw_exchange *x)
{
    if (x->parked) return FGW_RQ_STAY;
    if (!chain_prepare(x)) return refuse(x, FGW_E_NO_MEMORY);
    while (x->step < x->nsteps) {
        const struct fgw_l_step *l = step_at(x, x->step);
        const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)l->kind);
        enum fgw_verdict v = s->on_request ? s->on_request(&x->r, fgw_l_at(x->r.seg, l->args), x->states[x->step]) : FGW_NEXT;
        if (v == FGW_PARK) {
            if (park(x) && (!x->r.call.path.n || start_call(x))) return FGW_RQ_STAY;
            if (!x->parked) cancel(x);
            return refuse(x, FGW_E_INTERNAL);
        }
        if (v == FGW_FAIL) return fgw_exchange_refuse(x, x->r.fail), FGW_RQ_DONE;
        if (v == FGW_REPLY) return fgw_chain_answer(x), FGW_RQ_DONE;
        x->step++;
    }
    return FGW_RQ_TRY;
}

/* ---- replies ---- */
static void send_head(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    struct fgw_msg *m = x->reply_msg;
    struct fgw_out o = {.fields = r->reply.v, .nfields = r->reply.n, .status = r->status, .close = x->close};
    if (m) {
        if (r->status == m->head.status) o.reason = fgw_msg_reason(m);   /* else a step said another: its own phrase */
        bool changed = false;
        for (uint16_t i = 0; x->filters[1] && i < x->nsteps; i++) changed |= fgw_step_of((enum fgw_step_kind)step_at(x, i)->kind)->changes_length;
        o.len = m->len;
        o.length = m->length;
        if (changed && o.len != FGW_LEN_NONE) o.len = FGW_LEN_UNKNOWN;
        const struct fgw_field *cl = m->len == FGW_LEN_NONE ? fgw_head_find(&m->head, FGW_H_CONTENT_LENGTH) : NULL;
        if (cl && (r->status == 304 || x->msg == NULL || x->msg->head.method == FGW_M_HEAD)) {   /* told, not sent */
            uint64_t n = 0;
            for (uint32_t i = 0; i < cl->value_len; i++) n = n * 10 + (uint64_t)(m->head.base[cl->value + i] - '0');
            o.len = changed ? FGW_LEN_UNKNOWN : FGW_LEN_KNOWN, o.length = n, o.no_body = true;
        }
        if (r->status == 101) o.upgrade = fgw_msg_upgrade(m);
    } else if (!r->grpc || r->answer.body.n) o.len = FGW_LEN_KNOWN, o.length = r->answer.body.n;
    x->front->down->send_head(x->front, &o);
}

static void reply_began(struct fgw_exchange *x)
{
    x->head_ns = x->w->loop.clock.mono_ns;
    fgw_exchange_rp(x, FGW_RP_BODY);
    if (x->own_reply && x->r.grpc && !fgw_grpc_answer(x)) {
        x->front->down->abort(x->front, FGW_E_NO_MEMORY);
        x->ended = true;
        return;
    }
    send_head(x);
    if (x->own_reply) {
        struct fgw_str body = x->r.answer.body;
        bool no_body = x->msg && x->msg->head.method == FGW_M_HEAD;
        struct fgw_block *b = body.n && !no_body ? fgw_block_get(&x->w->loop.blocks, body.n) : NULL;
        if (b) {
            memcpy(b->data, body.p, body.n);
            x->bytes_out += body.n;
            x->front->down->send_body(x->front, (struct fgw_span){b, 0, body.n});
            fgw_block_unref(b);
        } else if (body.n && !no_body) {
            x->front->down->abort(x->front, FGW_E_NO_MEMORY);
            x->ended = true;
            return;
        }
        x->front->down->finish(x->front);
        fgw_exchange_rp(x, FGW_RP_DONE);
        x->ended = true;
        return;
    }
    if (x->agreed) fgw_tunnel_begin(x);
    struct fgw_buf_node *n = x->reply_kept.first;      /* what arrived while the chain was parked */
    for (; n; n = n->next) fgw_relay_reply(x, n->s, false);
    fgw_buf_clear(&x->w->loop.bufs, &x->reply_kept);
    if (x->reply_ended && !x->ended) fgw_relay_reply(x, (struct fgw_span){0}, true);
}

static void add_date(struct fgw_exchange *x, struct fgw_str name)
{
    struct fgw_req *r = &x->r;
    fgw_fields_add(&r->arena, &r->reply, FGW_H_DATE, name, fgw_arena_dup(&r->arena, fgw_str(fgw_clock_date(&x->w->loop.clock), 29)));
}

static void own_reply(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    x->own_reply = true;
    r->status = r->answer.status;
    if (r->answer.why && !x->fail.code) x->fail = fgw_fail(r->answer.why, FGW_BY_GATEWAY);
    add_date(x, FGW_STR("date"));
}

/* A step made an answer of its own of a reply: what had come is dropped, with its connection if it is not whole. */
static void reply_instead(struct fgw_exchange *x)
{
    fgw_try_drop(x);
    fgw_msg_put(x->reply_msg), fgw_msg_put(x->reply_trailers);
    x->reply_msg = x->reply_trailers = NULL;
    fgw_buf_clear(&x->w->loop.bufs, &x->reply_kept);
    x->rq = FGW_RQ_DONE;
    own_reply(x);
}

/* The reply parts of the steps that were entered, last first. */
static void reply_chain(struct fgw_exchange *x)
{
    while (x->step > 0) {
        const struct fgw_l_step *l = step_at(x, (uint16_t)(x->step - 1));
        const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)l->kind);
        enum fgw_verdict v = s->on_reply ? s->on_reply(&x->r, fgw_l_at(x->r.seg, l->args), x->states[x->step - 1]) : FGW_NEXT;
        if (v == FGW_PARK) {
            if (park(x)) return;
            cancel(x);
            v = FGW_FAIL, x->r.fail = fgw_fail(FGW_E_INTERNAL, FGW_BY_GATEWAY);
        }
        if (v == FGW_FAIL) {
            x->step = 0;
            fgw_exchange_refuse(x, x->r.fail);
            return;
        }
        if (v == FGW_REPLY) reply_instead(x);
        x->step--;
    }
    if (x->msg && fgw_unlikely(x->msg->upgrade_only) && x->r.status / 100 == 2) {        /* its client would take the body for the tunnel */
        fgw_exchange_refuse(x, fgw_fail(FGW_E_NOT_UPGRADED, x->own_reply ? FGW_BY_GATEWAY : FGW_BY_UPSTREAM));
        return;
    }
    reply_began(x);
}

void fgw_exchange_reply_head(struct fgw_exchange *x, struct fgw_msg *m)
{
    struct fgw_req *r = &x->r;
    x->reply_msg = m;
    r->status = m->head.status;
    if (r->grpc) fgw_grpc_heard(x, m);
    r->reply.n = 0;
    if (!fgw_fields_reserve(&r->arena, &r->reply, m->head.nfields + 4u)) {
        fgw_exchange_refuse(x, fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
        return;
    }
    r->reply.n = fgw_msg_fields(m, r->reply.v);
    if (!(m->head.known & FGW_H_BIT(DATE)))            /* RFC 9110 section 6.6.1 */
        add_date(x, FGW_STR("Date"));
    fgw_exchange_rp(x, FGW_RP_CHAIN);
    reply_chain(x);
}

/* An answer of our own: r->answer with r->reply's fields. It passes the reply parts of the steps before the one that made it. */
void fgw_chain_answer(struct fgw_exchange *x)
{
    own_reply(x);
    fgw_exchange_rp(x, FGW_RP_CHAIN);
    reply_chain(x);
}

/* ---- whoever holds a ticket ---- */
void fgw_exchange_resume(struct fgw_worker *w, struct fgw_ticket t, enum fgw_verdict v)
{
    struct fgw_exchange *x = fgw_exchange_of(w, t);
    if (!x) return;
    fgw_chain_unpark(x);
    if (v == FGW_FAIL) fgw_exchange_refuse(x, x->r.fail);
    else if (x->rp == FGW_RP_CHAIN) reply_chain(x);
    else if (v == FGW_REPLY) x->rq = FGW_RQ_DONE, fgw_chain_answer(x);
    else fgw_exchange_run(x);
    if (x->ended) fgw_exchange_end(x);
}

void fgw_chain_end(struct fgw_exchange *x)
{
    for (uint16_t i = 0; x->states && x->r.route && x->r.seg && i < x->nsteps; i++) {
        const struct fgw_l_step *l = step_at(x, i);
        const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)l->kind);
        if (s->on_end) s->on_end(&x->r, fgw_l_at(x->r.seg, l->args), x->states[i]);
    }
}
