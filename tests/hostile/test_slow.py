# ruff: noqa: E501
"""Crowds of slow peers: 400 clients at a time that trickle heads or bodies, or read nothing, and an upstream that does.

Every one of them is ended by total time, idle time or minimum rate; meanwhile others are served, and memory stays bounded.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.supervised import Gateway, gateway, until

CROWD = 400
PATIENCE = 60.0  # seconds for what must come; a bound, not a measure
BIG = 16 << 20  # more than two kernels hold for a connection nobody reads
HELD = 5 * 64 << 10  # limits.buffer_high in pieces of at least 16 KiB, each in a block of 64, and a block being read into
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{big: {{endpoints: ["127.0.0.1:{port}"], pool: {{max_connections: 2000}}}}}}
routes:
  big: {{match: {{prefix: /big}}, to: big}}
  probe: {{match: {{prefix: /probe}}, to: {{static: {{body: ok}}}}}}
timeouts: {{head: 3s, body: 3s, send: 3s, upstream_send: 3s}}
limits: {{body_rate: 50KB/s}}
log: {{access: off}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""


class Big:
    """An upstream in a loop of its own: /big answers BIG bytes as fast as they are taken, /big/deaf never reads the body."""

    def __init__(self) -> None:
        self.port = 0
        self.given: list[int] = []
        self.cut = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/big/deaf" in head:
                writer.transport.pause_reading()
                await asyncio.sleep(PATIENCE)
            elif head.startswith(b"POST"):
                while await reader.read(65536):
                    pass
                self.cut += 1
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
                self.given.append(0)
                mine = len(self.given) - 1
                for _ in range(BIG // 65536):
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    self.given[mine] += 65536
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Big"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def crowd(gw: Gateway, client: Callable[[str, int], Awaitable[bytes]], after: Callable[[Big], None] = lambda big: None) -> list[bytes]:
    """What each of CROWD clients got, while a probe was answered every 50 ms and memory was watched."""
    async def main() -> list[bytes]:
        async with Big().listening() as big:
            await asyncio.to_thread(lambda: gw.start(CONFIG.format(port=big.port)).ready())
            host, _, port = gw.address().rpartition(":")
            everyone = asyncio.gather(*(client(host, int(port)) for _ in range(CROWD)))
            served, most = 0, 0
            async with asyncio.timeout(PATIENCE):
                while not everyone.done():
                    status, body = await asyncio.to_thread(gw.get, "/probe")
                    assert (status, body) == (200, "ok")
                    served += 1
                    live = (await asyncio.to_thread(gw.status))["workers"][0]["live"]
                    most = max(most, live["block_bytes"])
                    await asyncio.sleep(0.05)
            assert served > 3, "the crowd was gone before it was one"
            assert most < CROWD * HELD, "more than the buffers of each connection"
            after(big)
            return await everyone

    got = asyncio.run(main())
    until(lambda: not any(gw.status()["workers"][0]["live"][n] for n in ("conns", "exchanges", "tries")), "nothing is left")
    assert gw.status()["workers"][0]["restarts"] == 0
    return got


async def trickle(host: str, port: int, first: bytes, drip: bytes) -> bytes:
    """Send `first`, then `drip` twice a second until the gateway has enough; all that it said."""
    reader, writer = await asyncio.open_connection(host, port)
    answer = asyncio.ensure_future(reader.read(-1))
    with contextlib.suppress(ConnectionError):
        writer.write(first)
        while not answer.done():
            writer.write(drip)
            await asyncio.wait([answer], timeout=0.5)
    with contextlib.suppress(ConnectionError):
        return await answer
    return b""


def test_slowloris(gw: Gateway) -> None:
    got = crowd(gw, lambda host, port: trickle(host, port, b"GET /probe HTTP/1.1\r\nHost: h\r\nX: ", b"a"))
    assert {each.split(b"\r\n")[0] for each in got} == {b"HTTP/1.1 408 Request Timeout"}


def test_silent_clients(gw: Gateway) -> None:
    got = crowd(gw, lambda host, port: trickle(host, port, b"", b""))
    assert set(got) == {b""} or {each[:12] for each in got} == {b"HTTP/1.1 408"}


def test_slow_bodies(gw: Gateway) -> None:
    """A byte comes often enough for the idle timeout, but not for the minimum rate."""
    def cut(big: Big) -> None:
        assert big.cut > 0, "their upstream requests were ended too"

    head = b"POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    got = crowd(gw, lambda host, port: trickle(host, port, head, b"a"), cut)
    assert {each.split(b"\r\n")[0] for each in got} == {b"HTTP/1.1 408 Request Timeout"}


def test_slow_chunked_bodies(gw: Gateway) -> None:
    head = b"POST /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = crowd(gw, lambda host, port: trickle(host, port, head, b"1\r\na\r\n"))
    assert {each.split(b"\r\n")[0] for each in got} == {b"HTTP/1.1 408 Request Timeout"}


def test_clients_that_do_not_read(gw: Gateway) -> None:
    """400 answers of 16 MB: what their clients do not take is not fetched from the upstream either."""
    async def deaf(host: str, port: int) -> bytes:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        writer.transport.pause_reading()
        writer.write(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(8)  # longer than timeouts.send
        writer.transport.resume_reading()
        with contextlib.suppress(ConnectionError):
            return await reader.read(-1)
        return b""

    def held(big: Big) -> None:
        assert len(big.given) == CROWD
        assert all(each < BIG for each in big.given), "an upstream was read to its end for nobody"

    got = crowd(gw, deaf, held)
    assert all(len(each) < BIG for each in got)


def test_upstreams_that_do_not_read(gw: Gateway) -> None:
    """400 uploads to an upstream that takes nothing: 504 after timeouts.upstream_send, and no more is read than is buffered."""
    async def upload(host: str, port: int) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        answer = asyncio.ensure_future(reader.read(-1))
        with contextlib.suppress(ConnectionError):
            writer.write(b"POST /big/deaf HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
            while not answer.done():
                writer.write(b"y" * 65536)
                room = asyncio.ensure_future(writer.drain())
                await asyncio.wait([answer, room], return_when=asyncio.FIRST_COMPLETED)
                room.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await room
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            return await answer
        return b""

    got = crowd(gw, upload)
    assert {each[:12] for each in got} <= {b"HTTP/1.1 504", b""}
    assert b"HTTP/1.1 504" in {each[:12] for each in got}
