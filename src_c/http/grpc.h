/* http/grpc.h: what a gateway has to know of gRPC over HTTP/2: which requests are calls, its status codes, how they are written, its time-outs.
 *
 * Calls    POST with content-type application/grpc, alone or followed by `+` or `;`. gRPC-Web is another protocol: its answers are HTTP's.
 * Status   a call's outcome is a field, grpc-status, in the trailers, or in the head of an answer that has no body; HTTP's status is 200.
 *          What the gateway answers itself is told by the reason where that says more than the HTTP status it stands for.
 * Timeout  1 to 8 digits and a unit, H M S m u n. Nothing else is taken, and only once.
 * Memory   views, and the caller's room. Thread any. Cost: of a request that is none, one look at a bit. */
#ifndef FGW_HTTP_GRPC_H
#define FGW_HTTP_GRPC_H
#include "http/head.h"
#include "http/message.h"

enum fgw_grpc_code {
    FGW_GRPC_OK, FGW_GRPC_CANCELLED, FGW_GRPC_UNKNOWN, FGW_GRPC_INVALID_ARGUMENT, FGW_GRPC_DEADLINE_EXCEEDED, FGW_GRPC_NOT_FOUND,
    FGW_GRPC_ALREADY_EXISTS, FGW_GRPC_PERMISSION_DENIED, FGW_GRPC_RESOURCE_EXHAUSTED, FGW_GRPC_FAILED_PRECONDITION, FGW_GRPC_ABORTED,
    FGW_GRPC_OUT_OF_RANGE, FGW_GRPC_UNIMPLEMENTED, FGW_GRPC_INTERNAL, FGW_GRPC_UNAVAILABLE, FGW_GRPC_DATA_LOSS, FGW_GRPC_UNAUTHENTICATED,
    FGW_GRPC_CODES,
    FGW_GRPC_NONE = 255                  /* not told, or no call */
};
enum { FGW_GRPC_TIMEOUT_MAX = 9,         /* bytes of a time-out's text */
       FGW_GRPC_MESSAGE_MAX = 1024,      /* bytes of a text that is told */
       FGW_GRPC_FIELDS = 3 };

bool fgw_grpc_call(const struct fgw_head *h);                            /* h: a request's, complete or not */
static inline bool fgw_grpc_is(const struct fgw_head *h) { return h->known & FGW_H_BIT(CONTENT_TYPE) && fgw_grpc_call(h); }

const char *fgw_grpc_name(enum fgw_grpc_code c);                         /* "UNAVAILABLE"; NULL: no code */
enum fgw_grpc_code fgw_grpc_of_status(int status);                       /* of an HTTP status */
enum fgw_grpc_code fgw_grpc_of(enum fgw_err why, int status);            /* of our own answer `status`, for `why` or for no failure */
enum fgw_grpc_code fgw_grpc_status(struct fgw_str value);                /* of a grpc-status field; a number that is no code is UNKNOWN, NONE: malformed */

/* "100m": 100 ms. A value of more than 2^64 - 1 ns is that. false: malformed. */
bool fgw_grpc_timeout(struct fgw_str value, uint64_t *ns);
/* In the finest unit that has room, never more than ns; at least one of it. Returns the length. */
uint32_t fgw_grpc_timeout_write(uint64_t ns, char p[FGW_GRPC_TIMEOUT_MAX]);

/* A grpc-message: bytes that are no printable ASCII, and `%`, as %XX. Of more than FGW_GRPC_MESSAGE_MAX bytes the first; blanks and line ends at
 * the end are left out. p has room for 3 * FGW_GRPC_MESSAGE_MAX. Returns the length. */
uint32_t fgw_grpc_message(struct fgw_str text, char *p);

/* The fields of an answer that is all status: content-type, grpc-status, grpc-message (`message`: written already, and kept as a view). */
uint32_t fgw_grpc_fields(enum fgw_grpc_code c, struct fgw_str message, struct fgw_out_field f[FGW_GRPC_FIELDS]);

#endif
