"""A DNS server of our own for tests: UDP on a free port of 127.0.0.1, answers made by hand (RFC 1035 section 4)."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field

NXDOMAIN, SERVFAIL = 3, 2


@dataclass
class Zone:
    """What the server says. A code instead of addresses: that RCODE; None: no answer at all."""

    names: dict[str, list[str] | int | None] = field(default_factory=dict)
    ttl: int = 1
    asked: list[str] = field(default_factory=list)


class Server(asyncio.DatagramProtocol):
    """`address` is where it listens."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.address = ""
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> "Server":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = "127.0.0.1:{1}".format(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.answer(data)
        if reply and self._transport:
            self._transport.sendto(reply, addr)

    def answer(self, query: bytes) -> bytes | None:
        (ident,) = struct.unpack_from("!H", query)
        name, at = read_name(query, 12)
        (kind,) = struct.unpack_from("!H", query, at)
        question = query[12 : at + 4]
        self.zone.asked.append(name)
        found = self.zone.names.get(name, NXDOMAIN)
        if found is None:
            return None
        if isinstance(found, int):
            return struct.pack("!6H", ident, 0x8580 | found, 1, 0, 0, 0) + question
        records = b"".join(self.record(address) for address in found if kind == (28 if ":" in address else 1))
        count = sum(kind == (28 if ":" in address else 1) for address in found)
        return struct.pack("!6H", ident, 0x8580, 1, count, 0, 0) + question + records

    def record(self, address: str) -> bytes:
        family, kind = (socket.AF_INET6, 28) if ":" in address else (socket.AF_INET, 1)
        data = socket.inet_pton(family, address)
        return struct.pack("!HHHIH", 0xC00C, kind, 1, self.zone.ttl, len(data)) + data


def read_name(packet: bytes, at: int) -> tuple[str, int]:
    """A name without compression, and where it ends."""
    labels = []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1
