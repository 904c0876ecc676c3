#include "io/sink.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* One thread writes them: no locked instruction. */
static void count(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static void failed(struct fgw_sink *s, int error)
{
    count(&s->n.errors, 1);
    atomic_store_explicit(&s->n.last_errno, error, memory_order_relaxed);
}

int fgw_sink_init(struct fgw_sink *s, size_t size)
{
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->size = size;
    s->buf = malloc(size);
    return s->buf ? 0 : -1;
}

static void close_fd(struct fgw_sink *s)
{
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

void fgw_sink_close(struct fgw_sink *s)
{
    fgw_sink_drop(s);
    close_fd(s);
}

void fgw_sink_fini(struct fgw_sink *s)
{
    fgw_sink_close(s);
    free(s->path);
    free(s->buf);
    s->path = s->buf = NULL;
}

/* -- opening -------------------------------------------------------------------------------------------------------- */

/* A lost sink is tried, an open one is looked after, a second from now. */
static bool opened(struct fgw_sink *s, int fd, enum fgw_sink_kind kind, uint64_t now_ms)
{
    s->check_ms = now_ms + FGW_SINK_RETRY_MS;
    if (fd < 0) { failed(s, errno); return false; }
    close_fd(s);
    s->fd = fd;
    s->kind = kind;
    s->torn = s->stale = false;
    count(&s->n.opens, 1);
    atomic_store_explicit(&s->n.last_errno, 0, memory_order_relaxed);
    return true;
}

static bool open_path(struct fgw_sink *s, uint64_t now_ms)
{
    int fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
    return opened(s, fd, FGW_SINK_PLAIN, now_ms);
}

/* A descriptor of somebody's. Its flags are shared with whoever else has it (our shell's terminal), so a pipe or terminal is
 * opened once more through /proc: that one's flags are ours. */
static void open_given(struct fgw_sink *s, int given, uint64_t now_ms)
{
    struct stat st;
    char link[40];
    int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) < 0) { opened(s, -1, FGW_SINK_NONE, now_ms); return; }
    if (S_ISSOCK(st.st_mode)) { opened(s, fd, FGW_SINK_SOCKET, now_ms); return; }
    if (S_ISREG(st.st_mode)) { opened(s, fd, FGW_SINK_PLAIN, now_ms); return; }

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int own = open(link, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0) { opened(s, fd, FGW_SINK_SHARED, now_ms); return; }
    close(fd);
    opened(s, own, FGW_SINK_PLAIN, now_ms);
}

void fgw_sink_direct(struct fgw_sink *s, const char *path, int fd, uint64_t now_ms)
{
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy) { failed(s, ENOMEM); return; }       /* the old place stays */
    fgw_sink_flush(s, now_ms);
    close_fd(s);
    free(s->path);
    s->path = copy;
    s->wanted = path || fd >= 0;
    if (path) open_path(s, now_ms);
    else if (fd >= 0) open_given(s, fd, now_ms);
}

static bool has_name(const struct fgw_sink *s)
{
    struct stat st;
    return s->fd >= 0 && fstat(s->fd, &st) == 0 && st.st_nlink > 0;
}

void fgw_sink_reopen(struct fgw_sink *s, uint64_t now_ms)
{
    if (!s->path || open_path(s, now_ms)) return;
    s->stale = true;
    if (!has_name(s)) close_fd(s);                          /* what went there would be lost uncounted */
}

void fgw_sink_tick(struct fgw_sink *s, uint64_t now_ms)
{
    if (!s->path || now_ms < s->check_ms) return;
    s->check_ms = now_ms + FGW_SINK_RETRY_MS;
    if (s->stale || !has_name(s)) fgw_sink_reopen(s, now_ms);
}

/* -- writing -------------------------------------------------------------------------------------------------------- */

static ssize_t put(const struct fgw_sink *s, const char *p, size_t n)
{
    if (s->kind == FGW_SINK_SOCKET) return send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (s->kind == FGW_SINK_SHARED) {
        struct pollfd ready = {.fd = s->fd, .events = POLLOUT};
        if (poll(&ready, 1, 0) <= 0) { errno = EAGAIN; return -1; }
        if (n > PIPE_BUF) n = PIPE_BUF;
    }
    return write(s->fd, p, n);
}

/* End a line that was cut. True when there is none any more. */
static bool mend(struct fgw_sink *s)
{
    if (s->torn && put(s, "\n", 1) == 1) s->torn = false;
    return !s->torn;
}

void fgw_sink_drop(struct fgw_sink *s)
{
    uint64_t lines = 0;
    for (const char *p = s->buf + s->from, *end = s->buf + s->to; p && p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) lines++;
    if (s->from && s->from < s->to) s->torn = s->buf[s->from - 1] != '\n';
    if (s->wanted) count(&s->n.dropped, lines);
    s->from = s->to = 0;
}

static void give_up(struct fgw_sink *s, int error, uint64_t now_ms)
{
    failed(s, error);
    fgw_sink_drop(s);
    if (error == EPIPE && s->path) close_fd(s), s->check_ms = now_ms + FGW_SINK_RETRY_MS;   /* a FIFO whose reader left */
}

bool fgw_sink_flush(struct fgw_sink *s, uint64_t now_ms)
{
    if (s->fd < 0) fgw_sink_drop(s);
    while (s->from < s->to) {
        ssize_t n = mend(s) ? put(s, s->buf + s->from, s->to - s->from) : -1;
        if (n > 0) {
            s->from += (size_t)n;
            count(&s->n.bytes, (uint64_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        give_up(s, n < 0 ? errno : EIO, now_ms);
    }
    s->from = s->to = 0;
    return true;
}
