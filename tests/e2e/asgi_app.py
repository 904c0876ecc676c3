"""The application behind uvicorn: /echo streams the body back, /sum hashes it, /stream sends pieces."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """ASGI."""
    if scope["type"] != "http":
        return
    await_body = scope["path"] != "/echo"
    kind = (b"content-type", b"application/octet-stream")
    if not await_body:
        await send({"type": "http.response.start", "status": 200, "headers": [kind]})
        async for piece in _pieces(receive):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    digest, size = hashlib.sha256(), 0
    async for piece in _pieces(receive):
        digest.update(piece)
        size += len(piece)
    body = [f"{size} {digest.hexdigest()}".encode()]
    if scope["path"] == "/stream":
        body = [b"%05d\n" % i for i in range(1000)]
    await send({"type": "http.response.start", "status": 200, "headers": [kind]})
    for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
