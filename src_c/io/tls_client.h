/* io/tls_client.h: TLS on connections that we open.
 *
 *   dial ─► conn CONNECTING ─connected─► handshake (transport's `open`) ─done─► OPEN ─► codec
 *                                          └─ refused: conn.why says by whom and why
 *
 * Holds    a certificate is verified, and its name, unless `verify` is off: a name given in the settings, else the endpoint's own.
 * Sessions the newest of each endpoint is kept and offered, so that a new connection to it is a short handshake.
 * Owner    counted: by whoever made it, and by each connection. Thread one, with its env. The time of a dial covers the handshake. */
#ifndef FGW_IO_TLS_CLIENT_H
#define FGW_IO_TLS_CLIENT_H
#include "io/tls.h"

struct fgw_tls_client_options {
    struct fgw_str ca;               /* PEM; empty: the authorities that the system trusts */
    struct fgw_str name;             /* whom to ask for and to expect; empty: the endpoint's host */
    struct fgw_tls_pem own;          /* our certificate; empty: none */
    struct fgw_str ciphers;          /* of TLS 1.2; empty: ours */
    struct fgw_str alpn;             /* protocols offered, each behind its length, the one liked best first; empty: http/1.1 */
    uint8_t min_version;             /* 2, 3 */
    bool verify;
};
struct fgw_tls_client;
struct fgw_tls_client *fgw_tls_client_new(struct fgw_tls_env *e, const struct fgw_tls_client_options *o, char *err, size_t err_n);
struct fgw_tls_client *fgw_tls_client_ref(struct fgw_tls_client *c);
void fgw_tls_client_unref(struct fgw_tls_client *c);                       /* NULL is fine */
bool fgw_tls_client_same(const struct fgw_tls_client *a, const struct fgw_tls_client *b);   /* made of the same settings; NULL: plain text */
/* A conn that has just begun its dial speaks TLS. place: a digest of the endpoint's address; host: its name or address as configured, with
 * or without a port. -1: no memory; the conn is as it was. */
int fgw_tls_dial(struct fgw_tls_client *c, struct fgw_conn *conn, uint64_t place, const char *host);

#endif
