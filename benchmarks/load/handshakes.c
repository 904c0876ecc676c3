/* benchmarks/load/handshakes.c: new TLS connections for so many seconds, one request on each.
 *
 *   handshakes PORT PATH SECONDS CONNECTIONS full|resume
 *
 * CONNECTIONS are under way at once. Each shakes hands, asks with `Connection: close`, reads to the end and is closed; then the next begins.
 * resume: a connection offers a session of one before it, each session once (RFC 8446 C.4); `resumed` counts where that was taken. full: none is
 * offered. Prints one JSON line: requests, duration_us, bytes, errors, resumed. An answer that is not 200 or has no end is an error, as is a
 * handshake that was not resumed although a session was offered, or because the server had given none.
 *
 *   conn:  DIAL ──► SHAKE ──► READ ──end──► DIAL ... until time is up */
#include "net.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

enum { BATCH = 256, ANSWER_MAX = 4096, SESSIONS_MAX = 256 };
struct conn {
    int fd;
    SSL *ssl;
    uint32_t armed;
    bool shaken, offered;
    size_t in;
    char answer[ANSWER_MAX];
};

static int ep;
static uint16_t port;
static SSL_CTX *ctx;
static SSL_SESSION *sessions[SESSIONS_MAX];
static int nsessions;
static bool resume;
static long first;                   /* connections of the first batch: they have nothing to offer */
static char request[1024];
static int request_n;
static long requests, resumed, bytes, failed, status, refused;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int keep(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    if (!resume || nsessions == SESSIONS_MAX) return 0;
    sessions[nsessions++] = s;
    return 1;
}

static void conn_arm(struct conn *c, uint32_t events)
{
    if (c->armed == events) return;
    net_watch(ep, c->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, events, c);
    c->armed = events;
}

static void step(struct conn *c);

static void begin(struct conn *c)
{
    struct sockaddr_in a = net_loopback(port);
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (c->fd < 0) net_die("socket");
    net_no_delay(c->fd);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a)) net_die("connect");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) net_die("fcntl");
    if (!(c->ssl = SSL_new(ctx)) || !SSL_set_fd(c->ssl, c->fd) || !SSL_set_tlsext_host_name(c->ssl, "localhost")) net_die("SSL_new");
    if (resume && nsessions) {
        SSL_SESSION *old = sessions[--nsessions];
        SSL_set_session(c->ssl, old), SSL_SESSION_free(old);
        c->offered = true;
    } else if (first > 0) first--;
    else c->offered = resume;
    SSL_set_connect_state(c->ssl);
    step(c);
}

static void end(struct conn *c, bool whole)
{
    bool good = whole && c->in > 12 && !memcmp(c->answer, "HTTP/1.1 200", 12);
    bytes += (long)c->in;
    if (good) requests++;
    else if (whole) status++;
    else failed++;
    if (c->shaken && SSL_session_reused(c->ssl)) resumed++;
    else if (c->offered) refused++;
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);     /* without it a session is taken for spoilt */
    SSL_free(c->ssl);
    close(c->fd);
}

/* As far as it goes without waiting. */
static void step(struct conn *c)
{
    ERR_clear_error();
    for (;;) {
        int r = !c->shaken ? SSL_do_handshake(c->ssl) : SSL_read(c->ssl, c->answer + c->in, (int)(sizeof c->answer - c->in));
        if (r > 0 && !c->shaken) {
            c->shaken = true;
            if (SSL_write(c->ssl, request, request_n) != request_n) break;
            continue;
        }
        if (r > 0 && (c->in += (size_t)r) < sizeof c->answer) continue;
        int e = SSL_get_error(c->ssl, r);
        if (r <= 0 && e == SSL_ERROR_WANT_READ) conn_arm(c, EPOLLIN);
        else if (r <= 0 && e == SSL_ERROR_WANT_WRITE) conn_arm(c, EPOLLOUT);
        else break;
        return;
    }
    end(c, c->shaken && SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN);
    c->fd = -1;
}

int main(int argc, char **argv)
{
    if (argc != 6 || (strcmp(argv[5], "full") && strcmp(argv[5], "resume"))) return fprintf(stderr, "usage: handshakes PORT PATH SECONDS CONNECTIONS full|resume\n"), 2;
    port = (uint16_t)net_number(argv[1], 1, 65535);
    request_n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", argv[2]);
    double seconds = (double)net_number(argv[3], 1, 3600), began = now();
    long n = net_number(argv[4], 1, 10000), live = n;
    resume = argv[5][0] == 'r';
    ctx = SSL_CTX_new(TLS_client_method());
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (!ctx || ep < 0) net_die("start");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, keep);
    struct conn *all = net_alloc((size_t)n * sizeof *all);
    first = n;
    for (long i = 0; i < n; i++) begin(&all[i]);
    while (live) {
        struct epoll_event ev[BATCH];
        int k = epoll_wait(ep, ev, BATCH, 1000);
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;
            step(c);
        }
        bool over = now() - began >= seconds;
        live = 0;
        for (long i = 0; i < n; i++) {
            if (all[i].fd < 0 && !over) begin(&all[i]);
            live += all[i].fd >= 0;
        }
    }
    printf("{\"requests\": %ld, \"duration_us\": %.0f, \"bytes\": %ld, \"resumed\": %ld, \"errors\": {\"failed\": %ld, \"status\": %ld, \"not resumed\": %ld}}\n",
           requests, (now() - began) * 1e6, bytes, resumed, failed, status, refused);
    return 0;
}
