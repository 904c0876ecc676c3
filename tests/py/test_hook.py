"""Hooks in the engine: a worker, its loop and its clients in this process."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvloop

from benchmarks.micro.hook_engine import Engine, Plug
from fastgw._hook import Hooks, Host
from fastgw._views import Allow, Deny, ExchangeOver
from fastgw._worker import Refused
from tests.py.hooks import Gate, settled

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("WORD", default="none")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param()


async def test_edits_reach_the_upstream_and_the_client():
    def access(request):
        assert request.method == "GET" and request.path == "/up/a" and request.query == "q=1"
        request.headers["X-User"] = "joe"
        request.headers.remove("x-secret")
        assert "x-secret" not in request.headers and request.headers["x-user"] == "joe"

    def reply(request, reply):
        assert (reply.status, reply.headers["x-origin"]) == (200, "1") and request.headers["x-user"] == "joe"
        reply.headers["x-served-by"], reply.status = "fastgw", 203
        assert reply.status == 203

    async with Engine({"up": [Plug(access, reply)]}) as e:
        got = await e.ask("/up/a?q=1", "X-Secret: s", "X-User: eve")
        assert got.status == 203 and got.headers["x-served-by"] == "fastgw"
        assert "\r\nX-User: joe\r\n" in got.body and "eve" not in got.body and "Secret" not in got.body
        await settled(e)


@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "waits"])
async def test_verdicts(waits):
    said: list[Any] = []

    async def access(request):
        if waits:
            await asyncio.sleep(0)
        return said[-1]

    async with Engine({"a": [Plug(access)], "up": [Plug(reply=lambda request, reply: said[-1])]}) as e:
        for verdict, status, body in (
            (None, 200, "ok"), (Allow(), 200, "ok"), (Deny(401, "no"), 401, "no"), (Deny(429, b"\xff"), 429, "\xff"),
            (Deny(403, problem="not you"), 403, '"detail":"not you"'), (7, 500, "plugin_failed"),
            (Deny, 500, "plugin_failed"),
        ):  # fmt: skip
            said.append(verdict)
            got = await e.ask("/a")
            assert (got.status, body in got.body) == (status, True), got
        said.append(Deny(403, "no", headers=[("set-cookie", "a"), ("Content-Type", "x/y")]))
        got = await e.ask("/up")
        assert (got.status, got.body, got.headers["content-type"]) == (403, "no", "x/y")
        assert "x-origin" not in got.headers and "date" in got.headers
        assert e.totals()["replies"] == 4 and e.totals()["failed"] == 2
        assert [type(f[2]) for f in e.failures] == [TypeError]  # once for each kind
        await settled(e)


async def test_a_failed_hook_leaves_no_edit():
    async def access(request):
        request.headers["x-user"] = "joe"
        request.tags["user"] = "joe"
        await asyncio.sleep(0)
        request.headers["x-more"] = "1"
        raise RuntimeError("broken")

    def reply(request, reply):
        reply.headers["x-edit"], reply.status = "1", 299
        raise ValueError("broken too")

    plug = Plug(access, reply, fail="open")
    async with Engine({"up": [plug], "closed": [Plug(access)]}) as e:
        got = await e.ask("/up")
        assert got.status == 200 and "x-user" not in got.body and "x-edit" not in got.headers
        got = await e.ask("/closed")
        assert got.status == 500 and json.loads(got.body)["reason"] == "plugin_failed"
        assert e.totals()["failed"] == 3
        assert [(name, what, type(error)) for name, what, error in e.failures] == [
            ("plug", "plugin_failed", RuntimeError), ("plug", "plugin_failed", ValueError)]  # fmt: skip
        await settled(e)


async def test_a_thousand_wait_at_once():
    gate = Gate()
    async with Engine({"a": [Plug(gate.__call__)]}) as e:
        asks = [asyncio.ensure_future(e.ask("/a")) for _ in range(1000)]
        await e.until(lambda: gate.here == 1000)
        assert e.worker.live()["parked_hooks"] == 1000 == e.totals()["parked"] == e.host.live()["waiting"]
        gate.event.set()
        assert {got.status for got in await asyncio.gather(*asks)} == {200}
        await settled(e)


@pytest.mark.parametrize("phase", ["access", "reply"])
async def test_a_client_that_leaves_cancels(phase):
    gate = Gate()
    plug = Plug(gate.__call__) if phase == "access" else Plug(reply=gate.__call__)
    async with Engine({"up": [plug]}) as e:
        _, writer = await e.connect()
        writer.write(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
        await e.until(lambda: gate.here == 1)
        writer.transport.abort()
        await e.until(lambda: len(gate.cancelled) == 1)
        gate.cancelled.clear()
        assert e.totals()["cancelled"] == 1 and not e.failures
        await settled(e)


async def test_the_budget_cancels_and_the_fail_mode_speaks():
    ended: list[str] = []

    async def access(request):
        try:
            request.headers["x-edit"] = "1"
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            with pytest.raises(ExchangeOver):
                repr(request.path)
            ended.append("finally")

    async with Engine({"a": [Plug(access, budget_ms=20)], "up": [Plug(access, budget_ms=20, fail="open")]}) as e:
        got = await e.ask("/a")
        assert (got.status, json.loads(got.body)["reason"]) == (504, "plugin_timeout")
        got = await e.ask("/up")
        assert got.status == 200 and "x-edit" not in got.body
        await e.until(lambda: len(ended) == 2)
        assert e.totals()["timed_out"] == 2 and not e.failures
        await settled(e)


async def test_what_fails_after_its_exchange_is_told():
    async def access(request):
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("too late")

    async with Engine({"a": [Plug(access, budget_ms=5)]}) as e:
        assert (await e.ask("/a")).status == 504
        await e.until(lambda: bool(e.failures))
        assert type(e.failures[0][2]) is OSError
        e.failures.clear()
        await settled(e)


async def test_asyncio_and_anyio_within_hooks():
    async def child(n):
        await asyncio.sleep(0)
        return n

    async def access(request):
        WORD.set(request.query)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(n)) for n in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        with anyio.move_on_after(0.001):
            await anyio.sleep(60)
        assert await asyncio.gather(child(5), child(6)) == [5, 6]
        assert WORD.get() == request.query
        request.headers["x-sum"] = str(sum(t.result() for t in tasks))

    def reply(request, reply):
        assert WORD.get() == "none"  # each hook has a context of its own
        WORD.set("reply's")

    async with Engine({"up": [Plug(access, reply)]}) as e:
        asks = [e.ask(f"/up?{n}") for n in range(20)]
        for got in await asyncio.gather(*asks):
            assert got.status == 200 and "x-sum: 3\r\n" in got.body, e.failures
        assert WORD.get() == "none"
        await settled(e)


async def test_several_hooks_and_those_that_wait_among_them():
    order: list[str] = []

    def plug(name: str, waits: bool) -> Plug:
        async def access(request):
            order.append(f"{name} in")
            if waits:
                await asyncio.sleep(0)
            request.headers.add("x-by", name)

        async def reply(request, reply):
            if waits:
                await asyncio.sleep(0)
            order.append(f"{name} out")

        return Plug(access, reply, name=name)

    async with Engine({"up": [plug("a", True), plug("b", False), plug("c", True)]}) as e:
        got = await e.ask("/up")
        assert order == ["a in", "b in", "c in", "c out", "b out", "a out"]
        assert got.body.count("x-by: ") == 3
        await settled(e)


async def test_a_reload_while_some_wait():
    gate, released = Gate(), []
    async with Engine({"a": [Plug(gate.__call__)]}) as e:
        e.host.released = released.append
        (old,) = e.keys["a"]
        asks = [asyncio.ensure_future(e.ask("/a")) for _ in range(10)]
        await e.until(lambda: gate.here == 10)
        e.load({"a": [Plug(lambda request: Deny(418, "new"))]})
        assert (await e.ask("/a")).body == "new"
        assert e.host.live() == {"plugins": 2, "bound": 2, "requests": 10, "waiting": 10} and not released
        gate.event.set()
        assert {got.body for got in await asyncio.gather(*asks)} == {"ok"}
        await e.until(lambda: released == [old])
        assert e.host.live()["plugins"] == 1
        await settled(e)


async def test_a_drain_while_some_wait():
    gate = Gate()
    async with Engine({"a": [Plug(gate.__call__)]}) as e:
        asks = [asyncio.ensure_future(e.ask("/a")) for _ in range(10)]
        await e.until(lambda: gate.here == 10)
        e.worker.drain(60_000)
        await asyncio.sleep(0.01)
        assert not e.worker.drained
        gate.event.set()
        assert {got.status for got in await asyncio.gather(*asks)} == {200}
        await e.until(lambda: e.worker.drained)
        await settled(e)


async def test_a_worker_that_is_freed_while_some_wait():
    gate = Gate()
    e = Engine({"a": [Plug(gate.__call__)]})
    async with e:
        asks = [asyncio.ensure_future(e.ask("/a")) for _ in range(10)]
        await e.until(lambda: gate.here == 10)
    host, e.worker = e.host, None
    assert [type(error) for error in await asyncio.gather(*asks, return_exceptions=True)].count(
        asyncio.IncompleteReadError) + sum(isinstance(a.exception(), ConnectionError) for a in asks) == 10  # fmt: skip
    async with asyncio.timeout(5):
        while len(gate.cancelled) < 10:
            await asyncio.sleep(0)
    gate.cancelled.clear()
    gc.collect()
    assert host.live() == {"plugins": 1, "bound": 0, "requests": 0, "waiting": 0}


async def test_a_host_and_a_worker_that_go_in_one_cycle(monkeypatch: pytest.MonkeyPatch):
    """The collector empties the host first; the worker, freed after it, lets go of what it has bound, and nothing is
    printed."""
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    async with Engine({"a": [Plug(lambda request: None)]}) as e:
        assert (await e.ask("/a")).status == 200
        gone = weakref.ref(e.host)
        later: list[object] = [e.worker]
        later.append(later)  # younger than the host: the worker goes when the collector comes to it
        e.host.failed = e.host
    gc.collect()
    assert gone() is not None
    e = later = None
    for _ in range(5):
        await asyncio.sleep(0)
        gc.collect()
    assert gone() is None
    assert printed == []


async def test_one_that_blocks_is_told_while_it_does_and_counted():
    told: list[tuple[str, float, str]] = []

    def sleeps(request):
        until = time.monotonic() + 5
        while not told and time.monotonic() < until:
            time.sleep(0.01)

    async def spins(request):
        await asyncio.sleep(0)
        until = time.monotonic() + 5
        while not told and time.monotonic() < until:
            pass

    async with Engine({"a": [Plug(sleeps, budget_ms=1, name="slow")], "b": [Plug(spins, budget_ms=10_000)]}) as e:
        e.host.blocked = lambda *what: told.append(what)
        assert (await e.ask("/a")).status == 200  # its verdict stands
        assert [t[0] for t in told] == ["slow"] and told[0][1] > 0 and "time.sleep" in told[0][2]
        assert e.totals()["blocked"] == 1
        assert e.host.holds() is None
        await settled(e)


async def test_what_is_not_loaded_is_refused():
    async with Engine({"a": [Plug(lambda request: None)], "b": []}) as e:
        assert e.specs[0][1:] == ("plug", "m:C", b"{}", ("/a", "/b")) and e.specs[0].key == e.keys["a"][0]
        with pytest.raises(Refused):
            e.worker.plugins(1)
        with pytest.raises(ValueError):
            e.host.add(e.keys["a"][0], Hooks("again", lambda request: None))
        with pytest.raises(ValueError):
            e.worker.host = Host(e.loop, print)
        with pytest.raises(ValueError):
            Hooks("none")
        e.host.remove(e.keys["a"][0])
        with pytest.raises(Refused, match="not loaded"):
            e.worker.prepare(e.root)
        with pytest.raises(KeyError):
            e.host.remove(12345)
        assert (await e.ask("/a")).body == "ok"  # the committed one keeps what it has bound


def test_what_a_deny_may_be():
    assert Deny(401).headers == () and Deny(401).body == b""
    assert Deny(401, "x").headers == (("content-type", "text/plain; charset=utf-8"),)
    assert Deny(401, problem="p").headers == (("content-type", "application/problem+json"),)
    for status in (100, 204, 304, 600):
        with pytest.raises(ValueError):
            Deny(status)


async def test_a_deny_that_http_does_not_allow_fails():
    async with Engine({"a": [Plug(lambda request: Deny(401, headers={"a b": "c"}))]}) as e:
        assert (await e.ask("/a")).status == 500
        assert type(e.failures[0][2]) is ValueError
        e.failures.clear()
        await settled(e)


async def test_a_report_is_lines_of_the_error_log(tmp_path: Path):
    async with Engine({"a": []}) as e:
        e.drain.direct("error", str(tmp_path / "error"))
        e.worker.report("warn", "plugin x:\n  Traceback \u00e4\n")
        e.worker.report("error", "alone")
        with pytest.raises(ValueError):
            e.worker.report("loud", "x")
        log = tmp_path / "error"
        await e.until(lambda: log.exists() and len(log.read_text().splitlines()) == 3)
        texts = [line.partition(" worker 0: ")[2] for line in log.read_text().splitlines()]
        assert texts == ["plugin x:", "  Traceback \u00e4", "alone"]
