#include "http/problem.c"
#include "test.h"

TEST(a_problem_is_one_json_line_within_its_room)
{
    char out[FGW_PROBLEM_MAX];
    uint32_t n = fgw_problem_write(FGW_E_CONNECT_REFUSED, 502, out);
    OK(n > 20 && n < FGW_PROBLEM_MAX && out[n - 1] == '\n' && out[n - 2] == '}');
    OK(strstr(out, "\"title\":\"Bad Gateway\",\"status\":502,") != NULL);
    OK(strstr(out, "\"reason\":\"connect_refused\"") != NULL);
}

TEST(every_failure_fits_and_is_plain_json)
{
    for (int e = 0; e < FGW_ERR_COUNT; e++) {
        char out[FGW_PROBLEM_MAX];
        memset(out, '~', sizeof out);
        int status = fgw_err_status((enum fgw_err)e);
        uint32_t n = fgw_problem_write((enum fgw_err)e, status ? status : 799, out);
        OK(n < FGW_PROBLEM_MAX && out[n - 1] == '\n' && out[0] == '{' && out[n - 2] == '}');
        int quotes = 0;
        for (uint32_t i = 0; i + 1 < n; i++) {
            quotes += out[i] == '"';
            OK(out[i] >= 0x20 && out[i] < 0x7f && out[i] != '\\');         /* nothing in err.def needs escaping */
        }
        EQ(quotes, 18);
        OK(strstr(out, fgw_err_text((enum fgw_err)e)) != NULL);
    }
}

TEST(a_problem_names_the_limit)
{
    char out[FGW_PROBLEM_MAX], name[65] = "";
    memset(name, 'n', 64);
    uint32_t n = fgw_problem_limit(FGW_E_CONCURRENCY_WAIT, 429, fgw_str(name, 64), out);
    OK(n < FGW_PROBLEM_MAX - 1 && out[n - 1] == '\n' && out[n - 2] == '}');
    OK(strstr(out, "#quota-exceeded\",\"title\":\"Too Many Requests\",\"status\":429,") != NULL);
    OK(strstr(out, ",\"violated-policies\":[\"nnn") != NULL);
}

TEST_MAIN()
