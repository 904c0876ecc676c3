/* io/tls_impl.h: the only header that names OpenSSL's types, for io/tls*.c only. */
#ifndef FGW_IO_TLS_IMPL_H
#define FGW_IO_TLS_IMPL_H
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include "io/tls.h"
#include "io/tls_cert.h"

enum { RECORD = 16384, SID = 32 };

struct fgw_tls_env {
    BIO_METHOD *bio;
    EVP_CIPHER *aes;
    struct { unsigned char name[16], aes[32], mac[32]; } keys[FGW_TLS_TICKET_KEYS];
    uint32_t nkeys;
    uint32_t refs;                   /* of it: the owner and its servers */
    char gather[RECORD];             /* one record's worth of spans, made contiguous */
};

enum { SET_MAX = 4 };                /* key types that a name may have certificates of */
struct tls_set { uint32_t cert[SET_MAX], n; SSL_CTX *ctx; };   /* ctx NULL: not made yet */
struct tls_name { char *text; uint32_t set; };       /* lower case; "*.example.com" as written */
struct fgw_tls_server {
    struct fgw_tls_env *env;
    uint32_t refs, nnames, nsets;
    struct tls_name *names;          /* sorted */
    struct tls_set *sets;            /* [0]: for clients that name nobody we know */
    struct fgw_tls_options o;        /* with texts of its own: */
    char *texts;
    size_t texts_n;
    uint8_t alpn_n;
    unsigned char alpn[64];
};

enum { SESSIONS = 16 };
struct fgw_tls_client {
    struct fgw_tls_env *env;
    SSL_CTX *ctx;
    uint32_t refs;
    bool verify;
    unsigned char key[SID];          /* digest of the settings */
    char name[FGW_CERT_NAME_MAX + 1];
    struct { uint64_t place; SSL_SESSION *session; } sessions[SESSIONS];   /* the newest of an endpoint, at its place modulo SESSIONS */
};

struct fgw_tls {
    SSL *ssl;
    struct fgw_tls_env *env;
    struct fgw_loop *loop;
    struct fgw_conn *c;              /* NULL: still in its stage */
    struct fgw_tls_server *server;   /* of one that a client opened; NULL else */
    struct fgw_tls_client *client;   /* of one that we opened; NULL else */
    uint64_t place;                  /* client: of the endpoint */
    struct fgw_identity *identity;
    struct fgw_job ready, dead;
    int fd, io_err;
    bool peer_gone;                  /* end of file, of the socket */
    bool broken;                     /* no further record can be read or written */
    bool ended;                      /* the peer's close_notify has come */
    bool read_waits, shut_waits;     /* for room in the socket */
    bool more;                       /* another record follows in this call: TCP need not send this one alone */
    uint8_t why;                     /* enum fgw_err, set by a callback that refuses */
};

/* tls.c */
struct fgw_tls *fgw_tls_make(struct fgw_tls_env *e, SSL_CTX *ctx, struct fgw_loop *l, int fd);    /* NULL: no memory */
/* tls_server.c */
bool fgw_tls_trust(SSL_CTX *c, struct fgw_str pem, char *err, size_t err_n);
bool fgw_tls_versions(SSL_CTX *c, unsigned min_version, struct fgw_str ciphers, char *err, size_t err_n);
bool fgw_tls_show(SSL_CTX *c, const struct fgw_tls_pem *pem, char *err, size_t err_n);             /* a certificate, its chain and key */
/* tls_cert.c */
X509 *fgw_tls_chain(struct fgw_str pem, STACK_OF(X509) *rest, char *err, size_t err_n);   /* first one; the others are pushed to rest */
EVP_PKEY *fgw_tls_key(struct fgw_str pem, char *err, size_t err_n);
char *fgw_tls_names(X509 *x);                                                             /* as fgw_cert_info.names */
struct fgw_identity *fgw_tls_identify(X509 *x);                                       /* NULL: no memory, or nothing that may be believed */
void fgw_tls_error(char *err, size_t err_n, const char *what);                            /* with OpenSSL's newest reason; clears its queue */
#endif
