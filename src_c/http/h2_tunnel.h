/* http/h2_tunnel.h: extended CONNECT (RFC 8441), for both roles of the HTTP/2 codec: a stream that asks to become a tunnel, and one that is.
 * Owner, thread and memory: h2.h. What waits for a tunnel that is not open yet is bounded by the stream's window. */
#ifndef FGW_HTTP_H2_TUNNEL_H
#define FGW_HTTP_H2_TUNNEL_H
#include "http/h2_impl.h"

enum fgw_h2_protocol { FGW_H2_PROTOCOL_NONE, FGW_H2_PROTOCOL_WEBSOCKET, FGW_H2_PROTOCOL_OTHER };
enum fgw_err fgw_h2_connect_ask(struct fgw_h2_stream *s);                /* m, a CONNECT with :protocol, becomes a request for an upgrade */
enum fgw_err fgw_h2_connect_agreed(struct fgw_h2_stream *s);             /* m, a 2xx to our CONNECT, becomes a 101 */
bool fgw_h2_tunnel_hold(struct fgw_h2_stream *s, struct fgw_span b);     /* DATA before the tunnel is open. false: no memory */
void fgw_h2_tunnel_run(struct fgw_h2_stream *s);                         /* it is: tell what was held. Up-call context */
void fgw_h2_tunnel(struct fgw_side *side);
void fgw_h2_abort(struct fgw_side *side, enum fgw_err why);
static inline bool fgw_h2_tunnel_waits(const struct fgw_h2_stream *s) { return s->connect && (!s->tunnel || s->early.bytes); }

#endif
