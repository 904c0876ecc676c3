#include "io/conn.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { IN_MIN = 2048, IN_BULK = 64 << 10, IOV_MAX_SEND = 32 };

const char *fgw_conn_state_name(enum fgw_conn_state s)
{
    static const char *const names[] = {"connecting", "open", "finishing", "closed"};
    return s < FGW_COUNT(names) ? names[s] : "?";
}

/* ---- plain sockets ---- */
static ssize_t socket_recv(struct fgw_conn *c, void *p, size_t n) { return recv(c->watch.fd, p, n, 0); }

static ssize_t socket_send(struct fgw_conn *c, const struct iovec *v, int n)
{
    if (n == 1) return send(c->watch.fd, v->iov_base, v->iov_len, MSG_NOSIGNAL);
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n};
    return sendmsg(c->watch.fd, &m, MSG_NOSIGNAL);
}

static void socket_shut(struct fgw_conn *c) { shutdown(c->watch.fd, SHUT_WR); }

static void socket_close(struct fgw_conn *c, bool reset)
{
    if (c->watch.fd < 0) return;
    if (reset) setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    fgw_watch_del(c->loop, &c->watch);
    close(c->watch.fd);
    c->watch.fd = -1;
}

static int socket_arm(struct fgw_conn *c, uint32_t events)
{
    fgw_watch_mod(c->loop, &c->watch, events);
    return 0;
}

const struct fgw_transport fgw_transport_socket = {socket_recv, socket_send, socket_shut, socket_close, socket_arm, NULL, NULL};

/* ---- life ---- */
static void flush_job(struct fgw_job *j);
static void watch_ready(struct fgw_watch *w, uint32_t events) { fgw_conn_event(fgw_container(w, struct fgw_conn, watch), events); }

void fgw_conn_init_memory(struct fgw_conn *c, struct fgw_loop *l, const struct fgw_transport *tp, const struct fgw_conn_user *user)
{
    *c = (struct fgw_conn){.watch = {.fd = -1, .ready = watch_ready}, .loop = l, .tp = tp, .user = user,
                           .dirty = {.run = flush_job}, .state = FGW_CONN_OPEN, .want_read = true};
}

int fgw_conn_init(struct fgw_conn *c, struct fgw_loop *l, int fd, bool connecting, const struct fgw_conn_user *user)
{
    fgw_conn_init_memory(c, l, &fgw_transport_socket, user);
    c->watch.fd = fd;
    if (connecting) c->state = FGW_CONN_CONNECTING, c->fresh = true;
    if (fgw_watch_add(l, &c->watch, EPOLLIN | EPOLLRDHUP | (connecting ? EPOLLOUT : 0)) < 0) {
        c->watch.fd = -1;
        c->state = FGW_CONN_CLOSED;
        return -1;
    }
    return 0;
}

int fgw_conn_dial(const struct sockaddr *addr, socklen_t len, bool *connecting)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (addr->sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    *connecting = false;
    if (connect(fd, addr, len) == 0) return fd;
    if (errno == EINPROGRESS) {
        *connecting = true;
        return fd;
    }
    int e = errno;                                     /* a unix socket with a full backlog says EAGAIN: refused, try elsewhere */
    close(fd);
    errno = e;
    return -1;
}

int fgw_conn_move(struct fgw_conn *to, struct fgw_conn *from, const struct fgw_conn_user *user)
{
    uint32_t events = from->watch.events;
    bool dirty = fgw_link_in(&from->dirty.link);
    struct fgw_conn moved = *from;
    moved.user = user, moved.dirty = (struct fgw_job){.run = flush_job};
    if (moved.watch.fd >= 0) {
        fgw_watch_del(from->loop, &from->watch);
        *to = moved;
        if (fgw_watch_add(to->loop, &to->watch, events) < 0) {
            fgw_watch_add(from->loop, &from->watch, events);             /* it was there a moment ago */
            return -1;
        }
    } else *to = moved;
    fgw_link_remove(&from->dirty.link);
    from->state = FGW_CONN_CLOSED;
    from->watch.fd = -1;
    from->out = (struct fgw_buf){0};
    from->in_b = NULL, from->in_off = from->in_end = 0;
    if (dirty) fgw_conn_dirty(to);
    if (to->tp->moved) to->tp->moved(to);
    return 0;
}

enum fgw_err fgw_conn_dial_error(const struct fgw_conn *c)
{
    if (c->why) return (enum fgw_err)c->why;
    return c->err == ECONNREFUSED || c->err == ENOENT || c->err == EAGAIN ? FGW_E_CONNECT_REFUSED : FGW_E_CONNECT_FAILED;
}

void fgw_fd_close(int fd) { close(fd); }

void fgw_conn_say(int fd, const char *p, size_t n)
{
    ssize_t r = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)r;                                           /* refused politely or not: it is refused */
    close(fd);
}

void fgw_conn_close(struct fgw_conn *c, bool reset)
{
    if (c->state == FGW_CONN_CLOSED) return;
    c->state = FGW_CONN_CLOSED;
    fgw_link_remove(&c->dirty.link);
    if (c->out.bytes) c->cut = true;
    fgw_buf_clear(&c->loop->bufs, &c->out);
    if (c->in_b) fgw_block_unref(c->in_b), c->in_b = NULL;
    c->in_off = c->in_end = 0;
    c->tp->close(c, reset);
}

static void conn_fail(struct fgw_conn *c, int err)
{
    if (c->state == FGW_CONN_CLOSED) return;
    c->err = err;
    fgw_conn_close(c, false);
    c->user->on_fail(c);
}

/* ---- output ---- */
void fgw_conn_dirty(struct fgw_conn *c)
{
    if (c->state != FGW_CONN_CLOSED) fgw_job_add(&c->loop->dirty, &c->dirty);
}

bool fgw_conn_push(struct fgw_conn *c, struct fgw_span s)
{
    if (c->state == FGW_CONN_CLOSED) return true;      /* its user is being told; bytes to nowhere are no error */
    fgw_span_ref(s);
    bool ok = fgw_buf_push(&c->loop->bufs, &c->out, s);
    if (!ok) fgw_span_drop(&s), c->oom = true;
    fgw_conn_dirty(c);
    return ok;
}

bool fgw_conn_copy(struct fgw_conn *c, const void *p, size_t n)
{
    if (c->state == FGW_CONN_CLOSED) return true;
    bool ok = fgw_buf_copy(&c->loop->bufs, &c->out, p, n);
    if (!ok) c->oom = true;
    fgw_conn_dirty(c);
    return ok;
}

void fgw_conn_shut(struct fgw_conn *c)
{
    c->shut_when_sent = true;
    fgw_conn_dirty(c);
}

void fgw_conn_finish(struct fgw_conn *c)
{
    if (c->state == FGW_CONN_OPEN || c->state == FGW_CONN_CONNECTING) c->state = FGW_CONN_FINISHING;
    fgw_conn_dirty(c);
}

void fgw_conn_kill(struct fgw_conn *c)
{
    c->kill = true;
    fgw_conn_dirty(c);
}

static uint32_t wanted(const struct fgw_conn *c, bool write)
{
    return (c->want_read && !c->eof ? EPOLLIN | EPOLLRDHUP : 0) | (write ? EPOLLOUT : 0);
}

static void conn_read(struct fgw_conn *c);

/* What came before anything was asked must not pass for an answer: it is read, and so told, before the first send. */
static bool still_open_unasked(struct fgw_conn *c)
{
    char b;
    c->fresh = false;
    if (c->tp == &fgw_transport_socket && recv(c->watch.fd, &b, 1, MSG_PEEK) > 0) conn_read(c);
    return c->state != FGW_CONN_CLOSED;
}

bool fgw_conn_unheard(const struct fgw_conn *c)
{
    int n = 0;
    return c->tp == &fgw_transport_socket && ioctl(c->watch.fd, SIOCOUTQ, &n) == 0 && c->sent && (uint64_t)n >= c->sent;
}

uint64_t fgw_conn_acked(const struct fgw_conn *c)
{
    int n = 0;
    if (c->watch.fd >= 0 && ioctl(c->watch.fd, SIOCOUTQ, &n) < 0) n = 0;
    return (uint64_t)n < c->sent ? c->sent - (uint64_t)n : 0;
}

/* All that can be sent now, in one call. What is left waits for EPOLLOUT, which stays armed until it fires for nothing. */
static void conn_flush(struct fgw_conn *c)
{
    uint64_t n = 0;
    if (c->state == FGW_CONN_CLOSED) return;
    if (c->oom || c->kill) {
        conn_fail(c, c->oom ? ENOMEM : ECANCELED);
        return;
    }
    if (c->state == FGW_CONN_CONNECTING) return;
    if (c->fresh && c->out.bytes && !still_open_unasked(c)) return;
    if (c->out.bytes) {
        struct iovec v[IOV_MAX_SEND];
        int k = fgw_buf_iov(&c->out, v, IOV_MAX_SEND);
        ssize_t r = c->tp->send(c, v, k);
        if (r < 0 && errno != EAGAIN && errno != EINTR) {
            conn_fail(c, errno);
            return;
        }
        if (r > 0) n = (uint64_t)r, fgw_buf_consume(&c->loop->bufs, &c->out, n), c->sent += n;
    }
    if (c->out.bytes) c->tp->arm(c, c->watch.events | EPOLLOUT);
    else if (c->state == FGW_CONN_FINISHING) {
        conn_fail(c, 0);
        return;
    } else if (c->shut_when_sent && !c->shut_done) c->shut_done = true, c->tp->shut(c);
    if (n || c->out.bytes) c->user->on_sent(c, n);
}

static void flush_job(struct fgw_job *j) { conn_flush(fgw_container(j, struct fgw_conn, dirty)); }

/* ---- input ---- */
void fgw_conn_want_read(struct fgw_conn *c, bool on)
{
    c->want_read = on;
    if (on && !c->eof && c->state != FGW_CONN_CLOSED && !(c->watch.events & EPOLLIN)) c->tp->arm(c, c->watch.events | EPOLLIN | EPOLLRDHUP);
}

void fgw_conn_take(struct fgw_conn *c, uint32_t n)
{
    FGW_CHECK(n <= c->in_end - c->in_off);
    c->in_off += n;
    if (c->in_off == c->in_end && c->in_b) {
        fgw_block_unref(c->in_b);
        c->in_b = NULL;
        c->in_off = c->in_end = 0;
    }
}

static bool shared(const struct fgw_conn *c) { return c->in_b == c->loop->in; }

/* Room at the end of the unread bytes without moving them. */
static uint32_t tail_room(const struct fgw_conn *c)
{
    if (!c->in_b) return 0;
    if (shared(c)) return c->in_end == c->loop->in_fill ? c->in_b->cap - c->in_end : 0;
    return c->in_b->refs == 1 ? c->in_b->cap - c->in_end : 0;
}

bool fgw_conn_room(struct fgw_conn *c, uint32_t total)
{
    uint32_t have = fgw_conn_in_len(c);
    if (total <= have + tail_room(c)) return true;
    struct fgw_block *b = fgw_block_get(&c->loop->blocks, total);
    if (!b) return false;
    if (have) memcpy(b->data, fgw_conn_in(c), have);
    if (c->in_b) fgw_block_unref(c->in_b);
    c->in_b = b, c->in_off = 0, c->in_end = have;
    return true;
}

/* The shared block, begun anew when only the loop still holds it, replaced when it is nearly full. */
static struct fgw_block *shared_block(struct fgw_loop *l)
{
    if (l->in && l->in->refs == 1) l->in_fill = 0;
    if (l->in && l->in->cap - l->in_fill >= IN_MIN) return l->in;
    struct fgw_block *b = fgw_block_get(&l->blocks, IN_BULK - sizeof(struct fgw_block));
    if (!b) return NULL;
    if (l->in) fgw_block_unref(l->in);
    l->in = b, l->in_fill = 0;
    return b;
}

static bool make_room(struct fgw_conn *c)
{
    if (c->in_b) return tail_room(c) >= 256 || fgw_conn_room(c, fgw_conn_in_len(c) * 2 + IN_MIN);
    if (c->bulk) {                                     /* a big message: a block of its own, so that one read fetches much */
        c->in_b = fgw_block_get(&c->loop->blocks, IN_BULK - sizeof(struct fgw_block));
        return c->in_b != NULL;
    }
    struct fgw_block *b = shared_block(c->loop);
    if (!b) return false;
    c->in_b = fgw_block_ref(b);
    c->in_off = c->in_end = c->loop->in_fill;
    return true;
}

static void drop_empty(struct fgw_conn *c)
{
    if (c->in_b && c->in_off == c->in_end) fgw_block_unref(c->in_b), c->in_b = NULL, c->in_off = c->in_end = 0;
}

static void conn_read(struct fgw_conn *c)
{
    if (!make_room(c)) {
        conn_fail(c, ENOMEM);
        return;
    }
    uint32_t room = c->in_b->cap - c->in_end;
    ssize_t r = c->tp->recv(c, c->in_b->data + c->in_end, room);
    if (r > 0) {
        c->in_end += (uint32_t)r;
        if (shared(c)) c->loop->in_fill = (c->in_end + 15) & ~15u;   /* apart by a line's fraction: heads of others begin aligned */
        if (shared(c) && c->loop->in_fill > c->in_b->cap) c->loop->in_fill = c->in_b->cap;
        c->bulk = (uint32_t)r == room ? true : c->bulk && (uint32_t)r > room / 4;
        c->user->on_input(c);
        return;
    }
    int e = errno;
    drop_empty(c);
    if (r == 0) {
        c->eof = true;
        c->tp->arm(c, c->watch.events & ~(uint32_t)(EPOLLIN | EPOLLRDHUP));   /* level-triggered: an end would fire for ever */
        c->user->on_input(c);
    } else if (e != EAGAIN && e != EINTR) conn_fail(c, e);
}

static void connected(struct fgw_conn *c)
{
    int e = 0;
    socklen_t n = sizeof e;
    if (!c->up && getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0) e = errno;
    c->up = e == 0;
    int r = c->up && c->tp->open ? c->tp->open(c) : 1;
    if (e || r < 0) {
        conn_fail(c, e ? e : errno);
        return;
    }
    if (r == 0) return;
    c->state = FGW_CONN_OPEN;
    c->tp->arm(c, wanted(c, false));
    if (c->out.bytes) fgw_conn_dirty(c);
    if (c->user->on_open) c->user->on_open(c);
}

static int socket_error(const struct fgw_conn *c)
{
    int e = 0;
    socklen_t n = sizeof e;
    if (c->watch.fd < 0 || getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 || e == 0) e = ECONNRESET;
    return e;
}

void fgw_conn_event(struct fgw_conn *c, uint32_t events)
{
    if (c->state == FGW_CONN_CLOSED) return;           /* an earlier event of this batch ended it */
    if (c->state == FGW_CONN_CONNECTING) {
        if (c->up || events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) connected(c);
        return;
    }
    if (events & EPOLLOUT) {
        if (c->out.bytes) conn_flush(c);
        else c->tp->arm(c, c->watch.events & ~(uint32_t)EPOLLOUT);
        if (c->state == FGW_CONN_CLOSED) return;
    }
    if ((events & EPOLLIN) && !c->eof) {
        if (c->want_read) conn_read(c);
        else c->tp->arm(c, c->watch.events & ~(uint32_t)(EPOLLIN | EPOLLRDHUP));
    } else if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN))) conn_fail(c, socket_error(c));
    if (c->state != FGW_CONN_CLOSED && events & EPOLLERR && (!c->want_read || c->eof)) conn_fail(c, socket_error(c));
}
