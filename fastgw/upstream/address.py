"""Addresses as the kernel takes them. Their text is parsed by fastgw.config.addresses; no resolver is asked here."""

import ipaddress
import socket
import struct

from fastgw.config.addresses import Address

FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6, "unix": socket.AF_UNIX}


def text(address: Address) -> str:
    """As the configuration writes it."""
    if address.kind == "unix":
        return f"unix:{address.host}"
    return f"[{address.host}]:{address.port}" if address.kind == "ip6" else f"{address.host}:{address.port}"


def family(address: Address) -> int:
    """KeyError: a name, which has none."""
    return FAMILIES[address.kind]


def sockaddr(address: Address) -> tuple[str, int] | str:
    """What Python's bind and connect take."""
    return address.host if address.kind == "unix" else (address.host, address.port)


def from_ip(ip: str, port: int) -> Address:
    """An address from a resolver's answer. ValueError: not an IP address."""
    parsed = ipaddress.ip_address(ip)
    return Address("ip4" if parsed.version == 4 else "ip6", str(parsed), port)


def pack(address: Address) -> bytes:
    """The struct sockaddr_in, sockaddr_in6 or sockaddr_un that connect(2) takes: 16, 28 or up to 110 bytes.

    ValueError: a name, which has no sockaddr. OSError: an IPv6 zone that this host does not have."""
    if address.kind == "ip4":
        packed = socket.inet_pton(socket.AF_INET, address.host)
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", address.port, packed)
    if address.kind == "ip6":
        host, _, zone = address.host.partition("%")
        scope = socket.if_nametoindex(zone) if zone else 0
        packed = struct.pack("!HI16s", address.port, 0, socket.inet_pton(socket.AF_INET6, host))
        return struct.pack("=H", socket.AF_INET6) + packed + struct.pack("=I", scope)
    if address.kind == "unix":
        return struct.pack("=H", socket.AF_UNIX) + address.host.encode() + b"\0"
    raise ValueError(f"{text(address)} is not resolved")


def reachable(address: Address) -> bool:
    """Whether this host has any route to the address; no packet is sent. Unix sockets: always."""
    if address.kind == "unix":
        return True
    with socket.socket(family(address), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(sockaddr(address))
        except OSError:
            return False
    return True
