/* http/h2_client_impl.h: what the files of the client codec share and nobody else sees. Owner, thread and memory: h2.h. */
#ifndef FGW_HTTP_H2_CLIENT_IMPL_H
#define FGW_HTTP_H2_CLIENT_IMPL_H
#include "http/h2_impl.h"

struct fgw_h2_client {
    struct fgw_h2_conn h;
    struct fgw_mux mux;
    struct fgw_job opening;              /* over memory: the dial comes through at settle */
    struct fgw_h2_stream *spare;         /* what open gives next, so that it never fails */
    uint32_t requests, peer_max;         /* peer_max: streams that the peer allows */
    uint64_t heard_ms;                   /* when something of the peer's came last */
    bool doubt;                          /* it has been silent to a request that was given up, and is asked by PING whether it lives */
    bool ready, told, roomy;             /* on_ready was said; on_gone was, or is not due; on_room is due */
    bool secure, either, spoke;          /* TLS; HTTP/1.1 will do as well; bytes have come */
};
static inline struct fgw_h2_client *fgw_h2_client_of(struct fgw_h2_conn *h) { return fgw_container(h, struct fgw_h2_client, h); }
extern const struct fgw_side_down fgw_h2_client_down;
struct fgw_h2_stream *fgw_h2_client_open(struct fgw_h2_client *c);
void fgw_h2_client_doubt(struct fgw_h2_client *c);                       /* from a downward call */
enum fgw_err fgw_h2_reply_pseudo(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value);
void fgw_h2_reply_head(struct fgw_h2_stream *s, bool end);
void fgw_h2_client_bad(struct fgw_h2_stream *s, enum fgw_err why);
struct fgw_fail fgw_h2_client_lost(struct fgw_h2_stream *s, struct fgw_fail why);
int  fgw_h2_client_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *user);

#endif
