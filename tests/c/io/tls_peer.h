/* tests/c/io/tls_peer.h: authorities, certificates and a TLS client for tests, all made in memory.
 *
 *   client (OpenSSL, non-blocking) ◄── socketpair or TCP ──► stage, then conn: the engine's end
 *
 * A certificate is made by pem_make; its texts live until pem_free. Keys are P-256, or RSA where a test asks for it. */
#ifndef FGW_TESTS_TLS_PEER_H
#define FGW_TESTS_TLS_PEER_H
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include "io/tls.h"

struct pem { struct fgw_str cert, key; X509 *x; EVP_PKEY *k; };

static inline struct fgw_str bio_text(BIO *b)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    char *copy = malloc((size_t)n + 1);
    memcpy(copy, p, (size_t)n), copy[n] = 0;
    BIO_free(b);
    return fgw_str(copy, (size_t)n);
}

static inline void pem_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX c;
    X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    if (!e || !X509_add_ext(x, e, -1)) abort();
    X509_EXTENSION_free(e);
}

/* names: as in openssl.cnf, "DNS:a.test,URI:spiffe://x"; NULL: none. by NULL: signed by itself, an authority. days < 0: expired. */
static inline struct pem pem_make(const char *cn, const char *names, const struct pem *by, long days, bool rsa)
{
    static long serial = 1;
    struct pem p = {.x = X509_new(), .k = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
    X509_set_version(p.x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(p.x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(p.x), days < 0 ? (days - 1) * 86400 : -60);
    X509_gmtime_adj(X509_getm_notAfter(p.x), days * 86400);
    X509_set_pubkey(p.x, p.k);
    if (cn) X509_NAME_add_entry_by_txt(X509_get_subject_name(p.x), "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(p.x, X509_get_subject_name(by ? by->x : p.x));
    if (!by) pem_ext(p.x, p.x, NID_basic_constraints, "critical,CA:TRUE"), pem_ext(p.x, p.x, NID_key_usage, "keyCertSign,digitalSignature");
    if (names) pem_ext(p.x, by ? by->x : p.x, NID_subject_alt_name, names);
    if (!X509_sign(p.x, by ? by->k : p.k, EVP_sha256())) abort();
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, p.x);
    p.cert = bio_text(b);
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(b, p.k, NULL, NULL, 0, NULL, NULL);
    p.key = bio_text(b);
    return p;
}

static inline void pem_free(struct pem *p)
{
    free((void *)p->cert.p), free((void *)p->key.p);
    X509_free(p->x), EVP_PKEY_free(p->k);
}

/* ---- the client's end ---- */
static inline SSL_CTX *client_ctx(const struct pem *ca, const struct pem *own)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (ca) X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca->x), SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    if (own) SSL_CTX_use_certificate(c, own->x), SSL_CTX_use_PrivateKey(c, own->k);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT);
    return c;
}

static inline SSL *client_new(SSL_CTX *c, int fd, const char *sni)
{
    SSL *s = SSL_new(c);
    SSL_set_fd(s, fd);
    if (sni) SSL_set_tlsext_host_name(s, sni);
    SSL_set_connect_state(s);
    return s;
}

static bool pair_tcp;                     /* the next pair goes over TCP on loopback, without Nagle */

static inline void pair_make(int p[2])
{
    if (pair_tcp) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof a;
        int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
        p[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(listening, (struct sockaddr *)&a, n) < 0 || listen(listening, 1) < 0) abort();
        if (getsockname(listening, (struct sockaddr *)&a, &n) < 0 || connect(p[1], (struct sockaddr *)&a, n) < 0) abort();
        if ((p[0] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0 || fcntl(p[1], F_SETFL, O_NONBLOCK) < 0) abort();
        if (setsockopt(p[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) abort();
        close(listening);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p) < 0) abort();
}

#endif
