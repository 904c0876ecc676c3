/* Two steps that no configuration can name; tests put them into segments to exercise body filters, parking and calls. */
#include "policy/step.h"

/* Upper-cases every body byte that passes, both ways, and appends "!" at the end of a reply. */
static bool shout(struct fgw_req *r, struct fgw_span s, struct fgw_body_out *o)
{
    char piece[512];
    const char *p = s.len ? fgw_span_p(s) : NULL;
    for (uint32_t at = 0; at < s.len;) {
        uint32_t n = s.len - at < sizeof piece ? s.len - at : (uint32_t)sizeof piece;
        for (uint32_t i = 0; i < n; i++) piece[i] = p[at + i] >= 'a' && p[at + i] <= 'z' ? (char)(p[at + i] - 32) : p[at + i];
        if (!o->copy(o, piece, n)) {
            r->fail = fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
            return false;
        }
        at += n;
    }
    return true;
}

static bool body_request(struct fgw_req *r, const void *args, void *state, struct fgw_span s, bool end, struct fgw_body_out *o)
{
    (void)args, (void)state, (void)end;
    return shout(r, s, o);
}

static bool body_reply(struct fgw_req *r, const void *args, void *state, struct fgw_span s, bool end, struct fgw_body_out *o)
{
    (void)args, (void)state;
    return shout(r, s, o) && (!end || o->copy(o, "!", 1));
}

const struct fgw_step fgw_step_test_body = {.name = "test_body", .changes_length = true, .on_body = {body_request, body_reply}};

/* Asks GET /probe of the route's own upstream, waits for it, and tells its status as a request field. */
struct call_state { bool asked; };

static enum fgw_verdict call_request(struct fgw_req *r, const void *args, void *state)
{
    struct call_state *s = state;
    (void)args;
    if (!s->asked) {
        s->asked = true;
        r->call = (struct fgw_call_spec){FGW_STR("GET"), FGW_STR("/probe"), FGW_STR("")};
        return FGW_PARK;
    }
    char *digits = fgw_arena_alloc(&r->arena, 3);
    if (!digits) {
        r->fail = fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
        return FGW_FAIL;
    }
    digits[0] = (char)('0' + r->call_status / 100 % 10), digits[1] = (char)('0' + r->call_status / 10 % 10), digits[2] = (char)('0' + r->call_status % 10);
    return fgw_fields_add(&r->arena, &r->out, FGW_H_OTHER, FGW_STR("x-probe"), fgw_str(digits, 3)) ? FGW_NEXT : FGW_FAIL;
}

const struct fgw_step fgw_step_test_call = {.name = "test_call", .state_size = sizeof(struct call_state), .on_request = call_request};
