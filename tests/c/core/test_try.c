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

TEST_MAIN()
