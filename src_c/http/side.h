/* http/side.h: one message stream in each direction, seen from one end: the only joint a protocol must honour.
 *
 *            up (called from a turn, a timer or settle)                     down (only queues: never up, never frees, no I/O)
 *   codec ───on_info on_head on_body on_trailers on_end───►  user  ───send_info send_head send_body send_trailers finish──► codec
 *            on_tunnel on_room(n) on_abort(fail, processed)         tunnel credit(n) stop_reading(code) abort(code) release
 *
 * Kinds    server side: a request comes up, replies go down. client side: the reverse. A static answer, a cache hit, an in-process
 *          handler, a test script, a subrequest are sides too.
 * Order    up:   [on_info*] on_head on_body* [on_trailers] on_end;  on_tunnel may follow on_head (client side: after a 101 or a 2xx to
 *          CONNECT; server side: at once for raw streams), then on_body / on_end are tunnel bytes and the peer's half-close.
 *          down: [send_info*] send_head send_body* [send_trailers] finish; tunnel() may follow send_head, then send_body / finish likewise.
 *          on_abort may come at any time, is the last up call, and needs no answer but release.
 * Flow     the user may be given up to `window` body bytes; credit(n) gives back what has left on the other end (h1 reads on, h2 sends
 *          WINDOW_UPDATE). on_room(n): n bytes given to send_body have left towards the peer. Nobody else counts bytes.
 * Failure  on_abort(why, processed): processed == false means that the peer cannot have acted on the request (REFUSED_STREAM, GOAWAY
 *          below the last id, nothing sent): a retry is safe whatever the method.
 *          abort(code): both directions end now: RST_STREAM or a closed connection, for an unfinished message.
 *          stop_reading(code): the rest of the incoming body is not wanted; the outgoing direction goes on.
 * Life     a side belongs to its codec. release() is the user's last call (any time; implies abort if a direction is unfinished);
 *          no up call comes after it, and the codec may use the side's memory for the next message after settle.
 * Memory   on_head and on_trailers hand over the msg. Spans of on_body are borrowed for the call: who keeps bytes takes a reference;
 *          send_body takes its own.
 * Thread   one. */
#ifndef FGW_HTTP_SIDE_H
#define FGW_HTTP_SIDE_H
#include "base/err.h"
#include "http/message.h"

struct fgw_side;
struct fgw_conn;

struct fgw_side_up {
    void (*on_info)(struct fgw_side *s, struct fgw_msg *m);              /* a 1xx other than 101; borrowed */
    void (*on_head)(struct fgw_side *s, struct fgw_msg *m);              /* handed over */
    void (*on_body)(struct fgw_side *s, struct fgw_span bytes);
    void (*on_trailers)(struct fgw_side *s, struct fgw_msg *m);          /* handed over */
    void (*on_end)(struct fgw_side *s);
    void (*on_tunnel)(struct fgw_side *s);
    void (*on_room)(struct fgw_side *s, uint64_t n);
    void (*on_abort)(struct fgw_side *s, struct fgw_fail why, bool processed);
};
struct fgw_side_down {
    const char *name;                                                    /* "h1", "h2", "raw", "static" ...: for logs */
    void (*send_info)(struct fgw_side *s, const struct fgw_out *o);
    void (*send_head)(struct fgw_side *s, const struct fgw_out *o);
    void (*send_body)(struct fgw_side *s, struct fgw_span bytes);
    void (*send_trailers)(struct fgw_side *s, const struct fgw_out_field *f, uint32_t n);
    void (*finish)(struct fgw_side *s);
    void (*tunnel)(struct fgw_side *s);
    void (*credit)(struct fgw_side *s, uint64_t n);
    void (*stop_reading)(struct fgw_side *s, enum fgw_err why);
    void (*abort)(struct fgw_side *s, enum fgw_err why);
    void (*release)(struct fgw_side *s);
    /* Server sides, or NULL; asked when places are short (core/yield.c): bytes that the peer's system has acknowledged on the connection, and one
     * more. 0: the peer itself lets no more of this answer come, by its windows. May be a system call. */
    uint64_t (*taken)(struct fgw_side *s);
};
struct fgw_identity;
/* What a policy may know of the peer: plain data, filled by conn and stages. Texts live as long as the connection. */
struct fgw_peer {
    struct fgw_str address;        /* "192.0.2.1", "2001:db8::1", "unix"; after PROXY: what it said */
    uint64_t ip_hi, ip_lo;         /* the same as 128 bits (IPv4 mapped); 0, 0 for unix */
    uint16_t port;
    bool     trusted;              /* in trusted_proxies: its forwarding fields are believed */
    bool     tls;
    const struct fgw_identity *identity;   /* of the certificate that it showed and we verified (io/tls_cert.h); NULL: none */
};
struct fgw_side {
    const struct fgw_side_down *down;
    const struct fgw_side_up *up;
    void *user;                    /* of up */
    const struct fgw_peer *peer;   /* server sides; NULL else */
    uint8_t minor;                 /* the peer's HTTP/1.minor; 1 for later protocols */
    uint8_t h;                     /* 1, 2, 3; 0: not HTTP */
    uint32_t silence_ms;           /* its user's word: either direction may be slow, and both silent for so long (0: as bodies may). HTTP/1 does not ask */
};

/* A connection that carries server sides: the worker's view of an h1, h2 or raw connection of a client. Made by its codec's _new, freed by
 * itself at settle after gone. */
struct fgw_demux;
struct fgw_demux_user {
    void (*begin)(struct fgw_demux *d, struct fgw_side *side);           /* a request: bind the side (up, user) now; on_head follows in the same up call */
    /* A request that never became one (malformed, timed out): for the log; the codec answers it itself. m may be NULL or incomplete. */
    void (*refused)(struct fgw_demux *d, const struct fgw_msg *m, enum fgw_err why);
    void (*gone)(struct fgw_demux *d);                                   /* over; called once, after the last side's on_abort */
    /* The first bytes are another protocol's (HTTP/2's preface on an HTTP/1 connection): have its codec adopt the conn. True: done, the demux
     * is over without gone. False, or NULL: not served here. */
    bool (*other)(struct fgw_demux *d, struct fgw_conn *conn);
};
struct fgw_demux {
    const struct fgw_demux_ops *ops;
    const struct fgw_demux_user *user;
    void *owner;                   /* of user */
    struct fgw_peer peer;          /* the codec's own copy: sides point here */
    char address[48];              /* of peer */
    uint8_t h;                     /* of its sides */
};
static inline void fgw_demux_init(struct fgw_demux *d, const struct fgw_demux_ops *ops, const struct fgw_demux_user *user, void *owner,
                                  const struct fgw_peer *peer)
{
    *d = (struct fgw_demux){ops, user, owner, *peer, "", 1};
    uint32_t n = peer->address.n < sizeof d->address ? peer->address.n : sizeof d->address;
    if (n) memcpy(d->address, peer->address.p, n);
    d->peer.address = fgw_str(d->address, n);
}
struct fgw_demux_ops {
    void (*drain)(struct fgw_demux *d);                                  /* answer what has begun and what is on its way, then over */
    void (*cut)(struct fgw_demux *d);                                    /* over now: sides get on_abort, then gone */
};

/* A connection that carries client sides: the pool's view of an h1, h2 or raw connection to an endpoint.
 *   DIALING ──on_ready──► OPEN(used of max) ──no_more──► DRAINING ──last released──► gone (on_gone is called once, from any state) */
struct fgw_mux;
struct fgw_mux_user {
    void (*on_ready)(struct fgw_mux *m);                                 /* the dial succeeded: max is known */
    void (*on_room)(struct fgw_mux *m);                                  /* a place came free (used went down, or max up) */
    void (*on_gone)(struct fgw_mux *m, struct fgw_fail why);             /* never usable again; the codec frees itself at settle */
    /* While dialing: the peer chose another protocol. Have its codec adopt the conn. True: done, m is over without on_gone. False, or NULL:
     * no other will do. */
    bool (*other)(struct fgw_mux *m, struct fgw_conn *conn);
};
struct fgw_mux {
    const struct fgw_mux_ops *ops;
    const struct fgw_mux_user *user;
    void *owner;                   /* of user */
    uint32_t used, max;            /* max 0: still dialing */
    bool no_more;                  /* draining: takes no further side */
};
struct fgw_mux_ops {
    struct fgw_side *(*open)(struct fgw_mux *m);                         /* used < max; never fails, may abort its side later */
    void (*close)(struct fgw_mux *m);                                    /* no more; gone when the last side is released; at once when unused. on_gone does not follow */
};

#endif
