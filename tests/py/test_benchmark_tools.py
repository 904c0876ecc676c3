"""The bench's C programs over real sockets: origin, relay, and the client that sends an exact number."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.compare import calls
from benchmarks.load import tools
from benchmarks.load.target import Fixed
from tests.e2e.supervised import until
from tests.programs import program


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with tools.origin() as port:
        yield port


@pytest.fixture(scope="module")
def relay(origin: int) -> Iterator[int]:
    with tools.listening([str(tools.build("relay")), "0", str(origin)]) as port:
        yield port


@pytest.fixture(params=["origin", "relay"])
def server(request: pytest.FixtureRequest) -> int:
    port: int = request.getfixturevalue(request.param)
    return port


def converse(port: int, data: bytes, half_close: bool = False) -> bytes:
    """Everything that comes back for `data` until the server closes (it must, or the timeout fails the test)."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        conn.sendall(data)
        if half_close:
            conn.shutdown(socket.SHUT_WR)
        got = b""
        while part := conn.recv(1 << 20):
            got += part
    return got


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *fields, "", ""]).encode()


LAST = get("/s", "Connection: close")


@pytest.mark.parametrize(("path", "size"), tools.SIZES.items())
def test_bodies(server: int, path: str, size: int) -> None:
    head, _, body = converse(server, get(path, "Connection: close")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {size}".encode() in head
    assert len(body) == size
    assert body.endswith(b"\n")


def test_pipelined_requests_are_answered_in_order(server: int) -> None:
    got = converse(server, get("/s") + get("/m") + get("/nope") + LAST)
    lengths = [int(line.split(b":")[1]) for line in got.split(b"\r\n") if line.startswith(b"Content-Length")]
    assert lengths == [13, 64 * 1024, 10, 13]
    assert got.count(b"200 OK") == 3


def test_requests_cut_anywhere(server: int) -> None:
    whole = get("/s") + LAST
    with socket.create_connection(("127.0.0.1", server), timeout=20) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(whole)):
            conn.sendall(whole[i : i + 1])
        got = b""
        while part := conn.recv(65536):
            got += part
    assert got.count(b"200 OK") == 2


def test_slow_reader_of_large_answers_gets_every_byte(server: int) -> None:
    with socket.socket() as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn.settimeout(20)
        conn.connect(("127.0.0.1", server))
        conn.sendall(get("/l") * 3 + get("/l", "Connection: close"))
        got = b""
        while part := conn.recv(32768):
            got += part
    one = converse(server, get("/l", "Connection: close")).partition(b"\r\n\r\n")[2]
    assert got.count(one) == 4
    assert len(got) < 4 * len(one) + 2000


def test_head_has_no_body_and_a_request_body_is_dropped(server: int) -> None:
    got = converse(server, get("/m", method="HEAD") + get("/s", "Content-Length: 5") + b"GET x" + LAST)
    assert got.count(b"HTTP/1.1 200 OK") == 3
    assert len(got) < 1000


def test_what_closes_the_connection(server: int) -> None:
    for request in (get("/s", version="1.0"), get("/s", "connection:close"), LAST):
        assert converse(server, request).count(b"200 OK") == 1
    assert b" 411 " in converse(server, get("/s", "Transfer-Encoding: chunked"))
    assert converse(server, b"nonsense\r\n\r\n") == b""
    assert converse(server, b"GET /s HTTP/1.1\r\nX: ".ljust(16 * 1024, b"y")) == b""


def test_relay_passes_a_half_close_on(relay: int) -> None:
    assert converse(relay, b"", half_close=True) == b""


def test_fixed_sends_an_exact_number(server: int) -> None:
    with Fixed(server, "/s", 1000, 16) as load:
        load.ready()
        load.go()
        assert load.done() > 0
        load.close()
    with Fixed(server, "/m", 100, 16, close=True) as load:
        load.ready()
        load.go()
        load.done()
        load.close()


@pytest.fixture
def counting_server() -> Iterator[tuple[int, list[bytes]]]:
    """A server of one thread that answers one connection at a time and keeps what it got."""
    import threading

    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                while data := conn.recv(65536):
                    seen.append(data)
                    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    if b"Connection: close" in data:
                        break

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_fixed_counts_what_the_server_counts(counting_server: tuple[int, list[bytes]]) -> None:
    port, seen = counting_server
    with Fixed(port, "/s", 50, 1) as load:
        load.ready()
        warm = len(seen)
        load.go()
        load.done()
        assert len(seen) - warm == 50
        load.close()
    before = len(seen)
    with Fixed(port, "/s", 30, 1, close=True) as load:
        load.ready()
        assert len(seen) == before
        load.go()
        load.done()
        load.close()
    assert len(seen) - before == 30


def test_fixed_refuses_anything_but_200(origin: int) -> None:
    with Fixed(origin, "/nope", 10, 2) as load, pytest.raises(tools.BenchError, match="not 200"):
        load.ready()


def test_relay_that_cannot_reach_its_origin_closes(tmp_path: Path) -> None:
    dead = tools.free_port()
    with tools.listening([str(tools.build("relay")), "0", str(dead)]) as port:
        try:
            assert converse(port, LAST) == b""
        except ConnectionResetError:
            pass


def test_origin_h2_answers_calls() -> None:
    """More at once than the client's first window has room for; and a message that is longer than a frame."""
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    program("h2load")
    with tools.listening([str(tools.build("origin_h2")), "0"]) as port:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/a.B/C")
            answer, ended = call.with_call(b"x" * 100_000, timeout=30)
            assert (answer, ended.code()) == (b"hello, world\n", grpc.StatusCode.OK)
            many = [call.future(b"x", timeout=60) for _ in range(5000)]
            assert {each.result() for each in many} == {b"hello, world\n"}
        assert calls.load(port, 2, 8, 0, calls=500) == {"done": 500, "bad": 0}


def test_calls_without_a_message_are_no_answers() -> None:
    """A gateway's own refusal has HTTP status 200 too: it must not pass for a cheap answer."""
    running = calls.Calling(calls.players_of(["fastgw"])[0], tools.free_port(), tag="refusing")
    try:
        told = until(lambda: (got := calls.load(running.port, 1, 1, 0, calls=4))["done"] and got, "it answers")
        assert told["done"] == 4 and told["bad"]
    finally:
        tools.stop(running.process)
