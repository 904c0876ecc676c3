"""One client takes all of an upstream's connections and does nothing with them; others ask for a little."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.h2_origin import HostileOrigin, reply
from tests.hostile.h2_wire import (
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    SETTINGS,
    WINDOW,
    block,
    frame,
    headers,
    number,
    request,
)

from .load import answer
from .peers import read_head
from .supervised import Gateway, gateway, until
from .test_streams import Raw

PLACES = 8
CROWD = 64  # what the attacker asks for: all places, and the rest of it waits
BIG = 16 << 20  # more than two kernels hold for a connection that nobody reads
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  up:
    endpoints: ["127.0.0.1:{port}"]
    pool: {{max_connections: 8, queue: 32, queue_timeout: 20s, stall_timeout: {stall}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
timeouts: {{send: 120s, body: 120s}}
limits: {{send_rate: off, body_rate: off}}
log: {{access: {{to: stderr}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
ATTACKER = "127.0.0.2"


def serve(sock: socket.socket) -> None:
    """/big says more than anybody keeps, everything else two bytes; a body is never waited for."""
    while head := read_head(sock):
        big = b" /big " in head.split(b"\r\n")[0]
        if head.startswith(b"POST"):
            sock.recv(1)
            return
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (BIG if big else 2))
        sock.sendall(bytes(BIG) if big else b"ok")


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    made = Raw()
    made.script = serve
    yield made
    made.listener.close()


def dial(gw: Gateway, source: str) -> socket.socket:
    host, _, port = gw.address().rpartition(":")
    sock = socket.socket()
    sock.bind((source, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60)
    sock.connect((host, int(port)))
    return sock


# ---- the attacks: each keeps its sockets open and does what it does until it is over
Attack = Callable[[Gateway, threading.Event], list[socket.socket]]


def h2(window: int) -> Attack:
    def attack(gw: Gateway, over: threading.Event) -> list[socket.socket]:
        sock = dial(gw, ATTACKER)
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)) + frame(SETTINGS, 1, 0))
        streams = range(1, 2 * CROWD, 2)
        sock.sendall(b"".join(headers(n, request("/big")) for n in streams))
        if window:
            threading.Thread(target=trickle, args=(sock, streams, over), daemon=True).start()
        return [sock]

    return attack


def trickle(sock: socket.socket, streams: range, over: threading.Event) -> None:
    """Windows that open byte by byte, slowly enough for the guards."""
    with contextlib.suppress(OSError):
        while not over.wait(1):
            sock.sendall(b"".join(number(WINDOW, n, 1) for n in streams))


def many(text: bytes) -> Attack:
    def attack(gw: Gateway, over: threading.Event) -> list[socket.socket]:
        del over
        socks = [dial(gw, ATTACKER) for _ in range(CROWD)]
        for sock in socks:
            sock.sendall(text)
        return socks

    return attack


ATTACKS = {
    "windows of nothing": h2(0),
    "windows byte by byte": h2(1),
    "answers that are not read": many(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n"),
    "requests that do not come": many(b"POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx"),
}


def taken(gw: Gateway) -> bool:
    return gw.status()["workers"][0]["live"]["exchanges"] >= PLACES


@contextlib.contextmanager
def attacked(gw: Gateway, attack: Attack) -> Iterator[None]:
    over = threading.Event()
    socks = attack(gw, over)
    try:
        until(lambda: taken(gw), "all places taken")
        yield
    finally:
        over.set()
        for sock in socks:
            sock.close()


def ask(gw: Gateway, said: list[int], times: int) -> None:
    with dial(gw, "127.0.0.1") as sock:
        for _ in range(times):
            sock.sendall(b"GET /small HTTP/1.1\r\nhost: x\r\n\r\n")
            said.append(answer(sock)[0])


def asked_by(gw: Gateway, clients: int) -> list[int]:
    """What so many clients at once are answered, five times each."""
    said: list[int] = []
    others = [threading.Thread(target=ask, args=(gw, said, 5)) for _ in range(clients)]
    for each in others:
        each.start()
    for each in others:
        each.join(60)
    return said


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served(raw: Raw, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Every request of ten others is answered while the attacker holds on."""
    with gateway(tmp_path_factory.mktemp("fair")) as gw:
        gw.start(CONFIG.format(port=raw.port, stall="500ms")).ready()
        with attacked(gw, ATTACKS[name]):
            assert asked_by(gw, 10) == [200] * 50
        assert "client_stalled" in gw.stderr.read_text()


def held(stream: int) -> bytes:
    """As much of an answer as the gateway takes ahead of its client, and no end."""
    return frame(HEADERS, END_HEADERS, stream, block([(":status", "200")])) + frame(DATA, 0, stream, bytes(16000)) * 4


@pytest.mark.parametrize("name", ["windows of nothing", "windows byte by byte"])
def test_streams_of_an_http2_upstream_are_places_too(tmp_path: Path, name: str) -> None:
    origin = HostileOrigin()
    origin.scripts["/big"] = held
    origin.scripts["/small"] = lambda stream: reply(stream, [("content-length", "2")], b"ok")
    places = "protocol: h2\n    pool: {{max_connections: 1, max_streams: 8, "
    try:
        with gateway(tmp_path) as gw:
            text = CONFIG.replace("pool: {{max_connections: 8, ", places)
            gw.start(text.format(port=origin.address.rpartition(":")[2], stall="500ms")).ready()
            with attacked(gw, ATTACKS[name]):
                assert asked_by(gw, 4) == [200] * 20
            assert "client_stalled" in gw.stderr.read_text()
            assert len(origin.peers) == 1, "streams are reset, and no connection ends for it"
    finally:
        origin.close()


def test_switched_off_they_wait(raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> None:
    with gateway(tmp_path_factory.mktemp("unfair")) as gw:
        gw.start(CONFIG.format(port=raw.port, stall="off").replace("20s", "1s")).ready()
        with attacked(gw, ATTACKS["windows of nothing"]):
            said: list[int] = []
            ask(gw, said, 1)
            assert said == [503]
