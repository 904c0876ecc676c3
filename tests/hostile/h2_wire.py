# ruff: noqa: E501
"""An HTTP/2 client that sends whatever it is told to: frames byte by byte, fields as literals; answers are read by hyperframe and hpack."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import hpack
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame

PATIENCE = 10.0  # seconds for what must come; a bound, not a measure
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 1, 4, 8, 32, 1
Fields = list[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """One frame, whatever it says."""
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


def literal(name: str, value: str) -> bytes:
    """A field without indexing or Huffman coding; nothing is checked."""
    n, v = name.encode("latin-1"), value.encode("latin-1")
    assert len(n) < 127 and len(v) < 127
    return bytes((0, len(n))) + n + bytes((len(v),)) + v


def request(path: str = "/", method: str = "GET", extra: Fields | None = None) -> Fields:
    """The fields of an ordinary request."""
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", "h"), *(extra or [])]


def block(fields: Fields) -> bytes:
    return b"".join(literal(*each) for each in fields)


def headers(stream: int, fields: Fields, flags: int = END_HEADERS | END_STREAM) -> bytes:
    return frame(HEADERS, flags, stream, block(fields))


def never(decoded: Iterable[object]) -> set[str]:
    """Of what hpack has read, the names of the fields that no table may hold."""
    return {bytes(each[0]).decode("latin-1") for each in decoded if isinstance(each, hpack.NeverIndexedHeaderTuple)}


def number(kind: int, stream: int, value: int) -> bytes:
    """A frame of one number: RST_STREAM, WINDOW_UPDATE."""
    return frame(kind, 0, stream, struct.pack(">I", value))


@dataclass
class Heard:
    """What the gateway has said."""

    goaway: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    resets: dict[int, int] = field(default_factory=dict)
    status: dict[int, int] = field(default_factory=dict)
    fields: dict[int, Fields] = field(default_factory=dict)
    interim: dict[int, list[int]] = field(default_factory=dict)
    body: dict[int, bytes] = field(default_factory=dict)
    trailers: dict[int, Fields] = field(default_factory=dict)
    never: dict[int, set[str]] = field(default_factory=dict)  # names of fields that came never-indexed
    ended: set[int] = field(default_factory=set)
    pings: list[bytes] = field(default_factory=list)
    settings: int = 0
    acks: int = 0
    over: bool = False


class Hostile:
    """A connection to `host:port`, over TLS when a context is given, that has sent its preface and SETTINGS, unless told not to."""

    def __init__(
        self, address: str, hello: bytes = PREFACE + frame(SETTINGS, 0, 0), tls: ssl.SSLContext | None = None
    ) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=host)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.heard, self.rest, self.decoder, self.count = Heard(), b"", hpack.Decoder(), 0
        if hello:
            self.sock.sendall(hello)
            self.until(lambda h: h.acks > 0)
            self.send(frame(SETTINGS, ACK, 0))

    def __enter__(self) -> "Hostile":
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, raw: bytes) -> None:
        """All of it, or as much as the gateway takes before it closes."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(raw)

    def until(self, done: Callable[[Heard], object]) -> Heard:
        """Read until `done(heard)` or the end. TimeoutError: neither came."""
        while not (done(self.heard) or self.heard.over):
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            self.heard.over = not data
            self.rest += data
            self._frames()
        return self.heard

    def settle(self) -> Heard:
        """Read until the gateway has dealt with all that was sent: it answers a PING behind it, or ends the connection."""
        self.count += 1
        mark = b"mark%04d" % self.count
        self.send(frame(PING, 0, 0, mark))
        return self.until(lambda h: mark in h.pings)

    def answer(self, stream: int) -> int | None:
        """The status of a stream's whole answer; None: it was reset, or the connection ended."""
        self.until(lambda h: stream in h.ended or stream in h.resets)
        return self.heard.status.get(stream) if stream in self.heard.ended else None

    def end(self) -> Heard:
        """Read to the end of the connection."""
        return self.until(lambda h: False)

    def _frames(self) -> None:
        while len(self.rest) >= 9:
            one, length = Frame.parse_frame_header(memoryview(self.rest[:9]))
            if len(self.rest) < 9 + length:
                return
            one.parse_body(memoryview(self.rest[9 : 9 + length]))
            self.rest = self.rest[9 + length :]
            self._take(one)

    def _take(self, one: Frame) -> None:
        h, stream = self.heard, one.stream_id
        if isinstance(one, GoAwayFrame):
            h.goaway.append(one.error_code)
            h.last.append(one.last_stream_id)
        elif isinstance(one, RstStreamFrame):
            h.resets[stream] = one.error_code
        elif isinstance(one, PingFrame) and "ACK" in one.flags:
            h.pings.append(one.opaque_data)
        elif isinstance(one, HeadersFrame):
            assert "END_HEADERS" in one.flags
            decoded = self.decoder.decode(one.data, raw=True)
            fields = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in decoded]
            h.never.setdefault(stream, set()).update(never(decoded))
            status = int(dict(fields).get(":status", "0"))
            if 100 <= status < 200:
                h.interim.setdefault(stream, []).append(status)
            elif status:
                h.status[stream], h.fields[stream] = status, fields
            else:
                h.trailers[stream] = fields
        elif isinstance(one, DataFrame):
            h.body[stream] = h.body.get(stream, b"") + one.data
        elif type(one).__name__ == "SettingsFrame":
            h.acks += "ACK" in one.flags
            h.settings += "ACK" not in one.flags
        if isinstance(one, HeadersFrame | DataFrame) and "END_STREAM" in one.flags:
            h.ended.add(stream)
