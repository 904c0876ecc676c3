#include "http/problem.h"
#include <stdio.h>
#include "http/message.h"

uint32_t fgw_problem_limit(enum fgw_err code, int status, struct fgw_str limit, char out[FGW_PROBLEM_MAX])
{
    struct fgw_str title = fgw_reason(status);
    const char *type = limit.n ? "https://iana.org/assignments/http-problem-types#quota-exceeded" : "about:blank";
    int n = snprintf(out, FGW_PROBLEM_MAX, "{\"type\":\"%s\",\"title\":\"%.*s\",\"status\":%d,\"detail\":\"%s\",\"reason\":\"%s\"%s%.*s%s}\n",
                     type, (int)title.n, title.p, status, fgw_err_text(code), fgw_err_word(code), limit.n ? ",\"violated-policies\":[\"" : "",
                     (int)limit.n, limit.n ? limit.p : "", limit.n ? "\"]" : "");
    return n < 0 ? 0 : n < FGW_PROBLEM_MAX ? (uint32_t)n : FGW_PROBLEM_MAX - 1;
}

uint32_t fgw_problem_write(enum fgw_err code, int status, char out[FGW_PROBLEM_MAX]) { return fgw_problem_limit(code, status, FGW_STR(""), out); }
