/* Calls of gRPC, as the exchange sees them: the protocol that carries them does not matter, so these come by HTTP/1. */
#include "core/mini_snapshot.h"
#include "policy/hook.h"

#define ENGINE_OWN_ROUTES 1
enum { ENGINE_ROUTES = 5, COUNTED = 40 };
static const struct mini_route ROUTES[ENGINE_ROUTES] = {
    {.prefix = "p", .grpc_slot = COUNTED}, {.prefix = "s", .to = FGW_TO_STATIC, .status = 403, .text = "no entry: 100%\n"},
    {.prefix = "r", .to = FGW_TO_REDIRECT, .status = 308, .text = "https://example.org"}, {.prefix = "small", .body_max = 10},
    {.prefix = "t", .request_ms = 5000, .grpc_slot = COUNTED}};
static const struct fgw_hook_host *const engine_host = NULL;

#include "core/grpc.c"
#include "core/engine.h"

#define CALL(path, more) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nTE: trailers\r\n" more
#define EMPTY "Content-Length: 0\r\n\r\n"

static uint64_t counted(struct engine *e, enum fgw_grpc_code c) { return atomic_load(&fgw_grpc_cell(e->shm, 0, COUNTED)->calls[c]); }

/* One call that the gateway answers itself. */
static void refused(struct engine *e, const char *request, const char *status, const char *message)
{
    int c = client(e);
    char want[200];
    say(e, c, request);
    hear(e, c, "\r\n\r\n");
    GOT(e, "HTTP/1.1 200 OK\r\n");
    GOT(e, "content-type: application/grpc\r\n");
    snprintf(want, sizeof want, "grpc-status: %s\r\n", status), OK(strstr(e->got, want) != NULL);
    snprintf(want, sizeof want, "grpc-message: %s\r\n", message), OK(strstr(e->got, want) != NULL);
    GOT(e, "Content-Length: 0\r\n");
    GOT_NO(e, "problem");
    close(c);
    turn(e, 4);
}

TEST(our_own_answers_are_all_status)
{
    struct engine e;
    engine_start(&e);
    refused(&e, CALL("/none", EMPTY), "12", "no route matches this request");
    refused(&e, CALL("/s/M", EMPTY), "7", "no entry: 100%25");
    refused(&e, CALL("/r/M", EMPTY), "2", "Permanent Redirect");
    refused(&e, CALL("/small/M", "Content-Length: 11\r\n\r\n"), "8", "the body is longer than allowed");
    refused(&e, CALL("/p/M", "Host: b\r\n" EMPTY), "13", "the Host field is missing, repeated or malformed");
    lines(&e);
    GOT(&e, "\"status\":200,\"grpc_status\":12");
    GOT(&e, "\"reason\":\"no_route\"");
    engine_stop(&e);
}

TEST(others_are_answered_as_ever)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "POST /none HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n" EMPTY);
    HEAR(&e, c, "no_route\"}\n");
    GOT(&e, "HTTP/1.1 404 ");
    close(c);
    turn(&e, 4);
    lines(&e);
    GOT_NO(&e, "grpc_status");
    engine_stop(&e);
}

/* What the upstream said, wherever it said it. */
static void upstream_says(const char *reply, const char *last, enum fgw_grpc_code code)
{
    struct engine e;
    char want[64];
    engine_start(&e);
    int c = client(&e);
    say(&e, c, CALL("/p/M", EMPTY));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, reply);
    hear(&e, c, last);
    close(c), close(o);
    turn(&e, 8);
    lines(&e);
    snprintf(want, sizeof want, "\"grpc_status\":%d,", code), OK(strstr(e.got, want) != NULL);
    EQ(counted(&e, code), 1);
    engine_stop(&e);
}

TEST(the_status_of_an_upstream)
{
    upstream_says("HTTP/1.1 200 OK\r\nGrpc-Status: 5\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n", FGW_GRPC_NOT_FOUND);
    upstream_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n", "grpc-status: 0\r\n\r\n", FGW_GRPC_OK);
    upstream_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: 99\r\n\r\n", "\r\n\r\n", FGW_GRPC_UNKNOWN);
    upstream_says("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n", FGW_GRPC_UNAVAILABLE);   /* none: what a client makes of it */
    upstream_says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n", FGW_GRPC_UNKNOWN);
}

TEST(an_upstream_that_breaks_off_is_no_success)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, CALL("/p/M", EMPTY));
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    HEAR(&e, c, "ab");
    close(o);
    turn(&e, 20);
    EQ(counted(&e, FGW_GRPC_UNAVAILABLE), 1);
    close(c);
    engine_stop(&e);
}

/* ---- deadlines ---- */
static int begin(struct engine *e, int c, const char *request)
{
    say(e, c, request);
    int o = origin(e);
    HEAR(e, o, "\r\n\r\n");
    return o;
}

TEST(a_timeout_goes_on_as_what_is_left_of_it)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = begin(&e, c, CALL("/p/M", "Grpc-Timeout: 2S\r\n" EMPTY));
    GOT(&e, "grpc-timeout: 2000000u\r\n");
    GOT_NO(&e, "Grpc-Timeout: 2S");
    passes(&e, 1990);
    GOT_NO(&e, "grpc-status");
    passes(&e, 20);
    HEAR(&e, c, "\r\n\r\n");
    GOT(&e, "grpc-status: 4\r\n");
    OK(hear(&e, o, NULL) && e.eof);                    /* the upstream need not go on */
    EQ(counted(&e, FGW_GRPC_DEADLINE_EXCEEDED), 1);
    close(c), close(o);
    engine_stop(&e);
}

TEST(the_sooner_of_two_deadlines)
{
    static const struct { const char *request, *told; } of[] = {
        {CALL("/t/M", "grpc-timeout: 1H\r\n" EMPTY), "grpc-timeout: 5000000u\r\n"}, {CALL("/t/M", "grpc-timeout: 50m\r\n" EMPTY), "grpc-timeout: 50000000n\r\n"},
        {CALL("/t/M", EMPTY), "grpc-timeout: 5000000u\r\n"}, {CALL("/p/M", "grpc-timeout: 99999999H\r\n" EMPTY), NULL}, {CALL("/p/M", EMPTY), NULL}};
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        struct engine e;
        engine_start(&e);
        int c = client(&e), o = begin(&e, c, of[i].request);
        if (of[i].told) OK(strstr(e.got, of[i].told) != NULL);
        else if (!strstr(of[i].request, "99999999H")) GOT_NO(&e, "grpc-timeout");
        close(c), close(o);
        turn(&e, 8);
        engine_stop(&e);
    }
}

TEST(a_timeout_of_nothing_is_over)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = begin(&e, c, CALL("/p/M", "grpc-timeout: 0n\r\n" EMPTY));
    GOT(&e, "grpc-timeout: 1n\r\n");
    passes(&e, 2);
    HEAR(&e, c, "\r\n\r\n");
    GOT(&e, "grpc-status: 4\r\n");
    close(c), close(o);
    turn(&e, 8);
    engine_stop(&e);
}

TEST(malformed_timeouts_are_refused)
{
    static const char *const bad[] = {"grpc-timeout: 1\r\n", "grpc-timeout: 1s\r\n", "grpc-timeout: 123456789n\r\n", "grpc-timeout: \r\n",
                                      "grpc-timeout: 1S\r\ngrpc-timeout: 1S\r\n"};
    struct engine e;
    engine_start(&e);
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        char request[300];
        snprintf(request, sizeof request, CALL("/p/M", "%s" EMPTY), bad[i]);
        refused(&e, request, "13", "a header field is malformed");
    }
    OK(origin_idle(&e));
    EQ(counted(&e, FGW_GRPC_INTERNAL), FGW_COUNT(bad));
    int c = client(&e), o;                             /* of who makes no call it is a field like any other */
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\ngrpc-timeout: soon\r\n\r\n");
    o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "grpc-timeout: soon\r\n");
    close(c), close(o);
    turn(&e, 8);
    engine_stop(&e);
}

TEST(a_deadline_behind_the_head_is_told_by_trailers)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = begin(&e, c, CALL("/p/M", "grpc-timeout: 100m\r\n" EMPTY));
    say(&e, o, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    HEAR(&e, c, "x\r\n");
    passes(&e, 101);
    HEAR(&e, c, "0\r\ngrpc-status: 4\r\ngrpc-message: the request was not finished in time\r\n\r\n");
    OK(hear(&e, o, NULL) && e.eof);
    EQ(counted(&e, FGW_GRPC_DEADLINE_EXCEEDED), 1);
    close(c), close(o);
    engine_stop(&e);
}
TEST_MAIN()
