# Mirrors src_c/io/tls.h and src_c/io/tls_cert.h, and of core/stats.h what a TLS listener counts.
from libc.stdint cimport int64_t, uint8_t, uint32_t

from fastgw._c.route cimport fgw_str

cdef extern from "io/tls_cert.h" nogil:
    struct fgw_cert_info:
        int64_t not_before
        int64_t not_after
        char kind[8]
        uint32_t chain
        char *names
    int fgw_cert_inspect(fgw_str cert, fgw_str key, fgw_cert_info *out, char *err, size_t err_n)
    int fgw_cert_count_ca(fgw_str pem, char *err, size_t err_n)

cdef extern from "io/tls.h" nogil:
    ctypedef bint bool_t "bool"
    const int FGW_TLS_TICKET_KEY
    const int FGW_TLS_TICKET_KEYS
    enum fgw_tls_auth:
        FGW_TLS_AUTH_NONE, FGW_TLS_AUTH_REQUEST, FGW_TLS_AUTH_REQUIRE
    struct fgw_tls_env:
        pass
    struct fgw_tls_server:
        pass
    struct fgw_tls_pem:
        fgw_str cert, key
    struct fgw_tls_names:
        fgw_str names, kind
    struct fgw_tls_options:
        const fgw_tls_pem *certs
        const fgw_tls_names *names
        uint32_t ncerts
        fgw_str ca, ciphers, alpn
        uint8_t client_auth, min_version
        bool_t strict_names, tickets
    fgw_tls_env *fgw_tls_env_new()
    void fgw_tls_env_free(fgw_tls_env *e)
    fgw_tls_server *fgw_tls_server_new(fgw_tls_env *e, const fgw_tls_options *o, char *err, size_t err_n)
    void fgw_tls_server_unref(fgw_tls_server *s)

cdef extern from "io/tls_client.h" nogil:
    struct fgw_tls_client:
        pass
    struct fgw_tls_client_options:
        fgw_str ca, name, ciphers, alpn
        fgw_tls_pem own
        uint8_t min_version
        bool_t verify
    fgw_tls_client *fgw_tls_client_new(fgw_tls_env *e, const fgw_tls_client_options *o, char *err, size_t err_n)
    void fgw_tls_client_unref(fgw_tls_client *c)

cdef extern from "core/stats.h" nogil:
    const int FGW_TLS_WORDS

cdef extern from "base/err.h" nogil:
    const int FGW_E_TLS_FAILED
    const char *fgw_err_word(int code)
