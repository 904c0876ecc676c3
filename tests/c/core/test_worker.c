#include "core/worker.c"
#include "core/engine.h"

TEST(a_drain_lets_the_request_in_flight_end)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    fgw_worker_drain(e.w, 60000, true);
    OK(!fgw_worker_drained(e.w));
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    GOT(&e, "Connection: close\r\n");
    close(c), close(o);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(a_drain_closes_what_is_idle_takes_nobody_and_cuts_at_its_deadline)
{
    struct engine e;
    engine_start(&e);
    int idle = client(&e), c = client(&e), o = plain(&e, idle, -1);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    fgw_worker_drain(e.w, 5000, true);
    passes(&e, 200);                     /* for a request that is on its way */
    HEAR(&e, idle, NULL);
    passes(&e, 4799);
    EQ(live(&e).exchanges, 1);
    passes(&e, 1);
    HEAR(&e, c, NULL);
    OK(fgw_worker_drained(e.w));
    int late = client(&e);               /* the supervisor's socket still listens; nobody here takes from it */
    turn(&e, 10);
    EQ(live(&e).conns, 0);
    close(late), close(idle), close(c), close(o);
    engine_stop(&e);
}

TEST(listening_refuses_what_it_cannot_serve)
{
    struct engine e;
    struct sockaddr_in a;
    char err[200] = "";
    engine_start(&e);
    int other = engine_listen(&a), plain_socket = socket(AF_INET, SOCK_STREAM, 0);
    EQ(fgw_worker_listen(e.w, 9, 2, other, false, err, sizeof err), -1);
    OK(strstr(err, "no committed snapshot") != NULL);
    EQ(fgw_worker_listen(e.w, 1, 1, other, false, err, sizeof err), -1);
    OK(strstr(err, "already") != NULL);
    EQ(fgw_worker_listen(e.w, 1, 2, plain_socket, false, err, sizeof err), -1);
    OK(strstr(err, "does not listen") != NULL);
    EQ(fgw_worker_unlisten(e.w, 2), -1);
    EQ(fgw_worker_listen(e.w, 1, 2, other, false, err, sizeof err), 0);          /* a second socket of the same listener */
    close(other);                        /* it was dup'ed */
    e.front = a;
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    EQ(fgw_worker_unlisten(e.w, 2), 0);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");        /* connections stay */
    HEAR(&e, c, "hello");
    EQ(fgw_worker_unlisten(e.w, 1), 0);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    close(c), close(plain_socket);
    turn(&e, 10);
    EQ(live(&e).conns, 0);
    engine_stop(&e);
}

TEST(more_connections_than_allowed_are_told_to_come_again)
{
    struct engine e;
    int c[1001];
    engine_start(&e);
    for (int i = 0; i < 1001; i++) c[i] = client(&e), turn(&e, 2);
    HEAR(&e, c[1000], NULL);
    GOT(&e, "HTTP/1.1 503 ");
    GOT(&e, "retry-after: 1\r\n");
    say(&e, c[0], "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c[0], "hello");
    const struct fgw_gauges *g = fgw_stats_gauges(e.shm, 0);
    EQ(g->connections, 1000);
    EQ(g->accepted, 1001);
    EQ(g->refused, 1);
    for (int i = 0; i < 1001; i++) close(c[i]);
    turn(&e, 50);
    EQ(g->connections, 0);
    engine_stop(&e);
}

TEST(refused_requests_are_logged_and_counted_apart_from_routes)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "nonsense\r\n\r\n");
    HEAR(&e, c, "\"status\":");
    lines(&e);
    GOT(&e, "\"listener\":\"front\"");
    GOT(&e, "\"client\":\"127.0.0.1\"");
    OK(e.n > 0);
    close(c);
    engine_stop(&e);
}

TEST(an_error_line_names_time_level_and_worker)
{
    struct engine e;
    engine_start(&e);
    fgw_worker_report(e.w, 2, "not heard");
    fgw_worker_report(e.w, 3, "heard %d", 7);
    e.n = fgw_ring_read(fgw_stats_error_log(e.shm, 0), e.got, sizeof e.got - 1), e.got[e.n] = 0;
    GOT(&e, "Z error worker 0: heard 7\n");
    GOT_NO(&e, "not heard");
    char lengthy[2000];
    memset(lengthy, 'x', sizeof lengthy), lengthy[sizeof lengthy - 1] = 0;
    fgw_worker_report(e.w, 3, "%s", lengthy);
    e.n = fgw_ring_read(fgw_stats_error_log(e.shm, 0), e.got, sizeof e.got - 1);
    OK(e.n > 100 && e.n <= 512 && e.got[e.n - 1] == '\n');
    engine_stop(&e);
}

TEST(requests_that_wait_count_towards_its_memory)
{
    struct engine e;
    engine_start(&e);                                  /* 256 MiB */
    struct fgw_slab *const of[] = {&e.w->exchanges, &e.w->h1.msgs, &e.w->h2.streams};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        uint64_t most = (256ull << 20) / of[i]->size;
        of[i]->live += most / 10 * 8;
        OK(!fgw_worker_overloaded(e.w));
        of[i]->live += most / 10 * 2;
        OK(fgw_worker_overloaded(e.w));
        of[i]->live -= most / 10 * 8 + most / 10 * 2;
    }
    e.w->h2.memory.bytes += 250 << 20;
    OK(fgw_worker_overloaded(e.w));
    e.w->h2.memory.bytes -= 250 << 20;
    OK(!fgw_worker_overloaded(e.w));
    engine_stop(&e);
}

TEST(at_90_percent_of_its_memory_it_is_overloaded)
{
    struct engine e;
    struct fgw_block *b[15];
    engine_start(&e);                                  /* 256 MiB */
    for (int i = 0; i < 14; i++) b[i] = fgw_block_get(&e.w->loop.blocks, FGW_BLOCK_MAX);
    OK(!fgw_worker_overloaded(e.w));
    b[14] = fgw_block_get(&e.w->loop.blocks, FGW_BLOCK_MAX);
    OK(fgw_worker_overloaded(e.w));
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":503");
    for (int i = 0; i < 15; i++) fgw_block_unref(b[i]);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    close(c);
    engine_stop(&e);
}

#if defined __SANITIZE_ADDRESS__ || (defined __has_feature && __has_feature(address_sanitizer))
#define COUNTS_MALLOC 1
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
static uint64_t mallocs, frees;
static void on_malloc(const volatile void *p, size_t n) { (void)p, (void)n, mallocs++; }
static void on_free(const volatile void *p) { (void)p, frees++; }
#endif

/* A request and its answer, on connections that are kept. */
static bool exchanged(struct engine *e, int c, int o)
{
    static const char ask[] = "GET /p?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    return send(c, ask, sizeof ask - 1, 0) > 0 && hear(e, o, "\r\n\r\n") && send(o, answer, sizeof answer - 1, 0) > 0 && hear(e, c, "hello");
}

TEST(a_hundred_thousand_requests_allocate_nothing)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 204 No Content\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    int done = 0;
    while (done < 100 && exchanged(&e, c, o)) done++;  /* warm */
    struct fgw_live before = live(&e);
#ifdef COUNTS_MALLOC
    OK(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
    void *volatile one = malloc(1);
    free(one);
    OK(mallocs == 1 && frees == 1);
    mallocs = frees = 0;
#endif
    for (done = 0; done < 100000 && exchanged(&e, c, o); done++)
        if (done % 5000 == 4999) close(c), c = client(&e);   /* before it has had its 10,000 */
    EQ(done, 100000);
#ifdef COUNTS_MALLOC
    EQ(mallocs, 0);
    EQ(frees, 0);
#endif
    struct fgw_live after = live(&e);
    EQ(after.mallocs, before.mallocs);
    EQ(after.blocks, before.blocks);
    close(c), close(o);
    engine_stop(&e);
}

TEST(no_more_fields_are_taken_than_a_message_has_room_for)
{
    static const struct fgw_l_settings set = {.fields_max = 4096, .trailer_fields = 4096};
    const struct fgw_bound b = {.set = &set};
    struct fgw_listener l = {0};
    listener_apply(&l, &b);
    EQ(l.limits.head.max_fields, FGW_FIELDS_MAX);
    EQ(l.limits.body.trailer_fields, FGW_FIELDS_MAX);
}

TEST_MAIN()
