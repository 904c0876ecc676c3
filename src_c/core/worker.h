/* core/worker.h: one engine. All that Python sees of the C half while it serves.
 *
 * Owner    one thread. Nested in any loop that can watch a descriptor: when fd() is readable, call turn().
 * Settle   every entry (turn, and each call below that queues) ends in settle: ready list, flush, deliver errors, free the dead, arm the timer.
 * Snapshots segments are added by content address, a snapshot is prepared (validated, pools and tables bound; nothing visible yet), then
 *          committed (a pointer swap) or discarded. Requests in flight keep theirs until both heads are done.
 * Errors   functions that can refuse write a sentence into err (size err_n, always NUL-ended) and return -1 or NULL. */
#ifndef FGW_CORE_WORKER_H
#define FGW_CORE_WORKER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"
#include "io/shm.h"

struct fgw_worker;
struct fgw_snapshot;

struct fgw_worker_options {
    struct fgw_shm *shm;                     /* mapped; kept by the caller for the worker's life */
    uint32_t column;                         /* this worker's column */
    const struct fgw_clock_source *clock;    /* NULL: the system's */
};
struct fgw_worker *fgw_worker_new(const struct fgw_worker_options *o, char *err, size_t err_n);
void fgw_worker_free(struct fgw_worker *w);  /* closes everything at once; debug builds demand zero live objects */

int  fgw_worker_fd(const struct fgw_worker *w);
void fgw_worker_turn(struct fgw_worker *w);  /* one batch of ready events, never blocks */
int  fgw_worker_wait(struct fgw_worker *w, int ms);  /* for loops without Python (tests, benchmarks): wait up to ms (-1: for ever) and turn; events served */

/* Segments. add takes over no fd: it maps and the caller may close. Adding a known hash is a no-op. Returns 0. */
int  fgw_worker_segment_add(struct fgw_worker *w, int fd, char *err, size_t err_n);
int  fgw_worker_segment_add_bytes(struct fgw_worker *w, const void *p, size_t n, char *err, size_t err_n);   /* copies: tests */
bool fgw_worker_segment_has(const struct fgw_worker *w, uint64_t hash);
/* Between segments and prepare: compile a few patterns of routes, so that no turn waits for all of them. Returns how many are left. */
uint32_t fgw_worker_compile(struct fgw_worker *w, uint32_t most);
struct fgw_snapshot *fgw_worker_prepare(struct fgw_worker *w, uint64_t root_hash, char *err, size_t err_n);
void fgw_worker_commit(struct fgw_worker *w, struct fgw_snapshot *s);    /* takes s over; segments nobody names any more are unmapped */
void fgw_worker_discard(struct fgw_worker *w, struct fgw_snapshot *s);
uint64_t fgw_worker_generation(const struct fgw_worker *w);              /* of the committed snapshot; 0: none */

/* Keys of TLS session tickets, the same for all workers: n of 80 bytes each (io/tls.h); the first seals, all open. */
void fgw_worker_ticket_keys(struct fgw_worker *w, const void *keys, uint32_t n);

/* Listening sockets. listener_id: the listener's id in the snapshot; socket_id: the supervisor's name of this one socket, unique in a
 * worker: a listener has one for each bind, and for a time those of a slot whose worker is away. fd is already bound, listening and
 * non-blocking; it is dup'ed. shared: an EPOLLEXCLUSIVE socket of all workers (unix). A listener whose id is in no snapshot accepts
 * nothing until it is. A known socket_id is refused. */
int  fgw_worker_listen(struct fgw_worker *w, uint32_t listener_id, uint32_t socket_id, int fd, bool shared, char *err, size_t err_n);
int  fgw_worker_unlisten(struct fgw_worker *w, uint32_t socket_id);      /* closes the dup, connections stay; -1: not known */

/* A column's eventfd, by which workers wake each other (io/bell.h); it is dup'ed. Its own and those of all others, as slots come. */
int  fgw_worker_bell(struct fgw_worker *w, uint32_t column, int fd, char *err, size_t err_n);

/* Close the sockets, and answer what is in flight with Connection: close, close idle ones; at the deadline cut the rest. last: nobody else
 * has the sockets, so who waits in their queues is accepted first; else another worker does that. */
void fgw_worker_drain(struct fgw_worker *w, uint32_t deadline_ms, bool last);
bool fgw_worker_drained(const struct fgw_worker *w);

/* Who runs the hooks of plugins (policy/hook.h); before a snapshot that has some is prepared, and for the worker's life. */
struct fgw_hook_host;
void fgw_worker_host(struct fgw_worker *w, const struct fgw_hook_host *host);
const void *fgw_worker_root(const struct fgw_worker *w, uint64_t hash);          /* an added root segment; NULL: there is none of this hash */
void fgw_worker_settle(struct fgw_worker *w);                            /* ends each entry into the engine that a function above does not */
void fgw_worker_tell(struct fgw_worker *w, int level, const char *text); /* a line of the error log; level 0 debug .. 3 error */

struct fgw_live { uint64_t conns, exchanges, parked_hooks, tries, timers, blocks, block_bytes, mallocs, buf_nodes, h1_servers, h1_clients, snapshots, segments, pools; };
void fgw_worker_live(const struct fgw_worker *w, struct fgw_live *out);

#endif
