# ruff: noqa: E501
"""HTTP/1 against a live worker: tables of byte-exact messages from clients and from upstreams, and what is owed to each."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.supervised import Gateway, gateway, until
from tests.hostile.framing_rows import Row, chunk_rows, length_rows, spelling_rows
from tests.hostile.head_rows import field_rows, host_rows, limit_rows, line_rows, upgrade_rows
from tests.hostile.origin import Origin, Reply
from tests.hostile.reply_rows import ReplyRow, reply_rows
from tests.hostile.wire import Wire

TABLES = (spelling_rows, length_rows, chunk_rows, field_rows, line_rows, host_rows, limit_rows, upgrade_rows)
ROWS = [row for table in TABLES for row in table()]
REPLIES = reply_rows()
GET = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  proxied: {{bind: "127.0.0.1:0", proxy_protocol: true}}
  allow: {{bind: "127.0.0.1:0", normalize: {{underscores: allow}}}}
  reject: {{bind: "127.0.0.1:0", normalize: {{underscores: reject}}}}
upstreams:
  origin: {{endpoints: ["{origin}"]}}
  eager: {{endpoints: ["{eager}"]}}
routes:
  eager: {{match: {{prefix: "/eager"}}, to: eager}}
  all: {{match: {{prefix: "/"}}, to: origin}}
trusted_proxies: ["127.0.0.1/32"]
timeouts: {{head: 2s, body: 2s}}
limits: {{body: 1GiB}}
log: {{access: off}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""


@dataclass
class Place:
    """The gateway, its upstream, and the pid its worker had at first."""

    gateway: Gateway
    origin: Origin
    eager: Origin
    web: str
    proxied: str
    worker: dict[int, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    origin, eager = Origin(), Origin(greeting=b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
    with gateway(folder) as gw:
        gw.start(CONFIG.format(origin=origin.address, eager=eager.address)).ready()
        yield Place(gw, origin, eager, gw.address("web"), gw.address("proxied"), gw.workers())
        gw.stop()
    origin.close()
    eager.close()


def names(rows: list[Row] | list[ReplyRow]) -> list[str]:
    return [f"{number}-{row.name}" for number, row in enumerate(rows)]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=names(ROWS))
def test_client(place: Place, number: int) -> None:
    row, path = ROWS[number], "/row%d" % number
    with Wire(place.web) as wire:
        wire.send(row.raw.replace(b"/P", path.encode()))
        answers = [wire.answer(row.method) for _ in row.status]
        assert tuple(a and a.status for a in answers) == row.status
        if row.closed:
            assert wire.remainder() == b"", "something was answered behind the last answer"
        else:
            wire.send(GET % b"/probe")
            probe = wire.answer()
            assert probe is not None and (probe.status, probe.body) == (200, b"ok\n"), "out of step"
            assert wire.rest == b""
    assert place.origin.whole(path) == row.whole
    if row.body is not None:
        assert place.origin.seen[path][0].body == row.body


@pytest.mark.parametrize("number", range(len(REPLIES)), ids=names(REPLIES))
def test_upstream(place: Place, number: int) -> None:
    row, path = REPLIES[number], "/reply%d" % number
    place.origin.scripts[path] = Reply(row.raw, row.then, row.bad)
    with Wire(place.web) as wire:
        wire.send(f"{row.method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        answer = wire.answer(row.method)
        assert answer is not None and (answer.status, answer.whole) == (row.status, row.whole)
        assert b"stolen" not in answer.raw
        if row.body is not None:
            assert answer.body == row.body
        if row.whole:
            wire.send(GET % b"/probe")
            probe = wire.answer()
            assert probe is not None and (probe.status, probe.body) == (200, b"ok\n")
        else:
            assert wire.remainder() == b""
    assert 1 <= place.origin.whole(path) <= 2
    for seen in place.origin.seen[path] if row.bad else []:
        assert place.origin.ended[seen.connection].wait(10), "a spoiled connection was kept"


def test_a_post_is_never_sent_twice(place: Place) -> None:
    for then in ("close", "reset"):
        path = f"/post-{then}"
        place.origin.scripts[path] = Reply(b"", then, True)
        with Wire(place.web) as wire:
            wire.send(b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi" % path.encode())
            answer = wire.answer("POST")
        assert answer is not None and answer.status == 502 and place.origin.whole(path) == 1


def test_an_answer_before_the_request(place: Place) -> None:
    """Whether it came before the request cannot always be told (h1_client.c says when; test_try.c pins it down).

    That such a connection is not asked again always can.
    """
    for number in range(1, 21):
        with Wire(place.web) as wire:
            wire.send(GET % b"/eager")
            answer = wire.answer()
        assert answer is not None and answer.status in (200, 502)
        assert place.eager.ended[number].wait(10), "a connection with an answer too many was kept"
    assert place.eager.whole("/eager") <= 20


def test_an_answer_on_an_idle_connection(place: Place) -> None:
    with Wire(place.web) as wire:
        wire.send(GET % b"/idle")
        assert wire.answer() is not None
        number = place.origin.seen["/idle"][0].connection
        place.origin.open[number].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
        assert place.origin.ended[number].wait(10)
        wire.send(GET % b"/idle2")
        answer = wire.answer()
    assert answer is not None and answer.body == b"ok\n"


UPGRADE = b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_an_agreed_tunnel(place: Place) -> None:
    place.origin.scripts["/ws"] = Reply(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "tunnel", True)
    with Wire(place.web) as wire:
        wire.send(UPGRADE % b"/ws" + b"GET /hidden")
        answer = wire.answer()
        assert answer is not None and answer.status == 101
        until(lambda: place.origin.tunnels["/ws"] == b"GET /hidden", "the bytes behind the upgrade in the tunnel")


@pytest.mark.parametrize("status", [b"426 No", b"200 OK", b"400 Bad"])
def test_no_tunnel_without_101(place: Place, status: bytes) -> None:
    path = b"/ws" + status[:3]
    place.origin.scripts[path.decode()] = Reply(b"HTTP/1.1 %s\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n" % status)
    with Wire(place.web) as wire:
        wire.send(UPGRADE % path + GET % b"/after")
        first, second = wire.answer(), wire.answer()
        assert first is not None and first.status == int(status[:3])
        assert second is not None and second.status == 200, "what follows is a request of its own, judged like any other"


V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@pytest.mark.parametrize("line", [
    b"PROXY", b"PROXY \r\n", b"PROXY TCP4\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"PROXY TCP9 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n", b"PROXY UNKNOWN" + b"x" * 120 + b"\r\n",
    V2 + b"\x11\x11\x00\x0c", V2 + b"\x22\x11\x00\x0c", V2 + b"\x21\x41\x00\x0c", V2 + b"\x21\x11\x00\x0b", V2 + b"\x21\x11\xff\xff",
    V2 + b"\x21\x11\x00\x0d" + bytes(13), V2 + b"\x21\x11\x00\x13" + bytes(12) + b"\x03\x00\x04abcd", V2[:-1] + b"\r\x20\x00\x00\x00", b"", b"PROXY TCP4 1.2.3.4\x00 5.6.7.8 1 2\r\n",
])  # fmt: skip
def test_a_bad_proxy_line_is_closed_without_a_word(place: Place, line: bytes) -> None:
    with Wire(place.proxied) as wire:
        wire.send(line + GET % b"/hidden")
        assert wire.remainder() == b""


def test_a_stranger_may_not_say_whose_connection_it_is(place: Place) -> None:
    for first in (b"PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n", b""):
        with Wire(place.proxied, source="127.0.0.2") as wire:
            wire.send(first + GET % b"/hidden")
            assert wire.remainder() == b""


def test_a_proxy_line_that_does_not_end_is_closed_in_time(place: Place) -> None:
    with Wire(place.proxied) as slow, Wire(place.proxied) as silent:
        for byte in b"PROXY TCP4 192.0.2.9":
            slow.send(bytes([byte]))
        assert slow.remainder() == b"" and silent.remainder() == b""


PASSING_LINES = {
    b"PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n": b"192.0.2.9",
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": b"255.255.255.255",
    b"PROXY TCP6 2001:db8::9 2001:db8::1 1 2\r\n": b"2001:db8::9",
    b"PROXY TCP6 2001:0db8:0000:0000:0000:ffff:0192:0168 2001:db8::1 65535 65535\r\n": b"2001:db8::ffff:192:168",
    b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n": b"192.0.2.9",
    b"PROXY UNKNOWN\r\n": b"127.0.0.1",
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": b"127.0.0.1",
    b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n": b"127.0.0.1",
    V2 + b"\x21\x11\x00\x0c\xc0\x00\x02\x09\xc0\x00\x02\x01\x00\x01\x00\x02": b"192.0.2.9",
    V2 + b"\x20\x00\x00\x00": b"127.0.0.1",
}  # fmt: skip


@pytest.mark.parametrize("line", PASSING_LINES)
@pytest.mark.parametrize("bits", ["whole", "bytes"])
def test_proxy_lines_pass_however_they_are_cut(place: Place, line: bytes, bits: str) -> None:
    assert len(line) <= 107
    path = b"/proxied-%s-%d" % (bits.encode(), list(PASSING_LINES).index(line))
    with Wire(place.proxied) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw = line + GET % path
        for at in range(0, len(raw), 1 if bits == "bytes" else len(raw)):
            wire.send(raw[at : at + 1] if bits == "bytes" else raw)
        answer = wire.answer()
        assert answer is not None and answer.status == 200
        wire.send(GET % path)  # the line comes once
        assert wire.answer() is not None
    for seen in place.origin.seen[path.decode()]:
        assert seen.values(b"x-forwarded-for") == [PASSING_LINES[line]]


NAMES = (b"Transfer_Encoding: chunked", b"Content_Length: 3", b"X_Forwarded_For: 6.6.6.6", b"_: a", b"X_: a")


@pytest.mark.parametrize("name", NAMES)
def test_names_with_underscores(place: Place, name: bytes) -> None:
    number = NAMES.index(name)
    for listener, status, passes in (("web", 200, False), ("allow", 200, True), ("reject", 400, False)):
        path = b"/%s-%d" % (listener.encode(), number)
        with Wire(place.gateway.address(listener)) as wire:
            wire.send(b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n%s\r\nX-A: b\r\n\r\n0\r\n\r\n" % (path, name))
            answer = wire.answer("POST")
            assert answer is not None and answer.status == status
            if status == 400:
                assert wire.remainder() == b""
        seen = place.origin.seen[path.decode()]
        assert [(each.body, each.values(b"x-a")) for each in seen] == [(b"0\r\n\r\n", [b"b"])] * (status == 200)
        assert all((name in each.head) is passes for each in seen)


def test_underscores_in_trailers(place: Place) -> None:
    for listener, status in (("web", 200), ("allow", 200), ("reject", 400)):
        path = b"/%s-trailer" % listener.encode()
        with Wire(place.gateway.address(listener)) as wire:
            wire.send(b"POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX_Sum: 1\r\n\r\n" % path)
            answer = wire.answer("POST")
            assert answer is not None and answer.status == status
        seen = place.origin.seen[path.decode()]
        assert [each.trailers for each in seen if each.whole] == [[(b"x_sum", b"1")] if listener == "allow" else []] * (status == 200)


def blocks(place: Place) -> int:
    return place.gateway.status()["workers"][0]["live"]["block_bytes"]


ENDLESS = {
    "8 MB of chunk extensions for 2 kB": (b"1;" + b"e" * 4000 + b"\r\nx\r\n") * 2000,
    "one extension of 8 MB": b"1;" + b"e" * (8 << 20),
    "short extensions, 8 MB of them": (b"1;" + b"e" * 200 + b"\r\nx\r\n") * 40_000,
    "50,000 trailer fields": b"0\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(50_000)),
    "a trailer field of 8 MB": b"0\r\nX: " + b"y" * (8 << 20),
    "zeros for a size": b"0" * (8 << 20),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_chunked_requests(place: Place, name: str) -> None:
    path, before = b"/endless-%d" % list(ENDLESS).index(name), blocks(place)
    with Wire(place.web) as wire:
        wire.send(b"POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % path + ENDLESS[name])
        answer = wire.answer("POST")  # a reset may overtake it: so much is not read to its end
        assert answer is None or answer.status in (400, 431)
    assert place.origin.whole(path.decode()) == 0
    assert blocks(place) - before < 1 << 20


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_chunked_answers(place: Place, name: str) -> None:
    path, before = "/endless-answer-%d" % list(ENDLESS).index(name), blocks(place)
    place.origin.scripts[path] = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + ENDLESS[name], "keep", True)
    with Wire(place.web) as wire:
        wire.send(GET % path.encode())
        answer = wire.answer()
        assert answer is not None and (answer.status in (200, 502)) and answer.whole == (answer.status == 502)
        assert len(answer.raw) < 1 << 20
    assert blocks(place) - before < 1 << 20


ENDLESS_HEADS = {
    "a reason": b"HTTP/1.1 200 " + b"y" * (8 << 20),
    "a name": b"HTTP/1.1 200 OK\r\n" + b"y" * (8 << 20),
    "a value": b"HTTP/1.1 200 OK\r\nX: " + b"y" * (8 << 20),
    "fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500_000,
    "interim answers": b"HTTP/1.1 102 Wait\r\n\r\n" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS_HEADS)
def test_endless_heads_of_answers(place: Place, name: str) -> None:
    path, before = "/endless-head-%d" % list(ENDLESS_HEADS).index(name), blocks(place)
    place.origin.scripts[path] = Reply(ENDLESS_HEADS[name], "keep", True)
    with Wire(place.web) as wire:
        wire.send(GET % path.encode())
        answer = wire.answer()
    assert answer is not None and answer.status == 502
    assert blocks(place) - before < 1 << 20


def test_a_good_proxy_line(place: Place) -> None:
    with Wire(place.proxied) as wire:
        wire.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n" + GET % b"/proxied")
        answer = wire.answer()
    assert answer is not None and answer.status == 200
    assert place.origin.seen["/proxied"][0].values(b"x-forwarded-for") == [b"192.0.2.9"]


def test_slow_heads_and_bodies(place: Place) -> None:
    def slow(raw: bytes, drip: bytes) -> int:
        with Wire(place.web) as wire:
            wire.send(raw)
            wire.sock.settimeout(0.2)
            answer = None
            for _ in range(60):
                try:
                    answer = wire.answer()
                    break
                except TimeoutError:
                    wire.send(drip)
            return answer.status if answer else 0

    head, body = b"GET /slow HTTP/1.1\r\nX: ", b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"
    chunked = b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    cases = [(head, b"a"), (b"G", b""), (body, b""), (chunked + b"5\r\nab", b""), (chunked + b"0\r\nX: y", b"")] * 4
    with ThreadPoolExecutor(len(cases)) as pool:
        assert list(pool.map(lambda case: slow(*case), cases)) == [408] * len(cases)


def test_nothing_came_through(place: Place) -> None:
    """After all rows: the origin saw only well-formed requests, none of them hidden, and each as often as it was owed."""
    assert place.origin.faults == []
    assert not [seen.target for seen in place.origin.order if "hidden" in seen.target]
    assert not {seen.target for seen in place.origin.order if seen.whole and seen.target == "/slow"}
    for number, row in enumerate(ROWS):
        assert place.origin.whole("/row%d" % number) in (0, row.whole), row.name


def test_the_worker_is_whole(place: Place) -> None:
    """The same process, and nothing left alive in it."""
    def idle() -> bool:
        live = place.gateway.status()["workers"][0]["live"]
        return all(live[name] == 0 for name in ("conns", "exchanges", "tries", "h1_servers"))

    assert place.gateway.workers() == place.worker
    for sock in list(place.origin.open.values()):
        sock.shutdown(2)
    until(idle, "no connection or exchange is left")
    with Wire(place.web) as wire:
        wire.send(GET % b"/probe")
        answer = wire.answer()
    assert answer is not None and answer.status == 200
