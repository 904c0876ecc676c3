/* benchmarks/load/relay.c: the floor of what a user-space proxy can cost on this kernel.
 *
 *   relay LISTEN_PORT UPSTREAM_PORT      (LISTEN_PORT 0: any free one; it is printed)
 *
 * One thread, level-triggered epoll, one upstream connection for each client connection, and it never looks at
 * the bytes: a keep-alive request costs 2 recv and 2 send, and no epoll_ctl unless a send falls short.
 *
 *   pair:   client end ◄──► upstream end
 *   an end: reads while its peer has nothing held; what its peer's socket would not take is held there, and
 *           reading stops until it is gone (back-pressure); end of file travels as a shutdown once all is sent.
 *
 * Memory   a pair on the heap, freed after the batch in which it died, since both ends may be in one batch. */
#include "net.h"

enum { CHUNK = 64 * 1024, BATCH = 256 };

struct pair;
struct end {
    struct pair *pair;
    int fd;
    uint32_t armed;        /* what epoll watches for */
    bool eof;              /* its socket has said its last byte */
    char *held;            /* bytes owed to its socket */
    size_t held_from, held_to;
};
struct pair {
    struct end end[2];
    bool dead;
    struct pair *next_dead;
};

static int ep;
static uint16_t upstream_port;
static struct pair *dead;
static char chunk[CHUNK];

static struct end *other(struct end *e) { return &e->pair->end[e == &e->pair->end[0]]; }

static void pair_kill(struct pair *p)
{
    if (p->dead) return;
    p->dead = true;
    p->next_dead = dead;
    dead = p;
}

static void bury(void)
{
    for (struct pair *p; (p = dead);) {
        dead = p->next_dead;
        for (int i = 0; i < 2; i++) close(p->end[i].fd), free(p->end[i].held);
        free(p);
    }
}

static void arm(struct end *e, uint32_t events)
{
    if (e->armed == events) return;
    e->armed = events;
    net_watch(ep, EPOLL_CTL_MOD, e->fd, events, e);
}

/* `from` has ended and everything it said has been passed on. */
static void pass_eof(struct end *from)
{
    struct end *to = other(from);
    if (to->eof) pair_kill(from->pair);
    else shutdown(to->fd, SHUT_WR);
}

static void hold(struct end *to, const char *p, size_t n)
{
    to->held = memcpy(net_alloc(n), p, n);
    to->held_from = 0, to->held_to = n;
    arm(to, to->armed | EPOLLOUT);
    arm(other(to), other(to)->armed & ~(uint32_t)EPOLLIN);
}

static void on_readable(struct end *from)
{
    struct end *to = other(from);
    ssize_t n = recv(from->fd, chunk, sizeof chunk, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) pair_kill(from->pair);
        return;
    }
    if (n == 0) {
        from->eof = true;
        arm(from, from->armed & ~(uint32_t)EPOLLIN);
        pass_eof(from);
        return;
    }
    ssize_t m = net_send(to->fd, chunk, (size_t)n);
    if (m < 0) pair_kill(from->pair);
    else if (m < n) hold(to, chunk + m, (size_t)(n - m));
}

static void on_writable(struct end *to)
{
    if (!to->held) return;
    ssize_t m = net_send(to->fd, to->held + to->held_from, to->held_to - to->held_from);
    if (m < 0) {
        pair_kill(to->pair);
        return;
    }
    to->held_from += (size_t)m;
    if (to->held_from < to->held_to) return;
    free(to->held);
    to->held = NULL;
    arm(to, to->armed & ~(uint32_t)EPOLLOUT);
    arm(other(to), other(to)->armed | EPOLLIN);
}

static void on_client(int listener)
{
    for (int fd; (fd = net_accept(listener)) >= 0;) {
        int up = net_connect(upstream_port);
        if (up < 0) {
            close(fd);
            continue;
        }
        struct pair *p = net_alloc(sizeof *p);
        for (int i = 0; i < 2; i++) {
            p->end[i] = (struct end){.pair = p, .fd = i ? up : fd, .armed = EPOLLIN};
            net_watch(ep, EPOLL_CTL_ADD, p->end[i].fd, EPOLLIN, &p->end[i]);
        }
    }
}

static void on_end(struct end *e, uint32_t events)
{
    if (!e->pair->dead && events & EPOLLOUT) on_writable(e);
    if (!e->pair->dead && events & EPOLLIN) on_readable(e);
    /* An end that reads nothing just now would be reported for ever. */
    if (events & (EPOLLERR | EPOLLHUP) && !(events & (EPOLLIN | EPOLLOUT))) pair_kill(e->pair);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    net_raise_files();
    upstream_port = (uint16_t)net_number(argv[2], 1, 65535);
    if ((ep = epoll_create1(EPOLL_CLOEXEC)) < 0) net_die("epoll_create1");
    int listener = net_listen((uint16_t)net_number(argv[1], 0, 65535));
    net_watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event ev[BATCH];
        int n = epoll_wait(ep, ev, BATCH, -1);
        if (n < 0 && errno != EINTR) net_die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr) on_end(ev[i].data.ptr, ev[i].events);
            else on_client(listener);
        }
        bury();
    }
}
