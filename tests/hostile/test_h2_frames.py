# ruff: noqa: E501
"""RFC 9113 sections 3 to 8 and RFC 7541, case by case, against a live worker: what each breach must cause, and that others go on."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.supervised import Gateway, gateway, until
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
    PREFACE,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    WITH_PRIORITY,
    Hostile,
    block,
    frame,
    headers,
    literal,
    number,
    request,
)
from tests.hostile.origin import Origin

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}, plain: {{bind: "127.0.0.1:0", http2: false}}}}
upstreams: {{origin: {{endpoints: ["{origin}"]}}}}
routes: {{static: {{match: {{prefix: "/static"}}, to: {{static: {{body: "hello"}}}}}}, all: {{match: {{prefix: "/"}}, to: origin}}}}
limits: {{http2: {{streams: 8, resets: 20, control_frames: 100, empty_frames: 10}}}}
timeouts: {{head: 2s, linger: 200ms}}
log: {{access: {{to: {log}}}}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
NO, PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 0, 1, 3, 5, 6, 7, 9, 11
ES, EH = END_STREAM, END_HEADERS
WEBSOCKET = [*request(method="CONNECT"), (":protocol", "websocket")]
OPEN = headers(1, request(method="POST"), EH)
GET = headers(1, request("/static"))


def setting(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in pairs))


# name, what is sent, the code of the GOAWAY that must follow (section 5.4.1)
CONNECTION = [
    ("4.1 DATA on stream 0", frame(DATA, 0, 0, b"x"), PROTOCOL),
    ("4.2 frame above the maximum size", OPEN + frame(DATA, 0, 1, b"x" * 16385), SIZE),
    ("4.2 HEADERS above the maximum size", frame(HEADERS, EH | ES, 1, b"\0" * 16385), SIZE),
    ("4.3 a header block that is no HPACK", frame(HEADERS, EH | ES, 1, b"\xff\xff\xff\xff\xff\x0f"), COMPRESSION),
    ("4.3 another frame inside a header block", frame(HEADERS, ES, 1, block(request())) + frame(PING, 0, 0, b"12345678"), PROTOCOL),
    ("4.3 CONTINUATION of another stream", frame(HEADERS, ES, 1, block(request())) + frame(CONT, EH, 3, b""), PROTOCOL),
    ("5.1 DATA on an idle stream", frame(DATA, 0, 5, b"x"), PROTOCOL),
    ("5.1 RST_STREAM on an idle stream", number(RST, 5, 8), PROTOCOL),
    ("5.1 WINDOW_UPDATE on an idle stream", number(WINDOW, 5, 1), PROTOCOL),
    ("5.1 CONTINUATION on an idle stream", frame(CONT, EH, 1, b""), PROTOCOL),
    ("5.1.1 an even stream", headers(2, request()), PROTOCOL),
    ("6.1 padding longer than the frame", OPEN + frame(DATA, PADDED, 1, b"\x09abc"), PROTOCOL),
    ("6.2 HEADERS on stream 0", headers(0, request()), PROTOCOL),
    ("6.2 HEADERS with padding longer than the frame", frame(HEADERS, EH | ES | PADDED, 1, b"\xff" + block(request())), PROTOCOL),
    ("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, b"\0\0\0\0\1"), PROTOCOL),
    ("6.4 RST_STREAM on stream 0", number(RST, 0, 8), PROTOCOL),
    ("6.4 RST_STREAM of three bytes", OPEN + frame(RST, 0, 1, b"\0\0\0"), SIZE),
    ("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1), PROTOCOL),
    ("6.5 SETTINGS of five bytes", frame(SETTINGS, 0, 0, b"12345"), SIZE),
    ("6.5 an ACK with content", frame(SETTINGS, ACK, 0, b"\0\4\0\0\0\1"), SIZE),
    ("6.5.2 ENABLE_PUSH of 2", setting((2, 2)), PROTOCOL),
    ("6.5.2 INITIAL_WINDOW_SIZE above 2^31-1", setting((4, 1 << 31)), FLOW),
    ("6.5.2 MAX_FRAME_SIZE below 16384", setting((5, 16383)), PROTOCOL),
    ("6.5.2 MAX_FRAME_SIZE above 2^24-1", setting((5, 1 << 24)), PROTOCOL),
    ("6.6 PUSH_PROMISE from a client", frame(PUSH, EH, 1, b"\0\0\0\2" + block(request())), PROTOCOL),
    ("6.7 PING on a stream", frame(PING, 0, 1, b"12345678"), PROTOCOL),
    ("6.7 PING of seven bytes", frame(PING, 0, 0, b"1234567"), SIZE),
    ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, b"\0" * 8), PROTOCOL),
    ("6.9 WINDOW_UPDATE of 0 for the connection", number(WINDOW, 0, 0), PROTOCOL),
    ("6.9 WINDOW_UPDATE of three bytes", frame(WINDOW, 0, 0, b"\0\0\1"), SIZE),
    ("6.9.1 the connection's window above 2^31-1", number(WINDOW, 0, 0x7FFFFFFF), FLOW),
    ("6.10 CONTINUATION on stream 0", frame(HEADERS, ES, 1, block(request())) + frame(CONT, EH, 0, b""), PROTOCOL),
    ("6.10 CONTINUATION behind a whole block", OPEN + frame(CONT, EH, 1, b""), PROTOCOL),
    ("6.10 DATA inside a header block", frame(HEADERS, 0, 1, block(request())) + frame(DATA, ES, 1, b"x"), PROTOCOL),
    ("RFC 7541 2.3.3 an index beyond the tables", frame(HEADERS, EH | ES, 1, b"\xbe\xff"), COMPRESSION),
    ("RFC 7541 6.1 index 0", frame(HEADERS, EH | ES, 1, b"\x80"), COMPRESSION),
    ("RFC 7541 5.1 an integer without end", frame(HEADERS, EH | ES, 1, b"\x7f" + b"\xff" * 12), COMPRESSION),
    ("RFC 7541 5.2 Huffman with EOS", frame(HEADERS, EH | ES, 1, b"\x00\x84\xff\xff\xff\xff\x01x"), COMPRESSION),
    ("RFC 7541 5.2 Huffman padding of zeros", frame(HEADERS, EH | ES, 1, b"\x00\x81\x18\x81\x00"), COMPRESSION),
    ("RFC 7541 4.2 a table above its bound", frame(HEADERS, EH | ES, 1, b"\x3f\xe2\x1f" + block(request())), COMPRESSION),
    ("RFC 7541 4.2 a table's size inside a block", frame(HEADERS, EH | ES, 1, block(request()) + b"\x20"), COMPRESSION),
    ("RFC 7541 5.2 a string beyond the block", frame(HEADERS, EH | ES, 1, b"\x00\x05ab"), COMPRESSION),
    ("rapid reset", b"".join(headers(n, request()) + number(RST, n, 8) for n in range(1, 61, 2)), CALM),
    ("a PING flood", frame(PING, 0, 0, b"12345678") * 120, CALM),
    ("a SETTINGS flood", setting((4, 1000)) * 120, CALM),
    ("a WINDOW_UPDATE flood", number(WINDOW, 0, 1) * 120, CALM),
    ("a PRIORITY flood", frame(PRIORITY, 0, 1, b"\0\0\0\0\1") * 120, CALM),
    ("DATA without content", OPEN + frame(DATA, 0, 1) * 12, CALM),
    ("DATA of padding only", OPEN + frame(DATA, PADDED, 1, b"\3\0\0\0") * 12, CALM),
    ("CONTINUATION without content", frame(HEADERS, ES, 1, block(request())) + frame(CONT, 0, 1) * 12, CALM),
    ("a CONTINUATION flood", frame(HEADERS, ES, 1, block(request())) + frame(CONT, 0, 1, literal("x", "y")) * 12, CALM),
    ("an HPACK bomb", frame(HEADERS, 0, 1, block(request()) + b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000) + frame(CONT, EH, 1, b"\xbe" * 4000), CALM),
]  # fmt: skip

# name, what is sent on stream 1, the code of the RST_STREAM, or the status of an answer, that must follow (section 5.4.2)
STREAM = [
    ("6.9.2 a window above 2^31-1 by SETTINGS (nghttp2 resets the stream)", setting((4, 100)) + OPEN + number(WINDOW, 1, 0x7FFFFF00) + setting((4, 0x7FFFFFFF)), FLOW),
    ("5.1 WINDOW_UPDATE above 2^31-1", OPEN + number(WINDOW, 1, 0x7FFFFFFF), FLOW),
    ("8.1 a second HEADERS that does not end the stream", OPEN + headers(1, [("x", "1")], EH), PROTOCOL),
    ("8.1 a pseudo field in trailers", OPEN + headers(1, [(":path", "/")]), PROTOCOL),
    ("8.1.1 less than content-length", headers(1, request(method="POST", extra=[("content-length", "5")]), EH) + frame(DATA, ES, 1, b"abc"), PROTOCOL),
    ("8.1.1 more than content-length", headers(1, request(method="POST", extra=[("content-length", "1")]), EH) + frame(DATA, ES, 1, b"abc"), PROTOCOL),
    ("8.1.1 content-length without a body", headers(1, request(extra=[("content-length", "5")])), PROTOCOL),
    ("8.1.1 two content-lengths", headers(1, request(extra=[("content-length", "1"), ("content-length", "2")])), PROTOCOL),
    ("8.1.1 a content-length that is none", headers(1, request(extra=[("content-length", "+1")])), PROTOCOL),
    ("8.2.1 an upper-case name", headers(1, request(extra=[("X-Y", "1")])), PROTOCOL),
    ("8.2.1 a space in a name", headers(1, request(extra=[("x y", "1")])), PROTOCOL),
    ("8.2.1 a colon in a name", headers(1, request(extra=[("x:y", "1")])), PROTOCOL),
    ("8.2.1 CR LF in a value", headers(1, request(extra=[("x", "1\r\nhost: y")])), PROTOCOL),
    ("8.2.1 NUL in a value", headers(1, request(extra=[("x", "1\0")])), PROTOCOL),
    ("8.2.1 an empty name", headers(1, request(extra=[("", "1")])), PROTOCOL),
    *[(f"8.2.2 {name}", headers(1, request(extra=[(name, value)])), PROTOCOL)
      for name, value in (("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"), ("transfer-encoding", "chunked"),
                          ("upgrade", "h2c"), ("te", "gzip"), ("te", "trailers, gzip"))],
    *[(f"8.3.1 without {name}", headers(1, [each for each in request() if each[0] != name]), PROTOCOL) for name in (":method", ":scheme", ":path")],
    *[(f"8.3.1 {name} twice", headers(1, [*request()[:4], (name, "h")]), PROTOCOL) for name in (":method", ":scheme", ":path", ":authority")],
    ("8.3 a pseudo field behind a field", headers(1, [("x", "1"), *request()]), PROTOCOL),
    ("8.3 an unknown pseudo field", headers(1, [*request(), (":x", "1")]), PROTOCOL),
    ("8.3 :status in a request", headers(1, [*request(), (":status", "200")]), PROTOCOL),
    ("8.3.1 an empty :path", headers(1, request("")), PROTOCOL),
    ("8.3.1 a :path of another form", headers(1, request("x")), PROTOCOL),
    ("8.3.1 * with another method than OPTIONS", headers(1, request("*")), PROTOCOL),
    ("8.3.1 a fragment in :path", headers(1, request("/a#b")), 400),
    ("8.3.1 a space in :path", headers(1, request("/a b")), PROTOCOL),
    ("8.3.1 Host against :authority", headers(1, request(extra=[("host", "other")])), 400),
    ("8.3.1 user information in :authority", headers(1, [*request()[:3], (":authority", "u@h")]), 400),
    ("8.3.1 a :scheme nobody knows", headers(1, [(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "h")]), 400),
    ("8.4 neither :authority nor Host", headers(1, request()[:3]), PROTOCOL),
    ("8.5 CONNECT with :path", headers(1, request(method="CONNECT")), PROTOCOL),
    ("8.5 CONNECT", headers(1, [(":method", "CONNECT"), (":authority", "h:443")], EH), 405),
    *[(f"RFC 8441 without {name}", headers(1, [each for each in WEBSOCKET if each[0] != name], EH), PROTOCOL) for name in (":method", ":scheme", ":path", ":authority")],
    *[(f"RFC 8441 :protocol with {method}", headers(1, [*request(method=method), (":protocol", "websocket")], EH), PROTOCOL) for method in ("GET", "POST", "OPTIONS")],
    ("RFC 8441 :protocol twice", headers(1, [*WEBSOCKET, (":protocol", "websocket")], EH), PROTOCOL),
    ("RFC 8441 :protocol behind a field", headers(1, [*request(method="CONNECT"), ("x", "1"), (":protocol", "websocket")], EH), PROTOCOL),
    *[(f"RFC 8441 :protocol {name}", headers(1, [*request(method="CONNECT"), (":protocol", name)], EH), 501) for name in ("connect-udp", "h2c", "websocket, x")],
    ("RFC 8441 :protocol of nothing", headers(1, [*request(method="CONNECT"), (":protocol", "")], EH), PROTOCOL),
    *[(f"RFC 8441 with content of {size}", headers(1, [*WEBSOCKET, ("content-length", size)], EH), 400) for size in ("0", "5")],
    ("RFC 8441 that expects", headers(1, [*WEBSOCKET, ("expect", "100-continue")], EH), 400),
    ("RFC 8441 to a page", headers(1, [*request("/static", "CONNECT"), (":protocol", "websocket")], EH), 502),
    ("RFC 8441 to a page, already ended", headers(1, [*request("/static", "CONNECT"), (":protocol", "websocket")]), 502),
    ("8.5 trailers behind CONNECT", headers(1, [*request("/wait", "CONNECT"), (":protocol", "websocket")], EH) + headers(1, [("x", "1")]), PROTOCOL),
    ("more fields than allowed", headers(1, request(extra=[("x", str(n)) for n in range(110)])), 431),
    ("8.1 a request that needs no body gets its answer", headers(1, request("/static", "POST"), EH), 200),
]  # fmt: skip

# name, what is sent: nothing comes of it but the answer to stream 1
IGNORED = [
    ("4.1 an unknown frame", frame(0x77, 0xFF, 0, b"?") + GET), ("4.1 reserved bits and flags", frame(PING, 0xFE, 0x80000000, b"12345678") + GET),
    ("5.1 WINDOW_UPDATE behind a reset", headers(3, request()) + number(RST, 3, 8) + number(WINDOW, 3, 1)),
    ("5.1 DATA behind a reset", headers(3, request(), EH) + number(RST, 3, 8) + frame(DATA, 0, 3, b"x")),
    ("5.3.1 a stream that depends on itself", frame(PRIORITY, 0, 3, b"\0\0\0\3\1") + GET), ("5.3 PRIORITY on an idle stream", frame(PRIORITY, 0, 9, b"\0\0\0\1\1") + GET),
    ("6.2 HEADERS with priority", frame(HEADERS, EH | ES | WITH_PRIORITY, 1, b"\0\0\0\0\x10" + block(request("/static")))),
    ("6.2 HEADERS with padding", frame(HEADERS, EH | ES | PADDED, 1, b"\2" + block(request("/static")) + b"\0\0")),
    ("6.5.2 an unknown setting", setting((0x99, 1)) + GET), ("6.5.3 each SETTINGS is acknowledged", setting((1, 100)) + setting((3, 1)) + GET),
    ("6.7 a PING's acknowledgment nobody asked for", frame(PING, ACK, 0, b"12345678") + GET),
    ("6.10 a block in pieces", frame(HEADERS, ES, 1, block(request("/static"))[:5]) + frame(CONT, 0, 1, block(request("/static"))[5:9]) + frame(CONT, EH, 1, block(request("/static"))[9:])),
    ("8.2.2 te: trailers", headers(1, request("/static", extra=[("te", "trailers")]))),
    ("RFC 7541 4.2 the table is made smaller", frame(HEADERS, EH | ES, 1, b"\x20" + block(request("/static")))),
    ("RFC 9218 a priority that is none", headers(1, request("/static", extra=[("priority", "u=99, ???")]))),
    ("RFC 9218 PRIORITY_UPDATE", frame(0x10, 0, 0, b"\0\0\0\1u=0") + GET),
]  # fmt: skip


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("h2")
    origin = Origin()
    with gateway(folder) as made:
        made.start(CONFIG.format(origin=origin.address, log=folder / "access.log")).ready()
        workers = made.workers()
        yield made
        assert made.workers() == workers, "a worker died"
        made.stop()
    origin.close()


def fine(gw: Gateway) -> None:
    """Another connection is served."""
    with Hostile(gw.address()) as other:
        other.send(GET)
        assert other.answer(1) == 200 and other.heard.body[1] == b"hello"


@pytest.mark.parametrize(("name", "raw", "code"), CONNECTION, ids=[row[0] for row in CONNECTION])
def test_connection_errors(gw: Gateway, name: str, raw: bytes, code: int) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(raw)
        heard = peer.end()
        assert heard.goaway == [code]
    fine(gw)


@pytest.mark.parametrize(("name", "raw", "code"), STREAM, ids=[row[0] for row in STREAM])
def test_stream_errors(gw: Gateway, name: str, raw: bytes, code: int) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(raw)
        if "user information" in name:  # nghttp2 refuses it before we do, since some version after 1.52
            peer.until(lambda h: 1 in h.resets or 1 in h.ended)
            code = PROTOCOL if 1 in peer.heard.resets else code
        if code >= 200:
            assert peer.answer(1) == code
            assert peer.settle().resets.get(1, NO) == NO
        else:
            peer.until(lambda h: 1 in h.resets or 1 in h.ended)
            assert peer.heard.resets.get(1) == code and 1 not in peer.heard.status
        peer.send(headers(3, request("/static")))
        assert peer.answer(3) == 200 and not peer.heard.goaway


@pytest.mark.parametrize(("name", "raw"), IGNORED, ids=[row[0] for row in IGNORED])
def test_what_is_no_error(gw: Gateway, name: str, raw: bytes) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(raw)
        peer.send(headers(5, request("/static")))
        assert peer.answer(5) == 200
        heard = peer.settle()
        assert not heard.goaway and not heard.over and 1 not in heard.resets
        assert heard.acks == 1 + raw.count(frame(SETTINGS, 0, 0)[3:4] + b"\0\0\0\0\0") if "SETTINGS" in name else True
        if any(raw.endswith(end) for end in (GET,)):
            assert heard.status[1] == 200


def test_3_4_a_preface_that_is_none(gw: Gateway) -> None:
    for raw in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX" + b"\0" * 9, b"PRI * HTTP/2.1\r\n\r\n"):
        with Hostile(gw.address(), b"") as peer:
            peer.send(raw)
            peer.sock.settimeout(10)
            assert peer.sock.recv(100).startswith(b"HTTP/1.1 505 ")


def test_3_4_the_first_frame_must_be_settings(gw: Gateway) -> None:
    with Hostile(gw.address(), b"") as peer:
        peer.send(PREFACE + frame(PING, 0, 0, b"12345678"))
        assert peer.end().goaway == [PROTOCOL]


def test_3_4_in_pieces_of_one_byte(gw: Gateway) -> None:
    with Hostile(gw.address(), b"") as peer:
        for byte in PREFACE + frame(SETTINGS, 0, 0) + GET:
            peer.send(bytes((byte,)))
        assert peer.answer(1) == 200


def test_3_1_upgrade_is_ignored_and_a_listener_may_refuse_all(gw: Gateway) -> None:
    upgrade = b"GET /static HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    for address, raw, begins in ((gw.address(), upgrade, b"HTTP/1.1 200 "), (gw.address("plain"), PREFACE, b"HTTP/1.1 505 ")):
        with Hostile(address, b"") as peer:
            peer.send(raw)
            assert peer.sock.recv(100).startswith(begins)


def test_5_1_1_a_stream_below_the_last_one_is_not_served(gw: Gateway) -> None:
    """It may be a late frame of one that is over: nghttp2 keeps no list of those, and ignores it."""
    with Hostile(gw.address()) as peer:
        peer.send(headers(5, request("/static")) + headers(3, request("/static")) + headers(7, request("/static")))
        assert peer.answer(7) == 200 and 3 not in peer.settle().status


def test_5_1_2_more_streams_than_allowed(gw: Gateway) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(b"".join(headers(n, request(method="POST"), EH) for n in range(1, 21, 2)))
        heard = peer.until(lambda h: 17 in h.resets or h.goaway)
        assert heard.resets.get(17) == REFUSED or heard.goaway == [PROTOCOL]
    fine(gw)


def test_a_header_block_that_never_ends(gw: Gateway) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(frame(HEADERS, ES, 1, block(request())))
        assert peer.end().goaway == [CALM]


def test_the_log_has_a_word_for_each(gw: Gateway) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(b"".join(headers(n, request()) + number(RST, n, 8) for n in range(1, 61, 2)))
        assert peer.end().goaway == [CALM]
    text = (gw.folder / "access.log").read_text
    until(lambda: '"reason":"rapid_reset"' in text() and '"protocol":"HTTP/2"' in text(), "the line")
