# ruff: noqa: E501
"""What an HTTP/2 upstream may say that it must not, and what it may; with what is owed for it. Sections are RFC 9113's unless said otherwise."""

import struct

from tests.hostile.h2_origin import Script, reply
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

NO, PROTOCOL, INTERNAL, FLOW, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 0, 1, 2, 3, 5, 6, 7, 8, 9, 11
ES, EH = END_STREAM, END_HEADERS
BREACH, FLOOD, BAD = "upstream_protocol_error", "upstream_flood", "upstream_bad_answer"
LONG, REFUSAL, RESET, TRUNCATED = "upstream_head_too_long", "upstream_refused", "upstream_reset", "upstream_truncated"
OK = [(":status", "200")]


def setting(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in pairs))


def ok(stream: int, fields: list[tuple[str, str]] | None = None, flags: int = EH) -> bytes:
    return headers(stream, [*OK, *(fields or [])], flags)


def long_field(stream: int) -> bytes:
    """A value of 16,472 bytes, in two frames."""
    block_ = block(OK) + b"\x00\x01x\x7f\xd9\x7f" + b"v" * (127 + 89 + 127 * 128)
    return frame(HEADERS, ES, stream, block_[:9000]) + frame(CONT, EH, stream, block_[9000:])


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
    ("a field longer than allowed", long_field, CANCEL, LONG),
]  # fmt: skip

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
