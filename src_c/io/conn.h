/* io/conn.h: a stream connection with buffers and a transport table.
 *
 *   CONNECTING ──► OPEN ──close_when_sent──► FINISHING ──flushed──► CLOSED      fail(): any ──► CLOSED (out is dropped)
 *
 * Owner    embedded in a codec (h1 server, h1 client, a stage ...), which is its `user`; single thread.
 * Input    one read an event, into the loop's shared block (small) or a block of its own (bulk); an idle connection holds none.
 *          The bytes not yet taken are contiguous: in_b->data[in_off .. in_end). Heads are kept by taking a reference of in_b.
 * Output   queued in `out`; sent once at settle, with the fewest calls. on_sent tells how many bytes left.
 * Reading  want_read(false) is lazy: the descriptor is only disarmed when it fires meanwhile. The steady state does no epoll_ctl.
 * Fresh    before the first send of a dialled connection what the peer has said unasked is read and told (one recv more a dial).
 * Dials    `up`: the socket is connected; the transport may have more to do (a handshake) before the connection is OPEN.
 * Up calls on_input (bytes, or eof is set), on_sent, on_open (connected), on_fail (once; c->err is an errno, 0: none known).
 *          They come from a turn, a timer or settle, never from a downward call.
 * Ends     cut: what was sent is not all there was to say. A transport that can tell an end from a cut (TLS: close_notify) then says no end.
 * Memory   transport: plain sockets here; `tls` and memory pipes bring their own table, and `tp_state`, which is theirs. */
#ifndef FGW_IO_CONN_H
#define FGW_IO_CONN_H
#include <sys/socket.h>
#include "base/err.h"
#include "io/loop.h"

struct fgw_conn;
struct fgw_conn_user {
    void (*on_open)(struct fgw_conn *c);               /* a dial succeeded; may be NULL for accepted ones */
    void (*on_input)(struct fgw_conn *c);
    void (*on_sent)(struct fgw_conn *c, uint64_t n);   /* after each send; n may be 0 when it was blocked */
    void (*on_fail)(struct fgw_conn *c);               /* reset, refused, ...: no further up call */
};
struct fgw_transport {
    ssize_t (*recv)(struct fgw_conn *c, void *p, size_t n);                      /* as recv(2): -1 and errno */
    ssize_t (*send)(struct fgw_conn *c, const struct iovec *v, int n);
    void (*shut)(struct fgw_conn *c);                                            /* end our direction */
    void (*close)(struct fgw_conn *c, bool reset);
    int  (*arm)(struct fgw_conn *c, uint32_t events);                            /* which events are wanted now */
    /* A dialled socket is connected. 1: it can be used; 0: not yet, and it has armed what it waits for; -1: errno, and perhaps c->why.
     * NULL: always 1. */
    int  (*open)(struct fgw_conn *c);
    void (*moved)(struct fgw_conn *to);                                          /* the connection lives at another place now; NULL: no matter */
};
enum fgw_conn_state { FGW_CONN_CONNECTING, FGW_CONN_OPEN, FGW_CONN_FINISHING, FGW_CONN_CLOSED };
const char *fgw_conn_state_name(enum fgw_conn_state s);

struct fgw_conn {
    struct fgw_watch watch;
    struct fgw_loop *loop;
    const struct fgw_transport *tp;
    void *tp_state;                                    /* the transport's own; NULL for plain sockets */
    const struct fgw_conn_user *user;
    struct fgw_buf out;
    struct fgw_block *in_b;
    uint32_t in_off, in_end;
    struct fgw_job dirty;
    uint64_t sent;                                     /* bytes that left, ever */
    int err;
    uint8_t state;                                     /* enum fgw_conn_state */
    uint8_t why;                                       /* enum fgw_err: the transport knows better than err why it failed; 0: it does not */
    bool want_read, eof, shut_when_sent, shut_done, bulk, oom, kill, cut, up;
    bool fresh;                                        /* dialled, and nothing sent yet: looked at once before the first send */
};

extern const struct fgw_transport fgw_transport_socket;

/* Take over a connected socket (fd >= 0), or start one with `state` CONNECTING whose connect(2) is under way. -1: errno; fd is not closed. */
int  fgw_conn_init(struct fgw_conn *c, struct fgw_loop *l, int fd, bool connecting, const struct fgw_conn_user *user);
/* The same over a transport that is no descriptor. */
void fgw_conn_init_memory(struct fgw_conn *c, struct fgw_loop *l, const struct fgw_transport *tp, const struct fgw_conn_user *user);
/* Begin a non-blocking dial. Returns a socket (connected or connecting), -1: errno. */
int  fgw_conn_dial(const struct sockaddr *addr, socklen_t len, bool *connecting);
enum fgw_err fgw_conn_dial_error(const struct fgw_conn *c);             /* why a dial failed, in on_fail */
void fgw_fd_close(int fd);
void fgw_conn_say(int fd, const char *p, size_t n);    /* say one thing, as far as the socket takes it now, and close */
/* Another codec goes on with an open connection: transport, unread and queued bytes pass to `to`; `from` is left closed. -1: errno, nothing
 * has changed. An event of this batch may be lost on the way: it is level-triggered and comes again. */
int  fgw_conn_move(struct fgw_conn *to, struct fgw_conn *from, const struct fgw_conn_user *user);
void fgw_conn_close(struct fgw_conn *c, bool reset);   /* now; buffers are dropped, no up call follows. Safe to call twice. */

/* ---- downward: only queues ---- */
bool fgw_conn_push(struct fgw_conn *c, struct fgw_span s);            /* takes its own reference. false: no memory, the conn will fail */
bool fgw_conn_copy(struct fgw_conn *c, const void *p, size_t n);
void fgw_conn_dirty(struct fgw_conn *c);
void fgw_conn_want_read(struct fgw_conn *c, bool on);
bool fgw_conn_unheard(const struct fgw_conn *c);       /* TCP only: not one of the bytes sent was acknowledged by the peer's kernel. A system call. */
uint64_t fgw_conn_acked(const struct fgw_conn *c);     /* of the bytes sent; over TLS the least that it can be. A system call. */
void fgw_conn_shut(struct fgw_conn *c);                /* half-close once all queued bytes have left */
void fgw_conn_finish(struct fgw_conn *c);              /* close once all queued bytes have left; on_fail(err 0) then tells the user */
static inline void fgw_conn_cut(struct fgw_conn *c) { c->cut = true, fgw_conn_finish(c); }   /* the same, of a message that stays unfinished */
void fgw_conn_kill(struct fgw_conn *c);                /* drop what is queued and close at settle; on_fail(ECANCELED) then tells the user */

/* ---- input ---- */
static inline const char *fgw_conn_in(const struct fgw_conn *c) { return c->in_b ? c->in_b->data + c->in_off : NULL; }
static inline uint32_t fgw_conn_in_len(const struct fgw_conn *c) { return c->in_end - c->in_off; }
void fgw_conn_take(struct fgw_conn *c, uint32_t n);    /* n bytes were used */
bool fgw_conn_room(struct fgw_conn *c, uint32_t total);/* make sure the unread bytes can grow to `total` contiguously (moves them if need be); false: no memory */
void fgw_conn_event(struct fgw_conn *c, uint32_t events);  /* what the watch calls; memory transports call it themselves */

static inline bool fgw_conn_usable(const struct fgw_conn *c) { return c->state == FGW_CONN_OPEN || c->state == FGW_CONN_CONNECTING; }

#endif
