/* The floor for HTTP/2 and HTTP/1.1 over TLS: nghttp2 and OpenSSL over io/ (loop, conn, tls), and nothing else.
 *
 *   h2_probe PORT CERT KEY BYTES     CERT "-": without TLS (h2 by prior knowledge, else HTTP/1)
 *
 * Every request gets the same answer of BYTES bytes. No routes, limits, logs, timers, upstreams: what a gateway that holds this pair of
 * libraries adds to it is the difference. docs/design/0003-tls-and-http2.md says how it is measured. Ends at TERM. */
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include "base/check.h"
#include "benchmarks/load/net.h"
#include "io/listen.h"
#include "io/tls.h"

enum { OUT_HIGH = 64 << 10 };
static char *body;
static size_t body_n;
static struct fgw_loop loop;
static struct fgw_tls_server *server;
static nghttp2_session_callbacks *callbacks;
static volatile sig_atomic_t over;

struct session { struct fgw_tls_stage stage; struct fgw_conn c; nghttp2_session *h2; struct fgw_job dead; bool h1, told; };

static void free_session(struct fgw_job *j)
{
    struct session *s = fgw_container(j, struct session, dead);
    nghttp2_session_del(s->h2);
    free(s);
}
static void end(struct session *s)
{
    s->dead.run = free_session;
    fgw_job_add(&loop.dead, &s->dead);
}

/* ---- h2 ---- */
static void pull(struct session *s)
{
    const uint8_t *p;
    ssize_t n;
    while (s->c.out.bytes < OUT_HIGH && (n = nghttp2_session_mem_send(s->h2, &p)) > 0) fgw_conn_copy(&s->c, p, (size_t)n);
}
static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t n, uint32_t *flags, nghttp2_data_source *src, void *user)
{
    size_t at = (size_t)nghttp2_session_get_stream_user_data(h2, id), k = body_n - at < n ? body_n - at : n;
    (void)src, (void)user;
    memcpy(buf, body + at, k);
    nghttp2_session_set_stream_user_data(h2, id, (void *)(at + k));
    if (at + k == body_n) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)k;
}
static int on_frame(nghttp2_session *h2, const nghttp2_frame *f, void *user)
{
    static nghttp2_nv fields[] = {
        {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
        {(uint8_t *)"content-type", (uint8_t *)"text/plain", 12, 10, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
        {(uint8_t *)"content-length", NULL, 14, 0, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}};
    static char length[24];
    (void)user;
    if (!(f->hd.flags & NGHTTP2_FLAG_END_STREAM) || (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)) return 0;
    if (!fields[2].value) fields[2].valuelen = (size_t)snprintf(length, sizeof length, "%zu", body_n), fields[2].value = (uint8_t *)length;
    return nghttp2_submit_response(h2, f->hd.stream_id, fields, FGW_COUNT(fields), &(nghttp2_data_provider){.read_callback = read_body});
}

/* ---- h1: one answer for each empty line ---- */
static void answer_h1(struct session *s)
{
    static char head[128];
    static int head_n;
    if (!head_n) head_n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n", body_n);
    uint32_t n = fgw_conn_in_len(&s->c), used = 0;
    const char *p = fgw_conn_in(&s->c), *q;
    while ((q = memmem(p + used, n - used, "\r\n\r\n", 4))) {
        used = (uint32_t)(q + 4 - p);
        fgw_conn_copy(&s->c, head, (size_t)head_n), fgw_conn_copy(&s->c, body, body_n);
    }
    fgw_conn_take(&s->c, used);
}

/* ---- the conn's user ---- */
static void on_input(struct fgw_conn *c)
{
    struct session *s = fgw_container(c, struct session, c);
    uint32_t n = fgw_conn_in_len(c);
    if (!s->told && n) {
        s->told = true;
        s->h1 = *fgw_conn_in(c) != 'P';
        if (!s->h1) nghttp2_session_server_new(&s->h2, callbacks, s), nghttp2_submit_settings(s->h2, 0, NULL, 0);
    }
    if (s->h1) answer_h1(s);
    else if (n) {
        ssize_t r = nghttp2_session_mem_recv(s->h2, (const uint8_t *)fgw_conn_in(c), n);
        fgw_conn_take(c, n);
        if (r < 0) fgw_conn_kill(c);
        pull(s);
    }
    if (c->eof || (s->h2 && !nghttp2_session_want_read(s->h2) && !nghttp2_session_want_write(s->h2))) fgw_conn_finish(c);
}
static void on_sent(struct fgw_conn *c, uint64_t n)
{
    struct session *s = fgw_container(c, struct session, c);
    (void)n;
    if (s->h2) pull(s);
}
static void on_fail(struct fgw_conn *c) { end(fgw_container(c, struct session, c)); }
static const struct fgw_conn_user user = {NULL, on_input, on_sent, on_fail};

static void begin(struct session *s, int fd, struct fgw_tls *t)
{
    if (fgw_conn_init(&s->c, &loop, fd, false, &user) < 0) net_die("watch");
    if (t) fgw_tls_attach(t, &s->c);
}
static void shaken(struct fgw_tls_stage *st, int fd, enum fgw_err why)
{
    struct session *s = fgw_container(st, struct session, stage);
    if (why) end(s);
    else begin(s, fd, st->tls);
}
static void on_conn(struct fgw_accept *a, int fd, const struct sockaddr *sa)
{
    struct session *s = net_alloc(sizeof *s);
    (void)a, (void)sa;
    s->stage.done = shaken;
    if (!server) begin(s, fd, NULL);
    else if (fgw_tls_stage_init(&s->stage, &loop, server, fd, 10000) < 0) net_die("stage");
}
static void on_full(struct fgw_accept *a) { (void)a; }
static void on_term(int n) { (void)n; over = 1; }

static struct fgw_str file(const char *path)
{
    static char text[2][16384], at;
    FILE *f = fopen(path, "r");
    if (!f || at == 2) net_die(path);
    size_t n = fread(text[(int)at], 1, sizeof text[0], f);
    fclose(f);
    return fgw_str(text[(int)at++], n);
}

int main(int argc, char **argv)
{
    char err[256];
    if (argc != 5) return fprintf(stderr, "usage: h2_probe PORT CERT KEY BYTES\n"), 2;
    body_n = (size_t)net_number(argv[4], 1, 1 << 24), body = net_alloc(body_n);
    memset(body, 'x', body_n);
    signal(SIGTERM, on_term), signal(SIGPIPE, SIG_IGN);
    if (fgw_loop_init(&loop, NULL, 0) < 0) net_die("loop");
    struct fgw_tls_env *env = fgw_tls_env_new();
    if (strcmp(argv[2], "-") != 0) {
        struct fgw_tls_pem pem = {file(argv[2]), file(argv[3])};
        struct fgw_tls_options o = {.certs = &pem, .ncerts = 1, .min_version = 2, .tickets = true, .alpn = FGW_STR("\x02h2\x08http/1.1")};
        if (!(server = fgw_tls_server_new(env, &o, err, sizeof err))) return fprintf(stderr, "%s\n", err), 1;
    }
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = net_loopback((uint16_t)net_number(argv[1], 1, 65535));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1024)) net_die("listen");
    struct fgw_accept acc = {.on_conn = on_conn, .on_full = on_full};
    if (fgw_accept_init(&acc, &loop, fd, false) < 0) net_die("accept");
    while (!over) fgw_loop_turn(&loop, 1000), fgw_loop_settle(&loop);
    return 0;
}
