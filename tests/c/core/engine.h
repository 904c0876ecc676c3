/* tests/c/core/engine.h: a whole worker before one scripted origin, all in the test's own thread.
 *
 * Whoever waits for bytes turns the worker meanwhile, at most ROUNDS times, and the test fails after that.
 * The engine's clock stands still but for `passes`. */
#ifndef FGW_TESTS_ENGINE_H
#define FGW_TESTS_ENGINE_H
#include <poll.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "core/mini_snapshot.h"
#include "core/worker.h"
#include "core/stats.h"
#include "upstream/endpoint.h"
#include "test.h"

enum { ROUNDS = 3000 };
#ifndef ENGINE_OWN_ROUTES                /* a test may bring its own, and who runs their hooks */
enum { ENGINE_ROUTES = 11 };
static const struct mini_route ROUTES[ENGINE_ROUTES] = {
    {.prefix = "p"}, {.prefix = "s", .to = FGW_TO_STATIC, .status = 200, .text = "hello"},
    {.prefix = "r", .to = FGW_TO_REDIRECT, .status = 308, .text = "https://example.org"},
    {.prefix = "b", .steps = {FGW_STEP_TEST_BODY}}, {.prefix = "c", .steps = {FGW_STEP_TEST_CALL}}, {.prefix = "small", .body_max = 10},
    {.prefix = "t", .request_ms = 5000},
    {.prefix = "m", .methods = 1u << FGW_M_GET | 1u << FGW_M_PUT}, {.prefix = "x", .strip = 2},
    {.prefix = "idle", .tunnel_idle_ms = 10000, .tunnel_max_ms = 25000}, {.prefix = "old", .request_ms = 1000, .tunnel_max_ms = 20000}};
static const struct fgw_hook_host *const engine_host = NULL;
#endif

struct engine {
    struct fgw_worker *w;
    struct fgw_shm *shm;
    struct mini_snapshot *snap;
    struct fgw_eptable *table;
    struct sockaddr_in front, origin;
    int listener, upstream;              /* listening sockets; upstream -1: closed */
    char got[64 << 10];                  /* what `hear` read last, NUL-ended */
    size_t n;
    bool eof;
};

static uint64_t engine_ms = 5000;
static uint64_t engine_mono(void *ctx) { (void)ctx; return engine_ms * 1000000; }
static uint64_t engine_wall(void *ctx) { (void)ctx; return 1700000000000000000ull + engine_ms * 1000000; }
static const struct fgw_clock_source engine_clock = {engine_mono, engine_wall, NULL};

static inline int engine_listen(struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof *a;
    *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)a, n) || listen(fd, 64) || getsockname(fd, (struct sockaddr *)a, &n)) abort();
    return fd;
}

static inline void engine_start(struct engine *e)
{
    char err[200] = "";
    memset(e, 0, sizeof *e);
    uint64_t fixed = fgw_shm_fixed(1);
    int fd = fgw_shm_create(fixed + (1 << 20), 1, &e->shm);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(e->shm, 0);
    e->listener = engine_listen(&e->front), e->upstream = engine_listen(&e->origin);
    e->table = (struct fgw_eptable *)((char *)e->shm + e->shm->heap_off);
    fgw_eptable_init(e->table, 4);
    struct fgw_endpoint ep = {.slot = 1, .generation = 1, .weight = 1, .healthy = 1, .addr_len = sizeof e->origin, .name = "origin:1"};
    memcpy(ep.addr, &e->origin, sizeof e->origin);
    fgw_eptable_publish(e->table, &ep, 1);
    e->w = fgw_worker_new(&(struct fgw_worker_options){.shm = e->shm, .clock = &engine_clock}, err, sizeof err);
    if (!e->w) abort();
    fgw_worker_host(e->w, engine_host);
    e->snap = mini_new(ROUTES, ENGINE_ROUTES, e->shm->heap_off, 1, FGW_LOG_JSON);
    struct mini_seg *const segs[] = {&e->snap->routes, &e->snap->settings, &e->snap->upstream, &e->snap->root, &e->snap->tls};
    for (int i = 0; i < (e->snap->tls_hash ? 5 : 4); i++)
        if (fgw_worker_segment_add_bytes(e->w, segs[i]->bytes, segs[i]->used, err, sizeof err) < 0) fprintf(stderr, "segment %d: %s\n", i, err), abort();
    struct fgw_snapshot *s = fgw_worker_prepare(e->w, e->snap->root_hash, err, sizeof err);
    if (!s) fprintf(stderr, "prepare: %s\n", err), abort();
    fgw_worker_commit(e->w, s);
    if (fgw_worker_listen(e->w, 1, 1, e->listener, false, err, sizeof err) < 0) fprintf(stderr, "listen: %s\n", err), abort();
}

static inline void engine_stop(struct engine *e)
{
    fgw_worker_free(e->w);               /* debug builds demand that nothing is left */
    fgw_shm_unmap(e->shm);
    close(e->listener);
    if (e->upstream >= 0) close(e->upstream);
    free(e->snap);
}

static inline void turn(struct engine *e, int times) { for (int i = 0; i < times; i++) fgw_worker_wait(e->w, i & 1); }

static inline void passes(struct engine *e, uint64_t ms) { engine_ms += ms; turn(e, 4); }

/* The access log's lines so far, NUL-ended, in e->got. */
static inline void lines(struct engine *e)
{
    e->n = fgw_ring_read(fgw_stats_log(e->shm, 0), e->got, sizeof e->got - 1);
    e->got[e->n] = 0;
}
static inline struct fgw_live live(struct engine *e)
{
    struct fgw_live l;
    fgw_worker_live(e->w, &l);
    return l;
}
static inline void reset(int fd)
{
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(fd);
}

static inline int client(struct engine *e)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&e->front, sizeof e->front)) abort();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Timers of a clock that is told are always due to the kernel, so no wait waits: a crowded machine is given time to deliver. */
static inline void round_over(struct engine *e, int round)
{
    fgw_worker_wait(e->w, 1);
    if (round > 100) poll(NULL, 0, 1);
}

/* The origin's next connection; -1 and a failed test: none came. */
static inline int origin(struct engine *e)
{
    for (int i = 0; i < ROUNDS; i++) {
        int fd = accept4(e->upstream, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) return fd;
        round_over(e, i);
    }
    OK(!"a connection to the origin");
    return -1;
}
static inline bool origin_idle(struct engine *e)
{
    turn(e, 20);
    int fd = accept4(e->upstream, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static inline void say_n(struct engine *e, int fd, const char *p, size_t n)
{
    for (int i = 0; n && i < ROUNDS; i++) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r > 0) p += r, n -= (size_t)r;
        else if (errno != EAGAIN) break;
        fgw_worker_wait(e->w, n ? 1 : 0);
    }
    OK(n == 0);
}
static inline void say(struct engine *e, int fd, const char *text) { say_n(e, fd, text, strlen(text)); }

/* Read until `until` has come (NULL: the end). What came is in e->got. */
static inline bool hear(struct engine *e, int fd, const char *until)
{
    e->n = 0, e->eof = false, e->got[0] = 0;
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t r = recv(fd, e->got + e->n, sizeof e->got - 1 - e->n, 0);
        if (r > 0) e->n += (size_t)r, e->got[e->n] = 0;
        if (until && strstr(e->got, until)) return true;
        if (r == 0 || (r < 0 && errno != EAGAIN)) return e->eof = true, until == NULL;
        if (r < 0) round_over(e, i);
    }
    return false;
}
#define HEAR(e, fd, until) \
 \
        do { if (!hear((e), (fd), (until))) test_failures_++, fprintf(stderr, "%s:%d: did not hear %s, but \"%s\"\n", __FILE__, __LINE__, #until, (e)->got); \
        } while (0)
#define GOT(e, what) \
 \
        do { if (!strstr((e)->got, what)) test_failures_++, fprintf(stderr, "%s:%d: no %s in \"%s\"\n", __FILE__, __LINE__, #what, (e)->got); \
        } while (0)
#define GOT_NO(e, what) OK(!strstr((e)->got, what))

/* A plain exchange over client c; o < 0: a new upstream connection, else that one. Returns the origin's connection. */
static inline int plain(struct engine *e, int c, int o)
{
    say(e, c, "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n");
    if (o < 0) o = origin(e);
    HEAR(e, o, "\r\n\r\n");
    say(e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(e, c, "\r\n\r\nok");
    return o;
}

#endif
