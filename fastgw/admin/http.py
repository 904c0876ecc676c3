"""A small, strict HTTP/1.1 server for the admin surface: GET and HEAD, no request bodies, whole answers.

It serves operators and scrapers, not traffic: at most CONNECTIONS at once, a head of HEAD_MAX bytes within IDLE
seconds. Anything that is not a well-formed request without a body is answered 400 and the connection closed (RFC 9112).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

CONNECTIONS = 128
HEAD_MAX = 16 * 1024
IDLE = 30.0
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
           431: "Request Header Fields Too Large", 500: "Internal Server Error",
           503: "Service Unavailable"}  # fmt: skip
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.([01])", re.ASCII)
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~\x80-\xff](?:[ -~\t\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*")


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


Handler = Callable[[str, str], Awaitable[Answer]]
"""(path, query) → answer."""


class BadRequest(Exception):
    """What is answered, and the connection closed."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Request(NamedTuple):
    method: str
    path: str
    query: str
    keep_alive: bool


def parse(head: bytes) -> Request:
    """A head without its final empty line. BadRequest."""
    line, *rows = head.split(b"\r\n")
    matched = _LINE.fullmatch(line)
    if not matched:
        raise BadRequest(400, "malformed request line")
    fields: dict[bytes, list[bytes]] = {}
    for row in rows:
        field = _FIELD.fullmatch(row)
        if not field:
            raise BadRequest(400, "malformed header field")
        fields.setdefault(field[1].lower(), []).append(field[2] or b"")
    minor = matched[3]
    # RFC 9112 section 3.2: exactly one Host from a 1.1 client.
    if len(fields.get(b"host", [])) > 1 or (minor == b"1" and b"host" not in fields):
        raise BadRequest(400, "Host is needed once")
    if b"transfer-encoding" in fields or any(value != b"0" for value in fields.get(b"content-length", [])):
        raise BadRequest(400, "no request here has a body")
    tokens = {token.strip().lower() for value in fields.get(b"connection", []) for token in value.split(b",")}
    path, _, query = matched[2].decode("ascii").partition("?")
    return Request(matched[1].decode(), path, query, minor == b"1" and b"close" not in tokens)


def render(answer: Answer, head_only: bool, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}", f"content-type: {answer.kind}",
             f"content-length: {len(answer.body)}", "cache-control: no-store",
             f"connection: {'keep-alive' if keep_alive else 'close'}"]  # fmt: skip
    if answer.status == 405:
        lines.append("allow: GET, HEAD")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else answer.body)


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other; pipelined ones wait in the buffer."""

    def __init__(self, handler: Handler, all_connections: set["Connection"]) -> None:
        self._handler, self._all = handler, all_connections
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        if len(self._all) >= CONNECTIONS:
            transport.close()
            return
        self._all.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        self._transport = None
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def _wait(self) -> None:
        """The clock of a head: not restarted by each byte."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE, self.close)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next()
        elif len(self._buffer) > HEAD_MAX and self._transport:
            self._transport.pause_reading()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_MAX)
        if end < 0:
            if len(self._buffer) >= HEAD_MAX:
                self._send(Answer(431, b"the head is too large\n"), False, False)
            return
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._task = asyncio.get_running_loop().create_task(self._answer(head))

    async def _answer(self, head: bytes) -> None:
        head_only = keep_alive = False
        try:
            request = parse(head)
            head_only, keep_alive = request.method == "HEAD", request.keep_alive
            if request.method not in ("GET", "HEAD"):
                answer = Answer(405, b"only GET and HEAD\n")
            else:
                answer = await self._handler(request.path, request.query)
        except BadRequest as e:
            answer, keep_alive = Answer(e.status, f"{e}\n".encode()), False
        self._task = None
        self._send(answer, head_only, keep_alive)

    def _send(self, answer: Answer, head_only: bool, keep_alive: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(render(answer, head_only, keep_alive))
        if not keep_alive:
            self._transport.close()
            return
        self._wait()
        self._transport.resume_reading()
        if self._buffer:
            self._next()
