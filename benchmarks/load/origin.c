/* benchmarks/load/origin.c: an HTTP/1.1 origin that costs as little as possible, so that the proxy is what is measured.
 *
 *   origin PORT      (0: any free one; it is printed)
 *
 *   /s 13 bytes   /m 64 KiB   /l 1 MiB   anything else 404
 *
 * One thread, level-triggered epoll. Keep-alive, pipelined requests are answered in order, `Connection: close` and
 * HTTP/1.0 are obeyed, HEAD has no body, a request body with Content-Length is read and dropped; chunked is answered 411.
 * It trusts its client to speak HTTP: heads are searched, not validated.
 *
 *   conn:  READING ──a whole head──► WRITING ──all sent──► READING (the rest of the input first)
 *                                       └──close──► gone, after the last byte
 *
 * Memory   a conn has its input buffer, and answers are shared and built once. A head over HEAD_MAX closes the conn. */
#include "net.h"
#include <time.h>

enum { HEAD_MAX = 16 * 1024, BATCH = 256 };

struct answer { char *bytes; size_t head, all; };
struct resource { const char *path, *status; size_t size; struct answer keep, close; };
static struct resource RESOURCE[] = {
    {.path = "/s", .status = "200 OK", .size = 13},
    {.path = "/m", .status = "200 OK", .size = 64 * 1024},
    {.path = "/l", .status = "200 OK", .size = 1024 * 1024},
    {.path = NULL, .status = "404 Not Found", .size = 10},
    {.path = NULL, .status = "411 Length Required", .size = 16},
};
enum { NOT_FOUND = 3, LENGTH_REQUIRED = 4, RESOURCES = 5 };

struct conn {
    int fd;
    uint32_t armed;
    bool closing;              /* the answer under way is the last */
    const char *out;
    size_t out_left;
    size_t skip;               /* bytes of a request body still to be dropped */
    size_t in;                 /* bytes in buf */
    char buf[HEAD_MAX];
};

static int ep;

static struct answer answer_make(const struct resource *r, const char *date, const char *more)
{
    struct answer a = {.bytes = net_alloc(512 + r->size)};
    a.head = (size_t)snprintf(a.bytes, 512,
                              "HTTP/1.1 %s\r\nServer: origin\r\nDate: %s\r\nContent-Type: text/plain\r\n%sContent-Length: %zu\r\n\r\n",
                              r->status, date, more, r->size);
    for (size_t i = 0; i < r->size; i++) a.bytes[a.head + i] = i + 1 == r->size ? '\n' : (char)('a' + i % 26);
    a.all = a.head + r->size;
    return a;
}

static void answers_build(void)
{
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    for (int i = 0; i < RESOURCES; i++) {
        RESOURCE[i].keep = answer_make(&RESOURCE[i], date, "");
        RESOURCE[i].close = answer_make(&RESOURCE[i], date, "Connection: close\r\n");
    }
}

static void conn_free(struct conn *c)
{
    close(c->fd);
    free(c);
}

static void conn_arm(struct conn *c, uint32_t events)
{
    if (c->armed == events) return;
    c->armed = events;
    net_watch(ep, EPOLL_CTL_MOD, c->fd, events, c);
}

/* The value of a field in [head, end): a pointer behind "\r\nname:" and blanks, or NULL. `name` is lower case. */
static const char *field(const char *head, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = head; (p = memchr(p, '\n', (size_t)(end - p))) && p + n + 2 < end;) {
        p++;
        if (strncasecmp(p, name, n) || p[n] != ':') continue;
        for (p += n + 1; p < end && (*p == ' ' || *p == '\t');) p++;
        return p;
    }
    return NULL;
}

static const struct resource *resource_find(const char *path, size_t n)
{
    const char *query = memchr(path, '?', n);
    if (query) n = (size_t)(query - path);
    for (int i = 0; i < NOT_FOUND; i++)
        if (strlen(RESOURCE[i].path) == n && !memcmp(RESOURCE[i].path, path, n)) return &RESOURCE[i];
    return &RESOURCE[NOT_FOUND];
}

/* Starts the answer to the head [head, end); end stands behind the blank line. */
static bool answer_start(struct conn *c, const char *head, const char *end)
{
    const char *path = memchr(head, ' ', (size_t)(end - head));
    const char *version = path ? memchr(path + 1, ' ', (size_t)(end - path - 1)) : NULL;
    if (!version || end - version < 11) return false;
    const char *connection = field(version, end, "connection"), *length = field(version, end, "content-length");
    const struct resource *r = resource_find(path + 1, (size_t)(version - path - 1));
    c->closing = !memcmp(version + 1, "HTTP/1.0", 8) || (connection && !strncasecmp(connection, "close", 5));
    c->skip = length ? strtoul(length, NULL, 10) : 0;
    if (field(version, end, "transfer-encoding")) r = &RESOURCE[LENGTH_REQUIRED], c->closing = true;
    const struct answer *a = c->closing ? &r->close : &r->keep;
    c->out = a->bytes;
    c->out_left = head[0] == 'H' ? a->head : a->all;
    return true;
}

static void drop_input(struct conn *c, size_t n)
{
    c->in -= n;
    if (c->in) memmove(c->buf, c->buf + n, c->in);
}

/* True when a whole head was found and its answer stands ready. */
static bool next_request(struct conn *c, bool *bad)
{
    size_t skip = c->skip < c->in ? c->skip : c->in;
    c->skip -= skip;
    drop_input(c, skip);
    char *blank = memmem(c->buf, c->in, "\r\n\r\n", 4);
    if (!blank) {
        *bad = c->in == HEAD_MAX;
        return false;
    }
    char *end = blank + 4;
    if (!answer_start(c, c->buf, end)) {
        *bad = true;
        return false;
    }
    drop_input(c, (size_t)(end - c->buf));
    return true;
}

/* Answers what is in the buffer until a send falls short. False: the conn is finished. */
static bool serve(struct conn *c)
{
    bool bad = false;
    for (;;) {
        if (c->out_left) {
            ssize_t m = net_send(c->fd, c->out, c->out_left);
            if (m < 0) return false;
            c->out += m, c->out_left -= (size_t)m;
            if (c->out_left) {
                conn_arm(c, EPOLLOUT);
                return true;
            }
            if (c->closing) return false;
        }
        if (!next_request(c, &bad)) break;
    }
    conn_arm(c, EPOLLIN);
    return !bad;
}

static bool on_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, c->buf + c->in, sizeof c->buf - c->in, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    c->in += (size_t)n;
    return serve(c);
}

static void on_client(int listener)
{
    for (int fd; (fd = net_accept(listener)) >= 0;) {
        struct conn *c = net_alloc(sizeof *c);
        c->fd = fd, c->armed = EPOLLIN;
        net_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void on_conn(struct conn *c, uint32_t events)
{
    bool alive = !(events & (EPOLLERR | EPOLLHUP));
    if (alive && events & EPOLLOUT) alive = serve(c);
    else if (alive && events & EPOLLIN) alive = on_readable(c);
    if (!alive) conn_free(c);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: origin PORT\n");
        return 2;
    }
    net_raise_files();
    answers_build();
    if ((ep = epoll_create1(EPOLL_CLOEXEC)) < 0) net_die("epoll_create1");
    int listener = net_listen((uint16_t)net_number(argv[1], 0, 65535));
    net_watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event ev[BATCH];
        int n = epoll_wait(ep, ev, BATCH, -1);
        if (n < 0 && errno != EINTR) net_die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr) on_conn(ev[i].data.ptr, ev[i].events);
            else on_client(listener);
        }
    }
}
