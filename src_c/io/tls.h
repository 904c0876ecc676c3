/* io/tls.h: TLS 1.2 and 1.3 for connections that clients open, by OpenSSL on the socket itself.
 *
 *   fd ─► stage: handshake ──done──► fgw_tls ─attach─► conn (transport: tls) ─► codec
 *           └─ refused, late, gone: alert, or 400 in plain words for who spoke plain HTTP; closed
 *
 * server   contexts made of certificates: chosen by SNI (exact name, then wildcard, then the first), by key type where a name has several.
 *          Immutable; counted by its owner and by each connection, so that new certificates never touch an old connection.
 * stage    owns fd and its own timer until `done`. Nothing of a codec exists before the handshake is over.
 * transport one record is read as it comes: read-ahead takes all that the socket has in one call. What stays inside OpenSSL is told through
 *          the loop's ready list. An end without close_notify is ECONNRESET: it may be a cut. conn.cut: no close_notify is sent.
 * Tickets  session tickets are sealed with keys of the env, which all workers share and the supervisor turns over. Bound to the
 *          certificates and client-certificate rules they were given under (session id context): elsewhere they mean a full handshake.
 * Off      renegotiation, compression, early data, kTLS, the session cache.
 * Contexts one for each set of certificates that share names. The first 16 are made at once, so that mistakes are found; of more, each
 *          when its name is first asked for (1 ms). The server keeps a copy of the PEM texts for that.
 * Memory   OpenSSL's own, freed at settle after close. Idle: no record buffers (SSL_MODE_RELEASE_BUFFERS).
 * Thread   one, with its env and all that hangs on it. Cost: one recv and one send a record, one copy where an answer is several spans. */
#ifndef FGW_IO_TLS_H
#define FGW_IO_TLS_H
#include "base/err.h"
#include "base/str.h"
#include "io/conn.h"

enum { FGW_TLS_TICKET_KEY = 80,                        /* bytes: name 16, AES-256 key 32, HMAC-SHA-256 key 32 */
       FGW_TLS_TICKET_KEYS = 8 };                      /* at most */
enum fgw_tls_auth { FGW_TLS_AUTH_NONE, FGW_TLS_AUTH_REQUEST, FGW_TLS_AUTH_REQUIRE };

struct fgw_tls_env;
struct fgw_tls_env *fgw_tls_env_new(void);             /* with a random ticket key of its own; NULL: no memory */
void fgw_tls_env_free(struct fgw_tls_env *e);          /* goes when its last server has gone */
/* n keys in a row: the first seals, all open. Nothing changes if n is 0 or too large. */
void fgw_tls_env_keys(struct fgw_tls_env *e, const void *keys, uint32_t n);

struct fgw_tls_pem { struct fgw_str cert, key; };
struct fgw_tls_names { struct fgw_str names, kind; };  /* of a certificate, as in fgw_cert_info: somebody has read it already */
struct fgw_tls_options {
    const struct fgw_tls_pem *certs;
    const struct fgw_tls_names *names;                 /* as many; NULL: they are read from the certificates, which takes 0.5 ms each */
    uint32_t ncerts;
    struct fgw_str ca;                                 /* PEM: whose client certificates are believed */
    struct fgw_str ciphers;                            /* of TLS 1.2, OpenSSL's list; empty: ours */
    struct fgw_str alpn;                               /* protocols, each behind its length, ours first; empty: http/1.1 */
    uint8_t client_auth;                               /* enum fgw_tls_auth */
    uint8_t min_version;                               /* 2: TLS 1.2, 3: TLS 1.3 */
    bool strict_names;                                 /* refuse names that no certificate has */
    bool tickets;
};
struct fgw_tls_server;
struct fgw_tls_server *fgw_tls_server_new(struct fgw_tls_env *e, const struct fgw_tls_options *o, char *err, size_t err_n);
struct fgw_tls_server *fgw_tls_server_ref(struct fgw_tls_server *s);
void fgw_tls_server_unref(struct fgw_tls_server *s);   /* NULL is fine */

struct fgw_identity;                                   /* io/tls_cert.h */
struct fgw_tls;
/* The handshake is over: the socket's conn speaks TLS from here on, and owns t. */
void fgw_tls_attach(struct fgw_tls *t, struct fgw_conn *c);
void fgw_tls_free(struct fgw_tls *t);                  /* one that was not attached; its fd is the caller's */
const struct fgw_identity *fgw_tls_identity(const struct fgw_tls *t);    /* NULL: none was shown. Lives as long as the connection */
const char *fgw_tls_version(const struct fgw_tls *t);  /* "TLSv1.3" */
const char *fgw_tls_cipher(const struct fgw_tls *t);
struct fgw_str fgw_tls_alpn(const struct fgw_tls *t);  /* empty: none was agreed */
bool fgw_tls_resumed(const struct fgw_tls *t);

struct fgw_tls_stage {
    struct fgw_watch watch;
    struct fgw_loop *loop;
    struct fgw_timer timer;
    struct fgw_tls *tls;
    /* Once. FGW_E_NONE: fd and s->tls are the callee's. Else why it failed; both are gone. The stage's memory is the callee's, from settle on. */
    void (*done)(struct fgw_tls_stage *s, int fd, enum fgw_err why);
};
/* Begin on an accepted socket. -1: no memory, or no watch; fd is not closed. done is not called from here. */
int  fgw_tls_stage_init(struct fgw_tls_stage *s, struct fgw_loop *l, struct fgw_tls_server *server, int fd, uint32_t timeout_ms);
void fgw_tls_stage_fini(struct fgw_tls_stage *s);      /* give up; fd is closed, done is not called */

#endif
