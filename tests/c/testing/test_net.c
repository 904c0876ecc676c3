#include "testing/net.c"
#include "core/mini_snapshot.h"
#include "test.h"
#include <unistd.h>

static const struct mini_route ROUTES[] = {
    {.prefix = "p"}, {.prefix = "s", .to = FGW_TO_STATIC, .status = 200, .text = "hello"}, {.prefix = "t", .request_ms = 5000}};
static const char GET[] = "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n", STATIC[] = "GET /s HTTP/1.1\r\nHost: a\r\n\r\n";

struct bench { struct fgw_net *n; struct fgw_worker *w; struct fgw_shm *shm; struct mini_snapshot *snap; char got[4096]; };

static void start(struct bench *b)
{
    char err[200] = "";
    int fd = fgw_shm_create(fgw_shm_fixed(1) + (1 << 20), 1, &b->shm);
    if (fd < 0) abort();
    close(fd);
    fgw_shm_use(b->shm, 0);
    struct fgw_eptable *t = (struct fgw_eptable *)((char *)b->shm + b->shm->heap_off);
    struct fgw_endpoint ep[2] = {{.slot = 0, .generation = 1, .weight = 1, .healthy = 1, .addr_len = 16, .name = "one:1"},
                                 {.slot = 1, .generation = 1, .weight = 1, .healthy = 1, .addr_len = 16, .name = "two:1"}};
    fgw_eptable_init(t, 4);
    fgw_eptable_publish(t, ep, 2);
    b->n = fgw_net_new(1700000000000000000ull);
    b->w = fgw_worker_new(&(struct fgw_worker_options){.shm = b->shm, .clock = fgw_net_clock(b->n)}, err, sizeof err);
    if (!b->w) abort();
    fgw_net_attach(b->n, b->w);
    b->snap = mini_new(ROUTES, FGW_COUNT(ROUTES), b->shm->heap_off, 1, FGW_LOG_JSON);
    struct mini_seg *const segs[] = {&b->snap->routes, &b->snap->settings, &b->snap->upstream, &b->snap->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(b->w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    struct fgw_snapshot *s = fgw_worker_prepare(b->w, b->snap->root_hash, err, sizeof err);
    if (!s) fprintf(stderr, "%s\n", err), abort();
    fgw_net_adopt(b->n);
    OK(fgw_net_listen(b->n, 1) && fgw_net_listen(b->n, 1));
    fgw_worker_commit(b->w, s);
    fgw_net_adopt(b->n);
}

static void stop(struct bench *b)
{
    struct fgw_live live;
    for (struct fgw_link *k = b->n->pipes.next; k != &b->n->pipes; k = k->next) fgw_pipe_reset(fgw_container(k, struct fgw_pipe, link));
    OK(fgw_net_run(b->n));
    fgw_worker_live(b->w, &live);
    EQ(live.conns + live.exchanges + live.tries + live.h1_servers + live.h1_clients + live.timers + live.buf_nodes, 0);
    fgw_worker_free(b->w);
    fgw_net_free(b->n);
    fgw_shm_unmap(b->shm);
    free(b->snap);
}

static struct fgw_pipe *client(struct bench *b) { return fgw_net_connect(b->n, 1, "192.0.2.1", 4000); }

static const char *hear(struct bench *b, struct fgw_pipe *p)
{
    OK(fgw_net_run(b->n));
    b->got[fgw_pipe_read(p, b->got, sizeof b->got - 1)] = 0;
    return b->got;
}
static void say(struct fgw_pipe *p, const char *text) { OK(fgw_pipe_write(p, text, strlen(text))); }
#define HEARS(b, p, text) OK(strstr(hear(b, p), text) != NULL)

TEST(a_request_goes_through)
{
    struct bench b;
    start(&b);
    struct fgw_pipe *c = client(&b);
    say(c, GET);
    OK(fgw_net_run(b.n));
    EQ(fgw_net_waiting(b.n, "up"), 1);
    struct fgw_pipe *o = fgw_net_accept(b.n, "up");
    OK(o && !fgw_net_accept(b.n, "up"));
    EQ(fgw_net_waiting(b.n, ""), 0);
    OK(strcmp(fgw_pipe_endpoint(o), "one:1") == 0 || strcmp(fgw_pipe_endpoint(o), "two:1") == 0);
    EQ(strcmp(fgw_pipe_endpoint(c), ""), 0);
    HEARS(&b, o, "GET /p/x HTTP/1.1\r\n");
    OK(strstr(b.got, "X-Forwarded-For: 192.0.2.1\r\n"));
    say(o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEARS(&b, c, "\r\n\r\nok");
    EQ(fgw_pipe_is(c), 0);
    EQ(fgw_pipe_unread(c) + fgw_pipe_untaken(o), 0);
    OK(fgw_net_moved(b.n) > 100);
    OK(fgw_net_log(b.n, false, b.got, sizeof b.got) > 0 && strstr(b.got, "\"status\":200"));
    stop(&b);
}

TEST(the_end_and_a_reset_are_seen_on_both_sides)
{
    struct bench b;
    start(&b);
    struct fgw_pipe *c = client(&b), *d = client(&b);
    fgw_pipe_end(c), fgw_pipe_reset(d);
    OK(fgw_net_run(b.n));
    OK(fgw_pipe_is(c) & FGW_PIPE_CLOSED && fgw_pipe_is(d) & FGW_PIPE_CLOSED && fgw_pipe_is(c) & FGW_PIPE_ENDED);
    say(c, "into nothing");
    EQ(fgw_pipe_untaken(c), 0);
    stop(&b);
}

TEST(a_peer_that_does_not_take_its_answer)
{
    struct bench b;
    start(&b);
    struct fgw_pipe *c = client(&b);
    fgw_pipe_room(c, 0);
    c->room = 10;
    say(c, STATIC);
    OK(fgw_net_run(b.n));
    EQ(fgw_pipe_unread(c), 10);
    fgw_pipe_room(c, 5);
    OK(fgw_net_run(b.n));
    EQ(fgw_pipe_unread(c), 15);
    fgw_pipe_room(c, SIZE_MAX);
    HEARS(&b, c, "hello");
    stop(&b);
}

TEST(dials_go_as_told)
{
    struct bench b;
    start(&b);
    struct fgw_pipe *c = client(&b);
    OK(fgw_net_dials(b.n, "up", "", FGW_NET_REFUSED));
    say(c, GET);
    HEARS(&b, c, "HTTP/1.1 502 ");
    OK(fgw_net_log(b.n, false, b.got, sizeof b.got) > 0 && strstr(b.got, "connect_refused"));
    fgw_worker_report(b.w, 3, "a line");
    OK(fgw_net_log(b.n, true, b.got, sizeof b.got) > 0 && strstr(b.got, "worker 0: a line\n"));
    OK(fgw_net_dials(b.n, "up", "one:1", FGW_NET_OPENS) && fgw_net_dials(b.n, "up", "two:1", FGW_NET_OPENS));
    OK(fgw_net_dials(b.n, "other", "", FGW_NET_HANGS));
    say(c, GET);
    OK(fgw_net_run(b.n));
    EQ(fgw_net_waiting(b.n, "up"), 1);
    stop(&b);
    EQ(strcmp(fgw_net_dial_name(FGW_NET_HANGS), "hangs"), 0);
}

TEST(a_connect_that_hangs_comes_through_or_not_or_is_given_up)
{
    struct bench b;
    start(&b);
    OK(fgw_net_dials(b.n, "up", "", FGW_NET_HANGS));
    struct fgw_pipe *c = client(&b);
    say(c, GET);
    OK(fgw_net_run(b.n));
    struct fgw_pipe *o = fgw_net_accept(b.n, "up");
    EQ(fgw_pipe_is(o), FGW_PIPE_CONNECTING);
    fgw_pipe_answer(o, false);
    OK(fgw_net_run(b.n));
    EQ(fgw_pipe_is(o) & FGW_PIPE_CLOSED, FGW_PIPE_CLOSED);
    o = fgw_net_accept(b.n, "up");                     /* the other endpoint is tried */
    fgw_pipe_answer(o, true);
    HEARS(&b, o, "GET /p/x");
    EQ(fgw_pipe_is(o), 0);
    say(o, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    HEARS(&b, c, " 204 ");
    say(c, GET);
    OK(fgw_net_pass(b.n, 1999));
    o = fgw_net_accept(b.n, "up");
    EQ(fgw_pipe_is(o), FGW_PIPE_CONNECTING);
    OK(fgw_net_pass(b.n, 1));
    OK(fgw_pipe_is(o) & FGW_PIPE_CLOSED);
    o = fgw_net_accept(b.n, "up");
    fgw_pipe_answer(o, true);
    HEARS(&b, o, "GET /p/x");
    stop(&b);
}

TEST(time_passes_timer_by_timer)
{
    struct bench b;
    start(&b);
    EQ(fgw_net_next(b.n), UINT64_MAX);
    struct fgw_pipe *c = client(&b);
    say(c, "GET /t HTTP/1.1\r\nHost: a\r\n\r\n");
    OK(fgw_net_run(b.n));
    struct fgw_pipe *o = fgw_net_accept(b.n, "up");
    OK(fgw_net_next(b.n) >= 1 && fgw_net_next(b.n) <= 5000);
    OK(fgw_net_pass(b.n, 4999));
    EQ(fgw_net_next(b.n), 1);
    EQ(fgw_pipe_unread(c), 0);
    OK(fgw_net_pass(b.n, 1));
    EQ(fgw_net_now(b.n), 5000);
    HEARS(&b, c, " 504 ");
    OK(fgw_pipe_is(o) & FGW_PIPE_CLOSED);
    stop(&b);
}

TEST(who_is_refused)
{
    struct bench b;
    start(&b);
    OK(!fgw_net_connect(b.n, 7, "192.0.2.1", 1));
    struct fgw_pipe *u = fgw_net_connect(b.n, 1, "/run/x.sock", 1);
    say(u, STATIC);
    HEARS(&b, u, "hello");
    fgw_worker_drain(b.w, 100, true);
    OK(!client(&b));
    OK(fgw_net_pass(b.n, 200));
    OK(fgw_worker_drained(b.w));
    stop(&b);
}

TEST(what_both_have_let_go_of_is_freed)
{
    struct bench b;
    start(&b);
    for (int i = 0; i < 3; i++) {
        struct fgw_pipe *c = client(&b);
        say(c, STATIC);
        HEARS(&b, c, "hello");
        fgw_pipe_end(c);
        fgw_pipe_release(c);
        OK(fgw_net_run(b.n));
        OK(fgw_list_empty(&b.n->pipes));
    }
    stop(&b);
}

TEST_MAIN()
