/* http/message.h: a message's head as received (fgw_msg, immutable once complete) and as to be sent (fgw_out).
 *
 * fgw_msg   Owner: taken by a codec when bytes begin to arrive, given to the exchange with on_head, put back when it ends.
 *           Memory: from the worker's slab; holds one reference of the block its bytes lie in. An idle connection holds none.
 * fgw_out   Plain views, no owner: lives on the caller's stack or arena during send_head; the codec copies what it needs.
 *           Framing fields (Content-Length, Transfer-Encoding, Connection, Host) are not in `fields`: the codec writes its own
 *           from length, close, upgrade and authority. That is why no field list can ever smuggle a second framing.
 * Thread one. Cost: get/put O(1). */
#ifndef FGW_HTTP_MESSAGE_H
#define FGW_HTTP_MESSAGE_H
#include "base/buf.h"
#include "http/body.h"

enum { FGW_FIELDS_MAX = 256 };           /* what limits.fields may say at most */

/* HTTP/2's pseudo fields, as the fields' flag FGW_FIELD_NEVER: an intermediary keeps it (RFC 7541 section 7.1.3). */
enum { FGW_NEVER_METHOD = 1, FGW_NEVER_PATH = 2, FGW_NEVER_AUTHORITY = 4 };
enum fgw_length { FGW_LEN_NONE, FGW_LEN_KNOWN, FGW_LEN_UNKNOWN };
struct fgw_msg {
    struct fgw_head head;
    struct fgw_slab *home;
    struct fgw_block *b;                 /* of head.base; NULL while parsing */
    uint8_t  len;                        /* enum fgw_length: what the codec knows of the body, with length, when the head is complete */
    bool     keep_alive;                 /* what version and Connection say */
    bool     expect;                     /* requests: Expect: 100-continue */
    bool     upgrade;                    /* another protocol is asked for, or agreed to (status 101): fgw_msg_upgrade names it */
    uint8_t  never;                      /* FGW_NEVER_*: those of its pseudo fields that came never-indexed */
    bool     upgrade_only;               /* requests: it has no other meaning (extended CONNECT), so a success that does not agree is no answer */
    uint64_t length;
    struct fgw_field fields[FGW_FIELDS_MAX];
};
/* Field names with `_`: servers that fold names into variables (CGI, WSGI, Rack, PHP) take `X_User` for `X-User`, so a name that a policy
 * or a trusted proxy owns could be set behind its back. */
enum fgw_underscores { FGW_UNDERSCORES_DROP, FGW_UNDERSCORES_ALLOW, FGW_UNDERSCORES_REJECT };
struct fgw_msg *fgw_msg_get(struct fgw_slab *home);
void fgw_msg_put(struct fgw_msg *m);     /* NULL is fine */
/* The protocol asked for or agreed to, whatever the codec's way of saying so: each keeps it as an Upgrade field that is not passed on as
 * such. Empty: none. */
static inline struct fgw_str fgw_msg_upgrade(const struct fgw_msg *m)
{
    const struct fgw_field *f = m->upgrade ? fgw_head_find(&m->head, FGW_H_UPGRADE) : NULL;
    return f ? fgw_head_value(&m->head, f) : fgw_str(NULL, 0);
}
/* Look at Connection (RFC 9110 section 7.6.1): mark hop-by-hop fields and those it names FGW_FIELD_DROP, set keep_alive, upgrade and expect. */
enum fgw_err fgw_msg_connection(struct fgw_msg *m, bool request);

/* Requests and their trailers: take such fields out as if they had never come (DROP), or FGW_E_BAD_FIELD (REJECT). Names we know have none. */
enum fgw_err fgw_msg_underscores(struct fgw_msg *m, enum fgw_underscores what);

/* A field to be sent. Views. */
struct fgw_out_field {
    const char *name, *value;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t  id, flags;                  /* FGW_FIELD_*; DROP: a step removed it */
};
struct fgw_out {
    const struct fgw_out_field *fields;
    uint32_t nfields;
    /* requests */
    struct fgw_str method, target, authority, scheme;
    /* replies */
    uint16_t status;
    struct fgw_str reason;               /* empty: the standard phrase */
    struct fgw_str upgrade;              /* the protocol asked for or agreed to (101); empty: none */
    uint64_t length;                     /* with FGW_LEN_KNOWN */
    uint8_t  len;                        /* enum fgw_length. NONE: the message has no body and says nothing of its length */
    uint8_t  never;                      /* as fgw_msg's */
    bool     no_body;                    /* a reply whose length is only told: HEAD, 304 */
    bool     close;                      /* the sender wants this connection ended after the message */
    bool     trailers;                   /* te: trailers is passed on */
    bool     upgrade_only;               /* as fgw_msg's: whoever asks has no handshake of its own for it, so the codec makes it whole */
};
/* The fields that may be passed on (hop-by-hop, Host and framing are left out), in order; out has room for nfields. Returns how many. */
uint32_t fgw_msg_fields(const struct fgw_msg *m, struct fgw_out_field *out);
/* The phrase as it came, perhaps empty; none at all, and so the standard one, where the protocol has none. */
static inline struct fgw_str fgw_msg_reason(const struct fgw_msg *m)
{
    return fgw_str(m->head.reason ? m->head.base + m->head.reason : NULL, m->head.reason_len);
}
struct fgw_str fgw_reason(int status);   /* RFC 9110 section 15; empty when unknown */

/* Serialise for HTTP/1.1 in one piece. hop: what the codec says of framing and connection, complete lines ("content-length: 5\r\n").
 * Returns the bytes written; 0: does not fit in size. */
size_t fgw_out_write_request(const struct fgw_out *o, struct fgw_str hop, char *p, size_t size);
size_t fgw_out_write_reply(const struct fgw_out *o, struct fgw_str hop, char *p, size_t size);
size_t fgw_out_size(const struct fgw_out *o);          /* an upper bound, hop not counted */
size_t fgw_out_write_fields(const struct fgw_out_field *f, uint32_t n, char *p);   /* only the lines (trailers) */
size_t fgw_out_fields_size(const struct fgw_out_field *f, uint32_t n);

#endif
