/* testing/net.h: a worker without sockets: its clients and upstreams are pipes that a test plays, its clock moves when told.
 *
 *   test ──write──► in ──recv──► engine          test ◄──read── out ◄──send── engine      room: bytes still taken before EAGAIN
 *
 *   client    connect ─► OPEN ──► over                       upstream   engine dials ─► (as told) OPEN | CONNECTING ─open/fail─► | refused
 *                                                                       accept: the oldest that nobody took
 * For tests only (fastgw.testing is its user); a gateway that serves has no net. The engine is the real one, from the accepted connection
 * to the dialled one; what lies before (accept, PROXY line, TLS) and the kernel's own doings are not played.
 * Owner    the test: net made first (the worker is given its clock), freed last, after the worker. A pipe is freed at rest
 *          when both the engine and the test have let go of it (fgw_pipe_release); what is left, with the net.
 * Time     stands still but for fgw_net_pass, and begins so far ahead that the worker's timerfd never fires by the system's clock.
 * Rest     fgw_net_run gives events, level-triggered as epoll would, until nothing is ready.
 * Thread   the worker's. Cost: a round is linear in open pipes. */
#ifndef FGW_TESTING_NET_H
#define FGW_TESTING_NET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"

struct fgw_net;
struct fgw_pipe;
struct fgw_worker;

enum fgw_net_dial { FGW_NET_OPENS, FGW_NET_HANGS, FGW_NET_REFUSED };
const char *fgw_net_dial_name(enum fgw_net_dial d);

struct fgw_net *fgw_net_new(uint64_t wall_ns);                   /* NULL: no memory */
void fgw_net_free(struct fgw_net *n);                            /* the worker is gone; NULL is fine */
const struct fgw_clock_source *fgw_net_clock(const struct fgw_net *n);
void fgw_net_attach(struct fgw_net *n, struct fgw_worker *w);    /* NULL: it is about to go */
/* After each prepare and commit: the worker's pools dial into this net. */
void fgw_net_adopt(struct fgw_net *n);
/* Before the commit that brings it: a listener with this id, without a socket. Known: nothing happens. False: no memory. */
bool fgw_net_listen(struct fgw_net *n, uint32_t listener_id);

/* A client comes from this address (IPv4, IPv6; anything else is a unix socket's). NULL: refused (draining, too many), or no such listener. */
struct fgw_pipe *fgw_net_connect(struct fgw_net *n, uint32_t listener_id, const char *address, uint16_t port);
/* How dials of an upstream (its name) to an endpoint (its name; "": all others) go from now on. False: no memory. */
bool fgw_net_dials(struct fgw_net *n, const char *upstream, const char *endpoint, enum fgw_net_dial how);
/* The oldest connection that the engine has dialled to this upstream and nobody has taken. NULL: none. */
struct fgw_pipe *fgw_net_accept(struct fgw_net *n, const char *upstream);
uint32_t fgw_net_waiting(const struct fgw_net *n, const char *upstream);   /* how many could be accepted; "": of all upstreams */

bool fgw_net_run(struct fgw_net *n);                             /* until nothing is ready. False: it never came to rest */
/* Let time pass, timer by timer, with a run after each. False as above: `now` says how far it came. */
bool fgw_net_pass(struct fgw_net *n, uint64_t ms);
/* ms until a timer may fire (early, never late; at least 1); UINT64_MAX: none is set. */
uint64_t fgw_net_next(const struct fgw_net *n);
uint64_t fgw_net_now(const struct fgw_net *n);                   /* ms since the net was made */
uint64_t fgw_net_moved(const struct fgw_net *n);                 /* bytes that went through all pipes, ever */
size_t fgw_net_log(struct fgw_net *n, bool errors, char *out, size_t size);   /* whole lines of the access or error log; 0: no more */

enum fgw_pipe_is {               /* bits */
    FGW_PIPE_CONNECTING = 1,     /* dialled, and neither open nor failed */
    FGW_PIPE_ENDED = 2,          /* the engine sends no more */
    FGW_PIPE_CLOSED = 4,         /* the engine has let go of it */
    FGW_PIPE_WAS_RESET = 8,      /* by a reset */
};
bool   fgw_pipe_write(struct fgw_pipe *p, const void *bytes, size_t n);   /* false: no memory; into an ended or closed pipe: dropped */
size_t fgw_pipe_read(struct fgw_pipe *p, char *out, size_t size);
size_t fgw_pipe_unread(const struct fgw_pipe *p);                /* bytes that read would give */
size_t fgw_pipe_untaken(const struct fgw_pipe *p);               /* bytes written that the engine has not read */
void   fgw_pipe_end(struct fgw_pipe *p);                         /* the test sends no more */
void   fgw_pipe_reset(struct fgw_pipe *p);
void   fgw_pipe_room(struct fgw_pipe *p, size_t bytes);          /* takes so many more from the engine; SIZE_MAX: all */
void   fgw_pipe_answer(struct fgw_pipe *p, bool open);           /* a connect that hangs: comes through, or is refused */
unsigned fgw_pipe_is(const struct fgw_pipe *p);                  /* enum fgw_pipe_is */
const char *fgw_pipe_endpoint(const struct fgw_pipe *p);         /* that was dialled; "": a client */
void   fgw_pipe_release(struct fgw_pipe *p);

#endif
