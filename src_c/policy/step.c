#include "policy/step.h"

const char *fgw_verdict_name(enum fgw_verdict v)
{
    static const char *const names[] = {"next", "reply", "park", "fail"};
    return v < FGW_COUNT(names) ? names[v] : "?";
}

const struct fgw_step *fgw_step_of(enum fgw_step_kind kind)
{
    static const struct fgw_step *const steps[FGW_STEP_COUNT] = {
        [FGW_STEP_HEADERS] = &fgw_step_headers, [FGW_STEP_REDIRECT] = &fgw_step_redirect, [FGW_STEP_ANSWER] = &fgw_step_answer,
        [FGW_STEP_TEST_BODY] = &fgw_step_test_body, [FGW_STEP_TEST_CALL] = &fgw_step_test_call,
        [FGW_STEP_RATE_LIMIT] = &fgw_step_rate_limit, [FGW_STEP_CONCURRENCY] = &fgw_step_concurrency,
        [FGW_STEP_HOOK] = &fgw_step_hook};
    return kind < FGW_STEP_COUNT ? steps[kind] : NULL;
}
