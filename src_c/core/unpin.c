/* Requests that wait: their bytes leave the 64 KiB input blocks that they share with requests long answered (docs/design/0007).
 *
 * A head is kept where it was read. That costs nothing while answers come soon; but one that waits alone keeps a whole block. So what
 * still waits after SLOW_MS is copied out into blocks of its own size, and all views of it are moved; so is the head of an answer
 * whose body goes on. Looked for at most once in SLOW_MS, at the end of a turn: only traffic makes blocks wanted, and only the slow
 * ones pay. */
#include "core/exchange.h"

enum { SLOW_MS = 50, WORTH = 4, WALK = 64 };           /* WORTH: the block is that many times what is kept in it; WALK: looked at in 1 ms */

struct moved { const char *from, *to; uint32_t n; };

static const char *moved_p(const struct moved *m, const char *p)
{
    uintptr_t off = (uintptr_t)p - (uintptr_t)m->from;
    return off <= m->n ? m->to + off : p;
}
static void move_str(const struct moved *m, struct fgw_str *s) { s->p = moved_p(m, s->p); }

static void move_fields(const struct moved *m, struct fgw_fields *f)
{
    for (uint32_t i = 0; i < f->n; i++) f->v[i].name = moved_p(m, f->v[i].name), f->v[i].value = moved_p(m, f->v[i].value);
}

/* Every view that a request may have of a head's bytes. */
static void move_views(const struct moved *m, struct fgw_req *r)
{
    struct fgw_str *const views[] = {&r->target.path, &r->target.query, &r->target.authority, &r->method, &r->authority, &r->host, &r->path_out,
                                     &r->client, &r->request_id, &r->answer.body, &r->limit, &r->limit_dry, &r->plugin, &r->plugin_open};
    for (size_t i = 0; i < FGW_COUNT(views); i++) move_str(m, views[i]);
    for (uint32_t i = 0; i < FGW_PARAMS_MAX; i++) move_str(m, &r->params[i]);
    move_fields(m, &r->out), move_fields(m, &r->reply), move_fields(m, &r->tags);
}

static bool worth(const struct fgw_block *b, uint32_t n) { return b && b->cap / WORTH > n; }

static void unpin_head(struct fgw_req *r, struct fgw_msg *msg)
{
    if (!msg || !worth(msg->b, msg->head.len)) return;
    struct fgw_block *b = fgw_block_get(msg->b->home, msg->head.len);
    if (!b) return;                                    /* it waits where it is */
    if (b->cap >= msg->b->cap) {                       /* it lies in the smallest there is */
        fgw_block_unref(b);
        return;
    }
    struct moved m = {msg->head.base, b->data, msg->head.len};
    memcpy(b->data, m.from, m.n);
    move_views(&m, r);
    msg->head.base = b->data;
    fgw_block_unref(msg->b);
    msg->b = b;
}

/* The start of a body that is kept for another try came in the same block as the head. */
static void unpin_kept(struct fgw_exchange *x)
{
    for (struct fgw_buf_node *n = x->kept.first; n; n = n->next) {
        struct fgw_block *b = worth(n->s.b, n->s.len) ? fgw_block_get(n->s.b->home, n->s.len) : NULL;
        if (!b) continue;
        if (b->cap < n->s.b->cap) {
            memcpy(b->data, fgw_span_p(n->s), n->s.len);
            fgw_block_unref(n->s.b);
            n->s.b = b, n->s.off = 0;
        } else fgw_block_unref(b);
    }
}

/* Not while a step is parked: whoever completes it may be looking at the bytes. */
static bool may_move(const struct fgw_exchange *x) { return x->rq == FGW_RQ_BODY && !x->parked && x->rp != FGW_RP_CHAIN; }

void fgw_exchanges_unpin(struct fgw_worker *w)
{
    uint64_t now = w->loop.clock.mono_ns, slow = now - (uint64_t)SLOW_MS * 1000000, seen = slow, walked = 0;
    for (struct fgw_link *k = w->live.prev; k != &w->live; k = k->prev, walked++) {  /* newest first */
        struct fgw_exchange *x = fgw_container(k, struct fgw_exchange, live);
        if (x->start_ns > slow) continue;
        if (x->start_ns <= w->unpin_seen) break;       /* from here on they were looked at the last time */
        if (may_move(x)) unpin_head(&x->r, x->msg), unpin_head(&x->r, x->reply_msg), unpin_kept(x);
        else if (x->start_ns <= seen) seen = x->start_ns - 1;       /* look at it again */
    }
    w->unpin_seen = seen;
    w->unpin_at = w->loop.clock.mono_ms + SLOW_MS + walked / WALK;                   /* with many at a time, less often */
}
