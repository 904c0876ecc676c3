#include "io/tls.c"
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include "io/tls_play.h"
#include "test.h"

static struct pem ca, cert;
static struct fgw_tls_server *srv;
static SSL_CTX *ctx;

static void begin_auth(int auth)
{
    ca = pem_make("root", NULL, NULL, 30, false), cert = pem_make("a", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {{cert.cert, cert.key}};
    play_begin();
    srv = server(certs, 1, auth ? ca.cert : FGW_STR(""), auth);
    ctx = client_ctx(&ca, NULL);
}
static void begin(void) { begin_auth(0); }
static void end(void)
{
    if (t.peer > 0) play_close();
    SSL_CTX_free(ctx);
    fgw_tls_server_unref(srv);
    play_end();
    pem_free(&cert), pem_free(&ca);
    memset(&t, 0, sizeof t);
}

/* ---- bytes ---- */
TEST(bytes_go_both_ways_in_both_versions)
{
    char got[64];
    begin();
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(ctx, version);
        OK(play_shake(srv, ctx, "a.test", NULL));
        EQ(strcmp(fgw_tls_version(t.stage.tls), version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2"), 0);
        OK(strstr(fgw_tls_cipher(t.stage.tls), "AES"));
        EQ(SSL_write(t.ssl, "hello", 5), 5);
        turn(1);
        EQ_BYTES(t.got, t.got_n, "hello");
        fgw_conn_copy(&t.c, "wor", 3), fgw_conn_copy(&t.c, "ld", 2);
        turn(1);
        EQ(SSL_read(t.ssl, got, sizeof got), 5);       /* two spans, one record */
        EQ_BYTES(got, 5, "world");
        EQ(t.c.sent, 5);
        play_close();
    }
    end();
}

TEST(what_comes_with_the_handshakes_last_message_is_not_left_inside)
{
    begin();
    play_open(srv);
    t.ssl = client_new(ctx, t.peer, "a.test");
    while (SSL_do_handshake(t.ssl) != 1) turn(1);
    EQ(SSL_write(t.ssl, "early", 5), 5);               /* the engine has not seen Finished yet: both lie in its socket */
    turn(3);
    OK(t.open);
    EQ_BYTES(t.got, t.got_n, "early");
    end();
}

static char *pattern(size_t n)
{
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 31 + i / 257);
    return p;
}

TEST(much_goes_up_whole_whatever_the_room)
{
    enum { N = 900000 };
    char *p = pattern(N);
    size_t at = 0;
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    SSL_set_mode(t.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    for (int i = 0; i < 1000 && t.got_n < N; i++) {
        int k = at < N ? SSL_write(t.ssl, p + at, (int)(N - at)) : 0;
        if (k > 0) at += (size_t)k;
        turn(1);
    }
    EQ(t.got_n, N);
    OK(memcmp(t.got, p, N) == 0);
    end();
    free(p);
}

TEST(much_goes_down_whole_to_a_slow_reader)
{
    enum { N = 900000 };
    char *p = pattern(N), *got = malloc(N);
    size_t at = 0, n = 0;
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    for (size_t k; n < N; n += k) {                    /* odd pieces: records are gathered from spans */
        k = N - n < 777 ? N - n : 777;
        OK(fgw_conn_copy(&t.c, p + n, k));
    }
    turn(1);
    OK(t.c.out.bytes > 0);                             /* the socket did not take it all */
    for (int i = 0; i < 100000 && at < N; i++) {
        int k = SSL_read(t.ssl, got + at, 5000);
        if (k > 0) at += (size_t)k;
        else turn(1);
    }
    EQ(at, N);
    OK(memcmp(got, p, N) == 0);
    EQ(t.c.sent, N);
    turn(2);
    OK(!(t.c.watch.events & EPOLLOUT));
    end();
    free(p), free(got);
}

/* TCP may join the records of one flush into fewer segments, and must not hold back the last of them. */
TEST(records_of_one_flush_go_together_and_none_is_held_back)
{
    enum { N = 20000 };
    static char got[N];
    struct tcp_info before, after;
    socklen_t n = sizeof before;
    char *p = pattern(N);
    size_t at = 0;
    int unsent = -1;
    pair_tcp = true;
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    int fd = t.c.watch.fd;
    OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &before, &n) == 0);
    OK(fgw_conn_copy(&t.c, p, N));
    turn(1);
    EQ(t.c.sent, N);
    OK(ioctl(fd, SIOCOUTQNSD, &unsent) == 0);
    EQ(unsent, 0);
    OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &n) == 0);
    if (before.tcpi_snd_mss > N + 1000) EQ(after.tcpi_data_segs_out - before.tcpi_data_segs_out, 1);   /* two records */
    for (int k; at < N && (k = SSL_read(t.ssl, got + at, (int)(N - at))) > 0;) at += (size_t)k;
    EQ(at, N);
    OK(memcmp(got, p, N) == 0);
    pair_tcp = false;
    end();
    free(p);
}

TEST(a_conn_that_stops_reading_and_goes_on_gets_what_openssl_has)
{
    char big[40000];
    memset(big, 'x', sizeof big);
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    t.keep = true;
    for (size_t at = 0; at < sizeof big; at += 10000) EQ(SSL_write(t.ssl, big + at, 10000), 10000);
    fgw_loop_turn(&l, 0);                              /* one read: the block is smaller than what has come */
    fgw_conn_want_read(&t.c, false);
    turn(5);
    uint32_t have = fgw_conn_in_len(&t.c);
    OK(have > 0 && have < sizeof big);
    turn(5);
    EQ(fgw_conn_in_len(&t.c), have);
    EQ(l.awake, false);                                /* and nothing spins meanwhile */
    t.keep = false;
    fgw_conn_want_read(&t.c, true);
    play_input(&t.c);
    turn(20);
    EQ(t.got_n, sizeof big);
    end();
}

TEST(what_is_left_of_a_record_inside_openssl_is_read_without_an_event)
{
    char big[10000];
    memset(big, 'x', sizeof big);
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    SSL_write(t.ssl, "x", 1);
    turn(1);
    struct fgw_block *held = fgw_block_ref(l.in);      /* so that it is not begun anew: there is room for a part of the record only */
    l.in_fill = held->cap - 2048;
    EQ(SSL_write(t.ssl, big, sizeof big), sizeof big);
    fgw_loop_turn(&l, 0);
    EQ(t.got_n, 1 + 2048);
    turn(2);
    EQ(t.got_n, 1 + sizeof big);
    fgw_block_unref(held);
    end();
}

/* ---- ends ---- */
TEST(a_close_notify_is_an_end_and_a_bare_fin_is_a_cut)
{
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    SSL_write(t.ssl, "bye", 3);
    SSL_shutdown(t.ssl);
    turn(3);
    EQ_BYTES(t.got, t.got_n, "bye");
    OK(t.c.eof && !t.fails);
    play_close();
    OK(play_shake(srv, ctx, "a.test", NULL));
    SSL_write(t.ssl, "by", 2);
    shutdown(t.peer, SHUT_WR);
    turn(3);
    EQ_BYTES(t.got, t.got_n, "by");
    OK(!t.c.eof);
    EQ(t.fails, 1);
    EQ(t.c.err, ECONNRESET);
    end();
}

static bool told_end(void)                             /* a close_notify has come */
{
    char got[16];
    turn(2);
    while (SSL_read(t.ssl, got, sizeof got) > 0) continue;
    return SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN;
}

TEST(an_end_of_ours_is_told_and_a_cut_is_not)
{
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    fgw_conn_copy(&t.c, "x", 1), fgw_conn_finish(&t.c);
    OK(told_end());
    EQ(t.fails, 1);
    play_close();
    OK(play_shake(srv, ctx, "a.test", NULL));
    fgw_conn_copy(&t.c, "x", 1), fgw_conn_cut(&t.c);
    OK(!told_end());
    play_close();
    OK(play_shake(srv, ctx, "a.test", NULL));
    fgw_conn_copy(&t.c, "x", 1), fgw_conn_kill(&t.c);
    OK(!told_end());
    play_close();
    OK(play_shake(srv, ctx, "a.test", NULL));
    fgw_conn_shut(&t.c);                               /* half: the other direction goes on */
    OK(told_end());
    EQ(SSL_write(t.ssl, "more", 4), 4);
    turn(1);
    EQ_BYTES(t.got, t.got_n, "more");
    end();
}

TEST(a_damaged_record_ends_the_connection)
{
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    EQ(send(t.peer, "\x17\x03\x03\x00\x20 thirty-two bytes of no meaning .", 37, 0), 37);
    turn(2);
    EQ(t.fails, 1);
    EQ(t.c.err, EPROTO);
    EQ(ERR_peek_error(), 0);
    end();
}

TEST(a_key_update_is_answered_and_renegotiation_is_refused)
{
    char got[8];
    begin();
    OK(play_shake(srv, ctx, "a.test", NULL));
    OK(SSL_key_update(t.ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(t.ssl) == 1);
    EQ(SSL_write(t.ssl, "new key", 7), 7);
    turn(2);
    EQ_BYTES(t.got, t.got_n, "new key");
    fgw_conn_copy(&t.c, "too", 3);
    turn(1);
    EQ(SSL_read(t.ssl, got, sizeof got), 3);
    play_close();
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    OK(play_shake(srv, ctx, "a.test", NULL));
    SSL_renegotiate(t.ssl);
    SSL_do_handshake(t.ssl);
    turn(2);
    EQ(SSL_do_handshake(t.ssl), -1);                   /* no_renegotiation: a warning in 1.2, which its client takes for an end */
    EQ(t.got_n, 0);
    OK(SSL_get_state(t.ssl) != TLS_ST_OK || t.fails == 0);
    end();
}

/* ---- handshakes that fail ---- */
static enum fgw_err refused(SSL_CTX *c, const char *sni)
{
    OK(!play_shake(srv, c, sni, NULL));
    OK(t.done);
    enum fgw_err why = t.why;
    play_close();
    return why;
}

static enum fgw_err said(const char *p, size_t n, bool hang_up, char *answer, size_t answer_n)
{
    play_open(srv);
    if (n) EQ(send(t.peer, p, n, 0), (ssize_t)n);
    if (hang_up) shutdown(t.peer, SHUT_WR);
    turn(2);
    ssize_t r = recv(t.peer, answer, answer_n - 1, 0);
    answer[r > 0 ? r : 0] = 0;
    enum fgw_err why = t.done ? t.why : FGW_E_NONE;
    play_close();
    return why;
}

TEST(plain_http_is_answered_in_plain_words)
{
    char a[512];
    begin();
    EQ(said("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 27, false, a, sizeof a), FGW_E_TLS_PLAIN_HTTP);
    OK(strncmp(a, "HTTP/1.1 400 ", 13) == 0);
    char *body = strstr(a, "\r\n\r\n"), *length = strstr(a, "content-length: ");
    OK(body && length && strlen(body + 4) == (size_t)atoi(length + 16));
    EQ(said("CONNECT a:443 HTTP/1.1\r\n\r\n", 27, false, a, sizeof a), FGW_E_TLS_PLAIN_HTTP);
    end();
}

TEST(garbage_silence_and_hanging_up_are_told_apart)
{
    char a[512];
    begin();
    EQ(said("\0\1\2\3\4\5\6\7\10\11\12", 11, false, a, sizeof a), FGW_E_TLS_MALFORMED);
    EQ(said("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, false, a, sizeof a), FGW_E_TLS_MALFORMED);
    EQ(said("\x16\x03\x01", 3, true, a, sizeof a), FGW_E_TLS_GONE);
    EQ(said("", 0, true, a, sizeof a), FGW_E_TLS_GONE);
    play_open(srv);
    EQ(send(t.peer, "\x16\x03\x01\x02\x00", 5, 0), 5);
    turn(1);
    OK(!t.done);
    wires_now += 9999;
    for (int i = 0; i < 3; i++) fgw_clock_update(&l.clock), fgw_wheel_advance(&l.wheel, l.clock.mono_ms), fgw_loop_settle(&l);
    OK(!t.done);
    wires_now += 2;
    fgw_clock_update(&l.clock), fgw_wheel_advance(&l.wheel, l.clock.mono_ms), fgw_loop_settle(&l);
    OK(t.done);
    EQ(t.why, FGW_E_TLS_TIMEOUT);
    EQ(recv(t.peer, a, sizeof a, 0), 0);
    play_close();
    end();
}

TEST(what_client_and_listener_do_not_share_is_named)
{
    begin();
    SSL_CTX *c = client_ctx(&ca, NULL);
    SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(c, "ECDHE-RSA-AES128-GCM-SHA256");   /* the certificate is ECDSA */
    EQ(refused(c, "a.test"), FGW_E_TLS_NO_CIPHER);
    SSL_CTX_set_cipher_list(c, "DEFAULT:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(c, 0), SSL_CTX_set_max_proto_version(c, TLS1_1_VERSION);
    EQ(refused(c, "a.test"), FGW_E_TLS_VERSION);
    SSL_CTX_free(c);
    c = client_ctx(&ca, NULL);
    SSL_CTX_set_alpn_protos(c, (const unsigned char *)"\x04spdy", 5);
    EQ(refused(c, "a.test"), FGW_E_TLS_NO_PROTOCOL);
    SSL_CTX_set_alpn_protos(c, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    OK(play_shake(srv, c, "a.test", NULL));
    EQ_STR(fgw_tls_alpn(t.stage.tls), "http/1.1");
    play_close();
    SSL_CTX_free(c);
    end();
}

TEST(a_client_that_does_not_believe_us_says_so)
{
    struct pem other = pem_make("stranger", NULL, NULL, 9, false);
    begin();
    SSL_CTX *c = client_ctx(&other, NULL);
    EQ(refused(c, "a.test"), FGW_E_TLS_REFUSED);
    SSL_CTX_free(c);
    end();
    pem_free(&other);
}

TEST(client_certificates_are_asked_for_believed_and_refused_each_by_its_name)
{
    begin_auth(FGW_TLS_AUTH_REQUIRE);
    struct pem other = pem_make("other root", NULL, NULL, 9, false), me = pem_make("me", "URI:spiffe://x/me", &ca, 9, false),
               old = pem_make("old", NULL, &ca, -1, false), alien = pem_make("alien", NULL, &other, 9, false), own = pem_make("own", NULL, NULL, 9, false),
               evil = pem_make("e\nvil", NULL, &ca, 9, false);
    struct { const struct pem *who; enum fgw_err why; } rows[] = {{NULL, FGW_E_TLS_NO_CERTIFICATE}, {&old, FGW_E_TLS_EXPIRED},
        {&alien, FGW_E_TLS_UNKNOWN_CA}, {&own, FGW_E_TLS_UNKNOWN_CA}, {&evil, FGW_E_TLS_BAD_CERTIFICATE}};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (size_t i = 0; i < FGW_COUNT(rows); i++) {
            SSL_CTX *c = client_ctx(&ca, rows[i].who);
            SSL_CTX_set_max_proto_version(c, version);
            EQ(refused(c, "a.test"), rows[i].why);
            SSL_CTX_free(c);
        }
        SSL_CTX *c = client_ctx(&ca, &me);
        OK(play_shake(srv, c, "a.test", NULL));
        const struct fgw_identity *id = fgw_tls_identity(t.stage.tls);
        OK(id && id->nuris == 1);
        if (id) EQ_STR(id->uris[0], "spiffe://x/me");
        play_close();
        SSL_CTX_free(c);
    }
    pem_free(&other), pem_free(&me), pem_free(&old), pem_free(&alien), pem_free(&own), pem_free(&evil);
    end();
}

TEST(a_certificate_that_is_only_requested_may_be_left_out_but_not_be_wrong)
{
    begin_auth(FGW_TLS_AUTH_REQUEST);
    struct pem own = pem_make("own", NULL, NULL, 9, false);
    OK(play_shake(srv, ctx, "a.test", NULL));
    OK(!fgw_tls_identity(t.stage.tls));
    play_close();
    SSL_CTX *c = client_ctx(&ca, &own);
    EQ(refused(c, "a.test"), FGW_E_TLS_UNKNOWN_CA);
    SSL_CTX_free(c);
    pem_free(&own);
    end();
}

TEST(a_stage_and_a_connection_can_be_given_up_at_any_time)
{
    begin();
    play_open(srv);
    fgw_tls_stage_fini(&t.stage), fgw_tls_stage_fini(&t.stage);
    t.done = true;
    play_close();
    for (int steps = 0; steps < 6; steps++) {
        play_open(srv);
        t.ssl = client_new(ctx, t.peer, "a.test");
        for (int i = 0; i < steps; i++) SSL_do_handshake(t.ssl), turn(1);
        if (t.done) SSL_write(t.ssl, "x", 1);
        play_close();
    }
    OK(play_shake(srv, ctx, "a.test", NULL));
    fgw_tls_server_unref(srv), srv = NULL;             /* its certificates may be replaced meanwhile */
    SSL_write(t.ssl, "x", 1);
    turn(1);
    EQ(t.got_n, 1);
    end();
}

TEST_MAIN()
