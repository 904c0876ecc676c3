"""Upstreams and clients that misbehave: what the other side sees, and that the gateway serves on."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import Script, exchange, origin, reset, rows, say, tell
from .supervised import Gateway, gateway, get, until

GET = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def config(log: Path | str, *endpoints: str, more: str = "") -> str:
    return f"""
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: {json.dumps(endpoints)}, timeouts: {{first_byte: 300ms, connect: 500ms}}}}}}
routes:
  all: {{match: {{prefix: /}}, to: up}}
  late: {{match: {{prefix: /late}}, timeouts: {{request: 300ms, first_byte: 20s}}, to: up}}
  patient: {{match: {{prefix: /patient}}, timeouts: {{first_byte: 20s}}, to: up}}
admin: {{bind: "127.0.0.1:0"}}
log: {{access: {{to: {log}}}}}
workers: 1
{more}
"""


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def close(sock: socket.socket, head: bytes) -> None:
    """The end of the script closes."""


def send_and_reset(data: bytes) -> Script:
    def script(sock: socket.socket, head: bytes) -> None:
        sock.sendall(data)
        reset(sock)
    return script


CUT = {"upstream_closed", "upstream_truncated", "upstream_bad_answer"}
TWO = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok"
BEFORE_THE_ANSWER = {
    "closes": (close, {"upstream_closed"}),
    "resets": (lambda sock, head: reset(sock), {"upstream_reset"}),
    "half a status line": (say(b"HTTP/1.1 2"), CUT),
    "half a head": (say(b"HTTP/1.1 200 OK\r\ncontent-le"), CUT),
    "not http": (say(b"220 mail ready\r\n\r\n"), {"upstream_bad_answer"}),
    "two lengths": (say(TWO), {"upstream_bad_answer"}),
}  # fmt: skip


@pytest.mark.parametrize("phase", BEFORE_THE_ANSWER)
def test_upstream_fails_before_its_answer(gw: Gateway, log: Path, phase: str) -> None:
    script, words = BEFORE_THE_ANSWER[phase]
    with origin(script) as up:
        gw.start(config(log, up.address)).ready()
        status, body = get(gw.address(), "/")
        [row] = rows(log, 1)
        assert status == row["status"] == 502, body
        assert row["reason"] in words and row["by"] == "upstream"
        up.script = tell
        assert get(gw.address(), "/")[0] == 200


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
IN_THE_BODY = {
    "length, closes": say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
    "length, resets": send_and_reset(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
    "chunk cut": say(CHUNKED + b"a\r\nhello"),
    "last chunk missing": say(CHUNKED + b"5\r\nhello\r\n"),
    "bad chunk": say(CHUNKED + b"5\r\nhello\r\nzz\r\n"),
}


@pytest.mark.parametrize("phase", IN_THE_BODY)
def test_a_cut_answer_is_not_made_to_look_whole(gw: Gateway, log: Path, phase: str) -> None:
    with origin(IN_THE_BODY[phase]) as up:
        gw.start(config(log, up.address)).ready()
        got = exchange(gw.address(), GET)
        head, _, body = got.partition(b"\r\n\r\n")
        if b" 502 " in head.split(b"\r\n")[0]:  # the cut was known before the head had left
            assert b"upstream" in body
        else:
            assert b"0\r\n\r\n" not in body and body.count(b"hello") <= 1 and len(body) < 20
        [row] = rows(log, 1)
        assert row["reason"].startswith("upstream_")
        up.script = tell
        assert get(gw.address(), "/")[0] == 200


def test_upstream_down_then_back(gw: Gateway, log: Path) -> None:
    with origin(tell) as up:
        port = up.port
        gw.start(config(log, up.address)).ready()
        assert get(gw.address(), "/")[0] == 200
    assert get(gw.address(), "/")[0] in (502, 503)
    assert get(gw.address(), "/")[0] in (502, 503)
    with origin(tell, port):
        until(lambda: get(gw.address(), "/")[0] == 200, "the upstream is back")
    assert {row.get("reason") for row in rows(log, 3)[1:3]} <= {"connect_refused", "no_upstream"}


def test_of_two_endpoints_one_dead_all_are_served(gw: Gateway, log: Path) -> None:
    with origin(tell) as dead:
        gone = dead.address
    with origin(tell) as up:
        gw.start(config(log, gone, up.address)).ready()
        assert [get(gw.address(), "/")[0] for _ in range(30)] == [200] * 30
        assert up.accepted == 30


@pytest.mark.parametrize(("path", "word"), [("/", "first_byte_timeout"), ("/late", "request_timeout")])
def test_a_hanging_upstream_is_504(gw: Gateway, log: Path, path: str, word: str) -> None:
    closed = threading.Event()

    def hang(sock: socket.socket, head: bytes) -> None:
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)
        closed.set()

    with origin(hang) as up:
        gw.start(config(log, up.address)).ready()
        assert get(gw.address(), path)[0] == 504
        [row] = rows(log, 1)
        assert (row["reason"], row["status"]) == (word, 504)
        assert row["duration_ms"] >= 250
        assert closed.wait(10)


def test_a_client_that_leaves_takes_its_upstream_connection_along(gw: Gateway, log: Path) -> None:
    came, closed = threading.Event(), threading.Event()

    def hang(sock: socket.socket, head: bytes) -> None:
        came.set()
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)
        closed.set()

    with origin(hang) as up:
        gw.start(config(log, up.address)).ready()
        host, _, port = gw.address().rpartition(":")
        client = socket.create_connection((host, int(port)))
        client.sendall(b"GET /patient HTTP/1.1\r\nhost: a\r\n\r\n")
        assert came.wait(10)
        reset(client)
        assert closed.wait(10), "long before its first_byte timeout of 20 s"
        [row] = rows(log, 1)
        assert (row["reason"], row["by"]) == ("client_gone", "client")


def test_a_half_closed_client_gets_its_answer(gw: Gateway, log: Path) -> None:
    go = threading.Event()

    def slow(sock: socket.socket, head: bytes) -> None:
        go.wait(0.2)
        sock.sendall(OK)

    with origin(slow) as up:
        gw.start(config(log, up.address)).ready()
        got = exchange(gw.address(), b"GET /patient HTTP/1.1\r\nhost: a\r\n\r\n", half_close=True)
        assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"ok")


def test_a_full_disk_under_the_access_log_stops_nothing(gw: Gateway) -> None:
    with origin(tell) as up:
        gw.start(config("/dev/full", up.address)).ready()
        assert [get(gw.address(), "/")[0] for _ in range(50)] == [200] * 50
        assert gw.admin("/livez")[0] == 200


def test_an_http_1_0_origin_ends_its_answer_by_closing(gw: Gateway, log: Path) -> None:
    with origin(say(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n" + b"x" * 100_000)) as up:
        gw.start(config(log, up.address)).ready()
        assert get(gw.address(), "/") == (200, "x" * 100_000)
