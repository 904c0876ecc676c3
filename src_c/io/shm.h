/* io/shm.h: the shared memory of a gateway: one large sparse mapping that never moves.
 *
 * Owner    the supervisor makes it (a sealed-size memfd, sparse: untouched pages cost nothing) and gives out offsets by identity;
 *          workers map it. Offsets, never pointers, are stored in it.
 * Memory   [header | stats columns | gauges columns | bells | in-flight columns | rings | endpoint tables, buckets ...]. The regions'
 *          places are in the header.
 * Thread   any process: atomics only. A count that goes up and later down has a column per worker, summed on read and zeroed
 *          by the supervisor at that worker's death.
 *          A count that only goes up stays in its column when the worker dies: its successor goes on from there.
 * Holds    magic, layout and every region's place are checked at map; a mismatch refuses the mapping. The file can neither grow
 *          nor shrink (sealed), so no process can make another one fault. */
#ifndef FGW_IO_SHM_H
#define FGW_IO_SHM_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/hash.h"
#include "io/ring.h"

#define FGW_SHM_MAGIC  0x316d687377676600ull
#define FGW_SHM_LAYOUT 3
enum { FGW_SHM_WORKERS = 512, FGW_SHM_STATS = 32768, FGW_SHM_RING = 1 << 20, FGW_SHM_ERROR_RING = 1 << 18,
       FGW_SHM_CELL = 320, FGW_SHM_GAUGES = 128,      /* bytes of a stats cell and of a gauges column (core/stats.h asserts them) */
       FGW_SHM_INFLIGHT = 1 << 20,                    /* bytes of a column of requests in flight by key (io/inflight.h) */
       FGW_SHM_BELL = 576,                            /* bytes of a column's bell (io/bell.h) */
       FGW_SHM_PAGE = 4096 };

struct fgw_shm {                      /* the header, at offset 0 */
    uint64_t magic;
    uint32_t layout, workers;         /* columns */
    uint64_t size;
    struct fgw_hash_key key;          /* of all keyed hashes */
    uint64_t stats_off;               /* fgw_stats_cell [worker][FGW_SHM_STATS] */
    uint64_t gauges_off;              /* fgw_gauges [worker] */
    uint64_t bells_off;               /* fgw_bell [worker] */
    uint64_t inflight_off;            /* fgw_inflight_set [worker][...] */
    uint64_t log_off, error_off;      /* access-log and error-log rings, one a worker */
    uint64_t heap_off;                /* given out by the supervisor from here on: endpoint tables, tables of buckets */
    _Atomic uint32_t used;            /* columns below this have rings and may have had a worker: who looks at all looks at these */
    uint32_t pad;
    _Alignas(64) _Atomic uint64_t listening[FGW_SHM_WORKERS / 64];   /* bit c % 64 of word c / 64: column c wants to be told (io/bell.h) */
};

/* Supervisor: make one of `size` bytes for `workers` columns, the first of them in use. Returns the memfd, *map set; -1: errno. */
int  fgw_shm_create(uint64_t size, uint32_t workers, struct fgw_shm **map);
/* Worker: map a memfd. NULL: not ours or wrong layout (*why is a constant text). */
struct fgw_shm *fgw_shm_map(int fd, const char **why);
void fgw_shm_unmap(struct fgw_shm *m);
/* Supervisor, before a column's first worker: make its rings, and those of all columns below. Again: nothing happens. A column
 * not yet in use costs no memory; a writer there finds no room. */
void fgw_shm_use(struct fgw_shm *m, uint32_t column);
/* Bytes that `workers` columns take before the heap begins: the least size for create. */
uint64_t fgw_shm_fixed(uint32_t workers);
/* A stats slot in one column: FGW_SHM_CELL bytes. Its column's worker writes, anybody reads. */
static inline void *fgw_shm_cell(struct fgw_shm *m, uint32_t column, uint32_t slot)
{
    return (char *)m + m->stats_off + ((uint64_t)column * FGW_SHM_STATS + slot) * FGW_SHM_CELL;
}
/* Make [offset, offset + n) zero again and give its whole pages back: what nobody uses any more. */
void fgw_shm_zero(struct fgw_shm *m, uint64_t offset, uint64_t n);
/* A column's rings: whole lines, newline included. Writer: the column's worker. Reader: the supervisor's drain. */
struct fgw_ring *fgw_shm_log(struct fgw_shm *m, uint32_t column);
struct fgw_ring *fgw_shm_error_log(struct fgw_shm *m, uint32_t column);

/* Snapshot segments: a sealed read-only memfd with these bytes; -1: errno. map: the whole file, read-only; NULL: errno (EINVAL if
 * it is empty, EPERM if it is not sealed against writing and shrinking). */
int   fgw_seg_memfd(const char *name, const void *p, size_t n);
void *fgw_seg_map(int fd, size_t *n);
void  fgw_seg_unmap(void *p, size_t n);

#endif
