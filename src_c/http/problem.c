#include "http/problem.h"
#include <stdio.h>
#include "http/message.h"

uint32_t fgw_problem_write(enum fgw_err code, int status, char out[FGW_PROBLEM_MAX])
{
    struct fgw_str title = fgw_reason(status);
    int n = snprintf(out, FGW_PROBLEM_MAX, "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,\"detail\":\"%s\",\"reason\":\"%s\"}\n",
                     (int)title.n, title.p, status, fgw_err_text(code), fgw_err_word(code));
    return n < 0 ? 0 : n < FGW_PROBLEM_MAX ? (uint32_t)n : FGW_PROBLEM_MAX - 1;
}
