/* io/drain.h: the supervisor's thread that empties the workers' log rings into the logs' places.
 *
 *   worker 0 ─ring─┐                     ┌─► access sink
 *   worker 1 ─ring─┼─► drain's thread ───┤
 *   supervisor ────┘   (1 to 20 ms)      └─► error sink
 *
 * Owner    the supervisor. The thread touches no Python and blocks all signals.
 * Pace     sleeps 1 to 20 ms: shorter when a ring was found a quarter full, longer when it was nearly empty. So long that an idle
 *          gateway wakes 50 times a second, so short that a burst of 50 MB/s out of nothing does not overrun a ring.
 * Holds    a place that takes nothing (FIFO without a reader, full pipe) stops only its own log; the rings behind it fill, and the
 *          workers drop and count. A place that refuses (disk full, reader gone, folder gone) drops and counts here.
 * Memory   a buffer as large as a ring for each log, touched as far as it is used. */
#ifndef FGW_IO_DRAIN_H
#define FGW_IO_DRAIN_H
#include <stddef.h>
#include <stdint.h>
#include "io/shm.h"

enum fgw_drain_log { FGW_DRAIN_ACCESS, FGW_DRAIN_ERROR, FGW_DRAIN_LOGS };
struct fgw_drain;
struct fgw_drain_to { const char *path; int fd; };   /* a path, or (NULL) a descriptor, which is duplicated; NULL and -1: away */
struct fgw_drain_counters {
    uint64_t bytes, dropped, errors, opens;          /* as in io/sink.h */
    int last_errno;
};

/* Places are opened before this returns: counters tell whether they could be. NULL: errno (memory, threads). m outlives it. */
struct fgw_drain *fgw_drain_start(struct fgw_shm *m, const struct fgw_drain_to to[FGW_DRAIN_LOGS]);
int  fgw_drain_direct(struct fgw_drain *d, enum fgw_drain_log log, struct fgw_drain_to to);   /* another place, soon; -1: errno */
void fgw_drain_reopen(struct fgw_drain *d);          /* paths, soon: after a rotation */
/* A line of the supervisor's own (newline included) for the error log; full: dropped and counted. One thread at a time. */
void fgw_drain_say(struct fgw_drain *d, const char *line, size_t n);
void fgw_drain_count(const struct fgw_drain *d, enum fgw_drain_log log, struct fgw_drain_counters *out);
/* Write what is in the rings, for at most patience_ms; the rest is dropped. dropped (may be
 * NULL): lines dropped here, over its whole life. Frees d. */
void fgw_drain_stop(struct fgw_drain *d, uint32_t patience_ms, uint64_t dropped[FGW_DRAIN_LOGS]);

#endif
