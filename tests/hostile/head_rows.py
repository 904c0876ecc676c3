# ruff: noqa: E501
"""What clients send to make two parsers disagree about what a request asks, and of whom; and heads without end."""

from tests.hostile.framing_rows import HIDDEN, Row

HOST = b"Host: h\r\n"


def line(first: bytes, fields: bytes = HOST) -> bytes:
    return first + b"\r\n" + fields + b"\r\n"


def field_rows() -> list[Row]:
    """Line ends, NUL, folds, names and values."""
    get = b"GET /P HTTP/1.1\r\n" + HOST
    bad = [
        b"X: a\nY: b\r\n\r\n", b"X: a\rY: b\r\n\r\n", b"X: a\r\r\n\r\n", b"X: a\x00b\r\n\r\n", b"X: \x00\r\n\r\n", b"X: a\r\n b\r\n\r\n", b"X: a\r\n\tb\r\n\r\n",
        b" X: a\r\n\r\n", b"\tX: a\r\n\r\n", b"X : a\r\n\r\n", b"X\t: a\r\n\r\n", b": a\r\n\r\n", b"X\r\n\r\n", b"X a\r\n\r\n", b"X\x00: a\r\n\r\n",
        b"X\x80: a\r\n\r\n", b"X(: a\r\n\r\n", b"X[]: a\r\n\r\n", b"X/Y: a\r\n\r\n", b"X@: a\r\n\r\n", b'X": a\r\n\r\n', b"X: a\x7fb\r\n\r\n",
        b"X: a\x01b\r\n\r\n", b"X: a\x1bb\r\n\r\n", b"X: a\x08\r\n\r\n", b"X: a\r\n\n", b"\nX: a\r\n\r\n", b"X: a\r\n\rX: b\r\n\r\n", b"X,Y: a\r\n\r\n",
    ]  # fmt: skip
    rows = [Row(f"field {b.decode('latin-1')!r}", get + b + HIDDEN) for b in bad]
    rows.append(Row("bare LF throughout", b"GET /P HTTP/1.1\nHost: h\n\n" + HIDDEN))
    rows.append(Row("LF behind the request line", b"GET /P HTTP/1.1\nHost: h\r\n\r\n" + HIDDEN))
    rows.append(Row("bare CR throughout", b"GET /P HTTP/1.1\rHost: h\r\r" + HIDDEN))
    rows.append(Row("fold before the first field", b"GET /P HTTP/1.1\r\n Host: h\r\n\r\n" + HIDDEN))
    good = (b"X: a\tb\r\n\r\n", b"X:\r\n\r\n", b"X: \xc3\xa9\xff\r\n\r\n", b"x!#$%&'*+-.^_`|~9: a\r\n\r\n", b"X: a:b:c\r\n\r\n")
    rows += [Row(f"field good {g!r}", get + g, (200,), closed=False, whole=1) for g in good]
    return rows


def line_rows() -> list[Row]:
    """Method, target, version."""
    bad = [
        b"GET  /P HTTP/1.1", b" GET /P HTTP/1.1", b"GET /P  HTTP/1.1", b"GET /P HTTP/1.1 ", b"GET\t/P HTTP/1.1", b"GET /P\tHTTP/1.1", b"GET /P",
        b"GET", b"GET HTTP/1.1", b"GET  HTTP/1.1", b"GET /P HTTP/1.1 x", b"GET /P /x HTTP/1.1", b"GET /P HTTP/1.10", b"GET /P HTTP/1.01",
        b"GET /P HTTP/11", b"GET /P http/1.1", b"GET /P HTTP/1", b"GET /P HTTP/1.", b"GET /P HTTP/.1", b"GET /P HTTP/1.x", b"GET /P HTTP/+1.1",
        b"GET /P HTTP/1,1", b"GET /P HTTPS/1.1", b"GET /P FTP/1.1", b"GET /P HTTP 1.1", b"GET /P HTTP/\xd9\xa1.1", b"GET /P HTTP/1.1\x00",
        b"G\x00T /P HTTP/1.1", b"G(T /P HTTP/1.1", b"G\x80T /P HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET: /P HTTP/1.1",
        b"GET /P#frag HTTP/1.1", b"GET /P\x00 HTTP/1.1", b"GET /P\x7f HTTP/1.1", b"GET /P\x80 HTTP/1.1", b"GET /P%00 HTTP/1.1", b"GET /P%0d%0aX:y HTTP/1.1",
        b"GET /P%0 HTTP/1.1", b"GET /P% HTTP/1.1", b"GET /P%zz HTTP/1.1", b"GET /P/..%2f..%2fx HTTP/1.1", b"GET /../P HTTP/1.1", b"GET /..%2fP HTTP/1.1",
        b"GET /%2e%2e/P HTTP/1.1", b"GET /..\\P HTTP/1.1", b"GET /P%5cx HTTP/1.1", b"GET P HTTP/1.1", b"GET h/P HTTP/1.1", b"GET * HTTP/1.1",
        b"GET ?/P HTTP/1.1", b"GET ftp://h/P HTTP/1.1", b"GET file:///P HTTP/1.1", b"GET http:///P HTTP/1.1", b"GET http:/P HTTP/1.1",
        b"GET http://u@h/P HTTP/1.1", b"GET http://u:p@h/P HTTP/1.1", b"GET http://h:x/P HTTP/1.1", b"GET http://h:99999/P HTTP/1.1",
        b"GET http://h:0/P HTTP/1.1", b"GET http://[::1/P HTTP/1.1", b"GET http://[::1]x/P HTTP/1.1", b"GET http://h\\e/P HTTP/1.1",
        b"GET http://h#/P HTTP/1.1", b"GET //\x01/P HTTP/1.1", b"CONNECT /P HTTP/1.1", b"CONNECT h HTTP/1.1", b"CONNECT h:x HTTP/1.1",
        b"GE" + b"T" * 40 + b" /P HTTP/1.1",
    ]  # fmt: skip
    rows = [Row(f"line {b.decode('latin-1')!r}", line(b) + HIDDEN) for b in bad]
    for version in (b"2.0", b"0.9", b"3.0", b"1.2", b"9.9", b"0.0"):
        rows.append(Row(f"version {version.decode()}", line(b"GET /P HTTP/" + version) + HIDDEN, (505,)))
    rows.append(Row("the preface of HTTP/2, not whole", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", (505,)))
    rows.append(Row("HTTP/0.9", b"GET /P\r\n"))
    rows.append(Row("two empty lines first", b"\r\n\r\n" + line(b"GET /P HTTP/1.1") + HIDDEN))
    rows.append(Row("LF first", b"\n" + line(b"GET /P HTTP/1.1") + HIDDEN))
    rows.append(Row("one empty line first", b"\r\n" + line(b"GET /P HTTP/1.1"), (200,), closed=False, whole=1))
    rows.append(Row("CONNECT", line(b"CONNECT h:80 HTTP/1.1", b"Host: h:80\r\n"), (405,)))
    rows.append(Row("an unknown method", line(b"FROB /P HTTP/1.1"), (200,), closed=False, whole=1))
    rows.append(Row("a method in small letters", line(b"get /P HTTP/1.1"), (200,), closed=False, whole=1))
    same = (b"/./P", b"//P", b"/x/../P", b"/x/%2e%2e/P", b"/%2E/P", b"///x//..//P", b"http://h/P", b"HTTP://h/x/../P", b"http://h:80/P", b"https://h/P")
    rows += [Row(f"one path from {t.decode()}", line(b"GET " + t + b" HTTP/1.1"), (200,), closed=False, whole=1) for t in same]
    return rows


def host_rows() -> list[Row]:
    """One Host and only one."""
    bad = [
        b"", b"Host: h\r\nHost: h\r\n", b"Host: h\r\nHost: e\r\n", b"Host: h\r\nX: y\r\nhost: e\r\n", b"Host: h, e\r\n", b"Host: h e\r\n", b"Host: h/e\r\n",
        b"Host: u@h\r\n", b"Host: h:x\r\n", b"Host: h:80:80\r\n", b"Host: h:99999\r\n", b"Host: h:-1\r\n", b"Host: [::1\r\n", b"Host: [::1]e\r\n",
        b"Host: [::g]\r\n", b"Host: h#e\r\n", b"Host: h?e\r\n", b"Host: h\\e\r\n", b"Host: h\x00\r\n", b"Host: h\r\n e\r\n", b"Host:\r\n h\r\n",
        b"Host : h\r\n", b" Host: h\r\n", b"Host: h\xff\r\n", b"Host: http://h\r\n", b"Host: h\te\r\n", b'Host: "h"\r\n', b"Host: :80\r\n",
        b"Host: <h>\r\n", b"Host: {h}\r\n",
    ]  # fmt: skip
    rows = [Row(f"Host {b.decode('latin-1')!r}", line(b"GET /P HTTP/1.1", b) + HIDDEN) for b in bad]
    rows.append(Row("two Hosts under an absolute target", line(b"GET http://h/P HTTP/1.1", b"Host: h\r\nHost: e\r\n") + HIDDEN))
    rows.append(Row("no Host under an absolute target", line(b"GET http://h/P HTTP/1.1", b"") + HIDDEN))
    rows.append(Row("1.0 without Host", b"GET /P HTTP/1.0\r\n\r\n", (200,), whole=1))
    rows.append(Row("1.0 keep-alive", b"GET /P HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", (200,), closed=False, whole=1))
    rows.append(Row("an absolute target and another Host", line(b"GET http://h/P HTTP/1.1", b"Host: e\r\n"), (200,), closed=False, whole=1))
    for host in (b"H.Example", b"h.", b"h:8080", b"[::1]:80", b"127.0.0.1"):
        rows.append(Row(f"Host {host.decode()}", line(b"GET /P HTTP/1.1", b"Host: " + host + b"\r\n"), (200,), closed=False, whole=1))
    return rows


def limit_rows() -> list[Row]:
    """Heads that grow. What is sent stays below what the gateway drains, so that its answer is not lost to a reset."""
    get = b"GET /P HTTP/1.1\r\n" + HOST
    equal, many = b"X: y\r\n" * 99, b"X: y\r\n" * 100
    return [
        Row("a line of 17 kB", line(b"GET /P" + b"a" * 17000 + b" HTTP/1.1"), (414,)),
        Row("a query of 17 kB", line(b"GET /P?" + b"a" * 17000 + b" HTTP/1.1"), (414,)),
        Row("an endless line", b"GET /P" + b"a" * 100_000, (414,)),
        Row("a field of 17 kB", get + b"X: " + b"a" * 17000 + b"\r\n\r\n", (431,)),
        Row("an endless value", get + b"X: " + b"a" * 100_000, (431,)),
        Row("an endless name", get + b"X" * 100_000, (431,)),
        Row("endless blanks", get + b"X:" + b" " * 100_000, (431,)),
        Row("a head of 70 kB", get + (b"X: " + b"a" * 7000 + b"\r\n") * 10 + b"\r\n", (431,)),
        Row("100 fields", get + equal + b"\r\n", (200,), closed=False, whole=1),
        Row("101 fields", get + many + b"\r\n", (431,)),
        Row("10000 fields", get + many * 100 + b"\r\n", (431,)),
        Row("90 Cookies", get + b"Cookie: a=b\r\n" * 90 + b"\r\n", (200,), closed=False, whole=1),
        Row("a length over the limit", b"POST /P HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", (413,)),
        Row("an unknown expectation", b"POST /P HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 2\r\n\r\nhi" + HIDDEN, (417,)),
        Row("an expectation met", b"POST /P HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", (200,), False, 1, b"hi"),
    ]


def upgrade_rows() -> list[Row]:
    """Upgrades that are refused by the origin, or hide a request: no tunnel, and what follows is read as HTTP."""
    ws = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    junk = b"\x81\x05hello"
    return [
        Row("an upgrade answered 200, then bytes", line(b"GET /P HTTP/1.1", HOST + ws) + junk, (200, 400), whole=1),
        Row("an upgrade of version 999", line(b"GET /P HTTP/1.1", HOST + ws.replace(b"13", b"999")) + junk, (200, 400), whole=1),
        Row("an upgrade without Connection", line(b"GET /P HTTP/1.1", HOST + b"Upgrade: websocket\r\n") + junk, (200, 400), whole=1),
        Row("h2c", line(b"GET /P HTTP/1.1", HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n")
            + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (200, 505), whole=1),
        Row("an upgrade from 1.0", b"GET /P HTTP/1.0\r\nHost: h\r\n" + ws + b"\r\n" + HIDDEN, (200,), whole=1),
    ]  # fmt: skip
