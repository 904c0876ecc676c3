/* http/h2_impl.h: what the files of the HTTP/2 codecs share and nobody else sees. Owner, thread and memory: h2.h.
 *
 *   h2.c  memory, codes, fields     h2_conn.c  a connection: input, output, ends     h2_head.c  header blocks     h2_down.c  bodies out
 *   h2_guard.c  what is not allowed                    h2_server*.c  towards clients     h2_client*.c  towards upstreams
 *
 * nghttp2 is entered from two places only: input (on_input) and output (the pump, from the ready list). What is called down only submits. */
#ifndef FGW_HTTP_H2_IMPL_H
#define FGW_HTTP_H2_IMPL_H
#include <nghttp2/nghttp2.h>
#include "http/h2.h"

enum { FGW_H2_LOOK_MS = 500,             /* how often streams are looked over */
       FGW_H2_OUT_HIGH = 64 << 10 };     /* waiting in the conn: nghttp2 is not asked for more */
enum fgw_h2_state { FGW_H2_DIALING, FGW_H2_OPEN, FGW_H2_NOTICED, FGW_H2_LEAVING, FGW_H2_LINGER, FGW_H2_CLOSED };

enum fgw_h2_spent { FGW_H2_RESETS, FGW_H2_CONTROL, FGW_H2_EMPTY, FGW_H2_SPENT_COUNT };
struct fgw_h2_guard {                /* a leaky bucket each: a limit's worth flows off in ten seconds */
    struct { uint32_t n; uint64_t at_ms; } spent[FGW_H2_SPENT_COUNT];
    uint32_t continuations;          /* of the header block at hand */
    uint32_t late_heads;             /* header blocks that a peer may still send on streams that were reset: it has not heard yet */
    bool begun;                      /* a header block whose end nobody has heard */
    int64_t unheard, late_bytes;     /* bytes read, ever, that no callback was told of; how many of them may be */
};

/* What the two ends do differently. None of it is called from a downward call. */
struct fgw_h2_conn;
struct fgw_h2_stream;
struct fgw_h2_role {
    uint8_t by;                          /* enum fgw_by: whose doing a failure is */
    uint8_t body_idle, body_slow, send_idle, send_slow;                  /* enum fgw_err: what a stream that takes too long failed of */
    enum fgw_err (*pseudo)(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value);
    void (*head)(struct fgw_h2_stream *s, bool end);                     /* s->m is a whole head */
    void (*bad)(struct fgw_h2_stream *s, enum fgw_err why);              /* fail this stream, whose peer is to blame */
    struct fgw_fail (*lost)(struct fgw_h2_stream *s, struct fgw_fail why);   /* its connection is over: what that means to it */
    void (*fault)(struct fgw_h2_conn *h, enum fgw_err why);              /* the peer's: GOAWAY is out. Tell the owner */
    void (*over)(struct fgw_h2_conn *h, struct fgw_fail why);            /* closed, and its streams are told. Tell the owner */
    void (*done)(struct fgw_h2_conn *h);                                 /* after output, with no stream left: is that the end? */
    void (*rested)(struct fgw_h2_conn *h);                               /* the timer, with no stream left */
    void (*aged)(struct fgw_h2_conn *h);                                 /* it has lived as long as it may */
    void (*freed)(struct fgw_h2_conn *h);                                /* a stream's memory goes; also from down calls */
    void (*dead)(struct fgw_h2_conn *h);                                 /* give the memory back */
};

struct fgw_h2_conn {                     /* first in fgw_h2_server and fgw_h2_client */
    struct fgw_conn conn;
    nghttp2_session *ng;
    const struct fgw_h2_role *role;
    struct fgw_h2_env *env;
    const struct fgw_h1_limits *lim;
    const struct fgw_h2_limits *h2;
    struct fgw_job pump, dead;
    struct fgw_timer timer;              /* looks over all streams while there are any; else the role's */
    struct fgw_timer leave_timer;        /* between the two steps of a drain; then lingering */
    struct fgw_link streams, stirred;    /* stirred: those with something to be told or done after output */
    struct fgw_h2_stream *heading;       /* whose header block is, or was last, at hand: nghttp2 looks up by number */
    struct fgw_h2_guard guard;
    uint64_t born_ms, looked_ms, idle_ms, head_ms, sent_ms, discarded;   /* head_ms: when the header block at hand began; 0: none */
    uint32_t nstreams, code;             /* code: of the GOAWAY that a fault of the peer asks for */
    uint8_t state, fault;                /* enum fgw_h2_state; enum fgw_err */
    bool settled, looking;               /* the peer's SETTINGS came; the timer is the streams' */
    bool receiving;                      /* within nghttp2's input: a fault can stop it there */
};

struct fgw_h2_stream {
    struct fgw_side side;
    struct fgw_h2_conn *h;
    struct fgw_link link, stir;
    struct fgw_job dead;
    struct fgw_msg *m;               /* being built: head or trailers */
    struct fgw_buf out;              /* body bytes nghttp2 has not taken */
    struct fgw_buf early;            /* of a tunnel that is not open yet */
    struct fgw_block *trailers;      /* ntrailers nghttp2_nv and their texts */
    uint64_t room;                   /* taken, and not yet told */
    uint64_t left;                   /* still owed of a known length */
    uint64_t held;                   /* given up and not credited */
    uint64_t got, body_ms, read_ms;  /* body bytes that came; since when they are waited for; the last */
    uint64_t out_ms, out_since, taken;
    uint64_t mark;                   /* client: conn.sent before the request's first byte; UINT64_MAX: nghttp2 has not written it */
    uint32_t fill, listed;           /* bytes of m's block in use; of the list as the peer counts it */
    uint32_t ntrailers;
    int32_t id;                      /* client: 0 until the head is sent */
    uint8_t refuse;                  /* enum fgw_err: what is wrong with the head */
    uint8_t scheme;                  /* 0 not seen, 1 http or https, 2 another */
    uint8_t protocol;                /* enum fgw_h2_protocol (h2_tunnel.h): what an extended CONNECT asks for */
    uint8_t failed;                  /* client: enum fgw_err, to be told with the next output */
    uint8_t infos;                   /* client: interim answers */
    bool head_done, head_request, expect, in_end;
    bool out_head, out_end, out_known, eof;    /* eof: nghttp2 has the end of our message */
    bool discard, ours, theirs;      /* the rest of the body is not wanted; we reset it; the peer did */
    bool connect, tunnel, in_told;   /* asked to become a tunnel; is one; its end was told up */
    bool aborted;                    /* on_abort is being or was said: release frees nothing and resets nothing */
    bool released, closed, freed, grpc;        /* grpc: a call: our own answers are in its form */
};

static inline struct fgw_h2_stream *fgw_h2_stream_of(struct fgw_side *s) { return fgw_container(s, struct fgw_h2_stream, side); }
static inline uint64_t fgw_h2_now(const struct fgw_h2_conn *h) { return fgw_loop_ran_ms(h->env->loop); }
static inline void fgw_h2_later(struct fgw_h2_conn *h)
{
    if (h->state < FGW_H2_CLOSED) fgw_job_add(&h->env->loop->ready, &h->pump);
}
static inline void fgw_h2_stir(struct fgw_h2_stream *s)
{
    if (!fgw_link_in(&s->stir)) fgw_list_push(&s->h->stirred, &s->stir);
}
static inline bool fgw_h2_mute(const struct fgw_h2_stream *s) { return s->closed || s->ours; }

/* ---- h2.c ---- */
nghttp2_mem fgw_h2_mem(struct fgw_h2_env *e);
bool fgw_h2_session(struct fgw_h2_conn *h, bool server, const nghttp2_settings_entry *iv, size_t n);     /* makes h->ng; false: no memory */
void fgw_h2_frame_over(struct fgw_h2_env *e);                            /* debug builds: what was in the buffer of all sessions is gone */
uint32_t fgw_h2_code(enum fgw_err why);                                  /* of the RST_STREAM that says it */
/* Fields as nghttp2 takes them, without what HTTP/2 has no place for (8.2.2); v has room for n. Values are copied, names folded or ours. */
size_t fgw_h2_fields(const struct fgw_out_field *f, uint32_t n, nghttp2_nv *v);
static inline nghttp2_nv fgw_h2_nv(struct fgw_str name, struct fgw_str value)   /* name: lower case, and there for ever */
{
    return (nghttp2_nv){(uint8_t *)name.p, (uint8_t *)value.p, name.n, value.n, NGHTTP2_NV_FLAG_NO_COPY_NAME};
}
nghttp2_session_callbacks *fgw_h2_server_callbacks(void);                /* h2_server.c, h2_client.c; NULL: no memory */
nghttp2_session_callbacks *fgw_h2_client_callbacks(void);

/* ---- h2_conn.c ---- */
extern const struct fgw_conn_user fgw_h2_conn_user;                      /* of an open connection; the client's has its own on_open */
void fgw_h2_conn_init(struct fgw_h2_conn *h, const struct fgw_h2_role *role, struct fgw_h2_env *e, const struct fgw_h1_limits *lim,
                      const struct fgw_h2_limits *h2);                   /* *h is zeroed */
void fgw_h2_conn_unmake(struct fgw_h2_conn *h);                          /* one that never began */
nghttp2_session_callbacks *fgw_h2_callbacks(void);                       /* those that both roles have; NULL: no memory */
void fgw_h2_stream_add(struct fgw_h2_conn *h, struct fgw_h2_stream *s);
void fgw_h2_unbind(struct fgw_h2_stream *s);                             /* nghttp2 shall not name it any more */
void fgw_h2_stream_free(struct fgw_h2_stream *s);                        /* closed and released: memory goes at settle */
void fgw_h2_abort_up(struct fgw_h2_stream *s, struct fgw_fail why);      /* processed unless why.retry_safe */
void fgw_h2_streams_abort(struct fgw_h2_conn *h, struct fgw_fail why);
void fgw_h2_over(struct fgw_h2_conn *h, struct fgw_fail why);            /* never from within nghttp2 */
void fgw_h2_lost(struct fgw_h2_conn *h);                                 /* the peer is gone */
void fgw_h2_fault(struct fgw_h2_conn *h);                                /* what trip() asked for */
void fgw_h2_linger(struct fgw_h2_conn *h);
void fgw_h2_pull(struct fgw_h2_conn *h);
void fgw_h2_in_end(struct fgw_h2_stream *s);
int  fgw_h2_on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user);
int  fgw_h2_wasted(struct fgw_h2_conn *h);                               /* a reset, or a fault that causes one */

/* ---- h2_head.c: header blocks, from nghttp2's callbacks ---- */
struct fgw_msg *fgw_h2_msg_new(struct fgw_h2_stream *s);
bool fgw_h2_head_room(struct fgw_h2_stream *s, size_t n);                /* the block of the head in hand takes n more bytes */
uint32_t fgw_h2_head_stash(struct fgw_h2_stream *s, const void *p, size_t n);   /* there is room; where it is */
enum fgw_err fgw_h2_head_field(struct fgw_h2_stream *s, struct fgw_str name, struct fgw_str value);
int  fgw_h2_begin_block(struct fgw_h2_conn *h, struct fgw_h2_stream *s);
int  fgw_h2_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user);
int  fgw_h2_invalid_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nn, const uint8_t *value, size_t vn, uint8_t flags, void *user);
void fgw_h2_head_length(struct fgw_msg *m);                              /* m->len and m->length as Content-Length says */
enum fgw_err fgw_h2_trailers_end(struct fgw_h2_stream *s);

/* ---- h2_guard.c ---- */
int  fgw_h2_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user);
bool fgw_h2_spend(struct fgw_h2_conn *h, enum fgw_h2_spent what);        /* false: past its limit, the connection is to end */
void fgw_h2_allow_late(struct fgw_h2_conn *h);                           /* a stream is reset by us: what is on its way is no fault */
void fgw_h2_read(struct fgw_h2_conn *h, uint32_t n);                     /* so much was read: how much of it for nothing? */
void fgw_h2_refund(struct fgw_h2_conn *h);                               /* we sent data, or a head: the peer owes frames for it */
int  fgw_h2_trip(struct fgw_h2_conn *h, enum fgw_err fault, uint32_t code);     /* what a callback returns then */
void fgw_h2_look(struct fgw_timer *t);                                   /* the clock's judgement of the streams and the connection */

/* ---- h2_down.c: what is sent by both ---- */
void fgw_h2_reset(struct fgw_h2_stream *s, uint32_t code);
void fgw_h2_send_body(struct fgw_side *side, struct fgw_span b);
void fgw_h2_send_trailers(struct fgw_side *side, const struct fgw_out_field *f, uint32_t n);
void fgw_h2_finish(struct fgw_side *side);
void fgw_h2_credit(struct fgw_side *side, uint64_t n);
void fgw_h2_stop_reading(struct fgw_side *side, enum fgw_err why);
ssize_t fgw_h2_read_body(nghttp2_session *ng, int32_t id, uint8_t *p, size_t n, uint32_t *flags, nghttp2_data_source *src, void *user);
int  fgw_h2_send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *framehd, size_t n, nghttp2_data_source *src, void *user);

size_t fgw_h2_client_size(void);

#endif
