#include "io/tls.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "io/tls_client.h"
#include "io/tls_impl.h"

enum { SEND_MAX = 128 << 10, DISCARD_READS = 8 };

static struct fgw_tls *tls_of(const struct fgw_conn *c) { return c->tp_state; }

/* ---- what OpenSSL says, in our words ---- */
static enum fgw_err why_certificate(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return FGW_E_TLS_EXPIRED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return FGW_E_TLS_UNKNOWN_CA;
    default: return FGW_E_TLS_BAD_CERTIFICATE;
    }
}

static enum fgw_err why_reason(const struct fgw_tls *t, int reason)
{
    if (reason >= SSL_AD_REASON_OFFSET) return FGW_E_TLS_REFUSED;        /* an alert of the peer's */
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return FGW_E_TLS_PLAIN_HTTP;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_LENGTH_MISMATCH:
    case SSL_R_LENGTH_TOO_SHORT:
    case SSL_R_LENGTH_TOO_LONG:
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_PACKET:
    case SSL_R_BAD_EXTENSION: return FGW_E_TLS_MALFORMED;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL: return FGW_E_TLS_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: return FGW_E_TLS_NO_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL: return FGW_E_TLS_NO_PROTOCOL;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return FGW_E_TLS_NO_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return why_certificate(SSL_get_verify_result(t->ssl));
    default: return FGW_E_TLS_FAILED;
    }
}

static enum fgw_err why_failed(const struct fgw_tls *t)
{
    unsigned long e = ERR_peek_error();
    if (t->why) return (enum fgw_err)t->why;
    if (e && ERR_GET_LIB(e) == ERR_LIB_SSL) return why_reason(t, ERR_GET_REASON(e));
    return t->peer_gone || t->io_err ? FGW_E_TLS_GONE : FGW_E_TLS_FAILED;
}

/* ---- transport ---- */
/* What OpenSSL says of an error is only true if its queue was empty before; emptying it costs more than looking. */
static void clean(void)
{
    if (fgw_unlikely(ERR_peek_error() != 0)) ERR_clear_error();
}

static void ready_run(struct fgw_job *j)
{
    struct fgw_tls *t = fgw_container(j, struct fgw_tls, ready);
    fgw_conn_event(t->c, EPOLLIN);
}

static void later(struct fgw_tls *t) { fgw_job_add(&t->loop->ready, &t->ready); }

static void wait_for_room(struct fgw_tls *t, bool *flag)
{
    *flag = true;
    fgw_watch_mod(t->loop, &t->c->watch, t->c->watch.events | EPOLLOUT);
}

/* A call failed: errno as a socket would say it. `got`: bytes this call has already, which are given first. */
static ssize_t no_more(struct fgw_tls *t, int error, size_t got)
{
    if (error == SSL_ERROR_WANT_WRITE) wait_for_room(t, &t->read_waits);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return got ? (ssize_t)got : -1;
    }
    if (error == SSL_ERROR_ZERO_RETURN) t->ended = true;
    else t->broken = true;
    if (got) {                                         /* no event will tell of an end that is inside OpenSSL already */
        later(t);
        return (ssize_t)got;
    }
    if (t->ended) return 0;
    errno = t->io_err ? t->io_err : t->peer_gone ? ECONNRESET : EPROTO;
    ERR_clear_error();
    return -1;
}

static ssize_t tls_recv(struct fgw_conn *c, void *p, size_t n)
{
    struct fgw_tls *t = tls_of(c);
    size_t got = 0;
    if (t->ended) return 0;
    if (t->broken) return no_more(t, SSL_ERROR_SSL, 0);
    do {
        size_t k = 0;
        clean();
        if (SSL_read_ex(t->ssl, (char *)p + got, n - got, &k) != 1) return no_more(t, SSL_get_error(t->ssl, 0), got);
        got += k;
    } while (got < n && SSL_has_pending(t->ssl));
    if (SSL_has_pending(t->ssl)) later(t);
    return (ssize_t)got;
}

/* The spans from `skip` on as one record's worth of bytes: in place when the first holds enough, else gathered. */
static const char *record(struct fgw_tls *t, const struct iovec *v, int n, size_t skip, size_t *len)
{
    while (n && skip >= v->iov_len) skip -= v->iov_len, v++, n--;
    *len = 0;
    if (!n) return NULL;
    if (n == 1 || v->iov_len - skip >= RECORD) {
        *len = v->iov_len - skip < RECORD ? v->iov_len - skip : RECORD;
        return (const char *)v->iov_base + skip;
    }
    char *out = t->env->gather;
    for (; n && *len < RECORD; v++, n--, skip = 0) {
        size_t k = v->iov_len - skip < RECORD - *len ? v->iov_len - skip : RECORD - *len;
        memcpy(out + *len, (const char *)v->iov_base + skip, k);
        *len += k;
    }
    return out;
}

/* A record that the socket did not take whole stays in OpenSSL; the same bytes, which conn.out still begins with, are offered again. */
static ssize_t tls_send(struct fgw_conn *c, const struct iovec *v, int n)
{
    struct fgw_tls *t = tls_of(c);
    size_t sent = 0, all = 0, len;
    const char *p;
    if (t->broken) {
        errno = t->io_err ? t->io_err : EPIPE;
        return -1;
    }
    for (int i = 0; i < n; i++) all += v[i].iov_len;
    if (all > SEND_MAX) all = SEND_MAX;
    while (sent < all && (p = record(t, v, n, sent, &len))) {
        size_t k = 0;
        clean();
        t->more = sent + len < all;
        if (SSL_write_ex(t->ssl, p, len, &k) == 1) {
            sent += k;
            continue;
        }
        int e = SSL_get_error(t->ssl, 0);
        errno = EAGAIN;
        if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) break;
        t->broken = true;
        errno = t->io_err ? t->io_err : EPIPE;
        ERR_clear_error();
        return sent ? (ssize_t)sent : -1;
    }
    t->more = false;
    return sent ? (ssize_t)sent : -1;
}

static void end_ours(struct fgw_tls *t)
{
    ERR_clear_error();
    int r = t->broken ? 1 : SSL_shutdown(t->ssl);
    if (r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE) {
        wait_for_room(t, &t->shut_waits);
        return;
    }
    ERR_clear_error();
    t->shut_waits = false;
    shutdown(t->fd, SHUT_WR);
}

static void tls_shut(struct fgw_conn *c) { end_ours(tls_of(c)); }

static void tls_dead(struct fgw_job *j) { fgw_tls_free(fgw_container(j, struct fgw_tls, dead)); }

static void tls_close(struct fgw_conn *c, bool reset)
{
    struct fgw_tls *t = tls_of(c);
    if (!reset && !c->err && !c->cut && !t->broken && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)) {
        ERR_clear_error();
        SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    fgw_link_remove(&t->ready.link);
    t->dead.run = tls_dead;
    fgw_job_add(&t->loop->dead, &t->dead);
    fgw_transport_socket.close(c, reset);
}

static int tls_arm(struct fgw_conn *c, uint32_t events)
{
    struct fgw_tls *t = tls_of(c);
    uint32_t had = c->watch.events;
    if (had & ~events & EPOLLOUT) {                    /* there is room again, and the conn has nothing to send */
        if (t->shut_waits) end_ours(t);
        if (t->read_waits) t->read_waits = false, later(t);
        if (t->shut_waits) events |= EPOLLOUT;
    }
    fgw_watch_mod(t->loop, &c->watch, events);
    if (events & ~had & EPOLLIN && (t->ended || t->broken || SSL_has_pending(t->ssl))) later(t);
    return 0;
}

/* ---- dialled: the handshake is the conn's last step before it is open ---- */
static enum fgw_err why_upstream(const struct fgw_tls *t)
{
    switch (SSL_get_verify_result(t->ssl)) {
    case X509_V_OK: return FGW_E_UPSTREAM_TLS;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return FGW_E_UPSTREAM_EXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return FGW_E_UPSTREAM_NAME;
    default: return FGW_E_UPSTREAM_CERT;
    }
}

static int tls_open(struct fgw_conn *c)
{
    struct fgw_tls *t = tls_of(c);
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl), e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
    if (r == 1) {
        if (SSL_has_pending(t->ssl)) later(t);         /* it spoke before it was asked: its codec must see that in time */
        return 1;
    }
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        fgw_watch_mod(t->loop, &c->watch, e == SSL_ERROR_WANT_READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT);
        return 0;
    }
    t->broken = true;
    c->why = why_upstream(t);
    ERR_clear_error();
    errno = t->io_err ? t->io_err : t->peer_gone ? ECONNRESET : EPROTO;
    return -1;
}

static void tls_moved(struct fgw_conn *to) { tls_of(to)->c = to; }

static const struct fgw_transport tls_transport = {tls_recv, tls_send, tls_shut, tls_close, tls_arm, tls_open, tls_moved};

/* ---- a connection's life ---- */
void fgw_tls_attach(struct fgw_tls *t, struct fgw_conn *c)
{
    t->c = c;
    c->tp = &tls_transport, c->tp_state = t;
    if (SSL_has_pending(t->ssl)) later(t);             /* a request that came with the handshake's last message */
}

void fgw_tls_free(struct fgw_tls *t)
{
    if (!t) return;
    SSL_free(t->ssl);
    free(t->identity);
    fgw_tls_server_unref(t->server);
    fgw_tls_client_unref(t->client);
    free(t);
}

struct fgw_tls *fgw_tls_make(struct fgw_tls_env *e, SSL_CTX *ctx, struct fgw_loop *l, int fd)
{
    struct fgw_tls *t = calloc(1, sizeof *t);
    BIO *b = BIO_new(e->bio);
    if (t) t->ssl = SSL_new(ctx);
    if (!t || !b || !t->ssl) {
        ERR_clear_error();
        BIO_free(b);
        if (t) SSL_free(t->ssl);
        free(t);
        return NULL;
    }
    t->loop = l, t->fd = fd, t->env = e;
    t->ready.run = ready_run;
    BIO_set_data(b, t), BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
    SSL_set_app_data(t->ssl, t);
    return t;
}

const struct fgw_identity *fgw_tls_identity(const struct fgw_tls *t) { return t->identity; }
const char *fgw_tls_version(const struct fgw_tls *t) { return SSL_get_version(t->ssl); }
const char *fgw_tls_cipher(const struct fgw_tls *t) { return SSL_get_cipher_name(t->ssl); }
bool fgw_tls_resumed(const struct fgw_tls *t) { return SSL_session_reused(t->ssl); }

struct fgw_str fgw_tls_alpn(const struct fgw_tls *t)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(t->ssl, &p, &n);
    return fgw_str(p ? (const char *)p : "", n);
}

/* ---- the handshake ---- */
static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 45\r\nconnection: close\r\n\r\n"
                                   "plain HTTP was sent to a port that speaks TLS";

/* Leave no unread byte behind: close(2) would turn it into a reset, which can overtake the alert, or the answer in plain words. */
static void refuse(int fd, enum fgw_err why)
{
    char drop[4096];
    for (int i = 0; i < DISCARD_READS && recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0; i++) continue;
    if (why == FGW_E_TLS_PLAIN_HTTP) fgw_conn_say(fd, plain_answer, sizeof plain_answer - 1);
    else close(fd);
}

static void stage_done(struct fgw_tls_stage *s, enum fgw_err why)
{
    int fd = s->watch.fd;
    fgw_watch_del(s->loop, &s->watch);
    fgw_timer_cancel(&s->loop->wheel, &s->timer);
    s->watch.fd = -1;
    if (why) {
        refuse(fd, why);
        fgw_tls_free(s->tls);
        s->tls = NULL, fd = -1;
    }
    ERR_clear_error();
    s->done(s, fd, why);
}

/* Who the client is. False: it showed a certificate whose names cannot be believed. */
static bool identify(struct fgw_tls *t)
{
    X509 *x = SSL_get0_peer_certificate(t->ssl);
    if (x && SSL_get_verify_result(t->ssl) == X509_V_OK) t->identity = fgw_tls_identify(x);
    return !x || t->identity;
}

static void stage_ready(struct fgw_watch *w, uint32_t events)
{
    struct fgw_tls_stage *s = fgw_container(w, struct fgw_tls_stage, watch);
    (void)events;
    if (w->fd < 0) return;
    ERR_clear_error();
    int r = SSL_do_handshake(s->tls->ssl);
    if (r == 1) {
        stage_done(s, identify(s->tls) ? FGW_E_NONE : FGW_E_TLS_BAD_CERTIFICATE);
        return;
    }
    int e = SSL_get_error(s->tls->ssl, r);
    if (e == SSL_ERROR_WANT_READ) fgw_watch_mod(s->loop, w, EPOLLIN | EPOLLRDHUP);
    else if (e == SSL_ERROR_WANT_WRITE) fgw_watch_mod(s->loop, w, EPOLLOUT);
    else stage_done(s, why_failed(s->tls));
}

static void stage_timeout(struct fgw_timer *t) { stage_done(fgw_container(t, struct fgw_tls_stage, timer), FGW_E_TLS_TIMEOUT); }

int fgw_tls_stage_init(struct fgw_tls_stage *s, struct fgw_loop *l, struct fgw_tls_server *server, int fd, uint32_t timeout_ms)
{
    s->loop = l;
    s->watch = (struct fgw_watch){.fd = fd, .ready = stage_ready};
    s->timer = (struct fgw_timer){.fire = stage_timeout};
    s->tls = fgw_tls_make(server->env, server->sets[0].ctx, l, fd);
    if (s->tls) s->tls->server = fgw_tls_server_ref(server), SSL_set_accept_state(s->tls->ssl);
    if (!s->tls || fgw_watch_add(l, &s->watch, EPOLLIN | EPOLLRDHUP) < 0) {
        fgw_tls_free(s->tls);
        s->tls = NULL, s->watch.fd = -1;
        return -1;
    }
    fgw_loop_timer(l, &s->timer, timeout_ms);
    return 0;
}

void fgw_tls_stage_fini(struct fgw_tls_stage *s)
{
    if (s->watch.fd < 0) return;
    fgw_timer_cancel(&s->loop->wheel, &s->timer);
    fgw_watch_del(s->loop, &s->watch);
    close(s->watch.fd);
    s->watch.fd = -1;
    fgw_tls_free(s->tls);
    s->tls = NULL;
}
