/* http/h1.h: HTTP/1.0 and 1.1 over one connection (RFC 9112): a server codec and a client codec on one parser.
 *
 * server  in:  IDLE ─first byte─► HEAD ─complete─► BODY ─► DONE ─reply finished─► IDLE | LINGER     any ─tunnel()─► TUNNEL
 *         out: WAIT ─send_head─► BODY ─finish─► (both done: next request, or end)
 *         One request at a time: pipelined bytes wait, unread beyond 64 KiB, and while more than a window of answers is not taken.
 *         1xx, early answers, HTTP/1.0, close-delimited answers.
 * client  DIALING ─► IDLE ─open─► BUSY ─reply complete and request finished─► IDLE | gone
 *         Any byte or close while idle ends it. A byte behind the body, or a bad answer, means it is never used again.
 * Timers  server: head, keep-alive, body idle and rate, send idle and rate, whole connection, linger. client: body idle, send.
 *         Connect and first byte belong to the try, idle to the pool, a tunnel's silence and age to the exchange.
 * Memory  both from the worker's slabs (fgw_h1_env); an idle connection holds no block and no msg. Freed at settle. */
#ifndef FGW_HTTP_H1_H
#define FGW_HTTP_H1_H
#include "http/side.h"
#include "io/conn.h"

struct fgw_h1_limits {               /* lives as long as any codec made with it: the owner counts */
    struct fgw_head_limits head;
    struct fgw_body_limits body;
    uint32_t window;                 /* body bytes given up and not yet credited */
    uint32_t head_ms, body_idle_ms, body_rate, send_idle_ms, send_rate, keepalive_ms, connection_ms;
    uint32_t half_close_probe_ms, linger_ms;
    uint32_t requests_max;           /* a connection; 0 none */
    uint64_t body_max;               /* 0 none */
    uint8_t  underscores;            /* enum fgw_underscores, of requests */
};
struct fgw_h1_env {                  /* one a worker */
    struct fgw_loop *loop;
    struct fgw_slab msgs, servers, clients;
};
void fgw_h1_env_init(struct fgw_h1_env *e, struct fgw_loop *loop);
void fgw_h1_env_fini(struct fgw_h1_env *e);

/* Serve one accepted connection; peer is copied. NULL: no memory, fd is not closed.
 * drain: what has begun is served with Connection: close. An idle connection is closed after a moment, in which a request that is on its
 * way is still taken; one that has not had its first request waits longer: its client connected to send one. */
struct fgw_demux *fgw_h1_server_new(struct fgw_h1_env *e, int fd, const struct fgw_h1_limits *lim,
                                    const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer);
/* Over another transport: `conn` is initialised inside by fgw_conn_init_memory. */
struct fgw_demux *fgw_h1_server_new_memory(struct fgw_h1_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                           const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer);
struct fgw_conn *fgw_h1_server_conn(struct fgw_demux *d);
void fgw_h1_server_input(struct fgw_demux *d);                         /* bytes are already in the conn (a stage read them) */

struct fgw_h1_client;
/* Dial and speak HTTP/1.1. NULL and errno: could not even begin. Events go to the mux's user. */
struct fgw_mux *fgw_h1_client_dial(struct fgw_h1_env *e, const struct sockaddr *addr, socklen_t len, const struct fgw_h1_limits *lim,
                                   const struct fgw_mux_user *user);
struct fgw_mux *fgw_h1_client_memory(struct fgw_h1_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                     const struct fgw_mux_user *user);
/* The same over a connection that is open already; `from` is left closed. NULL: it is as before. on_ready is not said: it is ready. */
struct fgw_mux *fgw_h1_client_adopt(struct fgw_h1_env *e, struct fgw_conn *from, const struct fgw_h1_limits *lim, const struct fgw_mux_user *user);
struct fgw_conn *fgw_h1_client_conn(struct fgw_mux *m);

#endif
