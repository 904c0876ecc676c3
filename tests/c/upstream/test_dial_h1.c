#include "upstream/dial_h1.c"
#include <sys/un.h>
#include "http/wire.h"
#include "test.h"

TEST(a_place_that_is_not_there_is_told_by_errno_and_leaves_nothing)
{
    struct fgw_loop l;
    struct fgw_h1_env h1;
    struct fgw_pool_env env;
    OK(fgw_loop_init(&l, &wires_clock, 0) == 0);
    fgw_h1_env_init(&h1, &l);
    fgw_pool_env_init(&env, &h1, NULL);
    struct fgw_pool *p = fgw_pool_new(&env, 1, FGW_STR("up"));
    fgw_pool_ref(p);
    EQ(strcmp(fgw_dial_h1.name, "h1"), 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at.all"};
    struct fgw_endpoint e = {.addr_len = sizeof a, .name = "unix:/nowhere/at.all"};
    memcpy(e.addr, &a, sizeof a < sizeof e.addr ? sizeof a : sizeof e.addr);
    errno = 0;
    OK(!fgw_dial_h1.dial(p, &e, NULL));
    EQ(errno, ENOENT);
    EQ(h1.clients.live, 0);
    fgw_pool_unref(p);
    fgw_pool_env_fini(&env);
    fgw_h1_env_fini(&h1);
    fgw_loop_fini(&l);
}

TEST_MAIN()
