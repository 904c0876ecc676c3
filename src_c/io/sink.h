/* io/sink.h: where log lines go: a file, a FIFO, a pipe, a socket or a terminal that must never hold us up.
 *
 *   none ──direct──► open ──failed reopen of a lost file, EPIPE──► lost ──a second later, it opens──► open
 *                     ▲ └─ would block: what is in the buffer stays, the caller comes back
 *                     └── any other error: what is in the buffer is dropped and counted
 *
 * Owner    one thread, except for the counters, which anybody reads.
 * Memory   a buffer of whole lines, its size fixed at init; lines are added only to an empty or written-out buffer.
 * Holds    no call waits for a reader: files of ours and pipes are non-blocking; a descriptor shared with others keeps its flags
 *          and is asked first (poll) and given at most PIPE_BUF bytes, which a writable pipe takes at once.
 *          A line that an error cut is ended before the next begins. Only a regular file on a sick disk can block.
 * Thread   blocks SIGPIPE and SIGXFSZ itself. */
#ifndef FGW_IO_SINK_H
#define FGW_IO_SINK_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fgw_sink_kind { FGW_SINK_NONE, FGW_SINK_PLAIN, FGW_SINK_SOCKET, FGW_SINK_SHARED };
enum { FGW_SINK_RETRY_MS = 1000 };

struct fgw_sink_counters {
    _Atomic uint64_t bytes;       /* written */
    _Atomic uint64_t dropped;     /* lines */
    _Atomic uint64_t errors;      /* failed opens and writes */
    _Atomic uint64_t opens;       /* successful ones, the first included */
    _Atomic int last_errno;       /* of the last error; 0: none since the last success */
};
struct fgw_sink {
    char *path;                   /* owned; NULL: a descriptor was given, or nothing */
    int fd;                       /* owned; -1: not open */
    enum fgw_sink_kind kind;
    bool wanted;                  /* false: lines are thrown away and nobody minds */
    bool stale;                   /* a reopen failed: tried again each second */
    bool torn;                    /* the last byte out was no newline, and the rest of its line is gone */
    uint64_t check_ms;            /* when a lost file is tried, or an open one looked after, again */
    char *buf;
    size_t size, from, to;        /* lines wait in buf[from, to) */
    struct fgw_sink_counters n;
};

int  fgw_sink_init(struct fgw_sink *s, size_t size);      /* 0; -1: no memory */
void fgw_sink_fini(struct fgw_sink *s);                   /* closes; what waits is dropped */
/* From now on to `path` (created with mode 0640 if need be), or to a duplicate of `fd`; neither (NULL, -1): away. A file that does
 * not open is tried again each second. */
void fgw_sink_direct(struct fgw_sink *s, const char *path, int fd, uint64_t now_ms);
/* Open the path anew, as after a rotation. If that fails the old file is kept as long as it still has a name. */
void fgw_sink_reopen(struct fgw_sink *s, uint64_t now_ms);
void fgw_sink_tick(struct fgw_sink *s, uint64_t now_ms);  /* once in a while: retries, and notices that the file was deleted */

static inline bool fgw_sink_empty(const struct fgw_sink *s) { return s->from == s->to; }
/* Room for lines: only while empty is all of it free. */
static inline char *fgw_sink_room(struct fgw_sink *s, size_t *n) { *n = s->size - s->to; return s->buf + s->to; }
static inline void fgw_sink_added(struct fgw_sink *s, size_t n) { s->to += n; }
/* Write what waits. true: nothing waits any more (written, or dropped and counted); false: it would block. */
bool fgw_sink_flush(struct fgw_sink *s, uint64_t now_ms);
void fgw_sink_drop(struct fgw_sink *s);                   /* what waits; counted unless nobody wanted it */
void fgw_sink_close(struct fgw_sink *s);                  /* what waits and what still comes is dropped */

#endif
