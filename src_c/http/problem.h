/* http/problem.h: the body of an answer the gateway makes itself (RFC 9457, application/problem+json).
 * Thread any; writes into the caller's room; cost one pass. */
#ifndef FGW_HTTP_PROBLEM_H
#define FGW_HTTP_PROBLEM_H
#include "base/err.h"
#include "base/str.h"

enum { FGW_PROBLEM_MAX = 512 };
/* {"type":"about:blank","title":"Bad Gateway","status":502,"detail":"...","reason":"connect_refused"} and a newline. Returns the length. */
uint32_t fgw_problem_write(enum fgw_err code, int status, char out[FGW_PROBLEM_MAX]);

#endif
