"""WebSocket between a peer that lies and one that does not: false handshakes, bytes before their time, ends by force.

The client speaks HTTP/2 by hand (RFC 8441), the upstream HTTP/1.1 by hand: what one of them gets wrong must not reach
the other.
"""

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.peers import Origin, read_head, reset
from tests.e2e.supervised import Gateway, gateway, until
from tests.hostile.h2_wire import DATA, END_HEADERS, END_STREAM, RST, Fields, Hostile, frame, headers, number, request

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["{origin}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
CANCEL, PROTOCOL, FLOW = 8, 1, 3
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


def accept(head: bytes, guid: bytes = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11") -> bytes:
    """The digest line that the request's key calls for."""
    key = re.search(rb"sec-websocket-key: (\S+)\r\n", head, re.I)
    assert key and len(base64.b64decode(key[1])) == 16, head
    return b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key[1] + guid).digest()) + b"\r\n"


def agrees(sock: socket.socket, head: bytes) -> None:
    sock.sendall(SWITCH + accept(head) + b"\r\n")


@pytest.fixture(scope="module")
def up() -> Iterator[Origin]:
    made = Origin(lambda sock, head: None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, up: Origin) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("ws")
    with gateway(folder) as made:
        made.start(CONFIG.format(origin=up.address, log=folder / "access.log")).ready()
        workers = made.workers()
        yield made
        assert made.workers() == workers, "a worker died"
        made.stop()


def asks(stream: int = 1, flags: int = END_HEADERS, more: Fields | None = None) -> bytes:
    pseudo = [*request("/ws", "CONNECT"), (":protocol", "websocket")]
    return headers(stream, [*pseudo, ("sec-websocket-version", "13"), *(more or [])], flags)


def opened(gw: Gateway, up: Origin, script: Callable[[socket.socket], None]) -> Hostile:
    """A tunnel that is open on both sides."""
    def run(sock: socket.socket, head: bytes) -> None:
        agrees(sock, head)
        script(sock)

    up.script = run
    peer = Hostile(gw.address())
    peer.send(asks())
    peer.until(lambda h: 1 in h.status)
    assert peer.heard.status[1] == 200
    return peer


def quiet(gw: Gateway) -> None:
    until(lambda: not gw.status()["workers"][0]["live"]["exchanges"], "nothing is left")


WRONG = {
    "no digest": lambda head: SWITCH + b"\r\n",
    "another key's digest": lambda head: SWITCH + accept(head, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B12") + b"\r\n",
    "the digest twice": lambda head: SWITCH + accept(head) * 2 + b"\r\n",
    "the digest in lower case": lambda head: SWITCH + accept(head).lower() + b"\r\n",
    "the digest and more": lambda head: SWITCH + accept(head)[:-2] + b", x\r\n\r\n",
    "another protocol": lambda head: SWITCH.replace(b"websocket", b"h2c") + accept(head) + b"\r\n",
    "two protocols": lambda head: SWITCH.replace(b"websocket", b"websocket, h2c") + accept(head) + b"\r\n",
    "no Upgrade": lambda head: SWITCH.replace(b"Upgrade: websocket\r\n", b"") + accept(head) + b"\r\n",
    "no Connection": lambda head: SWITCH.replace(b"Connection: Upgrade\r\n", b"") + accept(head) + b"\r\n",
    "a success that agrees to nothing": lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x82\x07forged!",
    "a success with the digest": lambda head: SWITCH.replace(b"101", b"200") + accept(head) + b"\r\n",
    "nothing": lambda head: b"",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_handshake_that_is_none_opens_nothing(gw: Gateway, up: Origin, name: str) -> None:
    up.script = lambda sock, head: sock.sendall(WRONG[name](head) + b"\x82\x01x")
    with Hostile(gw.address()) as peer:
        peer.send(asks() + frame(DATA, 0, 1, b"early"))
        assert peer.answer(1) == 502
        assert b"forged" not in peer.heard.body[1]
        assert not peer.settle().goaway
    quiet(gw)


def test_a_switch_that_nobody_asked_for(gw: Gateway, up: Origin) -> None:
    up.script = lambda sock, head: sock.sendall(SWITCH + b"\r\n")
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/plain")))
        assert peer.answer(1) == 502


def test_bytes_before_the_agreement_reach_the_tunnel_in_order(gw: Gateway, up: Origin) -> None:
    go, got = threading.Event(), []

    def slow(sock: socket.socket, head: bytes) -> None:
        assert go.wait(20)
        agrees(sock, head)
        while len(b"".join(got)) < 9 and (data := sock.recv(100)):
            got.append(data)

    up.script = slow
    with Hostile(gw.address()) as peer:
        peer.send(asks() + frame(DATA, 0, 1, b"one") + frame(DATA, 0, 1, b"two"))
        peer.settle()
        go.set()
        peer.until(lambda h: 1 in h.status)
        peer.send(frame(DATA, 0, 1, b"end"))
        until(lambda: b"".join(got) == b"onetwoend", "all of it")


def test_bytes_before_a_refusal_are_nobodys_request(gw: Gateway, up: Origin) -> None:
    """Were they written to the upstream's kept connection, they would be the next client's request, or its answer."""
    lines: list[bytes] = []

    def refuses(sock: socket.socket, head: bytes) -> None:
        while head:
            lines.append(head.split(b"\r\n")[0])
            sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            head = read_head(sock)

    up.script = refuses
    with Hostile(gw.address()) as peer:
        peer.send(asks() + frame(DATA, 0, 1, SMUGGLED))
        assert peer.answer(1) == 403
        peer.send(frame(DATA, 0, 1, SMUGGLED))
        peer.send(headers(3, request("/next")))
        assert peer.answer(3) == 403
    assert lines == [b"GET /ws HTTP/1.1", b"GET /next HTTP/1.1"]


def test_more_than_the_window_before_the_agreement(gw: Gateway, up: Origin) -> None:
    up.script = lambda sock, head: sock.recv(1)  # type: ignore[assignment, return-value]
    with Hostile(gw.address()) as peer:
        peer.send(asks() + frame(DATA, 0, 1, b"x" * 16384) * 5)
        peer.until(lambda h: 1 in h.resets)
        assert peer.heard.resets[1] == FLOW
    quiet(gw)


def test_a_tunnel_that_was_ended_before_it_began(gw: Gateway, up: Origin) -> None:
    """END_STREAM on the request itself: the upstream hears the end, and may still speak."""
    heard: list[bytes] = []

    def run(sock: socket.socket) -> None:
        heard.append(sock.recv(1))
        sock.sendall(b"bye")

    up.script = lambda sock, head: (agrees(sock, head), run(sock))  # type: ignore[assignment, return-value]
    with Hostile(gw.address()) as peer:
        peer.send(asks(flags=END_HEADERS | END_STREAM))
        assert peer.answer(1) == 200 and peer.heard.body[1] == b"bye"
        assert heard == [b""]
    quiet(gw)


def test_resets_pass_both_ways(gw: Gateway, up: Origin) -> None:
    ended = threading.Event()
    with opened(gw, up, lambda sock: ended.set() if sock.recv(1) == b"" else None) as peer:
        peer.send(number(RST, 1, CANCEL))
        assert ended.wait(20)
        assert not peer.settle().goaway
    with opened(gw, up, lambda sock: (sock.recv(1), reset(sock))) as peer:  # type: ignore[arg-type, return-value]
        peer.send(frame(DATA, 0, 1, b"x"))
        peer.until(lambda h: 1 in h.resets)
        assert peer.heard.resets[1] == CANCEL
    quiet(gw)


def test_halves_end_each_by_themselves(gw: Gateway, up: Origin) -> None:
    def echo_then(sock: socket.socket) -> None:
        data = b""
        while more := sock.recv(100):
            data += more
        sock.sendall(b"all: " + data)

    with opened(gw, up, echo_then) as peer:
        peer.send(frame(DATA, 0, 1, b"ab") + frame(DATA, END_STREAM, 1, b"cd"))
        assert peer.answer(1) == 200 and peer.heard.body[1] == b"all: abcd"
    got: list[bytes] = []

    def first(sock: socket.socket) -> None:
        sock.shutdown(socket.SHUT_WR)
        while more := sock.recv(100):
            got.append(more)

    with opened(gw, up, first) as peer:
        peer.until(lambda h: 1 in h.ended)
        peer.send(frame(DATA, 0, 1, b"still ") + frame(DATA, END_STREAM, 1, b"here"))
        until(lambda: b"".join(got) == b"still here", "the last bytes")
        peer.settle()
        assert not peer.heard.resets
    quiet(gw)


def test_header_frames_in_a_tunnel(gw: Gateway, up: Origin) -> None:
    ended = threading.Event()
    with opened(gw, up, lambda sock: ended.set() if sock.recv(1) == b"" else None) as peer:
        peer.send(headers(1, [("x-trailer", "1")]))
        peer.until(lambda h: 1 in h.resets)
        assert peer.heard.resets[1] == PROTOCOL
        assert ended.wait(20)


def test_a_key_of_the_clients_own_is_not_used(gw: Gateway, up: Origin) -> None:
    """It would let a client choose what the upstream's answer says (RFC 8441 section 5: these fields are not used)."""
    up.script = agrees
    mine = [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    with Hostile(gw.address()) as peer:
        peer.send(asks(more=mine))
        peer.until(lambda h: 1 in h.status)
        assert peer.heard.status[1] == 200
    head = up.heads[-1].lower()
    assert head.count(b"sec-websocket-key") == 1 and b"dghlihnhbxbszsbub25jzq==" not in head
    assert b"sec-websocket-accept" not in head


def test_a_thousand_that_come_and_go_by_reset(gw: Gateway, up: Origin) -> None:
    """They are what rapid reset is made of: past its limit the connection ends, others are served."""
    up.script = lambda sock, head: (agrees(sock, head), sock.recv(1))  # type: ignore[assignment, return-value]
    with Hostile(gw.address()) as peer:
        for n in range(1000):
            peer.send(asks(2 * n + 1) + number(RST, 2 * n + 1, CANCEL))
        peer.end()
        assert peer.heard.goaway == [11]
    with opened(gw, up, lambda sock: sock.recv(1)) as peer:  # type: ignore[arg-type, return-value]
        assert not peer.heard.resets
    quiet(gw)
