/* http/h2_server_impl.h: what the files of the HTTP/2 codec towards clients share: h2_server.c (connections, requests, drains),
 * h2_server_head.c (heads of requests), h2_server_down.c (what is sent). Owner, thread and memory: h2.h. */
#ifndef FGW_HTTP_H2_SERVER_IMPL_H
#define FGW_HTTP_H2_SERVER_IMPL_H
#include "http/h2_tunnel.h"

struct fgw_h2_server {
    struct fgw_h2_conn h;
    struct fgw_demux demux;
    uint32_t requests;
};
static inline struct fgw_h2_server *fgw_h2_server_of(struct fgw_h2_conn *h) { return fgw_container(h, struct fgw_h2_server, h); }
extern const struct fgw_side_down fgw_h2_server_down;
struct fgw_h2_stream *fgw_h2_stream_new(struct fgw_h2_conn *h, int32_t id);      /* NULL: no memory */
int  fgw_h2_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *user);
enum fgw_err fgw_h2_set_method(struct fgw_h2_stream *s, struct fgw_str v);
enum fgw_err fgw_h2_request_pseudo(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value);
enum fgw_err fgw_h2_head_end(struct fgw_h2_stream *s, bool end);         /* of m: what is wrong with it as a whole; its body's length */
void fgw_h2_refuse(struct fgw_h2_stream *s, enum fgw_err why);           /* tell who is bound, or the owner, and answer in its place. Up-call context */
void fgw_h2_leave(struct fgw_h2_server *server);                         /* the second step at once */
void fgw_h2_drain(struct fgw_h2_server *server);
size_t fgw_h2_server_size(void);

#endif
