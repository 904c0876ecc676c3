"""An upstream of HTTP/1.1 (by h11) or HTTP/2 (by h2), in plain text or over TLS, behind one face."""

import contextlib
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11

from .peers import reset
from .supervised import PATIENCE

Fields = list[tuple[str, str]]
Kind = str
"""h1, h2c, h2s."""


class Cut(Exception):
    """The message ended before its time."""


def text(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    return [(bytes(name).decode().lower(), bytes(value).decode()) for name, value in fields]


class Turn:
    """A request at the upstream: read it by `more`, answer by `head`, `send` and `end`, or `abort`."""

    method: str
    path: str
    fields: Fields
    trailers: Fields

    def more(self) -> bytes:
        """The next bytes of the body; empty: it has ended. Cut."""
        raise NotImplementedError

    def info(self, status: int, fields: Fields) -> None:
        raise NotImplementedError

    def head(self, status: int, fields: Fields, ends: bool = False) -> None:
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self, trailers: Fields | None = None) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


Answer = Callable[[Turn], None]


class Turn1(Turn):
    def __init__(self, sock: socket.socket, conn: h11.Connection, request: h11.Request) -> None:
        self.sock, self.conn, self.trailers = sock, conn, []
        self.method, self.path, self.fields = request.method.decode(), request.target.decode(), text(request.headers)

    def event(self) -> h11.Event:
        while (event := self.conn.next_event()) is h11.NEED_DATA:
            try:
                data = self.sock.recv(65536)
            except ConnectionError as error:
                raise Cut from error
            if not data and self.conn.their_state is h11.SEND_BODY:
                raise Cut
            self.conn.receive_data(data)
        return event

    def more(self) -> bytes:
        event = self.event()
        if isinstance(event, h11.Data):
            return bytes(event.data) or self.more()
        assert isinstance(event, h11.EndOfMessage)
        self.trailers = text(event.headers)
        return b""

    def put(self, event: h11.Event) -> None:
        self.sock.sendall(self.conn.send(event) or b"")

    def info(self, status: int, fields: Fields) -> None:
        self.put(h11.InformationalResponse(status_code=status, headers=fields))

    def head(self, status: int, fields: Fields, ends: bool = False) -> None:
        more = [("content-length", "0")] if ends and status != 204 else []
        self.put(h11.Response(status_code=status, headers=[*fields, *more]))
        if ends:
            self.end()

    def send(self, data: bytes) -> None:
        self.put(h11.Data(data=data))

    def end(self, trailers: Fields | None = None) -> None:
        self.put(h11.EndOfMessage(headers=trailers or []))

    def abort(self) -> None:
        reset(self.sock)


class Turn2(Turn):
    def __init__(self, serving: "Serving2", stream: int, fields: Fields) -> None:
        self.serving, self.stream, self.fields, self.trailers = serving, stream, fields, []
        known = dict(fields)
        self.method, self.path = known[":method"], known[":path"]
        self.news: queue.Queue[bytes | None] = queue.Queue()
        self.room = threading.Condition()
        self.gone = False

    def more(self) -> bytes:
        data = self.news.get(timeout=PATIENCE)
        if data is None:
            raise Cut
        if data:
            self.serving.say(lambda c: c.acknowledge_received_data(len(data), self.stream))
        return data

    def head(self, status: int, fields: Fields, ends: bool = False) -> None:
        self.serving.say(lambda c: c.send_headers(self.stream, [(":status", str(status)), *fields], end_stream=ends))

    info = head

    def send(self, data: bytes) -> None:
        while data:
            if self.gone:
                raise Cut
            room = self.serving.room(self.stream)
            if not room:
                with self.room:
                    self.room.wait(0.05)
                continue
            piece, data = data[:room], data[room:]
            self.serving.say(lambda c, piece=piece: c.send_data(self.stream, piece))

    def end(self, trailers: Fields | None = None) -> None:
        if trailers:
            self.serving.say(lambda c: c.send_headers(self.stream, trailers, end_stream=True))
        else:
            self.serving.say(lambda c: c.end_stream(self.stream))

    def abort(self) -> None:
        self.serving.say(lambda c: c.reset_stream(self.stream, 2))


class Serving2:
    """A connection at the upstream; a thread a stream."""

    def __init__(self, sock: socket.socket, answer: Answer) -> None:
        self.sock, self.answer, self.lock = sock, answer, threading.RLock()
        self.turns: dict[int, Turn2] = {}
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.say(lambda c: c.initiate_connection())

    def say(self, what: Callable[[h2.connection.H2Connection], object]) -> None:
        with self.lock, contextlib.suppress(h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
            what(self.conn)
            if data := self.conn.data_to_send():
                self.sock.sendall(data)

    def room(self, stream: int) -> int:
        with self.lock:
            try:
                return min(self.conn.local_flow_control_window(stream), self.conn.max_outbound_frame_size)
            except h2.exceptions.StreamClosedError as error:
                raise Cut from error

    def hear(self) -> bytes:
        """What has come. Under the lock: one TLS connection is not for two threads at once."""
        if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            select.select([self.sock], [], [], PATIENCE)
        with self.lock:
            return self.sock.recv(65536)

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.hear():
                with self.lock:
                    events = self.conn.receive_data(data)
                    self.say(lambda c: None)
                for event in events:
                    self.take(event)
        for turn in self.turns.values():
            turn.gone = True
            turn.news.put(None)

    def take(self, event: h2.events.Event) -> None:
        turn = self.turns.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.RequestReceived):
            turn = self.turns[event.stream_id] = Turn2(self, event.stream_id, list(event.headers))
            threading.Thread(target=self.run, args=(turn,), daemon=True).start()
        elif turn is None:
            return
        elif isinstance(event, h2.events.DataReceived):
            if event.data:
                turn.news.put(event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            turn.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            turn.news.put(b"")
        elif isinstance(event, h2.events.StreamReset):
            turn.gone = True
            turn.news.put(None)

    def run(self, turn: Turn2) -> None:
        with contextlib.suppress(Cut, OSError):
            self.answer(turn)


class Upstream:
    """An origin of one kind. `answer` is called for each request, in a thread of its own."""

    def __init__(self, kind: Kind, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.kind, self.answer, self.context = kind, answer, context
        self.connections = 0
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.sock.accept()
                self.connections += 1
                sock.settimeout(PATIENCE)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, Cut, h11.RemoteProtocolError), contextlib.ExitStack() as stack:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            stack.enter_context(sock)
            if self.kind == "h1":
                self._serve1(sock)
            else:
                Serving2(sock, self.answer).serve()

    def _serve1(self, sock: socket.socket) -> None:
        conn = h11.Connection(h11.SERVER)
        while True:
            while (event := conn.next_event()) is h11.NEED_DATA:
                conn.receive_data(sock.recv(65536))
            if not isinstance(event, h11.Request):
                return
            self.answer(Turn1(sock, conn, event))
            if conn.our_state is not h11.DONE or conn.their_state is not h11.DONE:
                return
            conn.start_next_cycle()

    def close(self) -> None:
        self.sock.close()
