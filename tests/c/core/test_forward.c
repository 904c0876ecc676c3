#include "core/forward.c"
#include "core/engine.h"

TEST(what_a_client_says_of_itself_is_not_believed)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT_NO(&e, "6.6.6.6");
    GOT(&e, "Forwarded: for=127.0.0.1;host=\"a\";proto=http\r\n");
    close(c), close(o);
    engine_stop(&e);
}

/* What the origin gets of this request; the answer is 204. */
static void forwarded_as(struct engine *e, const char *request)
{
    int c = client(e);
    say(e, c, request);
    int o = origin(e);
    HEAR(e, o, "\r\n\r\n");
    char kept[sizeof e->got];
    memcpy(kept, e->got, sizeof kept);
    say(e, o, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    HEAR(e, c, "\r\n\r\n");
    memcpy(e->got, kept, sizeof kept);
    close(c), close(o);
}

TEST(hop_by_hop_fields_and_those_that_connection_names_stay_here)
{
    struct engine e;
    engine_start(&e);
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: x-mine, keep-alive, host, content-length\r\nX-Mine: 1\r\nKeep-Alive: timeout=1\r\n"
                     "Proxy-Connection: keep-alive\r\nTE: trailers, deflate\r\nUpgrade: x\r\nTrailer: x\r\nX-Kept: 1\r\nAuthorization: b\r\n\r\n");
    static const char *const gone[] = {"X-Mine", "Keep-Alive", "Proxy-Connection", "deflate", "Upgrade", "Connection:"};
    for (size_t i = 0; i < FGW_COUNT(gone); i++) GOT_NO(&e, gone[i]);
    GOT(&e, "X-Kept: 1\r\n");
    GOT(&e, "Authorization: b\r\n");
    GOT(&e, "TE: trailers\r\n");
    GOT(&e, "\r\nHost: a\r\n");
    engine_stop(&e);
}

TEST(a_stranger_cannot_speak_for_others)
{
    struct engine e;
    engine_start(&e);
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
                     "X-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\nVia: 1.0 before\r\n\r\n");
    static const char *const gone[] = {"6.6.6.6", "https", "evil", "X-Forwarded-Port", "X-Real-IP", "mine"};
    for (size_t i = 0; i < FGW_COUNT(gone); i++) GOT_NO(&e, gone[i]);
    GOT(&e, "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n");
    GOT(&e, "Via: 1.0 before, 1.1 fastgw\r\n");
    const char *id = strstr(e.got, "X-Request-Id: ");
    OK(id && strspn(id + 14, "0123456789abcdef") == 32);
    char first[33];
    if (id) memcpy(first, id + 14, 32), first[32] = 0;
    forwarded_as(&e, "GET /p HTTP/1.0\r\nHost: a\r\n\r\n");
    GOT_NO(&e, first);                   /* each has its own */
    GOT(&e, "Via: 1.0 fastgw\r\n");
    engine_stop(&e);
}

TEST(a_trusted_proxy_is_believed)
{
    struct engine e;
    mini_trusts = true;
    engine_start(&e);
    mini_trusts = false;
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.9\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\n"
                     "X-Forwarded-Host: shop\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 192.0.2.9\r\nForwarded: for=192.0.2.9\r\nX-Request-Id: mine\r\n\r\n");
    GOT(&e, "X-Forwarded-For: 6.6.6.6, 192.0.2.9, 10.1.1.1, 127.0.0.1\r\n");
    GOT(&e, "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n");
    GOT(&e, "X-Forwarded-Port: 443\r\n");
    GOT(&e, "X-Real-IP: 192.0.2.9\r\n");
    GOT(&e, "Forwarded: for=192.0.2.9, for=127.0.0.1;host=\"a\";proto=http\r\n");
    GOT(&e, "X-Request-Id: mine\r\n");
    lines(&e);
    GOT(&e, "\"client\":\"");
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\"b\r\n\r\n");
    GOT_NO(&e, "a\"b");                  /* what could break a log line is nobody's id */
    engine_stop(&e);
}

TEST(the_client_is_the_rightmost_address_that_is_not_trusted)
{
    static const struct { const char *list, *client; } of[] = {
        {"6.6.6.6, 192.0.2.9, 10.1.1.1", "192.0.2.9"}, {"192.0.2.9", "192.0.2.9"}, {"10.0.0.1, 10.0.0.2", "10.0.0.1"},
        {"6.6.6.6, junk, 10.1.1.1", "10.1.1.1"}, {"junk", "127.0.0.1"}, {"2001:db8::1", "2001:db8::1"},
        {"6.6.6.6, 192.0.2.9:4711, 10.1.1.1:80", "192.0.2.9"}, {"6.6.6.6, [2001:db8::1]:443", "2001:db8::1"}, {"[2001:db8::1]", "2001:db8::1"},
        {"[::ffff:10.1.1.1]:9,10.1.1.1", "::ffff:10.1.1.1"}, {"192.0.2.9:", "192.0.2.9"}, {"192.0.2.9:65536", "127.0.0.1"}, {"192.0.2.9:x", "127.0.0.1"},
        {"[2001:db8::1]x", "127.0.0.1"}, {"[2001:db8::1", "127.0.0.1"}, {"[192.0.2.9]:1", "127.0.0.1"}, {"example.org:80", "127.0.0.1"}};
    struct engine e;
    char request[200], want[60];
    mini_trusts = true;
    engine_start(&e);
    mini_trusts = false;
    for (size_t i = 0; i < FGW_COUNT(of); i++) {
        int c = client(&e);
        snprintf(request, sizeof request, "GET /s HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n", of[i].list);
        say(&e, c, request);
        HEAR(&e, c, "hello");
        lines(&e);
        snprintf(want, sizeof want, "\"client\":\"%s\"", of[i].client);
        GOT(&e, want);
        close(c);
    }
    engine_stop(&e);
}

TEST(a_prefix_is_taken_off_and_the_host_rewritten_where_it_is_asked_for)
{
    struct engine e;
    engine_start(&e);
    forwarded_as(&e, "GET /x/y?z HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "GET /y?z HTTP/1.1\r\nHost: a\r\n");
    forwarded_as(&e, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "GET / HTTP/1.1\r\n");
    struct fgw_pool *p = fgw_container(e.w->pools.next, struct fgw_pool, link);
    p->set.host_rewrite = 1;
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "\r\nHost: origin:1\r\n");
    GOT(&e, "X-Forwarded-Host: a\r\n");
    memcpy(p->host, "users.internal", 15);                   /* for a unix socket, whose path is no host */
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "\r\nHost: origin:1\r\n");
    memcpy(p->eps[0]->e.name, "unix:/run/u", 12);
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "\r\nHost: users.internal\r\n");
    engine_stop(&e);
}

TEST(who_has_passed_thrice_is_in_a_circle)
{
    struct engine e;
    engine_start(&e);
    forwarded_as(&e, "GET /p HTTP/1.1\r\nHost: a\r\nVia: 1.1 fastgw, 1.1 fastgw\r\n\r\n");
    GOT(&e, "Via: 1.1 fastgw, 1.1 fastgw, 1.1 fastgw\r\n");
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nVia: 1.1 fastgw, 1.1 other\r\nVia: 1.0 fastgw, 1.1 fastgw\r\n\r\n");
    HEAR(&e, c, "\"reason\":\"loop\"");
    GOT(&e, "HTTP/1.1 508 ");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(one_host_and_only_one)
{
    static const char *const bad[] = {"GET /p HTTP/1.1\r\n\r\n", "GET /p HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET /p HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: a:99999\r\n\r\n", "GET http://b/p HTTP/1.1\r\n\r\n"};
    struct engine e;
    engine_start(&e);
    for (size_t i = 0; i < FGW_COUNT(bad); i++) {
        int c = client(&e);
        say(&e, c, bad[i]);
        HEAR(&e, c, "\"reason\":\"bad_host\"");
        GOT(&e, "HTTP/1.1 400 ");
        GOT(&e, "Connection: close\r\n");
        close(c);
    }
    forwarded_as(&e, "GET http://Real.example:81/p?x HTTP/1.1\r\nHost: a\r\n\r\n");
    GOT(&e, "GET /p?x HTTP/1.1\r\nHost: Real.example:81\r\n");
    GOT_NO(&e, "Host: a\r\n");
    engine_stop(&e);
}

TEST(addresses_in_forwarded_are_quoted_as_they_must)
{
    struct fgw_exchange x = {0};
    struct fgw_blocks blocks;
    static char first[256];
    fgw_blocks_init(&blocks, 0);
    fgw_arena_init(&x.r.arena, &blocks, first, sizeof first, 4096);
    EQ_STR(quoted_for(&x, FGW_STR("192.0.2.1")), "192.0.2.1");
    EQ_STR(quoted_for(&x, FGW_STR("2001:db8::1")), "\"[2001:db8::1]\"");
    EQ_STR(quoted_for(&x, FGW_STR("unix")), "unknown");
    fgw_arena_fini(&x.r.arena);
    fgw_blocks_fini(&blocks);
}

TEST_MAIN()
