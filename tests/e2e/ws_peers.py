"""WebSocket's two ends for tests: a client over HTTP/2 (RFC 8441) beside that of `websockets`, and a server.

`H2WebSocket` carries the sans-I/O protocol of `websockets` in a stream of the `h2` package, and has of the synchronous
client what the tests call: send, recv, ping, close, close_code, subprotocol. `Upstream` does what a path says.
"""

from __future__ import annotations

import contextlib
import http
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import websockets.sync.client
import websockets.sync.server
from h2.settings import SettingCodes
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CLIENT, OPEN, Protocol
from websockets.sync.server import Server, ServerConnection

PATIENCE = 30.0
Fields = list[tuple[str, str]]


class H2WebSocket:
    """One WebSocket in one stream of a connection of its own. Raises InvalidStatus if it is refused."""

    def __init__(
        self, address: str, path: str = "/", *, tls: ssl.SSLContext | None = None, name: str = "a.test",
        deflate: bool = True, subprotocols: Iterable[str] = (), extra: Fields | None = None, receive: int = 0,
    ) -> None:  # fmt: skip
        self.sock = self._dial(address, tls, name, receive)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.ws = Protocol(CLIENT, state=OPEN, max_size=None)
        self.reset: int | None = None
        self.ended = self.goaway = False
        self.answer: dict[str, str] = {}
        self.body = b""
        self.messages: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self._rest = b""
        self._parts: list[Frame] = []
        self._flush()
        self.until(lambda: self.h2.remote_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1)
        self.stream = self.h2.get_next_available_stream_id()
        factory = ClientPerMessageDeflateFactory()
        fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https" if tls else "http"),
            (":path", path), (":authority", name), ("sec-websocket-version", "13"), *(extra or []),
        ]  # fmt: skip
        if deflate:
            offer = "; ".join(key if value is None else f"{key}={value}" for key, value in factory.get_request_params())
            fields.append(("sec-websocket-extensions", "permessage-deflate; " + offer))
        if subprotocols:
            fields.append(("sec-websocket-protocol", ", ".join(subprotocols)))
        self.h2.send_headers(self.stream, fields)
        self._flush()
        self.until(lambda: self.answer or self.reset is not None)
        if self.answer.get(":status") != "200":
            self.until(lambda: self.ended or self.reset is not None)
            status = int(self.answer.get(":status", 0))
            raise InvalidStatus(Response(status, "", Headers(self._plain().items()), self.body))
        self.subprotocol = self.answer.get("sec-websocket-protocol")
        if agreed := self.answer.get("sec-websocket-extensions"):
            params = [tuple((each.strip() + "=").split("=")[:2]) for each in agreed.split(";")[1:]]
            read = [(key, value or None) for key, value in params]
            self.ws.extensions = [factory.process_response_params(read, [])]  # type: ignore[arg-type]
        self._take(self.body)

    def _plain(self) -> dict[str, str]:
        return {key: value for key, value in self.answer.items() if key[0] != ":"}

    @staticmethod
    def _dial(address: str, tls: ssl.SSLContext | None, name: str, receive: int) -> socket.socket:
        host, _, port = address.rpartition(":")
        sock = socket.socket()
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.settimeout(PATIENCE)
        sock.connect((host, int(port)))
        if tls is None:
            return sock
        tls.set_alpn_protocols(["h2"])
        wrapped = tls.wrap_socket(sock, server_hostname=name)
        assert wrapped.selected_alpn_protocol() == "h2"
        return wrapped

    # -- bytes
    def _flush(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(self.h2.data_to_send())

    def until(self, done: Callable[[], object]) -> None:
        """Read until it is so, or nothing more will come of this stream."""
        while not done():
            try:
                data = self.sock.recv(65_536)
            except ConnectionError:
                data = b""
            if not data:
                self._gone()
                if not done():
                    raise ConnectionError("the connection is over")
                return
            for event in self.h2.receive_data(self._without_goaway(data)):
                self._event(event)
            self._flush()

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames; the package takes GOAWAY for the end of all streams, also of those that it lets go on."""
        self._rest += data
        whole = b""
        while len(self._rest) >= 9 and len(self._rest) >= (size := 9 + int.from_bytes(self._rest[:3])):
            frame, self._rest = self._rest[:size], self._rest[size:]
            self.goaway |= frame[3] == 7
            whole += frame if frame[3] != 7 else b""
        return whole

    def _gone(self) -> None:
        self.ended = True
        self.ws.receive_eof()

    def _event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.answer = dict(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if self.answer.get(":status") == "200" and hasattr(self, "subprotocol"):
                self._take(event.data)
            else:
                self.body += event.data
        elif isinstance(event, h2.events.StreamEnded):
            self._gone()
        elif isinstance(event, h2.events.StreamReset):
            self.reset = event.error_code
            self._gone()

    def _take(self, data: bytes) -> None:
        self.ws.receive_data(data)
        for frame in self.ws.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is Opcode.PONG:
                self.pongs.append(bytes(frame.data))
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(frame)
                if frame.fin:
                    whole = b"".join(bytes(each.data) for each in self._parts)
                    self.messages.append(whole.decode() if self._parts[0].opcode is Opcode.TEXT else whole)
                    self._parts = []
        self._said()

    def _said(self) -> None:
        """Send what the protocol wants sent, within the windows."""
        for data in self.ws.data_to_send():
            if not data:
                with contextlib.suppress(Exception):
                    self.h2.end_stream(self.stream)
                    self._flush()
            view = memoryview(data)
            while view:
                self.until(lambda: self.h2.local_flow_control_window(self.stream) > 0 or self.ended)
                if self.ended:
                    return
                size = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size, len(view))
                self.h2.send_data(self.stream, bytes(view[:size]))
                self._flush()
                view = view[size:]

    # -- as the synchronous client
    def send(self, message: str | bytes | Iterable[str | bytes]) -> None:
        if isinstance(message, str | bytes):
            self._part(message, True, first=True)
        else:
            parts = list(message)
            for number, part in enumerate(parts):
                self._part(part, number == len(parts) - 1, first=number == 0)
        self._said()

    def _part(self, part: str | bytes, fin: bool, *, first: bool) -> None:
        data = part.encode() if isinstance(part, str) else part
        if not first:
            self.ws.send_continuation(data, fin)
        elif isinstance(part, str):
            self.ws.send_text(data, fin)
        else:
            self.ws.send_binary(data, fin)

    def recv(self) -> str | bytes:
        self.until(lambda: self.messages or self.ended)
        if not self.messages:
            raise self.ws.close_exc
        return self.messages.pop(0)

    def ping(self, data: bytes) -> threading.Event:
        """Send one and wait for its answer; an event that is set, as the synchronous client's."""
        self.ws.send_ping(data)
        self._said()
        self.until(lambda: data in self.pongs)
        done = threading.Event()
        done.set()
        return done

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self.ended and self.ws.state is OPEN:
            self.ws.send_close(code, reason)
            self._said()
        with contextlib.suppress(ConnectionError):
            self.until(lambda: self.ended)
        self.sock.close()

    @property
    def close_code(self) -> int | None:
        return self.ws.close_code

    @property
    def close_reason(self) -> str | None:
        return self.ws.close_reason

    def break_off(self) -> None:
        """End it without a word of WebSocket: RST_STREAM."""
        self.h2.reset_stream(self.stream, 8)
        self._flush()

    def __enter__(self) -> H2WebSocket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()


def over_h1(
    address: str, path: str = "/", *, tls: ssl.SSLContext | None = None, name: str = "a.test", deflate: bool = True,
    subprotocols: Iterable[str] = (), extra: Fields | None = None,
) -> Any:  # fmt: skip
    """A WebSocket over HTTP/1.1 by the client of `websockets`.

    It reads in a thread of its own, and before 3.13 Python's ssl has no lock for two threads at one connection: with a
    listener that sends tickets both would be at work right behind the handshake, so those of these tests send none.
    """
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), PATIENCE)
    if tls is not None:
        tls.set_alpn_protocols(["http/1.1"])
    return websockets.sync.client.connect(
        f"{'wss' if tls else 'ws'}://{name}{path}", sock=sock, ssl=tls, server_hostname=name if tls else None,
        compression="deflate" if deflate else None, subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
        additional_headers=extra, max_size=None, open_timeout=PATIENCE, close_timeout=PATIENCE, ping_interval=None,
    )  # fmt: skip


class Upstream:
    """A WebSocket server in a thread: a path's first segment names what it does with its connections."""

    def __init__(self) -> None:
        self.acts: dict[str, Callable[[ServerConnection], None]] = {"echo": self._echo}
        self.seen: dict[str, Headers] = {}
        self.codes: dict[str, int | None] = {}
        self.left: dict[str, threading.Event] = {}
        self.refusals: dict[str, tuple[http.HTTPStatus, str]] = {}
        self.server: Server = websockets.sync.server.serve(
            self._run, "127.0.0.1", 0, max_size=None, ping_interval=None, process_request=self._asked,
            select_subprotocol=lambda _, offered: "chat.v2" if "chat.v2" in offered else None,  # type: ignore
            close_timeout=PATIENCE,
        )  # fmt: skip
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def over(self, path: str) -> threading.Event:
        """Set when the handler of a path has ended."""
        return self.left.setdefault(path, threading.Event())

    def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        self.seen[request.path] = request.headers
        if refusal := self.refusals.get(request.path):
            return connection.respond(*refusal)
        return None

    def _run(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path
        try:
            with contextlib.suppress(ConnectionClosed):
                self.acts[path.split("/")[1]](connection)
            self.codes[path] = connection.protocol.close_code
        finally:
            self.over(path).set()

    def code(self, path: str) -> int | None:
        """The close code that its end of a path's connection has seen, once it is over."""
        assert self.over(path).wait(PATIENCE), path
        return self.codes[path]

    @staticmethod
    def _echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    def close(self) -> None:
        self.server.shutdown()


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    try:
        yield made
    finally:
        made.close()
