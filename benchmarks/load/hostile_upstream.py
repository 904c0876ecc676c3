"""Upstreams that attack the gateway: what they say to a request, and a server that says it.

An attack is a function of the number of a stream (HTTP/1: 0) to the pieces that are sent when a request has come, one
after the other until the connection ends; a piece may be a number: seconds to wait; an empty one ends the connection.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterable

from benchmarks.load.attacks import (
    CONT,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    WINDOW_SIZE,
    frame,
    literal,
)

Pieces = Iterable[bytes | float]
OK_1 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STATUS = literal(b":status", b"200")
LONG = literal(b"x", b"y" * 8000)
REFUSED = 7  # an error code


def forever(piece: bytes, pause: float | None = None) -> Pieces:
    """`piece` again and again."""
    for _ in itertools.count():
        yield piece
        if pause is not None:
            yield pause


def slowly(whole: bytes) -> Pieces:
    """Byte by byte, a hundred a second, and never the last."""
    for at in range(len(whole) - 1):
        yield whole[at : at + 1]
        yield 0.01
    yield 3600.0


# ---- HTTP/2
def answer(stream: int) -> bytes:
    """A whole answer."""
    head = STATUS + literal(b"content-length", b"2")
    return frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, b"ok")


def begun(stream: int) -> bytes:
    """An answer's head, whose body is to come."""
    return frame(HEADERS, END_HEADERS, stream, STATUS)


def goaway(_: int) -> Pieces:
    """It has processed nothing, and goes: every request is tried on the next connection."""
    yield frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))
    yield b""


def refusals(stream: int) -> Pieces:
    """REFUSED_STREAM to every request."""
    yield frame(RST, 0, stream, struct.pack(">I", REFUSED))


def resets(stream: int) -> Pieces:
    """RST_STREAM again and again on streams that are over."""
    yield answer(stream)
    yield from forever(frame(RST, 0, stream, struct.pack(">I", 8)) * 500)


def settings(_: int) -> Pieces:
    """SETTINGS, each of which wants an answer."""
    return forever(frame(SETTINGS, 0, 0, struct.pack(">HI", WINDOW_SIZE, 65535)) * 500)


def windows(_: int) -> Pieces:
    """All streams' windows up and down."""
    up, down = (frame(SETTINGS, 0, 0, struct.pack(">HI", WINDOW_SIZE, n)) for n in (2**31 - 1, 0))
    return forever((up + down) * 250)


def pings(_: int) -> Pieces:
    """PING, each of which wants an answer."""
    return forever(frame(PING, 0, 0, b"12345678") * 500)


def updates(stream: int) -> Pieces:
    """WINDOW_UPDATE by one byte, for streams and connection."""
    return forever((frame(WINDOW, 0, 0, b"\0\0\0\1") + frame(WINDOW, 0, stream, b"\0\0\0\1")) * 250)


def continuations(stream: int) -> Pieces:
    """A header block without end."""
    yield frame(HEADERS, 0, stream, STATUS)
    yield from forever(frame(CONT, 0, stream, LONG))


def interim(stream: int) -> Pieces:
    """Interim answers without end."""
    return forever(frame(HEADERS, END_HEADERS, stream, literal(b":status", b"103") + literal(b"link", b"x")) * 100)


def bomb(stream: int) -> Pieces:
    """One field of 3,900 bytes, named a thousand times by one byte each; again for every request of the connection."""
    yield frame(HEADERS, END_HEADERS, stream, STATUS + literal(b"x", b"y" * 3900, indexed=True) + b"\xbe" * 1000)


def empty(stream: int) -> Pieces:
    """DATA without data."""
    yield begun(stream)
    yield from forever(frame(DATA, 0, stream) * 500)


def padding(stream: int) -> Pieces:
    """DATA that is nothing but padding, which takes of the connection's window all the same."""
    yield begun(stream)
    yield from forever(frame(DATA, 8, stream, bytes((255,)) + bytes(255)) * 50)


def overrun(stream: int) -> Pieces:
    """DATA beyond every window."""
    yield begun(stream)
    yield from forever(frame(DATA, 0, stream, bytes(16384)) * 8)


def trailers(stream: int) -> Pieces:
    """Trailers without end."""
    yield begun(stream) + frame(DATA, 0, stream, b"x") + frame(HEADERS, END_STREAM, stream, LONG)
    yield from forever(frame(CONT, 0, stream, LONG))


def pushes(stream: int) -> Pieces:
    """Pushed streams, which nobody wants."""
    for n in itertools.count(2, 2):
        yield frame(PUSH, END_HEADERS, stream, struct.pack(">I", n) + STATUS)


def slow_head(stream: int) -> Pieces:
    """A head that comes byte by byte and does not end."""
    return slowly(frame(HEADERS, END_HEADERS, stream, STATUS + LONG))


# ---- HTTP/1
def banner(_: int) -> Pieces:
    """Bytes of no protocol."""
    return forever(bytes(range(256)) * 64)


def many_heads(_: int) -> Pieces:
    """Interim answers without end."""
    return forever(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100)


def chunk_extensions(_: int) -> Pieces:
    """A chunk's extensions without end."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5"
    yield from forever(b";a=b" * 1000)


def tiny_chunks(_: int) -> Pieces:
    """A body of one byte a chunk, each with an extension, to clients that take it."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield from forever(b"1;a=b\r\nx\r\n" * 500)


def endless_trailers(_: int) -> Pieces:
    """Trailers without end."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    yield from forever(b"X-T: y\r\n" * 500)


def endless_field(_: int) -> Pieces:
    """A field without end."""
    yield b"HTTP/1.1 200 OK\r\nX: "
    yield from forever(b"y" * 8000)


def endless_head(_: int) -> Pieces:
    """Fields without end."""
    yield b"HTTP/1.1 200 OK\r\n"
    yield from forever(b"X: y\r\n" * 500)


def slow_line(_: int) -> Pieces:
    """A head that comes byte by byte and does not end."""
    return slowly(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 8000)


def close(_: int) -> Pieces:
    """An end instead of an answer."""
    yield b""


def cut(_: int) -> Pieces:
    """An end within an answer."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"
    yield b""


def behind(_: int) -> Pieces:
    """A second answer, and more, behind the one that was asked for."""
    yield OK_1 * 2
    yield from forever(OK_1 * 100)


H2: dict[str, Callable[[int], Pieces]] = {
    "rapid GOAWAY": goaway,
    "refusals": refusals,
    "reset flood": resets,
    "settings flood": settings,
    "windows up and down": windows,
    "ping flood": pings,
    "window updates by one": updates,
    "endless CONTINUATION": continuations,
    "interim flood": interim,
    "hpack bomb": bomb,
    "empty DATA": empty,
    "DATA of padding": padding,
    "DATA beyond the windows": overrun,
    "endless trailers": trailers,
    "pushed streams": pushes,
    "a head byte by byte": slow_head,
}
H1: dict[str, Callable[[int], Pieces]] = {
    "garbage": banner,
    "endless interim answers": many_heads,
    "endless chunk extensions": chunk_extensions,
    "chunks of one byte": tiny_chunks,
    "endless trailers": endless_trailers,
    "an endless field": endless_field,
    "endless fields": endless_head,
    "a head byte by byte": slow_line,
    "an end instead of an answer": close,
    "an end within an answer": cut,
    "answers nobody asked for": behind,
}


class Upstream:
    """A server of one protocol on 127.0.0.1:port; `attack` may be changed while it runs, None: it is a good one."""

    def __init__(self, h2: bool) -> None:
        self.h2, self.over = h2, threading.Event()
        self.attack: Callable[[int], Pieces] | None = None
        self.dials = self.sent = self.asked = 0
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.sock.getsockname()[1]
        self.conns: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.sock.accept()
                self.dials += 1
                self.conns.add(conn)
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        with conn, contextlib.suppress(OSError, EOFError):
            if self.h2:
                conn.recv(len(PREFACE), socket.MSG_WAITALL)
                conn.sendall(frame(SETTINGS, 0, 0))
            while not self.over.is_set():
                stream = self._request(conn)
                self.asked += 1
                attack = self.attack
                if attack:
                    self._say(conn, attack(stream))
                else:
                    conn.sendall(answer(stream) if self.h2 else OK_1)
        self.conns.discard(conn)

    def _say(self, conn: socket.socket, pieces: Pieces) -> None:
        attack = self.attack
        for piece in pieces:
            if self.attack is not attack or piece == b"":
                raise EOFError
            if isinstance(piece, float):
                self.over.wait(min(piece, 1))
            else:
                conn.sendall(piece)
                self.sent += len(piece)

    def _request(self, conn: socket.socket) -> int:
        """The next request's stream. EOFError: there is none."""
        if not self.h2:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = conn.recv(4096)
                if not more:
                    raise EOFError
                head += more
            return 0
        while True:
            head = conn.recv(9, socket.MSG_WAITALL)
            if len(head) < 9:
                raise EOFError
            size, kind = int.from_bytes(head[:3], "big"), head[3]
            if size:
                conn.recv(size, socket.MSG_WAITALL)
            if kind == SETTINGS and not head[4]:
                conn.sendall(frame(SETTINGS, 1, 0))
            if kind == HEADERS:
                return int.from_bytes(head[5:9], "big")

    def drop(self) -> None:
        """End every connection."""
        for conn in list(self.conns):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.over.set()
        self.sock.close()
        self.drop()
