#include "core/relay.c"
#include "core/engine.h"

TEST(a_tunnel_goes_both_ways_and_ends_by_halves)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly");
    HEAR(&e, c, "\r\n\r\nearly");
    say(&e, c, "ping");
    HEAR(&e, o, "ping");
    shutdown(c, SHUT_WR);
    HEAR(&e, o, NULL);
    say(&e, o, "pong");
    HEAR(&e, c, "pong");
    close(o);
    HEAR(&e, c, NULL);
    close(c);
    engine_stop(&e);
}

/* `total` bytes from one socket to another through the worker, the reader taking little at a time: the most block memory it took. */
static uint64_t slowly(struct engine *e, int from, int to, size_t total)
{
    static char piece[64 << 10];
    struct fgw_live live;
    uint64_t most = 0;
    size_t sent = 0, got = 0;
    for (int idle = 0; got < total && idle < ROUNDS; idle++) {
        ssize_t r = sent < total ? send(from, piece, total - sent < sizeof piece ? total - sent : sizeof piece, MSG_NOSIGNAL) : 0;
        if (r > 0) sent += (size_t)r, idle = 0;
        fgw_worker_wait(e->w, idle > 10 ? 1 : 0);      /* a tiny window may be reopened by a timer of TCP only */
        r = recv(to, piece, 3000, 0);
        if (r > 0) got += (size_t)r, idle = 0;
        fgw_worker_live(e->w, &live);
        if (live.block_bytes > most) most = live.block_bytes;
    }
    EQ(got, total);
    return most;
}

enum { LONG = 24 << 20 };
#define LENGTH "Content-Length: 25165824\r\n\r\n"

static void small_buffers(int fd)
{
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int));
}

TEST(what_a_slow_client_does_not_take_is_not_fetched)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    small_buffers(c);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\n" LENGTH);
    char head[512];
    ssize_t n = 0;
    while ((n = recv(c, head, sizeof head, MSG_PEEK)) < 0) fgw_worker_wait(e.w, 1);
    EQ(recv(c, head, (size_t)n, 0), n);                /* no byte of the body has been sent yet */
    OK(slowly(&e, o, c, LONG) < 512 << 10);
    close(c), close(o);
    engine_stop(&e);
}

TEST(what_a_slow_upstream_does_not_take_is_not_read)
{
    struct engine e;
    engine_start(&e);
    small_buffers(e.upstream);                         /* inherited by what it accepts */
    int c = client(&e);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\n" LENGTH);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    OK(slowly(&e, c, o, LONG) < 512 << 10);
    close(c), close(o);
    engine_stop(&e);
}

TEST_MAIN()
