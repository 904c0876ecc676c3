#include "io/tls_client.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "io/tls_impl.h"

static const unsigned char PROTOCOLS[] = "\x08http/1.1";

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct fgw_tls *t = SSL_get_app_data(ssl);
    struct fgw_tls_client *c = t->client;
    uint32_t i = (uint32_t)(t->place % SESSIONS);
    SSL_SESSION_free(c->sessions[i].session);
    c->sessions[i].place = t->place, c->sessions[i].session = session;
    return 1;                                          /* it is ours now */
}

static bool settings_key(struct fgw_tls_client *c, const struct fgw_tls_client_options *o)
{
    const struct fgw_str texts[] = {o->ca, o->name, o->own.cert, o->own.key, o->ciphers, o->alpn};
    unsigned char flags[2] = {o->min_version, o->verify};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, flags, sizeof flags);
    for (size_t i = 0; ok && i < FGW_COUNT(texts); i++)
        ok = EVP_DigestUpdate(md, &texts[i].n, sizeof texts[i].n) && EVP_DigestUpdate(md, texts[i].p, texts[i].n);
    ok = ok && EVP_DigestFinal_ex(md, c->key, NULL);
    EVP_MD_CTX_free(md);
    return ok;
}

static bool rules(SSL_CTX *x, const struct fgw_tls_client_options *o, char *err, size_t err_n)
{
    if (!fgw_tls_versions(x, o->min_version, o->ciphers, err, err_n)) return false;
    if (o->own.cert.n && !fgw_tls_show(x, &o->own, err, err_n)) return false;
    if (!o->verify) return true;
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
    if (o->ca.n) return fgw_tls_trust(x, o->ca, err, err_n);
    if (SSL_CTX_set_default_verify_paths(x)) return true;
    fgw_tls_error(err, err_n, "the system's authorities cannot be read");
    return false;
}

struct fgw_tls_client *fgw_tls_client_new(struct fgw_tls_env *e, const struct fgw_tls_client_options *o, char *err, size_t err_n)
{
    struct fgw_tls_client *c = calloc(1, sizeof *c);
    snprintf(err, err_n, "out of memory");
    if (!c) return NULL;
    *c = (struct fgw_tls_client){.env = e, .refs = 1, .verify = o->verify, .ctx = SSL_CTX_new(TLS_client_method())};
    e->refs++;
    if (o->name.n >= sizeof c->name) snprintf(err, err_n, "the server's name is too long");
    else if (c->ctx && settings_key(c, o) && rules(c->ctx, o, err, err_n)) {
        if (o->name.n) memcpy(c->name, o->name.p, o->name.n);
        SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_clear_options(c->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(c->ctx, 1);
        SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
        const unsigned char *offer = o->alpn.n ? (const unsigned char *)o->alpn.p : PROTOCOLS;
        SSL_CTX_set_alpn_protos(c->ctx, offer, o->alpn.n ? o->alpn.n : (unsigned)sizeof PROTOCOLS - 1);
        return c;
    }
    ERR_clear_error();
    fgw_tls_client_unref(c);
    return NULL;
}

struct fgw_tls_client *fgw_tls_client_ref(struct fgw_tls_client *c)
{
    c->refs++;
    return c;
}

void fgw_tls_client_unref(struct fgw_tls_client *c)
{
    if (!c || --c->refs) return;
    for (int i = 0; i < SESSIONS; i++) SSL_SESSION_free(c->sessions[i].session);
    SSL_CTX_free(c->ctx);
    fgw_tls_env_free(c->env);
    free(c);
}

bool fgw_tls_client_same(const struct fgw_tls_client *a, const struct fgw_tls_client *b)
{
    return a == b || (a && b && memcmp(a->key, b->key, sizeof a->key) == 0);
}

/* "api.example.com:443" → "api.example.com", "[2001:db8::1]:443" → "2001:db8::1". False: nothing is left, or too much. */
static bool host_only(const char *text, char out[FGW_CERT_NAME_MAX + 1])
{
    const char *end = text + strlen(text), *colon = strrchr(text, ':');
    if (*text == '[') end = strchr(text, ']') ? strchr(text, ']') : end, text++;
    else if (colon && strchr(text, ':') == colon) end = colon;
    if (end <= text || end - text > FGW_CERT_NAME_MAX) return false;
    memcpy(out, text, (size_t)(end - text));
    out[end - text] = 0;
    return true;
}

static bool expect(SSL *ssl, const struct fgw_tls_client *c, const char *host)
{
    unsigned char ip[16];
    char name[FGW_CERT_NAME_MAX + 1];
    if (c->name[0]) memcpy(name, c->name, sizeof name);
    else if (!host_only(host, name)) return !c->verify;
    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
        return !c->verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) && (!c->verify || SSL_set1_host(ssl, name));
}

int fgw_tls_dial(struct fgw_tls_client *c, struct fgw_conn *conn, uint64_t place, const char *host)
{
    struct fgw_tls *t = fgw_tls_make(c->env, c->ctx, conn->loop, conn->watch.fd);
    uint32_t i = (uint32_t)(place % SESSIONS);
    if (!t) return -1;
    t->client = fgw_tls_client_ref(c), t->place = place;
    SSL_set_connect_state(t->ssl);
    if (!expect(t->ssl, c, host)) {
        fgw_tls_free(t);
        return -1;
    }
    if (c->sessions[i].session && c->sessions[i].place == place) SSL_set_session(t->ssl, c->sessions[i].session);
    ERR_clear_error();
    fgw_tls_attach(t, conn);
    return 0;
}
