#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "io/tls_impl.h"

enum { TICKET_LIFE_S = 3600, AT_ONCE = 16 };
static const char CIPHERS[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                              "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char SUITES[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char GROUPS[] = "X25519:P-256:P-384";
static const char PROTOCOLS[] = "\x08http/1.1";

/* ---- the socket, for OpenSSL: its own would raise SIGPIPE ---- */
static int bio_recv(BIO *b, char *p, int n)
{
    struct fgw_tls *t = BIO_get_data(b);
    ssize_t r = recv(t->fd, p, (size_t)n, 0);
    BIO_clear_retry_flags(b);
    if (r == 0) t->peer_gone = true;
    else if (r < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
    else if (r < 0) t->io_err = errno;
    return (int)r;
}

static int bio_send(BIO *b, const char *p, int n)
{
    struct fgw_tls *t = BIO_get_data(b);
    ssize_t r = send(t->fd, p, (size_t)n, t->more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
    BIO_clear_retry_flags(b);
    if (r < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
    else if (r < 0) t->io_err = errno;
    return (int)r;
}

static long bio_ctrl(BIO *b, int cmd, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

/* ---- env ---- */
struct fgw_tls_env *fgw_tls_env_new(void)
{
    struct fgw_tls_env *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->refs = 1;
    e->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "fgw socket");
    e->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    bool ok = e->bio && e->aes && RAND_bytes((unsigned char *)&e->keys[0], sizeof e->keys[0]) == 1;
    if (ok) ok = BIO_meth_set_read(e->bio, bio_recv) && BIO_meth_set_write(e->bio, bio_send) && BIO_meth_set_ctrl(e->bio, bio_ctrl);
    e->nkeys = 1;
    ERR_clear_error();
    if (!ok) fgw_tls_env_free(e), e = NULL;
    return e;
}

void fgw_tls_env_free(struct fgw_tls_env *e)
{
    if (!e || --e->refs) return;
    BIO_meth_free(e->bio);
    EVP_CIPHER_free(e->aes);
    OPENSSL_cleanse(e->keys, sizeof e->keys);
    free(e);
}

void fgw_tls_env_keys(struct fgw_tls_env *e, const void *keys, uint32_t n)
{
    _Static_assert(sizeof e->keys[0] == FGW_TLS_TICKET_KEY, "a ticket key");
    if (!n || n > FGW_TLS_TICKET_KEYS) return;
    OPENSSL_cleanse(e->keys, sizeof e->keys);
    memcpy(e->keys, keys, n * sizeof e->keys[0]);
    e->nkeys = n;
}

/* Seal a ticket with the first key, or find the one it was sealed with. 0: none, so a full handshake; 2: open it, and give a new one. */
static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
    struct fgw_tls_env *e = ((struct fgw_tls *)SSL_get_app_data(ssl))->env;
    uint32_t i = 0;
    if (enc) {
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(e->aes)) != 1) return -1;
        memcpy(name, e->keys[0].name, sizeof e->keys[0].name);
    } else {
        while (i < e->nkeys && CRYPTO_memcmp(name, e->keys[i].name, sizeof e->keys[i].name) != 0) i++;
        if (i == e->nkeys) return 0;
    }
    OSSL_PARAM p[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, e->keys[i].mac, sizeof e->keys[i].mac),
                      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end()};
    if (!EVP_MAC_CTX_set_params(mac, p) || !EVP_CipherInit_ex(cipher, e->aes, NULL, e->keys[i].aes, iv, enc)) return -1;
    return i || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;              /* a client uses a ticket of TLS 1.3 once (RFC 8446 C.4) */
}

/* ---- which certificate ---- */
static int by_name(const void *a, const void *b) { return strcmp(((const struct tls_name *)a)->text, ((const struct tls_name *)b)->text); }

static struct tls_set *set_named(const struct fgw_tls_server *s, const char *text)
{
    struct tls_name key = {(char *)text, 0}, *found = s->nnames ? bsearch(&key, s->names, s->nnames, sizeof key, by_name) : NULL;
    return found ? &s->sets[found->set] : NULL;
}

static SSL_CTX *ctx_of(const struct fgw_tls_options *o, struct tls_set *set, char *err, size_t err_n);

/* The host of a server_name extension (RFC 6066 section 3), in lower case, without a dot at its end. False: malformed. */
static bool host_of(const unsigned char *p, size_t n, char out[FGW_CERT_NAME_MAX + 1])
{
    size_t len = n >= 5 ? (size_t)p[3] << 8 | p[4] : 0;
    if (n < 5 || ((size_t)p[0] << 8 | p[1]) != n - 2 || p[2] != 0 || len != n - 5) return false;
    if (len && p[5 + len - 1] == '.') len--;
    if (len == 0 || len > FGW_CERT_NAME_MAX) return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = p[5 + i];
        if (c <= 0x20 || c >= 0x7f) return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    out[len] = 0;
    return true;
}

static int tls_hello(SSL *ssl, int *alert, void *arg)
{
    struct fgw_tls *t = SSL_get_app_data(ssl);
    const struct fgw_tls_server *s = t->server;
    const unsigned char *p;
    size_t n;
    char host[FGW_CERT_NAME_MAX + 2];
    struct tls_set *set = NULL;
    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n)) {
        if (!host_of(p, n, host)) {
            t->why = FGW_E_TLS_MALFORMED;
            *alert = SSL_AD_DECODE_ERROR;
            return SSL_CLIENT_HELLO_ERROR;
        }
        set = set_named(s, host);
        char *dot = set ? NULL : strchr(host, '.');
        if (dot && dot > host) dot[-1] = '*', set = set_named(s, dot - 1);
    }
    if (!set && s->o.strict_names) {
        t->why = FGW_E_TLS_UNKNOWN_NAME;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    char err[256];
    if (set && !ctx_of(&s->o, set, err, sizeof err)) { /* it was checked when it was configured: out of memory, most likely */
        t->why = FGW_E_TLS_FAILED;
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (set && set != s->sets) SSL_set_SSL_CTX(ssl, set->ctx);   /* its session id context comes along */
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int pick_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *arg)
{
    struct fgw_tls *t = SSL_get_app_data(ssl);
    unsigned char *p;
    (void)arg;
    if (SSL_select_next_proto(&p, out_n, t->server->alpn, t->server->alpn_n, in, in_n) == OPENSSL_NPN_NEGOTIATED) {
        *out = p;
        return SSL_TLSEXT_ERR_OK;
    }
    t->why = FGW_E_TLS_NO_PROTOCOL;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- contexts ---- */
bool fgw_tls_trust(SSL_CTX *c, struct fgw_str pem, char *err, size_t err_n)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *x = fgw_tls_chain(pem, all, err, err_n);
    bool ok = x && sk_X509_push(all, x);
    for (int i = 0; ok && i < sk_X509_num(all); i++) {
        x = sk_X509_value(all, i);
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1 && SSL_CTX_add_client_CA(c, x) == 1;
        if (!ok) fgw_tls_error(err, err_n, "an authority cannot be used");
    }
    sk_X509_pop_free(all, X509_free);
    return ok;
}

bool fgw_tls_versions(SSL_CTX *c, unsigned min_version, struct fgw_str list, char *err, size_t err_n)
{
    char ciphers[1024];
    snprintf(ciphers, sizeof ciphers, "%.*s", (int)list.n, list.p);
    if (SSL_CTX_set_min_proto_version(c, min_version == 3 ? TLS1_3_VERSION : TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(c, 0) &&
        list.n < sizeof ciphers && SSL_CTX_set_cipher_list(c, list.n ? ciphers : CIPHERS) && SSL_CTX_set_ciphersuites(c, SUITES) &&
        SSL_CTX_set1_groups_list(c, GROUPS))
        return true;
    fgw_tls_error(err, err_n, "the ciphers or versions cannot be used");
    return false;
}

static bool ctx_rules(SSL_CTX *c, const struct fgw_tls_options *o, char *err, size_t err_n)
{
    if (!fgw_tls_versions(c, o->min_version, o->ciphers, err, err_n)) return false;
    if (!o->client_auth) return true;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (o->client_auth == FGW_TLS_AUTH_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return fgw_tls_trust(c, o->ca, err, err_n);
}

static SSL_CTX *ctx_new(const struct fgw_tls_options *o, char *err, size_t err_n)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c || !ctx_rules(c, o, err, err_n)) {
        if (!c) fgw_tls_error(err, err_n, "no TLS context");
        SSL_CTX_free(c);
        return NULL;
    }
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               (o->tickets ? 0 : SSL_OP_NO_TICKET));
    SSL_CTX_clear_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c, TICKET_LIFE_S);
    if (!o->tickets) SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, ticket_key);
    SSL_CTX_set_client_hello_cb(c, tls_hello, NULL);
    SSL_CTX_set_alpn_select_cb(c, pick_protocol, NULL);
    return c;
}

bool fgw_tls_show(SSL_CTX *c, const struct fgw_tls_pem *pem, char *err, size_t err_n)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509 *x = fgw_tls_chain(pem->cert, rest, err, err_n);
    EVP_PKEY *k = x ? fgw_tls_key(pem->key, err, err_n) : NULL;
    bool ok = k != NULL;
    if (ok && SSL_CTX_use_cert_and_key(c, x, k, rest, 1) != 1) fgw_tls_error(err, err_n, "the certificate cannot be used"), ok = false;
    EVP_PKEY_free(k);
    X509_free(x);
    sk_X509_pop_free(rest, X509_free);
    return ok;
}

/* The session id context is a digest of all that decides who may come in here, and as whom we answer. */
static SSL_CTX *ctx_of(const struct fgw_tls_options *o, struct tls_set *set, char *err, size_t err_n)
{
    if (set->ctx) return set->ctx;
    SSL_CTX *c = ctx_new(o, err, err_n);
    EVP_MD_CTX *sid = EVP_MD_CTX_new();
    unsigned char md[SID];
    unsigned char rules[2] = {o->client_auth, o->min_version};
    bool ok = c && sid && EVP_DigestInit_ex(sid, EVP_sha256(), NULL);
    if (ok) EVP_DigestUpdate(sid, rules, sizeof rules), EVP_DigestUpdate(sid, o->ca.p, o->ca.n);
    for (uint32_t i = 0; ok && i < set->n; i++) {
        const struct fgw_tls_pem *pem = &o->certs[set->cert[i]];
        ok = fgw_tls_show(c, pem, err, err_n);
        EVP_DigestUpdate(sid, pem->cert.p, pem->cert.n);
    }
    if (ok) ok = EVP_DigestFinal_ex(sid, md, NULL) && SSL_CTX_set_session_id_context(c, md, sizeof md);
    EVP_MD_CTX_free(sid);
    if (!ok) SSL_CTX_free(c), c = NULL;
    return set->ctx = c;
}

/* ---- names to certificates: one context for each set of certificates that share names ---- */
struct claim { char *name; uint32_t cert; char kind[8]; };

static int by_claim(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int r = strcmp(x->name, y->name);
    return r ? r : (x->cert > y->cert) - (x->cert < y->cert);
}

struct claims { struct claim *p; uint32_t n, room; };

static bool claim(struct claims *all, struct fgw_str name, uint32_t cert, struct fgw_str kind)
{
    if (all->n == all->room) {
        struct claim *more = realloc(all->p, (all->room * 2 + 16) * sizeof *more);
        if (!more) return false;
        all->p = more, all->room = all->room * 2 + 16;
    }
    struct claim *c = &all->p[all->n];
    *c = (struct claim){strndup(name.p, name.n), cert, ""};
    memcpy(c->kind, kind.p, kind.n < sizeof c->kind ? kind.n : sizeof c->kind - 1);
    if (c->name) all->n++;
    return c->name != NULL;
}

static bool claim_all(struct claims *all, struct fgw_str names, uint32_t cert, struct fgw_str kind)
{
    for (const char *p = names.p, *end = names.p + names.n, *eol; p < end; p = eol + 1) {
        if (!(eol = memchr(p, '\n', (size_t)(end - p)))) eol = end;
        if (eol > p && !claim(all, fgw_str(p, (size_t)(eol - p)), cert, kind)) return false;
    }
    return true;
}

static bool claims_of(const struct fgw_tls_options *o, struct claims *all, char *err, size_t err_n)
{
    for (uint32_t i = 0; i < o->ncerts; i++) {
        struct fgw_cert_info info = {.names = NULL};
        struct fgw_tls_names n = {FGW_STR(""), FGW_STR("")};
        if (o->names) n = o->names[i];
        else if (fgw_cert_inspect(o->certs[i].cert, o->certs[i].key, &info, err, err_n) < 0) return false;
        else n = (struct fgw_tls_names){info.names ? fgw_str(info.names, strlen(info.names)) : FGW_STR(""), fgw_str(info.kind, strlen(info.kind))};
        bool ok = claim_all(all, n.names, i, n.kind);
        free(info.names);
        if (!ok) {
            snprintf(err, err_n, "out of memory");
            return false;
        }
    }
    return true;
}

/* The certificates of claims [i, j), which share a name: the first of each key type. */
static struct tls_set set_of(const struct claim *c, uint32_t i, uint32_t j)
{
    struct tls_set s = {.n = 0};
    for (uint32_t k = i; k < j && s.n < SET_MAX; k++) {
        bool again = false;
        for (uint32_t m = i; m < k; m++) again |= strcmp(c[m].kind, c[k].kind) == 0;
        if (!again) s.cert[s.n++] = c[k].cert;
    }
    return s;
}

/* newest: by first certificate, the set that was made of it last, and one; it is compared alone, so that this is linear. */
static uint32_t set_index(struct fgw_tls_server *s, uint32_t *newest, const struct tls_set *want)
{
    uint32_t last = newest[want->cert[0]];
    if (last && s->sets[last - 1].n == want->n && memcmp(s->sets[last - 1].cert, want->cert, want->n * sizeof want->cert[0]) == 0) return last - 1;
    s->sets[s->nsets] = *want;
    newest[want->cert[0]] = ++s->nsets;
    return s->nsets - 1;
}

static uint32_t same_name(const struct claims *all, uint32_t i)
{
    uint32_t j = i + 1;
    while (j < all->n && strcmp(all->p[i].name, all->p[j].name) == 0) j++;
    return j;
}

static bool build(struct fgw_tls_server *s, struct claims *all, char *err, size_t err_n)
{
    struct tls_set first = {.cert = {0}, .n = 1};
    uint32_t *newest = calloc(s->o.ncerts, sizeof *newest);
    s->names = calloc(all->n + 1, sizeof *s->names);
    s->sets = calloc(all->n + 1, sizeof *s->sets);
    bool ok = newest && s->names && s->sets;
    if (!ok) snprintf(err, err_n, "out of memory");
    for (uint32_t i = 0, j; ok && i < all->n; i = j) { /* the first certificate's own set is what strangers get */
        j = same_name(all, i);
        if (all->p[i].cert == 0 && first.n == 1) first = set_of(all->p, i, j);
    }
    if (ok) set_index(s, newest, &first);
    for (uint32_t i = 0, j; ok && i < all->n; i = j) {
        j = same_name(all, i);
        struct tls_set want = set_of(all->p, i, j);
        s->names[s->nnames++] = (struct tls_name){all->p[i].name, set_index(s, newest, &want)};
        all->p[i].name = NULL;
    }
    free(newest);
    for (uint32_t i = 0; ok && i < s->nsets && i < AT_ONCE; i++) ok = ctx_of(&s->o, &s->sets[i], err, err_n) != NULL;
    return ok;
}

/* ---- a server's life ---- */
static struct fgw_str keep(char **at, struct fgw_str s)
{
    char *p = *at;
    if (s.n) memcpy(p, s.p, s.n);
    *at += s.n;
    return fgw_str(p, s.n);
}

/* Its own copy of all that a context is made of. */
static bool keep_texts(struct fgw_tls_server *s, const struct fgw_tls_options *o)
{
    struct fgw_tls_pem *pem = calloc(o->ncerts + 1, sizeof *pem);
    s->texts_n = o->ca.n + o->ciphers.n;
    for (uint32_t i = 0; i < o->ncerts; i++) s->texts_n += o->certs[i].cert.n + o->certs[i].key.n;
    char *at = s->texts = malloc(s->texts_n + 1);
    s->o = *o, s->o.certs = pem, s->o.names = NULL;
    if (!pem || !at) return false;
    s->o.ca = keep(&at, o->ca), s->o.ciphers = keep(&at, o->ciphers);
    for (uint32_t i = 0; i < o->ncerts; i++) pem[i] = (struct fgw_tls_pem){keep(&at, o->certs[i].cert), keep(&at, o->certs[i].key)};
    return true;
}

struct fgw_tls_server *fgw_tls_server_new(struct fgw_tls_env *e, const struct fgw_tls_options *o, char *err, size_t err_n)
{
    struct fgw_tls_server *s = calloc(1, sizeof *s);
    struct claims all = {NULL, 0, 0};
    struct fgw_str alpn = o->alpn.n && o->alpn.n <= sizeof s->alpn ? o->alpn : FGW_STR(PROTOCOLS);
    snprintf(err, err_n, "%s", o->ncerts ? "out of memory" : "no certificate");
    if (!s) return NULL;
    s->env = e, s->refs = 1, e->refs++;
    memcpy(s->alpn, alpn.p, alpn.n), s->alpn_n = (uint8_t)alpn.n;
    bool ok = keep_texts(s, o) && o->ncerts && claims_of(o, &all, err, err_n);
    if (ok && all.n) qsort(all.p, all.n, sizeof *all.p, by_claim);
    ok = ok && build(s, &all, err, err_n);
    for (uint32_t i = 0; i < all.n; i++) free(all.p[i].name);
    free(all.p);
    if (!ok) fgw_tls_server_unref(s), s = NULL;
    return s;
}

struct fgw_tls_server *fgw_tls_server_ref(struct fgw_tls_server *s)
{
    s->refs++;
    return s;
}

void fgw_tls_server_unref(struct fgw_tls_server *s)
{
    if (!s || --s->refs) return;
    for (uint32_t i = 0; i < s->nnames; i++) free(s->names[i].text);
    for (uint32_t i = 0; i < s->nsets; i++) SSL_CTX_free(s->sets[i].ctx);
    fgw_tls_env_free(s->env);
    if (s->texts) OPENSSL_cleanse(s->texts, s->texts_n);
    free(s->texts), free((void *)s->o.certs);
    free(s->names), free(s->sets);
    free(s);
}
