#include "core/relay.c"
#include "core/engine.h"

TEST(a_tunnel_goes_both_ways_and_ends_by_halves)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    say(&e, o, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly");
    HEAR(&e, c, "\r\n\r\nearly");
    say(&e, c, "ping");
    HEAR(&e, o, "ping");
    shutdown(c, SHUT_WR);
    HEAR(&e, o, NULL);
    say(&e, o, "pong");
    HEAR(&e, c, "pong");
    close(o);
    HEAR(&e, c, NULL);
    close(c);
    engine_stop(&e);
}

TEST_MAIN()
