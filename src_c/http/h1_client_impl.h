/* http/h1_client_impl.h: the inside of the HTTP/1 client codec, shared by its two files: h1_client.c (what comes in, ends, life) and
 * h1_client_down.c (what the user of the side and the pool ask for). Owner, thread and memory: h1.h. Only up-call context may call `over`. */
#ifndef FGW_HTTP_H1_CLIENT_IMPL_H
#define FGW_HTTP_H1_CLIENT_IMPL_H
#include "http/h1_impl.h"
#include "http/websocket.h"

enum state { S_DIALING, S_IDLE, S_BUSY, S_GONE };
enum in    { IN_WAIT, IN_BODY, IN_TRAILERS, IN_DONE, IN_TUNNEL };
enum out   { OUT_WAIT, OUT_BODY, OUT_DONE, OUT_TUNNEL, OUT_SHUT };

struct fgw_h1_client {
    struct fgw_conn conn;
    struct fgw_mux mux;
    struct fgw_side side;
    struct fgw_h1_env *env;
    const struct fgw_h1_limits *lim;
    struct fgw_msg *msg;
    struct fgw_body body;
    struct fgw_h1_writer w;
    struct fgw_timer read_timer, write_timer;
    struct fgw_job ready, freed, dead;
    uint64_t window;                   /* body bytes that may still be given up */
    uint64_t mark;                     /* conn.sent when this request began */
    uint32_t requests;
    uint8_t state, in, out, infos;
    bool keep, head_request, upgrade_asked, closing, blocked;
    bool tcp, heard;                   /* heard: the peer's kernel has acknowledged bytes of ours, or that cannot be asked */
    bool key_ours;                     /* the WebSocket handshake is ours: `accept` is what its 101 must say */
    char accept[FGW_WS_ACCEPT];
};

extern const struct fgw_side_down fgw_h1_client_down;
extern const struct fgw_mux_ops fgw_h1_client_mux;

static inline void client_read_timer(struct fgw_h1_client *c, uint64_t ms) { fgw_loop_timer(c->env->loop, &c->read_timer, ms); }
static inline void client_later(struct fgw_h1_client *c) { fgw_job_add(&c->env->loop->ready, &c->ready); }

#endif
