/* base/buf.h: a queue of spans: what waits to leave a connection, or is kept for a replay.
 *
 * Owner    a conn or an exchange; single thread.
 * Memory   nodes come from the `fgw_bufs` (a slab and the blocks they point into); each node holds one block reference.
 *          Small appended copies share the home's `tail` block, so a head and a short body leave as one piece.
 * Holds    bytes = sum of node lengths.
 * Cost     O(1) per call; no allocation when slab and block are warm. false: no memory, nothing changed. */
#ifndef FGW_BASE_BUF_H
#define FGW_BASE_BUF_H
#include <stdbool.h>
#include <sys/uio.h>
#include "base/block.h"
#include "base/slab.h"
#include "base/str.h"

struct fgw_bufs {                 /* shared by all bufs of a worker */
    struct fgw_blocks *blocks;
    struct fgw_slab nodes;
    struct fgw_block *tail;       /* where copies go; one reference held here */
    uint32_t fill;
};
struct fgw_buf_node { struct fgw_buf_node *next; struct fgw_span s; };
struct fgw_buf { struct fgw_buf_node *first, *last; uint64_t bytes; };

void fgw_bufs_init(struct fgw_bufs *h, struct fgw_blocks *blocks);
void fgw_bufs_fini(struct fgw_bufs *h);

bool fgw_buf_push(struct fgw_bufs *h, struct fgw_buf *b, struct fgw_span s);            /* takes s's reference on success */
bool fgw_buf_copy(struct fgw_bufs *h, struct fgw_buf *b, const void *p, size_t n);      /* append a copy */
/* Contiguous room for exactly n (<= 64 KiB) bytes to be written at once; commit what was used, before any other call on h. NULL: no memory. */
char *fgw_buf_room(struct fgw_bufs *h, size_t n);
bool fgw_buf_commit(struct fgw_bufs *h, struct fgw_buf *b, size_t n);
void fgw_buf_consume(struct fgw_bufs *h, struct fgw_buf *b, size_t n);                  /* from the front; n <= bytes */
void fgw_buf_clear(struct fgw_bufs *h, struct fgw_buf *b);
int  fgw_buf_iov(const struct fgw_buf *b, struct iovec *iov, int max);                  /* how many were filled */
void fgw_buf_move(struct fgw_buf *to, struct fgw_buf *from);                            /* all of from to the tail of to */

#endif
