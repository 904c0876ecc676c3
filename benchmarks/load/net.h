/* benchmarks/load/net.h: the few socket helpers that the relay, the origin and the fixed-count client share.
 *
 * Everything is on loopback. A failure here is a broken bench, so each helper says why on stderr and exits 1. */
#ifndef FGW_BENCH_NET_H
#define FGW_BENCH_NET_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void net_die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void *net_alloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p) net_die("calloc");
    return p;
}

/* A whole decimal number within [low, high]; anything else ends the program with exit code 2. */
static inline long net_number(const char *s, long low, long high)
{
    char *end;
    errno = 0;
    long v = strtol(s, &end, 10);
    if (errno || end == s || *end || v < low || v > high) {
        fprintf(stderr, "%s: expected a number from %ld to %ld\n", s, low, high);
        exit(2);
    }
    return v;
}

/* Ten thousand connections need more descriptors than the usual soft limit. */
static inline void net_raise_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r)) net_die("getrlimit");
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r)) net_die("setrlimit");
}

static inline struct sockaddr_in net_loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

/* Binds 127.0.0.1:port (0: any), prints "listening PORT" so that a caller that asked for 0 learns it. */
static inline int net_listen(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) net_die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = net_loopback(port);
    socklen_t n = sizeof a;
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) net_die("bind");
    if (listen(fd, 4096)) net_die("listen");
    if (getsockname(fd, (struct sockaddr *)&a, &n)) net_die("getsockname");
    printf("listening %u\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static inline void net_no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* The next waiting client, ready for use; -1: none. Running out of descriptors is an error of the set-up, not of load. */
static inline int net_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return -1;
        net_die("accept4");
    }
    net_no_delay(fd);
    return fd;
}

/* A connection to 127.0.0.1:port, perhaps still under way; -1: refused at once. */
static inline int net_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) net_die("socket");
    net_no_delay(fd);
    struct sockaddr_in a = net_loopback(port);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS) return fd;
    close(fd);
    return -1;
}

static inline void net_watch(int ep, int op, int fd, uint32_t events, void *ptr)
{
    struct epoll_event ev = {.events = events, .data.ptr = ptr};
    if (epoll_ctl(ep, op, fd, &ev)) net_die("epoll_ctl");
}

/* Sends what fits. Returns the bytes taken (0: no room), or -1 when the connection is dead. */
static inline ssize_t net_send(int fd, const void *p, size_t n)
{
    ssize_t m = send(fd, p, n, MSG_NOSIGNAL);
    if (m >= 0) return m;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}
#endif
