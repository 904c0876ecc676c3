#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/tls_impl.h"

void fgw_tls_error(char *err, size_t err_n, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    snprintf(err, err_n, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
    ERR_clear_error();
}

static int no_password(char *buf, int n, int w, void *u)
{
    (void)buf, (void)n, (void)w, (void)u;
    return -1;                                         /* an encrypted key is refused, not asked about on a terminal */
}

X509 *fgw_tls_chain(struct fgw_str pem, STACK_OF(X509) *rest, char *err, size_t err_n)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *first = b ? PEM_read_bio_X509_AUX(b, NULL, no_password, NULL) : NULL, *next;
    if (!first) fgw_tls_error(err, err_n, "no certificate can be read");
    while (first && (next = PEM_read_bio_X509(b, NULL, no_password, NULL)))
        if (!rest || !sk_X509_push(rest, next)) X509_free(next);
    unsigned long e = ERR_peek_last_error();
    if (first && e && ERR_GET_REASON(e) != PEM_R_NO_START_LINE) {
        fgw_tls_error(err, err_n, "a certificate of the chain cannot be read");
        X509_free(first), first = NULL;
    }
    ERR_clear_error();
    BIO_free(b);
    return first;
}

EVP_PKEY *fgw_tls_key(struct fgw_str pem, char *err, size_t err_n)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;
    if (!k) {
        if (memmem(pem.p, pem.n, "ENCRYPTED", 9)) snprintf(err, err_n, "the key is encrypted; it must be readable without a password"), ERR_clear_error();
        else fgw_tls_error(err, err_n, "no private key can be read");
    }
    BIO_free(b);
    return k;
}

/* ---- texts of a certificate ---- */
static bool plain(const unsigned char *p, int n)
{
    for (int i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f) return false;
    return n > 0;
}

/* A DNS name that can be looked up: letters, digits, '-', '_', '.', and a star only as the whole first label. */
static bool dns_name(const unsigned char *p, int n)
{
    if (n < 1 || n > FGW_CERT_NAME_MAX) return false;
    for (int i = 0; i < n; i++) {
        bool star = p[i] == '*' && i == 0 && n > 2 && p[1] == '.';
        bool word = (p[i] | 32) >= 'a' && (p[i] | 32) <= 'z';
        if (!star && !word && !(p[i] >= '0' && p[i] <= '9') && p[i] != '-' && p[i] != '_' && p[i] != '.') return false;
    }
    return true;
}

static void add_name(char **names, const unsigned char *p, int n)
{
    if (!dns_name(p, n)) return;
    size_t have = *names ? strlen(*names) : 0;
    char *more = realloc(*names, have + (size_t)n + 2);
    if (!more) return;
    for (int i = 0; i < n; i++) more[have + (size_t)i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 32 : p[i]);
    memcpy(more + have + n, "\n", 2);
    *names = more;
}

static const ASN1_STRING *common_name(X509 *x)
{
    const X509_NAME *s = X509_get_subject_name(x);
    int last = -1, i;
    while ((i = X509_NAME_get_index_by_NID(s, NID_commonName, last)) >= 0) last = i;
    return last < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(s, last));
}

char *fgw_tls_names(X509 *x)
{
    char *names = NULL;
    GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);
        if (g->type == GEN_DNS) add_name(&names, ASN1_STRING_get0_data(g->d.dNSName), ASN1_STRING_length(g->d.dNSName));
    }
    const ASN1_STRING *cn = alt ? NULL : common_name(x);
    unsigned char *utf8 = NULL;
    int n = cn ? ASN1_STRING_to_UTF8(&utf8, cn) : -1;
    if (n > 0) add_name(&names, utf8, n);
    if (n >= 0) OPENSSL_free(utf8);
    GENERAL_NAMES_free(alt);
    ERR_clear_error();
    return names;
}

static int64_t seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

int fgw_cert_inspect(struct fgw_str cert, struct fgw_str key, struct fgw_cert_info *out, char *err, size_t err_n)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509 *x = fgw_tls_chain(cert, rest, err, err_n);
    EVP_PKEY *k = x && key.n ? fgw_tls_key(key, err, err_n) : NULL;
    bool ok = x && (!key.n || k);
    if (ok && k && X509_check_private_key(x, k) != 1) snprintf(err, err_n, "the key is not the certificate's"), ERR_clear_error(), ok = false;
    *out = (struct fgw_cert_info){0};
    if (ok) {
        const EVP_PKEY *pub = X509_get0_pubkey(x);
        const char *kind = pub ? EVP_PKEY_get0_type_name(pub) : NULL;
        snprintf(out->kind, sizeof out->kind, "%s", kind ? kind : "?");
        out->not_before = seconds(X509_get0_notBefore(x)), out->not_after = seconds(X509_get0_notAfter(x));
        out->chain = 1 + (uint32_t)sk_X509_num(rest);
        out->names = fgw_tls_names(x);
    }
    EVP_PKEY_free(k);
    X509_free(x);
    sk_X509_pop_free(rest, X509_free);
    return ok ? 0 : -1;
}

int fgw_cert_count_ca(struct fgw_str pem, char *err, size_t err_n)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509 *x = fgw_tls_chain(pem, rest, err, err_n);
    int n = x ? 1 + sk_X509_num(rest) : -1;
    X509_free(x);
    sk_X509_pop_free(rest, X509_free);
    return n;
}

/* ---- who a peer is ---- */
struct blob { char *p; size_t n; };                    /* p NULL: only measure */

static struct fgw_str put(struct blob *b, const void *p, size_t n)
{
    struct fgw_str s = fgw_str(b->p ? b->p + b->n : "", n);
    if (b->p && n) memcpy(b->p + b->n, p, n);
    b->n += n;
    return s;
}

/* All names of one type, into out when it is there. -1: one of them cannot be believed, or they are too many. */
static int put_names(struct blob *b, GENERAL_NAMES *alt, int type, struct fgw_str *out)
{
    int n = 0;
    for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);
        if (g->type != type) continue;
        const ASN1_STRING *s = g->d.ia5;
        if (n == FGW_IDENTITY_NAMES || !plain(ASN1_STRING_get0_data(s), ASN1_STRING_length(s))) return -1;
        struct fgw_str t = put(b, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        if (out) out[n] = t;
        n++;
    }
    return n;
}

static bool fill(struct fgw_identity *id, struct blob *b, X509 *x, GENERAL_NAMES *alt, struct fgw_str subject)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char md[32], *cn = NULL;
    char print[64];
    unsigned n = 0;
    if (X509_digest(x, EVP_sha256(), md, &n) != 1 || n != sizeof md) return false;
    for (int i = 0; i < 32; i++) print[2 * i] = hex[md[i] >> 4], print[2 * i + 1] = hex[md[i] & 15];
    id->fingerprint = put(b, print, sizeof print);
    id->subject = put(b, subject.p, subject.n);
    const ASN1_STRING *s = common_name(x);
    int k = s ? ASN1_STRING_to_UTF8(&cn, s) : 0;
    bool ok = k <= 0 || plain(cn, k);
    if (k > 0) id->cn = put(b, cn, (size_t)k);
    if (s && k >= 0) OPENSSL_free(cn);
    int uris = put_names(b, alt, GEN_URI, (struct fgw_str *)id->uris), dns = put_names(b, alt, GEN_DNS, (struct fgw_str *)id->dns);
    id->not_after = seconds(X509_get0_notAfter(x));
    if (!ok || uris < 0 || dns < 0) return false;
    id->nuris = (uint32_t)uris, id->ndns = (uint32_t)dns;
    return true;
}

struct fgw_identity *fgw_tls_identify(X509 *x)
{
    struct fgw_identity size = {0}, *id = NULL;
    struct blob b = {NULL, 0};
    BIO *m = BIO_new(BIO_s_mem());
    char *text = NULL;
    GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    if (m && X509_NAME_print_ex(m, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(m, &text);
        struct fgw_str subject = fgw_str(text, n > 0 ? (size_t)n : 0);
        if (fill(&size, &b, x, alt, subject)) {
            size_t lists = (size.nuris + size.ndns) * sizeof(struct fgw_str);
            if ((id = calloc(1, sizeof *id + lists + b.n))) {
                struct fgw_str *list = (struct fgw_str *)(id + 1);
                id->uris = list, id->dns = list + size.nuris;
                b = (struct blob){(char *)id + sizeof *id + lists, 0};
                fill(id, &b, x, alt, subject);
            }
        }
    }
    BIO_free(m);
    GENERAL_NAMES_free(alt);
    ERR_clear_error();
    return id;
}
