#include "io/tls_server.c"
#include "io/tls_play.h"
#include "test.h"

static struct fgw_tls_pem of(const struct pem *p) { return (struct fgw_tls_pem){p->cert, p->key}; }

TEST(a_certificate_is_found_by_exact_name_then_wildcard_then_the_first)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("first", "DNS:first.test", &ca, 9, false),
               b = pem_make("exact", "DNS:www.b.test", &ca, 9, false), w = pem_make("wild", "DNS:*.b.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a), of(&b), of(&w)};
    play_begin();
    struct fgw_tls_server *s = server(certs, 3, FGW_STR(""), 0);
    SSL_CTX *c = client_ctx(&ca, NULL);
    static const struct { const char *sni, *cn; } rows[] = {{NULL, "first"}, {"first.test", "first"}, {"www.b.test", "exact"}, {"WWW.B.Test", "exact"},
        {"x.b.test", "wild"}, {"b.test", "first"}, {"y.x.b.test", "first"}, {"www.b.test.", "exact"}, {"localhost", "first"}};
    for (size_t i = 0; i < FGW_COUNT(rows); i++) {
        OK(play_shake(s, c, rows[i].sni, NULL));
        OK(shown(rows[i].cn) || (fprintf(stderr, "row %zu\n", i), false));
        play_close();
    }
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&a), pem_free(&b), pem_free(&w), pem_free(&ca);
}

TEST(a_name_nobody_has_is_refused_where_names_are_strict)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("a", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a)};
    struct fgw_tls_options o = {.certs = certs, .ncerts = 1, .min_version = 2, .strict_names = true};
    play_begin();
    struct fgw_tls_server *s = fgw_tls_server_new(env, &o, err, sizeof err);
    SSL_CTX *c = client_ctx(&ca, NULL);
    OK(!play_shake(s, c, "b.test", NULL));
    EQ(t.why, FGW_E_TLS_UNKNOWN_NAME);
    play_close();
    OK(!play_shake(s, c, NULL, NULL));
    EQ(t.why, FGW_E_TLS_UNKNOWN_NAME);
    play_close();
    OK(play_shake(s, c, "a.test", NULL));
    play_close();
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&a), pem_free(&ca);
}

TEST(a_name_may_have_a_certificate_of_each_key_type)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), e = pem_make("ec", "DNS:a.test", &ca, 9, false),
               r = pem_make("rsa", "DNS:a.test", &ca, 9, true), again = pem_make("second ec", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&e), of(&r), of(&again)};
    play_begin();
    struct fgw_tls_server *s = server(certs, 3, FGW_STR(""), 0);
    EQ(s->nsets, 1);
    SSL_CTX *c = client_ctx(&ca, NULL);
    OK(play_shake(s, c, "a.test", NULL));
    OK(shown("ec"));
    play_close();
    SSL_CTX_set1_sigalgs_list(c, "RSA-PSS+SHA256:RSA+SHA256");
    SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);      /* its issuer signs with ECDSA, which it now says it does not know */
    OK(play_shake(s, c, "a.test", NULL));
    OK(shown("rsa"));
    play_close();
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&e), pem_free(&r), pem_free(&again), pem_free(&ca);
}

static SSL_SESSION *session_after(struct fgw_tls_server *s, SSL_CTX *c, const char *sni)
{
    OK(play_shake(s, c, sni, NULL));
    SSL_SESSION *x = SSL_get1_session(t.ssl);
    play_close();
    return x;
}
static bool resumes(struct fgw_tls_server *s, SSL_CTX *c, const char *sni, SSL_SESSION *x)
{
    SSL_SESSION *copy = SSL_SESSION_dup(x);            /* OpenSSL's client marks one that was not taken as of no more use */
    bool ok = play_shake(s, c, sni, copy), r = ok && SSL_session_reused(t.ssl);
    SSL_SESSION_free(copy);
    if (ok) EQ(fgw_tls_resumed(t.stage.tls), r);
    play_close();
    return r;
}

TEST(tickets_resume_at_any_worker_that_has_their_key_and_nowhere_else)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("a", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a)};
    unsigned char keys[3 * FGW_TLS_TICKET_KEY];
    for (size_t i = 0; i < sizeof keys; i++) keys[i] = (unsigned char)(i * 7 + i / 80);
    play_begin();
    struct fgw_tls_env *other = fgw_tls_env_new();
    struct fgw_tls_options o = {.certs = certs, .ncerts = 1, .min_version = 2, .tickets = true};
    struct fgw_tls_server *s = server(certs, 1, FGW_STR(""), 0), *s2 = fgw_tls_server_new(other, &o, err, sizeof err);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *c = client_ctx(&ca, NULL);
        SSL_CTX_set_max_proto_version(c, version);
        fgw_tls_env_keys(env, keys, 2);
        fgw_tls_env_keys(other, keys + FGW_TLS_TICKET_KEY, 1);
        SSL_SESSION *x = session_after(s, c, "a.test");
        OK(resumes(s, c, "a.test", x));
        OK(!resumes(s2, c, "a.test", x));              /* it has the second key only */
        fgw_tls_env_keys(other, keys, 2);
        OK(resumes(s2, c, "a.test", x));
        memcpy(keys + 160, keys, 80);
        fgw_tls_env_keys(env, keys + 80, 2);           /* turned over: the old key opens still */
        OK(resumes(s, c, "a.test", x));
        fgw_tls_env_keys(env, keys + 80, 1);
        OK(!resumes(s, c, "a.test", x));
        fgw_tls_env_keys(env, keys, 0), fgw_tls_env_keys(env, keys, 9);
        EQ(env->nkeys, 1);
        SSL_SESSION_free(x);
        SSL_CTX_free(c);
    }
    fgw_tls_server_unref(s), fgw_tls_server_unref(s2);
    fgw_tls_env_free(other);
    play_end();
    pem_free(&a), pem_free(&ca);
}

static int given;
static int count_session(SSL *ssl, SSL_SESSION *x) { (void)ssl, (void)x, given++; return 0; }

/* A client uses a ticket of TLS 1.3 once: without another it would shake hands in full every other time. */
TEST(who_resumes_in_tls_1_3_is_given_the_next_ticket)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("a", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a)};
    play_begin();
    struct fgw_tls_server *s = server(certs, 1, FGW_STR(""), 0);
    SSL_CTX *c = client_ctx(&ca, NULL);
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    SSL_SESSION *x = session_after(s, c, "a.test");
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c, count_session);
    given = 0;
    OK(resumes(s, c, "a.test", x));
    EQ(given, 1);
    SSL_SESSION_free(x);
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&a), pem_free(&ca);
}

TEST(a_ticket_is_bound_to_the_certificates_and_the_rules_for_clients)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), ca2 = pem_make("other root", NULL, NULL, 30, false),
               a = pem_make("a", "DNS:a.test", &ca, 9, false), b = pem_make("b", "DNS:b.test", &ca, 9, false), me = pem_make("me", NULL, &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a), of(&b)};
    play_begin();
    struct fgw_tls_server *open = server(certs, 2, FGW_STR(""), 0), *ask = server(certs, 2, ca.cert, FGW_TLS_AUTH_REQUEST),
                          *must = server(certs, 2, ca.cert, FGW_TLS_AUTH_REQUIRE), *alien = server(certs, 2, ca2.cert, FGW_TLS_AUTH_REQUEST);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *c = client_ctx(&ca, NULL), *with = client_ctx(&ca, &me);
        SSL_CTX_set_max_proto_version(c, version), SSL_CTX_set_max_proto_version(with, version);
        SSL_SESSION *x = session_after(open, c, "a.test");
        OK(resumes(open, c, "a.test", x));
        OK(!resumes(open, c, "b.test", x));            /* another certificate */
        OK(!resumes(ask, c, "a.test", x));
        OK(!resumes(must, c, "a.test", x));         /* who showed no certificate there does not come in here by a ticket */
        EQ(t.why, FGW_E_TLS_NO_CERTIFICATE);
        SSL_SESSION_free(x);
        x = session_after(must, with, "a.test");
        OK(play_shake(must, with, "a.test", x) && SSL_session_reused(t.ssl));
        OK(fgw_tls_identity(t.stage.tls) != NULL);     /* and is the same person */
        if (fgw_tls_identity(t.stage.tls)) EQ_STR(fgw_tls_identity(t.stage.tls)->cn, "me");
        play_close();
        OK(!resumes(ask, with, "a.test", x));
        OK(!resumes(alien, c, "a.test", x));
        SSL_SESSION_free(x);
        SSL_CTX_free(c), SSL_CTX_free(with);
    }
    fgw_tls_server_unref(open), fgw_tls_server_unref(ask), fgw_tls_server_unref(must), fgw_tls_server_unref(alien);
    play_end();
    pem_free(&a), pem_free(&b), pem_free(&me), pem_free(&ca), pem_free(&ca2);
}

TEST(without_tickets_nothing_resumes)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("a", "DNS:a.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a)};
    struct fgw_tls_options o = {.certs = certs, .ncerts = 1, .min_version = 2};
    play_begin();
    struct fgw_tls_server *s = fgw_tls_server_new(env, &o, err, sizeof err);
    SSL_CTX *c = client_ctx(&ca, NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(c, version);
        SSL_SESSION *x = session_after(s, c, "a.test");
        OK(!SSL_SESSION_has_ticket(x) && !resumes(s, c, "a.test", x));
        SSL_SESSION_free(x);
    }
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&a), pem_free(&ca);
}

TEST(bad_options_are_told_and_leave_nothing)
{
    struct pem a = pem_make("a", "DNS:a.test", NULL, 9, false), b = pem_make("b", NULL, NULL, 9, false);
    struct fgw_tls_pem certs[] = {of(&a), {b.cert, a.key}};
    struct fgw_tls_options o = {.certs = certs, .ncerts = 2, .min_version = 2};
    play_begin();
    OK(!fgw_tls_server_new(env, &o, err, sizeof err) && strstr(err, "the key is not the certificate's"));
    o.ncerts = 0;
    OK(!fgw_tls_server_new(env, &o, err, sizeof err) && strstr(err, "no certificate"));
    o.ncerts = 1, o.ciphers = FGW_STR("NO-SUCH-CIPHER");
    OK(!fgw_tls_server_new(env, &o, err, sizeof err) && strstr(err, "ciphers"));
    o.ciphers = FGW_STR(""), o.client_auth = FGW_TLS_AUTH_REQUIRE, o.ca = FGW_STR("nonsense");
    OK(!fgw_tls_server_new(env, &o, err, sizeof err) && strstr(err, "no certificate can be read"));
    EQ(env->refs, 1);
    play_end();
    pem_free(&a), pem_free(&b);
}

TEST(each_of_many_certificates_is_found)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false);
    enum { N = 200 };
    static struct pem p[N];
    static struct fgw_tls_pem certs[N];
    char name[32], cn[32];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "DNS:n%d.test", i), snprintf(cn, sizeof cn, "n%d", i);
        p[i] = pem_make(cn, name, &ca, 9, false);
        certs[i] = of(&p[i]);
    }
    play_begin();
    struct fgw_tls_server *s = server(certs, N, FGW_STR(""), 0);
    EQ(s->nsets, N);
    OK(s->sets[AT_ONCE - 1].ctx && !s->sets[AT_ONCE].ctx);
    SSL_CTX *c = client_ctx(&ca, NULL);
    for (int i = 0; i < N; i += 37) {
        snprintf(name, sizeof name, "n%d.test", i), snprintf(cn, sizeof cn, "n%d", i);
        OK(play_shake(s, c, name, NULL) && shown(cn));
        play_close();
    }
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    for (int i = 0; i < N; i++) pem_free(&p[i]);
    pem_free(&ca);
}

TEST(names_that_somebody_has_read_are_believed)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), a = pem_make("a", "DNS:a.test", &ca, 9, false), b = pem_make("b", "DNS:b.test", &ca, 9, false);
    struct fgw_tls_pem certs[] = {of(&a), of(&b)};
    struct fgw_tls_names names[] = {{FGW_STR("a.test\n"), FGW_STR("EC")}, {FGW_STR("other.test\nlast.test"), FGW_STR("EC")}};
    struct fgw_tls_options o = {.certs = certs, .names = names, .ncerts = 2, .min_version = 2};
    play_begin();
    struct fgw_tls_server *s = fgw_tls_server_new(env, &o, err, sizeof err);
    memset(names, 0, sizeof names);
    SSL_CTX *c = client_ctx(&ca, NULL);
    static const struct { const char *sni, *cn; } rows[] = {{"a.test", "a"}, {"b.test", "a"}, {"other.test", "b"}, {"last.test", "b"}};
    for (size_t i = 0; i < FGW_COUNT(rows); i++) {
        OK(play_shake(s, c, rows[i].sni, NULL) && shown(rows[i].cn));
        play_close();
    }
    SSL_CTX_free(c);
    fgw_tls_server_unref(s);
    play_end();
    pem_free(&a), pem_free(&b), pem_free(&ca);
}

TEST_MAIN()
