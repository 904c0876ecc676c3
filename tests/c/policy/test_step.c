#include "policy/step.c"
#include "test.h"

TEST(every_kind_has_its_step)
{
    for (int k = FGW_STEP_NONE + 1; k < FGW_STEP_COUNT; k++) OK(fgw_step_of((enum fgw_step_kind)k) && fgw_step_of((enum fgw_step_kind)k)->name);
    OK(!fgw_step_of(FGW_STEP_NONE));
    OK(!fgw_step_of(FGW_STEP_COUNT));
}

TEST(verdicts_have_names)
{
    EQ(strcmp(fgw_verdict_name(FGW_PARK), "park"), 0);
    EQ(strcmp(fgw_verdict_name((enum fgw_verdict)9), "?"), 0);
}

TEST_MAIN()
