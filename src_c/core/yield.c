/* Places at an upstream that a client keeps for nothing while requests of others wait (docs/design/0011).
 *
 * A pool whose queue does not move asks, some times a second. Looked at are the exchanges that hold one of its places; one is kept for
 * nothing if the answer waits for the client, or the upstream for the rest of the request, and in all of stall_ms less than RATE was moved.
 * What counts is what the client's system has acknowledged: a socket's buffer is filled in a moment and emptied in large steps.
 * Given up are those of the client with the most places first, but never for one that has more. A client with a quarter of all the places
 * gives up its slow ones too, for one that has fewer. A client's only place has LONE times as long: a phone in a tunnel is no attack.
 * Nothing is counted or kept while nobody waits: requests that are served at once pay nothing. */
#include <stdlib.h>
#include "base/hash.h"
#include "core/call.h"

enum { RATE = 4096, SHARE = 4, LONE = 8 };             /* bytes a second; one in SHARE of the places is a large holder's */
enum how { TAKING, SLOW, STALLED };
struct place { struct fgw_exchange *x; uint64_t client, since; uint32_t held; uint8_t how; };   /* held: places of its client */

/* ---- whose it is ---- */
static uint64_t client_of(struct fgw_exchange *x)
{
    uint64_t id[2] = {(uintptr_t)x->r.peer, 0};        /* without an address: the connection */
    struct fgw_exchange *parent;
    while (x->caller && (parent = fgw_exchange_of(x->w, x->caller->parent))) x = parent;
    fgw_req_client(&x->r, id);
    return fgw_hash_sip13(&x->w->shm->key, id, sizeof id);
}

uint64_t fgw_yield_client(void *ctx, const struct fgw_lease *l)
{
    (void)ctx;
    return client_of(fgw_container(l, struct fgw_try, lease)->x);
}

/* ---- what has become of it ---- */
/* The client's move: it has not taken what is there, or not sent what is missing. Whose silence is no fault is not waited for (0008). */
static bool held_back(const struct fgw_exchange *x)
{
    if (x->rp == FGW_RP_BODY) return x->out_out > 0;
    return x->rp == FGW_RP_WAIT && !x->request_ended && !x->in_out && !x->front->silence_ms;
}

static enum how judge(struct fgw_exchange *x, uint64_t now, uint32_t stall_ms)
{
    uint64_t own = x->bytes_in + x->bytes_out - x->out_out, ms = now - x->yield_ms, need = ms * RATE / 1000, ack = 0;
    if (!held_back(x)) return x->yield_ms = 0, TAKING;
    if (x->yield_ms && ms < stall_ms) return TAKING;
    if (x->rp == FGW_RP_BODY && x->front->down->taken) ack = x->front->down->taken(x->front);
    if (x->yield_ms && own - x->yield_own < need && (!ack || !x->yield_ack || ack - x->yield_ack < need)) return STALLED;
    bool before = x->yield_ms > 0;
    x->yield_own = own, x->yield_ack = ack, x->yield_ms = now;
    if (before) return SLOW;
    if (ack) return TAKING;                            /* its system may still be taking: that is seen the next time */
    uint64_t sent = x->t->sent_ns / 1000000;
    x->yield_ms = x->moved_ms > sent ? x->moved_ms : sent;
    return now - x->yield_ms >= stall_ms ? STALLED : TAKING;
}

/* ---- who gives up ---- */
static int by_client(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    return (p->client > q->client) - (p->client < q->client);
}
static int by_holding(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    if (p->held != q->held) return p->held < q->held ? 1 : -1;
    if (p->client != q->client) return p->client < q->client ? 1 : -1;
    if (p->how != q->how) return p->how < q->how ? 1 : -1;
    return (p->since > q->since) - (p->since < q->since);
}

static bool has_place(const struct fgw_exchange *x, const struct fgw_pool *p)
{
    return x->t && x->t->state >= FGW_TRY_SENT && x->t->lease.pool == p && !x->t->ended && !x->ended;
}

static uint32_t gather(struct fgw_worker *w, struct fgw_pool *p, struct place *of, uint32_t max)
{
    uint32_t n = 0;
    for (struct fgw_link *k = w->live.next; k != &w->live && n < max; k = k->next) {
        struct fgw_exchange *x = fgw_container(k, struct fgw_exchange, live);
        if (!has_place(x, p)) continue;
        enum how how = x->caller ? TAKING : judge(x, w->loop.clock.mono_ms, p->set.stall_ms);    /* a subrequest's answer is taken by us */
        of[n++] = (struct place){.x = x, .client = client_of(x), .since = x->yield_ms, .how = (uint8_t)how};
    }
    qsort(of, n, sizeof *of, by_client);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && of[j].client == of[i].client; j++) continue;
        for (uint32_t k = i; k < j; k++) of[k].held = j - i;
    }
    return n;
}

/* Of the clients that wait, how many places has the one with the fewest? */
static uint32_t fewest(const struct fgw_pool *p, const struct place *of, uint32_t n)
{
    uint32_t least = n;
    for (const struct fgw_link *k = p->turns.next; k != &p->turns && least; k = k->next) {
        struct place want = {.client = fgw_container(k, struct fgw_claim, turn)->client};
        const struct place *has = bsearch(&want, of, n, sizeof *of, by_client);
        uint32_t held = has ? has->held : 0;
        if (held < least) least = held;
    }
    return least;
}

static bool gives_up(const struct place *p, uint32_t left, uint32_t least, uint32_t all, uint64_t early)
{
    return (p->how == STALLED && p->held >= least && (p->held > 1 || p->since <= early)) || (p->how == SLOW && left > all / SHARE && left > least + 1);
}

uint32_t fgw_yield_places(void *ctx, struct fgw_pool *p, uint32_t wanting)
{
    struct fgw_worker *w = ctx;
    uint32_t live = (uint32_t)w->exchanges.live, max = 0, left = 0;
    for (struct fgw_link *k = w->live.next; k != &w->live; k = k->next) max += has_place(fgw_container(k, struct fgw_exchange, live), p);
    struct place *of = p->set.stall_ms && max ? malloc(max * sizeof *of) : NULL;
    if (!of) return live;
    uint32_t n = gather(w, p, of, max), least = fewest(p, of, n);
    uint64_t now = w->loop.clock.mono_ms, lone = (uint64_t)LONE * p->set.stall_ms, early = now > lone ? now - lone : 0;
    qsort(of, n, sizeof *of, by_holding);
    for (uint32_t i = 0; i < n && wanting; i++) {
        if (i == 0 || of[i].client != of[i - 1].client) left = of[i].held;
        if (!gives_up(&of[i], left, least, n, early)) continue;
        left--, wanting--;
        fgw_exchange_refuse(of[i].x, fgw_fail(FGW_E_CLIENT_STALLED, FGW_BY_CLIENT));
        if (of[i].x->ended) fgw_exchange_end(of[i].x);
    }
    free(of);
    return live;
}
