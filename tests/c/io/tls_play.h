/* tests/c/io/tls_play.h: both ends of one TLS connection in one process, stepped by the test. Time is wires_now. */
#ifndef FGW_TESTS_TLS_PLAY_H
#define FGW_TESTS_TLS_PLAY_H
#include <signal.h>
#include <unistd.h>
#include <openssl/err.h>
#include "http/wire.h"
#include "io/tls_cert.h"
#include "io/tls_peer.h"

static struct fgw_loop l;
static struct fgw_tls_env *env;
static char err[256];
static struct {
    struct fgw_tls_stage stage;
    struct fgw_conn c;
    int peer;                            /* the client's descriptor */
    SSL *ssl;                            /* the client's */
    bool done, open;                     /* the stage is over; c is open */
    enum fgw_err why;
    int inputs, fails;
    char got[1 << 20];
    size_t got_n;
    bool keep;                           /* do not take what comes */
} t;

static void play_input(struct fgw_conn *c)
{
    t.inputs++;
    if (t.keep) return;
    uint32_t n = fgw_conn_in_len(c);
    if (n && t.got_n + n <= sizeof t.got) memcpy(t.got + t.got_n, fgw_conn_in(c), n), t.got_n += n;
    fgw_conn_take(c, n);
}
static void play_sent(struct fgw_conn *c, uint64_t n) { (void)c, (void)n; }
static void play_fail(struct fgw_conn *c) { (void)c; t.fails++, t.open = false; }
static const struct fgw_conn_user play_user = {NULL, play_input, play_sent, play_fail};

static void play_done(struct fgw_tls_stage *s, int fd, enum fgw_err why)
{
    t.done = true, t.why = why;
    if (why) return;
    fgw_conn_init(&t.c, &l, fd, false, &play_user);
    fgw_tls_attach(s->tls, &t.c);
    t.open = true;
}

static void play_begin(void)
{
    signal(SIGPIPE, SIG_IGN);            /* the client's own BIO would raise it */
    if (fgw_loop_init(&l, &wires_clock, 0) < 0 || !(env = fgw_tls_env_new())) abort();
}
static void play_end(void)
{
    fgw_loop_settle(&l);
    fgw_loop_fini(&l);
    fgw_tls_env_free(env);
}

static inline struct fgw_tls_server *server(const struct fgw_tls_pem *certs, uint32_t n, struct fgw_str ca, int auth)
{
    struct fgw_tls_options o = {.certs = certs, .ncerts = n, .ca = ca, .client_auth = (uint8_t)auth, .min_version = 2, .tickets = true};
    struct fgw_tls_server *s = fgw_tls_server_new(env, &o, err, sizeof err);
    if (!s) fprintf(stderr, "server: %s\n", err);
    return s;
}

static void turn(int n)
{
    for (int i = 0; i < n; i++) fgw_loop_turn(&l, 0), fgw_loop_settle(&l);
}

/* A connection whose client has said nothing yet. */
static inline void play_open(struct fgw_tls_server *s)
{
    int p[2];
    memset(&t, 0, sizeof t);
    pair_make(p);
    t.stage.done = play_done;
    t.peer = p[1];
    if (fgw_tls_stage_init(&t.stage, &l, s, p[0], 10000) < 0) abort();
}
/* Drive both until the handshake is over on both sides, or failed. True: it succeeded. */
static inline bool play_shake(struct fgw_tls_server *s, SSL_CTX *ctx, const char *sni, SSL_SESSION *resume)
{
    play_open(s);
    t.ssl = client_new(ctx, t.peer, sni);
    if (resume) SSL_set_session(t.ssl, resume);
    for (int i = 0; i < 20; i++) {
        SSL_do_handshake(t.ssl);
        turn(1);
    }
    char c;
    SSL_read(t.ssl, &c, 1);              /* takes in tickets, or an alert */
    ERR_clear_error();
    return t.done && !t.why && SSL_is_init_finished(t.ssl);
}
static void play_close(void)
{
    if (t.ssl) SSL_set_shutdown(t.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);   /* so that its session may be resumed */
    SSL_free(t.ssl), t.ssl = NULL;
    if (t.peer >= 0) close(t.peer), t.peer = -1;
    if (!t.done) fgw_tls_stage_fini(&t.stage);
    if (t.open) fgw_conn_close(&t.c, false);
    t.open = false;
    fgw_loop_settle(&l);
    ERR_clear_error();
}
/* The name on the certificate that the client was shown. */
static inline bool shown(const char *cn)
{
    char text[128] = "";
    X509 *x = t.ssl ? SSL_get0_peer_certificate(t.ssl) : NULL;
    if (x) X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, text, sizeof text);
    return strcmp(text, cn) == 0;
}

#endif
