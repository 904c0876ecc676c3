/* policy/req.h: a request as policy sees it: plain data, no codec, no socket, no exchange.
 *
 * Owner    the exchange embeds it. The received heads are immutable; what goes out is `out` (the request's fields) and `reply`
 *          (status and fields), lists of views that steps edit. Everything a step adds lives in the arena.
 * Thread   one. */
#ifndef FGW_POLICY_REQ_H
#define FGW_POLICY_REQ_H
#include "base/arena.h"
#include "base/err.h"
#include "http/side.h"
#include "http/target.h"
#include "policy/layout.h"
#include "policy/route.h"

/* An editable list of fields. `v` lies in the arena and grows by doubling; dropped entries stay, marked. */
struct fgw_fields { struct fgw_out_field *v; uint32_t n, cap; };

/* An answer made by policy: REPLY's data. Views into segment or arena. */
struct fgw_answer {
    uint16_t status;
    struct fgw_str body;
    enum fgw_err why;                        /* FGW_E_NONE: a wanted answer, not a failure */
    struct fgw_str detail;                   /* what it says in words, for whom a body is of no use (gRPC); may be empty */
};
/* A subrequest a step asks for: PARK with call.path set. */
struct fgw_call_spec { struct fgw_str method, path, upstream; };

/* Names an exchange that waits for a verdict: a slot used again has another generation. */
struct fgw_ticket { uint32_t slot, generation; };
/* What a step holds until the exchange has ended, also when its snapshot is let go before. Embedded in the step's state. */
struct fgw_hold { struct fgw_hold *next; void (*drop)(struct fgw_hold *h); };
struct fgw_limits;
struct fgw_hook_bound;

struct fgw_req {
    struct fgw_arena arena;
    const struct fgw_msg *msg;               /* the request as received; NULL once a tunnel or long stream has dropped it */
    const void *seg;                         /* ROUTES segment of `route` */
    const struct fgw_l_route *route;
    const struct fgw_peer *peer;
    struct fgw_target target;
    struct fgw_str method, authority, host;  /* authority as forwarded; host folded, no port */
    struct fgw_str params[FGW_PARAMS_MAX];
    struct fgw_str path_out;                 /* what is forwarded: target.path less strip_prefix */
    struct fgw_str client;                   /* address: the peer's, or what trusted proxies say of it */
    struct fgw_str request_id, listener, scheme;
    struct fgw_fields out, reply;
    uint16_t status;                         /* of the reply */
    struct fgw_answer answer;
    struct fgw_call_spec call;
    uint16_t call_status;                    /* of the finished call; 0: it failed */
    struct fgw_fail fail;                    /* with FAIL */
    struct fgw_str limit, limit_dry;         /* the limit that refused, and the last one that only would have */
    struct fgw_limits *limits;               /* the worker's */
    const struct fgw_hook_bound *hooks;      /* its listener's; set when the chain has steps */
    struct fgw_str plugin, plugin_open;      /* the plugin that refused, and the last one that failed and let it pass */
    struct fgw_fields tags;                  /* plugins' words for the log */
    struct fgw_hold *holds;
    struct fgw_ticket ticket;                /* while it is parked */
    uint8_t  h, minor;                       /* HTTP/h, of 1 also .minor */
    bool     grpc;                           /* a call of gRPC: answers of our own are in its form (core/grpc.c) */
};

bool fgw_fields_add(struct fgw_arena *a, struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name, struct fgw_str value);
bool fgw_fields_reserve(struct fgw_arena *a, struct fgw_fields *f, uint32_t n);            /* room for n in all */
void fgw_fields_drop(struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name);     /* all of that name */
/* The first not dropped one; NULL: none. */
struct fgw_out_field *fgw_fields_find(struct fgw_fields *f, enum fgw_field_id id, struct fgw_str name);

/* The client's address as 128 bits, of IPv6 its /64: what the connection or a trusted proxy says. False: it has none. */
bool fgw_req_client(const struct fgw_req *r, uint64_t ip[2]);
/* A template's text for this request, in the arena (or a view, when it is one literal). p == NULL: out of room. */
struct fgw_str fgw_template(struct fgw_req *r, const struct fgw_l_part *parts, uint32_t n);

#endif
