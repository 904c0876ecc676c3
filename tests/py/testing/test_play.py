"""Conversations, and what a failed one tells."""

import pytest

from fastgw.testing import CLOSED, END, NOTHING, RESET, Gateway, PlayError, Request, Response, after

from .configs import USERS


def failure(gw: Gateway, *steps) -> list[str]:
    with pytest.raises(PlayError) as caught:
        gw.play(*steps)
    return str(caught.value).splitlines()


def test_a_conversation() -> None:
    with Gateway(USERS) as gw:
        client, users = gw.client(), gw.upstream("users")
        gw.play(
            client >> Request("GET", "/users/1"),
            users << Request("GET", "/1", headers={"host": "test", "x-secret": None}),
            after("29s"),
            client << NOTHING,
            users >> Response(200, b"ok"),
            client << Response(200, b"ok"),
            client >> Request("POST", "/users/2", b"body"),
            users << Request("POST", "/2", b"body"),
            users >> b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            users >> END,
            client << (lambda response: response.status == 500),
            client >> "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            client << Response(200, b"hello", headers={"connection": "close"}),
            client << CLOSED,
        )


def test_the_one_of_the_style_guide() -> None:
    with Gateway(USERS) as gw:
        gw.endpoints("users", ["a:1"])
        client, users = gw.client(), gw.upstream("users")
        gw.play(
            client >> Request("GET", "/users/a"),
            users << Request("GET", "/a"),
            users >> Response(200),
            client << Response(200),
            client >> Request("GET", "/users/a"),
            users << Request("GET", "/a"),
            users >> RESET,                               # the warm one had died
            users << Request("GET", "/a"),
            users >> Response(204),
            client << Response(204),
        )  # fmt: skip
        assert gw.log[-1]["tries"] == 2
        assert len(users.connections) == 2


def test_exact_bytes() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        gw.play(
            client >> b"GET / HT\x00P/1.1\r\n\r\n",
            client << Response(400, headers={"connection": "close"}),
        )
        told = failure(gw, client << b"more")
        assert told[:3] == ["step 1 of 1: client#1 << b'more'", "  expected b'more'", "  got      b''"]


def test_the_difference_is_told_with_the_transcript() -> None:
    with Gateway(USERS) as gw:
        client, users = gw.client(), gw.upstream("users")
        users.refuse()
        told = failure(
            gw,
            client >> Request("GET", "/users/1"),
            client << Response(200, b"ok", headers={"x-a": "1", "content-type": None}),
        )
        assert told[:5] == [
            "step 2 of 2: client#1 << Response(200, b'ok', headers={'x-a': '1', 'content-type': None})",
            "  status: expected 200, got 502",
            told[2],
            "  header x-a: expected '1', got none",
            "  header content-type: expected none, got 'application/problem+json'",
        ]
        assert told[2].startswith("  body: expected b'ok', got b'{")
        assert r"    0.000  client#1 >> GET /users/1 HTTP/1.1\r\n" in told
        assert any(line.startswith("    0.000  client#1 << HTTP/1.1 502 Bad Gateway") for line in told)


HELLO, USER = Request("GET", "/hello"), Request("GET", "/users/1")


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        (lambda c, u: [u << Request("GET", "/1")], "users has no connection"),
        (lambda c, u: [u >> Response(200)], "users has no connection"),
        (lambda c, u: [c << Response(200)], "no whole message has come; it is open; so far b''"),
        (lambda c, u: [c << CLOSED], "it is not closed"),
        (lambda c, u: [c >> HELLO, c << NOTHING], "received b'HTTP/1.1 200 OK"),
        (lambda c, u: [c >> HELLO, c << (lambda r: r.status == 404)], "it says no to Response(200, b'hello'"),
        (lambda c, u: [c >> HELLO, c << HELLO], "expected a Request, but client#1 gets a Response"),
        (lambda c, u: [c >> USER, c << NOTHING, u << Request("GET", "/2")], "path: expected '/2', got '/1'"),
    ],
)
def test_what_can_go_wrong(steps, what: str) -> None:
    with Gateway(USERS) as gw:
        told = failure(gw, *steps(gw.client(), gw.upstream("users")))
        assert told[1].startswith(f"  {what}"), told


def test_what_nobody_expected() -> None:
    with Gateway(USERS) as gw:
        client, users = gw.client(), gw.upstream("users")
        twice = Request("GET", "/hello").wire() * 2
        assert failure(gw, client >> twice, client << Response(200))[:2] == [
            "after step 2", "  client#1 has received more"
        ]  # fmt: skip
        told = failure(gw, client << Response(200), client >> Request("GET", "/users/1"), users >> Response(200))
        assert told[1] == "  users has no connection"
        other = gw.client()
        gw.play(users << Request("GET", "/1"))
        told = failure(gw, other >> Request("GET", "/users/2"), users >> Response(200), client << Response(200))
        assert told[:2] == ["after step 3", "  users has a connection that nobody accepted"]


def test_a_message_that_is_still_coming() -> None:
    with Gateway(USERS) as gw:
        client, users = gw.client(), gw.upstream("users")
        start = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"
        told = failure(
            gw,
            client >> Request("GET", "/users/1"),
            users << Request("GET", "/1"),
            users >> start,
            client << Response(200, b"ab", complete=False),
            client << NOTHING,
            users >> b"c",
            client << NOTHING,
        )
        assert told[0] == "step 7 of 7: client#1 << NOTHING"
        gw.play(users >> b"d", client << Response(200, b"abcd"))


@pytest.mark.parametrize("wrong", ["GET", 5, None])
def test_what_is_no_step(wrong) -> None:
    with Gateway(USERS) as gw, pytest.raises(TypeError):
        gw.play(wrong)


def test_what_cannot_be_said() -> None:
    with Gateway(USERS) as gw:
        client = gw.client()
        with pytest.raises(TypeError, match="nothing that client#1 can send: 5"):
            gw.play(client >> 5)
        with pytest.raises(TypeError, match="can receive: 5"):
            gw.play(client >> Request("GET", "/hello"), client << 5)
