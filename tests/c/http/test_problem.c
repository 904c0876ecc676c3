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

TEST_MAIN()
