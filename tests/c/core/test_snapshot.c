#include "core/snapshot.c"
#include "core/engine.h"

TEST(networks_are_compared_by_their_bits)
{
    const struct fgw_l_cidr v4 = {.lo = 0xffff0a000000, .bits = 104}, all = {.bits = 0};
    OK(inside(&v4, 0, 0xffff0a010203));
    OK(!inside(&v4, 0, 0xffff0b010203));
    OK(inside(&all, 1, 2));
}

TEST(a_root_that_was_not_added_is_refused)
{
    struct engine e;
    char err[100] = "";
    engine_start(&e);
    OK(!fgw_worker_prepare(e.w, 12345, err, sizeof err));
    OK(err[0] != 0);
    engine_stop(&e);
}

TEST_MAIN()
