#include "base/err.c"
#include "../test.h"
#include "death.h"
#include <ctype.h>

TEST(none_is_zero_and_no_failure)
{
    EQ(FGW_E_NONE, 0);
    struct fgw_fail zeroed = {0};
    EQ(zeroed.code, FGW_E_NONE);
    EQ(zeroed.by, FGW_BY_NOBODY);
    OK(!zeroed.retry_safe);
    EQ(fgw_err_status(FGW_E_NONE), 0);
    OK(strcmp(fgw_err_word(FGW_E_NONE), "ok") == 0);
}

TEST(a_failure_is_not_safe_to_retry_unless_said)
{
    struct fgw_fail f = fgw_fail(FGW_E_UPSTREAM_RESET, FGW_BY_UPSTREAM);
    EQ(f.code, FGW_E_UPSTREAM_RESET);
    EQ(f.by, FGW_BY_UPSTREAM);
    OK(!f.retry_safe);
}

TEST(lookups_match_the_list)
{
    EQ(fgw_err_status(FGW_E_HEAD_TOO_LONG), 431);
    EQ(fgw_err_status(FGW_E_FIRST_BYTE_TIMEOUT), 504);
    OK(strcmp(fgw_err_word(FGW_E_UPSTREAM_BAD), "upstream_bad_answer") == 0);
    OK(strcmp(fgw_err_text(FGW_E_NO_ROUTE), "no route matches this request") == 0);
}

TEST(every_row_is_filled)
{
    for (int i = 0; i < FGW_ERR_COUNT; i++) {
        int status = fgw_err_status(i);
        OK(status == 0 || (status >= 400 && status <= 599));
        OK(fgw_err_text(i)[0] != '\0');
        OK(fgw_err_word(i)[0] != '\0');
    }
}

TEST(words_are_lower_case_and_unique)
{
    for (int i = 0; i < FGW_ERR_COUNT; i++) {
        for (const char *p = fgw_err_word(i); *p; p++) OK(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
        for (int k = 0; k < i; k++) OK(strcmp(fgw_err_word(i), fgw_err_word(k)) != 0);
    }
}

TEST(texts_need_no_escape_in_json)
{
    for (int i = 0; i < FGW_ERR_COUNT; i++)
        for (const char *p = fgw_err_text(i); *p; p++) OK(*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\');
}

TEST(a_code_outside_the_list_is_internal)
{
#ifdef FGW_DEBUG
    DIES(fgw_err_status(FGW_ERR_COUNT));
#else
    EQ(fgw_err_status(FGW_ERR_COUNT), 500);
    EQ(fgw_err_status((enum fgw_err)255), 500);
#endif
}

TEST(sides_have_names)
{
    OK(strcmp(fgw_by_name(FGW_BY_NOBODY), "nobody") == 0);
    OK(strcmp(fgw_by_name(FGW_BY_CLIENT), "client") == 0);
    OK(strcmp(fgw_by_name(FGW_BY_GATEWAY), "gateway") == 0);
    OK(strcmp(fgw_by_name(FGW_BY_UPSTREAM), "upstream") == 0);
}

TEST_MAIN()
