"""Limits of trailer sections and chunk extensions, of requests and of answers: one set of options for both."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import exchange, origin, say
from .supervised import Gateway, gateway

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["127.0.0.1:{port}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
limits: {limits}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
GET = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def trailers(count: int, size: int = 1) -> bytes:
    return b"".join(b"x-%d: %s\r\n" % (n, b"y" * size) for n in range(count)) + b"\r\n"


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def answered(gw: Gateway, limits: str, answer: bytes) -> bytes:
    """What a client hears of an answer, over HTTP/1.1."""
    with origin(say(answer)) as up:
        gw.start(CONFIG.format(port=up.port, limits=limits)).ready()
        return exchange(gw.address(), GET)


@pytest.mark.parametrize(
    ("limits", "count", "size", "whole"),
    [
        ("{}", 32, 1, True),
        ("{}", 33, 1, False),
        ("{trailer_fields: 64}", 64, 1, True),
        ("{trailer_fields: 64}", 65, 1, False),
        ("{trailer_fields: 4}", 5, 1, False),
        ("{}", 2, 5000, False),
        ("{trailers: 16KiB}", 2, 5000, True),
        ("{trailers: 64KiB, trailer_fields: 4096}", 256, 1, True),
        ("{trailers: 64KiB, trailer_fields: 4096}", 600, 1, False),  # there is room for 256, whatever is said
    ],
)
def test_trailers_of_an_answer(gw: Gateway, limits: str, count: int, size: int, whole: bool) -> None:
    heard = answered(gw, limits, HEAD + b"2\r\nok\r\n0\r\n" + trailers(count, size))
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"x-%d: " % (count - 1) in heard) is whole
    assert heard.endswith(b"\r\n\r\n") is whole


@pytest.mark.parametrize(
    ("limits", "size", "whole"), [("{}", 250, True), ("{}", 300, False), ("{chunk_extension: 1KiB}", 300, True)]
)
def test_extensions_of_an_answers_chunks(gw: Gateway, limits: str, size: int, whole: bool) -> None:
    heard = answered(gw, limits, HEAD + b"2;" + b"e" * size + b"\r\nok\r\n0\r\n\r\n")
    assert heard.endswith(b"0\r\n\r\n") is whole


@pytest.mark.parametrize(
    ("fields", "count", "status"), [(32, 32, 200), (32, 33, 431), (4096, 256, 200), (4096, 600, 431)]
)
def test_trailers_of_a_request(gw: Gateway, fields: int, count: int, status: int) -> None:
    def answer(sock: socket.socket, head: bytes) -> None:
        rest = head.partition(b"\r\n\r\n")[2]
        while b"\r\n\r\n" not in rest:
            if not (part := sock.recv(65536)):
                return
            rest += part
        say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")(sock, head)

    with origin(answer) as up:
        gw.start(CONFIG.format(port=up.port, limits=f"{{trailers: 64KiB, trailer_fields: {fields}}}")).ready()
        before = gw.workers()
        head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        heard = exchange(gw.address(), head + b"2\r\nok\r\n0\r\n" + trailers(count))
        assert int(heard[9:12]) == status
        assert gw.workers() == before
