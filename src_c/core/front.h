/* core/front.h: client connections, from accept to the codec.
 *
 *   accept ─► refused (503: too many)        PROXY listener: ─► stage ─line from a trusted peer─► codec
 *          └► codec                                             └─untrusted, bad, late─► closed without a word
 * Where the listener ends TLS, the handshake stands before the codec and behind the PROXY line.
 *
 * Owner    the worker's slab `fronts`; a front is freed when its codec or stage says that the connection is over.
 * Trust    a PROXY line is taken only from peers in trusted_proxies and on unix sockets; others are closed before a byte is read.
 *          Whether X-Forwarded-For and its kin are believed is then asked of the address that the line told.
 * Thread   the worker's. Cost: a PROXY connection has two more reads than another. */
#ifndef FGW_CORE_FRONT_H
#define FGW_CORE_FRONT_H
#include "core/worker_impl.h"

void fgw_front_accept(struct fgw_listener *l, int fd, const struct sockaddr *sa);   /* takes fd over */
/* Tests: a connection that is no descriptor; no stage comes before the codec. NULL: draining, too many, or no memory. */
struct fgw_conn *fgw_front_memory(struct fgw_listener *l, const struct fgw_transport *tp, const struct fgw_addr *a);
void fgw_fronts_drain(struct fgw_worker *w);     /* each takes its last request, or none; those in a stage when it is done */
void fgw_fronts_cut(struct fgw_worker *w);       /* end all now */

#endif
