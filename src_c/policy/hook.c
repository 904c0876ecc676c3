#include "policy/hook.h"

static struct fgw_hook_cell *cell_of(const struct fgw_hook_state *s) { return fgw_hook_cell(s->hooks, s->l->slot); }

static void ended(struct fgw_hook_state *s, struct fgw_hook_cell *c)
{
    fgw_hook_count(&c->ns, s->hooks->loop->clock.mono_ns - s->start_ns);
}

static void over(struct fgw_req *r, struct fgw_hook_state *s, enum fgw_hook_over why)
{
    const struct fgw_hook_host *host = s->hooks->host;
    if (s->host) host->over(host->self, r, s, why);
    s->host = NULL;
}

static void too_long(struct fgw_hooks *h, const struct fgw_l_hook *l, struct fgw_str name, uint64_t start_ns)
{
    uint64_t ms = (h->loop->clock.mono_ns - start_ns) / 1000000;
    if (!l->budget_ms || ms <= l->budget_ms) return;
    fgw_hook_count(&fgw_hook_cell(h, l->slot)->blocked, 1);
    h->blocked(h, name, ms);
}

/* ---- waiting ---- */
static void unpark(struct fgw_hook_state *s)
{
    struct fgw_hook_cell *c = cell_of(s);
    fgw_timer_cancel(&s->hooks->loop->wheel, &s->budget);
    s->hooks->parked--;
    fgw_hook_count(&c->parked, (uint64_t)-1);
    ended(s, c);
}

static void goes_on(struct fgw_hook_state *s)
{
    struct fgw_hooks *h = s->hooks;
    h->resume(h, s->r->ticket, FGW_NEXT);
}

static void spent(struct fgw_timer *t)
{
    struct fgw_hook_state *s = fgw_container(t, struct fgw_hook_state, budget);
    unpark(s);
    fgw_hook_count(&cell_of(s)->timed_out, 1);
    s->stage = FGW_HOOK_LATE;
    over(s->r, s, FGW_HOOK_BUDGET);
    goes_on(s);
}

static enum fgw_verdict park(struct fgw_hook_state *s, struct fgw_hook_cell *c)
{
    struct fgw_hooks *h = s->hooks;
    uint64_t ms = (h->loop->clock.mono_ns - s->start_ns) / 1000000, budget = s->l->budget_ms;
    s->stage = FGW_HOOK_WAITS;
    s->budget.fire = spent;
    if (budget) fgw_loop_timer(h->loop, &s->budget, ms < budget ? budget - ms : 1);
    h->parked++;
    fgw_hook_count(&c->parked, 1);
    return FGW_PARK;
}

void fgw_hook_done(struct fgw_hook_state *s, enum fgw_hook_out out)
{
    FGW_CHECK(s->stage == FGW_HOOK_WAITS && out != FGW_HOOK_PARKED);
    fgw_clock_update(&s->hooks->loop->clock);
    unpark(s);
    s->stage = FGW_HOOK_DONE, s->out = (uint8_t)out;
    goes_on(s);
}

void fgw_hook_slice(struct fgw_hooks *h, const struct fgw_l_hook *l, struct fgw_str name, uint64_t start_ns)
{
    fgw_clock_update(&h->loop->clock);
    too_long(h, l, name, start_ns);
}

/* ---- the step ---- */
static enum fgw_verdict failed(struct fgw_req *r, const struct fgw_l_hook *l, enum fgw_err why)
{
    struct fgw_str name = fgw_l_text(r->seg, l->name);
    if (l->fail == FGW_HOOK_OPEN) {
        r->plugin_open = name;
        return FGW_NEXT;
    }
    r->plugin = name;
    r->fail = fgw_fail(why, FGW_BY_GATEWAY);
    return FGW_FAIL;
}

static enum fgw_verdict verdict(struct fgw_req *r, struct fgw_hook_state *s, enum fgw_hook_out out)
{
    const struct fgw_l_hook *l = s->l;
    bool late = s->stage == FGW_HOOK_LATE;
    s->stage = FGW_HOOK_IDLE;
    if (late) return failed(r, l, FGW_E_PLUGIN_TIMEOUT);
    if (out == FGW_HOOK_NEXT) return FGW_NEXT;
    if (out == FGW_HOOK_REPLY_MADE) {
        fgw_hook_count(&cell_of(s)->replies, 1);
        r->plugin = fgw_l_text(r->seg, l->name);
        return FGW_REPLY;
    }
    fgw_hook_count(&cell_of(s)->failed, 1);
    return failed(r, l, FGW_E_PLUGIN_FAILED);
}

static enum fgw_verdict ask(struct fgw_req *r, const struct fgw_l_hook *l, struct fgw_hook_state *s, enum fgw_hook_phase phase)
{
    if (!(l->phases >> phase & 1)) return FGW_NEXT;
    if (s->stage != FGW_HOOK_IDLE) return verdict(r, s, (enum fgw_hook_out)s->out);
    const struct fgw_hook_bound *b = r->hooks;
    const struct fgw_hook_host *host = b->hooks->host;
    s->hooks = b->hooks, s->r = r, s->l = l, s->phase = (uint8_t)phase;
    struct fgw_hook_cell *c = cell_of(s);
    struct fgw_clock *clock = &s->hooks->loop->clock;
    fgw_hook_count(&c->calls, 1);
    fgw_clock_mono(clock);
    s->start_ns = clock->mono_ns;
    s->stage = FGW_HOOK_RUNS;
    enum fgw_hook_out out = host->run(host->self, b->numbers[l->index], phase, r, s);
    fgw_clock_update(clock);
    too_long(s->hooks, l, fgw_l_text(r->seg, l->name), s->start_ns);
    if (out == FGW_HOOK_PARKED) return park(s, c);
    ended(s, c);
    return verdict(r, s, out);
}

static enum fgw_verdict on_request(struct fgw_req *r, const void *args, void *state) { return ask(r, args, state, FGW_HOOK_ACCESS); }
static enum fgw_verdict on_reply(struct fgw_req *r, const void *args, void *state) { return ask(r, args, state, FGW_HOOK_REPLY); }

/* Nobody waits for it any more. */
static void on_end(struct fgw_req *r, const void *args, void *state)
{
    struct fgw_hook_state *s = state;
    (void)args;
    if (!s->hooks) return;
    if (s->stage == FGW_HOOK_WAITS) {
        unpark(s);
        fgw_hook_count(&cell_of(s)->cancelled, 1);
        s->stage = FGW_HOOK_IDLE;
    }
    over(r, s, FGW_HOOK_ENDED);
}

const struct fgw_step fgw_step_hook = {.name = "hook", .state_size = sizeof(struct fgw_hook_state), .on_request = on_request, .on_reply = on_reply,
                                       .on_cancel = on_end, .on_end = on_end};
