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

TEST(only_steps_that_filter_say_that_they_change_the_length)
{
    for (int k = FGW_STEP_NONE + 1; k < FGW_STEP_COUNT; k++) {
        const struct fgw_step *s = fgw_step_of((enum fgw_step_kind)k);
        OK(!s->changes_length || s->on_body[0] || s->on_body[1]);
        OK(s->on_request || s->on_reply || s->on_body[0] || s->on_body[1]);          /* each does something */
        for (int j = FGW_STEP_NONE + 1; j < k; j++) OK(strcmp(s->name, fgw_step_of((enum fgw_step_kind)j)->name) != 0);
    }
}

TEST_MAIN()
