#include "core/worker_impl.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/call.h"
#include "core/exchange.h"
#include "core/front.h"

enum { TICKETS = 65536, PAUSE_MS = 100, MEMORY_DEFAULT = 512 << 20 };

/* ---- what all of core may ask ---- */
void fgw_worker_report(struct fgw_worker *w, int level, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (w->snap && level < w->snap->root->error_level) return;
    char line[512], time[32];
    fgw_clock_rfc3339(w->loop.clock.wall_ns, time);
    int n = snprintf(line, sizeof line, "%s %s worker %u: ", time, names[level & 3], w->column);
    va_list ap;
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    line[n++] = '\n';
    char *p = fgw_ring_room(w->errors, (uint32_t)n);
    if (p) memcpy(p, line, (size_t)n), fgw_ring_commit(w->errors, (uint32_t)n);
}

static uint64_t memory_max(const struct fgw_worker *w) { return w->snap ? w->snap->root->memory_max : 0; }
/* What requests and HTTP/2 hold beside blocks: a request that only waits has little in blocks. */
static uint64_t objects(const struct fgw_worker *w)
{
    const struct fgw_slab *const of[] = {&w->exchanges, &w->tries, &w->h1.msgs, &w->h1.servers, &w->h1.clients, &w->h2.streams, &w->h2.servers, &w->h2.clients};
    uint64_t sum = w->h2.memory.bytes;
    for (size_t i = 0; i < FGW_COUNT(of); i++) sum += of[i]->live * of[i]->size;
    return sum;
}
bool fgw_worker_overloaded(const struct fgw_worker *w)
{
    uint64_t max = memory_max(w), most = max / 10 * 9, other;
    if (!max) return false;
    other = objects(w);
    return w->loop.blocks.bytes + other > most && fgw_blocks_used(&w->loop.blocks) + other > most;
}

static void pool_connected(void *ctx, const struct fgw_pool *p) { fgw_stats_add(&fgw_worker_upstream(ctx, p)->connects, 1); }

static void pool_report(void *ctx, const struct fgw_pool *p, const struct fgw_ep *e, struct fgw_fail why, int err)
{
    fgw_stats_add(&fgw_worker_upstream(ctx, p)->connect_failures, 1);
    fgw_worker_report(ctx, 2, "upstream %s endpoint %s: %s%s%s", p->name, e->e.name, fgw_err_word((enum fgw_err)why.code),
                      err ? ": " : "", err ? strerror(err) : "");
}

/* ---- out of descriptors: keep one in reserve to refuse with, and rest a little ---- */
static void pause_all(struct fgw_worker *w, bool on)
{
    w->accept_paused = on;
    for (struct fgw_link *k = w->listeners.next; k != &w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        for (struct fgw_link *d = l->sockets.next; d != &l->sockets; d = d->next) fgw_accept_pause(&fgw_container(d, struct fgw_door, link)->a, on);
    }
}

static void unpause(struct fgw_timer *t)
{
    struct fgw_worker *w = fgw_container(t, struct fgw_worker, pause_timer);
    if (w->spare_fd < 0) w->spare_fd = fgw_spare_fd();
    if (w->draining) return;
    uint64_t max = memory_max(w);
    if (max && w->loop.blocks.bytes + objects(w) > max / 100 * 98) fgw_loop_timer(&w->loop, t, PAUSE_MS);
    else pause_all(w, false);
}

static void on_full(struct fgw_accept *a)
{
    struct fgw_worker *w = fgw_container(a, struct fgw_door, a)->l->w;
    if (w->spare_fd >= 0) {
        fgw_fd_close(w->spare_fd);
        w->spare_fd = -1;
        fgw_accept_refuse(a);
        w->spare_fd = fgw_spare_fd();
    }
    fgw_worker_report(w, 3, "out of file descriptors: accepting pauses for %d ms", PAUSE_MS);
    atomic_fetch_add_explicit(&w->gauges->refused, 1, memory_order_relaxed);
    pause_all(w, true);
    fgw_loop_timer(&w->loop, &w->pause_timer, PAUSE_MS);
}

/* ---- listeners ---- */
static void on_conn(struct fgw_accept *a, int fd, const struct sockaddr *sa)
{
    fgw_front_accept(fgw_container(a, struct fgw_door, a)->l, fd, sa);
}

static struct fgw_listener *listener_of(const struct fgw_worker *w, uint32_t id)
{
    for (struct fgw_link *k = w->listeners.next; k != &w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        if (l->id == id && !l->retired) return l;
    }
    return NULL;
}

static struct fgw_door *door_of(const struct fgw_worker *w, uint32_t socket_id)
{
    for (struct fgw_link *k = w->listeners.next; k != &w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        for (struct fgw_link *d = l->sockets.next; d != &l->sockets; d = d->next)
            if (fgw_container(d, struct fgw_door, link)->socket_id == socket_id) return fgw_container(d, struct fgw_door, link);
    }
    return NULL;
}

static void listener_apply(struct fgw_listener *l, const struct fgw_bound *b)
{
    const struct fgw_l_settings *s = b->set;
    struct fgw_tls_server *before = l->tls;
    l->tls = b->tls ? fgw_tls_server_ref(b->tls) : NULL, l->handshake_ms = b->handshake_ms;
    fgw_tls_server_unref(before);
    l->proxy_protocol = s->proxy_protocol;
    l->limits = (struct fgw_h1_limits){
        .head = {s->line_max, s->field_max, s->head_max, (uint16_t)(s->fields_max < FGW_FIELDS_MAX ? s->fields_max : FGW_FIELDS_MAX)},
        .body = {s->chunk_ext_max, s->chunk_ext_total, s->trailer_max, (uint16_t)(s->trailer_fields < FGW_FIELDS_MAX ? s->trailer_fields : FGW_FIELDS_MAX)},
        .window = s->buffer_high,
        .head_ms = s->head_ms, .body_idle_ms = s->body_idle_ms, .body_rate = s->body_rate, .send_idle_ms = s->send_idle_ms,
        .send_rate = s->send_rate, .keepalive_ms = s->keepalive_ms, .connection_ms = s->connection_ms,
        .half_close_probe_ms = s->half_close_probe_ms, .linger_ms = s->linger_ms, .requests_max = s->keepalive_requests,
        .body_max = s->body_max, .underscores = s->underscores};
    l->h2 = (struct fgw_h2_limits){.streams = s->h2_streams, .window = s->h2_window, .connection_window = s->h2_connection_window,
                                   .resets = s->h2_resets, .control = s->h2_control, .empty = s->h2_empty, .on = s->http2};
}

int fgw_worker_listen(struct fgw_worker *w, uint32_t id, uint32_t socket_id, int fd, bool shared, char *err, size_t err_n)
{
    struct fgw_listener *l = listener_of(w, id);
    struct fgw_door *d = calloc(1, sizeof *d);
    bool fresh = !l;
    const struct fgw_bound *b = w->snap ? fgw_snapshot_listener(w->snap, id) : NULL;
    if (door_of(w, socket_id)) {
        snprintf(err, err_n, "socket %u is listened to already", socket_id);
        free(d);
        return -1;
    }
    if (!b || !fgw_listen_open(fd) || !d || (fresh && !(l = calloc(1, sizeof *l)))) {
        snprintf(err, err_n, "%s", !b ? "no committed snapshot has this listener" : !fgw_listen_open(fd) ? "the descriptor does not listen" : "out of memory");
        free(d);
        return -1;
    }
    if (fresh) {
        *l = (struct fgw_listener){.w = w, .id = id};
        fgw_list_init(&l->sockets);
        fgw_list_push(&w->listeners, &l->link);
        listener_apply(l, b);
    }
    d->l = l, d->socket_id = socket_id;
    d->a.on_conn = on_conn, d->a.on_full = on_full;
    if (fgw_accept_init(&d->a, &w->loop, fd, shared) < 0) {
        snprintf(err, err_n, "cannot watch the socket: %s", strerror(errno));
        free(d);
        if (fresh) fgw_listener_free(l);
        return -1;
    }
    fgw_list_push(&l->sockets, &d->link);
    if (w->accept_paused || w->draining) fgw_accept_pause(&d->a, true);
    return 0;
}

static void door_close(struct fgw_door *d)
{
    fgw_link_remove(&d->link);
    fgw_accept_fini(&d->a);
    free(d);
}

void fgw_listener_free(struct fgw_listener *l)
{
    fgw_link_remove(&l->link);
    fgw_tls_server_unref(l->tls);
    free(l);
}

void fgw_listener_close(struct fgw_listener *l)
{
    struct fgw_link *k;
    while ((k = fgw_list_first(&l->sockets))) door_close(fgw_container(k, struct fgw_door, link));
}

int fgw_worker_unlisten(struct fgw_worker *w, uint32_t socket_id)
{
    struct fgw_door *d = door_of(w, socket_id);
    if (!d) return -1;
    struct fgw_listener *l = d->l;
    door_close(d);
    if (fgw_list_empty(&l->sockets)) {                 /* the last one: the listener lives on with its connections only */
        l->retired = true;
        if (l->conns == 0) fgw_listener_free(l);
    }
    return 0;
}

/* ---- snapshots ---- */
static int segment_take(struct fgw_worker *w, const void *p, size_t n, bool mapped, char *err, size_t err_n)
{
    const char *why = fgw_seg_check(p, n);
    struct fgw_segment *s = why ? NULL : calloc(1, sizeof *s);
    if (!s) {
        snprintf(err, err_n, "bad segment: %s", why ? why : "out of memory");
        return -1;
    }
    *s = (struct fgw_segment){.hash = ((const struct fgw_l_seg *)p)->hash, .p = p, .size = n, .mapped = mapped, .fresh = true};
    fgw_list_push(&w->segments, &s->link);
    return 0;
}

/* It is here already. It stays until it is asked for: whoever has it now may let go of it before. */
static bool known(struct fgw_worker *w, const void *p, size_t n)
{
    struct fgw_segment *s = n >= sizeof(struct fgw_l_seg) ? fgw_segment_find(w, ((const struct fgw_l_seg *)p)->hash) : NULL;
    if (s) s->fresh = true;
    return s != NULL;
}

int fgw_worker_segment_add(struct fgw_worker *w, int fd, char *err, size_t err_n)
{
    size_t n;
    void *p = fgw_seg_map(fd, &n);
    if (!p) {
        snprintf(err, err_n, "cannot map the segment: %s", strerror(errno));
        return -1;
    }
    if (known(w, p, n)) {
        fgw_seg_unmap(p, n);
        return 0;
    }
    int r = segment_take(w, p, n, true, err, err_n);
    if (r < 0) fgw_seg_unmap(p, n);
    return r;
}

int fgw_worker_segment_add_bytes(struct fgw_worker *w, const void *p, size_t n, char *err, size_t err_n)
{
    if (known(w, p, n)) return 0;
    void *copy = malloc(n ? n : 1);
    if (copy) memcpy(copy, p, n);
    int r = copy ? segment_take(w, copy, n, false, err, err_n) : -1;
    if (r < 0) free(copy);
    return r;
}

bool fgw_worker_segment_has(const struct fgw_worker *w, uint64_t hash) { return fgw_segment_find((struct fgw_worker *)w, hash) != NULL; }

uint32_t fgw_worker_compile(struct fgw_worker *w, uint32_t most) { return fgw_segments_compile(w, most); }

struct fgw_snapshot *fgw_worker_prepare(struct fgw_worker *w, uint64_t root, char *err, size_t err_n) { return fgw_snapshot_bind(w, root, err, err_n); }

void fgw_worker_commit(struct fgw_worker *w, struct fgw_snapshot *s)
{
    struct fgw_snapshot *old = w->snap;
    w->snap = s;
    fgw_snapshot_apply(s);
    w->loop.blocks.max_bytes = w->h2.memory.max = s->root->memory_max;
    for (struct fgw_link *k = w->listeners.next; k != &w->listeners; k = k->next) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        const struct fgw_bound *b = fgw_snapshot_listener(s, l->id);
        if (b) listener_apply(l, b);
    }
    fgw_exchanges_forget(w);
    if (old) fgw_snapshot_unref(old);
    fgw_worker_settle(w);
}

void fgw_worker_discard(struct fgw_worker *w, struct fgw_snapshot *s)
{
    (void)w;
    fgw_snapshot_unref(s);
}

/* ---- hooks ---- */
void fgw_worker_host(struct fgw_worker *w, const struct fgw_hook_host *host) { w->hooks.host = host; }

const void *fgw_worker_root(const struct fgw_worker *w, uint64_t hash)
{
    struct fgw_segment *s = fgw_segment_find((struct fgw_worker *)w, hash);
    return s && ((const struct fgw_l_seg *)s->p)->kind == FGW_SEG_ROOT ? s->p : NULL;
}

void fgw_worker_tell(struct fgw_worker *w, int level, const char *text) { fgw_worker_report(w, level, "%s", text); }

static struct fgw_worker *worker_of(struct fgw_hooks *h) { return fgw_container(h, struct fgw_worker, hooks); }
static void hook_resume(struct fgw_hooks *h, struct fgw_ticket t, enum fgw_verdict v) { fgw_exchange_resume(worker_of(h), t, v); }
static void hook_settle(struct fgw_hooks *h) { fgw_worker_settle(worker_of(h)); }

static void hook_blocked(struct fgw_hooks *h, struct fgw_str name, uint64_t ms)
{
    fgw_worker_report(worker_of(h), 2, "plugin %.*s: plugin_blocked: held the worker for %llu ms", (int)name.n, name.p, (unsigned long long)ms);
}

void fgw_worker_ticket_keys(struct fgw_worker *w, const void *keys, uint32_t n) { fgw_tls_env_keys(w->tls, keys, n); }

uint64_t fgw_worker_generation(const struct fgw_worker *w) { return w->snap ? w->snap->root->generation : 0; }

/* ---- what other workers tell ---- */
static void heard(struct fgw_bells *b, uint32_t topic, uint64_t what)
{
    (void)what;
    fgw_limits_heard(&fgw_container(b, struct fgw_worker, bells)->limits, topic);
}

int fgw_worker_bell(struct fgw_worker *w, uint32_t column, int fd, char *err, size_t err_n)
{
    int r = fgw_bells_fd(&w->bells, column, fd);
    if (r < 0) snprintf(err, err_n, "cannot use the bell of worker %u: %s", column, strerror(errno));
    return r;
}

/* ---- turns ---- */
static void publish(struct fgw_worker *w)
{
    struct fgw_gauges *g = w->gauges;
    atomic_store_explicit(&g->connections, (int64_t)w->fronts.live, memory_order_relaxed);
    atomic_store_explicit(&g->requests, (int64_t)w->exchanges.live, memory_order_relaxed);
    atomic_store_explicit(&g->upstream_connections, w->upstream.open, memory_order_relaxed);
    atomic_store_explicit(&g->upstream_idle, w->upstream.idle, memory_order_relaxed);
    atomic_store_explicit(&g->turns, w->loop.turns, memory_order_relaxed);
    atomic_store_explicit(&g->events, w->loop.events, memory_order_relaxed);
    atomic_store_explicit(&g->blocks_bytes, w->loop.blocks.bytes, memory_order_relaxed);
    atomic_store_explicit(&g->live_exchanges, w->exchanges.live, memory_order_relaxed);
    atomic_store_explicit(&g->heartbeat_ms, w->loop.clock.mono_ms, memory_order_relaxed);
}

void fgw_worker_settle(struct fgw_worker *w)
{
    fgw_loop_settle(&w->loop);
    if (fgw_unlikely(w->loop.clock.mono_ms >= w->unpin_at) && w->exchanges.live) fgw_exchanges_unpin(w);
    if (fgw_unlikely(w->loop.clock.mono_ms >= w->trim.turn_at)) fgw_worker_trim_look(w);
    if (fgw_unlikely(w->bells.want) && fgw_bell_rest(&w->bells)) fgw_loop_settle(&w->loop);
    uint64_t max = memory_max(w);
    if (fgw_unlikely(max && w->loop.blocks.bytes + objects(w) > max / 100 * 98 && !w->accept_paused && !w->draining)) {
        fgw_blocks_trim(&w->loop.blocks);
        if (w->loop.blocks.bytes + objects(w) > max / 100 * 98) pause_all(w, true), fgw_loop_timer(&w->loop, &w->pause_timer, PAUSE_MS);
    }
    publish(w);
}

int fgw_worker_wait(struct fgw_worker *w, int ms)
{
    if (fgw_unlikely(w->bells.want) && ms == 0) fgw_bell_awake(&w->bells);
    int n = fgw_loop_turn(&w->loop, ms);
    fgw_worker_settle(w);
    return n;
}

void fgw_worker_turn(struct fgw_worker *w) { fgw_worker_wait(w, 0); }
int fgw_worker_fd(const struct fgw_worker *w) { return w->loop.ep; }

void fgw_worker_live(const struct fgw_worker *w, struct fgw_live *o)
{
    *o = (struct fgw_live){.conns = w->fronts.live, .exchanges = w->exchanges.live, .parked_hooks = w->hooks.parked,
                           .tries = w->tries.live, .timers = w->loop.wheel.armed,
                           .blocks = w->loop.blocks.live, .block_bytes = w->loop.blocks.bytes,
                           .mallocs = w->loop.blocks.mallocs + w->exchanges.chunks + w->tries.chunks + w->fronts.chunks + w->h1.msgs.chunks +
                                      w->h1.servers.chunks + w->h1.clients.chunks + w->loop.bufs.nodes.chunks + w->upstream.conns.chunks,
                           .buf_nodes = w->loop.bufs.nodes.live, .h1_servers = w->h1.servers.live, .h1_clients = w->h1.clients.live,
                           .snapshots = w->snapshots};
    for (struct fgw_link *k = w->segments.next; k != &w->segments; k = k->next) o->segments++;
    for (struct fgw_link *k = w->pools.next; k != &w->pools; k = k->next) o->pools++;
}

static bool tickets_init(struct fgw_worker *w)
{
    w->tickets = calloc(TICKETS, sizeof *w->tickets);
    if (!w->tickets) return false;
    w->ntickets = TICKETS;
    for (uint32_t i = 0; i < TICKETS; i++) w->tickets[i] = (struct fgw_ticket_slot){NULL, 1, i + 1 < TICKETS ? i + 1 : UINT32_MAX};
    return true;
}

struct fgw_worker *fgw_worker_new(const struct fgw_worker_options *o, char *err, size_t err_n)
{
    struct fgw_worker *w = calloc(1, sizeof *w);
    struct fgw_hash_key seed;
    if (!w || fgw_loop_init(&w->loop, o->clock, MEMORY_DEFAULT) < 0) {
        snprintf(err, err_n, "cannot make an event loop: %s", strerror(errno));
        free(w);
        return NULL;
    }
    fgw_h1_env_init(&w->h1, &w->loop);
    bool h2 = fgw_h2_env_init(&w->h2, &w->loop, &w->h1);
    fgw_pool_env_init(&w->upstream, &w->h1, &w->h2);
    w->upstream.report = pool_report, w->upstream.connected = pool_connected, w->upstream.ctx = w;
    w->upstream.client = fgw_yield_client, w->upstream.crowded = fgw_yield_places;
    fgw_slab_init(&w->exchanges, "exchange", sizeof(struct fgw_exchange));
    fgw_slab_init(&w->tries, "try", sizeof(struct fgw_try));
    fgw_slab_init(&w->fronts, "front", sizeof(struct fgw_front));
    fgw_slab_init(&w->calls, "call", sizeof(struct fgw_call));
    fgw_list_init(&w->segments), fgw_list_init(&w->pools), fgw_list_init(&w->listeners), fgw_list_init(&w->front_list), fgw_list_init(&w->live);
    w->shm = o->shm, w->column = o->column;
    w->gauges = fgw_stats_gauges(o->shm, o->column);
    w->log = fgw_stats_log(o->shm, o->column), w->errors = fgw_stats_error_log(o->shm, o->column);
    fgw_bells_init(&w->bells, o->shm, o->column, &w->loop, heard);
    fgw_limits_init(&w->limits, o->shm, o->column, &w->loop, &w->bells, fgw_exchange_resume_limited);
    w->hooks = (struct fgw_hooks){.shm = o->shm, .loop = &w->loop, .column = o->column, .resume = hook_resume, .blocked = hook_blocked,
                                  .settle = hook_settle};
    w->spare_fd = fgw_spare_fd();
    w->pause_timer.fire = unpause;
    w->tls = fgw_tls_env_new();
    if (!w->tls || !h2 || !tickets_init(w) || fgw_hash_key_random(&seed) < 0) {
        snprintf(err, err_n, "out of memory or of randomness");
        fgw_worker_free(w);
        return NULL;
    }
    w->id_high = seed.k0, w->id_count = seed.k1;
    return w;
}

void fgw_worker_free(struct fgw_worker *w)
{
    struct fgw_link *k;
    if (!w) return;
    fgw_fronts_cut(w);
    while ((k = fgw_list_first(&w->live))) fgw_exchange_cancel(fgw_container(k, struct fgw_exchange, live), FGW_E_CANCELLED);
    fgw_loop_settle(&w->loop);
    while ((k = fgw_list_first(&w->listeners))) {
        struct fgw_listener *l = fgw_container(k, struct fgw_listener, link);
        fgw_listener_close(l);
        fgw_listener_free(l);
    }
    if (w->snap) fgw_snapshot_unref(w->snap);
    w->snap = NULL;
    fgw_segments_forget(w);
    fgw_segments_sweep(w);
    if (w->limits.loop) fgw_limits_fini(&w->limits), fgw_bells_fini(&w->bells);
    fgw_timer_cancel(&w->loop.wheel, &w->drain_timer), fgw_timer_cancel(&w->loop.wheel, &w->pause_timer);
    fgw_timer_cancel(&w->loop.wheel, &w->trim.timer);
    for (int i = 0; i < 4; i++) fgw_loop_settle(&w->loop);
    fgw_tls_env_free(w->tls);
    if (w->spare_fd >= 0) fgw_fd_close(w->spare_fd);
    free(w->tickets);
    fgw_slab_fini(&w->exchanges), fgw_slab_fini(&w->tries), fgw_slab_fini(&w->fronts), fgw_slab_fini(&w->calls);
    fgw_pool_env_fini(&w->upstream);
    fgw_h2_env_fini(&w->h2);
    fgw_h1_env_fini(&w->h1);
    fgw_loop_fini(&w->loop);
    free(w);
}
