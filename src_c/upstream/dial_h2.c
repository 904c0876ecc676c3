/* Connections to endpoints that speak HTTP/2, and to those that are asked by ALPN what they speak. */
#include <errno.h>
#include "base/hash.h"
#include "upstream/pool.h"

static struct fgw_mux *dial(struct fgw_pool *p, const struct fgw_endpoint *e, enum fgw_h2_how how, const struct fgw_mux_user *user)
{
    struct fgw_mux *m = fgw_h2_client_dial(p->env->h2, (const struct sockaddr *)e->addr, e->addr_len, how, &p->limits, &p->h2, user);
    if (!m || !p->tls || fgw_tls_dial(p->tls, fgw_h2_client_conn(m), fgw_hash_xxh3(e->addr, e->addr_len), e->name) == 0) return m;
    m->ops->close(m);
    errno = ENOMEM;
    return NULL;
}

static struct fgw_mux *dial_h2(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    return dial(p, e, p->tls ? FGW_H2_TLS : FGW_H2_PLAIN, user);
}

/* Without TLS there is nothing to agree by: HTTP/1.1, as any server speaks. */
static struct fgw_mux *dial_auto(struct fgw_pool *p, const struct fgw_endpoint *e, const struct fgw_mux_user *user)
{
    return p->tls ? dial(p, e, FGW_H2_TLS_EITHER, user) : fgw_dial_h1.dial(p, e, user);
}

static struct fgw_mux *other(struct fgw_pool *p, struct fgw_conn *conn, const struct fgw_mux_user *user)
{
    return fgw_h1_client_adopt(p->env->h1, conn, &p->limits, user);
}

const struct fgw_dialer fgw_dial_h2 = {"h2", dial_h2, NULL};
const struct fgw_dialer fgw_dial_auto = {"auto", dial_auto, other};
