#include "testing/net.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "core/front.h"

enum { ROUNDS = 4000 };                                /* in which no byte moves and no connection ends */
#define START_NS (1000000000ull * 3600 * 24 * 3650)    /* ten years of uptime; buckets count in 1/16 ns, which would wrap after 36 */

struct bytes { char *p; size_t at, n, cap; };
struct fgw_pipe {
    struct fgw_transport tp;                           /* its own, so that a connection leads to its pipe */
    struct fgw_link link;                              /* in net.pipes */
    struct fgw_net *net;
    struct fgw_conn *c;                                /* the engine's end; NULL: closed */
    struct bytes in, out;
    size_t room;
    bool eof, reset, refused, shut, was_reset, connecting, taken, released;
    char upstream[80], endpoint[FGW_EP_NAME];
};
struct rule { struct fgw_link link; enum fgw_net_dial how; char upstream[80], endpoint[FGW_EP_NAME]; };
struct fgw_net {
    struct fgw_clock_source clock;
    struct fgw_dialer dialer;                          /* its own, so that a pool leads to its net */
    struct fgw_worker *w;
    struct fgw_link pipes, rules;
    uint64_t mono_ns, wall_ns, moved, changes;         /* wall_ns: at START_NS */
};

const char *fgw_net_dial_name(enum fgw_net_dial d)
{
    static const char *const names[] = {"opens", "hangs", "refused"};
    return (unsigned)d < FGW_COUNT(names) ? names[d] : "?";
}

/* ---- bytes ---- */
static bool bytes_put(struct bytes *b, const void *p, size_t n)
{
    if (b->at == b->n) b->at = b->n = 0;
    if (b->n + n > b->cap) {
        size_t cap = (b->n + n) * 2 + 256;
        char *grown = realloc(b->p, cap);
        if (!grown) return false;
        b->p = grown, b->cap = cap;
    }
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    return true;
}

static size_t bytes_take(struct bytes *b, char *out, size_t size)
{
    size_t n = b->n - b->at < size ? b->n - b->at : size;
    if (n) memcpy(out, b->p + b->at, n);
    b->at += n;
    if (b->at == b->n) free(b->p), *b = (struct bytes){0};   /* an idle pipe holds nothing */
    return n;
}

/* ---- the engine's side: a transport ---- */
static struct fgw_pipe *pipe_of(const struct fgw_conn *c) { return fgw_container(c->tp, struct fgw_pipe, tp); }

static ssize_t pipe_recv(struct fgw_conn *c, void *out, size_t size)
{
    struct fgw_pipe *p = pipe_of(c);
    if (p->reset) return errno = p->refused ? ECONNREFUSED : ECONNRESET, -1;
    if (p->in.at == p->in.n) return p->eof ? 0 : (errno = EAGAIN, -1);
    size_t n = bytes_take(&p->in, out, size);
    p->net->moved += n;
    return (ssize_t)n;
}

static ssize_t pipe_send(struct fgw_conn *c, const struct iovec *v, int n)
{
    struct fgw_pipe *p = pipe_of(c);
    size_t sum = 0;
    if (p->reset) return errno = EPIPE, -1;
    for (int i = 0; i < n && p->room; i++) {
        size_t k = v[i].iov_len < p->room ? v[i].iov_len : p->room;
        if (!bytes_put(&p->out, v[i].iov_base, k)) break;
        sum += k, p->net->moved += k;
        if (p->room != SIZE_MAX) p->room -= k;
        if (k < v[i].iov_len) break;
    }
    return sum ? (ssize_t)sum : (errno = EAGAIN, -1);
}

static void pipe_shut(struct fgw_conn *c) { pipe_of(c)->shut = true; }

static void pipe_free(struct fgw_pipe *p)
{
    fgw_link_remove(&p->link);
    free(p->in.p), free(p->out.p);
    free(p);
}

static void pipe_close(struct fgw_conn *c, bool reset)
{
    struct fgw_pipe *p = pipe_of(c);
    p->c = NULL, p->shut = true, p->was_reset = reset, p->connecting = false;
    p->net->changes++;
    free(p->in.p), p->in = (struct bytes){0};
}

static int pipe_arm(struct fgw_conn *c, uint32_t events)
{
    c->watch.events = events;
    return 0;
}

static struct fgw_pipe *pipe_new(struct fgw_net *n)
{
    struct fgw_pipe *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (struct fgw_pipe){.tp = {pipe_recv, pipe_send, pipe_shut, pipe_close, pipe_arm, NULL, NULL}, .net = n, .room = SIZE_MAX};
    fgw_list_push(&n->pipes, &p->link);
    n->changes++;
    return p;
}

static void pipe_join(struct fgw_pipe *p, struct fgw_conn *c)
{
    p->c = c;
    c->watch.events = EPOLLIN | EPOLLRDHUP;
}

/* ---- dials ---- */
static void text_copy(char *out, size_t size, const char *text) { snprintf(out, size, "%s", text); }

static struct rule *rule_find(struct fgw_net *n, const char *upstream, const char *endpoint)
{
    for (struct fgw_link *k = n->rules.next; k != &n->rules; k = k->next) {
        struct rule *r = fgw_container(k, struct rule, link);
        if (strcmp(r->upstream, upstream) == 0 && strcmp(r->endpoint, endpoint) == 0) return r;
    }
    return NULL;
}

bool fgw_net_dials(struct fgw_net *n, const char *upstream, const char *endpoint, enum fgw_net_dial how)
{
    struct rule *r = rule_find(n, upstream, endpoint);
    if (!r) {
        if (!(r = calloc(1, sizeof *r))) return false;
        text_copy(r->upstream, sizeof r->upstream, upstream), text_copy(r->endpoint, sizeof r->endpoint, endpoint);
        fgw_list_push(&n->rules, &r->link);
    }
    r->how = how;
    return true;
}

static struct fgw_mux *net_dial(struct fgw_pool *pool, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    struct fgw_net *n = fgw_container(pool->dialer, struct fgw_net, dialer);
    const struct rule *r = rule_find(n, pool->name, e->name);
    if (!r) r = rule_find(n, pool->name, "");
    enum fgw_net_dial how = r ? r->how : FGW_NET_OPENS;
    if (how == FGW_NET_REFUSED) return errno = ECONNREFUSED, NULL;
    struct fgw_pipe *p = pipe_new(n);
    struct fgw_mux *m = p ? fgw_h1_client_memory(pool->env->h1, &p->tp, &pool->limits, user) : NULL;
    if (!m) {
        if (p) pipe_free(p);
        return errno = ENOMEM, NULL;
    }
    text_copy(p->upstream, sizeof p->upstream, pool->name), text_copy(p->endpoint, sizeof p->endpoint, e->name);
    pipe_join(p, fgw_h1_client_conn(m));
    if (how == FGW_NET_HANGS) {
        p->connecting = true;
        p->c->state = FGW_CONN_CONNECTING;
        fgw_link_remove(pool->env->h1->loop->ready.prev);   /* its announcement of being open */
    }
    return m;
}

struct fgw_pipe *fgw_net_accept(struct fgw_net *n, const char *upstream)
{
    for (struct fgw_link *k = n->pipes.next; k != &n->pipes; k = k->next) {
        struct fgw_pipe *p = fgw_container(k, struct fgw_pipe, link);
        if (!p->endpoint[0] || p->taken || strcmp(p->upstream, upstream) != 0) continue;
        p->taken = true;
        return p;
    }
    return NULL;
}

uint32_t fgw_net_waiting(const struct fgw_net *n, const char *upstream)
{
    uint32_t count = 0;
    for (const struct fgw_link *k = n->pipes.next; k != &n->pipes; k = k->next) {
        const struct fgw_pipe *p = fgw_container(k, struct fgw_pipe, link);
        count += p->endpoint[0] && !p->taken && (!*upstream || strcmp(p->upstream, upstream) == 0);
    }
    return count;
}

/* ---- life ---- */
static uint64_t net_mono(void *ctx) { return ((struct fgw_net *)ctx)->mono_ns; }
static uint64_t net_wall(void *ctx) { return ((struct fgw_net *)ctx)->wall_ns + (((struct fgw_net *)ctx)->mono_ns - START_NS); }

struct fgw_net *fgw_net_new(uint64_t wall_ns)
{
    struct fgw_net *n = calloc(1, sizeof *n);
    if (!n) return NULL;
    *n = (struct fgw_net){.clock = {net_mono, net_wall, n}, .dialer = {.name = "test", .dial = net_dial}, .mono_ns = START_NS, .wall_ns = wall_ns};
    fgw_list_init(&n->pipes), fgw_list_init(&n->rules);
    return n;
}

void fgw_net_free(struct fgw_net *n)
{
    struct fgw_link *k;
    if (!n) return;
    while ((k = fgw_list_first(&n->pipes))) {
        struct fgw_pipe *p = fgw_container(k, struct fgw_pipe, link);
        FGW_CHECK(!p->c);
        pipe_free(p);
    }
    while ((k = fgw_list_pop(&n->rules))) free(fgw_container(k, struct rule, link));
    free(n);
}

const struct fgw_clock_source *fgw_net_clock(const struct fgw_net *n) { return &n->clock; }
void fgw_net_attach(struct fgw_net *n, struct fgw_worker *w) { n->w = w; }

void fgw_net_adopt(struct fgw_net *n)
{
    for (struct fgw_link *k = n->w->pools.next; k != &n->w->pools; k = k->next) fgw_container(k, struct fgw_pool, link)->dialer = &n->dialer;
}

static struct fgw_listener *listener(const struct fgw_net *n, uint32_t id)
{
    for (struct fgw_link *k = n->w->listeners.next; k != &n->w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        if (l->id == id) return l;
    }
    return NULL;
}

bool fgw_net_listen(struct fgw_net *n, uint32_t id)
{
    if (listener(n, id)) return true;
    struct fgw_listener *l = calloc(1, sizeof *l);
    if (!l) return false;
    *l = (struct fgw_listener){.w = n->w, .id = id};
    fgw_list_init(&l->sockets);
    fgw_list_push(&n->w->listeners, &l->link);
    return true;
}

static void addr_of(const char *text, uint16_t port, struct fgw_addr *a)
{
    static const char unix_text[] = "unix";
    if (!fgw_addr_parse(fgw_str(text, strlen(text)), a)) {
        *a = (struct fgw_addr){.len = sizeof unix_text - 1};
        memcpy(a->text, unix_text, sizeof unix_text);
    } else a->port = port;
}

struct fgw_pipe *fgw_net_connect(struct fgw_net *n, uint32_t id, const char *address, uint16_t port)
{
    struct fgw_listener *l = listener(n, id);
    struct fgw_addr a;
    if (!l || !n->w->snap || !fgw_snapshot_listener(n->w->snap, id)) return NULL;
    struct fgw_pipe *p = pipe_new(n);
    if (!p) return NULL;
    addr_of(address, port, &a);
    struct fgw_conn *c = fgw_front_memory(l, &p->tp, &a);
    if (!c) {
        pipe_free(p);
        return NULL;
    }
    pipe_join(p, c);
    p->taken = true;
    return p;
}

/* ---- events and time ---- */
static uint32_t pipe_events(const struct fgw_pipe *p)
{
    uint32_t e = 0;
    if (p->connecting) return 0;
    if (p->reset) return EPOLLERR | EPOLLHUP | (p->c->watch.events & (EPOLLIN | EPOLLOUT));
    if (p->in.n > p->in.at || p->eof) e |= EPOLLIN;
    if (p->room) e |= EPOLLOUT;
    return e & p->c->watch.events;
}

/* One event for each pipe that has one, the worker's own events, then settle. False: nothing was ready. */
static bool round_of(struct fgw_net *n)
{
    bool any = !fgw_list_empty(&n->w->loop.ready) || !fgw_list_empty(&n->w->loop.dirty);
    struct fgw_link *last = n->pipes.prev;             /* those that come meanwhile wait for the next round */
    for (struct fgw_link *k = n->pipes.next, *next; k != &n->pipes; k = next) {
        struct fgw_pipe *p = fgw_container(k, struct fgw_pipe, link);
        bool end = k == last;
        next = k->next;                                /* pipes are freed at rest only */
        uint32_t e = p->c ? pipe_events(p) : 0;
        if (e) any = true, fgw_conn_event(p->c, e);
        if (end) break;
    }
    fgw_worker_turn(n->w);
    return any;
}

/* What the engine and the test have both let go of. */
static void sweep(struct fgw_net *n)
{
    for (struct fgw_link *k = n->pipes.next, *next; k != &n->pipes; k = next) {
        struct fgw_pipe *p = fgw_container(k, struct fgw_pipe, link);
        next = k->next;
        if (!p->c && p->released) pipe_free(p);
    }
}

bool fgw_net_run(struct fgw_net *n)
{
    uint64_t moved = n->moved + n->changes;
    for (int i = 0; i < ROUNDS; i++) {
        if (!round_of(n)) {
            sweep(n);
            return true;
        }
        if (moved != n->moved + n->changes) moved = n->moved + n->changes, i = 0;
    }
    return false;
}

uint64_t fgw_net_next(const struct fgw_net *n)
{
    uint64_t next = fgw_wheel_next(&n->w->loop.wheel), now = n->mono_ns / 1000000;
    return next == UINT64_MAX ? next : next > now ? next - now : 1;
}

bool fgw_net_pass(struct fgw_net *n, uint64_t ms)
{
    struct fgw_loop *l = &n->w->loop;
    uint64_t until = n->mono_ns + ms * 1000000;
    if (!fgw_net_run(n)) return false;
    while (n->mono_ns < until) {
        uint64_t next = fgw_net_next(n), left = (until - n->mono_ns) / 1000000;
        n->mono_ns += (next < left ? next : left) * 1000000;
        fgw_loop_pass(l);
        if (!fgw_net_run(n)) return false;
    }
    return true;
}

uint64_t fgw_net_now(const struct fgw_net *n) { return (n->mono_ns - START_NS) / 1000000; }
uint64_t fgw_net_moved(const struct fgw_net *n) { return n->moved; }
size_t fgw_net_log(struct fgw_net *n, bool errors, char *out, size_t size) { return fgw_ring_read(errors ? n->w->errors : n->w->log, out, size); }

/* ---- the test's end of a pipe ---- */
bool fgw_pipe_write(struct fgw_pipe *p, const void *bytes, size_t n)
{
    return !p->c || p->eof || p->reset || bytes_put(&p->in, bytes, n);
}

size_t fgw_pipe_read(struct fgw_pipe *p, char *out, size_t size) { return bytes_take(&p->out, out, size); }
size_t fgw_pipe_unread(const struct fgw_pipe *p) { return p->out.n - p->out.at; }
size_t fgw_pipe_untaken(const struct fgw_pipe *p) { return p->in.n - p->in.at; }
void fgw_pipe_end(struct fgw_pipe *p) { p->eof = true; }

void fgw_pipe_reset(struct fgw_pipe *p)
{
    fgw_pipe_answer(p, false);
    p->reset = true;
}

void fgw_pipe_room(struct fgw_pipe *p, size_t bytes) { p->room = bytes == SIZE_MAX || p->room == SIZE_MAX ? bytes : p->room + bytes; }

void fgw_pipe_answer(struct fgw_pipe *p, bool open)
{
    if (!p->c || !p->connecting) return;
    p->connecting = false;
    p->c->state = FGW_CONN_OPEN;
    if (open) {
        if (p->c->out.bytes) fgw_conn_dirty(p->c);
        p->c->user->on_open(p->c);
    } else p->reset = p->refused = true;
}

unsigned fgw_pipe_is(const struct fgw_pipe *p)
{
    return (p->connecting ? FGW_PIPE_CONNECTING : 0) | (p->shut ? FGW_PIPE_ENDED : 0) | (p->c ? 0 : FGW_PIPE_CLOSED) |
           (p->was_reset ? FGW_PIPE_WAS_RESET : 0);
}

const char *fgw_pipe_endpoint(const struct fgw_pipe *p) { return p->endpoint; }

void fgw_pipe_release(struct fgw_pipe *p) { p->released = true; }
