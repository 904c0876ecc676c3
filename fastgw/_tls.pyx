# cython: language_level=3
"""What the engine makes of certificates (io/tls.h, io/tls_cert.h), for checks, and what TLS listeners count.

    inspect(cert, key)     names, dates and key type of a certificate; with a key: that they belong together
    try_server(...)        the contexts that a listener would get, made and thrown away
    try_client(...)        the same for an upstream
    totals(shm, slot)      a listener's handshakes over all workers
"""

from typing import NamedTuple

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastgw._c cimport shm as m
from fastgw._c cimport tls as c
from fastgw._c.route cimport fgw_str

from fastgw.errors import FastgwError

cdef enum:
    ERR = 256

AUTH = {"none": c.FGW_TLS_AUTH_NONE, "request": c.FGW_TLS_AUTH_REQUEST, "require": c.FGW_TLS_AUTH_REQUIRE}
VERSIONS = {"1.2": 2, "1.3": 3}
TICKET_KEY = c.FGW_TLS_TICKET_KEY
TICKET_KEYS = c.FGW_TLS_TICKET_KEYS
WORDS = tuple([(<bytes>c.fgw_err_word(c.FGW_E_TLS_FAILED + i)).decode() for i in range(c.FGW_TLS_WORDS)])


class TlsError(FastgwError):
    """What is wrong with a certificate, a key or a listener's rules."""


class CertInfo(NamedTuple):
    """`names`: DNS names in lower case. `kind`: RSA, EC ... `chain`: certificates in the file. Dates in Unix time."""

    names: tuple[str, ...]
    kind: str
    chain: int
    not_before: int
    not_after: int


cdef fgw_str view(bytes text):
    cdef fgw_str s
    s.p, s.n = <const char *>text, <uint32_t>len(text)
    return s


cdef str said(const char *err):
    return (<bytes>err).decode("utf-8", "replace")


def inspect(bytes cert not None, bytes key not None=b"") -> CertInfo:
    """The first certificate of a PEM text; with a key (PEM) also that it is the certificate's. TlsError."""
    cdef char err[ERR]
    cdef c.fgw_cert_info info
    err[0] = 0
    if c.fgw_cert_inspect(view(cert), view(key), &info, err, ERR) != 0:
        raise TlsError(said(err))
    names = () if info.names is NULL else tuple((<bytes>info.names).decode().split())
    free(info.names)
    return CertInfo(names, (<bytes>info.kind).decode(), info.chain, info.not_before, info.not_after)


def count_ca(bytes pem not None) -> int:
    """How many certificates of authorities a PEM text holds. TlsError."""
    cdef char err[ERR]
    err[0] = 0
    cdef int n = c.fgw_cert_count_ca(view(pem), err, ERR)
    if n < 0:
        raise TlsError(said(err))
    return n


def try_server(list pems not None, bytes ca not None, str client_auth not None, str min_version not None,
               bytes ciphers not None) -> None:
    """Make what a listener with these (certificate, key) would use, as a worker will. TlsError."""
    cdef char err[ERR]
    cdef c.fgw_tls_options o
    cdef c.fgw_tls_pem *rows = <c.fgw_tls_pem *>calloc(len(pems) + 1, sizeof(c.fgw_tls_pem))
    cdef c.fgw_tls_env *env = c.fgw_tls_env_new()
    cdef c.fgw_tls_server *server = NULL
    err[0] = 0
    if rows is not NULL and env is not NULL:
        for i, (cert, key) in enumerate(pems):
            rows[i].cert, rows[i].key = view(cert), view(key)
        o.names = NULL
        o.certs, o.ncerts, o.ca, o.ciphers = rows, <uint32_t>len(pems), view(ca), view(ciphers)
        o.alpn = view(b"")
        o.client_auth, o.min_version, o.strict_names, o.tickets = AUTH[client_auth], VERSIONS[min_version], False, True
        server = c.fgw_tls_server_new(env, &o, err, ERR)
        c.fgw_tls_server_unref(server)
    c.fgw_tls_env_free(env)
    free(rows)
    if server is NULL:
        raise TlsError(said(err) or "out of memory")


def try_client(bytes cert not None, bytes key not None, bytes ca not None, str min_version not None,
               bytes ciphers not None) -> None:
    """Make what connections to an upstream would use, as a worker will. An empty cert: none of our own. TlsError."""
    cdef char err[ERR]
    cdef c.fgw_tls_client_options o
    cdef c.fgw_tls_env *env = c.fgw_tls_env_new()
    cdef c.fgw_tls_client *client = NULL
    err[0] = 0
    if env is not NULL:
        o.ca, o.name, o.own.cert, o.own.key, o.ciphers = view(ca), view(b""), view(cert), view(key), view(ciphers)
        o.alpn = view(b"")
        o.min_version, o.verify = VERSIONS[min_version], True
        client = c.fgw_tls_client_new(env, &o, err, ERR)
        c.fgw_tls_client_unref(client)
    c.fgw_tls_env_free(env)
    if client is NULL:
        raise TlsError(said(err) or "out of memory")


def totals(shm not None, uint32_t slot) -> dict:
    """A listener's slot summed over all columns: handshakes, resumed (of them), and failures by word. IndexError."""
    cdef size_t address = shm.address
    cdef m.fgw_shm *memory = <m.fgw_shm *>address
    cdef uint32_t column, i
    cdef list total = [0] * (2 + c.FGW_TLS_WORDS)
    if address == 0:
        raise ValueError("no memory is mapped")
    if slot >= m.FGW_SHM_STATS:
        raise IndexError(f"{slot} of {m.FGW_SHM_STATS}")
    for column in range(min(memory.used, memory.workers)):
        for i in range(<uint32_t>len(total)):
            total[i] += (<uint64_t *>m.fgw_shm_cell(memory, column, slot))[i]
    return dict(zip(("handshakes", "resumed", *WORDS), total, strict=True))
