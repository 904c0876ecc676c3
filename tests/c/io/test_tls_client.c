#include "io/tls_client.c"
#include "io/tls_play.h"
#include "test.h"

static struct pem ca, cert;
static SSL_CTX *peer_ctx;
static struct fgw_conn c;
static int opens, fails, inputs;
static char got[64];
static size_t got_n;

static void up_open(struct fgw_conn *x) { (void)x; opens++; }
static void up_input(struct fgw_conn *x)
{
    uint32_t n = fgw_conn_in_len(x);
    inputs++;
    if (got_n + n <= sizeof got) memcpy(got + got_n, fgw_conn_in(x), n), got_n += n;
    fgw_conn_take(x, n);
}
static void up_fail(struct fgw_conn *x) { (void)x; fails++; }
static const struct fgw_conn_user up_user = {up_open, up_input, play_sent, up_fail};

static void begin(const char *names, long days)
{
    ca = pem_make("root", NULL, NULL, 30, false), cert = pem_make("up", names, &ca, days, false);
    peer_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(peer_ctx, cert.x), SSL_CTX_use_PrivateKey(peer_ctx, cert.k);
    SSL_CTX_set_session_id_context(peer_ctx, (const unsigned char *)"x", 1);
    play_begin();
}
static void end(void)
{
    SSL_CTX_free(peer_ctx);
    play_end();
    pem_free(&cert), pem_free(&ca);
}

static struct fgw_tls_client *made(struct fgw_tls_client_options o)
{
    o.min_version = 2;
    struct fgw_tls_client *x = fgw_tls_client_new(env, &o, err, sizeof err);
    if (!x) fprintf(stderr, "client: %s\n", err);
    return x;
}

/* Dial, and let the peer answer until both are done. t.ssl is the peer's end. */
static bool dial(struct fgw_tls_client *client, const char *host)
{
    int p[2];
    memset(&t, 0, sizeof t), opens = fails = inputs = 0, got_n = 0;
    pair_make(p);
    fgw_conn_init(&c, &l, p[0], true, &up_user);
    t.peer = p[1], t.done = true;
    OK(fgw_tls_dial(client, &c, 7, host) == 0);
    t.ssl = SSL_new(peer_ctx);
    SSL_set_fd(t.ssl, t.peer), SSL_set_accept_state(t.ssl);
    for (int i = 0; i < 12; i++) turn(1), SSL_do_handshake(t.ssl);
    turn(1);
    ERR_clear_error();
    return opens == 1 && fails == 0 && c.state == FGW_CONN_OPEN;
}
static void hang_up(void)
{
    fgw_conn_close(&c, false);
    play_close();
}

TEST(a_dial_is_open_when_the_handshake_is_over_and_bytes_go_both_ways)
{
    char in[16];
    begin("DNS:up.test", 9);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    OK(dial(x, "up.test:443"));
    EQ(strcmp(SSL_get_servername(t.ssl, TLSEXT_NAMETYPE_host_name), "up.test"), 0);
    EQ(inputs, 0);                                     /* tickets are no input */
    fgw_conn_copy(&c, "ping", 4);
    turn(1);
    EQ(SSL_read(t.ssl, in, sizeof in), 4);
    EQ(SSL_write(t.ssl, "pong", 4), 4);
    turn(2);
    EQ_BYTES(got, got_n, "pong");
    hang_up();
    fgw_tls_client_unref(x);
    end();
}

TEST(what_an_upstream_says_unasked_is_told_before_it_is_asked)
{
    begin("DNS:up.test", 9);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    OK(dial(x, "up.test:443"));
    SSL_write(t.ssl, "banner", 6);
    turn(1);
    EQ(inputs, 1);
    EQ(c.sent, 0);
    hang_up();
    fgw_tls_client_unref(x);
    end();
}

static enum fgw_err refusal(struct fgw_tls_client *x, const char *host)
{
    OK(!dial(x, host));
    EQ(fails, 1);
    EQ(opens, 0);
    hang_up();
    return (enum fgw_err)c.why;
}

TEST(who_is_not_whom_we_meant_is_refused_by_its_reason)
{
    begin("DNS:up.test,IP:192.0.2.1", 9);
    struct pem other = pem_make("other root", NULL, NULL, 9, false);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    struct fgw_tls_client *strange = made((struct fgw_tls_client_options){.ca = other.cert, .verify = true});
    struct fgw_tls_client *named = made((struct fgw_tls_client_options){.ca = ca.cert, .name = FGW_STR("up.test"), .verify = true});
    struct fgw_tls_client *blind = made((struct fgw_tls_client_options){.verify = false}), *system = made((struct fgw_tls_client_options){.verify = true});
    EQ(refusal(x, "down.test:443"), FGW_E_UPSTREAM_NAME);
    EQ(refusal(x, "192.0.2.2:443"), FGW_E_UPSTREAM_NAME);
    EQ(refusal(x, "[2001:db8::1]:443"), FGW_E_UPSTREAM_NAME);
    EQ(refusal(strange, "up.test:443"), FGW_E_UPSTREAM_CERT);
    EQ(refusal(system, "up.test:443"), FGW_E_UPSTREAM_CERT);
    OK(dial(x, "192.0.2.1:443"));
    OK(!SSL_get_servername(t.ssl, TLSEXT_NAMETYPE_host_name));   /* an address is no name (RFC 6066 section 3) */
    hang_up();
    OK(dial(named, "192.0.2.9:443"));
    hang_up();
    OK(dial(blind, "192.0.2.9:443"));
    hang_up();
    fgw_tls_client_unref(x), fgw_tls_client_unref(strange), fgw_tls_client_unref(named), fgw_tls_client_unref(blind), fgw_tls_client_unref(system);
    pem_free(&other);
    end();
    begin("DNS:up.test", -1);
    x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    EQ(refusal(x, "up.test:443"), FGW_E_UPSTREAM_EXPIRED);
    fgw_tls_client_unref(x);
    end();
}

TEST(an_upstream_that_speaks_no_tls_or_hangs_up_fails_the_dial)
{
    int p[2];
    begin("DNS:up.test", 9);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    for (int way = 0; way < 2; way++) {
        opens = fails = 0;
        pair_make(p);
        fgw_conn_init(&c, &l, p[0], true, &up_user);
        OK(fgw_tls_dial(x, &c, 7, "up.test:443") == 0);
        turn(1);
        if (way == 0) EQ(send(p[1], "HTTP/1.1 400 Bad\r\n\r\n", 20, 0), 20);
        else close(p[1]);
        turn(2);
        EQ(fails, 1);
        EQ(opens, 0);
        EQ(c.why, FGW_E_UPSTREAM_TLS);
        EQ(c.err, way == 0 ? EPROTO : ECONNRESET);
        fgw_conn_close(&c, false);
        if (way == 0) close(p[1]);
        fgw_loop_settle(&l);
    }
    fgw_tls_client_unref(x);
    end();
}

TEST(the_next_connection_to_an_endpoint_resumes)
{
    begin("DNS:up.test", 9);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(peer_ctx, version);
        OK(dial(x, "up.test:443"));
        OK(!SSL_session_reused(t.ssl));
        hang_up();
        OK(dial(x, "up.test:443"));
        OK(SSL_session_reused(t.ssl));
        hang_up();
    }
    fgw_tls_client_unref(x);
    end();
}

TEST(our_own_certificate_is_shown)
{
    char cn[32] = "";
    begin("DNS:up.test", 9);
    struct pem me = pem_make("gateway", NULL, &ca, 9, false);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(peer_ctx), ca.x);
    SSL_CTX_set_verify(peer_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    struct fgw_tls_client *x = made((struct fgw_tls_client_options){.ca = ca.cert, .own = {me.cert, me.key}, .verify = true});
    OK(dial(x, "up.test:443"));
    X509 *shown_to_it = SSL_get0_peer_certificate(t.ssl);
    if (shown_to_it) X509_NAME_get_text_by_NID(X509_get_subject_name(shown_to_it), NID_commonName, cn, sizeof cn);
    EQ(strcmp(cn, "gateway"), 0);
    hang_up();
    fgw_tls_client_unref(x);
    pem_free(&me);
    end();
}

TEST(the_same_settings_are_the_same_transport)
{
    begin("DNS:up.test", 9);
    struct fgw_tls_client *a = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    struct fgw_tls_client *b = made((struct fgw_tls_client_options){.ca = ca.cert, .verify = true});
    struct fgw_tls_client *n = made((struct fgw_tls_client_options){.ca = ca.cert, .name = FGW_STR("x"), .verify = true});
    OK(fgw_tls_client_same(a, b) && fgw_tls_client_same(NULL, NULL) && fgw_tls_client_same(a, a));
    OK(!fgw_tls_client_same(a, n) && !fgw_tls_client_same(a, NULL) && !fgw_tls_client_same(NULL, a));
    fgw_tls_client_unref(a), fgw_tls_client_unref(b), fgw_tls_client_unref(n);
    struct fgw_tls_client_options bad = {.ca = FGW_STR("nonsense"), .min_version = 2, .verify = true};
    OK(!fgw_tls_client_new(env, &bad, err, sizeof err) && strstr(err, "no certificate can be read"));
    EQ(env->refs, 1);
    end();
}

TEST_MAIN()
