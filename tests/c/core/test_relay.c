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

TEST(a_tunnel_forgets_its_head_and_its_snapshot_but_not_what_the_log_will_say)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p/t?q HTTP/1.1\r\nHost: Example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "Connection: Upgrade\r\nUpgrade: echo\r\n");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    GOT(&e, "HTTP/1.1 101 ");
    const struct fgw_exchange *x = fgw_container(e.w->live.next, struct fgw_exchange, live);
    OK(x->tunnel && !x->msg && !x->reply_msg && !x->snap);
    EQ(e.w->h1.msgs.live, 0);
    say(&e, c, "12345");
    HEAR(&e, o, "12345");
    say(&e, o, "123");
    HEAR(&e, c, "123");
    reset(c);
    turn(&e, 10);
    lines(&e);
    GOT(&e, "/p/t");
    GOT(&e, "\"status\":101");
    GOT(&e, "\"route\":\"p\"");
    GOT(&e, "\"host\":\"example\"");
    GOT(&e, "\"bytes_in\":5");
    GOT(&e, "\"bytes_out\":3");
    close(o);
    engine_stop(&e);
}

TEST(an_answer_that_does_not_switch_is_an_answer)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    HEAR(&e, c, "\r\n\r\nno");
    plain(&e, c, o);                     /* both connections go on */
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_switch_before_the_request_is_whole_is_refused)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 10\r\n\r\nabc");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\nabc");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"upstream_bad_upgrade\"");
    GOT(&e, "HTTP/1.1 502 ");
    HEAR(&e, o, NULL);
    close(c), close(o);
    engine_stop(&e);
}

TEST(an_unasked_switch_is_refused)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"upstream_bad_upgrade\"");
    close(c), close(o);
    engine_stop(&e);
}

/* `from` says all of it while `to` reads on; the bytes must be the same. */
static void carry(struct engine *e, int from, int to, const char *bytes, size_t n, char *out, size_t *got)
{
    for (size_t sent = 0, i = 0; i < 100 * ROUNDS && sent < n; i++) {
        ssize_t r = send(from, bytes + sent, n - sent, MSG_NOSIGNAL);
        if (r > 0) sent += (size_t)r;
        r = recv(to, out + *got, 1 << 20, 0);
        if (r > 0) *got += (size_t)r;
        fgw_worker_wait(e->w, 0);
    }
}

TEST(a_tunnel_holds_back_and_loses_nothing)
{
    enum { N = 8 << 20 };
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    char *bytes = malloc(N), *out = malloc(N + (1 << 20));
    for (int i = 0; i < N; i++) bytes[i] = (char)(i * 7 + i / 251);
    for (int way = 0; way < 2; way++) {
        int from = way ? o : c, to = way ? c : o;
        size_t sent = 0, got = 0;
        uint64_t most = 0;
        for (int i = 0, full = 0; full < 20 && i < ROUNDS && sent < N; i++) {
            ssize_t r = send(from, bytes + sent, 64 << 10 < N - sent ? 64 << 10 : N - sent, MSG_NOSIGNAL);
            full = r > 0 ? 0 : full + 1;
            if (r > 0) sent += (size_t)r;
            fgw_worker_wait(e.w, 1);
            if (live(&e).block_bytes > most) most = live(&e).block_bytes;
        }
        OK(most < 1 << 20);              /* whatever the kernel holds, the engine holds little */
        carry(&e, from, to, bytes + sent, N - sent, out, &got);
        for (int i = 0; i < 10 * ROUNDS && got < N; i++) {
            ssize_t r = recv(to, out + got, 1 << 20, 0);
            if (r > 0) got += (size_t)r;
            fgw_worker_wait(e.w, 0);
        }
        EQ(got, N);
        OK(memcmp(out, bytes, N) == 0);
    }
    free(bytes), free(out);
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_filtered_body_longer_than_the_window_passes_whole)
{
    enum { N = 300000 };
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    char *bytes = malloc(N), *out = malloc(N * 2 + (1 << 20));
    memset(bytes, 'q', N);
    size_t got = 0;
    carry(&e, c, o, bytes, N, out, &got);
    for (int i = 0; i < ROUNDS && !(got > 5 && memcmp(out + got - 5, "0\r\n\r\n", 5) == 0); i++) {
        ssize_t r = recv(o, out + got, 1 << 20, 0);
        if (r > 0) got += (size_t)r;
        fgw_worker_wait(e.w, 1);
    }
    size_t loud = 0;
    for (size_t i = 0; i < got; i++) loud += out[i] == 'Q';
    EQ(loud, N);
    free(bytes), free(out);
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 204 ");
    close(c), close(o);
    engine_stop(&e);
}

TEST(trailers_pass_both_ways)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\nHost: evil\r\nContent-Length: 5\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "0\r\nX-T: 1\r\n\r\n");  /* and no field that would frame or route */
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nX-U: 2\r\n\r\n");
    HEAR(&e, c, "0\r\nX-U: 2\r\n\r\n");
    close(c), close(o);
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
    int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    small_buffers(c);                                  /* before the window is first told: later the kernel drops what it had allowed */
    if (connect(c, (struct sockaddr *)&e.front, sizeof e.front)) abort();
    fcntl(c, F_SETFL, O_NONBLOCK);
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
