#include "io/tls_cert.c"
#include "io/tls_peer.h"
#include "test.h"

static char err[256];

TEST(a_certificate_is_read_with_its_names_dates_and_key)
{
    struct pem ca = pem_make("root", NULL, NULL, 30, false), p = pem_make("x", "DNS:A.Test,DNS:*.b.test,DNS:a*.bad.test,IP:127.0.0.1", &ca, 10, false);
    struct fgw_cert_info i;
    EQ(fgw_cert_inspect(p.cert, p.key, &i, err, sizeof err), 0);
    EQ(strcmp(i.names, "a.test\n*.b.test\n"), 0);
    EQ(strcmp(i.kind, "EC"), 0);
    EQ(i.chain, 1);
    OK(i.not_after > time(NULL) + 9 * 86400 && i.not_after < time(NULL) + 11 * 86400 && i.not_before < time(NULL));
    free(i.names);
    char two[16384];
    int n = snprintf(two, sizeof two, "%s%s", p.cert.p, ca.cert.p);
    EQ(fgw_cert_inspect(fgw_str(two, (size_t)n), fgw_str("", 0), &i, err, sizeof err), 0);
    EQ(i.chain, 2);
    free(i.names);
    EQ(fgw_cert_count_ca(fgw_str(two, (size_t)n), err, sizeof err), 2);
    pem_free(&p), pem_free(&ca);
}

TEST(the_common_name_counts_only_without_alternative_names)
{
    struct pem p = pem_make("Only.Test", NULL, NULL, 1, false);
    struct fgw_cert_info i;
    EQ(fgw_cert_inspect(p.cert, p.key, &i, err, sizeof err), 0);
    EQ(strcmp(i.names, "only.test\n"), 0);
    free(i.names);
    pem_free(&p);
    p = pem_make("no name at all", NULL, NULL, 1, false);
    EQ(fgw_cert_inspect(p.cert, p.key, &i, err, sizeof err), 0);
    OK(!i.names);
    pem_free(&p);
}

TEST(what_is_wrong_with_a_file_is_said)
{
    struct pem a = pem_make("a.test", NULL, NULL, 1, false), b = pem_make("b.test", NULL, NULL, 1, false);
    struct fgw_cert_info i;
    EQ(fgw_cert_inspect(a.cert, b.key, &i, err, sizeof err), -1);
    EQ(strcmp(err, "the key is not the certificate's"), 0);
    EQ(fgw_cert_inspect(a.key, a.key, &i, err, sizeof err), -1);
    OK(strstr(err, "no certificate can be read"));
    EQ(fgw_cert_inspect(a.cert, a.cert, &i, err, sizeof err), -1);
    OK(strstr(err, "no private key can be read"));
    EQ(fgw_cert_inspect(FGW_STR(""), FGW_STR(""), &i, err, sizeof err), -1);
    EQ(fgw_cert_count_ca(FGW_STR("nothing"), err, sizeof err), -1);
    char broken[8192];                                 /* a chain whose second certificate is damaged is no chain */
    int n = snprintf(broken, sizeof broken, "%s%s", a.cert.p, b.cert.p);
    broken[a.cert.n + 200] = '!';
    EQ(fgw_cert_inspect(fgw_str(broken, (size_t)n), a.key, &i, err, sizeof err), -1);
    OK(strstr(err, "of the chain cannot be read"));
    BIO *m = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(m, a.k, EVP_aes_128_cbc(), "pw", 2, NULL, NULL);
    struct fgw_str locked = bio_text(m);
    EQ(fgw_cert_inspect(a.cert, locked, &i, err, sizeof err), -1);
    OK(strstr(err, "without a password"));
    free((void *)locked.p);
    EQ(ERR_peek_error(), 0);
    pem_free(&a), pem_free(&b);
}

TEST(an_identity_is_plain_data)
{
    struct pem p = pem_make("alice", "URI:spiffe://x/a,DNS:a.test,DNS:b.test,email:a@x", NULL, 1, false);
    struct fgw_identity *id = fgw_tls_identify(p.x);
    EQ_STR(id->subject, "CN=alice");
    EQ_STR(id->cn, "alice");
    EQ(id->fingerprint.n, 64);
    EQ(id->nuris, 1);
    EQ_STR(id->uris[0], "spiffe://x/a");
    EQ(id->ndns, 2);
    EQ_STR(id->dns[0], "a.test");
    EQ_STR(id->dns[1], "b.test");
    free(id);
    pem_free(&p);
    p = pem_make(NULL, NULL, NULL, 1, false);
    OK((id = fgw_tls_identify(p.x)) && id->cn.n == 0 && id->nuris == 0 && id->ndns == 0);
    free(id);
    pem_free(&p);
}

TEST(an_identity_that_could_be_mistaken_is_none)
{
    struct pem p = pem_make("eve\nadmin", NULL, NULL, 1, false);   /* a line break in a name would forge a log line or a field */
    OK(!fgw_tls_identify(p.x));
    pem_free(&p);
    char names[4096] = "DNS:n0.test";
    for (int i = 1; i <= FGW_IDENTITY_NAMES; i++) snprintf(names + strlen(names), 32, ",DNS:n%d.test", i);
    p = pem_make("many", names, NULL, 1, false);
    OK(!fgw_tls_identify(p.x));
    pem_free(&p);
}

TEST_MAIN()
