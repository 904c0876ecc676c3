/* http/problem.h: the body of an answer the gateway makes itself (RFC 9457, application/problem+json).
 * Thread any; writes into the caller's room; cost one pass. */
#ifndef FGW_HTTP_PROBLEM_H
#define FGW_HTTP_PROBLEM_H
#include "base/err.h"
#include "base/str.h"

enum { FGW_PROBLEM_MAX = 512 };
/* A `limit`, if it has a name, is named as draft-ietf-httpapi-ratelimit-headers-11 section 5.1 says: of type quota-exceeded, with
 * "violated-policies". It is letters, digits and ._-# only.
 * {"type":"about:blank","title":"Bad Gateway","status":502,"detail":"...","reason":"connect_refused"} and a newline. Returns the length. */
uint32_t fgw_problem_write(enum fgw_err code, int status, char out[FGW_PROBLEM_MAX]);
uint32_t fgw_problem_limit(enum fgw_err code, int status, struct fgw_str limit, char out[FGW_PROBLEM_MAX]);

#endif
