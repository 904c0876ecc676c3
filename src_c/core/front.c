#include "core/front.h"
#include <stdlib.h>
#include "core/accesslog.h"
#include "core/exchange.h"

static void front_free(struct fgw_front *f)
{
    struct fgw_worker *w = f->l->w;
    struct fgw_listener *l = f->l;
    fgw_link_remove(&f->link);
    fgw_slab_put(&w->fronts, f);
    if (--l->conns == 0 && l->retired) fgw_listener_free(l);
}

/* ---- the codec's user ---- */
static void front_begin(struct fgw_demux *d, struct fgw_side *side)
{
    struct fgw_front *f = d->owner;
    fgw_exchange_begin(f->l->w, f->l, side);
}

static void front_refused(struct fgw_demux *d, const struct fgw_msg *m, enum fgw_err why)
{
    struct fgw_front *f = d->owner;
    struct fgw_worker *w = f->l->w;
    const struct fgw_bound *b = w->snap ? fgw_snapshot_listener(w->snap, f->l->id) : NULL;
    (void)m;
    if (!b) return;
    fgw_stats_request(fgw_stats_cell(w->shm, w->column, b->l->other_slot), fgw_err_status(why), 0, 0, 0);
    if (w->snap->root->log_format == FGW_LOG_OFF) return;
    struct fgw_log_facts facts = {.time = &w->log_time, .wall_ns = w->loop.clock.wall_ns, .client = d->peer.address, .listener = b->name,
                                  .fail = fgw_fail(why, FGW_BY_CLIENT), .status = (uint16_t)fgw_err_status(why), .h = d->h, .minor = 1};
    fgw_accesslog_write(w->log, w->snap->root->log_format, &facts);
}

/* HTTP/2 by prior knowledge: in plain text only; over TLS it is agreed by ALPN (RFC 9113 section 3.2), codec_start. */
static const struct fgw_demux_user front_user;
static bool front_other(struct fgw_demux *d, struct fgw_conn *conn)
{
    struct fgw_front *f = d->owner;
    struct fgw_demux *to = f->l->h2.on && !d->peer.tls ? fgw_h2_server_adopt(&f->l->w->h2, conn, &f->l->limits, &f->l->h2, &front_user, f, &d->peer) : NULL;
    if (to) f->demux = to;
    return to != NULL;
}

static void front_gone(struct fgw_demux *d) { front_free(d->owner); }

static const struct fgw_demux_user front_user = {front_begin, front_refused, front_gone, front_other};

/* The codec takes fd over; t: what the handshake left, or NULL. */
static bool codec_start(struct fgw_front *f, int fd, const struct fgw_addr *a, struct fgw_tls *t)
{
    struct fgw_worker *w = f->l->w;
    struct fgw_peer peer = {.address = fgw_str(a->text, a->len), .ip_hi = a->hi, .ip_lo = a->lo, .port = a->port, .tls = t != NULL,
                            .identity = t ? fgw_tls_identity(t) : NULL};
    peer.trusted = w->snap && (a->hi || a->lo) && fgw_snapshot_trusts(w->snap, a->hi, a->lo);
    bool h2 = t && fgw_str_eq(fgw_tls_alpn(t), FGW_STR("h2"));
    f->demux = h2 ? fgw_h2_server_new(&w->h2, fd, &f->l->limits, &f->l->h2, &front_user, f, &peer)
                  : fgw_h1_server_new(&w->h1, fd, &f->l->limits, &front_user, f, &peer);
    if (!f->demux) {
        fgw_fd_close(fd);
        fgw_tls_free(t);
        return false;
    }
    if (t) fgw_tls_attach(t, h2 ? fgw_h2_server_conn(f->demux) : fgw_h1_server_conn(f->demux));
    if (fgw_unlikely(w->draining)) f->demux->ops->drain(f->demux);
    return true;
}

static void refused(struct fgw_worker *w, const struct fgw_addr *a, enum fgw_err why)
{
    fgw_worker_report(w, 1, "client %s: %s", a->text, fgw_err_word(why));
    atomic_fetch_add_explicit(&w->gauges->refused, 1, memory_order_relaxed);
}

/* ---- TLS: the stage's memory is joined to the front until the handshake is over ---- */
struct shaking { struct fgw_tls_stage s; struct fgw_job dead; struct fgw_front *f; struct fgw_addr addr; };

static void shaking_free(struct fgw_job *j) { free(fgw_container(j, struct shaking, dead)); }

static void handshake_count(struct fgw_front *f, const struct fgw_tls *t, enum fgw_err why)
{
    struct fgw_worker *w = f->l->w;
    const struct fgw_bound *b = w->snap ? fgw_snapshot_listener(w->snap, f->l->id) : NULL;
    if (!b || !b->l->tls_seg) return;                  /* the listener is gone, or plain by now */
    struct fgw_tls_cell *c = fgw_shm_cell(w->shm, w->column, b->l->tls_slot);
    if (why) fgw_stats_add(&c->failures[why - FGW_E_TLS_FAILED], 1);
    else fgw_stats_add(&c->handshakes, 1), fgw_stats_add(&c->resumed, fgw_tls_resumed(t));
}

static void handshake_done(struct fgw_tls_stage *s, int fd, enum fgw_err why)
{
    struct shaking *h = (struct shaking *)s;
    struct fgw_front *f = h->f;
    f->handshake = NULL;
    h->dead.run = shaking_free;
    fgw_job_add(&s->loop->dead, &h->dead);
    handshake_count(f, s->tls, why);
    if (why) refused(f->l->w, &h->addr, why);
    if (why || !codec_start(f, fd, &h->addr, s->tls)) front_free(f);
}

/* What comes behind the stages that need no key. False: fd is closed, the front is the caller's. */
static bool front_start(struct fgw_front *f, int fd, const struct fgw_addr *a)
{
    struct fgw_listener *l = f->l;
    if (!l->tls) return codec_start(f, fd, a, NULL);
    struct shaking *h = calloc(1, sizeof *h);
    if (h) h->f = f, h->addr = *a, h->s.done = handshake_done;
    if (!h || fgw_tls_stage_init(&h->s, &l->w->loop, l->tls, fd, l->handshake_ms) < 0) {
        free(h);
        fgw_fd_close(fd);
        return false;
    }
    f->handshake = &h->s;
    return true;
}

/* ---- PROXY stage: its memory is joined to the front until it is done ---- */
struct staged { struct fgw_proxy_stage s; struct fgw_front *f; struct fgw_addr socket; };

static void staged_free(struct fgw_job *j) { free(fgw_container(j, struct staged, s.dead)); }

static void staged_done(struct fgw_proxy_stage *s, int fd, enum fgw_err why, const struct fgw_addr *src)
{
    struct staged *st = (struct staged *)s;
    struct fgw_front *f = st->f;
    f->stage = NULL;
    s->dead.run = staged_free;
    fgw_job_add(&s->loop->dead, &s->dead);
    if (why) refused(f->l->w, &st->socket, why);
    if (why || !front_start(f, fd, src->len ? src : &st->socket)) front_free(f);
}

/* Who may say whose connection this is: a peer in trusted_proxies, and whoever may open a unix socket, which its file's mode decides.
 * What comes behind the line is judged by the address that the line told (front_start), not by the balancer's. */
static bool may_tell(const struct fgw_worker *w, const struct fgw_addr *a)
{
    return (!a->hi && !a->lo) || (w->snap && fgw_snapshot_trusts(w->snap, a->hi, a->lo));
}

static bool stage_start(struct fgw_front *f, int fd, const struct fgw_addr *a)
{
    if (!may_tell(f->l->w, a)) {
        refused(f->l->w, a, FGW_E_PROXY_UNTRUSTED);
        return false;
    }
    struct staged *st = calloc(1, sizeof *st);
    if (!st) return false;
    st->f = f, st->socket = *a;
    st->s.done = staged_done;
    if (fgw_proxy_stage_init(&st->s, &f->l->w->loop, fd, f->l->limits.head_ms) < 0) {
        free(st);
        return false;
    }
    f->stage = &st->s;
    return true;
}

static void stage_give_up(struct fgw_front *f)
{
    if (f->stage) fgw_proxy_stage_fini(f->stage), free(f->stage);
    else fgw_tls_stage_fini(f->handshake), free(f->handshake);
    front_free(f);
}

void fgw_front_accept(struct fgw_listener *l, int fd, const struct sockaddr *sa)
{
    struct fgw_worker *w = l->w;
    struct fgw_addr addr;
    uint32_t max = w->snap ? w->snap->root->connections_max : 0;
    atomic_fetch_add_explicit(&w->gauges->accepted, 1, memory_order_relaxed);
    struct fgw_front *f = max && w->fronts.live >= max ? NULL : fgw_slab_get(&w->fronts);
    if (!f) {
        static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n";
        if (l->tls) fgw_fd_close(fd);                  /* whoever waits for a handshake would not understand */
        else fgw_conn_say(fd, busy, sizeof busy - 1);
        atomic_fetch_add_explicit(&w->gauges->refused, 1, memory_order_relaxed);
        return;
    }
    *f = (struct fgw_front){.l = l};
    l->conns++;
    fgw_list_push(&w->front_list, &f->link);
    fgw_addr_of(sa, &addr);
    if (l->proxy_protocol) {
        if (stage_start(f, fd, &addr)) return;
        fgw_fd_close(fd);
        front_free(f);
    } else if (!front_start(f, fd, &addr)) front_free(f);
}

struct fgw_conn *fgw_front_memory(struct fgw_listener *l, const struct fgw_transport *tp, const struct fgw_addr *a)
{
    struct fgw_worker *w = l->w;
    uint32_t max = w->snap ? w->snap->root->connections_max : 0;
    struct fgw_front *f = w->draining || (max && w->fronts.live >= max) ? NULL : fgw_slab_get(&w->fronts);
    atomic_fetch_add_explicit(f ? &w->gauges->accepted : &w->gauges->refused, 1, memory_order_relaxed);
    if (!f) return NULL;
    *f = (struct fgw_front){.l = l};
    l->conns++;
    fgw_list_push(&w->front_list, &f->link);
    struct fgw_peer peer = {.address = fgw_str(a->text, a->len), .ip_hi = a->hi, .ip_lo = a->lo, .port = a->port, .tls = l->tls != NULL};
    peer.trusted = w->snap && (a->hi || a->lo) && fgw_snapshot_trusts(w->snap, a->hi, a->lo);
    f->demux = fgw_h1_server_new_memory(&w->h1, tp, &l->limits, &front_user, f, &peer);
    if (f->demux) return fgw_h1_server_conn(f->demux);
    front_free(f);
    return NULL;
}

/* ---- all of them ---- */
void fgw_fronts_drain(struct fgw_worker *w)
{
    for (struct fgw_link *k = w->front_list.next, *next; k != &w->front_list; k = next) {
        struct fgw_front *f = fgw_container(k, struct fgw_front, link);
        next = k->next;
        if (f->demux) f->demux->ops->drain(f->demux);  /* one in a stage is drained when its codec begins */
    }
}

void fgw_fronts_cut(struct fgw_worker *w)
{
    struct fgw_link *k;
    while ((k = fgw_list_first(&w->front_list))) {
        struct fgw_front *f = fgw_container(k, struct fgw_front, link);
        if (!f->demux) stage_give_up(f);
        else f->demux->ops->cut(f->demux);
    }
}
