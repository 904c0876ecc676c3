"""The two upstreams of the demo: `users` and `orders`."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from .demo_http import Reply, Request

USERS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}, {"id": 3, "name": "Edsger"}]


def _json(data: Any, status: int = 200, *headers: tuple[str, str]) -> Reply:
    return Reply(json.dumps(data).encode() + b"\n", status, headers=headers)


def _missing(request: Request) -> Reply:
    return _json({"error": f"nothing at {request.path}"}, 404)


async def users(request: Request) -> Reply:
    """`/` and `/ID`, and what shows how the gateway forwards: `/echo`, `/slow?ms=`, `/events`, `/ws`.

    The gateway strips its prefix /users, but the same paths work with it, for those who ask directly."""
    path = request.path.removeprefix("/users") or "/"
    match path:
        case "/":
            return _json(USERS)
        case "/echo":
            body = request.body.decode("utf-8", "replace")
            return _json({"method": request.method, "target": request.target, "headers": request.headers, "body": body})
        case "/slow":
            await asyncio.sleep(min(_number(request.query("ms", "1000")), 60_000) / 1000)
            return _json({"slept": request.query("ms", "1000")})
        case "/events":
            return Reply(_events(min(_number(request.query("n", "5")), 1000)), kind="text/event-stream")
        case "/ws":
            return Reply(websocket=True)
    found = [user for user in USERS if path == f"/{user['id']}"]
    return _json(found[0]) if found else _missing(request)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


async def _events(count: int) -> AsyncIterator[bytes]:
    """Server-sent events, five a second."""
    for number in range(count):
        if number:
            await asyncio.sleep(0.2)
        yield f"id: {number}\ndata: tick {number}\n\n".encode()


class Orders:
    """`GET` and `POST /orders`, `GET /orders/ID`; kept in memory, the newest thousand."""

    def __init__(self) -> None:
        self._orders: dict[int, Any] = {1: {"id": 1, "user": 1, "item": "a difference engine"}}
        self._next = 2

    async def __call__(self, request: Request) -> Reply:
        match request.method, request.path.rstrip("/"):
            case (("GET" | "HEAD"), "/orders"):
                return _json(list(self._orders.values()))
            case "POST", "/orders":
                return self._add(request)
            case (("GET" | "HEAD"), path) if path.startswith("/orders/"):
                order = self._orders.get(_number(path.removeprefix("/orders/")))
                # x-order was set by the gateway from the path: sent back, so that one sees it arrive
                return _json(order, 200, ("x-order-seen", request.header("x-order"))) if order else _missing(request)
        return _missing(request) if request.method in ("GET", "HEAD") else _json({"error": "not so"}, 405)

    def _add(self, request: Request) -> Reply:
        try:
            data = json.loads(request.body or b"{}")
        except ValueError:
            return _json({"error": "the body is not JSON"}, 400)
        number, self._next = self._next, self._next + 1
        self._orders[number] = {**data, "id": number} if isinstance(data, dict) else {"id": number, "data": data}
        self._orders.pop(number - 1000, None)
        return _json(self._orders[number], 201, ("location", f"/orders/{number}"))
