# ruff: noqa: E501
"""What upstreams answer, and what the client may see of it."""

from dataclasses import dataclass

HEAD = b"HTTP/1.1 200 OK\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"


@dataclass(frozen=True)
class ReplyRow:
    """`raw` is said and then `then` done; the client owes to see `status`, and all of the body or an unfinished one."""

    name: str
    raw: bytes
    status: int = 502
    whole: bool = True
    body: bytes | None = None
    then: str = "keep"
    bad: bool = True
    method: str = "GET"


def reply_rows() -> list[ReplyRow]:
    bad = [
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 2, 2\r\n\r\nhi", HEAD + b"Content-Length: +2\r\n\r\nhi", HEAD + b"Content-Length: -2\r\n\r\nhi", HEAD + b"Content-Length: 0x2\r\n\r\nhi",
        HEAD + b"Content-Length: 18446744073709551618\r\n\r\nhi", HEAD + b"Content-Length:\r\n\r\nhi", HEAD + b"Content-Length : 2\r\n\r\nhi",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HEAD + b"X: a\x00b\r\n\r\n", HEAD + b"X: a\rb\r\n\r\n", HEAD + b"X: a\nY: b\r\n\r\n",
        HEAD + b"X: a\r\n b\r\n\r\n", HEAD + b"X : a\r\n\r\n", HEAD + b" X: a\r\n\r\n", HEAD + b": a\r\n\r\n", HEAD + b"X\r\n\r\n", HEAD + b"X: a\x7f\r\n\r\n",
        b"hello, world\n", b"<html>0.9</html>", b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 200\x00OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.10 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1 200 O\rK\r\n\r\n", b"\r\n\r\n" + SECOND,
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n" + SECOND,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 40 + SECOND, b"HTTP/1.1 100 Continue\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + SECOND,
        HEAD + b"X: y\r\n" * 120 + b"\r\n", HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n", b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n",
    ]  # fmt: skip
    rows = [ReplyRow(f"reply {b[:70].decode('latin-1')!r}", b) for b in bad]
    for end in (b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n", HEAD + b"X: y"):
        rows += [ReplyRow(f"{end!r}, then {then}", end, then=then) for then in ("close", "reset")]
    te = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for chunks in (
        b"0x3\r\nabc\r\n", b"+3\r\nabc\r\n", b"3\nabc\r\n", b"3\r\nabc\n", b"3\r\nabcd\r\n", b"10000000000000003\r\nabc\r\n", b"3;\x00\r\nabc\r\n",
        b"g\r\n", b" 3\r\nabc\r\n", b"\r\n", b"3\r\nabc\r\n0\n\n", b"3\r\nabc\r\n0\r\nX y\r\n\r\n", b"3\r\nabc\r\n0\r\nX: \x00\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 50 + b"\r\n", (b"1;" + b"e" * 200 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n", b"3;" + b"e" * 400 + b"\r\nabc\r\n",
    ):  # fmt: skip
        rows.append(ReplyRow(f"chunks {chunks[:40].decode('latin-1')!r}", te + chunks, 200, whole=False))
    for part in (b"", b"3\r\n", b"3\r\nabc\r\n", b"3\r\nabc\r\n0\r\n", b"3\r\nabc\r\n0\r\nX: y\r\n"):
        rows += [ReplyRow(f"cut chunks {part!r}, {then}", te + part, 200, whole=False, then=then) for then in ("close", "reset")]
    rows.append(ReplyRow("a cut body", HEAD + b"Content-Length: 9\r\n\r\nhi", 200, whole=False, then="close"))
    good = HEAD + b"Content-Length: 2\r\n\r\nhi"
    for behind in (SECOND, b"\r\n", b"x", b"\x00"):
        rows.append(ReplyRow(f"{behind!r} behind the body", good + behind, 200, body=b"hi"))
        rows.append(ReplyRow(f"{behind!r} behind the chunks", te + b"2\r\nhi\r\n0\r\n\r\n" + behind, 200, body=b"hi"))
    rows.append(ReplyRow("a body behind the answer to HEAD", good, 200, body=b"", method="HEAD"))
    rows.append(ReplyRow("a body behind 204", b"HTTP/1.1 204 No\r\n\r\n" + SECOND, 204, body=b""))
    rows.append(ReplyRow("a body behind 304", b"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\nhi", 304, body=b""))
    rows.append(ReplyRow("close-delimited", HEAD + b"\r\nhi", 200, body=b"hi", then="close"))
    rows.append(ReplyRow("good", good, 200, body=b"hi", bad=False))
    rows.append(ReplyRow("103 first", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + good, 200, body=b"hi", bad=False))
    return rows
