/* The floor for HTTP/2 and HTTP/1.1 over TLS: nghttp2 and OpenSSL over io/ (loop, conn, tls), and nothing else.
 *
 *   h2_probe PORT CERT KEY UPSTREAM_PORT      a relay to 127.0.0.1:UPSTREAM_PORT, HTTP/1.1
 *   h2_probe PORT CERT KEY =BYTES             every request gets the same answer of BYTES bytes
 *   CERT "-": without TLS (h2 by prior knowledge, else HTTP/1)
 *
 * No routes, limits, logs, timers; requests without bodies; an upstream is believed: its head is split, not checked, its Content-Length is
 * there and right. What a gateway that holds this pair of libraries adds is the difference. docs/design/0003-tls-and-http2.md says how it is
 * measured. Ends at TERM.
 *
 *   session (a client) ──req──► up (an upstream connection, idle ones newest first) ──answer──► nghttp2, or the client as it came */
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include "base/check.h"
#include "benchmarks/load/net.h"
#include "io/listen.h"
#include "io/tls.h"

enum { OUT_HIGH = 64 << 10 };
static char *body;                   /* NULL: a relay */
static size_t body_n;
static struct sockaddr_in upstream;
static struct fgw_loop loop;
static struct fgw_tls_server *server;
static nghttp2_session_callbacks *callbacks;
static volatile sig_atomic_t over;

struct session { struct fgw_tls_stage stage; struct fgw_conn c; nghttp2_session *h2; struct fgw_job dead, pump; struct fgw_link reqs; bool h1, told; };

/* ---- relayed requests ---- */
enum { PATH_MAX_N = 256, FIELDS_MAX = 32 };
struct up;
struct req { struct session *s; struct up *u; struct fgw_link link; int32_t id; uint32_t path_n; struct fgw_buf out; bool eof; char path[PATH_MAX_N]; };
struct up { struct fgw_conn c; struct up *next; struct req *r; struct fgw_job dead; uint64_t left; bool body; };
static struct up *idle;
static struct fgw_slab reqs;

static struct req *req_new(struct session *s, int32_t id)
{
    struct req *r = fgw_slab_get(&reqs);
    if (!r) net_die("memory");
    r->s = s, r->u = NULL, r->id = id, r->path_n = 0, r->out = (struct fgw_buf){0}, r->eof = false;
    r->link = (struct fgw_link){0};
    fgw_list_push(&s->reqs, &r->link);
    return r;
}
static void req_free(struct req *r)
{
    if (r->u) r->u->r = NULL, fgw_conn_kill(&r->u->c);
    fgw_link_remove(&r->link);
    fgw_buf_clear(&loop.bufs, &r->out);
    fgw_slab_put(&reqs, r);
}

static ssize_t read_relayed(nghttp2_session *h2, int32_t id, uint8_t *p, size_t n, uint32_t *flags, nghttp2_data_source *src, void *user)
{
    struct req *r = src->ptr;
    size_t got = 0;
    (void)h2, (void)id, (void)user;
    while (got < n && r->out.bytes) {
        struct fgw_span s = r->out.first->s;
        size_t k = s.len < n - got ? s.len : n - got;
        memcpy(p + got, fgw_span_p(s), k);
        fgw_buf_consume(&loop.bufs, &r->out, k), got += k;
    }
    if (r->eof && !r->out.bytes) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return got || r->eof ? (ssize_t)got : NGHTTP2_ERR_DEFERRED;
}

/* The fields of an answer as nghttp2 takes them; it copies them and folds their names. Returns the body's length. */
static uint64_t answer_fields(const char *p, const char *end, nghttp2_nv *v, size_t *n)
{
    uint64_t length = 0;
    v[0] = (nghttp2_nv){(uint8_t *)":status", (uint8_t *)p + 9, 7, 3, 0}, *n = 1;
    for (p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1; p + 2 < end && *n < FIELDS_MAX;) {
        const char *eol = memchr(p, '\r', (size_t)(end - p)), *colon = memchr(p, ':', (size_t)(eol - p)), *value = colon + 1;
        while (*value == ' ') value++;
        if (colon - p == 14 && strncasecmp(p, "content-length", 14) == 0) length = strtoull(value, NULL, 10);
        if (colon - p != 10 || strncasecmp(p, "connection", 10) != 0)
            v[(*n)++] = (nghttp2_nv){(uint8_t *)p, (uint8_t *)value, (size_t)(colon - p), (size_t)(eol - value), 0};
        p = eol + 2;
    }
    return length;
}

static void h2_later(struct session *s) { fgw_job_add(&loop.ready, &s->pump); }

static bool up_head(struct up *u)
{
    struct req *r = u->r;
    nghttp2_nv v[FIELDS_MAX];
    size_t n;
    const char *p = fgw_conn_in(&u->c), *end = memmem(p, fgw_conn_in_len(&u->c), "\r\n\r\n", 4);
    if (!end) return false;
    u->left = answer_fields(p, end += 4, v, &n), u->body = true;
    if (r->id) nghttp2_submit_response(r->s->h2, r->id, v, n, &(nghttp2_data_provider){.source.ptr = r, .read_callback = read_relayed});
    else fgw_conn_copy(&r->s->c, p, (size_t)(end - p));
    fgw_conn_take(&u->c, (uint32_t)(end - p));
    return true;
}
static void up_done(struct up *u)
{
    struct req *r = u->r;
    u->body = false, u->r = NULL, r->u = NULL, r->eof = true;
    u->next = idle, idle = u;
    if (!r->id) req_free(r);
}
static void up_input(struct fgw_conn *c)
{
    struct up *u = fgw_container(c, struct up, c);
    struct req *r = u->r;
    if (c->eof || !r) {
        fgw_conn_kill(c);
        return;
    }
    if (!u->body && !up_head(u)) return;
    struct session *s = r->s;
    uint32_t n = fgw_conn_in_len(c);
    if (n) {
        struct fgw_span b = {c->in_b, c->in_off, n};
        if (r->id) fgw_span_ref(b), fgw_buf_push(&loop.bufs, &r->out, b), nghttp2_session_resume_data(s->h2, r->id);
        else n <= 1024 ? fgw_conn_copy(&s->c, fgw_span_p(b), n) : fgw_conn_push(&s->c, b);
        fgw_conn_take(c, n);
        u->left -= n;
    }
    if (!u->left) up_done(u);
    if (s->h2) h2_later(s);
}
static void up_sent(struct fgw_conn *c, uint64_t n) { (void)c, (void)n; }
static void free_up(struct fgw_job *j) { free(fgw_container(j, struct up, dead)); }
static void up_fail(struct fgw_conn *c)
{
    struct up *u = fgw_container(c, struct up, c), **at = &idle;
    while (*at && *at != u) at = &(*at)->next;
    if (*at) *at = u->next;
    if (u->r) u->r->u = NULL, fgw_conn_kill(&u->r->s->c), u->r = NULL;
    u->dead.run = free_up;
    fgw_job_add(&loop.dead, &u->dead);
}
static const struct fgw_conn_user up_user = {NULL, up_input, up_sent, up_fail};

static struct up *up_get(void)
{
    struct up *u = idle;
    bool connecting;
    if (u) {
        idle = u->next;
        return u;
    }
    int fd = fgw_conn_dial((struct sockaddr *)&upstream, sizeof upstream, &connecting);
    u = net_alloc(sizeof *u);
    if (fd < 0 || fgw_conn_init(&u->c, &loop, fd, connecting, &up_user) < 0) net_die("dial");
    return u;
}
static void ask(struct req *r, const char *head, size_t n)
{
    r->u = up_get(), r->u->r = r;
    fgw_conn_copy(&r->u->c, head, n);
}

static void free_session(struct fgw_job *j)
{
    struct session *s = fgw_container(j, struct session, dead);
    nghttp2_session_del(s->h2);
    free(s);
}
static void end(struct session *s)
{
    while (fgw_list_first(&s->reqs)) req_free(fgw_container(fgw_list_first(&s->reqs), struct req, link));
    fgw_link_remove(&s->pump.link);
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
static void pump(struct fgw_job *j) { pull(fgw_container(j, struct session, pump)); }
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
    struct req *r = f->hd.stream_id ? nghttp2_session_get_stream_user_data(h2, f->hd.stream_id) : NULL;
    char head[PATH_MAX_N + 64];
    (void)user;
    if (!(f->hd.flags & NGHTTP2_FLAG_END_STREAM) || (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)) return 0;
    if (!body) {
        char *p = memcpy(head, "GET ", 4) + 4;
        p = (char *)memcpy(p, r->path, r->path_n) + r->path_n;
        ask(r, head, (size_t)((char *)memcpy(p, " HTTP/1.1\r\nhost: localhost\r\n\r\n", 30) + 30 - head));
        return 0;
    }
    if (!fields[2].value) fields[2].valuelen = (size_t)snprintf(length, sizeof length, "%zu", body_n), fields[2].value = (uint8_t *)length;
    return nghttp2_submit_response(h2, f->hd.stream_id, fields, FGW_COUNT(fields), &(nghttp2_data_provider){.read_callback = read_body});
}

static int on_begin(nghttp2_session *h2, const nghttp2_frame *f, void *user)
{
    if (!body && f->headers.cat == NGHTTP2_HCAT_REQUEST) nghttp2_session_set_stream_user_data(h2, f->hd.stream_id, req_new(user, f->hd.stream_id));
    return 0;
}
static int on_field(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    struct req *r = body ? NULL : nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
    (void)flags, (void)user;
    if (r && nn == 5 && vn <= PATH_MAX_N && !memcmp(name, ":path", 5)) memcpy(r->path, value, vn), r->path_n = (uint32_t)vn;
    return 0;
}
static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user)
{
    struct req *r = body ? NULL : nghttp2_session_get_stream_user_data(h2, id);
    (void)code, (void)user;
    if (r) req_free(r);
    return 0;
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
        if (!body) ask(req_new(s, 0), p + used, (size_t)(q + 4 - p) - used);
        else fgw_conn_copy(&s->c, head, (size_t)head_n), fgw_conn_copy(&s->c, body, body_n);
        used = (uint32_t)(q + 4 - p);
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
        h2_later(s);
    }
    if (c->eof || (s->h2 && !nghttp2_session_want_read(s->h2) && !nghttp2_session_want_write(s->h2))) fgw_conn_finish(c);
}
static void on_sent(struct fgw_conn *c, uint64_t n)
{
    struct session *s = fgw_container(c, struct session, c);
    (void)n;
    if (s->h2) h2_later(s);
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
    s->stage.done = shaken, s->pump.run = pump;
    fgw_list_init(&s->reqs);
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
    if (argc != 5) return fprintf(stderr, "usage: h2_probe PORT CERT KEY UPSTREAM_PORT|=BYTES\n"), 2;
    if (*argv[4] == '=') body_n = (size_t)net_number(argv[4] + 1, 1, 1 << 24), body = memset(net_alloc(body_n), 'x', body_n);
    else upstream = net_loopback((uint16_t)net_number(argv[4], 1, 65535));
    fgw_slab_init(&reqs, "req", sizeof(struct req));
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
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_field);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
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
