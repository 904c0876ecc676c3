/* What is told of an exchange when it ends; and what is copied when it lets go of its head early. */
#include "core/exchange.h"
#include "core/accesslog.h"
#include "http/grpc.h"
#include "io/tls_cert.h"

static struct fgw_str field(const struct fgw_exchange *x, enum fgw_field_id id)
{
    const struct fgw_field *f = x->msg ? fgw_head_find(&x->msg->head, id) : NULL;
    return f ? fgw_head_value(&x->msg->head, f) : FGW_STR("");
}

static void copy(struct fgw_exchange *x, struct fgw_str *s)
{
    struct fgw_str d = s->n ? fgw_arena_dup(&x->r.arena, *s) : FGW_STR("");
    *s = d.p ? d : FGW_STR("");
}

/* From here on it holds itself what the snapshot held for it: the pool, and the names that the log will say. */
static void forget(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    copy(x, &r->listener), copy(x, &r->limit_dry), copy(x, &r->plugin_open);
    fgw_chain_end(x);
    r->path_out = fgw_arena_dup(&r->arena, r->route ? fgw_l_text(r->seg, r->route->name) : FGW_STR(""));   /* from here on: the route's name */
    r->route = NULL, r->seg = NULL, x->bound = NULL, x->states = NULL, x->nsteps = 0;
    if (x->pool) fgw_pool_ref(x->pool);
    fgw_snapshot_unref(x->snap);
    x->snap = NULL;
}

/* A tunnel may live for days: it keeps neither its head's block nor the snapshot, only what the log will say. */
void fgw_exchange_detach(struct fgw_exchange *x)
{
    struct fgw_req *r = &x->r;
    if (x->filters[0] || x->filters[1] || !x->snap) return;
    copy(x, &r->method), copy(x, &r->host), copy(x, &r->target.path), copy(x, &r->target.query), copy(x, &r->request_id);
    copy(x, &r->client);
    forget(x);
    fgw_msg_put(x->msg), fgw_msg_put(x->reply_msg);
    x->msg = x->reply_msg = NULL, r->msg = NULL;
}

/* So may a stream whose answer has begun: what is new has come, and the old must not wait for it. */
void fgw_exchanges_forget(struct fgw_worker *w)
{
    for (struct fgw_link *k = w->live.next; k != &w->live; k = k->next) {
        struct fgw_exchange *x = fgw_container(k, struct fgw_exchange, live);
        if (x->snap && x->snap != w->snap && x->rp == FGW_RP_BODY && !x->own_reply && !x->parked && !x->filters[0] && !x->filters[1] && !x->caller &&
            fgw_list_empty(&x->children)) forget(x);
    }
}

void fgw_exchange_log(struct fgw_exchange *x)
{
    struct fgw_worker *w = x->w;
    struct fgw_req *r = &x->r;
    uint64_t us = (w->loop.clock.mono_ns - x->start_ns) / 1000;
    bool answered = x->rp == FGW_RP_BODY || x->rp == FGW_RP_DONE;
    uint16_t status = answered ? r->status : 0;
    if (x->slot < FGW_SHM_STATS) {
        struct fgw_stats_cell *cell = fgw_stats_cell(w->shm, w->column, x->slot);
        fgw_stats_request(cell, status, us, x->bytes_in, x->bytes_out);
        if (x->own_reply && x->fail.code) fgw_stats_add(&cell->gateway_errors, 1);
        if (x->tries > 1) fgw_stats_add(&cell->retries, 1);
    }
    uint8_t call = r->grpc ? (uint8_t)(1 + fgw_grpc_outcome(x, status)) : 0;
    if (call && x->grpc_slot) fgw_stats_add(&fgw_grpc_cell(w->shm, w->column, x->grpc_slot)->calls[call - 1], 1);
    int format = w->snap ? w->snap->root->log_format : FGW_LOG_OFF;
    if (format == FGW_LOG_OFF) return;
    struct fgw_log_facts f = {.time = &w->log_time, .wall_ns = x->start_wall, .duration_us = us, .bytes_in = x->bytes_in, .bytes_out = x->bytes_out,
                              .upstream_us = x->upstream_ns && x->head_ns > x->upstream_ns ? (x->head_ns - x->upstream_ns) / 1000 : 0,
                              .client = r->client, .subject = r->peer && r->peer->identity ? r->peer->identity->subject : FGW_STR(""),
                              .method = r->method, .host = r->host, .request_id = r->request_id,
                              .target = x->msg ? fgw_head_target(&x->msg->head) : r->target.path,
                              .user_agent = field(x, FGW_H_USER_AGENT), .referer = field(x, FGW_H_REFERER), .listener = r->listener,
                              .route = x->snap ? r->route ? fgw_l_text(r->seg, r->route->name) : FGW_STR("") : r->path_out,
                              .fail = x->fail, .limit = r->limit, .limit_dry = r->limit_dry, .plugin = r->plugin,
                              .plugin_open = r->plugin_open, .tags = r->tags.v, .ntags = r->tags.n, .status = status, .grpc = call, .h = r->h,
                              .minor = r->minor, .tries = x->tries};
    if (x->pool && x->tries) f.upstream = fgw_str(x->pool->name, strlen(x->pool->name));
    f.endpoint = fgw_str(x->endpoint, strnlen(x->endpoint, sizeof x->endpoint));
    fgw_accesslog_write(w->log, format, &f);
}
