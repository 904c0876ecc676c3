/* benchmarks/load/origin_h2.c: an origin of gRPC that costs as little as possible, so that the proxy is what is measured.
 *
 *   origin_h2 PORT      (0: any free one; it is printed)
 *
 * HTTP/2 in cleartext, by prior knowledge. Whatever is asked, when its request ends it is answered with one message of 13 bytes and a trailer
 * that says OK: HEADERS, DATA, HEADERS, put together once but for the stream's number. Heads are not looked at, so no compression
 * state is kept: what the peer's encoder does is its own affair, and ours uses none.
 *
 * One thread, level-triggered epoll. It trusts its peer to speak HTTP/2: of its frames only length, type, flags and stream are read. PING and
 * SETTINGS are acknowledged, the connection's window is given back, and what the peer's windows have no room for waits.
 * Memory   a conn has its input and output buffers; one whose output is full, or that waits for more than WAITING answers, is closed. */
#include "net.h"

enum { IN = 128 << 10, OUT = 512 << 10, WAITING = 4096, BATCH = 256, GIVE_BACK = 16 << 10, WINDOW = 1 << 20, MESSAGE = 5 + 13 };
enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1 };

struct conn {
    int fd;
    uint32_t armed;
    bool greeted;                        /* the preface is behind us */
    size_t in, out, sent;                /* bytes in buffers; of out those that have left */
    int64_t window;                      /* DATA bytes that the peer takes on this connection */
    uint32_t owed;                       /* that we have taken and not given back */
    uint32_t waiting[WAITING], first, count;   /* streams whose answer has no room in the window */
    unsigned char inbuf[IN], outbuf[OUT];
};

static int ep;
static unsigned char answer[256];
static size_t answer_len, answer_streams[3];   /* where the stream's number goes */

static void put4(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}
static uint32_t get4(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static size_t frame_head(unsigned char *p, size_t n, int type, int flags, uint32_t stream)
{
    p[0] = (unsigned char)(n >> 16), p[1] = (unsigned char)(n >> 8), p[2] = (unsigned char)n, p[3] = (unsigned char)type, p[4] = (unsigned char)flags;
    put4(p + 5, stream);
    return 9;
}

static void add(const void *payload, size_t n, int type, int flags, int which)
{
    answer_streams[which] = answer_len + 5;
    answer_len += frame_head(answer + answer_len, n, type, flags, 0);
    memcpy(answer + answer_len, payload, n), answer_len += n;
}

/* Fields by RFC 7541: 0x88 is ":status: 200" of the static table, 0x0f 0x10 a literal whose name is its 31st, content-type, 0x00 one with a name. */
static void answer_build(void)
{
    static const char head[] = "\x88\x0f\x10\x10" "application/grpc", trailer[] = "\x00\x0b" "grpc-status" "\x01" "0";
    static const unsigned char message[MESSAGE] = {0, 0, 0, 0, 13, 'h', 'e', 'l', 'l', 'o', ',', ' ', 'w', 'o', 'r', 'l', 'd', '\n'};
    add(head, sizeof head - 1, HEADERS, 4, 0);
    add(message, MESSAGE, DATA, 0, 1);
    add(trailer, sizeof trailer - 1, HEADERS, 4 | END_STREAM, 2);
}

static void conn_close(struct conn *c)
{
    close(c->fd);
    free(c);
}

static unsigned char *room(struct conn *c, size_t n)
{
    if (c->sent && c->out + n > OUT) memmove(c->outbuf, c->outbuf + c->sent, c->out - c->sent), c->out -= c->sent, c->sent = 0;
    if (c->out + n > OUT) return NULL;
    c->out += n;
    return c->outbuf + c->out - n;
}

static bool frame(struct conn *c, int type, int flags, const void *payload, size_t n)
{
    unsigned char *p = room(c, 9 + n);
    if (!p) return false;
    frame_head(p, n, type, flags, 0);
    if (n) memcpy(p + 9, payload, n);
    return true;
}

static bool reply(struct conn *c, uint32_t stream)
{
    if (c->window < MESSAGE) {
        if (c->count == WAITING) return false;
        c->waiting[(c->first + c->count++) % WAITING] = stream;
        return true;
    }
    unsigned char *p = room(c, answer_len);
    if (!p) return false;
    c->window -= MESSAGE;
    memcpy(p, answer, answer_len);
    for (int i = 0; i < 3; i++) put4(p + answer_streams[i], stream);
    return true;
}

static bool opened(struct conn *c, uint32_t by)
{
    c->window += by;
    for (uint32_t n = c->count; n && c->window >= MESSAGE; n--) {
        uint32_t stream = c->waiting[c->first % WAITING];
        c->first++, c->count--;
        if (!reply(c, stream)) return false;
    }
    return true;
}

static bool took(struct conn *c, uint32_t n)
{
    unsigned char by[4];
    c->owed += n;
    if (c->owed < GIVE_BACK) return true;
    put4(by, c->owed);
    c->owed = 0;
    return frame(c, WINDOW_UPDATE, 0, by, 4);
}

/* Streams' windows are not followed: an answer is smaller than the least that a peer begins with here. */
static bool heard(struct conn *c, const unsigned char *p, size_t n)
{
    uint32_t stream = get4(p + 5) & 0x7fffffff;
    switch (p[3]) {
    case DATA: if (!took(c, (uint32_t)n)) return false; /* fallthrough */
    case HEADERS: return !(p[4] & END_STREAM) || reply(c, stream);
    case SETTINGS: return p[4] & ACK || frame(c, SETTINGS, ACK, NULL, 0);
    case PING: return p[4] & ACK || frame(c, PING, ACK, p + 9, n);
    case WINDOW_UPDATE: return n != 4 || stream || opened(c, get4(p + 9) & 0x7fffffff);
    default: return true;
    }
}

static bool parse(struct conn *c)
{
    size_t at = 0;
    if (!c->greeted && c->in >= 24) c->greeted = true, at = 24;
    while (c->greeted && c->in - at >= 9) {
        const unsigned char *p = c->inbuf + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (n > IN - 9) return false;
        if (c->in - at < 9 + n) break;
        if (!heard(c, p, n)) return false;
        at += 9 + n;
    }
    memmove(c->inbuf, c->inbuf + at, c->in - at), c->in -= at;
    return true;
}

static bool flush(struct conn *c)
{
    while (c->sent < c->out) {
        ssize_t n = net_send(c->fd, c->outbuf + c->sent, c->out - c->sent);
        if (n < 0) return false;
        if (n == 0) break;
        c->sent += (size_t)n;
    }
    if (c->sent == c->out) c->sent = c->out = 0;
    uint32_t want = c->out ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (want != c->armed) net_watch(ep, EPOLL_CTL_MOD, c->fd, c->armed = want, c);
    return true;
}

static bool serve(struct conn *c)
{
    ssize_t n = recv(c->fd, c->inbuf + c->in, IN - c->in, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (n > 0) c->in += (size_t)n;
    return parse(c) && flush(c);
}

static void greet(int listener)
{
    static const unsigned char settings[12] = {0, 3, 0, 0, 4, 0, 0, 4, 0, 16, 0, 0};     /* 1,024 streams; windows of 1 MiB */
    int fd;
    while ((fd = net_accept(listener)) >= 0) {
        struct conn *c = net_alloc(sizeof *c);
        unsigned char by[4];
        c->fd = fd, c->window = 65535, c->armed = EPOLLIN;
        net_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, c);
        put4(by, WINDOW);
        frame(c, SETTINGS, 0, settings, sizeof settings), frame(c, WINDOW_UPDATE, 0, by, 4);
        if (!flush(c)) conn_close(c);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: origin_h2 PORT\n");
        return 2;
    }
    net_raise_files();
    answer_build();
    int listener = net_listen((uint16_t)net_number(argv[1], 0, 65535));
    struct epoll_event ev[BATCH];
    ep = epoll_create1(EPOLL_CLOEXEC);
    net_watch(ep, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(ep, ev, BATCH, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!c) greet(listener);
            else if (!serve(c)) conn_close(c);
        }
    }
}
