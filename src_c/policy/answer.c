/* Answers that need no upstream: static ones and redirects, as a route's `to` or as a step of its chain. */
#include "policy/step.h"

bool fgw_answer_static(struct fgw_req *r, const struct fgw_l_answer *a)
{
    const struct fgw_l_pair *p = fgw_l_at(r->seg, a->fields.off);
    r->answer = (struct fgw_answer){.status = a->status, .body = fgw_l_text(r->seg, a->body)};
    for (uint32_t i = 0; i < a->fields.count; i++) {
        struct fgw_str name = fgw_l_text(r->seg, p[i].name);
        if (!fgw_fields_add(&r->arena, &r->reply, fgw_field_id(name.p, name.n), name, fgw_l_text(r->seg, p[i].value))) return false;
    }
    return true;
}

bool fgw_answer_redirect(struct fgw_req *r, const struct fgw_l_redirect *a)
{
    struct fgw_str to = fgw_template(r, fgw_l_at(r->seg, a->location.off), a->location.count);
    r->answer = (struct fgw_answer){.status = a->status};
    return to.p && fgw_fields_add(&r->arena, &r->reply, FGW_H_LOCATION, FGW_STR("Location"), to);
}

static enum fgw_verdict verdict(struct fgw_req *r, bool ok)
{
    if (ok) return FGW_REPLY;
    r->fail = fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
    return FGW_FAIL;
}

static enum fgw_verdict answer_request(struct fgw_req *r, const void *args, void *state)
{
    (void)state;
    return verdict(r, fgw_answer_static(r, args));
}

static enum fgw_verdict redirect_request(struct fgw_req *r, const void *args, void *state)
{
    (void)state;
    return verdict(r, fgw_answer_redirect(r, args));
}

const struct fgw_step fgw_step_answer = {.name = "answer", .on_request = answer_request};
const struct fgw_step fgw_step_redirect = {.name = "redirect", .on_request = redirect_request};
