/* http/h2.h: HTTP/2 (RFC 9113) on nghttp2: a server codec and a client codec. Streams are sides; nothing above knows that they share a connection.
 *
 * server
 *   OPEN ──drain──► NOTICED ──answered──► LEAVING ──last stream──► LINGER ──► CLOSED        OPEN.. ──fault──► LINGER (GOAWAY with its code)
 *   drain is in two steps (section 6.8): GOAWAY with the highest id and a PING, then, when that is answered, GOAWAY with the last one taken.
 * client
 *   DIALING ─connected─► OPEN ─its SETTINGS─► (ready) ─GOAWAY, requests_max, close()─► no_more ─last stream─► LINGER ─► CLOSED
 *   The peer has shown that it speaks HTTP/2 before it gets a request. max is what it allows, at most `streams`, and follows its SETTINGS.
 *   A stream that it refuses, or that its GOAWAY leaves out, or whose first byte never left, is told as not processed. Push is off.
 *
 * Flow     automatic window updates are off. The connection's window is given back as bytes come, so that no stream holds another up; a
 *          stream's by credit. A connection holds at most streams x window body bytes. Output is pulled from nghttp2 only while less than
 *          64 KiB wait in the conn; DATA leaves as references of the spans it was given, not as copies.
 * Guards   what a peer may make us do for nothing is counted (h2_guard.c): resets, control frames, empty frames, continuations, header
 *          bytes. Past its limit the connection ends with GOAWAY ENHANCE_YOUR_CALM and its own word in the log.
 * Tunnels  extended CONNECT for WebSocket (RFC 8441) is to those above what HTTP/1.1 asks by Upgrade (h2_tunnel.c); plain CONNECT is refused.
 * Not here push is never made; the priorities of RFC 7540 are switched off, those of RFC 9218 are nghttp2's.
 * Memory   connections and streams from slabs; nghttp2's own from fgw_h2_memory: slabs for what is small, all of it counted.
 * Thread   one. */
#ifndef FGW_HTTP_H2_H
#define FGW_HTTP_H2_H
#include "http/h1.h"

struct nghttp2_session_callbacks;
struct nghttp2_option;

struct fgw_h2_limits {               /* beside fgw_h1_limits, whose times, heads and bodies hold here too; lives as long */
    uint32_t streams;                /* open at once, of one connection */
    uint32_t window;                 /* of a stream: body bytes given up and not yet credited */
    uint32_t connection_window;
    uint32_t resets, control, empty; /* in ten seconds: streams that end by reset or fault; PING, SETTINGS and the like; frames of no use. 0: no limit */
    bool on;                         /* prior knowledge is served */
};

enum { FGW_H2_SIZES = 10 };          /* 32 to 1,024 bytes */
struct fgw_h2_memory {
    struct fgw_slab small[FGW_H2_SIZES];
    uint8_t class_of[65];            /* of a size in units of 16 bytes, rounded up */
    bool lends;                      /* a session is being made: its first output buffer is `frame` */
    void *frame;                     /* 16 KiB that all sessions write their frames to; nothing is in it while none is within its output */
    uint64_t bytes, max;             /* taken, with what classes round up, without `frame`. max 0: none; above it nghttp2 is refused */
};

struct fgw_h2_env {                  /* one a worker */
    struct fgw_loop *loop;
    struct fgw_h1_env *h1;           /* its msgs */
    struct fgw_slab servers, clients, streams;
    struct fgw_h2_memory memory;
    struct nghttp2_session_callbacks *callbacks, *client_callbacks;
    struct nghttp2_option *option;
    struct fgw_block *heads;         /* where header blocks are put together, one behind the other; one reference held here */
    uint32_t heads_fill;
};
bool fgw_h2_env_init(struct fgw_h2_env *e, struct fgw_loop *loop, struct fgw_h1_env *h1);     /* false: no memory; fini is due all the same */
void fgw_h2_env_fini(struct fgw_h2_env *e);

/* As fgw_h1_server_new, for a connection on which HTTP/2 was agreed (ALPN) or is known. NULL: no memory, fd is not closed. */
struct fgw_demux *fgw_h2_server_new(struct fgw_h2_env *e, int fd, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                    const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer);
/* The same over a connection that is open already, with its transport and the bytes it has read; `from` is left closed. NULL: it is as before. */
struct fgw_demux *fgw_h2_server_adopt(struct fgw_h2_env *e, struct fgw_conn *from, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                      const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer);
struct fgw_demux *fgw_h2_server_new_memory(struct fgw_h2_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim,
                                           const struct fgw_h2_limits *h2, const struct fgw_demux_user *user, void *owner, const struct fgw_peer *peer);
struct fgw_conn *fgw_h2_server_conn(struct fgw_demux *d);

/* Dial and speak HTTP/2: by prior knowledge; over TLS, which the caller attaches at once, if ALPN says h2; or, where it says otherwise, have
 * mux_user.other go on (EITHER). NULL and errno: could not even begin. Events go to the mux's user. */
enum fgw_h2_how { FGW_H2_PLAIN, FGW_H2_TLS, FGW_H2_TLS_EITHER };
struct fgw_mux *fgw_h2_client_dial(struct fgw_h2_env *e, const struct sockaddr *addr, socklen_t len, enum fgw_h2_how how, const struct fgw_h1_limits *lim,
                                   const struct fgw_h2_limits *h2, const struct fgw_mux_user *user);
struct fgw_mux *fgw_h2_client_memory(struct fgw_h2_env *e, const struct fgw_transport *tp, const struct fgw_h1_limits *lim, const struct fgw_h2_limits *h2,
                                     const struct fgw_mux_user *user);
struct fgw_conn *fgw_h2_client_conn(struct fgw_mux *m);

/* How these bytes begin: 1 with the whole client preface (section 3.4), 0 with a part of it and nothing else, -1 with something else. */
int fgw_h2_preface(const char *p, uint32_t n);

#endif
