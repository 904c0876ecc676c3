"""A small HTTP/1.1 origin for the demo: keep-alive, Content-Length and chunked bodies, streams, WebSockets.

For trying the gateway out on one's own machine; it bounds what it reads and is no server for anything else.
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

HEAD_MAX, BODY_MAX, FRAME_MAX = 64 << 10, 8 << 20, 1 << 20
IDLE = 120.0  # seconds a connection may wait for its next request
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
           413: "Content Too Large", 426: "Upgrade Required"}  # fmt: skip
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Request(NamedTuple):
    """One request with its whole body. `headers` keep order and case."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    def query(self, name: str, default: str) -> str:
        return dict(parse_qsl(self.target.partition("?")[2])).get(name, default)

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


class Reply(NamedTuple):
    """An answer: bytes with a length, or pieces sent chunked as they come; `websocket`: echo frames instead."""

    body: bytes | AsyncIterator[bytes] = b""
    status: int = 200
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    websocket: bool = False


Handler = Callable[[Request], Awaitable[Reply]]


class Bad(Exception):
    """The client's message cannot be served; `status` is what it is told."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Origin:
    """Serves one handler. `stop()` ends the listening socket and every connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, address: str, port: int = 0) -> str:
        """Listen on an IP address, or on a Unix path (begins with a slash). Returns `host:port` or `unix:/path`."""
        if address.startswith("/"):
            self._server = await asyncio.start_unix_server(self._connected, address, limit=HEAD_MAX)
            return f"unix:{address}"
        self._server = await asyncio.start_server(self._connected, address, port, limit=HEAD_MAX)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False: the connection is to be closed."""
        try:
            request = await _read(reader, writer)
            if request is None:
                return False
            reply = await self._handler(request)
        except Bad as bad:
            await _answer(writer, Reply(f"{bad}\n".encode(), bad.status, "text/plain"), False, False)
            return False
        if reply.websocket:
            await _websocket(request, reader, writer)
            return False
        keep = "close" not in request.header("connection").lower()
        await _answer(writer, reply, request.method == "HEAD", keep)
        return keep


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request; None at the end of the connection. Raises Bad."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE)
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Bad(400, "the head is too long") from None
    lines = head.decode("latin-1").split("\r\n")[:-2]
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Bad(400, "not an HTTP/1 request")
    headers = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines[1:])]
    request = Request(parts[0], parts[1], headers, b"")
    if request.header("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return request._replace(body=await _body(request, reader))


async def _body(request: Request, reader: asyncio.StreamReader) -> bytes:
    if request.header("transfer-encoding").lower() == "chunked":
        return await _chunked(reader)
    length = request.header("content-length") or "0"
    if not (length.isascii() and length.isdigit() and len(length) < 12):
        raise Bad(400, "a bad Content-Length")
    if int(length) > BODY_MAX:
        raise Bad(413, "the body is too long")
    return await reader.readexactly(int(length))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise Bad(400, "a bad chunk") from None
        if size == 0:
            break
        if size < 0 or len(body) + size > BODY_MAX:
            raise Bad(413, "the body is too long")
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


async def _answer(writer: asyncio.StreamWriter, reply: Reply, head_only: bool, keep: bool) -> None:
    fields = [("content-type", reply.kind), *reply.headers]
    if isinstance(reply.body, bytes):
        fields.append(("content-length", str(len(reply.body))))
    else:
        fields.append(("transfer-encoding", "chunked"))
    if not keep:
        fields.append(("connection", "close"))
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}", *(f"{k}: {v}" for k, v in fields)]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    if not head_only and isinstance(reply.body, bytes):
        writer.write(reply.body)
    elif not head_only and not isinstance(reply.body, bytes):
        async for piece in reply.body:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _websocket(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree to a WebSocket (RFC 6455) and send every frame back until it is closed."""
    key = request.header("sec-websocket-key")
    if request.header("upgrade").lower() != "websocket" or not key:
        headers = (("upgrade", "websocket"),)
        await _answer(writer, Reply(b"a WebSocket is spoken here\n", 426, "text/plain", headers), False, False)
        return
    accept = base64.b64encode(hashlib.sha1(key.encode() + _WEBSOCKET_GUID).digest()).decode()
    fields = ("upgrade: websocket", "connection: Upgrade", f"sec-websocket-accept: {accept}")
    writer.write("\r\n".join(["HTTP/1.1 101 Switching Protocols", *fields, "", ""]).encode())
    opcode = 0
    while opcode != 8:
        first, payload = await _frame(reader)
        opcode = first & 15
        writer.write(_frame_bytes(first if opcode != 9 else 0x8A, payload))  # a ping is answered by a pong
        await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One masked frame: its first byte (FIN and opcode) and its payload."""
    first, second = await reader.readexactly(2)
    size = second & 127
    if size > 125:
        width = 2 if size == 126 else 8
        size = int.from_bytes(await reader.readexactly(width), "big")
    if size > FRAME_MAX or not second & 128:
        return 0x88, struct.pack(">H", 1009 if second & 128 else 1002)
    mask = await reader.readexactly(4)
    data = await reader.readexactly(size)
    whole = (mask * (size // 4 + 1))[:size]
    return first, (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")


def _frame_bytes(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    wide = struct.pack(">BH", 126, size) if size < 65536 else struct.pack(">BQ", 127, size)
    return bytes((first,)) + wide + payload
