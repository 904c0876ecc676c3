#include "core/try.c"
#include "core/engine.h"

TEST(a_warm_connection_that_dies_is_tried_again_once)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "GET /p/again HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, o, "\r\n\r\n");
    close(o);
    o = origin(&e);
    HEAR(&e, o, "GET /p/again ");
    close(o);
    HEAR(&e, c, "\"status\":502");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_post_is_not_sent_twice)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    say(&e, c, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    HEAR(&e, o, "\r\n\r\nx");
    close(o);
    HEAR(&e, c, "\"status\":502");
    OK(origin_idle(&e));
    close(c);
    engine_stop(&e);
}

TEST(a_refused_connect_is_told)
{
    struct engine e;
    engine_start(&e);
    close(e.upstream), e.upstream = -1;
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "\"status\":502");
    GOT(&e, "application/problem+json");
    close(c);
    engine_stop(&e);
}

/* Accept as soon as the worker has dialled, and speak before it has had another turn. */
static int eager(struct engine *e, const char *text)
{
    for (int i = 0; i < ROUNDS; i++) {
        int fd = accept4(e->upstream, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
            return fd;
        }
        fgw_worker_wait(e->w, 1);
    }
    OK(!"a connection to the origin");
    return -1;
}

TEST(an_answer_before_the_request_is_nobodys)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    static const char get[] = "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n", stolen[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);
    int first = eager(&e, stolen), second = eager(&e, stolen);
    HEAR(&e, c, "\"status\":502");
    GOT_NO(&e, "stolen");
    HEAR(&e, first, NULL);
    EQ(e.n, 0);                                        /* the request never left on it */
    HEAR(&e, second, NULL);
    EQ(e.n, 0);
    OK(origin_idle(&e));
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);
    int third = eager(&e, "");                         /* it may be asked again, once it behaves */
    HEAR(&e, third, "\r\n\r\n");
    say(&e, third, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    close(c), close(first), close(second), close(third);
    engine_stop(&e);
}

TEST(an_answer_on_an_idle_connection_is_nobodys)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e), o = plain(&e, c, -1);
    static const char get[] = "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n", stolen[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    EQ(send(o, stolen, sizeof stolen - 1, 0), sizeof stolen - 1);
    EQ(send(c, get, sizeof get - 1, 0), sizeof get - 1);          /* both are there when the worker looks next */
    int next = origin(&e);
    HEAR(&e, next, "\r\n\r\n");
    say(&e, next, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    HEAR(&e, c, "\r\n\r\nok");
    GOT_NO(&e, "stolen");
    HEAR(&e, o, NULL);
    EQ(e.n, 0);
    close(c), close(o), close(next);
    engine_stop(&e);
}

TEST_MAIN()
