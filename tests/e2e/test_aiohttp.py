# ruff: noqa: E501
"""aiohttp as client and as origin of a live gateway: streamed bodies, many at once, and WebSockets that live by their heartbeat."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import websockets
from aiohttp import web

from .supervised import gateway

PIECE = os.urandom(1 << 17)
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["127.0.0.1:{port}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
timeouts: {{tunnel: 1s, drain: 5s}}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""


async def hashed(request: web.Request) -> web.Response:
    digest = hashlib.sha256()
    async for piece in request.content.iter_any():
        digest.update(piece)
    return web.Response(text=digest.hexdigest())


async def echoed(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"X-Length": request.headers.get("Content-Length", "-")})
    await answer.prepare(request)
    async for piece in request.content.iter_any():
        await answer.write(piece)
    return answer


async def socketed(request: web.Request) -> web.WebSocketResponse:
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        await answer.send_str(message.data[::-1])
    return answer


@contextlib.asynccontextmanager
async def through_aiohttp(tmp_path: Path) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.post("/hash", hashed), web.post("/echo", echoed), web.get("/ws", socketed)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        with gateway(tmp_path) as own:
            await asyncio.to_thread(lambda: own.start(CONFIG.format(port=port)).ready())
            yield own.address()
            assert await asyncio.to_thread(own.stop) == 0
    finally:
        await runner.cleanup()


def run(tmp_path: Path, body: Callable[[aiohttp.ClientSession, str], Awaitable[None]]) -> None:
    async def main() -> None:
        async with through_aiohttp(tmp_path) as address, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            await body(session, address)

    asyncio.run(main())


def test_aiohttp_on_both_sides(tmp_path: Path) -> None:
    async def pieces(number: int) -> AsyncIterator[bytes]:
        for at in range(number):
            yield PIECE[at : at + 30_000]

    async def one(session: aiohttp.ClientSession, address: str, number: int) -> None:
        sent = b"".join([piece async for piece in pieces(number)])
        async with session.post(f"http://{address}/hash", data=pieces(number)) as answer:
            assert (answer.status, await answer.text()) == (200, hashlib.sha256(sent).hexdigest())
        async with session.post(f"http://{address}/echo", data=sent) as answer:
            assert answer.headers["X-Length"] == str(len(sent))
            assert await answer.read() == sent

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        await asyncio.gather(*(one(session, address, number) for number in range(1, 41)))

    run(tmp_path, body)


def test_aiohttp_websocket_and_ping(tmp_path: Path) -> None:
    async def body(session: aiohttp.ClientSession, address: str) -> None:
        async with session.ws_connect(f"ws://{address}/ws", heartbeat=0.3) as ws:
            for text in ("abc", "d" * 100_000):
                await ws.send_str(text)
                assert await ws.receive_str() == text[::-1]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ws.receive(), 2)  # twice the tunnel's timeout: the heartbeat keeps it
            await ws.send_str("still here")
            assert await ws.receive_str() == "ereh llits"
        async with websockets.connect(f"ws://{address}/ws", ping_interval=None) as quiet:
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(quiet.recv(), 30)

    run(tmp_path, body)
