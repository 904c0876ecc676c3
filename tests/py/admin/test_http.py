"""The admin server's HTTP: strict, bounded, whole answers; checked with httptools as an independent parser."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httptools
import httpx
import pytest

from fastgw.admin import http
from fastgw.admin.pages import Pages, Sources
from fastgw.admin.server import AdminServer
from fastgw.control.sockets import BindError


def pages(wrong: str = "") -> Pages:
    async def status() -> dict[str, object]:
        return {"pid": 1}

    checks = {"configuration": "", "workers": wrong}
    return Pages(Sources(lambda: checks, lambda: b"metric 1\n", status, lambda: b'{"workers":1}'))


@contextlib.asynccontextmanager
async def served(handler: http.Handler) -> AsyncIterator[tuple[str, int]]:
    server = AdminServer(handler)
    server.open("127.0.0.1:0")
    server.commit()
    host, _, port = server.address.rpartition(":")
    yield host, int(port)
    server.close()


async def talk(handler: http.Handler, sent: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    async with served(handler) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        got = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return got


def statuses(data: bytes) -> list[int]:
    """Of all answers in these bytes, by another parser than ours."""
    found: list[int] = []

    class Receiver:
        def on_headers_complete(self) -> None:
            found.append(parser.get_status_code())

    parser = httptools.HttpResponseParser(Receiver())
    parser.feed_data(data)
    return found


GOOD = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def test_pages() -> None:
    async with served(pages()) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        assert (await client.get("/livez")).text == "ok\n"
        assert (await client.get("/readyz")).text == "ok\n"
        assert (await client.get("/healthz?verbose")).text == "[+] configuration\n[+] workers\nok\n"
        assert (await client.get("/metrics")).text == "metric 1\n"
        assert (await client.get("/status")).json() == {"pid": 1}
        assert (await client.get("/config")).json() == {"workers": 1}
        assert (await client.get("/other")).status_code == 404
        head = await client.head("/livez")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "3", b"")
        post = await client.post("/livez")
        assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


async def test_not_ready_says_why() -> None:
    async with served(pages("none is live")) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as c:
        answer = await c.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "[-] workers: none is live\nnot ready\n")
        assert (await c.get("/livez")).status_code == 200


async def test_a_page_that_fails_is_a_500() -> None:
    def broken() -> bytes:
        raise RuntimeError("no shared memory")

    handler = Pages(Sources(dict, broken, None, broken))  # type: ignore[arg-type]
    async with served(handler) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        assert (await client.get("/metrics")).status_code == 500
        assert (await client.get("/livez")).status_code == 200


async def test_requests_in_one_packet_and_byte_by_byte() -> None:
    assert statuses(await talk(pages(), GOOD * 3 + LAST)) == [200] * 4
    async with served(pages()) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for byte in LAST:
            writer.write(bytes([byte]))
            await writer.drain()
        assert statuses(await asyncio.wait_for(reader.read(), 10)) == [200]
        writer.close()


@pytest.mark.parametrize(
    "bad",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\nother: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\0\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET livez HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    ],
)
async def test_malformed_is_400_and_nothing_after_it_is_served(bad: bytes) -> None:
    assert statuses(await talk(pages(), bad + LAST)) == [400]


async def test_a_head_without_end_is_431() -> None:
    assert statuses(await talk(pages(), b"GET /livez HTTP/1.1\r\nx: " + b"y" * http.HEAD_MAX)) == [431]


async def test_http_1_0_is_answered_and_closed() -> None:
    assert statuses(await talk(pages(), b"GET /livez HTTP/1.0\r\n\r\n")) == [200]


async def test_an_idle_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE", 0.05)
    assert await talk(pages(), b"GET /li") == b""


async def test_a_crowd_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 2)
    async with served(pages()) as (host, port):
        first = [await asyncio.open_connection(host, port) for _ in range(2)]
        for reader, writer in first:
            writer.write(GOOD)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        reader, third = await asyncio.open_connection(host, port)
        with contextlib.suppress(ConnectionError):
            third.write(GOOD)
            assert await asyncio.wait_for(reader.read(), 10) == b""
        for _, writer in [*first, (None, third)]:
            writer.close()


async def test_another_address_replaces_the_first_and_a_refusal_does_not(tmp_path: Path) -> None:
    server = AdminServer(pages())
    server.open("127.0.0.1:0")
    server.commit()
    first = server.address
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        with pytest.raises(BindError):
            server.open(f"127.0.0.1:{owner.getsockname()[1]}")
    assert server.address == first
    server.open(f"unix:{tmp_path}/admin")
    server.rollback()
    assert not (tmp_path / "admin").exists()
    server.open(f"unix:{tmp_path}/admin")
    server.commit()
    assert server.address == f"unix:{tmp_path}/admin"
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=f"{tmp_path}/admin")) as client:
        assert (await client.get("http://x/livez")).status_code == 200
    host, _, port = first.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))
    server.close()
    assert not (tmp_path / "admin").exists()
