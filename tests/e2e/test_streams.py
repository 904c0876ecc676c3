"""Long bodies and tunnels through a live gateway: slow readers at either end, clients that leave, silence."""

import contextlib
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from .supervised import Gateway, gateway, until

PIECE = os.urandom(1 << 20)
PIECES = 96
HELD = 1 << 20  # what a single exchange may hold: two windows of 64 KiB in blocks of 64, and the loop's own
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["127.0.0.1:{port}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
timeouts: {{tunnel: 1s}}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""


class Raw:
    """An origin whose connections run `script` in threads of their own."""

    def __init__(self) -> None:
        self.script: Callable[[socket.socket], None] = lambda sock: None
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        sock.settimeout(60)
        with sock, contextlib.suppress(OSError):
            self.script(sock)
        self.ended.set()


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    made = Raw()
    yield made
    made.listener.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, raw: Raw) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("streams")) as made:
        made.start(CONFIG.format(port=raw.port)).ready()
        yield made
        assert made.workers().keys() == {0}


@pytest.fixture(autouse=True)
def fresh(raw: Raw) -> None:
    raw.ended.clear()


def connect(gw: Gateway, receive: int = 0) -> socket.socket:
    host, _, port = gw.address().rpartition(":")
    sock = socket.socket()
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.settimeout(60)
    sock.connect((host, int(port)))
    return sock


def live(gw: Gateway) -> dict[str, int]:
    return gw.status()["workers"][0]["live"]


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = sock.recv(1)
        if not more:
            raise ConnectionError(head)
        head += more
    return head


def read_exactly(sock: socket.socket, size: int, digest: "hashlib._Hash", each: Callable[[int], None]) -> None:
    got = 0
    while got < size:
        data = sock.recv(min(1 << 18, size - got))
        if not data:
            raise ConnectionError(f"{got} of {size}")
        digest.update(data)
        got += len(data)
        each(got)


def whole() -> str:
    digest = hashlib.sha256()
    for _ in range(PIECES):
        digest.update(PIECE)
    return digest.hexdigest()


def watch(gw: Gateway, most: list[int]) -> Callable[[int], None]:
    """Look at the gauge every 8 MB: what a slow reader leaves behind it must not pile up."""
    at = [0]

    def look(got: int) -> None:
        if got - at[0] >= 8 << 20:
            at[0] = got
            most.append(live(gw)["block_bytes"])

    return look


def test_a_long_answer_to_a_slow_reader(gw: Gateway, raw: Raw) -> None:
    def script(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        for _ in range(PIECES):
            sock.sendall(PIECE)

    raw.script = script
    before, most, digest = live(gw)["block_bytes"], [], hashlib.sha256()
    with connect(gw, 65536) as sock:
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        read_head(sock)
        read_exactly(sock, len(PIECE) * PIECES, digest, watch(gw, most))
        assert sock.recv(1) == b""
    assert digest.hexdigest() == whole()
    assert len(most) >= 10 and max(most) - before < HELD


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_long_request_to_a_slow_upstream(gw: Gateway, raw: Raw, framing: str) -> None:
    size, most, digests = len(PIECE) * PIECES, [], []
    before = live(gw)["block_bytes"]

    def script(sock: socket.socket) -> None:
        head, digest = read_head(sock), hashlib.sha256()
        look = watch(gw, most)
        if b"content-length" in head.lower():
            read_exactly(sock, size, digest, look)
        else:
            stream, got = sock.makefile("rb"), 0
            while length := int(stream.readline(), 16):
                digest.update(stream.read(length))
                assert stream.read(2) == b"\r\n"
                look(got := got + length)
            assert stream.readline() == b"\r\n"
        digests.append(digest.hexdigest())
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    raw.script = script
    with connect(gw) as sock:
        head = b"Content-Length: %d" % size if framing == "length" else b"Transfer-Encoding: chunked"
        sock.sendall(b"POST /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n\r\n" % head)
        for _ in range(PIECES):
            sock.sendall(PIECE if framing == "length" else b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        if framing == "chunked":
            sock.sendall(b"0\r\n\r\n")
        assert b" 200 " in read_head(sock)
    assert digests == [whole()]
    assert len(most) >= 10 and max(most) - before < HELD


def test_200_mb_that_nobody_reads(gw: Gateway, raw: Raw) -> None:
    sent = [0]

    def script(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 << 20))
        for _ in range(200):
            sock.sendall(PIECE)
            sent[0] += 1

    raw.script = script
    before = live(gw)["block_bytes"]
    with connect(gw, 8192) as sock:
        sock.sendall(b"GET /deaf HTTP/1.1\r\nHost: h\r\n\r\n")
        seen = -1
        while seen != sent[0]:  # until the upstream has not got rid of a piece for a while
            seen = sent[0]
            with contextlib.suppress(AssertionError):
                until(lambda seen=seen: sent[0] != seen, "a piece more", 1)
        assert 0 < seen < 100 and live(gw)["block_bytes"] - before < HELD
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert raw.ended.wait(30), "the client's end reaches the upstream"
    until(lambda: not live(gw)["exchanges"], "nothing is left")


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("where", ["request", "answer"])
def test_a_client_that_leaves_inside_a_body(gw: Gateway, raw: Raw, how: str, where: str) -> None:
    begun = threading.Event()

    def script(sock: socket.socket) -> None:
        read_head(sock)
        if where == "answer":
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        begun.set()
        while where == "answer":  # a closed client looks half-closed until something more is sent to it
            sock.sendall(b"3\r\nabc\r\n")
            begun.wait(0.01)
        while sock.recv(65536):
            pass

    raw.script = script
    with connect(gw) as sock:
        if where == "answer":
            sock.sendall(b"GET /leave HTTP/1.1\r\nHost: h\r\n\r\n")
            read_head(sock)
        else:
            sock.sendall(b"POST /leave HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\npart")
        assert begun.wait(10)
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert raw.ended.wait(30), "the upstream connection is ended with it"
    until(lambda: not live(gw)["exchanges"], "nothing is left")


def test_a_half_closed_client_gets_all_of_a_slow_answer(gw: Gateway, raw: Raw) -> None:
    go = threading.Event()

    def script(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * 4 + 1))
        for _ in range(4):
            sock.sendall(PIECE)
        go.wait(10)
        sock.sendall(b".")

    raw.script = script
    with connect(gw) as sock:
        sock.sendall(b"GET /half HTTP/1.1\r\nHost: h\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        read_head(sock)
        read_exactly(sock, len(PIECE) * 4, hashlib.sha256(), lambda got: None)
        go.set()
        assert sock.recv(2) == b"." and sock.recv(1) == b""


def test_a_half_closed_upload_of_known_length_is_answered(gw: Gateway, raw: Raw) -> None:
    def script(sock: socket.socket) -> None:
        read_head(sock)
        read_exactly(sock, 5, hashlib.sha256(), lambda got: None)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    raw.script = script
    with connect(gw) as sock:
        sock.sendall(b"POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
        sock.shutdown(socket.SHUT_WR)
        assert b" 200 " in read_head(sock) and sock.recv(3) == b"ok"


# ---- WebSocket
def upgraded(gw: Gateway, raw: Raw, script: Callable[[socket.socket], None]) -> socket.socket:
    def agrees(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        script(sock)

    raw.script = agrees
    sock = connect(gw)
    sock.sendall(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b" 101 " in read_head(sock)
    return sock


def test_a_silent_tunnel_is_ended_on_both_sides(gw: Gateway, raw: Raw) -> None:
    with upgraded(gw, raw, lambda sock: [sock.recv(1)]) as sock:  # type: ignore[arg-type, return-value]
        assert sock.recv(1) == b""
        assert raw.ended.wait(30)
    until(lambda: not live(gw)["exchanges"], "nothing is left")


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_tunnel_with_traffic_in_one_direction_lives(gw: Gateway, raw: Raw, who: str) -> None:
    """Three times the idle timeout, with a byte twice in each."""
    pause = threading.Event()
    count = 6

    def talks(sock: socket.socket) -> None:
        for _ in range(count):
            pause.wait(0.5)
            sock.sendall(b"x")

    def hears(sock: socket.socket) -> None:
        for _ in range(count):
            assert sock.recv(1) == b"x"

    result: list[bool] = []

    def upstream(sock: socket.socket) -> None:
        (talks if who == "upstream" else hears)(sock)
        result.append(True)
        sock.recv(1)

    with upgraded(gw, raw, upstream) as sock:
        (talks if who == "client" else hears)(sock)
        until(lambda: result, "the other end heard all")
