/* Bytes between the sides, through the body steps; and the credit that flows back for them. */
#include "core/exchange.h"

struct sink {                        /* where a filter's output goes: the next filter, or the other side */
    struct fgw_body_out out;
    struct fgw_exchange *x;
    int dir, at;
};
static bool filter_from(struct fgw_exchange *x, int dir, int at, struct fgw_span s, bool end);

static void deliver(struct fgw_exchange *x, int dir, struct fgw_span s)
{
    x->moved_ms = x->w->loop.clock.mono_ms;
    if (dir == FGW_DIR_REQUEST) {
        x->in_out += s.len;
        fgw_try_request_body(x, s);
    } else {
        x->out_out += s.len, x->bytes_out += s.len;
        x->front->down->send_body(x->front, s);
    }
}

static bool push(struct fgw_body_out *o, struct fgw_span s)
{
    struct sink *k = (struct sink *)o;
    return filter_from(k->x, k->dir, k->at, s, false);
}

static bool copy(struct fgw_body_out *o, const void *p, size_t n)
{
    struct sink *k = (struct sink *)o;
    struct fgw_block *b = fgw_block_get(&k->x->w->loop.blocks, n);
    if (!b) return false;
    memcpy(b->data, p, n);
    bool ok = filter_from(k->x, k->dir, k->at, (struct fgw_span){b, 0, (uint32_t)n}, false);
    fgw_block_unref(b);
    return ok;
}

/* Steps filter in chain order on the request, in reverse on the reply. `at` counts the steps already passed. */
static bool filter_from(struct fgw_exchange *x, int dir, int at, struct fgw_span s, bool end)
{
    for (int n = x->nsteps; at < n; at++) {
        int i = dir == FGW_DIR_REQUEST ? at : n - 1 - at;
        const struct fgw_l_step *l = (const struct fgw_l_step *)fgw_l_at(x->r.seg, x->r.route->chain.off) + i;
        const struct fgw_step *st = fgw_step_of((enum fgw_step_kind)l->kind);
        if (!st->on_body[dir]) continue;
        struct sink k = {{push, copy}, x, dir, at + 1};
        if (!st->on_body[dir](&x->r, fgw_l_at(x->r.seg, l->args), x->states[i], s, end, &k.out)) return false;
        if (!end) return true;
        s = (struct fgw_span){0};                      /* its own end is out; the end itself goes to the next */
    }
    if (s.len) deliver(x, dir, s);
    return true;
}

static bool through(struct fgw_exchange *x, int dir, struct fgw_span s, bool end)
{
    if (filter_from(x, dir, 0, s, end)) return true;
    if (x->slot < FGW_SHM_STATS) fgw_stats_add(&fgw_stats_cell(x->w->shm, x->w->column, x->slot)->step_errors, 1);
    fgw_exchange_refuse(x, x->r.fail.code ? x->r.fail : fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
    return false;
}

void fgw_relay_request(struct fgw_exchange *x, struct fgw_span s, bool end)
{
    x->in_given += s.len;
    if (x->rq == FGW_RQ_DONE && !x->tunnel) return;    /* refused or answered: the codec drains the rest */
    if (x->filters[0] && x->states && (s.len || end)) {
        if (!through(x, FGW_DIR_REQUEST, s, end)) return;
        fgw_relay_credit(x, FGW_DIR_REQUEST, 0);
    } else if (s.len) deliver(x, FGW_DIR_REQUEST, s);
    if (end) fgw_try_request_end(x);
}

static bool hold(struct fgw_exchange *x, struct fgw_span s)
{
    if (!s.len) return true;
    fgw_span_ref(s);
    if (fgw_buf_push(&x->w->loop.bufs, &x->reply_kept, s)) return true;
    fgw_span_drop(&s);
    fgw_exchange_refuse(x, fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY));
    return false;
}

static void reply_over(struct fgw_exchange *x)
{
    if (x->reply_trailers && !x->tunnel) {
        struct fgw_out_field f[FGW_FIELDS_MAX];
        if (x->r.grpc) fgw_grpc_heard(x, x->reply_trailers);
        x->front->down->send_trailers(x->front, f, fgw_msg_fields(x->reply_trailers, f));
    }
    x->front->down->finish(x->front);
    x->rp = FGW_RP_DONE;
    if (!x->tunnel || x->request_ended) x->ended = true;
}

void fgw_relay_reply(struct fgw_exchange *x, struct fgw_span s, bool end)
{
    if (x->rp == FGW_RP_CHAIN) {                       /* a step is still thinking about the head */
        hold(x, s);
        return;
    }
    if (x->rp != FGW_RP_BODY) return;
    x->out_given += s.len;
    if (x->filters[1] && x->states && !(x->msg && x->msg->head.method == FGW_M_HEAD) && x->r.status != 304 && x->r.status != 204) {
        if (!through(x, FGW_DIR_REPLY, s, end)) return;
        fgw_relay_credit(x, FGW_DIR_REPLY, 0);
    } else if (s.len) deliver(x, FGW_DIR_REPLY, s);
    if (end) reply_over(x);
}

/* `room` bytes have left on the far side. Without filters that is what the near side may send again. With them the counts differ:
 * the near side is owed all it gave, less what is still waiting. */
void fgw_relay_credit(struct fgw_exchange *x, enum fgw_dir d, uint64_t room)
{
    struct fgw_side *near = d == FGW_DIR_REQUEST ? x->front : x->t && x->t->state >= FGW_TRY_SENT ? x->t->lease.side : NULL;
    if (!near) return;
    uint64_t *out = d == FGW_DIR_REQUEST ? &x->in_out : &x->out_out, given = d == FGW_DIR_REQUEST ? x->in_given : x->out_given;
    uint64_t *credited = d == FGW_DIR_REQUEST ? &x->in_credited : &x->out_credited;
    x->moved_ms = x->w->loop.clock.mono_ms;
    *out -= room < *out ? room : *out;
    if (!x->filters[d]) {
        if (room) near->down->credit(near, room);
        return;
    }
    uint64_t owed = given > *out ? given - *out : 0;
    if (owed > *credited) {
        uint64_t n = owed - *credited;
        *credited = owed;
        near->down->credit(near, n);
    }
}
