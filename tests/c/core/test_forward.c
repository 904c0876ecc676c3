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

TEST_MAIN()
