/* In which order those who wait are served: by client in turn, each client's oldest first, so that nobody waits for more requests of
 * another client than there are clients waiting. Clients that have none waiting leave no trace. */
#include "upstream/pool_impl.h"

enum { LOOK_MS = 100, LOOK_WALK = 64 };                /* LOOK_WALK: so many looked at put the next look off by 1 ms */

static uint64_t client_of(const struct fgw_pool *p, const struct fgw_lease *l) { return p->env->client ? p->env->client(p->env->ctx, l) : 0; }
static struct fgw_link *row(struct fgw_pool *p, uint64_t client) { return &p->env->claims[(client ^ p->id) % FGW_CLAIM_ROWS]; }

static struct fgw_claim *claim_find(struct fgw_pool *p, uint64_t client)
{
    struct fgw_link *r = row(p, client);
    for (struct fgw_link *k = r->next; k != r; k = k->next) {
        struct fgw_claim *c = fgw_container(k, struct fgw_claim, same);
        if (c->client == client && c->pool == p) return c;
    }
    return NULL;
}

static struct fgw_claim *claim_new(struct fgw_pool *p, uint64_t client)
{
    struct fgw_claim *c = fgw_slab_get(&p->env->waits);
    if (!c) return NULL;
    *c = (struct fgw_claim){.pool = p, .client = client};
    fgw_list_init(&c->leases);
    fgw_list_push(row(p, client), &c->same), fgw_list_push(&p->turns, &c->turn);
    p->nclaims++;
    return c;
}

/* ---- the pool's look at those who keep others waiting ---- */
static void look_later(struct fgw_pool *p, uint32_t looked) { fgw_loop_timer(fgw_pool_loop(p), &p->look, LOOK_MS + looked / LOOK_WALK); }

static uint32_t wanting(const struct fgw_pool *p)
{
    uint32_t n = 0;
    for (const struct fgw_link *k = p->waiting.next; k != &p->waiting; k = k->next) n += !fgw_container(k, struct fgw_lease, link)->dial;
    return n;
}

static void look(struct fgw_timer *t)
{
    struct fgw_pool *p = fgw_container(t, struct fgw_pool, look);
    uint32_t n = wanting(p), looked;
    fgw_pool_ref(p);                                   /* whoever gives up a place may let go of the pool */
    looked = n ? p->env->crowded(p->env->ctx, p, n) : 0;
    if (p->waiters) look_later(p, looked);
    fgw_pool_unref(p);
}

/* ---- the queue ---- */
bool fgw_waiting_add(struct fgw_pool *p, struct fgw_lease *l)
{
    uint64_t client = client_of(p, l);
    struct fgw_claim *c = claim_find(p, client);
    if (!c && !(c = claim_new(p, client))) return false;
    l->claim = c;
    fgw_list_push(&c->leases, &l->turn), c->n++;
    fgw_list_push(&p->waiting, &l->link), p->waiters++;
    if (p->env->crowded && !fgw_timer_armed(&p->look)) p->look.fire = look, look_later(p, 0);
    return true;
}

void fgw_waiting_remove(struct fgw_lease *l)
{
    struct fgw_claim *c = l->claim;
    if (!c) return;
    l->claim = NULL;
    fgw_link_remove(&l->link), fgw_link_remove(&l->turn);
    if (!--l->pool->waiters) fgw_timer_cancel(&fgw_pool_loop(l->pool)->wheel, &l->pool->look);
    if (--c->n) return;
    fgw_link_remove(&c->turn), fgw_link_remove(&c->same);
    l->pool->nclaims--;
    fgw_slab_put(&l->pool->env->waits, c);
}

struct fgw_lease *fgw_waiting_next(struct fgw_pool *p)
{
    struct fgw_claim *c = fgw_container(p->turns.next, struct fgw_claim, turn);
    fgw_link_remove(&c->turn), fgw_list_push(&p->turns, &c->turn);
    return fgw_container(c->leases.next, struct fgw_lease, turn);
}

/* The one that has to go is told by its timer: whoever asks for a place may not call up to another. */
bool fgw_waiting_displace(struct fgw_pool *p, struct fgw_lease *l)
{
    struct fgw_claim *most = NULL, *mine;
    if (p->nclaims == p->waiters) return false;        /* nobody has more than one; none at all in a queue that may hold none */
    for (struct fgw_link *k = p->turns.next; k != &p->turns; k = k->next) {
        struct fgw_claim *c = fgw_container(k, struct fgw_claim, turn);
        if (!most || c->n > most->n) most = c;
    }
    mine = claim_find(p, client_of(p, l));
    if (most->n <= (mine ? mine->n : 0) + 1) return false;
    struct fgw_lease *last = fgw_container(most->leases.prev, struct fgw_lease, turn);
    if (last->dial) fgw_lease_undial(last);
    fgw_waiting_remove(last);
    last->displaced = true;
    fgw_timer_set(&fgw_pool_loop(p)->wheel, &last->timer, fgw_pool_now(p));
    return true;
}
