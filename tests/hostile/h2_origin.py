# ruff: noqa: E501
"""An HTTP/2 upstream that says whatever a script tells it to, frame by frame; what the gateway sends is read by hyperframe and hpack."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.hostile.h2_wire import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    WINDOW,
    Fields,
    block,
    frame,
    never,
)

Script = Callable[[int], bytes]
"""The stream of a request → what to send when its head has come."""


def reply(stream: int, fields: Fields | None = None, body: bytes | None = None, status: str = "200") -> bytes:
    """A whole answer."""
    head = block([(":status", status), *(fields or [])])
    flags = END_HEADERS | (END_STREAM if body is None else 0)
    return frame(HEADERS, flags, stream, head) + (b"" if body is None else frame(DATA, END_STREAM, stream, body))


@dataclass
class Asked:
    """A request as it came."""

    stream: int
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    ended: bool = False
    never: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> str | None:
        return dict(self.fields).get(name)


class Peer:
    """One connection of the gateway's. It takes requests until it ends; what it has heard stays."""

    def __init__(self, origin: "HostileOrigin", sock: socket.socket) -> None:
        self.origin, self.sock = origin, sock
        self.decoder = hpack.Decoder()
        self.asked: dict[int, Asked] = {}
        self.resets: dict[int, int] = {}
        self.goaway: list[int] = []
        self.pings: list[bytes] = []
        self.windows: dict[int, int] = {}
        self.settings: dict[int, int] = {}
        self.acks = 0
        self.over = False

    def send(self, raw: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(raw)

    def serve(self) -> None:
        with self.sock, contextlib.suppress(OSError):
            rest = self.sock.recv(len(PREFACE), socket.MSG_WAITALL)
            assert rest == PREFACE, rest
            self.send(self.origin.hello)
            rest = b""
            while data := self.sock.recv(65536):
                rest = self._frames(rest + data)
        self.over = True
        self.origin.tell()

    def _frames(self, rest: bytes) -> bytes:
        while len(rest) >= 9:
            one, length = Frame.parse_frame_header(memoryview(rest[:9]))
            if len(rest) < 9 + length:
                break
            one.parse_body(memoryview(rest[9 : 9 + length]))
            rest = rest[9 + length :]
            self._take(one)
            self.origin.tell()
        return rest

    def _take(self, one: Frame) -> None:
        stream = one.stream_id
        if isinstance(one, SettingsFrame):
            self.acks += "ACK" in one.flags
            self.settings.update(one.settings)
            if "ACK" not in one.flags and self.origin.acks:
                self.send(frame(SETTINGS, ACK, 0))
        elif isinstance(one, PingFrame) and "ACK" not in one.flags:
            self.pings.append(one.opaque_data)
            self.send(frame(PING, ACK, 0, one.opaque_data))
        elif isinstance(one, GoAwayFrame):
            self.goaway.append(one.error_code)
        elif isinstance(one, RstStreamFrame):
            self.resets[stream] = one.error_code
        elif isinstance(one, WindowUpdateFrame):
            self.windows[stream] = self.windows.get(stream, 0) + one.window_increment
        elif isinstance(one, HeadersFrame):
            assert "END_HEADERS" in one.flags
            decoded = self.decoder.decode(one.data, raw=True)
            fields = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in decoded]
            first = stream not in self.asked
            if first:
                self.asked[stream] = Asked(stream, fields)
            else:
                self.asked[stream].trailers = fields
            self.asked[stream].never |= never(decoded)
            self.asked[stream].ended = "END_STREAM" in one.flags
            if first:
                self._answer(self.asked[stream])
        elif isinstance(one, DataFrame):
            self.asked[stream].body += one.data
            self.asked[stream].ended = "END_STREAM" in one.flags

    def _answer(self, asked: Asked) -> None:
        path = (asked[":path"] or "").partition("?")[0]
        self.origin.by_path.setdefault(path, []).append((self, asked))
        script = self.origin.scripts.get(path)
        if script is not None:
            self.send(script(asked.stream))
        elif not path.startswith("/held"):
            self.send(reply(asked.stream, body=b"ok"))


class HostileOrigin:
    """Listens on 127.0.0.1, a thread a connection. Paths without a script are answered 200 `ok`; /held... when the test says so."""

    def __init__(self, hello: bytes = frame(SETTINGS, 0, 0)) -> None:
        self.hello, self.acks = hello, True
        self.scripts: dict[str, Script] = {}
        self.by_path: dict[str, list[tuple[Peer, Asked]]] = {}
        self.peers: list[Peer] = []
        self.news = threading.Condition()
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.sock.accept()
                sock.settimeout(30)
                peer = Peer(self, sock)
                self.peers.append(peer)
                threading.Thread(target=peer.serve, daemon=True).start()

    def tell(self) -> None:
        with self.news:
            self.news.notify_all()

    def until(self, done: Callable[[], object], what: str) -> None:
        """Wait until `done()`; it is asked whenever something has come."""
        with self.news:
            assert self.news.wait_for(done, 20), f"did not happen: {what}"

    def had(self, path: str, times: int = 1) -> tuple[Peer, Asked]:
        """The newest request for a path, which has come `times` times."""
        self.until(lambda: len(self.by_path.get(path, [])) >= times, f"a request for {path}")
        return self.by_path[path][-1]

    def drop(self) -> None:
        """End every connection there is."""
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.sock.close()
        self.drop()


def window(stream: int, more: int) -> bytes:
    return frame(WINDOW, 0, stream, struct.pack(">I", more))
