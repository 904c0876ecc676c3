/* The `concurrency` step: at most so many requests of a key at once, over all workers (io/inflight.h); those beyond may wait.
 *
 *   on_request ──place──► NEXT                               on the request's end the place is given back: who waits here is
 *       │ none                                               looked at in the same turn; who waits in another worker is told by
 *       ├─► queue has room: PARK ──place──► again, NEXT      the bell (io/bell.h), which its own worker listens to while it waits
 *       │                     └──timeout──► again, refuse
 *       └─► refuse
 *
 * Turns    A place given back goes to who waits here, the next one first to another worker whose requests wait (each in turn), and so on:
 *          of two freed in a worker at least one is offered to others. It is theirs for GRACE_MS; what comes here meanwhile queues up.
 *          Then all look. So nobody waits beside a free place for longer, whoever dies or has left in between. */
#include "io/inflight.h"
#include "policy/limit.h"

enum { GRACE_MS = 2 };

struct place {                           /* the step's state */
    struct fgw_hold hold;
    struct fgw_link link;                /* in a list of fgw_limits while it waits */
    struct fgw_timer timer;
    struct fgw_req *r;
    struct fgw_limits *l;
    _Atomic uint64_t *at;                /* where it is counted */
    uint64_t tag;
    uint32_t max;
    bool timed_out;
};

static uint32_t number_of(uint64_t tag) { return tag % FGW_LIMIT_LISTS; }
static struct fgw_link *list_of(struct fgw_limits *l, uint64_t tag) { return &l->lists[number_of(tag)]; }

void fgw_limits_heard(struct fgw_limits *l, uint32_t topic)
{
    if (!l->waiting) return;
    l->told |= topic < FGW_LIMIT_LISTS ? 1ull << topic : UINT64_MAX;
    fgw_job_add(&l->loop->ready, &l->job);
}

/* A place given back is theirs for a while, if others wait: the next one in turn is told, or with nobody here all are. */
static FGW_RARE bool left_to_others(struct fgw_limits *l, uint32_t list, bool ours)
{
    int next = fgw_bell_next(l->bells, list, l->turn[list]);
    if (next < 0) return false;
    if (ours) fgw_bell_ring(l->bells, (uint32_t)next, list, 0);
    else fgw_bell_call_listening(l->bells, list, 0);
    l->turn[list] = (uint16_t)next;
    l->owed &= ~(1ull << list);
    l->left |= 1ull << list;
    if (!fgw_timer_armed(&l->grace)) fgw_loop_timer(l->loop, &l->grace, GRACE_MS);
    return true;
}

static void give_back(struct fgw_hold *h)
{
    struct place *p = fgw_container(h, struct place, hold);
    struct fgw_limits *l = p->l;
    uint32_t list = number_of(p->tag);
    bool ours = !fgw_list_empty(&l->lists[list]);
    fgw_inflight_sub(p->at);
    if (fgw_unlikely(fgw_bell_heard(l->bells)) && (!ours || l->owed >> list & 1) && left_to_others(l, list, ours)) return;
    if (!ours) return;
    l->freed |= 1ull << list, l->given[list]++;
    fgw_job_add(&l->loop->ready, &l->job);
}

/* One who was counted for a moment may have made another believe that there is no place: it is told to look again. */
static _Atomic uint64_t *take(struct fgw_limits *l, uint64_t tag, uint32_t max)
{
    bool back;
    _Atomic uint64_t *at = fgw_inflight_take(l->shm, l->column, tag, max, &back);
    if (fgw_unlikely(back)) fgw_bell_call(l->bells, number_of(tag), 0);
    return at;
}

static void have(struct place *p, _Atomic uint64_t *at)
{
    p->at = at;
    p->hold = (struct fgw_hold){p->r->holds, give_back};
    p->r->holds = &p->hold;
}

static void leave(struct place *p)
{
    if (!fgw_link_in(&p->link)) return;
    fgw_link_remove(&p->link);
    fgw_timer_cancel(&p->l->loop->wheel, &p->timer);
    p->l->waiting--;
    if (fgw_list_empty(list_of(p->l, p->tag))) fgw_bell_unwant(p->l->bells, number_of(p->tag));
}

/* The first in a list that gets a place. Of a key that had none it is not asked again and again. */
static struct place *next_of(struct fgw_limits *l, struct fgw_link *list)
{
    uint64_t none = 0;
    for (struct fgw_link *k = list->next; k != list; k = k->next) {
        struct place *p = fgw_container(k, struct place, link);
        if (p->tag == none) continue;
        _Atomic uint64_t *at = take(l, p->tag, p->max);
        if (at) return have(p, at), p;
        none = p->tag;
    }
    return NULL;
}

static void serve(struct fgw_limits *l, uint32_t list, uint32_t most)
{
    struct place *p;
    for (; most && (p = next_of(l, &l->lists[list])); most--) {
        leave(p);
        l->resume(l, p->r->ticket, FGW_NEXT);
    }
}

/* What was given back here: for as many who wait here; then all others may look. What was given back elsewhere: for whoever waits here. */
static void look(struct fgw_limits *l, uint64_t freed, uint64_t told)
{
    for (uint64_t bits = freed | told; bits; bits &= bits - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(bits), most = told >> i & 1 ? UINT32_MAX : l->given[i];
        l->given[i] = 0;
        if (!(told >> i & 1)) l->owed |= 1ull << i;
        serve(l, i, most);
        if (freed >> i & 1) fgw_bell_call(l->bells, i, 0);
    }
}

static void job(struct fgw_job *j)
{
    struct fgw_limits *l = fgw_container(j, struct fgw_limits, job);
    uint64_t freed = l->freed, told = l->told;
    l->freed = l->told = 0;
    look(l, freed, told & ((1ull << FGW_LIMIT_LISTS) - 1));
}

static void grace_over(struct fgw_timer *t)
{
    struct fgw_limits *l = fgw_container(t, struct fgw_limits, grace);
    uint64_t left = l->left;
    l->left = 0;
    look(l, left, left);
}

void fgw_limits_init(struct fgw_limits *l, struct fgw_shm *shm, uint32_t column, struct fgw_loop *loop, struct fgw_bells *bells,
                     void (*resume)(struct fgw_limits *, struct fgw_ticket, enum fgw_verdict))
{
    *l = (struct fgw_limits){.shm = shm, .column = column, .loop = loop, .bells = bells, .job = {.run = job}, .grace = {.fire = grace_over}, .resume = resume};
    for (int i = 0; i < FGW_LIMIT_LISTS; i++) fgw_list_init(&l->lists[i]), l->turn[i] = (uint16_t)column;
}

void fgw_limits_fini(struct fgw_limits *l)
{
    FGW_CHECK(l->waiting == 0);
    fgw_timer_cancel(&l->loop->wheel, &l->grace);
    look(l, l->freed | l->left, 0);                    /* others wait on for what nobody here looks at any more */
    fgw_link_remove(&l->job.link);
}

static void too_long(struct fgw_timer *t)
{
    struct place *p = fgw_container(t, struct place, timer);
    leave(p);
    p->timed_out = true;
    p->l->resume(p->l, p->r->ticket, FGW_NEXT);
}

static enum fgw_verdict refuse(struct fgw_req *r, const struct fgw_l_concurrency *l, enum fgw_err why)
{
    struct fgw_limit_cell *c = fgw_limit_cell(r->limits, l->slot);
    fgw_limit_count(&c->limited);
    if (why == FGW_E_CONCURRENCY_WAIT) fgw_limit_count(&c->timed_out);
    struct fgw_str name = fgw_l_text(r->seg, l->name);
    fgw_limit_tell(r, name, fgw_l_text(r->seg, l->policy), 0, 0);
    return fgw_limit_refuse(r, name, why, 1);
}

static uint32_t waiting_before(const struct place *p)
{
    uint32_t n = 0;
    struct fgw_link *list = list_of(p->l, p->tag);
    for (struct fgw_link *k = list->next; k != list; k = k->next) n += fgw_container(k, struct place, link)->tag == p->tag;
    return n;
}

static bool is_left(const struct place *p)
{
    return fgw_unlikely(p->l->left >> number_of(p->tag) & 1) && fgw_bell_next(p->l->bells, number_of(p->tag), p->l->column) >= 0;
}

static enum fgw_verdict full(struct fgw_req *r, const struct fgw_l_concurrency *l, struct place *p, uint32_t before)
{
    struct fgw_limit_cell *c = fgw_limit_cell(r->limits, l->slot);
    if (l->dry_run) {
        fgw_limit_count(&c->dry_run);
        r->limit_dry = fgw_l_text(r->seg, l->name);
        have(p, fgw_inflight_add(p->l->shm, p->l->column, p->tag));
        return FGW_NEXT;
    }
    if (before >= l->queue_max || p->l->waiting >= FGW_LIMIT_WAITING_MAX) return refuse(r, l, FGW_E_CONCURRENCY);
    struct fgw_link *list = list_of(p->l, p->tag);
    if (fgw_list_empty(list)) {                        /* from here on it is told; was a place given back just before? */
        fgw_bell_want(p->l->bells, number_of(p->tag));
        _Atomic uint64_t *at = is_left(p) ? NULL : take(p->l, p->tag, l->max);
        if (at) {
            fgw_bell_unwant(p->l->bells, number_of(p->tag));
            return have(p, at), fgw_limit_count(&c->allowed), FGW_NEXT;
        }
    }
    fgw_limit_count(&c->queued);
    fgw_list_push(list, &p->link);
    p->timer.fire = too_long;
    fgw_loop_timer(p->l->loop, &p->timer, l->queue_ms);
    p->l->waiting++;
    return FGW_PARK;
}

static enum fgw_verdict on_request(struct fgw_req *r, const void *args, void *state)
{
    const struct fgw_l_concurrency *l = args;
    struct place *p = state;
    struct fgw_limit_cell *c = fgw_limit_cell(r->limits, l->slot);
    if (p->timed_out) return refuse(r, l, FGW_E_CONCURRENCY_WAIT);
    if (!p->at) {
        p->r = r, p->l = r->limits, p->max = l->max;
        p->tag = fgw_limit_tag(r, l->keys, fgw_l_text(r->seg, l->name));
        uint32_t before = p->l->waiting ? waiting_before(p) : 0;
        _Atomic uint64_t *at = before || (l->queue_max && is_left(p)) ? NULL : take(p->l, p->tag, l->max);
        if (!at) return full(r, l, p, before);
        have(p, at);
    }
    fgw_limit_count(&c->allowed);
    return FGW_NEXT;
}

static void on_end(struct fgw_req *r, const void *args, void *state)
{
    struct place *p = state;
    (void)r, (void)args;
    if (p->l) leave(p);
}

const struct fgw_step fgw_step_concurrency = {.name = "concurrency", .state_size = sizeof(struct place), .on_request = on_request,
                                              .on_cancel = on_end, .on_end = on_end};
