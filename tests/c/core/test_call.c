#include "core/call.c"
#include "core/engine.h"

TEST(a_call_that_fails_is_told_as_the_gateways_answer)
{
    struct engine e;
    engine_start(&e);
    int c = client(&e);
    say(&e, c, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "GET /probe ");
    close(o);
    o = origin(&e);
    HEAR(&e, o, "x-probe: 000\r\n");
    close(c), close(o);
    engine_stop(&e);
}

TEST_MAIN()
