"""Each client protocol before each upstream protocol (HTTP/1.1, HTTP/2, HTTP/2 over TLS): all forms of messages."""

import contextlib
import itertools
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tls_files import Files, make

from .both import Cut, Turn, Upstream
from .both_clients import Client, Client1, Client2
from .supervised import PATIENCE, Gateway, gateway, until

CONFIG = """
listeners:
  plain: {{bind: "127.0.0.1:0"}}
  secure: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: up.pem, key: up.key}}]}}}}
upstreams:
  h1: {{endpoints: ["{h1}"]}}
  h2c: {{endpoints: ["{h2c}"], protocol: h2}}
  h2s: {{endpoints: ["{h2s}"], protocol: h2, tls: {{ca: ca.pem}}}}
  auto1: {{endpoints: ["{auto1}"], protocol: auto, tls: {{ca: ca.pem}}}}
  auto2: {{endpoints: ["{h2s}"], protocol: auto, tls: {{ca: ca.pem}}}}
  never: {{endpoints: ["{auto1}"], protocol: h2, tls: {{ca: ca.pem}}, balance: {{avoid: 0}}}}
routes:
  h1: {{match: {{prefix: /h1}}, strip_prefix: true, to: h1}}
  h2c: {{match: {{prefix: /h2c}}, strip_prefix: true, to: h2c}}
  h2s: {{match: {{prefix: /h2s}}, strip_prefix: true, to: h2s}}
  auto1: {{match: {{prefix: /auto1}}, strip_prefix: true, to: auto1}}
  auto2: {{match: {{prefix: /auto2}}, strip_prefix: true, to: auto2}}
  never: {{match: {{prefix: /never}}, strip_prefix: true, to: never}}
log: {{access: {{to: {log}}}}}
limits: {{body_rate: off, send_rate: off}}  # a test that gets no time is no slow client
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
BIG = bytes(range(256)) * 4096  # 1 MiB: more than any window
COUNT = itertools.count()
HELD: dict[str, Turn] = {}
GONE: dict[str, threading.Event] = {}


def answer(turn: Turn) -> None:
    """What the upstream does is said by the path."""
    what = turn.path.split("/")[1]
    if what == "early":  # the answer does not wait for the request
        turn.head(413, [], ends=True)
        return
    if what == "echo":  # each piece at once
        turn.head(200, [])
        while data := turn.more():
            turn.send(data)
        turn.end([("x-echoed", value) for name, value in turn.trailers if name == "x-sum"])
        return
    if what == "hold":
        HELD[turn.path] = turn
        try:
            while turn.more():
                pass
            turn.more()
        except (Cut, AssertionError, OSError):
            pass
        GONE.setdefault(turn.path, threading.Event()).set()
        return
    while turn.more():
        pass
    if what == "none":
        turn.head(204, [], ends=True)
    elif what == "empty":
        turn.head(200, [], ends=True)
    elif what == "sized":
        turn.head(200, [("content-length", "5"), ("x-method", turn.method)])
        if turn.method != "HEAD":
            turn.send(b"sized")
        turn.end()
    elif what == "seen":
        turn.head(200, [])
        turn.send(repr(sorted(turn.fields)).encode())
        turn.end()
    elif what == "trailers":
        turn.head(200, [("trailer", "x-sum")])
        turn.send(b"body")
        turn.end([("x-sum", "7")])
    elif what == "interim":
        turn.info(103, [("link", "</x>")])
        turn.head(200, [("content-length", "2")])
        turn.send(b"ok")
        turn.end()
    elif what == "big":
        turn.head(200, [])
        turn.send(BIG)
        turn.end()
    elif what == "abort":
        turn.head(200, [])
        turn.send(b"part")
        with contextlib.suppress(Cut):
            HELD[turn.path] = turn
            until(lambda: turn.path in GONE, "the client's word")
        turn.abort()
    elif what == "refuse":
        turn.abort()


def context(files: Files, alpn: list[str]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files.cert, files.key)
    made.set_alpn_protocols(alpn)
    return made


@pytest.fixture(scope="module")
def ups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Upstream]]:
    folder = tmp_path_factory.mktemp("matrix")
    ca = make(folder, "ca")
    up = make(folder, "up", "IP:127.0.0.1", ca)
    made = {
        "h1": Upstream("h1", answer),
        "h2c": Upstream("h2c", answer),
        "h2s": Upstream("h2s", answer, context(up, ["h2"])),
        "auto1": Upstream("h1", answer, context(up, ["http/1.1"])),
    }
    made["h1"].folder = folder  # type: ignore[attr-defined]
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def gw(ups: dict[str, Upstream]) -> Iterator[Gateway]:
    folder: Path = ups["h1"].folder  # type: ignore[attr-defined]
    addresses = {name: up.address for name, up in ups.items()}
    with gateway(folder) as made:
        made.start(CONFIG.format(log=folder / "access.log", **addresses)).ready()
        workers = made.workers()
        yield made
        assert made.workers() == workers, "a worker died"
        assert made.stop() == 0


def client(gw: Gateway, kind: str) -> Client:
    if kind == "h1":
        return Client1(gw.address("plain"))
    if kind == "h2c":
        return Client2(gw.address("plain"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_alpn_protocols(["h2", "http/1.1"])
    return Client2(gw.address("secure"), made)


KINDS = ("h1", "h2c", "h2s")
each_pair = pytest.mark.parametrize(("near", "far"), list(itertools.product(KINDS, KINDS)), ids="-".join)


def path(far: str, what: str) -> str:
    return f"/{far}/{what}/{next(COUNT)}"


def upstream_path(full: str) -> str:
    return "/" + full.split("/", 2)[2]


@each_pair
def test_no_body(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        c.ask("GET", path(far, "none")).finish()
        assert (c.status, c.body, c.trailers) == (204, b"", [])
    with client(gw, near) as c:
        c.ask("GET", path(far, "empty")).finish()
        assert (c.status, c.body) == (200, b"")
    with client(gw, near) as c:
        c.ask("POST", path(far, "sized")).finish()
        assert (c.status, c.body) == (200, b"sized")


@each_pair
def test_sized_and_head(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        c.ask("POST", path(far, "sized"), [("content-length", "3")], ends=False)
        c.send(b"abc")
        c.end()
        c.finish()
        fields = dict(c.fields)
        assert (c.status, c.body, fields["content-length"], fields["x-method"]) == (200, b"sized", "5", "POST")
    with client(gw, near) as c:
        c.ask("HEAD", path(far, "sized")).finish()
        assert (c.status, c.body, dict(c.fields)["content-length"]) == (200, b"", "5")


@each_pair
def test_streamed_both_ways(gw: Gateway, near: str, far: str) -> None:
    """Each piece comes back before the next is sent: nothing on the road waits for the whole."""
    with client(gw, near) as c:
        c.ask("POST", path(far, "echo"), ends=False)
        for n in range(1, 6):
            c.send(b"piece %d " % n)
            c.until(lambda n=n: c.body.endswith(b"piece %d " % n))
        c.end()
        assert (c.finish().status, c.body) == (200, b"piece 1 piece 2 piece 3 piece 4 piece 5 ")


@each_pair
def test_a_mebibyte_each_way(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        c.ask("GET", path(far, "big")).finish()
        assert c.body == BIG
    with client(gw, near) as c:
        c.ask("PUT", path(far, "sized"), [("content-length", str(len(BIG)))], ends=False)
        c.send(BIG)
        c.end()
        assert (c.finish().status, c.body) == (200, b"sized")


@each_pair
def test_trailers_both_ways(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        te = [("te", "trailers"), *([("connection", "te")] if near == "h1" else [])]
        c.ask("GET", path(far, "trailers"), te).finish()
        assert (c.status, c.body, c.trailers) == (200, b"body", [("x-sum", "7")])
    with client(gw, near) as c:
        c.ask("POST", path(far, "echo"), ends=False)
        c.send(b"abc")
        c.end([("x-sum", "3")])
        assert (c.finish().body, c.trailers) == (b"abc", [("x-echoed", "3")])


@each_pair
def test_interim_answers(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        c.ask("GET", path(far, "interim")).finish()
        assert (c.infos, c.status, c.body) == ([103], 200, b"ok")


@each_pair
def test_an_early_answer(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        c.ask("POST", path(far, "early"), [("content-length", "100")], ends=False)
        c.send(b"abc")
        c.until(lambda: c.status)
        assert c.status == 413


@each_pair
def test_the_upstream_breaks_off(gw: Gateway, near: str, far: str) -> None:
    with client(gw, near) as c:
        where = path(far, "abort")
        c.ask("GET", where).until(lambda: c.body == b"part")
        GONE[upstream_path(where)] = threading.Event()
        with pytest.raises(Cut):
            c.finish()
    with client(gw, near) as c:
        c.ask("POST", path(far, "refuse")).finish()
        assert c.status == 502 and b"upstream_" in c.body


@each_pair
def test_the_client_breaks_off(gw: Gateway, near: str, far: str) -> None:
    where = path(far, "hold")
    with client(gw, near) as c:
        c.ask("POST", where, ends=False)
        c.send(b"abc")
        until(lambda: upstream_path(where) in HELD, "the request")
    until(lambda: upstream_path(where) in GONE, "the upstream hears of it", PATIENCE)
    with client(gw, near) as c:
        assert c.ask("GET", path(far, "sized")).finish().status == 200


@each_pair
def test_fields(gw: Gateway, near: str, far: str) -> None:
    """Cookie crumbs become one line, connection fields stay where they are, Host is what the client said."""
    own = [("cookie", "a=1"), ("cookie", "b=2")]
    if near == "h1":
        own = [("cookie", "a=1; b=2"), ("connection", "x-hop"), ("x-hop", "1")]
    with client(gw, near) as c:
        c.ask("GET", path(far, "seen"), [*own, ("x-a", "1")]).finish()
        seen: list[tuple[str, str]] = eval(c.body)  # a list that the test's own upstream wrote
        fields = dict(seen)
        assert fields["cookie"] == "a=1; b=2" and fields["x-a"] == "1"
        assert fields["host" if far == "h1" else ":authority"] == "a.test"
        assert not {"connection", "x-hop", "keep-alive", "transfer-encoding"} & set(fields)
        assert fields["via"] == ("1.1 fastgw" if near == "h1" else "2 fastgw")
        assert far == "h1" or fields[":scheme"] == ("https" if far == "h2s" else "http")


@pytest.mark.parametrize("far", KINDS)
def test_an_upgrade(gw: Gateway, far: str) -> None:
    """HTTP/2 has no Upgrade: what cannot be had is told, what is only an offer is left out."""
    asked = [("connection", "upgrade"), ("upgrade", "websocket")]
    asked += [("sec-websocket-key", "x"), ("sec-websocket-version", "13")]
    with client(gw, "h1") as c:
        c.ask("GET", path(far, "sized"), asked).finish()
        if far == "h1":
            assert (c.status, c.body) == (200, b"sized")
        else:
            assert c.status == 501 and b"upgrade_not_possible" in c.body
    with client(gw, "h1") as c:
        c.ask("GET", path(far, "sized"), [("connection", "upgrade"), ("upgrade", "foo/2")]).finish()
        assert (c.status, c.body) == (200, b"sized")


@pytest.mark.parametrize("near", KINDS)
def test_auto_takes_what_the_upstream_chooses(gw: Gateway, near: str) -> None:
    for far, host in (("auto1", "host"), ("auto2", ":authority")):
        with client(gw, near) as c:
            c.ask("GET", path(far, "seen")).finish()
            assert c.status == 200 and host in dict(eval(c.body))
        with client(gw, near) as c:
            c.ask("POST", path(far, "echo"), ends=False)
            c.send(b"abc")
            c.end([("x-sum", "3")])
            assert (c.finish().body, c.trailers) == (b"abc", [("x-echoed", "3")])


def test_h2_over_tls_is_not_taken_from_who_does_not_agree(gw: Gateway) -> None:
    with client(gw, "h1") as c:
        c.ask("GET", path("never", "sized")).finish()
        assert c.status == 502 and (b"upstream_not_http2" in c.body or b"upstream_tls_failed" in c.body)


def test_many_requests_share_a_connection(gw: Gateway, ups: dict[str, Upstream]) -> None:
    before = ups["h2c"].connections
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(20):
            where = path("h2c", "hold")
            waiting.append((stack.enter_context(client(gw, "h1")).ask("GET", where), upstream_path(where)))
        until(lambda: all(where in HELD for _, where in waiting), "the requests")
        assert ups["h2c"].connections - before <= 1
        for c, where in waiting:
            HELD[where].head(200, [], ends=True)
            assert c.finish().status == 200
