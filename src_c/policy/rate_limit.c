/* The `rate_limit` step: a token bucket for each key, in shared memory, exact over all workers (policy/bucket.h). */
#include "base/num.h"
#include "policy/bucket.h"
#include "policy/limit.h"

#define SECOND (FGW_BUCKET_NS * 1000000000ull)

struct taken { struct fgw_bucket b; uint64_t now; };

static uint64_t seconds(uint64_t t) { return (t + SECOND - 1) / SECOND; }

/* A field may say the cost: at least 1, so that nobody asks for free; at most the burst, or it could never pass. */
static uint64_t cost_of(const struct fgw_req *r, const struct fgw_l_rate_limit *l)
{
    uint64_t n = l->cost;
    if (l->cost_field.len && !fgw_dec_u64(fgw_limit_field(r, (enum fgw_field_id)l->cost_id, fgw_l_text(r->seg, l->cost_field)), &n)) n = l->cost;
    return n < 1 ? 1 : n > l->burst ? l->burst : n;
}

/* Of a bucket that is `debt` from full: whole requests left, and the time until there is one more. */
static bool tell(struct fgw_req *r, const struct fgw_l_rate_limit *l, uint64_t debt, uint64_t wait)
{
    uint64_t tau = l->burst * l->unit, left = debt < tau ? (tau - debt) / l->unit : 0;
    if (!wait && left < l->burst) wait = debt - (tau - (left + 1) * l->unit);
    return fgw_limit_tell(r, fgw_l_text(r->seg, l->name), fgw_l_text(r->seg, l->policy), left, seconds(wait));
}

static enum fgw_verdict refused(struct fgw_req *r, const struct fgw_l_rate_limit *l, const struct taken *t, uint64_t cost)
{
    uint64_t debt = t->b.full_at - t->now, wait = debt + cost - l->burst * l->unit;
    struct fgw_limit_cell *c = fgw_limit_cell(r->limits, l->slot);
    if (l->dry_run) {
        fgw_limit_count(&c->dry_run);
        r->limit_dry = fgw_l_text(r->seg, l->name);
        return FGW_NEXT;
    }
    fgw_limit_count(&c->limited);
    if (l->tell != FGW_TELL_NEVER) tell(r, l, debt, wait);
    return fgw_limit_refuse(r, fgw_l_text(r->seg, l->name), FGW_E_RATE_LIMITED, seconds(wait));
}

static enum fgw_verdict on_request(struct fgw_req *r, const void *args, void *state)
{
    const struct fgw_l_rate_limit *l = args;
    struct taken *t = state;
    uint64_t tag = fgw_limit_tag(r, l->keys, FGW_STR("")), cost = cost_of(r, l) * l->unit;
    t->now = r->limits->loop->clock.mono_ns * FGW_BUCKET_NS;
    t->b = fgw_bucket_take(fgw_bucket_set_of((char *)r->limits->shm + l->table, l->sets, tag), tag, t->now, cost, l->burst * l->unit);
    struct fgw_limit_cell *c = fgw_limit_cell(r->limits, l->slot);
    if (fgw_unlikely(t->b.was_shared)) fgw_limit_count(&c->shared);
    if (fgw_unlikely(!t->b.pass)) return refused(r, l, t, cost);
    fgw_limit_count(&c->allowed);
    return FGW_NEXT;
}

static enum fgw_verdict on_reply(struct fgw_req *r, const void *args, void *state)
{
    const struct fgw_l_rate_limit *l = args;
    const struct taken *t = state;
    if (l->tell == FGW_TELL_ALWAYS && t->b.pass && !l->dry_run) tell(r, l, t->b.full_at - t->now, 0);
    return FGW_NEXT;
}

/* Another limit of the chain refused: what this one took was for nothing. Only at once, while nobody has come after. */
static void on_end(struct fgw_req *r, const void *args, void *state)
{
    const struct taken *t = state;
    (void)args;
    if (fgw_unlikely(r->limit.n != 0) && t->b.pass) fgw_bucket_put_back(&t->b);
}

const struct fgw_step fgw_step_rate_limit = {.name = "rate_limit", .state_size = sizeof(struct taken),
                                             .on_request = on_request, .on_reply = on_reply, .on_end = on_end};
