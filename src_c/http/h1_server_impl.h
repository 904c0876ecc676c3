/* http/h1_server_impl.h: the inside of the HTTP/1 server codec, shared by its two files: h1_server.c (what comes in, ends, life) and
 * h1_server_down.c (what the user of the side asks for). Owner, thread and memory: h1.h. Only up-call context may call `over`. */
#ifndef FGW_HTTP_H1_SERVER_IMPL_H
#define FGW_HTTP_H1_SERVER_IMPL_H
#include "http/h1_impl.h"
#include "http/websocket.h"

enum in  { IN_IDLE, IN_HEAD, IN_BODY, IN_TRAILERS, IN_DONE, IN_TUNNEL, IN_LINGER, IN_CLOSED };
enum out { OUT_WAIT, OUT_BODY, OUT_DONE, OUT_TUNNEL, OUT_SHUT };

struct fgw_h1_server {
    struct fgw_conn conn;
    struct fgw_side side;
    struct fgw_h1_env *env;
    const struct fgw_h1_limits *lim;
    struct fgw_demux demux;
    struct fgw_msg *msg;            /* being parsed: a head or a trailer section */
    struct fgw_body body;
    struct fgw_h1_writer w;
    struct fgw_timer read_timer, write_timer;
    struct fgw_job ready, dead;
    uint64_t window;                /* body bytes that may still be given up */
    uint64_t born_ms, body_ms, paused_ms, blocked_ms, blocked_sent;
    uint64_t discarded;
    uint32_t requests, probes;
    uint8_t in, out;
    uint8_t minor;
    bool keep, draining;            /* after this request; the connection takes no further one */
    bool head_request, expect;      /* expect: a 100-continue is owed and the body has not begun */
    bool discard;                   /* the rest of this body is not wanted */
    bool failing;                   /* the codec ends this request itself; down calls are ignored */
    bool key_came;                  /* with the request for a WebSocket: `key`, whose digest the 101 must say */
    char key[FGW_WS_KEY];
};

extern const struct fgw_side_down fgw_h1_server_down;
void fgw_h1_server_linger(struct fgw_h1_server *s);        /* the last answer is queued: end the connection without losing it */
void fgw_h1_server_reply_over(struct fgw_h1_server *s);    /* the reply is complete and nobody is bound */

static inline uint64_t server_now(const struct fgw_h1_server *s) { return fgw_loop_ran_ms(s->env->loop); }
static inline void server_read_timer(struct fgw_h1_server *s, uint64_t ms) { fgw_loop_timer(s->env->loop, &s->read_timer, ms); }
static inline void server_later(struct fgw_h1_server *s) { fgw_job_add(&s->env->loop->ready, &s->ready); }

#endif
