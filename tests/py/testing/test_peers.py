"""What clients and upstream connections of fastgw.testing can do, and how they tell what they got."""

import pytest

from fastgw.testing import Gateway, NothingCame, Request, Response, TestingError

from .configs import USERS


def test_pieces_and_pipelines() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        for byte in b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().body == b"hello"
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert [client.response().status, client.response().status] == [200, 200]


def test_a_head_request() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("HEAD", "/users/1")
        users = gw.upstream("users").accept()
        assert users.request().method == "HEAD"
        users.reply(200, b"four")
        response = client.response()
        assert (response.header("content-length"), response.body) == ("4", b"")
        assert client.get("/hello").body == b"hello"


def test_bodies_in_pieces() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.send("POST /users/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        users = gw.upstream("users").accept()
        so_far = users.request(complete=False)
        assert (so_far.path, so_far.body, so_far.complete) == ("/1", b"ab", False)
        client.send("1\r\nc\r\n0\r\nX-T: v\r\n\r\n")
        whole = users.request()
        assert (whole.body, whole.complete, whole.trailers) == (b"abc", True, (("X-T", "v"),))
        users.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        assert client.response(complete=False).body == b"x"
        users.send("1\r\ny\r\n0\r\n\r\n")
        assert client.response().body == b"xy"


def test_interim_responses() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        users.reply(103, headers={"link": "</style.css>"})
        users.reply(200, b"ok")
        response = client.response()
        assert [(each.status, each.header("link")) for each in response.interim] == [(103, "</style.css>")]
        assert response.body == b"ok"
        client.ask("GET", "/users/2")
        with pytest.raises(NothingCame, match=r"\(not yet accepted: users, 1\)"):
            client.response()
        gw.upstream("users").accept().reply(204)
        assert client.response().interim == ()


def test_a_tunnel() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/ws", {"connection": "upgrade", "upgrade": "echo"})
        users = gw.upstream("users").accept()
        assert users.request().header("upgrade") == "echo"
        users.reply(101, headers={"connection": "upgrade", "upgrade": "echo"})
        assert client.response().status == 101
        client.take(), users.take()
        client.send(b"\x00ping")
        assert users.take() == b"\x00ping"
        users.send(b"\xffpong")
        assert client.take() == b"\xffpong"
        users.end()
        assert client.ended


def test_a_client_that_takes_nothing() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.stop_taking()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        users.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        users.send(b"x" * 1_000_000)
        assert 0 < users.untaken < 1_000_000  # the engine has stopped reading
        assert gw.live()["block_bytes"] < 400_000
        before = users.untaken
        assert len(client.take(300_000)) == 300_000
        assert users.untaken < before
        assert len(client.take()) > 600_000
        assert users.untaken == 0


def test_an_abort_reaches_the_upstream() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        client.reset()
        assert users.closed
        assert gw.log[-1]["reason"] == "client_gone"


def test_an_answer_that_is_none() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        users.send("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n")
        assert client.response().json()["reason"] == "upstream_bad_answer"
        assert users.closed


@pytest.mark.parametrize("reply", [200, b"x", "x", (200, b"x"), (200, b"x", {"a": "b"}), Response(200, b"x")])
def test_what_a_handler_may_say(reply) -> None:
    with Gateway(USERS) as gw:
        gw.upstream("users").serve(reply)
        assert gw.get("/users/1").status == 200


def test_what_a_handler_may_not_say() -> None:
    with Gateway(USERS) as gw, pytest.raises(TypeError, match="not a reply: 1.5"):
        gw.upstream("users").serve(1.5)
        gw.get("/users/1")


def test_a_handler_that_does_not_answer() -> None:
    with Gateway(USERS) as gw:
        gw.upstream("users").serve(lambda request: None)
        client = gw.client()
        client.ask("GET", "/users/1")
        with pytest.raises(NothingCame, match="client#1: response: none has come"):
            client.response()
        gw.advance("30s")
        assert client.response().status == 504


def test_what_did_not_come_is_told_with_the_transcript() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        client.ask("GET", "/users/1")
        users = gw.upstream("users").accept()
        gw.advance("2s")
        with pytest.raises(NothingCame) as caught:
            client.response()
        assert isinstance(caught.value, TestingError)
        assert isinstance(caught.value, AssertionError)
        assert str(caught.value).splitlines()[:2] == [
            "client#1: response: none has come",
            r"    0.000  client#1 >> GET /users/1 HTTP/1.1\r\n",
        ]
        for line in ("users#1  -- dialled at 127.0.0.1:9001", "users#1  << GET /1 HTTP/1.1", "-- 2 s pass"):
            assert line in str(caught.value)
        users.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        with pytest.raises(NothingCame, match="client#1: response: no whole one has come\n"):
            client.response()
        users.reset()
        with pytest.raises(NothingCame, match=r"response: what came is none: upstream_truncated .*\(closed\)"):
            client.response()
        with pytest.raises(NothingCame, match="users: no connection has come"):
            gw.upstream("users").accept()


def test_messages_as_they_are_written() -> None:
    assert Request("POST", "/a", "b").wire() == b"POST /a HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\n\r\nb"
    assert Request("GET", "/", headers={"Host": "x"}).wire() == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert Response(204).wire() == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert Response(200, b"ab").wire("HEAD") == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert Response(299, b"ab", reason="Odd").wire() == b"HTTP/1.1 299 Odd\r\ncontent-length: 2\r\n\r\nab"
