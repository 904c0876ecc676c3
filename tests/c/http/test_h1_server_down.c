/* What a user of a server side asks for, byte for byte; the conversation itself is tested in test_h1_server.c. */
#include "http/h1_server_down.c"
#include "../test.h"

static struct fgw_h1_limits lim = {.requests_max = 3, .connection_ms = 1000};

static struct fgw_h1_server server(struct fgw_h1_env *e)
{
    struct fgw_h1_server s = {.env = e, .lim = &lim, .keep = true, .in = IN_DONE, .minor = 1};
    s.born_ms = server_now(&s);
    return s;
}

TEST(may_keep_follows_request_limits_and_age)
{
    struct fgw_loop loop = {0};
    struct fgw_h1_env e = {.loop = &loop};
    struct fgw_h1_server s = server(&e);
    struct fgw_out o = {.status = 200};
    OK(may_keep(&s, &o));
    o.close = true;
    OK(!may_keep(&s, &o));
    o.close = false, s.requests = 3;
    OK(!may_keep(&s, &o));
    s.requests = 2, loop.clock.mono_ms = 1000;
    OK(!may_keep(&s, &o));
    loop.clock.mono_ms = 999;
    OK(may_keep(&s, &o));
    s.draining = true;
    OK(!may_keep(&s, &o));
}

TEST(an_expected_body_that_was_never_asked_for_ends_the_connection)
{
    struct fgw_loop loop = {0};
    struct fgw_h1_env e = {.loop = &loop};
    struct fgw_h1_server s = server(&e);
    struct fgw_out o = {.status = 401};
    s.expect = true, s.in = IN_BODY;
    OK(!may_keep(&s, &o));
    s.in = IN_DONE;
    OK(may_keep(&s, &o));
}

TEST_MAIN()
