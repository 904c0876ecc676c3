/* Smooth weighted round robin (the interleaving one): each pick adds every weight to its turn, the largest turn wins and pays the sum.
 * With equal weights that is plain rotation. Cost O(endpoints), a compare and an add each. */
#include "upstream/pool.h"

static bool tried(const struct fgw_lease *l, const struct fgw_ep *e)
{
    for (uint8_t i = 0; i < l->ntried; i++)
        if (l->tried[i] == e) return true;
    return false;
}

static struct fgw_ep *pick_among(struct fgw_pool *p, const struct fgw_lease *l, bool any)
{
    uint64_t now = fgw_pool_now(p);
    int64_t sum = 0;
    struct fgw_ep *best = NULL;
    for (uint32_t i = 0; i < p->neps; i++) {
        struct fgw_ep *e = p->eps[i];
        if (e->e.weight == 0 || (!any && (!e->e.healthy || e->avoid_until > now || e == l->shun)) || (l->ntried && tried(l, e))) continue;
        e->turn += e->e.weight;
        sum += e->e.weight;
        if (!best || e->turn > best->turn) best = e;
    }
    if (best) best->turn -= sum;
    return best;
}

static struct fgw_ep *pick(struct fgw_pool *p, const struct fgw_lease *l)
{
    struct fgw_ep *e = pick_among(p, l, false);
    return e ? e : pick_among(p, l, true);             /* all avoided: one that failed lately is better than none */
}

const struct fgw_pick fgw_pick_rr = {"round_robin", pick};
