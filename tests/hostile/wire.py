# ruff: noqa: E501
"""A client's raw socket: sends exactly the bytes it is given and reads answers strictly (h11)."""

import contextlib
import socket
from dataclasses import dataclass

import h11

PATIENCE = 10.0  # seconds for what must come; a bound, not a measure


@dataclass
class Answer:
    """An answer; `whole` is false when the connection ended inside it."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool
    raw: bytes

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, by lower-case name."""
        return [value for key, value in self.fields if key == name]


class Wire:
    """One connection to `host:port`. A context manager."""

    def __init__(self, address: str, source: str = "") -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE, (source, 0) if source else None)
        self.rest = b""
        self.over = False

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, raw: bytes) -> None:
        """All of it, or as much as the gateway takes before it closes."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(raw)

    def _more(self) -> bytes:
        """Next bytes; empty at the end. TimeoutError: neither came."""
        if self.over:
            return b""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.over = not data
        return data

    def answer(self, method: str = "GET") -> Answer | None:
        """The next final answer; None if the connection ended before one. h11.RemoteProtocolError: it is not HTTP."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "h"), ("upgrade", "x"), ("connection", "upgrade")]))
        parser.send(h11.EndOfMessage())
        raw, answer = self.rest, None
        if raw:
            parser.receive_data(raw)
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                if not self.over:
                    raise
                if answer is not None:
                    answer.raw = raw
                return answer
            if event is h11.NEED_DATA:
                data = self._more()
                raw += data
                if not data and answer is None:
                    return None
                parser.receive_data(data)
            elif isinstance(event, h11.Response) or (isinstance(event, h11.InformationalResponse) and event.status_code == 101):
                answer = Answer(event.status_code, list(event.headers), b"", event.status_code == 101, raw)
            elif isinstance(event, h11.Data) and answer is not None:
                answer.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            if answer is not None and answer.status == 101:
                break
        assert answer is not None
        answer.whole, answer.raw = True, raw
        self.rest = parser.trailing_data[0]
        return answer

    def remainder(self) -> bytes:
        """Everything up to the end of the connection. TimeoutError: it did not end."""
        data = self.rest
        while more := self._more():
            data += more
        return data
