#include "base/check.c"
#include "../test.h"
#include "death.h"

struct outer { int a; struct { long x; } member; };

TEST(a_failed_check_ends_the_process) { DIES(fgw_check_failed("x", "file", 1)); }

TEST(checks_are_active_in_debug_builds_only)
{
    int zero = 0;
#ifdef FGW_DEBUG
    DIES(FGW_CHECK(zero));
    DIES(FGW_UNREACHABLE());
#else
    FGW_CHECK(zero);
#endif
    FGW_CHECK(!zero);
    (void)zero;                   /* a release build drops all the above */
}

TEST(container_is_found_from_its_member)
{
    struct outer o;
    OK(fgw_container(&o.member, struct outer, member) == &o);
    EQ(FGW_COUNT(((int[]){1, 2, 3})), 3);
}

TEST_MAIN()
