# ruff: noqa: E501
"""RFC 9113 sections 3 to 8 and RFC 7541 against a live worker from the upstream's side, case by case: what each breach must cause towards
the upstream, what the client gets, and that other streams and connections go on."""

import http.client
import itertools
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.supervised import PATIENCE, Gateway, gateway, until
from tests.hostile.asking import Client
from tests.hostile.h2_origin import Asked, HostileOrigin, Peer, Script, reply, window
from tests.hostile.h2_upstream_rows import (
    CANCEL,
    CONNECTION,
    CUT,
    FLOW,
    IGNORED,
    INTERNAL,
    NO,
    OK,
    REFUSAL,
    REFUSED,
    RESET,
    STREAM,
    ok,
    setting,
)
from tests.hostile.h2_wire import DATA, GOAWAY, HEADERS, PING, RST, block, frame, number

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  one: {{endpoints: ["{one}"], protocol: h2, pool: {{max_connections: 1}}, timeouts: {{idle: 60s}}}}
  few: {{endpoints: ["{few}"], protocol: h2, pool: {{max_connections: 4}}, timeouts: {{idle: 1s, first_byte: 2s, send: 1s}}}}
routes:
  few: {{match: {{prefix: /few}}, strip_prefix: true, to: few}}
  patient: {{match: {{prefix: /patient}}, strip_prefix: true, to: few, timeouts: {{first_byte: 60s}}}}
  one: {{match: {{prefix: /}}, to: one}}
log: {{access: {{to: {log}}}}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
@pytest.fixture(scope="module")
def one() -> Iterator[HostileOrigin]:
    made = HostileOrigin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def few() -> Iterator[HostileOrigin]:
    made = HostileOrigin(setting((3, 2)))
    yield made
    made.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, one: HostileOrigin, few: HostileOrigin) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("h2up")
    with gateway(folder) as made:
        made.start(CONFIG.format(one=one.address, few=few.address, log=folder / "access.log")).ready()
        workers = made.workers()
        yield made
        assert made.workers() == workers, "a worker died"
        assert made.stop() == 0


COUNT = itertools.count()


def held(gw: Gateway, origin: HostileOrigin, where: str = "") -> tuple[Client, Peer, Asked]:
    """A request that waits for its answer on the connection that will be misused."""
    path = f"/held/{next(COUNT)}"
    client = Client(gw, where + path)
    return client, *origin.had(path)


def case(gw: Gateway, origin: HostileOrigin, script: Script, where: str = "") -> tuple[Client, Peer, Asked]:
    path = f"/case/{next(COUNT)}"
    origin.scripts[path] = script
    client = Client(gw, where + path)
    return client, *origin.had(path)


def fine(gw: Gateway, where: str = "") -> None:
    client = Client(gw, f"{where}/fine").done()
    assert (client.status, client.body) == (200, b"ok")


def logged(gw: Gateway, path: str, word: str) -> None:
    """The access log says so."""

    def found() -> bool:
        lines = [json.loads(line) for line in (gw.folder / "access.log").read_text().splitlines() if f'"{path}"' in line]
        return any(line.get("reason") == word for line in lines)

    until(found, f"{word} for {path} in the log")


@pytest.mark.parametrize(("name", "script", "code", "word"), CONNECTION, ids=[row[0] for row in CONNECTION])
def test_connection_errors(gw: Gateway, one: HostileOrigin, name: str, script: Script, code: int, word: str) -> None:
    waiting, peer, _ = held(gw, one)
    client, same, _ = case(gw, one, script)
    assert same is peer
    one.until(lambda: peer.over, "the end of the connection")
    assert peer.goaway == [code]
    client.done()
    assert client.cut or client.status == 502
    assert waiting.done().status == 502 and word in waiting.body.decode()  # it shared the connection
    logged(gw, waiting.path, word)
    fine(gw)


@pytest.mark.parametrize(("name", "script", "code", "word"), STREAM, ids=[row[0] for row in STREAM])
def test_stream_errors(gw: Gateway, one: HostileOrigin, name: str, script: Script, code: int, word: str) -> None:
    waiting, peer, other = held(gw, one)
    client, same, asked = case(gw, one, script)
    assert same is peer
    assert client.done().status == 502
    one.until(lambda: asked.stream in peer.resets, "the reset")
    assert peer.resets[asked.stream] == code
    logged(gw, client.path, word)
    peer.send(reply(other.stream, body=b"unharmed"))
    assert (waiting.done().status, waiting.body) == (200, b"unharmed") and not peer.goaway


@pytest.mark.parametrize(("name", "script", "code", "word"), CUT, ids=[row[0] for row in CUT])
def test_answers_that_break_off(gw: Gateway, one: HostileOrigin, name: str, script: Script, code: int | None, word: str) -> None:
    waiting, peer, other = held(gw, one)
    client, _, asked = case(gw, one, script)
    client.done()
    assert client.cut or client.status in (204, 304)
    if code is not None:
        one.until(lambda: asked.stream in peer.resets, "the reset")
        assert peer.resets[asked.stream] == code
    logged(gw, client.path, word)
    peer.send(reply(other.stream, body=b"unharmed"))
    assert (waiting.done().status, waiting.body) == (200, b"unharmed") and not peer.goaway


@pytest.mark.parametrize(("name", "script"), IGNORED, ids=[row[0] for row in IGNORED])
def test_what_is_no_error(gw: Gateway, one: HostileOrigin, name: str, script: Script) -> None:
    client, peer, asked = case(gw, one, script)
    assert (client.done().status, client.body) == (200, b"ok")
    fine(gw)
    assert not peer.goaway and not peer.over and asked.stream not in peer.resets


# ---- what a reset, a GOAWAY and an end mean ----


@pytest.mark.parametrize("code", [NO, INTERNAL, CANCEL, 13], ids=str)
def test_6_4_a_reset_by_one_who_has_heard_is_not_retried(gw: Gateway, few: HostileOrigin, code: int) -> None:
    client, _, asked = case(gw, few, lambda s: number(RST, s, code), "/few")
    assert client.done().status == 502 and RESET in client.body.decode()
    assert len(few.by_path[asked[":path"] or ""]) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_8_7_a_refused_stream_is_asked_once_more_whatever_its_method(gw: Gateway, few: HostileOrigin, method: str) -> None:
    path = f"/case/{next(COUNT)}"
    few.scripts[path] = lambda s: number(RST, s, REFUSED) if len(few.by_path[path]) == 1 else reply(s, body=b"then")
    client = Client(gw, "/few" + path, method, b"text" if method == "POST" else None).done()
    assert (client.status, client.body) == (200, b"then")
    _, asked = few.had(path, 2)
    few.until(lambda: asked.ended, "its body")
    assert len(few.by_path[path]) == 2 and asked.body == (b"text" if method == "POST" else b"")


def test_8_7_refused_twice_is_told(gw: Gateway, few: HostileOrigin) -> None:
    client, _, asked = case(gw, few, lambda s: number(RST, s, REFUSED), "/few")
    assert client.done().status == 502 and REFUSAL in client.body.decode()
    assert len(few.by_path[asked[":path"] or ""]) == 2


def test_6_8_goaway_lets_finish_what_it_names_and_the_rest_is_asked_elsewhere(gw: Gateway, few: HostileOrigin) -> None:
    first, peer, one_ = held(gw, few, "/few")
    path = f"/held/{next(COUNT)}"
    second = Client(gw, "/few" + path, "POST", b"x")
    same, _ = few.had(path)
    assert same is peer
    few.scripts[path] = lambda s: reply(s, body=b"elsewhere")
    peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", one_.stream, 0)))
    assert (second.done().status, second.body) == (200, b"elsewhere")
    assert few.by_path[path][1][0] is not peer
    fine(gw, "/few")  # not on the one that takes no more
    assert few.by_path["/fine"][-1][0] is not peer
    peer.send(reply(one_.stream, body=b"finished"))
    assert (first.done().status, first.body) == (200, b"finished")
    few.until(lambda: peer.over, "the end of the connection")
    assert peer.goaway == [NO]


def test_6_8_goaway_again_and_again_is_told_in_the_end(gw: Gateway, few: HostileOrigin) -> None:
    client, _, asked = case(gw, few, lambda s: frame(GOAWAY, 0, 0, struct.pack(">II", s - 2 if s > 1 else 0, 0)), "/few")
    assert client.done().status == 502 and b"upstream_goaway" in client.body
    assert len(few.by_path[asked[":path"] or ""]) == 8
    fine(gw, "/few")


def test_6_8_goaway_with_an_error_and_the_end(gw: Gateway, few: HostileOrigin) -> None:
    client, peer, asked = held(gw, few, "/few")
    peer.send(ok(asked.stream, [("content-length", "10")]) + frame(DATA, 0, asked.stream, b"abc"))
    peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", asked.stream, INTERNAL)))
    peer.sock.shutdown(2)
    assert client.done().cut and client.body == b"abc"
    fine(gw, "/few")


def test_the_end_without_a_word(gw: Gateway, few: HostileOrigin) -> None:
    path = f"/held/{next(COUNT)}"
    client = Client(gw, "/few" + path, "POST", b"x")
    peer, _ = few.had(path)
    peer.sock.shutdown(2)
    assert client.done().status == 502 and b"upstream_closed" in client.body
    assert len(few.by_path[path]) == 1  # somebody may have acted on it


# ---- places ----


def test_5_1_2_no_more_streams_than_the_upstream_allows_and_more_connections_when_full(gw: Gateway, few: HostileOrigin) -> None:
    waiting = [held(gw, few, "/few") for _ in range(6)]
    by_peer: dict[Peer, int] = {}
    for _, peer, _ in waiting:
        by_peer[peer] = by_peer.get(peer, 0) + 1
    assert all(count <= 2 for count in by_peer.values()) and len(by_peer) >= 3
    for client, peer, asked in waiting:
        peer.send(reply(asked.stream, body=b"ok"))
        assert client.done().status == 200


def test_5_1_2_fewer_streams_while_some_are_open(gw: Gateway, one: HostileOrigin) -> None:
    first, peer, a = held(gw, one)
    second, _, b = held(gw, one)
    peer.send(setting((3, 1)))
    one.until(lambda: peer.acks >= 2, "the acknowledgment")
    path = f"/held/{next(COUNT)}"
    third = Client(gw, path)
    peer.send(reply(a.stream, body=b"1"))
    assert first.done().body == b"1" and path not in one.by_path
    peer.send(reply(b.stream, body=b"2"))
    assert second.done().body == b"2"
    _, c = one.had(path)  # only now there is a place
    peer.send(setting((3, 100)) + reply(c.stream, body=b"3"))
    assert third.done().body == b"3"


# ---- windows, time ----


def test_6_9_a_request_waits_for_the_upstreams_window(gw: Gateway, one: HostileOrigin) -> None:
    _, peer, _ = case(gw, one, lambda s: setting((4, 3)) + reply(s, body=b"ok"))
    path = f"/held/{next(COUNT)}"
    client = Client(gw, path, "POST", b"abcdefgh")
    peer, asked = one.had(path)
    one.until(lambda: asked.body == b"abc", "what the window allows")
    fine(gw)  # another stream is not held up
    assert asked.body == b"abc" and not asked.ended
    peer.send(window(asked.stream, 2))
    one.until(lambda: asked.body == b"abcde", "two bytes more")
    peer.send(window(asked.stream, 100))
    one.until(lambda: asked.ended, "the rest")
    assert asked.body == b"abcdefgh"
    peer.send(reply(asked.stream, body=b"done") + setting((4, 65535)))
    assert client.done().body == b"done"


def test_6_9_1_more_data_than_the_window(gw: Gateway, one: HostileOrigin) -> None:
    """The client takes nothing, so nothing is credited; what is sent all the same ends the stream, and no memory holds it."""
    waiting, peer, other = held(gw, one)
    path = f"/case/{next(COUNT)}"
    one.scripts[path] = lambda s: ok(s) + frame(DATA, 0, s, b"x" * 16384) * 1024
    host, _, port = gw.address().rpartition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        _, asked = one.had(path)
        one.until(lambda: asked.stream in peer.resets, "the reset")
        assert peer.resets[asked.stream] == FLOW
    peer.send(reply(other.stream, body=b"unharmed"))
    assert (waiting.done().status, waiting.body) == (200, b"unharmed") and not peer.goaway


def test_a_window_that_never_opens(gw: Gateway, few: HostileOrigin) -> None:
    hello, few.hello = few.hello, setting((3, 2), (4, 0))
    try:
        few.drop()
        client = until(lambda: (c := Client(gw, "/few/held", "POST", b"abc").done()).status == 504 and c, "a timeout")
        assert b"upstream_send_timeout" in client.body
    finally:
        few.hello = hello
        few.drop()
    until(lambda: Client(gw, "/few/fine").done().status == 200, "a good connection")


def test_an_answer_that_does_not_begin(gw: Gateway, few: HostileOrigin) -> None:
    client, peer, asked = held(gw, few, "/few")
    assert client.done().status == 504 and b"first_byte_timeout" in client.body
    few.until(lambda: asked.stream in peer.resets, "the reset")
    assert peer.resets[asked.stream] == CANCEL
    few.until(lambda: peer.over, "the end of a connection that was silent, and that nobody else uses")
    assert peer.goaway == [NO]


def test_a_silent_connection_is_asked_whether_it_lives(gw: Gateway, few: HostileOrigin) -> None:
    """The origin answers PING (Peer does): it lives, and is used again."""
    first, peer, _ = held(gw, few, "/few")
    second, same, asked = held(gw, few, "/patient")  # there are two places
    assert same is peer
    assert first.done().status == 504
    few.until(lambda: peer.pings, "a PING")
    peer.send(reply(asked.stream, body=b"alive"))
    assert second.done().status == 200 and not peer.goaway
    fine(gw, "/few")


def test_an_answer_that_stalls(gw: Gateway, few: HostileOrigin) -> None:
    client, peer, asked = case(gw, few, lambda s: ok(s) + frame(DATA, 0, s, b"abc"), "/few")
    assert client.done().cut
    few.until(lambda: asked.stream in peer.resets, "the reset")
    assert peer.resets[asked.stream] == CANCEL and not peer.goaway
    logged(gw, client.path, "upstream_idle")


def test_a_header_block_that_never_ends(gw: Gateway, few: HostileOrigin) -> None:
    client, _, _ = case(gw, few, lambda s: frame(HEADERS, 0, s, block(OK)), "/few")
    assert client.done().status == 504
    fine(gw, "/few")


# ---- what the gateway says ----


def test_3_4_the_preface_and_settings(gw: Gateway, one: HostileOrigin) -> None:
    fine(gw)
    peer, asked = one.had("/fine")
    assert peer.settings[2] == 0 and peer.settings[4] == 65536 and peer.settings[6] == 65536
    assert asked[":scheme"] == "http" and asked[":method"] == "GET" and asked[":authority"] == gw.address()
    names = [name for name, _ in asked.fields]
    assert names == [name.lower() for name in names] and not {"host", "connection", "transfer-encoding"} & set(names)


def test_8_1_an_early_answer_ends_the_request_without_harm(gw: Gateway, one: HostileOrigin) -> None:
    host, _, port = gw.address().rpartition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    path = f"/case/{next(COUNT)}"
    one.scripts[path] = lambda s: reply(s, status="413")
    client.putrequest("POST", path)
    client.putheader("content-length", "100")
    client.endheaders(b"abc")
    assert client.getresponse().status == 413
    peer, asked = one.had(path)
    one.until(lambda: asked.stream in peer.resets, "the reset")
    assert peer.resets[asked.stream] == CANCEL and not peer.goaway
    client.close()
    fine(gw)


def test_a_client_that_goes_away_cancels_its_stream_alone(gw: Gateway, one: HostileOrigin) -> None:
    waiting, peer, other = held(gw, one)
    host, _, port = gw.address().rpartition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    path = f"/held/{next(COUNT)}"
    client.request("GET", path)
    _, asked = one.had(path)
    client.close()
    one.until(lambda: asked.stream in peer.resets, "the reset")
    assert peer.resets[asked.stream] == CANCEL
    peer.send(reply(other.stream, body=b"unharmed"))
    assert waiting.done().body == b"unharmed"


# ---- what is no HTTP/2 ----


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"220 smtp\r\n", frame(PING, 0, 0, b"12345678"), b"\x15\x03\x01\x00\x02\x02\x28"],
    ids=["HTTP/1", "a banner", "PING first", "a TLS alert"],
)
def test_3_4_what_does_not_begin_with_settings_gets_no_request(gw: Gateway, few: HostileOrigin, said: bytes) -> None:
    hello, few.hello = few.hello, said
    few.acks = False
    try:
        few.drop()
        before = len(few.peers)
        path = f"/never/{next(COUNT)}"
        client = until(lambda: (c := Client(gw, "/few" + path).done()).status == 502 and c, "a refusal")
        assert b"upstream_not_http2" in client.body and path not in few.by_path and len(few.peers) > before
    finally:
        few.hello, few.acks = hello, True
    until(lambda: Client(gw, "/few/fine").done().status == 200, "a good connection")
