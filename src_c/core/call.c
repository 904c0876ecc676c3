#include "core/call.h"
#include <stdio.h>

static const struct fgw_side_down down;
static struct fgw_call *of(struct fgw_side *s) { return fgw_container(s, struct fgw_call, side); }
static void later(struct fgw_call *c) { fgw_job_add(&c->w->loop.ready, &c->job); }

/* What a downward call may not do itself: give back room, tell the owner, free. */
static void run(struct fgw_job *j)
{
    struct fgw_call *c = fgw_container(j, struct fgw_call, job);
    uint64_t room = c->room;
    c->room = 0;
    if (room && c->side.up) c->side.up->on_room(&c->side, room);
    if (!c->over) return;
    if (!c->told) c->told = true, c->done(c);
    fgw_buf_clear(&c->w->loop.bufs, &c->body);
    fgw_slab_put(&c->w->calls, c);
}

static void send_info(struct fgw_side *s, const struct fgw_out *o) { (void)s, (void)o; }
static void send_head(struct fgw_side *s, const struct fgw_out *o) { of(s)->status = o->status; }

static void send_body(struct fgw_side *s, struct fgw_span bytes)
{
    struct fgw_call *c = of(s);
    c->room += bytes.len;
    if (c->body.bytes + bytes.len > c->body_max || !fgw_buf_push(&c->w->loop.bufs, &c->body, fgw_span_ref(bytes))) {
        if (c->body.bytes + bytes.len <= c->body_max) fgw_block_unref(bytes.b);
        c->fail = fgw_fail(FGW_E_BODY_TOO_LONG, FGW_BY_UPSTREAM);
    }
    later(c);
}

static void send_trailers(struct fgw_side *s, const struct fgw_out_field *f, uint32_t n) { (void)s, (void)f, (void)n; }
static void finish(struct fgw_side *s) { of(s)->finished = true; }
static void tunnel(struct fgw_side *s) { (void)s; }
static void credit(struct fgw_side *s, uint64_t n) { (void)s, (void)n; }
static void stop(struct fgw_side *s, enum fgw_err why) { (void)s, (void)why; }
static void abort_(struct fgw_side *s, enum fgw_err why) { of(s)->fail = fgw_fail(why, FGW_BY_UPSTREAM); }

static void release(struct fgw_side *s)
{
    struct fgw_call *c = of(s);
    s->up = NULL;
    c->over = true;
    fgw_link_remove(&c->sibling);
    if (!c->finished || c->fail.code) c->status = 0;
    later(c);
}

static const struct fgw_side_down down = {"call", send_info, send_head, send_body, send_trailers, finish, tunnel, credit, stop, abort_, release, NULL};

static struct fgw_msg *make_head(struct fgw_worker *w, const struct fgw_call_spec *spec)
{
    static const struct fgw_head_limits lim = {16 << 10, 16 << 10, 64 << 10, 16};
    struct fgw_msg *m = fgw_msg_get(&w->h1.msgs);
    size_t size = spec->method.n + (size_t)spec->path.n + 64;
    if (!m || !(m->b = fgw_block_get(&w->loop.blocks, size))) {
        fgw_msg_put(m);
        return NULL;
    }
    int n = snprintf(m->b->data, size, "%.*s %.*s HTTP/1.1\r\n\r\n", (int)spec->method.n, spec->method.p, (int)spec->path.n, spec->path.p);
    if (fgw_head_parse_request(&m->head, m->b->data, (uint32_t)n, &lim) == n) return m;
    fgw_msg_put(m);
    return NULL;
}

struct fgw_call *fgw_call_start(struct fgw_exchange *parent, const struct fgw_call_spec *spec, uint64_t body_max,
                                void (*done)(struct fgw_call *), void *owner)
{
    struct fgw_worker *w = parent->w;
    if (parent->depth >= FGW_CALL_DEPTH || parent->calls >= FGW_CALLS_MAX || !parent->pool || !parent->snap) return NULL;
    struct fgw_call *c = fgw_slab_get(&w->calls);
    struct fgw_msg *m = c ? make_head(w, spec) : NULL;
    if (!m) {
        fgw_slab_put(&w->calls, c);
        return NULL;
    }
    *c = (struct fgw_call){.side = {.down = &down, .minor = 1}, .w = w, .job = {.run = run}, .parent = parent->ticket,
                           .done = done, .owner = owner, .body_max = body_max};
    if (!fgw_exchange_begin_call(w, parent, parent->pool, c, &c->side)) {
        fgw_msg_put(m), fgw_slab_put(&w->calls, c);
        return NULL;
    }
    parent->calls++;
    fgw_list_push(&parent->children, &c->sibling);
    struct fgw_exchange *x = c->side.user;
    x->r.msg = m;
    x->r.method = fgw_head_method(&m->head);
    x->r.target = (struct fgw_target){.path = fgw_head_target(&m->head)};
    x->r.path_out = x->r.target.path;
    x->r.authority = parent->r.authority;
    x->r.minor = 1;
    x->request_ended = true;
    c->side.up->on_head(&c->side, m);
    return c;
}

void fgw_call_cancel_all(struct fgw_exchange *parent)
{
    struct fgw_link *k;
    while ((k = fgw_list_pop(&parent->children)))
        fgw_exchange_cancel(fgw_container(k, struct fgw_call, sibling)->side.user, FGW_E_CANCELLED);
}
