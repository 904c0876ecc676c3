# ruff: noqa: E501
"""A scripted upstream: reads requests strictly (h11), records what it saw byte for byte, and answers what it was told to."""

import contextlib
import re
import socket
import struct
import threading
from collections import defaultdict
from dataclasses import dataclass, field

import h11

PATIENCE = 20.0  # seconds a connection may be silent before its thread ends; a bound, not a measure


@dataclass
class Reply:
    """What the origin says to one target, and what it does then: keep, close, reset, tunnel."""

    raw: bytes
    then: str = "keep"
    bad: bool = False  # nothing may be asked on this connection again


@dataclass
class Seen:
    """A request as it arrived."""

    connection: int
    method: str
    target: str
    head: bytes
    body: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: bool = False
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, by lower-case name."""
        return [value for key, value in self.fields if key == name]


def ok(body: bytes = b"ok\n", extra: bytes = b"") -> bytes:
    """A good answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), extra) + body


class Origin:
    """Listens on 127.0.0.1, a thread a connection. `scripts` maps a target to its Reply; others are answered 200."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.scripts: dict[str, Reply] = {}
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        self.order: list[Seen] = []
        self.faults: list[str] = []
        """Whatever the gateway sent that is not a well-formed request."""
        self.tunnels: dict[str, bytes] = defaultdict(bytes)
        self.ended: dict[int, threading.Event] = defaultdict(threading.Event)
        """Connection number → set when it is over on both sides."""
        self.spoiled: set[int] = set()
        """Connections that gave a bad answer: nothing may be asked on them again."""
        self.open: dict[int, socket.socket] = {}
        self._greeting = greeting
        self._count = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self.open.values()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def whole(self, target: str) -> int:
        """How many complete requests came for a target."""
        return sum(seen.whole for seen in self.seen[target])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._count += 1
                self.open[self._count] = sock
                threading.Thread(target=self._run, args=(sock, self._count), daemon=True).start()

    def _run(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(PATIENCE)
        try:
            with contextlib.suppress(OSError):
                if self._greeting:
                    sock.sendall(self._greeting)
                rest: bytes | None = b""
                while rest is not None:
                    rest = self._request(sock, number, rest)
        finally:
            self.open.pop(number, None)
            sock.close()
            self.ended[number].set()

    def _request(self, sock: socket.socket, number: int, raw: bytes) -> bytes | None:
        """Read one request and answer it. What was read beyond it; None when the connection is over."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        seen: Seen | None = None
        data = raw
        if data:
            parser.receive_data(data)
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    data = sock.recv(65536)
                    if number in self.spoiled and data:
                        self.faults.append(f"asked again on a spoiled connection: {data[:80]!r}")
                    raw += data
                    parser.receive_data(data)
                    if not data and (seen is not None or not raw):
                        return None  # an unfinished request, given up; or none
                elif isinstance(event, h11.Request):
                    seen = self._begun(number, event, raw)
                elif isinstance(event, h11.Data):
                    assert seen is not None
                    seen.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert seen is not None
                    seen.trailers = list(event.headers)
                    break
                else:
                    return None
        except h11.RemoteProtocolError as e:
            if data or (raw and seen is None):
                self.faults.append(f"{e}: {raw[:200]!r}")
            return None
        assert seen is not None
        seen.whole = True
        return self._answer(sock, seen, parser.trailing_data[0])

    def _begun(self, number: int, event: h11.Request, raw: bytes) -> Seen:
        head = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        seen = Seen(number, event.method.decode(), event.target.decode(), head, fields=list(event.headers))
        self._judge(seen)
        self.seen[seen.target].append(seen)
        self.order.append(seen)
        return seen

    def _judge(self, seen: Seen) -> None:
        """What h11 lets pass and a gateway must not send."""
        lengths, codings = seen.values(b"content-length"), seen.values(b"transfer-encoding")
        wrong = {
            "two lengths": len(lengths) > 1,
            "length and coding": bool(lengths and codings),
            "coding": codings not in ([], [b"chunked"]),
            "host": len(seen.values(b"host")) != 1,
            "bare CR, LF or NUL": bool(re.search(rb"\x00|\r(?!\n)|(?<!\r)\n", seen.head)),
            "fold": b"\n " in seen.head or b"\n\t" in seen.head,
            "version": b" HTTP/1.1\r\n" not in seen.head,
            "underscore": any(b"_" in name for name, _ in seen.fields) and not seen.target.startswith("/allow"),
        }
        self.faults += [f"{what}: {seen.head!r}" for what, found in wrong.items() if found]

    def _answer(self, sock: socket.socket, seen: Seen, rest: bytes) -> bytes | None:
        reply = self.scripts.get(seen.target, Reply(ok()))
        if reply.bad:
            self.spoiled.add(seen.connection)
        sock.sendall(reply.raw)
        if reply.then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        if reply.then == "close":
            sock.shutdown(socket.SHUT_WR)
            return None
        if reply.then == "tunnel":
            while data := sock.recv(65536):
                self.tunnels[seen.target] += data
                sock.sendall(data)
            return None
        return rest
