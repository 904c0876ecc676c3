"""TLS: what a listener shows to clients, and what it asks of them.

Certificates and keys are PEM text here: the loader has read the files. They are secrets in memory; documents, messages
and the kept configuration hold the paths alone.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .model_types import DAY, SECOND, Pem, duration, option


class Certificate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate and its key. Its names are those in the certificate itself."""

    cert: Annotated[Pem, option("PEM file: the certificate, then the chain up to its authority.")]
    key: Annotated[Pem, option("PEM file: the private key, without a password.")]


class ClientAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificates of clients."""

    mode: Annotated[
        Literal["none", "request", "require"],
        option("request: a client may show a certificate, which must then be good; require: it must show one."),
    ] = "none"
    ca: Annotated[Pem | None, option("PEM file: authorities whose client certificates are believed.")] = None


class UpstreamTls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards an upstream."""

    verify: Annotated[
        bool, option("Believe only a certificate from a trusted authority, for the right name. false: believe anybody.")
    ] = True
    ca: Annotated[Pem | None, option("PEM file: the authorities that are trusted. Unset: the system's.")] = None
    server_name: Annotated[
        str | None,
        option("Whom to ask for, and whose certificate to expect. Unset: the endpoint's host.", kind="server_name"),
    ] = None
    certificate: Annotated[Certificate | None, option("The gateway's own certificate, shown on request.")] = None
    min_version: Annotated[Literal["1.2", "1.3"], option("The oldest version of TLS that is spoken.")] = "1.2"
    ciphers: Annotated[
        str, option("Ciphers of TLS 1.2, as OpenSSL lists them. Empty: ECDHE with AES-GCM or ChaCha20.")
    ] = ""


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards clients."""

    certificates: Annotated[
        tuple[Certificate, ...],
        Meta(min_length=1),
        option(
            "Found by the name a client asks for: exact, then wildcard, then the first. A name may have one of each "
            "key type, ECDSA and RSA."
        ),
    ]
    client_auth: Annotated[ClientAuth, option("Certificates of clients.")] = ClientAuth()
    min_version: Annotated[Literal["1.2", "1.3"], option("The oldest version of TLS that is spoken.")] = "1.2"
    ciphers: Annotated[
        str, option("Ciphers of TLS 1.2, as OpenSSL lists them. Empty: ECDHE with AES-GCM or ChaCha20.")
    ] = ""
    unknown_names: Annotated[
        Literal["default", "refuse"],
        option("A client that asks for no name, or one that no certificate has: gets the first one, or is refused."),
    ] = "default"
    tickets: Annotated[bool, option("Give session tickets, so that clients come back with a short handshake.")] = True


class Watch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that are looked at again and again."""

    certificates: Annotated[
        int,
        duration(
            "How often the files of certificates, keys and authorities are looked at. When they have changed, and are "
            "the same at the next look, they are brought into use as by a reload, but with the document as it was; bad "
            "ones are refused.",
            le=1 * DAY,
            off=True,
        ),
    ] = 10 * SECOND
