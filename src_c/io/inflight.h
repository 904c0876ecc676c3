/* io/inflight.h: how many requests of a key are in flight, over all workers.
 *
 *   a worker's column: sets of [ entry 0 .. entry 6 | shared ]     entry: tag (40 bits) | count (24 bits)
 *
 * Each worker counts in a column of its own, which nobody else writes; a key's number is the sum over all columns. A worker that
 * dies takes its column with it: the supervisor zeroes it, so no place is ever lost, whatever the worker was doing.
 * Holds    take: first count, then look at the sum, so that of two workers at least one sees the other: never more than max.
 *          When both come for the last place, the lower column looks again for a while and the other steps back.
 * Room     an entry whose count is 0 is free. Keys that find none in their set are counted in `shared`, which counts against every
 *          key of that set: a key can then get less than its due, never more.
 * Owner    the column's worker writes, anybody reads; zeroed by the supervisor when it has no worker. Thread any, any process.
 * Cost     a cache line for each column in use. No allocation. */
#ifndef FGW_IO_INFLIGHT_H
#define FGW_IO_INFLIGHT_H
#include "io/shm.h"

#ifndef FGW_INFLIGHT_WAYS
#define FGW_INFLIGHT_WAYS 7                    /* the model check makes do with fewer, */
#define FGW_INFLIGHT_PATIENCE 16               /* and with less */
#endif
enum { FGW_INFLIGHT_MAX = 1000000 };
struct fgw_inflight_set { _Alignas(64) _Atomic uint64_t e[FGW_INFLIGHT_WAYS]; _Atomic uint64_t shared; };

/* One more of `key` (a keyed hash) in this column, if that makes at most `max`: where it is counted. NULL: the places are taken; *back: it was
 * counted for a moment, and another who looked then may have been told for our sake that there was none. */
_Atomic uint64_t *fgw_inflight_take(struct fgw_shm *m, uint32_t column, uint64_t key, uint32_t max, bool *back);
_Atomic uint64_t *fgw_inflight_add(struct fgw_shm *m, uint32_t column, uint64_t key);      /* whatever the sum */
void     fgw_inflight_sub(_Atomic uint64_t *at);                                            /* by the column's worker */
uint64_t fgw_inflight_sum(struct fgw_shm *m, uint64_t key);
void     fgw_inflight_clear(struct fgw_shm *m, uint32_t column);                            /* supervisor: its worker is dead */

#endif
