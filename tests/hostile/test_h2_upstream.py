# ruff: noqa: E501
"""RFC 9113 sections 3 to 8 and RFC 7541 against a live worker from the upstream's side, case by case: what each breach must cause towards
the upstream, what the client gets, and that other streams and connections go on."""

import http.client
import itertools
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.supervised import PATIENCE, Gateway, gateway, until
from tests.hostile.h2_origin import Asked, HostileOrigin, Peer, Script, reply, window
from tests.hostile.h2_wire import (
    ACK,
    CONT,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    WITH_PRIORITY,
    block,
    frame,
    headers,
    literal,
    number,
    request,
)

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  one: {{endpoints: ["{one}"], protocol: h2, pool: {{max_connections: 1}}, timeouts: {{idle: 60s}}}}
  few: {{endpoints: ["{few}"], protocol: h2, pool: {{max_connections: 4}}, timeouts: {{idle: 1s, first_byte: 2s, send: 1s}}}}
routes:
  few: {{match: {{prefix: /few}}, strip_prefix: true, to: few}}
  one: {{match: {{prefix: /}}, to: one}}
log: {{access: {{to: {log}}}}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
NO, PROTOCOL, INTERNAL, FLOW, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 0, 1, 2, 3, 5, 6, 7, 8, 9, 11
ES, EH = END_STREAM, END_HEADERS
BREACH, FLOOD, BAD = "upstream_protocol_error", "upstream_flood", "upstream_bad_answer"
LONG, REFUSAL, RESET, TRUNCATED = "upstream_head_too_long", "upstream_refused", "upstream_reset", "upstream_truncated"
OK = [(":status", "200")]


def setting(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in pairs))


def ok(stream: int, fields: list[tuple[str, str]] | None = None, flags: int = EH) -> bytes:
    return headers(stream, [*OK, *(fields or [])], flags)


def whole(fields: list[tuple[str, str]]) -> Script:
    """An answer of these fields and nothing else."""
    return lambda s: headers(s, fields)


# name, what is said when a request has come on stream s, the code of the GOAWAY that must follow, the word in the log
CONNECTION: list[tuple[str, Script, int, str]] = [
    ("4.1 DATA on stream 0", lambda s: frame(DATA, 0, 0, b"x"), PROTOCOL, BREACH),
    ("4.2 DATA above the maximum size", lambda s: ok(s) + frame(DATA, 0, s, b"x" * 16385), SIZE, BREACH),
    ("4.2 HEADERS above the maximum size", lambda s: frame(HEADERS, EH | ES, s, b"\0" * 16385), SIZE, BREACH),
    ("4.3 a header block that is no HPACK", lambda s: frame(HEADERS, EH | ES, s, b"\xff\xff\xff\xff\xff\x0f"), COMPRESSION, BREACH),
    ("4.3 another frame inside a header block", lambda s: frame(HEADERS, ES, s, block(OK)) + frame(PING, 0, 0, b"12345678"), PROTOCOL, BREACH),
    ("4.3 CONTINUATION of another stream", lambda s: frame(HEADERS, ES, s, block(OK)) + frame(CONT, EH, s + 2, b""), PROTOCOL, BREACH),
    ("5.1 DATA on an idle stream", lambda s: frame(DATA, 0, s + 200, b"x"), PROTOCOL, BREACH),
    ("5.1 HEADERS on an idle stream of ours", lambda s: headers(s + 200, OK), PROTOCOL, BREACH),
    ("5.1 HEADERS on a stream of its own", lambda s: headers(2, OK), PROTOCOL, BREACH),
    ("5.1 RST_STREAM on an idle stream", lambda s: number(RST, s + 200, 8), PROTOCOL, BREACH),
    ("5.1 WINDOW_UPDATE on an idle stream", lambda s: number(WINDOW, s + 200, 1), PROTOCOL, BREACH),
    ("5.1 DATA before the head", lambda s: frame(DATA, 0, s, b"x"), PROTOCOL, BREACH),
    ("6.1 padding longer than the frame", lambda s: ok(s) + frame(DATA, PADDED, s, b"\x09abc"), PROTOCOL, BREACH),
    ("6.2 HEADERS on stream 0", lambda s: headers(0, OK), PROTOCOL, BREACH),
    ("6.2 HEADERS with padding longer than the frame", lambda s: frame(HEADERS, EH | ES | PADDED, s, b"\xff" + block(OK)), PROTOCOL, BREACH),
    ("6.3 PRIORITY on stream 0", lambda s: frame(PRIORITY, 0, 0, b"\0\0\0\0\1"), PROTOCOL, BREACH),
    ("6.4 RST_STREAM on stream 0", lambda s: number(RST, 0, 8), PROTOCOL, BREACH),
    ("6.4 RST_STREAM of three bytes", lambda s: frame(RST, 0, s, b"\0\0\0"), SIZE, BREACH),
    ("6.5 SETTINGS on a stream", lambda s: frame(SETTINGS, 0, s), PROTOCOL, BREACH),
    ("6.5 SETTINGS of five bytes", lambda s: frame(SETTINGS, 0, 0, b"12345"), SIZE, BREACH),
    ("6.5 an ACK with content", lambda s: frame(SETTINGS, ACK, 0, b"\0\4\0\0\0\1"), SIZE, BREACH),
    ("6.5.2 ENABLE_PUSH of 1 from a server", lambda s: setting((2, 1)), PROTOCOL, BREACH),
    ("6.5.2 ENABLE_PUSH of 2", lambda s: setting((2, 2)), PROTOCOL, BREACH),
    ("6.5.2 INITIAL_WINDOW_SIZE above 2^31-1", lambda s: setting((4, 1 << 31)), FLOW, BREACH),
    ("6.5.2 MAX_FRAME_SIZE below 16384", lambda s: setting((5, 16383)), PROTOCOL, BREACH),
    ("6.5.2 MAX_FRAME_SIZE above 2^24-1", lambda s: setting((5, 1 << 24)), PROTOCOL, BREACH),
    ("6.6 PUSH_PROMISE although push is off", lambda s: frame(PUSH, EH, s, b"\0\0\0\2" + block(request())), PROTOCOL, BREACH),
    ("6.6 PUSH_PROMISE on stream 0", lambda s: frame(PUSH, EH, 0, b"\0\0\0\2" + block(request())), PROTOCOL, BREACH),
    ("6.7 PING on a stream", lambda s: frame(PING, 0, s, b"12345678"), PROTOCOL, BREACH),
    ("6.7 PING of seven bytes", lambda s: frame(PING, 0, 0, b"1234567"), SIZE, BREACH),
    ("6.8 GOAWAY on a stream", lambda s: frame(GOAWAY, 0, s, b"\0" * 8), PROTOCOL, BREACH),
    ("6.9 WINDOW_UPDATE of 0 for the connection", lambda s: number(WINDOW, 0, 0), PROTOCOL, BREACH),
    ("6.9 WINDOW_UPDATE of 0 for a stream (nghttp2 ends the connection)", lambda s: number(WINDOW, s, 0), PROTOCOL, BREACH),
    ("6.9 WINDOW_UPDATE of three bytes", lambda s: frame(WINDOW, 0, 0, b"\0\0\1"), SIZE, BREACH),
    ("6.9.1 the connection's window above 2^31-1", lambda s: number(WINDOW, 0, 0x7FFFFFFF), FLOW, BREACH),
    ("6.10 CONTINUATION on stream 0", lambda s: frame(HEADERS, ES, s, block(OK)) + frame(CONT, EH, 0, b""), PROTOCOL, BREACH),
    ("6.10 CONTINUATION behind a whole block", lambda s: ok(s) + frame(CONT, EH, s, b""), PROTOCOL, BREACH),
    ("6.10 DATA inside a header block", lambda s: frame(HEADERS, 0, s, block(OK)) + frame(DATA, ES, s, b"x"), PROTOCOL, BREACH),
    ("RFC 7541 2.3.3 an index beyond the tables", lambda s: frame(HEADERS, EH | ES, s, b"\xbe\xff"), COMPRESSION, BREACH),
    ("RFC 7541 6.1 index 0", lambda s: frame(HEADERS, EH | ES, s, b"\x80"), COMPRESSION, BREACH),
    ("RFC 7541 5.1 an integer without end", lambda s: frame(HEADERS, EH | ES, s, b"\x7f" + b"\xff" * 12), COMPRESSION, BREACH),
    ("RFC 7541 5.2 Huffman with EOS", lambda s: frame(HEADERS, EH | ES, s, b"\x00\x84\xff\xff\xff\xff\x01x"), COMPRESSION, BREACH),
    ("RFC 7541 5.2 Huffman padding of zeros", lambda s: frame(HEADERS, EH | ES, s, b"\x00\x81\x18\x81\x00"), COMPRESSION, BREACH),
    ("RFC 7541 4.2 a table above its bound", lambda s: frame(HEADERS, EH | ES, s, b"\x3f\xe2\x1f" + block(OK)), COMPRESSION, BREACH),
    ("RFC 7541 4.2 a table's size inside a block", lambda s: frame(HEADERS, EH | ES, s, block(OK) + b"\x20"), COMPRESSION, BREACH),
    ("RFC 7541 5.2 a string beyond the block", lambda s: frame(HEADERS, EH | ES, s, b"\x00\x05ab"), COMPRESSION, BREACH),
    ("a PING flood", lambda s: frame(PING, 0, 0, b"12345678") * 1100, CALM, FLOOD),
    ("a SETTINGS flood", lambda s: setting((4, 1000)) * 1100, CALM, FLOOD),
    ("a WINDOW_UPDATE flood", lambda s: number(WINDOW, 0, 1) * 1100, CALM, FLOOD),
    ("a flood of resets of one stream", lambda s: number(RST, s, 8) * 1100, CALM, FLOOD),
    ("DATA without content", lambda s: ok(s) + frame(DATA, 0, s) * 110, CALM, FLOOD),
    ("DATA of padding only", lambda s: ok(s) + frame(DATA, PADDED, s, b"\3\0\0\0") * 110, CALM, FLOOD),
    ("CONTINUATION without content", lambda s: frame(HEADERS, ES, s, block(OK)) + frame(CONT, 0, s) * 110, CALM, FLOOD),
    ("a CONTINUATION flood", lambda s: frame(HEADERS, ES, s, block(OK)) + frame(CONT, 0, s, literal("x", "y")) * 12, CALM, FLOOD),
    ("an HPACK bomb", lambda s: frame(HEADERS, 0, s, block(OK) + b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000) + frame(CONT, EH, s, b"\xbe" * 4000), CALM, LONG),
]  # fmt: skip

# name, the answer, the code of the RST_STREAM that must follow, the word in the log; the client gets 502
STREAM: list[tuple[str, Script, int, str]] = [
    ("5.1 WINDOW_UPDATE above 2^31-1", lambda s: number(WINDOW, s, 0x7FFFFFFF), FLOW, BAD),
    ("8.1 a 1xx that ends the stream", whole([(":status", "103")]), PROTOCOL, BAD),
    ("8.1 more interim answers than anybody needs", lambda s: headers(s, [(":status", "100")], EH) * 40, PROTOCOL, BAD),
    ("8.1.1 content-length without a body", whole([*OK, ("content-length", "5")]), PROTOCOL, BAD),
    ("8.1.1 two content-lengths", whole([*OK, ("content-length", "1"), ("content-length", "2")]), PROTOCOL, BAD),
    ("8.1.1 a content-length that is none", whole([*OK, ("content-length", "+1")]), PROTOCOL, BAD),
    ("8.1.1 a content-length beyond 2^63", whole([*OK, ("content-length", "99999999999999999999")]), PROTOCOL, BAD),
    ("8.2.1 an upper-case name", whole([*OK, ("X-Y", "1")]), PROTOCOL, BAD),
    ("8.2.1 a space in a name", whole([*OK, ("x y", "1")]), PROTOCOL, BAD),
    ("8.2.1 a colon in a name", whole([*OK, ("x:y", "1")]), PROTOCOL, BAD),
    ("8.2.1 CR LF in a value", whole([*OK, ("x", "1\r\nset-cookie: y")]), PROTOCOL, BAD),
    ("8.2.1 NUL in a value", whole([*OK, ("x", "1\0")]), PROTOCOL, BAD),
    ("8.2.1 an empty name", whole([*OK, ("", "1")]), PROTOCOL, BAD),
    *[(f"8.2.2 {name}", whole([*OK, (name, value)]), PROTOCOL, BAD)
      for name, value in (("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"), ("transfer-encoding", "chunked"), ("upgrade", "h2c"))],
    ("8.3 a pseudo field behind a field", whole([("x", "1"), *OK]), PROTOCOL, BAD),
    ("8.3 an unknown pseudo field", whole([*OK, (":x", "1")]), PROTOCOL, BAD),
    *[(f"8.3 {name} in an answer", whole([*OK, (name, "/")]), PROTOCOL, BAD) for name in (":path", ":method", ":scheme", ":authority")],
    ("8.3.2 without :status", whole([("x", "1")]), PROTOCOL, BAD),
    ("8.3.2 :status twice", whole([*OK, *OK]), PROTOCOL, BAD),
    *[(f"8.3.2 :status {value!r}", whole([(":status", value)]), PROTOCOL, BAD) for value in ("", "20", "2000", "abc", "099", "+20", "2 0")],
    ("8.6 there is no 101", whole([(":status", "101")]), PROTOCOL, BAD),
    ("more fields than allowed", whole([*OK, *[("x", str(n)) for n in range(110)]]), CANCEL, LONG),
    ("a field longer than allowed", lambda s: frame(HEADERS, EH | ES, s, block(OK) + b"\x00\x01x\x7f\xd9\x7f" + b"v" * (127 + 89 + 127 * 128)), SIZE, LONG),
]  # fmt: skip
STREAM = [row for row in STREAM if row[2] != SIZE]

# name, the answer, the code of the RST_STREAM that must follow (None: it was the upstream's); the client has a head and sees its body cut
CUT: list[tuple[str, Script, int | None, str]] = [
    ("8.1 a second HEADERS that does not end the stream", lambda s: ok(s) + headers(s, [("x", "1")], EH), PROTOCOL, BAD),
    ("8.1 a pseudo field in trailers", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + headers(s, [(":status", "200")]), PROTOCOL, BAD),
    ("8.1 trailers with an upper-case name", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + headers(s, [("X", "1")]), PROTOCOL, BAD),
    ("8.1.1 less than content-length", lambda s: ok(s, [("content-length", "5")]) + frame(DATA, ES, s, b"abc"), PROTOCOL, BAD),
    ("8.1.1 more than content-length", lambda s: ok(s, [("content-length", "1")]) + frame(DATA, ES, s, b"abc"), PROTOCOL, BAD),
    ("8.1.1 a body behind 204", lambda s: headers(s, [(":status", "204")], EH) + frame(DATA, ES, s, b"abc"), PROTOCOL, BAD),
    ("8.1.1 a body behind 304", lambda s: headers(s, [(":status", "304")], EH) + frame(DATA, ES, s, b"abc"), PROTOCOL, BAD),
    ("6.4 RST_STREAM NO_ERROR in the middle", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + number(RST, s, NO), None, TRUNCATED),
    ("6.4 RST_STREAM INTERNAL_ERROR in the middle", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + number(RST, s, INTERNAL), None, TRUNCATED),
    ("6.4 RST_STREAM REFUSED_STREAM in the middle", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + number(RST, s, REFUSED), None, TRUNCATED),
    ("trailers longer than allowed", lambda s: ok(s) + frame(DATA, 0, s, b"abc") + headers(s, [("x", "v" * 100)] * 100), CANCEL, LONG),
]  # fmt: skip

# name, the answer: the client gets 200 and `ok`
IGNORED: list[tuple[str, Script]] = [
    ("4.1 an unknown frame", lambda s: frame(0x77, 0xFF, 0, b"?") + reply(s, body=b"ok")),
    ("4.1 an unknown frame on the stream", lambda s: frame(0x77, 0xFF, s, b"?") + reply(s, body=b"ok")),
    ("4.1 reserved bits and flags", lambda s: frame(PING, 0xFE, 0x80000000, b"12345678") + reply(s, body=b"ok")),
    ("5.3.1 PRIORITY, deprecated", lambda s: frame(PRIORITY, 0, s, b"\0\0\0\0\1") + reply(s, body=b"ok")),
    ("6.1 DATA with padding", lambda s: ok(s) + frame(DATA, ES | PADDED, s, b"\4ok\0\0\0\0")),
    ("6.1 an empty DATA that ends", lambda s: ok(s) + frame(DATA, 0, s, b"ok") + frame(DATA, ES, s)),
    ("6.2 HEADERS with priority", lambda s: frame(HEADERS, EH | WITH_PRIORITY, s, b"\0\0\0\0\x10" + block(OK)) + frame(DATA, ES, s, b"ok")),
    ("6.2 HEADERS with padding", lambda s: frame(HEADERS, EH | PADDED, s, b"\2" + block(OK) + b"\0\0") + frame(DATA, ES, s, b"ok")),
    ("6.5.2 an unknown setting", lambda s: setting((0x99, 1)) + reply(s, body=b"ok")),
    ("6.5.2 ENABLE_PUSH of 0", lambda s: setting((2, 0)) + reply(s, body=b"ok")),
    ("6.5.2 an HPACK table of 0", lambda s: setting((1, 0)) + reply(s, body=b"ok")),
    ("6.7 a PING's acknowledgment nobody asked for", lambda s: frame(PING, ACK, 0, b"12345678") + reply(s, body=b"ok")),
    ("6.9 windows grow", lambda s: number(WINDOW, 0, 1000) + number(WINDOW, s, 1000) + reply(s, body=b"ok")),
    ("6.10 a block in pieces", lambda s: frame(HEADERS, 0, s, block(OK)[:5]) + frame(CONT, 0, s, block(OK)[5:7]) + frame(CONT, EH, s, block(OK)[7:]) + frame(DATA, ES, s, b"ok")),
    ("8.1 interim answers", lambda s: headers(s, [(":status", "100"), ("link", "x")], EH) + reply(s, body=b"ok")),
    ("8.1 trailers", lambda s: ok(s) + frame(DATA, 0, s, b"ok") + headers(s, [("x", "1")])),
    ("8.1.1 the right content-length", lambda s: ok(s, [("content-length", "2")]) + frame(DATA, ES, s, b"ok")),
    ("RFC 7541 4.2 the table is made smaller", lambda s: frame(HEADERS, EH, s, b"\x20" + block(OK)) + frame(DATA, ES, s, b"ok")),
    ("5.1 WINDOW_UPDATE behind the end", lambda s: reply(s, body=b"ok") + number(WINDOW, s, 1)),
    ("5.1 RST_STREAM NO_ERROR behind the end", lambda s: reply(s, body=b"ok") + number(RST, s, NO)),
    ("RFC 7838 ALTSVC", lambda s: frame(10, 0, 0, b"\0\1ax") + reply(s, body=b"ok")),
    ("RFC 8336 ORIGIN", lambda s: frame(12, 0, 0, b"\0\1a") + reply(s, body=b"ok")),
]  # fmt: skip


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


class Client(threading.Thread):
    """One HTTP/1.1 request on a connection of its own; its status and body, or that it was cut."""

    def __init__(self, gw: Gateway, path: str, method: str = "GET", body: bytes | None = None) -> None:
        super().__init__(daemon=True)
        self.gw, self.path, self.method, self.sent = gw, path, method, body
        self.status, self.body, self.cut, self.fields = 0, b"", False, http.client.HTTPMessage()
        self.start()

    def run(self) -> None:
        host, _, port = self.gw.address().rpartition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            client.request(self.method, self.path, self.sent)
            answer = client.getresponse()
            self.status, self.fields = answer.status, answer.msg
            self.body = answer.read()
        except (http.client.HTTPException, ConnectionError) as error:
            self.cut = True
            self.body = getattr(error, "partial", b"")
        finally:
            client.close()

    def done(self) -> "Client":
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.path} hangs"
        return self


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
    assert peer.resets[asked.stream] == CANCEL and not peer.goaway


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
