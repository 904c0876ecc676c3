/* io/tls_cert.h: certificates as plain data: what a PEM file holds, and who a verified peer is.
 *
 * Memory   malloc; each result is one block, freed as one.
 * Thread   any. Cost: some 100 µs a certificate; only at prepare, at `check` and once a handshake that shows a client certificate. */
#ifndef FGW_IO_TLS_CERT_H
#define FGW_IO_TLS_CERT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

/* The verified identity of a peer, for policies and logs. Texts hold no control character and no NUL. */
struct fgw_identity {
    struct fgw_str subject;          /* RFC 2253: "CN=alice,O=Example" */
    struct fgw_str cn;               /* the last CN of it; may be empty */
    struct fgw_str fingerprint;      /* SHA-256 of the certificate, 64 hex digits */
    const struct fgw_str *uris, *dns;
    uint32_t nuris, ndns;            /* at most FGW_IDENTITY_NAMES of each; who shows more is refused */
    int64_t  not_after;              /* seconds since 1970 */
};
enum { FGW_IDENTITY_NAMES = 64, FGW_CERT_NAME_MAX = 253 };

/* What a certificate file and its key are. names: DNS names in lower case (the CN where there is no alternative name), each ended by '\n'. */
struct fgw_cert_info {
    int64_t  not_before, not_after;
    char     kind[8];                /* RSA, EC, ED25519 ... */
    uint32_t chain;                  /* certificates in the file */
    char    *names;                  /* malloc; NULL when there are none */
};
/* Read the first certificate and its chain, and (key.n > 0) the key, and see that they belong together. -1: err says what is wrong. */
int  fgw_cert_inspect(struct fgw_str cert, struct fgw_str key, struct fgw_cert_info *out, char *err, size_t err_n);
/* How many certificates a PEM file of authorities holds; -1: none, or one that cannot be read. */
int  fgw_cert_count_ca(struct fgw_str pem, char *err, size_t err_n);

#endif
