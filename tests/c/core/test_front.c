#include "core/front.c"
#include "core/engine.h"
#include "io/tls_cert.h"
#include "io/tls_peer.h"
#include <signal.h>

static void proxied(struct engine *e, bool trusts)
{
    mini_trusts_loopback = trusts;
    engine_start(e);
    mini_trusts_loopback = false;
    fgw_container(e->w->listeners.next, struct fgw_listener, link)->proxy_protocol = true;
}

static uint32_t refusals(struct engine *e) { return (uint32_t)atomic_load(&e->w->gauges->refused); }
static const char LINE[] = "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n";
static const char GET[] = "GET /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

TEST(a_line_from_a_trusted_peer_names_the_client)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, LINE), say(&e, c, GET);
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "X-Forwarded-For: 192.0.2.7\r\n");         /* whom the line named is not trusted: what it says itself is not believed */
    GOT(&e, "for=192.0.2.7;");
    GOT_NO(&e, "6.6.6.6");
    close(c), close(o);
    engine_stop(&e);
}

TEST(a_stranger_is_closed_before_a_byte_is_read)
{
    struct engine e;
    proxied(&e, false);
    int c = client(&e);
    EQ(send(c, LINE, sizeof LINE - 1, 0), sizeof LINE - 1);       /* all of it is there before the worker looks */
    EQ(send(c, GET, sizeof GET - 1, 0), sizeof GET - 1);
    OK(hear(&e, c, NULL) || e.eof);
    EQ(e.n, 0);
    OK(origin_idle(&e));
    EQ(refusals(&e), 1);
    EQ(e.w->fronts.live, 0);
    close(c);
    engine_stop(&e);
}

TEST(a_bad_line_is_closed_and_counted)
{
    struct engine e;
    static const char *const bad[] = {"GET / HTTP/1.1\r\n", "\r\n\r\n\rQUIT\n", "PROXY TCP4 x y 1 2\r\n"};
    proxied(&e, true);
    for (uint32_t i = 0; i < FGW_COUNT(bad); i++) {
        int c = client(&e);
        say(&e, c, bad[i]);
        OK(hear(&e, c, NULL) || e.eof);
        EQ(e.n, 0);
        EQ(refusals(&e), i + 1);
        close(c);
    }
    engine_stop(&e);
}

TEST(a_drain_lets_half_a_line_be_finished_and_its_request_be_the_last)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, "PROXY TCP4 ");
    turn(&e, 10);
    EQ(e.w->fronts.live, 1);
    fgw_worker_drain(e.w, 60000, true);
    OK(!fgw_worker_drained(e.w));
    say(&e, c, "192.0.2.1 192.0.2.2 1 2\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    HEAR(&e, c, "hello");
    GOT(&e, "Connection: close\r\n");
    close(c);
    turn(&e, 20);
    OK(fgw_worker_drained(e.w));
    engine_stop(&e);
}

TEST(the_end_of_a_worker_ends_half_a_line)
{
    struct engine e;
    proxied(&e, true);
    int c = client(&e);
    say(&e, c, "PROXY");
    turn(&e, 10);
    close(c);
    engine_stop(&e);
}

/* ---- TLS ---- */
static struct pem ca, cert, me;
static SSL_CTX *as_me, *as_nobody;

static void secured(struct engine *e, uint8_t auth)
{
    signal(SIGPIPE, SIG_IGN);
    ca = pem_make("root", NULL, NULL, 30, false), cert = pem_make("a", "DNS:a.test", &ca, 9, false), me = pem_make("me", NULL, &ca, 9, false);
    mini_tls.cert = cert.cert.p, mini_tls.key = cert.key.p, mini_tls.ca = auth ? ca.cert.p : NULL, mini_tls.client_auth = auth;
    engine_start(e);
    memset(&mini_tls, 0, sizeof mini_tls);
    as_me = client_ctx(&ca, &me), as_nobody = client_ctx(&ca, NULL);
}
static void secured_stop(struct engine *e)
{
    engine_stop(e);
    SSL_CTX_free(as_me), SSL_CTX_free(as_nobody);
    pem_free(&me), pem_free(&cert), pem_free(&ca);
}
static SSL *shake(struct engine *e, SSL_CTX *c, int fd)
{
    SSL *s = client_new(c, fd, "a.test");
    for (int i = 0; i < 50 && SSL_do_handshake(s) != 1; i++) turn(e, 2);
    return s;
}
static void tls_say(SSL *s, const char *text) { EQ(SSL_write(s, text, (int)strlen(text)), (int)strlen(text)); }
static bool tls_hear(struct engine *e, SSL *s, const char *until)
{
    e->n = 0, e->got[0] = 0;
    for (int i = 0; i < 200; i++) {
        int r = SSL_read(s, e->got + e->n, (int)(sizeof e->got - 1 - e->n));
        if (r > 0) e->n += (size_t)r, e->got[e->n] = 0;
        if (until && strstr(e->got, until)) return true;
        if (SSL_get_shutdown(s) & SSL_RECEIVED_SHUTDOWN) return until == NULL;
        turn(e, 2);
    }
    return false;
}
static struct fgw_tls_cell *cell(struct engine *e) { return fgw_shm_cell(e->shm, 0, ENGINE_ROUTES + 2); }

TEST(a_request_over_tls_is_forwarded_as_one_of_https)
{
    struct engine e;
    secured(&e, FGW_TLS_AUTH_NONE);
    int c = client(&e);
    SSL *s = shake(&e, as_nobody, c);
    for (int i = 0; i < 3; i++) {
        tls_say(s, "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n");
        int o = origin(&e);
        HEAR(&e, o, "\r\n\r\n");
        GOT(&e, "X-Forwarded-Proto: https\r\n");
        say(&e, o, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        OK(tls_hear(&e, s, "\r\n\r\nok"));
        close(o);
    }
    EQ(cell(&e)->handshakes, 1);
    tls_say(s, "GET /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    OK(tls_hear(&e, s, NULL));                         /* its end is told by close_notify */
    GOT(&e, "hello");
    SSL_free(s), close(c);
    secured_stop(&e);
}

TEST(who_the_client_is_comes_with_its_connection)
{
    struct engine e;
    secured(&e, FGW_TLS_AUTH_REQUIRE);
    int c = client(&e), d = client(&e);
    SSL *s = shake(&e, as_me, c), *n = shake(&e, as_nobody, d);
    turn(&e, 20);
    EQ(e.w->fronts.live, 1);
    struct fgw_front *f = fgw_container(e.w->front_list.next, struct fgw_front, link);
    OK(f->demux && f->demux->peer.tls && f->demux->peer.identity);
    if (f->demux) EQ_STR(f->demux->peer.identity->cn, "me");
    EQ(cell(&e)->failures[FGW_E_TLS_NO_CERTIFICATE - FGW_E_TLS_FAILED], 1);
    EQ(cell(&e)->handshakes, 1);
    EQ(refusals(&e), 1);
    SSL_free(s), SSL_free(n), close(c), close(d);
    secured_stop(&e);
}

TEST(a_line_comes_before_the_handshake)
{
    struct engine e;
    mini_trusts_loopback = true;
    secured(&e, FGW_TLS_AUTH_NONE);
    mini_trusts_loopback = false;
    fgw_container(e.w->listeners.next, struct fgw_listener, link)->proxy_protocol = true;
    int c = client(&e);
    say(&e, c, LINE);
    SSL *s = shake(&e, as_nobody, c);
    tls_say(s, "GET /p/x HTTP/1.1\r\nHost: a\r\n\r\n");
    int o = origin(&e);
    HEAR(&e, o, "\r\n\r\n");
    GOT(&e, "X-Forwarded-For: 192.0.2.7\r\n");
    SSL_free(s), close(c), close(o);
    secured_stop(&e);
}

TEST(a_handshake_that_is_not_finished_ends_by_time_or_with_the_worker)
{
    struct engine e;
    secured(&e, FGW_TLS_AUTH_NONE);
    int c = client(&e), d = client(&e);
    say(&e, c, "\x16\x03\x01");
    turn(&e, 10);
    EQ(e.w->fronts.live, 2);
    passes(&e, 4999);
    EQ(e.w->fronts.live, 2);
    passes(&e, 2);
    EQ(e.w->fronts.live, 0);
    EQ(cell(&e)->failures[FGW_E_TLS_TIMEOUT - FGW_E_TLS_FAILED], 2);
    int f = client(&e);
    say(&e, f, "\x16\x03");
    turn(&e, 10);
    fgw_worker_drain(e.w, 100, true);
    turn(&e, 4);
    EQ(e.w->fronts.live, 1);
    passes(&e, 101);                                   /* the drain's deadline */
    EQ(e.w->fronts.live, 0);
    close(c), close(d), close(f);
    secured_stop(&e);
}

TEST(a_connection_keeps_its_certificates_when_the_listener_has_new_ones)
{
    struct engine e;
    char why[256] = "";
    secured(&e, FGW_TLS_AUTH_NONE);
    int c = client(&e);
    SSL *s = shake(&e, as_nobody, c);
    struct pem newer = pem_make("newer", "DNS:a.test", &ca, 9, false);
    mini_tls.cert = newer.cert.p, mini_tls.key = newer.key.p;
    struct mini_snapshot *next = mini_new(ROUTES, ENGINE_ROUTES, e.shm->heap_off, 2, FGW_LOG_OFF);
    mini_tls.key = cert.key.p;
    struct mini_snapshot *bad = mini_new(ROUTES, ENGINE_ROUTES, e.shm->heap_off, 2, FGW_LOG_OFF);
    memset(&mini_tls, 0, sizeof mini_tls);
    struct mini_seg *const segs[] = {&next->tls, &next->root, &bad->tls, &bad->root};
    for (int i = 0; i < 4; i++) EQ(fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, why, sizeof why), 0);
    struct fgw_snapshot *snap = fgw_worker_prepare(e.w, next->root_hash, why, sizeof why);
    OK(snap);
    if (snap) fgw_worker_commit(e.w, snap);
    for (int i = 2; i < 4; i++) fgw_worker_segment_add_bytes(e.w, segs[i]->bytes, segs[i]->used, why, sizeof why);
    OK(!fgw_worker_prepare(e.w, bad->root_hash, why, sizeof why));
    OK(strstr(why, "the key is not the certificate's"));
    tls_say(s, "GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    OK(tls_hear(&e, s, "hello"));
    int d = client(&e);
    SSL *n = shake(&e, as_nobody, d);
    char cn[32] = "";
    X509 *x = SSL_get0_peer_certificate(n);
    if (x) X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
    EQ(strcmp(cn, "newer"), 0);
    EQ(live(&e).segments, 5);                          /* the old certificates' own is gone */
    SSL_free(s), SSL_free(n), close(c), close(d);
    pem_free(&newer);
    free(next), free(bad);
    secured_stop(&e);
}

TEST_MAIN()
