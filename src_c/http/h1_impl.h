/* http/h1_impl.h: what the two HTTP/1 codecs share and nobody else sees: writing heads, framing a body out, slabs' sizes.
 * Owner, thread and memory: the codec that embeds the writer. */
#ifndef FGW_HTTP_H1_IMPL_H
#define FGW_HTTP_H1_IMPL_H
#include <stdio.h>
#include "http/h1.h"

enum { FGW_H1_HOP_MAX = 192, FGW_H1_UPGRADE_MAX = 64 };   /* a longer Upgrade is not passed on, and so not asked for */

/* What the framing says of a body to those above the codec. */
static inline uint8_t fgw_h1_len(enum fgw_framing f)
{
    return f == FGW_BODY_NONE ? FGW_LEN_NONE : f == FGW_BODY_LENGTH ? FGW_LEN_KNOWN : FGW_LEN_UNKNOWN;
}

/* The outgoing body of one message. unacked: body bytes queued whose leaving was not yet reported upward. */
struct fgw_h1_writer {
    uint64_t left;             /* LENGTH: still owed */
    uint64_t unacked;
    uint8_t  framing;          /* enum fgw_framing */
    bool     ended_trailers;   /* the last chunk and trailers are out */
};

/* Set the writer up for a message and write its framing field lines to hop; returns their length. */
uint32_t fgw_h1_request_framing(struct fgw_h1_writer *w, const struct fgw_out *o, char *hop);
uint32_t fgw_h1_reply_framing(struct fgw_h1_writer *w, const struct fgw_out *o, bool bodyless, bool chunked_ok, char *hop);
/* Connection and Upgrade lines of this hop. */
uint32_t fgw_h1_connection(const struct fgw_out *o, bool upgrade, bool keep, int minor, char *hop);

bool fgw_h1_send_request(struct fgw_conn *c, const struct fgw_out *o, struct fgw_str hop);   /* false: no memory, or too long */
bool fgw_h1_send_reply(struct fgw_conn *c, const struct fgw_out *o, struct fgw_str hop);

bool fgw_h1_writer_body(struct fgw_h1_writer *w, struct fgw_conn *c, struct fgw_span s);     /* false: more than promised, or no memory */
void fgw_h1_writer_trailers(struct fgw_h1_writer *w, struct fgw_conn *c, const struct fgw_out_field *f, uint32_t n);
bool fgw_h1_writer_end(struct fgw_h1_writer *w, struct fgw_conn *c);                         /* false: less than promised */
/* `queued` bytes are still in the conn: how many body bytes have left since the last call. */
uint64_t fgw_h1_writer_acked(struct fgw_h1_writer *w, uint64_t queued);

size_t fgw_h1_server_size(void);
size_t fgw_h1_client_size(void);

#endif
