/* core/accesslog.h: one line a finished request, written straight into the worker's ring.
 *
 * Facts are plain values gathered by the exchange; every string is escaped here (JSON string rules; combined: \xHH for quotes,
 * backslash, controls and bytes above 0x7e), so no client can forge or break a line. In JSON a byte that is no UTF-8 becomes
 * \u00XX of its value: every line is valid JSON. Of a string longer than FGW_LOG_TEXT that much is written, then "...".
 * Absent facts (empty strings, upstream_us 0, no failure) have no key; in combined they are "-", and status 0 is 000.
 * Plain: client, method, host, request_id, listener, route and upstream have been looked at before: addresses, tokens and hosts by their
 * parsers, ids when they were taken (core/forward.c), names when the segment was (policy/layout.c). Once escaped, all are escaped alike.
 * Never blocks; a full ring drops and counts.
 * Thread the worker. Cost: one pass over the strings. */
#ifndef FGW_CORE_ACCESSLOG_H
#define FGW_CORE_ACCESSLOG_H
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "http/message.h"
#include "io/ring.h"

enum { FGW_LOG_TEXT = 4096 };     /* so that the worst line still fits in the ring */

struct fgw_log_time { uint64_t begin_ns; char text[32]; };   /* the last second written out; zeroed at first, the worker's own */

struct fgw_log_facts {
    struct fgw_log_time *time;    /* NULL: the date is worked out for each line */
    uint64_t wall_ns;             /* when the request's head was complete */
    uint64_t duration_us;         /* until the last byte was handed to the kernel, or the end */
    uint64_t upstream_us;         /* from lease asked to reply head; 0: none */
    uint64_t bytes_in, bytes_out; /* body bytes */
    struct fgw_str client;        /* address text */
    struct fgw_str subject;       /* of its verified certificate; in JSON only */
    struct fgw_str method, target, host, user_agent, referer, request_id;
    struct fgw_str listener, route, upstream, endpoint;   /* empty: none */
    struct fgw_str limit, limit_dry;      /* the limit that refused; one that only would have (dry_run) */
    struct fgw_str plugin, plugin_open;   /* the plugin that refused; one that failed and let pass */
    const struct fgw_out_field *tags;     /* in JSON only */
    uint32_t ntags;
    struct fgw_fail fail;         /* code NONE: fine; else the reason word and who */
    uint16_t status;              /* 0: no answer was sent */
    uint8_t  grpc;                /* a call of gRPC: 1 + its status; 0: it is none. In JSON only */
    uint8_t  h;                   /* HTTP's major version; 0 counts as 1 */
    uint8_t  minor;               /* HTTP/1.minor */
    uint8_t  tries;
};
void fgw_accesslog_write(struct fgw_ring *r, int format /* enum fgw_log_format */, const struct fgw_log_facts *f);

#endif
