/* The `headers` step: remove, rename, set, append, in that order, on the request and on the reply. */
#include "policy/step.h"

static enum fgw_verdict no_room(struct fgw_req *r)
{
    r->fail = fgw_fail(FGW_E_NO_MEMORY, FGW_BY_GATEWAY);
    return FGW_FAIL;
}

static void rename_all(struct fgw_fields *f, const struct fgw_l_edit *e, struct fgw_str name, struct fgw_str to)
{
    struct fgw_out_field *x;
    if (e->id == e->to_id && fgw_str_ieq(name, to)) return;                /* itself: field names have no case */
    if (fgw_fields_find(f, (enum fgw_field_id)e->id, name)) fgw_fields_drop(f, (enum fgw_field_id)e->to_id, to);   /* it takes the place of what is there */
    while ((x = fgw_fields_find(f, (enum fgw_field_id)e->id, name))) {
        x->name = to.p, x->name_len = (uint16_t)to.n, x->id = e->to_id;
    }
}

static bool edit(struct fgw_req *r, struct fgw_fields *f, const struct fgw_l_edit *e)
{
    struct fgw_str name = fgw_l_text(r->seg, e->name);
    enum fgw_field_id id = (enum fgw_field_id)e->id;
    switch ((enum fgw_edit_op)e->op) {
    case FGW_EDIT_REMOVE: fgw_fields_drop(f, id, name); return true;
    case FGW_EDIT_RENAME: rename_all(f, e, name, fgw_l_text(r->seg, e->to)); return true;
    case FGW_EDIT_SET:    fgw_fields_drop(f, id, name); break;
    case FGW_EDIT_APPEND: break;
    }
    struct fgw_str value = fgw_template(r, fgw_l_at(r->seg, e->value.off), e->value.count);
    if (!value.p && e->value.count) return false;
    return fgw_fields_add(&r->arena, f, id, name, value);
}

static enum fgw_verdict edit_all(struct fgw_req *r, struct fgw_fields *f, struct fgw_l_arr edits)
{
    const struct fgw_l_edit *e = fgw_l_at(r->seg, edits.off);
    for (uint32_t i = 0; i < edits.count; i++)
        if (!edit(r, f, &e[i])) return no_room(r);
    return FGW_NEXT;
}

static enum fgw_verdict on_request(struct fgw_req *r, const void *args, void *state)
{
    (void)state;
    return edit_all(r, &r->out, ((const struct fgw_l_headers *)args)->request);
}

static enum fgw_verdict on_reply(struct fgw_req *r, const void *args, void *state)
{
    (void)state;
    return edit_all(r, &r->reply, ((const struct fgw_l_headers *)args)->reply);
}

const struct fgw_step fgw_step_headers = {.name = "headers", .on_request = on_request, .on_reply = on_reply};
