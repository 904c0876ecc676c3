#include "core/snapshot.c"
#include "core/engine.h"

TEST(networks_are_compared_by_their_bits)
{
    const struct fgw_l_cidr v4 = {.lo = 0xffff0a000000, .bits = 104}, all = {.bits = 0};
    OK(inside(&v4, 0, 0xffff0a010203));
    OK(!inside(&v4, 0, 0xffff0b010203));
    OK(inside(&all, 1, 2));
}

TEST(a_root_that_was_not_added_is_refused)
{
    struct engine e;
    char err[100] = "";
    engine_start(&e);
    OK(!fgw_worker_prepare(e.w, 12345, err, sizeof err));
    OK(err[0] != 0);
    engine_stop(&e);
}

/* Another generation of the same configuration; its routes from the first `n` of `r`. */
static struct fgw_snapshot *prepared(struct engine *e, const struct mini_route *r, uint32_t n, uint64_t generation, struct mini_snapshot **keep)
{
    char err[200] = "";
    struct mini_snapshot *s = *keep = mini_new(r, n, e->shm->heap_off, generation, FGW_LOG_JSON);
    struct mini_seg *const segs[] = {&s->routes, &s->settings, &s->upstream, &s->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e->w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    struct fgw_snapshot *p = fgw_worker_prepare(e->w, s->root_hash, err, sizeof err);
    if (!p) fprintf(stderr, "%s\n", err);
    OK(p != NULL);
    return p;
}

TEST(a_prepared_snapshot_changes_nothing_and_may_be_discarded)
{
    struct engine e;
    struct mini_snapshot *keep;
    engine_start(&e);
    struct fgw_live before = live(&e);
    struct fgw_snapshot *s = prepared(&e, ROUTES, 2, 2, &keep);
    EQ(fgw_worker_generation(e.w), 1);
    EQ(live(&e).snapshots, 2);
    EQ(live(&e).pools, 1);               /* the same upstream's pool, not another */
    fgw_worker_discard(e.w, s);
    EQ(live(&e).snapshots, 1);
    int c = client(&e);
    say(&e, c, "GET /r/x HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "HTTP/1.1 308 ");
    close(c);
    EQ(live(&e).pools, before.pools);
    free(keep);
    engine_stop(&e);
}

TEST(a_commit_swaps_routes_and_keeps_connections_and_what_is_in_flight)
{
    struct engine e;
    struct mini_snapshot *keep;
    engine_start(&e);
    int c = client(&e), d = client(&e), o = plain(&e, c, -1);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    fgw_worker_commit(e.w, prepared(&e, ROUTES, 2, 2, &keep));
    EQ(fgw_worker_generation(e.w), 2);
    EQ(live(&e).snapshots, 2);           /* the request in flight keeps the old one */
    say(&e, d, "GET /r/x HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, d, "\"status\":404");
    say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    EQ(live(&e).snapshots, 1);
    plain(&e, c, o);                     /* both its connections live on */
    EQ(live(&e).segments, 4);            /* what the old one alone had named is gone */
    close(c), close(d), close(o);
    free(keep);
    engine_stop(&e);
}

TEST(a_tunnel_does_not_hold_a_snapshot)
{
    struct engine e;
    struct mini_snapshot *keep;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    fgw_worker_commit(e.w, prepared(&e, ROUTES, 2, 2, &keep));
    EQ(live(&e).snapshots, 1);
    say(&e, c, "ping");
    HEAR(&e, o, "ping");
    close(c), close(o);
    free(keep);
    engine_stop(&e);
}

/* A configuration that does not know the upstream any more. */
static struct fgw_snapshot *without(struct engine *e, struct mini_snapshot **keep)
{
    mini_up = 2;
    struct fgw_snapshot *s = prepared(e, ROUTES, 2, 2, keep);
    mini_up = 1;
    return s;
}

TEST(a_tunnel_outlives_its_upstreams_name)
{
    struct engine e;
    struct mini_snapshot *keep;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    HEAR(&e, c, "\r\n\r\n");
    fgw_worker_commit(e.w, without(&e, &keep));
    say(&e, c, "ping");
    HEAR(&e, o, "ping");
    close(c), close(o);
    turn(&e, 8);
    EQ(live(&e).pools, 1);
    lines(&e);
    GOT(&e, "\"upstream\":\"up\"");
    free(keep);
    engine_stop(&e);
}

/* A stream of a call may go on for days; what a new configuration has no use for must not wait for it. */
TEST(a_call_whose_answer_has_begun_lets_go_of_the_old_snapshot)
{
    struct engine e;
    struct mini_snapshot *keep;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /p/M?a=b HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    int o = origin(&e), d = client(&e);
    HEAR(&e, o, "1\r\na\r\n");
    say(&e, d, "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");      /* a body filter reads its settings */
    int q = origin(&e);
    HEAR(&e, q, "a");
    say(&e, q, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    HEAR(&e, d, "X");
    fgw_worker_commit(e.w, prepared(&e, ROUTES, 2, 2, &keep));
    EQ(live(&e).snapshots, 2);                         /* its answer has not begun: a retry would need it */
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    HEAR(&e, c, "x\r\n");
    say(&e, q, "0\r\n\r\n");
    HEAR(&e, d, "0\r\n\r\n");
    free(keep);
    fgw_worker_commit(e.w, without(&e, &keep));
    EQ(live(&e).snapshots, 1);
    say(&e, c, "1\r\nb\r\n0\r\n\r\n");
    HEAR(&e, o, "0\r\n\r\n");
    say(&e, o, "1\r\ny\r\n0\r\ngrpc-status: 0\r\n\r\n");
    HEAR(&e, c, "grpc-status: 0\r\n\r\n");
    close(c), close(d), close(o), close(q);
    turn(&e, 8);
    lines(&e);
    GOT(&e, "\"target\":\"/p/M?a=b\"");
    GOT(&e, "\"route\":\"p\",\"listener\":\"front\",\"upstream\":\"up\"");
    GOT(&e, "\"user_agent\":\"me\"");
    GOT(&e, "\"grpc_status\":0");
    free(keep);
    engine_stop(&e);
}

static const struct mini_route WITH_REGEX[] = {
    {.prefix = "s", .to = FGW_TO_STATIC, .status = 200, .text = "hello"},
    {.prefix = "slow", .regex = "/(a+)+", .to = FGW_TO_STATIC, .status = 200, .text = "slow"},
    {.prefix = "any", .regex = "/s?[a-z]*[!]*", .to = FGW_TO_STATIC, .status = 200, .text = "other"}};

TEST(regexes_are_compiled_in_slices_and_what_takes_too_long_is_told_once)
{
    struct engine e;
    char err[200] = "", path[6000];
    engine_start(&e);
    struct mini_snapshot *s = mini_new(WITH_REGEX, 3, e.shm->heap_off, 2, FGW_LOG_JSON);
    ((struct fgw_l_root *)fgw_l_body(s->root.bytes))->error_level = 2;
    s->root_hash = mini_end(&s->root, FGW_SEG_ROOT);
    struct mini_seg *const segs[] = {&s->routes, &s->settings, &s->upstream, &s->root};
    EQ(fgw_worker_compile(e.w, 9), 0);
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    EQ(fgw_worker_compile(e.w, 1), 1);
    struct fgw_snapshot *p = fgw_worker_prepare(e.w, s->root_hash, err, sizeof err);     /* the rest, when nobody waited */
    OK(p != NULL);
    EQ(fgw_worker_compile(e.w, 1), 0);
    fgw_worker_commit(e.w, p);
    int c = client(&e);
    say(&e, c, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n"); HEAR(&e, c, "hello");
    say(&e, c, "GET /aaa HTTP/1.1\r\nHost: a\r\n\r\n"); HEAR(&e, c, "slow");
    say(&e, c, "GET /sx HTTP/1.1\r\nHost: a\r\n\r\n"); HEAR(&e, c, "other");
    memset(path, 'a', sizeof path);
    strcpy(path + sizeof path - 30, "! HTTP/1.1\r\nHost: a\r\n\r\n");
    memcpy(path, "GET /", 5);
    for (int i = 0; i < 3; i++) { say(&e, c, path); HEAR(&e, c, "other"); }
    struct fgw_stats_total total;
    fgw_stats_total(e.shm, e.w->snap->bound[0].slots[1], &total);
    EQ(total.regex_given_up, 3);
    fgw_stats_total(e.shm, e.w->snap->bound[0].slots[2], &total);
    EQ(total.regex_given_up, 0);
    e.n = fgw_ring_read(fgw_stats_error_log(e.shm, 0), e.got, sizeof e.got - 1), e.got[e.n] = 0;
    GOT(&e, "worker 0: route slow: its regex takes too many steps");
    char *first = strstr(e.got, "its regex");
    OK(first && !strstr(first + 1, "its regex"));
    close(c);
    free(s);
    engine_stop(&e);
}

TEST(a_regex_that_does_not_compile_is_refused)
{
    struct engine e;
    char err[200] = "";
    engine_start(&e);
    struct mini_route bad[] = {WITH_REGEX[0], WITH_REGEX[1]};
    bad[1].regex = "/(a";
    struct mini_snapshot *s = mini_new(bad, 2, e.shm->heap_off, 2, FGW_LOG_JSON);
    struct mini_seg *const segs[] = {&s->routes, &s->settings, &s->upstream, &s->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    EQ(fgw_worker_compile(e.w, 9), 0);
    OK(!fgw_worker_prepare(e.w, s->root_hash, err, sizeof err));
    OK(strstr(err, "route slow: its regex is refused: missing closing parenthesis") != NULL);
    EQ(live(&e).snapshots, 1);
    free(s);
    engine_stop(&e);
}

TEST(a_root_whose_parts_are_missing_is_refused)
{
    struct engine e;
    char err[200] = "";
    engine_start(&e);
    struct mini_snapshot *s = mini_new(ROUTES, 3, e.shm->heap_off, 3, FGW_LOG_JSON);
    EQ(fgw_worker_segment_add_bytes(e.w, s->root.bytes, s->root.used, err, sizeof err), 0);
    OK(!fgw_worker_prepare(e.w, s->root_hash, err, sizeof err));
    OK(err[0] != 0);
    EQ(live(&e).snapshots, 1);
    s->routes.bytes[s->routes.used - 1] ^= 1;                /* damaged on its way */
    err[0] = 0;
    EQ(fgw_worker_segment_add_bytes(e.w, s->routes.bytes, s->routes.used, err, sizeof err), -1);
    OK(strstr(err, "bad segment") != NULL);
    EQ(fgw_worker_segment_add_bytes(e.w, s->settings.bytes, 3, err, sizeof err), -1);
    OK(fgw_worker_segment_has(e.w, s->settings_hash) && !fgw_worker_segment_has(e.w, s->routes_hash));
    free(s);
    engine_stop(&e);
}

/* Between a segment and the snapshot that names it, an older snapshot may end. */
TEST(what_was_added_is_kept_until_it_is_asked_for)
{
    struct engine e;
    struct fgw_live live;
    char err[200] = "";
    engine_start(&e);
    struct mini_snapshot *next = mini_new(ROUTES, ENGINE_ROUTES, e.shm->heap_off, 2, FGW_LOG_OFF);
    OK(next->root_hash != e.snap->root_hash);
    struct mini_seg *const segs[] = {&next->routes, &next->settings, &next->upstream, &next->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, err, sizeof err), 0);
    fgw_segments_sweep(e.w);
    struct fgw_snapshot *s = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    OK(s != NULL);
    struct fgw_snapshot *again = fgw_worker_prepare(e.w, next->root_hash, err, sizeof err);
    fgw_worker_discard(e.w, s);
    OK(again != NULL);
    fgw_worker_commit(e.w, again);
    EQ(fgw_worker_generation(e.w), 2);
    fgw_worker_live(e.w, &live);
    EQ(live.segments, 4);                              /* the first root is gone, what both name is there once */
    free(next);
    engine_stop(&e);
}

TEST_MAIN()
