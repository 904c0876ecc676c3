/* Connections to endpoints that speak HTTP/1.1, by TLS where the pool has settings for it. */
#include <errno.h>
#include "base/hash.h"
#include "upstream/pool.h"

static struct fgw_mux *dial_h1(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    struct fgw_mux *m = fgw_h1_client_dial(p->env->h1, (const struct sockaddr *)e->addr, e->addr_len, &p->limits, user);
    if (!m || !p->tls || fgw_tls_dial(p->tls, fgw_h1_client_conn(m), fgw_hash_xxh3(e->addr, e->addr_len), e->name) == 0) return m;
    m->ops->close(m);
    errno = ENOMEM;
    return NULL;
}

const struct fgw_dialer fgw_dial_h1 = {"h1", dial_h1, NULL};
