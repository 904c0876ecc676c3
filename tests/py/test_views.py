"""What a hook sees of its exchange, and what it may say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import uvloop

from benchmarks.micro.hook_engine import Engine, Plug
from fastgw._views import Deny, ExchangeOver
from tests.py.hooks import Gate, settled


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param()


async def test_views_are_dead_after_their_exchange_and_shut_between_hooks():
    kept: list[Any] = []

    def access(request):
        with pytest.raises(ValueError):
            request.headers["a b"] = "1"
        with pytest.raises(ValueError):
            request.headers["x"] = "a\r\nb: c"
        for name in ("host", "Content-Length", "connection", "transfer-encoding"):
            with pytest.raises(ValueError):
                request.headers[name] = "1"
        with pytest.raises(ValueError):
            request.headers["x"] = "\u20ac"
        with pytest.raises(TypeError):
            request.headers["x"] = 1
        kept.extend([request, request.headers, request.tags])

    def reply(request, reply):
        kept.extend([reply, reply.headers])
        with pytest.raises(ExchangeOver):
            request.headers["x"] = "1"
        for status in (99, 600, 204, 304):
            with pytest.raises(ValueError):
                reply.status = status

    gate = Gate()
    async with Engine({"up": [Plug(access, reply), Plug(gate.__call__)]}) as e:
        waiting = asyncio.ensure_future(e.ask("/up"))
        await e.until(lambda: gate.here == 1)
        with pytest.raises(ExchangeOver):
            kept[1]["x"] = "late"
        with pytest.raises(ExchangeOver):
            kept[2]["x"] = "late"
        assert kept[0].path == "/up"
        gate.event.set()
        assert "late" not in (await waiting).body
        await e.until(lambda: not e.worker.live()["exchanges"])
        assert e.host.live()["requests"] == 1
        for use in (
            lambda: kept[0].path, lambda: kept[0].headers["x"], lambda: kept[0].params, lambda: kept[1].get("x"),
            lambda: list(kept[2]), lambda: kept[3].status, lambda: kept[4].items(), lambda: kept[4].set("a", "b"),
            lambda: kept[0].route, lambda: len(kept[1]),
        ):  # fmt: skip
            with pytest.raises(ExchangeOver):
                use()
        assert repr(kept[0]) == "<Request over>" and repr(kept[1]) == "<Headers over>"
        kept.clear()
        await settled(e)


async def test_everything_a_view_tells():
    seen: dict[str, Any] = {}

    def access(request):
        h = request.headers
        names = "method scheme authority host path query params route listener client".split()
        seen.update({name: getattr(request, name) for name in names})
        assert h.get("X-A") == "1, 2" and h.get_all("x-a") == ["1", "2"] and h.get("none") is None
        assert h.get("none", "d") == "d" and h.get_all("none") == [] and "" not in h and 5 not in h
        h.add("x-a", "3")
        h.set("x-latin", "\xe4")
        assert h["x-a"] == "1, 2, 3" and h["X-LATIN"] == "\xe4"
        del h["x-latin"]
        with pytest.raises(KeyError):
            del h["x-latin"]
        with pytest.raises(KeyError):
            h["x-latin"]
        assert list(h).count("x-a") == 1 and len(h) == len(list(h)) and ("x-a", "2") in h.items()
        assert len(request.request_id) == 32
        request.tags["k"] = "v"
        request.tags["k"] = "w"
        assert dict(request.tags) == {"k": "w"} and request.tags["k"] == "w" and "k" in request.tags
        with pytest.raises(ValueError):
            request.tags["x" * 65] = "1"
        with pytest.raises(ValueError):
            request.tags["x"] = "1" * 513
        with pytest.raises(KeyError):
            request.tags["none"]
        for n in range(15):
            request.tags[f"t{n}"] = ""
        with pytest.raises(ValueError):
            request.tags["more"] = "1"

    async with Engine({"a": [Plug(access)]}) as e:
        assert (await e.ask("/a/b%20c?d", "X-A: 1", "x-a: 2", "x-set: ")).status == 200, e.failures
        assert seen == {
            "method": "GET", "scheme": "http", "authority": "example.org", "host": "example.org", "path": "/a/b%20c",
            "query": "d", "params": {}, "route": "a", "listener": "web", "client": "127.0.0.1"}  # fmt: skip
        await settled(e)


async def test_tags_and_plugins_in_the_log(tmp_path: Path):
    def access(request):
        request.tags["us\"er"] = "j\u00f6e"
        if request.query:
            return Deny(403)
        raise ValueError

    async with Engine({"a": [Plug(access, fail="open")]}, log=tmp_path / "log") as e:
        await e.ask("/a?deny")
        await e.ask("/a")
        lines: list[dict[str, Any]] = []

        def logged() -> bool:
            text = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
            lines[:] = [json.loads(line) for line in text.splitlines()]
            return len(lines) == 2

        await e.until(logged)
        assert lines[0]["tags"] == {'us"er': "j\u00f6e"}
        assert (lines[0]["plugin"], lines[0]["reason"], lines[0]["status"]) == ("plug", "denied", 403)
        assert lines[1]["plugin_failed_open"] == "plug" and "tags" not in lines[1] and "plugin" not in lines[1]
