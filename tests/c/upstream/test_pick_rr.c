#include "upstream/pick_rr.c"
#include "test.h"

TEST(weights_interleave_and_the_ill_are_the_last_resort)
{
    struct fgw_loop l = {0};
    struct fgw_h1_env h1 = {.loop = &l};
    struct fgw_pool_env env = {.h1 = &h1};
    struct fgw_ep a = {.e = {.weight = 2, .healthy = 1}}, b = {.e = {.weight = 1, .healthy = 1}}, z = {.e = {.weight = 0, .healthy = 1}};
    struct fgw_ep *eps[] = {&a, &b, &z};
    struct fgw_pool p = {.env = &env, .eps = eps, .neps = 3};
    struct fgw_lease lease = {.pool = &p};
    struct fgw_ep *first = fgw_pick_rr.pick(&p, &lease), *second = fgw_pick_rr.pick(&p, &lease), *third = fgw_pick_rr.pick(&p, &lease);
    OK(first == &a && second == &b && third == &a);
    a.e.healthy = 0;
    OK(fgw_pick_rr.pick(&p, &lease) == &b);
    b.e.healthy = 0;
    OK(fgw_pick_rr.pick(&p, &lease) != NULL);
    lease.tried[0] = &a, lease.tried[1] = &b, lease.ntried = 2;
    OK(!fgw_pick_rr.pick(&p, &lease));
}

TEST_MAIN()
