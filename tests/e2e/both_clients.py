"""Clients of HTTP/1.1 (by h11) and HTTP/2 (by h2), in plain text or over TLS, behind one face."""

import socket
import ssl
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h11

from .both import Cut, Fields, text
from .supervised import PATIENCE


class Client:
    """One request and its answer."""

    status: int = 0
    fields: Fields
    body: bytes = b""
    trailers: Fields
    infos: list[int]
    whole: bool = False

    def ask(self, method: str, path: str, fields: Fields | None = None, ends: bool = True) -> "Client":
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self, trailers: Fields | None = None) -> None:
        raise NotImplementedError

    def step(self) -> None:
        """Take in what comes next. Cut."""
        raise NotImplementedError

    def until(self, done: Callable[[], object]) -> "Client":
        while not done():
            if self.whole:
                raise Cut
            self.step()
        return self

    def finish(self) -> "Client":
        return self.until(lambda: self.whole)

    def close(self) -> None:
        """Leave, whatever is open."""
        raise NotImplementedError

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Client1(Client):
    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        self.conn = h11.Connection(h11.CLIENT)
        self.fields, self.trailers, self.infos = [], [], []

    def put(self, event: h11.Event) -> None:
        self.sock.sendall(self.conn.send(event) or b"")

    def ask(self, method: str, path: str, fields: Fields | None = None, ends: bool = True) -> "Client":
        sized = ends or any(name == "content-length" for name, _ in fields or [])
        more = [] if sized else [("transfer-encoding", "chunked")]
        self.put(h11.Request(method=method, target=path, headers=[("host", "a.test"), *(fields or []), *more]))
        if ends:
            self.end()
        return self

    def send(self, data: bytes) -> None:
        self.put(h11.Data(data=data))

    def end(self, trailers: Fields | None = None) -> None:
        self.put(h11.EndOfMessage(headers=trailers or []))

    def step(self) -> None:
        try:
            while (event := self.conn.next_event()) is h11.NEED_DATA:
                self.conn.receive_data(self.sock.recv(65536))
        except (h11.RemoteProtocolError, ConnectionError) as error:
            raise Cut from error
        if isinstance(event, h11.InformationalResponse):
            self.infos.append(event.status_code)
        elif isinstance(event, h11.Response):
            self.status, self.fields = event.status_code, text(event.headers)
        elif isinstance(event, h11.Data):
            self.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.trailers, self.whole = text(event.headers), True
        else:
            raise Cut

    def close(self) -> None:
        self.sock.close()


class Client2(Client):
    def __init__(self, address: str, context: ssl.SSLContext | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname=host)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.conn.initiate_connection()
        self.fields, self.trailers, self.infos = [], [], []
        self.stream = 1
        self.flush()

    def flush(self) -> None:
        if data := self.conn.data_to_send():
            self.sock.sendall(data)

    def ask(self, method: str, path: str, fields: Fields | None = None, ends: bool = True) -> "Client":
        head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a.test"), *(fields or [])]
        self.conn.send_headers(self.stream, head, end_stream=ends)
        self.flush()
        return self

    def send(self, data: bytes) -> None:
        while data:
            room = min(self.conn.local_flow_control_window(self.stream), self.conn.max_outbound_frame_size)
            if not room:
                self.step()
                continue
            piece, data = data[:room], data[room:]
            self.conn.send_data(self.stream, piece)
            self.flush()

    def end(self, trailers: Fields | None = None) -> None:
        if trailers:
            self.conn.send_headers(self.stream, trailers, end_stream=True)
        else:
            self.conn.end_stream(self.stream)
        self.flush()

    def step(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionError as error:
            raise Cut from error
        if not data:
            raise Cut
        for event in self.conn.receive_data(data):
            self.take(event)
        self.flush()

    def take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.InformationalResponseReceived):
            self.infos.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.ResponseReceived):
            self.fields = list(event.headers)
            self.status = int(dict(self.fields)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.whole = True
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)) and not self.whole:
            raise Cut

    def close(self) -> None:
        self.sock.close()
