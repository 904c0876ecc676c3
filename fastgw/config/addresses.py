"""Addresses, networks and host patterns: text to parts, strictly."""

import ipaddress
import re
from typing import Literal, NamedTuple

from .problem import Fault

UNIX_MAX = 107  # sun_path without its final NUL
LABELS_MAX = 63  # of a host pattern
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.ASCII)
_LISTEN = "ADDRESS:PORT such as 127.0.0.1:8080, [::]:8080, or unix:/run/fastgw.sock"
_CONNECT = "HOST:PORT such as 127.0.0.1:9001, users.internal:9001, [::1]:9001, or unix:/run/app.sock"


class Address(NamedTuple):
    """A parsed address. `host`: the IP address without brackets, the name, or the socket's path; port 0 for a path."""

    kind: Literal["ip4", "ip6", "name", "unix"]
    host: str
    port: int


def parse_address(text: str) -> Address:
    """An endpoint's address. Raises Fault (FGW1203)."""
    return _parse(text, _CONNECT, 1)


def parse_bind(text: str) -> Address:
    """An address to listen on: no names, but port 0. Raises Fault (FGW1203)."""
    address = _parse(text, _LISTEN, 0)
    if address.kind != "name":
        return address
    hints = {"localhost": f"127.0.0.1:{address.port}", "*": f"0.0.0.0:{address.port}"}
    hint = f"did you mean {hints[address.host]}?" if address.host in hints else ""
    raise Fault("FGW1203", f"`{text}` has a name where an IP address is needed", expected=_LISTEN, hint=hint)


def _parse(text: str, expected: str, least: int) -> Address:
    if text.startswith("unix:"):
        return _unix(text, expected)
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
        raise Fault("FGW1203", f"`{text}` has no port", expected=expected, hint=_hint(text))
    if not least <= int(port) <= 65535:
        raise Fault("FGW1203", f"the port {port} does not exist", expected=f"a port from {least} to 65535")
    return _host(text, host, int(port), expected)


def _host(text: str, host: str, port: int, expected: str) -> Address:
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address("ip6", str(ipaddress.IPv6Address(host[1:-1])), port)
        except ValueError:
            raise Fault("FGW1203", f"`{host}` is not an IPv6 address", expected=expected) from None
    if ":" in host:
        hint = f"did you mean [{host}]:{port}?" if host.count(":") > 1 else _hint(text)
        raise Fault("FGW1203", f"`{text}` is not an address", expected=expected, hint=hint)
    if re.fullmatch(r"[0-9.]+", host, re.ASCII):
        try:
            return Address("ip4", str(ipaddress.IPv4Address(host)), port)
        except ValueError:
            raise Fault("FGW1203", f"`{host}` is not an IPv4 address", expected=expected) from None
    if host == "*" or (len(host) <= 253 and _NAME.fullmatch(host)):
        return Address("name", host.lower(), port)
    message = f"`{text}` has no host" if not host else f"`{host}` is not a host name"
    hint = f"did you mean 0.0.0.0:{port}?" if not host and expected is _LISTEN else ""
    raise Fault("FGW1203", message, expected=expected, hint=hint)


def _unix(text: str, expected: str) -> Address:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or path.startswith("//"):
        hint = f"did you mean unix:/{path.lstrip('/')}?" if path[:1] == "/" else "the path must begin with a slash"
        raise Fault("FGW1203", f"`{text}` is not the path of a socket", expected=expected, hint=hint)
    if "\0" in path or len(path.encode()) > UNIX_MAX:
        raise Fault("FGW1203", "the path of this socket is too long", expected=f"at most {UNIX_MAX} bytes")
    return Address("unix", path, 0)


def _hint(text: str) -> str:
    if scheme := re.match(r"[a-z]+://", text):
        rest = text[scheme.end() :].rstrip("/")
        default = {"http://": ":80", "https://": ":443"}.get(scheme[0], "")
        return f"an address, not a URL: {rest}{'' if re.search(r':[0-9]+$', rest) else default}?"
    if text.startswith("/"):
        return f"did you mean unix:{text}?"
    if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        return f"did you mean 127.0.0.1:{text}?"
    return ""


def parse_cidr(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network, or one address as a network of one. Raises Fault (FGW1204)."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    expected = "a network such as 10.0.0.0/8 or 2001:db8::/32, or one address"
    try:
        hint = f"the address has bits beyond the mask; did you mean {ipaddress.ip_network(text, strict=False)}?"
    except ValueError:
        hint = ""
    raise Fault("FGW1204", f"`{text}` is not a network", expected=expected, hint=hint)


def parse_host_pattern(text: str) -> str:
    """A host to match, in lower case without a trailing dot; `*.` for all below. Raises Fault (FGW1210)."""
    expected = "a host such as api.example.com, *.example.com or [::1], without a port"
    if text == "*":
        raise Fault("FGW1210", "`*` is every host", expected=expected, hint="leave `hosts` out to match every host")
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1] if text.endswith(']') else text)}]"
        except ValueError:
            raise Fault("FGW1210", f"`{text}` is not an IPv6 address", expected=expected) from None
    name = text.removeprefix("*.")
    if len(name) <= 253 and name.count(".") < LABELS_MAX and _NAME.fullmatch(name):
        return text.lower().removesuffix(".")
    raise Fault("FGW1210", f"`{text}` is not a host", expected=expected, hint=_host_hint(text))


def _host_hint(text: str) -> str:
    if port := re.fullmatch(r"(.+):[0-9]+", text):
        return f"did you mean {port[1]}? The port is the listener's"
    if "*" in text:
        return "a star may only be the whole first label"
    if not text.isascii():
        try:
            return f"did you mean {text.encode('idna').decode()}?"
        except UnicodeError:
            return ""
    return ""
