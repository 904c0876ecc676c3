/* What an exchange does otherwise when it is a call of gRPC: its deadline, the form of our own answers, its status. */
#include "core/exchange.h"
#include "http/grpc.h"

static const struct fgw_str TIMEOUT = {"grpc-timeout", 12}, STATUS = {"grpc-status", 11};

/* ---- deadline ---- */
/* The call's own time-out; *ns stays as it is without one. Twice is once too often: which one would the upstream take? */
static bool read_timeout(const struct fgw_msg *m, uint64_t *ns)
{
    bool seen = false;
    for (uint16_t i = 0; i < m->head.nfields; i++) {
        const struct fgw_field *f = &m->fields[i];
        if (f->id != FGW_H_OTHER || !fgw_str_ieq(fgw_head_name(&m->head, f), TIMEOUT)) continue;
        if (seen || !fgw_grpc_timeout(fgw_head_value(&m->head, f), ns)) return false;
        seen = true;
    }
    return true;
}

bool fgw_grpc_deadline(struct fgw_exchange *x)
{
    uint64_t own = UINT64_MAX, ns = x->r.route->request_ms ? x->r.route->request_ms * 1000000ull : UINT64_MAX;
    if (!read_timeout(x->msg, &own)) return false;
    if (own < ns) ns = own;
    if (ns > UINT64_MAX - x->start_ns) return true;    /* never, for all that a clock of ours will see */
    x->deadline_ns = x->start_ns + ns;
    fgw_loop_timer(&x->w->loop, &x->deadline, ns < 1000000 ? 1 : (ns + 999999) / 1000000);
    return true;
}

bool fgw_grpc_remaining(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    uint64_t now = x->w->loop.clock.mono_ns;
    char *p = fgw_arena_alloc(&r->arena, FGW_GRPC_TIMEOUT_MAX);
    if (!p) return false;
    fgw_fields_drop(&r->out, FGW_H_OTHER, TIMEOUT);
    return fgw_fields_add(&r->arena, &r->out, FGW_H_OTHER, TIMEOUT,
                          fgw_str(p, fgw_grpc_timeout_write(x->deadline_ns > now ? x->deadline_ns - now : 0, p)));
}

/* ---- our own answers ---- */
/* What to say beside the code. Of an answer of policy that is its text, if it is one. */
static struct fgw_str words(struct fgw_req *r)
{
    const struct fgw_out_field *type = fgw_fields_find(&r->reply, FGW_H_CONTENT_TYPE, FGW_STR("content-type"));
    if (r->answer.detail.n) return r->answer.detail;
    if (r->answer.body.n && (!type || (type->value_len > 5 && fgw_str_ieq(fgw_str(type->value, 5), FGW_STR("text/"))))) return r->answer.body;
    return fgw_reason(r->status);
}

/* It is all status: HTTP's is 200. A static answer that has a grpc-status of its own is in this form already. */
bool fgw_grpc_answer(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    struct fgw_out_field f[FGW_GRPC_FIELDS];
    const struct fgw_out_field *own = fgw_fields_find(&r->reply, FGW_H_OTHER, STATUS);
    if (own && r->status == 200) {
        x->grpc_status = (uint8_t)fgw_grpc_status(fgw_str(own->value, own->value_len));
        return true;
    }
    struct fgw_str text = words(r);
    char *p = fgw_arena_alloc(&r->arena, 3 * (text.n < FGW_GRPC_MESSAGE_MAX ? text.n : FGW_GRPC_MESSAGE_MAX) + 1);
    if (!p) return false;
    enum fgw_grpc_code c = fgw_grpc_of(r->answer.why, r->status);
    uint32_t n = fgw_grpc_fields(c, fgw_str(p, fgw_grpc_message(text, p)), f);
    fgw_fields_drop(&r->reply, FGW_H_CONTENT_TYPE, FGW_STR("content-type"));
    fgw_fields_drop(&r->reply, FGW_H_CONTENT_ENCODING, FGW_STR("content-encoding"));
    fgw_fields_drop(&r->reply, FGW_H_OTHER, STATUS);
    for (uint32_t i = 0; i < n; i++)
        if (!fgw_fields_add(&r->arena, &r->reply, (enum fgw_field_id)f[i].id, fgw_str(f[i].name, f[i].name_len), fgw_str(f[i].value, f[i].value_len))) return false;
    x->grpc_status = (uint8_t)c;
    r->status = 200;
    r->answer.body = FGW_STR("");
    return true;
}

/* A reset would say that the call was cancelled; a client's own clock may be a little behind ours. */
void fgw_grpc_end(struct fgw_exchange *x)
{
    struct fgw_out_field f[FGW_GRPC_FIELDS];
    const char *text = fgw_err_text(FGW_E_REQUEST_TIMEOUT);
    uint32_t n = fgw_grpc_fields(FGW_GRPC_DEADLINE_EXCEEDED, fgw_str(text, strlen(text)), f);
    x->front->down->send_trailers(x->front, f + 1, n - 1);
    x->front->down->finish(x->front);
    fgw_exchange_rp(x, FGW_RP_DONE);
}

/* ---- outcome ---- */
void fgw_grpc_heard(struct fgw_exchange *x, const struct fgw_msg *m)
{
    const struct fgw_field *f = fgw_head_find_name(&m->head, STATUS);
    if (f) x->grpc_status = (uint8_t)fgw_grpc_status(fgw_head_value(&m->head, f));
}

/* Where nobody has told it, that which a client makes of what it got. */
uint8_t fgw_grpc_outcome(const struct fgw_exchange *x, uint16_t status)
{
    enum fgw_err why = (enum fgw_err)x->fail.code;
    if (x->fail.code && !x->own_reply) return (uint8_t)fgw_grpc_of(why, fgw_err_status(why));
    if (x->grpc_status != FGW_GRPC_NONE) return x->grpc_status;
    return (uint8_t)(status ? fgw_grpc_of_status(status) : FGW_GRPC_UNKNOWN);
}
