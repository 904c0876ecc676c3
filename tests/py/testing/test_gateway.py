"""fastgw.testing.Gateway: the real configuration into the real engine, and what a test can do to it."""

import asyncio
import gc
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fastgw.errors import ConfigErrors
from fastgw.testing import Gateway, LeftOver, NothingCame, Response

from .configs import USERS


def test_a_request_and_its_answer() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.send(b"GET /users/1 HTTP/1.1\r\nhost: x\r\n\r\n")
        users = gw.upstream("users").accept()
        request = users.request()
        assert (request.method, request.path, request.header("host")) == ("GET", "/1", "x")
        assert request.header("x-forwarded-for") == "192.0.2.1"
        users.reply(200, b"ok", {"x-a": "1"})
        response = client.response()
        assert (response.status, response.body, response.header("X-A")) == (200, b"ok", "1")


def test_one_line() -> None:
    with Gateway(USERS) as gw:
        assert gw.get("/hello").body == b"hello"
        assert gw.get("/nothing").json()["status"] == 404
        gw.upstream("users").serve(lambda request: (201, request.body, {"x-path": request.path}))
        response = gw.request("POST", "/users/7", body="new")
        assert (response.status, response.body, response.header("x-path")) == (201, b"new", "/7")


def test_a_configuration_with_mistakes() -> None:
    with pytest.raises(ConfigErrors, match="upstreem"):
        Gateway(USERS.replace("to: users}", "to: upstreem}"))


def test_a_configuration_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("from a file")
    text = """
        listeners: {web: {bind: "127.0.0.1:8080"}}
        routes: {r: {match: {prefix: /}, to: {static: {status: 200, body: "${file:body} ${WHO}"}}}}
    """
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    for config in (path, text):
        with Gateway(config, env={"WHO": "me"}, base=tmp_path) as gw:
            assert gw.get("/").body == b"from a file me"


def test_a_reload_keeps_connections() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        assert client.get("/hello").body == b"hello"
        gw.reload(USERS.replace('body: "hello"', 'body: "goodbye"'))
        assert client.get("/hello").body == b"goodbye"
        with pytest.raises(ConfigErrors):
            gw.reload(USERS + "  nonsense: 1")
        assert client.get("/hello").body == b"goodbye"


def test_listeners_and_addresses() -> None:
    with Gateway(USERS.replace("exact: /hello}", "exact: /hello}, listeners: [other]")) as gw:
        assert gw.get("/hello").status == 404
        assert gw.get("/hello", listener="other", address="2001:db8::1").status == 200
        assert gw.log[-1]["client"] == "2001:db8::1"
        with pytest.raises(KeyError):
            gw.client("none")
        with pytest.raises(KeyError):
            gw.upstream("none")


# ---- time


def test_the_clock_stands_still() -> None:
    with Gateway(USERS, now=datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC)) as gw:
        gw.get("/hello")
        gw.advance("1h30m")
        gw.get("/hello")
        assert [entry["time"] for entry in gw.log] == ["2030-02-03T04:05:06.000Z", "2030-02-03T05:35:06.000Z"]
        assert gw.now == 5_400_000


def test_timeouts() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        gw.advance("29.999s")
        with pytest.raises(NothingCame):
            client.response()
        gw.advance(0.001)
        assert client.response().status == 504
        assert users.closed
        assert gw.log[-1]["reason"] == "first_byte_timeout"


def test_rate_limits() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        assert [client.get("/limited").status for _ in range(3)] == [200, 200, 429]
        assert gw.get("/limited", address="192.0.2.2").status == 200
        gw.advance("1s")
        assert [client.get("/limited").status for _ in range(2)] == [200, 429]


def test_keep_alive_ends() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.get("/hello")
        gw.advance("74s")
        assert not client.closed
        gw.advance("1s")
        assert client.closed


def test_handlers_answer_while_time_passes() -> None:
    with Gateway(USERS) as gw:
        users, client = gw.upstream("users"), gw.client()
        users.hang("127.0.0.1:9001")
        users.serve(lambda request: (200, str(gw.now)))
        for _ in range(2):
            client.ask("GET", "/users/1")
            gw.advance("1m")
        assert [client.response().body, client.response().body] == [b"2000", b"60000"]  # not when the minute is over


# ---- upstreams


def test_dials_that_are_refused() -> None:
    with Gateway(USERS) as gw:
        users = gw.upstream("users")
        users.refuse()
        assert gw.get("/users/1").json()["reason"] == "connect_refused"
        assert any("connect_refused" in line for line in gw.errors)
        gw.advance("1m")
        users.open("users.internal:9002")
        client = gw.client()
        client.ask("GET", "/users/1")
        assert users.accept().endpoint == "users.internal:9002"


def test_dials_that_hang() -> None:
    with Gateway(USERS) as gw:
        users, client = gw.upstream("users"), gw.client()
        users.hang()
        client.ask("GET", "/users/1")
        first = users.accept()
        assert first.connecting
        first.refuse()
        second = users.accept()
        assert second.endpoint != first.endpoint
        second.accept()
        assert second.request().path == "/1"
        second.reply(204)
        assert client.response().status == 204


def test_discovery_and_health() -> None:
    with Gateway(USERS) as gw:
        users = gw.upstream("users")
        users.serve(b"ok")
        gw.endpoints("users", ["a:1", "b:1"], down=["a:1"])
        for _ in range(4):
            gw.get("/users/1")
        assert {each.endpoint for each in users.connections} == {"b:1"}
        gw.endpoints("users", {})
        assert gw.get("/users/1").status == 503


def test_a_dead_warm_connection_is_tried_again_once() -> None:
    with Gateway(USERS) as gw:
        gw.endpoints("users", ["a:1"])
        client, users = gw.client(), gw.upstream("users")
        client.ask("GET", "/users/1")
        warm = users.accept()
        warm.request()
        warm.reply(200)
        client.response()
        client.ask("GET", "/users/2")
        assert warm.request().path == "/2"
        warm.reset()
        users.accept().reply(200, b"again")
        assert client.response().body == b"again"
        assert gw.log[-1]["tries"] == 2


# ---- asyncio


async def test_inside_a_running_loop() -> None:
    async with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()

        async def answer() -> None:
            await asyncio.sleep(0)
            users.reply(200, b"later")

        task = asyncio.create_task(answer())
        await gw.settled()
        assert client.response().body == b"later"
        await task


async def test_the_loop_is_not_kept_busy() -> None:
    """The engine's descriptor is readable only when there is something to do, for all that its clock stands still."""
    async with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        turns = 0
        turn = gw._served().worker.turn

        def counted() -> None:
            nonlocal turns
            turns += 1
            turn()

        asyncio.get_running_loop().add_reader(gw._served().worker.fileno(), counted)
        await asyncio.sleep(0.05)
        assert turns <= 2


async def test_time_in_a_running_loop() -> None:
    async with Gateway(USERS) as gw:
        users, client = gw.upstream("users"), gw.client()
        users.hang()
        client.ask("GET", "/users/1")
        users.serve(b"ok")
        users.open()
        seen = asyncio.create_task(asyncio.sleep(0, gw.now))
        await gw.passed("2s")  # the connect times out, the next endpoint answers
        assert client.response().body == b"ok"
        assert await seen == 0


def test_a_loop_of_its_own() -> None:
    with Gateway(USERS) as gw:
        times: list[float] = []

        async def work(seconds: float) -> str:
            await asyncio.sleep(seconds)
            times.append(gw.now / 1000)
            async with asyncio.timeout(5):
                await asyncio.sleep(1)
            return "done"

        async def at_once() -> int | None:
            await asyncio.sleep(0)
            return gw.get("/hello").status

        task = gw.loop.create_task(work(30))
        assert gw.run(at_once()) == 200
        gw.advance("29s")
        assert times == []
        gw.advance("1s")
        assert times == [30.0]
        gw.advance("10s")
        assert task.result() == "done"
        with pytest.raises(NothingCame, match="work at .* does not come to its end"):
            gw.run(work(1))


def test_tasks_that_are_left_are_named() -> None:
    async def waits() -> None:
        await asyncio.sleep(1)

    gw = Gateway(USERS)
    gw.loop.create_task(waits(), name="forgotten")
    with pytest.raises(LeftOver, match="still holds task forgotten"):
        gw.close()


# ---- the end


def test_nothing_is_left() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def once() -> None:
        with Gateway(USERS) as gw:
            gw.upstream("users").serve(b"ok")
            client = gw.client()
            assert client.get("/users/1").status == 200
            client.ask("POST", "/users/2", {"content-length": "10"})
            gw.client().send(b"GET / HT")

    once()
    gc.collect()
    before = descriptors()
    for _ in range(20):
        once()
    gc.collect()
    assert descriptors() == before


def test_what_is_left_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    gw = Gateway(USERS)
    gw.client().send(b"GET /hello HT")
    monkeypatch.setattr("fastgw.testing.peers.Peer.reset", lambda self: None)
    monkeypatch.setattr("fastgw.testing.gateway.DRAIN_MS", 0)
    with pytest.raises(LeftOver, match=r"still holds 1 conns, .*h1_servers[^$]*client#1 >> GET /hello HT"):
        gw.close()
    gw.close()


def test_an_error_in_the_test_is_what_counts() -> None:
    with pytest.raises(ZeroDivisionError), Gateway(USERS) as gw:
        gw.client().send(b"GET /hello HT")
        _ = 1 / 0
    with pytest.raises(ValueError, match="closed"):
        gw.get("/hello")


def test_drain() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        gw.drain()
        assert not gw.drained
        with pytest.raises(NothingCame, match="listener web refuses"):
            gw.client()
        gw.upstream("users").accept().reply(200)
        assert client.response() == Response(
            200, b"", reason="OK", headers=[("content-length", "0"), ("Connection", "close")]
        ) or client.closed
        assert gw.drained


def test_many_connections() -> None:
    with Gateway(USERS) as gw:
        gw.upstream("users").serve(b"ok")
        for _ in range(300):
            assert gw.get("/users/1").status == 200
        assert gw.live()["conns"] == 0
        assert len(gw._peers) <= 4
