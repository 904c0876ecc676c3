"""Rules of TLS: what is found in the files is what the engine itself finds there (fastgw._tls)."""

import time
from typing import TYPE_CHECKING

from fastgw._tls import CertInfo, TlsError, count_ca, inspect, try_client, try_server

from .model import Upstream
from .model_tls import Certificate, ClientAuth, Tls, UpstreamTls
from .nodes import Node
from .problem import Fault

if TYPE_CHECKING:
    from .convert import Converter

DAY = 86_400
SOON_DAYS = 14


def certificate(conv: "Converter", value: Certificate, node: Node, path: str) -> None:
    """It can be read, its key is its own, and it is valid today."""
    at = "cert"
    try:
        info = inspect(value.cert.encode())
        at = "key"
        inspect(value.cert.encode(), value.key.encode())
    except TlsError as error:
        conv.fail(node.get(at) or node, f"{path}.{at}", Fault("FGW1221", str(error)))
        return
    if said := validity(info, time.time()):
        conv.warn(node.get("cert") or node, f"{path}.cert", Fault("FGW1904", said))


def validity(info: CertInfo, now: float) -> str:
    """What to say about a certificate's dates; nothing when they are fine."""
    name = f"the certificate of {info.names[0]}" if info.names else "the certificate"
    left = info.not_after - now
    if left < 0:
        return f"{name} expired {day(info.not_after)}"
    if now < info.not_before:
        return f"{name} is not valid before {day(info.not_before)}"
    if left < SOON_DAYS * DAY:
        return f"{name} expires {day(info.not_after)}, in {int(left // DAY)} days"
    return ""


def day(stamp: int) -> str:
    return time.strftime("on %Y-%m-%d", time.gmtime(stamp))


def client_auth(conv: "Converter", value: ClientAuth, node: Node, path: str) -> None:
    if value.mode != "none" and value.ca is None:
        if node.get("ca") is None:
            fault = Fault("FGW1212", f"`mode: {value.mode}` without a `ca`", expected="whose certificates are believed")
            conv.fail(node.get("mode") or node, f"{path}.mode", fault)
        return
    if value.ca is None:
        return
    if value.mode == "none":
        fault = Fault("FGW1902", "never used: no client is asked for a certificate", hint="`mode: require`")
        conv.warn(node.get("ca") or node, f"{path}.ca", fault)
    try:
        count_ca(value.ca.encode())
    except TlsError as error:
        conv.fail(node.get("ca") or node, f"{path}.ca", Fault("FGW1221", str(error)))


def upstream_tls(conv: "Converter", value: UpstreamTls, node: Node, path: str) -> None:
    """All of it together, as a worker will make it."""
    before = len(conv.problems)
    if not value.verify:
        fault = Fault("FGW1903", "anybody is believed to be this upstream", hint="verify, with a `ca` of its own")
        conv.warn(node.get("verify") or node, f"{path}.verify", fault)
    if value.ca is not None:
        try:
            count_ca(value.ca.encode())
        except TlsError as error:
            conv.fail(node.get("ca") or node, f"{path}.ca", Fault("FGW1221", str(error)))
    if len(conv.problems) > before:
        return
    own = value.certificate
    try:
        pem = (own.cert.encode(), own.key.encode()) if own else (b"", b"")
        try_client(*pem, (value.ca or "").encode(), value.min_version, value.ciphers.encode())
    except TlsError as error:
        name = "ciphers" if "cipher" in str(error) else "certificate"
        if not conv.problems:
            conv.fail(node.get(name) or node, f"{path}.{name}", Fault("FGW1221", str(error)))


def upstream(conv: "Converter", value: Upstream, node: Node, path: str) -> None:
    """ALPN is TLS's; and a unix socket has no host that a certificate could be for."""
    tls = value.tls
    if tls is None and value.protocol == "auto":
        fault = Fault(
            "FGW1212",
            "`protocol: auto` without `tls`: plain text has no way to agree on one",
            expected="h1, h2, or `tls`",
        )
        conv.fail(node.get("protocol") or node, f"{path}.protocol", fault)
    if tls is None or not tls.verify or tls.server_name is not None or node.get("tls") is None:
        return
    if any(endpoint.address.startswith("unix:") for endpoint in value.endpoints):
        fault = Fault("FGW1212", "a unix socket has no name to expect in a certificate", expected="`server_name`")
        conv.fail(node.get("tls") or node, f"{path}.tls", fault)


def tls(conv: "Converter", value: Tls, node: Node, path: str) -> None:
    """All of it together, as a worker will make it; and no certificate that can never be shown."""
    seen: dict[tuple[str, str], int] = {}
    pems = [(each.cert.encode(), each.key.encode()) for each in value.certificates]
    for number, (cert, _) in enumerate(pems):
        try:
            info = inspect(cert)
        except TlsError:
            return  # told already
        at = _item(node, number)
        where = f"{path}.certificates[{number}]"
        taken = [name for name in info.names if seen.setdefault((name, info.kind), number) != number]
        if taken:
            first = seen[(taken[0], info.kind)]
            names = ", ".join(taken[:3])
            fault = Fault("FGW1902", f"not used for {names}: certificates[{first}] has this name and key type")
            conv.warn(at, where, fault)
        if not info.names and number:
            conv.warn(at, where, Fault("FGW1902", "never used: this certificate has no DNS name"))
    auth = value.client_auth
    if auth.mode != "none" and auth.ca is None:
        return
    try:
        ca = (auth.ca or "").encode() if auth.mode != "none" else b""
        try_server(pems, ca, auth.mode, value.min_version, value.ciphers.encode())
    except TlsError as error:
        name = "ciphers" if value.ciphers and "cipher" in str(error) else "certificates"
        if not conv.problems:  # else its parts have told it
            conv.fail(node.get(name) or node, f"{path}.{name}", Fault("FGW1221", str(error)))


def _item(node: Node, number: int) -> Node:
    part = node.get("certificates")
    return part.items[number] if part is not None and part.kind == "list" and number < len(part.items) else node
