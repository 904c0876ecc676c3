/* core/call.h: a subrequest: an exchange with an internal front side.
 *
 * Owner    the worker's slab; freed at settle after `done` was called (once, from settle). A parent that ends cancels its calls.
 * Holds    depth <= FGW_CALL_DEPTH, fan-out <= FGW_CALLS_MAX, reply body <= body_max (beyond it the call fails). Same worker.
 * Cost     one msg, one exchange, one block for its head. Thread one. */
#ifndef FGW_CORE_CALL_H
#define FGW_CORE_CALL_H
#include "core/exchange.h"

struct fgw_call {
    struct fgw_side side;
    struct fgw_worker *w;
    struct fgw_job job;
    struct fgw_buf body;
    struct fgw_ticket parent;
    struct fgw_link sibling;             /* in the parent's children, until it is over */
    void (*done)(struct fgw_call *c);    /* status 0: it failed, see fail */
    void *owner;
    struct fgw_fail fail;
    uint64_t room, body_max;
    uint16_t status;
    bool finished, over, told;
};
/* NULL: refused (caps, memory). */
struct fgw_call *fgw_call_start(struct fgw_exchange *parent, const struct fgw_call_spec *spec, uint64_t body_max,
                                void (*done)(struct fgw_call *), void *owner);
void fgw_call_cancel_all(struct fgw_exchange *parent);       /* up-call context */

#endif
