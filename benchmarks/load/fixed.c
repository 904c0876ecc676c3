/* benchmarks/load/fixed.c: exactly N requests to a server, so that what it did for them can be counted.
 *
 *   fixed PORT PATH REQUESTS CONNECTIONS [close]
 *
 * Keep-alive: opens the connections and warms each with WARM requests; prints "ready" and waits for a line on stdin; sends
 * REQUESTS, one at a time on each connection; prints "done SECONDS" and waits for a line again before it closes anything.
 * So whatever the server does between the two lines is done for requests alone. End of file on stdin counts as a line.
 * close: no warm-up; every request has a connection of its own and asks for it to be closed, CONNECTIONS at a time.
 *
 * An answer that is not a 200 with a Content-Length, or that breaks off, ends the program with exit code 1.
 *
 *   conn:  IDLE ──send──► HEAD ──blank line──► BODY ──all──► IDLE      (close: BODY ──end of file──► a new conn)
 * Bytes or an end of file in IDLE are an error: keep-alive means that the server leaves the connection alone. */
#include "net.h"
#include <time.h>

enum { WARM = 20, HEAD_MAX = 8192, BATCH = 256, CHUNK = 64 * 1024 };

enum state { IDLE, HEAD, BODY };
struct conn {
    int fd;
    enum state state;
    size_t body_left;
    size_t in;
    char head[HEAD_MAX];
};

static int ep;
static uint16_t port;
static bool closing;
static char request[1024];
static size_t request_n;
static long to_send, to_finish;
static char chunk[CHUNK];

static void refuse(const char *why)
{
    fprintf(stderr, "fixed: %s\n", why);
    exit(1);
}

/* Sends the conn's next request, if one is still to be sent. A request is far smaller than an empty socket buffer. */
static void ask(struct conn *c)
{
    if (to_send == 0) return;
    to_send--;
    c->in = 0, c->state = HEAD;
    if (net_send(c->fd, request, request_n) != (ssize_t)request_n) refuse("a request could not be sent whole");
}

static void open_conn(struct conn *c)
{
    struct sockaddr_in a = net_loopback(port);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) net_die("socket");
    net_no_delay(c->fd);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a)) net_die("connect");
    net_watch(ep, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
}

/* In close mode an answer ends with the connection. */
static void renew(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    if (to_send == 0) return;
    open_conn(c);
    ask(c);
}

static void finished(struct conn *c)
{
    to_finish--;
    c->state = IDLE;
    if (closing) renew(c);
    else ask(c);
}

static size_t content_length(const char *head)
{
    const char *p = strcasestr(head, "\r\ncontent-length:");
    if (!p) refuse("an answer has no Content-Length");
    return strtoul(p + 17, NULL, 10);
}

static void on_head(struct conn *c)
{
    ssize_t n = recv(c->fd, c->head + c->in, sizeof c->head - 1 - c->in, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) refuse("a connection ended before its answer");
    c->in += (size_t)n;
    c->head[c->in] = 0;
    char *blank = strstr(c->head, "\r\n\r\n");
    if (!blank) {
        if (c->in == sizeof c->head - 1) refuse("an answer's head is too long");
        return;
    }
    if (strncmp(c->head + 8, " 200", 4)) refuse("an answer is not 200");
    size_t have = c->in - (size_t)(blank + 4 - c->head), size = content_length(c->head);
    if (have > size) refuse("bytes after the answer");
    c->state = BODY, c->body_left = size - have;
}

static void on_body(struct conn *c)
{
    ssize_t n = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 || (n == 0 && c->body_left)) refuse("a connection ended inside an answer");
    if ((size_t)n > c->body_left) refuse("bytes after the answer");
    if (n == 0) finished(c);
    else c->body_left -= (size_t)n;
}

static void on_readable(struct conn *c)
{
    switch (c->state) {
    case IDLE: refuse("a connection was closed or written to while idle"); break;
    case HEAD: on_head(c); break;
    case BODY: on_body(c); break;
    }
    if (!closing && c->state == BODY && c->body_left == 0) finished(c);
}

/* Sends n requests over the conns and waits for all answers. */
static void run(struct conn *conns, long count, long n)
{
    to_send = to_finish = n;
    for (long i = 0; i < count && to_send; i++) {
        if (closing) open_conn(&conns[i]);
        ask(&conns[i]);
    }
    while (to_finish) {
        struct epoll_event ev[BATCH];
        int got = epoll_wait(ep, ev, BATCH, 30000);
        if (got == 0) refuse("no answer for 30 seconds");
        for (int i = 0; i < got; i++) on_readable(ev[i].data.ptr);
    }
}

static void wait_for_line(void)
{
    fflush(stdout);
    for (int c; (c = getchar()) != EOF && c != '\n';) {}
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "close"))) {
        fprintf(stderr, "usage: fixed PORT PATH REQUESTS CONNECTIONS [close]\n");
        return 2;
    }
    net_raise_files();
    port = (uint16_t)net_number(argv[1], 1, 65535);
    long requests = net_number(argv[3], 1, 100000000), count = net_number(argv[4], 1, 19000);
    closing = argc == 6;
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", argv[2], port,
                     closing ? "Connection: close\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof request) refuse("the path is too long");
    request_n = (size_t)n;
    if ((ep = epoll_create1(EPOLL_CLOEXEC)) < 0) net_die("epoll_create1");
    struct conn *conns = net_alloc((size_t)count * sizeof *conns);
    if (!closing) {
        for (long i = 0; i < count; i++) open_conn(&conns[i]);
        run(conns, count, count * WARM);
    }
    printf("ready\n");
    wait_for_line();
    double began = now();
    run(conns, count, requests);
    printf("done %.6f\n", now() - began);
    wait_for_line();
    return 0;
}
