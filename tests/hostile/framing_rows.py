# ruff: noqa: E501
"""What clients send to make two parsers disagree about where a message ends (RFC 9112 sections 6 and 7)."""

from dataclasses import dataclass

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
TE = b"Transfer-Encoding: "


@dataclass(frozen=True)
class Row:
    """`raw` goes out, with /P for the row's own path; `status` are the answers owed, then `closed` or in step.

    `whole`: complete requests the origin must have seen for the row's path; `body`: what the first of them carried.
    """

    name: str
    raw: bytes
    status: tuple[int, ...] = (400,)
    closed: bool = True
    whole: int = 0
    body: bytes | None = None
    method: str = "GET"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /P HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n" + body


# ---- spellings of Transfer-Encoding: field lines without their last CRLF
SERVED = [
    TE + b"chunked", TE + b"Chunked", TE + b"CHUNKED", TE + b"cHuNkEd", TE + b" chunked", TE + b"\tchunked", TE + b"chunked ",
    TE + b"chunked\t", TE + b" \t chunked \t ", b"Transfer-Encoding:chunked", b"TRANSFER-ENCODING: chunked",
    b"transfer-encoding: chunked", b"tRANSFER-eNCODING:\tchunked",
]  # fmt: skip
CODINGS = [TE + b"gzip, chunked", TE + b"gzip,chunked", TE + b"identity, chunked", TE + b"x ,\tchunked", TE + b"deflate, gzip, CHUNKED"]
BAD_VALUES = [
    b"xchunked", b"chunkedx", b"chunke", b"chunk", b"chunked,", b"chunked, ", b",chunked", b", chunked", b"chunked,,", b"gzip,,chunked",
    b"chunked,chunked", b"chunked, chunked", b"chunked, identity", b"chunked, gzip", b"identity", b"gzip", b"deflate", b"x", b"", b" ",
    b",", b"chunked gzip", b"gzip chunked", b"chunked\tgzip", b"chunked identity", b"chun ked", b"chunked;q=1", b"chunked;", b"chunked; a",
    b"gzip;q=1, chunked", b'"chunked"', b"'chunked'", b"(chunked)", b"chunked(c)", b"[chunked]", b"<chunked>", b"chunked=1", b"chunked/1",
    b"chunked\\", b"chunked%0d", b"%63hunked", b"\\x63hunked", b"chunked:", b":chunked", b"=chunked", b"chunked\x0b", b"\x0bchunked",
    b"\x0cchunked", b"chunked\x0c", b"chunked\x00", b"\x00chunked", b"chun\x00ked", b"chunked\x7f", b"chunked\x08", b"\x80chunked",
    b"\xa0chunked", b"chunked\xa0", b"chunked\xc2\xa0", b"\xe2\x80\x8bchunked", "chun\u212aed".encode(), b"\xff\xfechunked", b"chunked\r",
    b"\rchunked", b"chunked\rX: y", b"chunked\nX: y", b"\nchunked", b"chunked\n", b"\r\n chunked", b"\r\n\tchunked", b"chu\r\n nked",
    b"chunked\r\n ", b"chunked\r\n , identity", b"x\r\n\tchunked",
]  # fmt: skip
BAD_LINES = [
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked", b"\tTransfer-Encoding: chunked",
    b"Transfer-Encoding\x0b: chunked", b"Transfer-Encoding\x00: chunked", b"Transfer-Encoding\xa0: chunked", b"Transfer\xadEncoding: chunked",
    b"Transfer Encoding: chunked", b"Transfer-Encoding;: chunked", b'"Transfer-Encoding": chunked', b"(Transfer-Encoding): chunked",
    b"Transfer-Encoding chunked", b"Transfer-Encoding", b"\x00Transfer-Encoding: chunked", b"Transfer-Encoding\r: chunked",
    b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"\rTransfer-Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked", b":Transfer-Encoding: chunked", b": chunked", b"Transfer-Encoding\n: chunked",
    b"X: y\r\n\nTransfer-Encoding: chunked", b"Transfer-Encoding=chunked", b"\xef\xbb\xbfTransfer-Encoding: chunked",
]  # fmt: skip
TWICE = [
    TE + b"chunked\r\n" + TE + b"chunked", TE + b"chunked\r\n" + TE + b"identity", TE + b"identity\r\n" + TE + b"chunked",
    TE + b"\r\n" + TE + b"chunked", TE + b"chunked\r\nX: y\r\ntransfer-encoding: chunked", TE + b"gzip\r\n" + TE + b"chunked",
]  # fmt: skip
OTHER_FIELDS = [
    b"Transfer_Encoding: chunked", b"Transfer-Encodin: chunked", b"XTransfer-Encoding: chunked", b"Transfer-Encoding-X: chunked",
    b"TransferEncoding: chunked", b"Transfer--Encoding: chunked", b"X-Transfer-Encoding: chunked", b"Transfer.Encoding: chunked",
]  # fmt: skip
CHUNKS = b"0\r\n\r\n"


def spelling_rows() -> list[Row]:
    """Every spelling x (CL counts all, CL counts the chunk head only, no CL), with a request behind the body."""
    rows = []
    refused = [TE + v for v in BAD_VALUES] + BAD_LINES + TWICE
    for kind, lines in (("served", SERVED), ("coding", CODINGS), ("bad", refused)):
        for line in lines:
            name = f"{kind} {line.decode('latin-1')!r}"
            both = CHUNKS + HIDDEN
            rows.append(Row(f"CL.TE {name}", post(b"Content-Length: %d\r\n%s\r\n" % (len(both), line), both)))
            rows.append(Row(f"TE.CL {name}", post(b"%s\r\nContent-Length: 4\r\n" % line, b"2e\r\n" + HIDDEN + b"\r\n" + CHUNKS)))
            if kind == "served":
                raw = post(line + b"\r\n", b"3\r\nabc\r\n" + CHUNKS)
                rows.append(Row(f"TE {name}", raw, (200,), closed=False, whole=1, body=b"abc"))
            else:
                rows.append(Row(f"TE {name}", post(line + b"\r\n", both), (501 if kind == "coding" else 400,)))
    for line in OTHER_FIELDS:
        name = f"other field {line.decode()!r}"
        raw = post(b"Content-Length: %d\r\n%s\r\n" % (len(CHUNKS), line), CHUNKS)
        rows.append(Row(f"CL {name}", raw, (200,), closed=False, whole=1, body=CHUNKS))
        rows.append(Row(f"none {name}", post(line + b"\r\n", CHUNKS + HIDDEN), (200, 400), whole=1, body=b""))
    return rows


# ---- Content-Length
BAD_LENGTHS = [
    b"+5", b"-5", b"0x5", b"5, 5", b"5,5", b"5, 45", b"5,", b",5", b"5 5", b"5;", b"5.0", b"5e0", b"0_5", b"05_", b"5\x00", b"\x005", b"5\x0b",
    b"5\xa0", b"\xd9\xa5", b"\xef\xbc\x95", b"", b" ", b"five", b"18446744073709551621", b"18446744073709551615", b"9223372036854775808",
    b"99999999999999999999", b"00000000000000000000005", b"1" * 400, b"0" * 400 + b"5", b"'5'", b'"5"', b"5\r\n 0", b"\r\n 5", b"5\r", b"5\n",
    b"(5)", b"5abc", b"NaN", b"inf", b"0o5", b"0b101",
]  # fmt: skip


def length_rows() -> list[Row]:
    rows = [Row(f"CL {v[:40].decode('latin-1')!r}", post(b"Content-Length: " + v + b"\r\n", b"hello" + HIDDEN)) for v in BAD_LENGTHS]
    for fields in (
        b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 0\r\ncontent-length: 5\r\n",
        b"Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 05\r\n", b"Content-Length : 5\r\n", b"Content-Length\t: 5\r\n", b" Content-Length: 5\r\n",
        b"Content-Length\x00: 5\r\n", b"Content-Length\xa0: 5\r\n", b"Content Length: 5\r\n", b"Content-Length\r\n", b"X: y\nContent-Length: 5\r\n",
        b"Content-Length: 5\nX: y\r\n", b"Content-Length: 5\rX: y\r\n",
    ):  # fmt: skip
        rows.append(Row(f"CL lines {fields.decode('latin-1')!r}", post(fields, b"hello" + HIDDEN)))
    good = ((b"5", b"hello"), (b"05", b"hello"), (b" 5\t", b"hello"), (b"0", b""), (b"0000000000000000005", b"hello"))
    rows += [
        Row(f"CL good {v!r}", post(b"Content-Length: " + v + b"\r\n", body), (200,), closed=False, whole=1, body=body) for v, body in good
    ]
    get = b"GET /P HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
    rows.append(Row("GET with a body that is a request", get, (200,), closed=False, whole=1, body=HIDDEN))
    rows.append(Row("1.0 with Transfer-Encoding", b"POST /P HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS))
    for option in (b"Content-Length", b"Transfer-Encoding", b"Host", b"content-length, close"):
        body = b"Content-Length: 5\r\n"
        raw = post(b"Connection: " + option + b"\r\n" + body, b"hello")
        ends = b"close" in option
        rows.append(Row(f"Connection: {option.decode()}", raw, (200,), closed=ends, whole=1, body=b"hello"))
    return rows


# ---- chunks
BAD_CHUNKS = [
    b"0x3\r\nabc\r\n", b"+3\r\nabc\r\n", b"-3\r\nabc\r\n", b" 3\r\nabc\r\n", b"\t3\r\nabc\r\n", b"3_\r\nabc\r\n", b"0_3\r\nabc\r\n", b"g\r\nabc\r\n",
    b"3\nabc\r\n", b"3\rabc\r\n", b"3\r\nabc\n", b"3\r\nabc", b"3\r\nabcd\r\n", b"3\r\nab\r\n", b"3\r\nabc\r", b"3\r\nabc\r\r\n", b"3\r\nabc0\r\n",
    b"\r\n3\r\nabc\r\n", b";a=b\r\nabc\r\n", b"3 \r\nabc\r\n", b"3\t\r\nabc\r\n", b"3 3\r\nabc\r\n", b"3;\x00\r\nabc\r\n", b"3;a=\x7f\r\nabc\r\n",
    b"3;a\nb\r\nabc\r\n", b"3;a\rb\r\nabc\r\n", b"3;a\n\r\nabc\r\n", b"3\x00\r\nabc\r\n", b"3,\r\nabc\r\n", b"3\x0b\r\nabc\r\n",
    b"10000000000000003\r\nabc\r\n", b"00000000000000003\r\nabc\r\n", b"f" * 17 + b"\r\nabc\r\n", b"f" * 400 + b"\r\nabc\r\n",
    b"\xd9\xa3\r\nabc\r\n", b"3;" + b"a" * 300 + b"\r\nabc\r\n", b"3\r\r\nabc\r\n", b"three\r\nabc\r\n",
]  # fmt: skip
BAD_ENDS = [
    b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\r\n", b"0\r\n\r\r\n", b"0;\x00\r\n\r\n", b"00x\r\n\r\n", b"0\r\nX y\r\n\r\n", b"0\r\nX: y\n\r\n",
    b"0\r\n X: y\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nX: \x00\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\nX: a\rb\r\n\r\n", b"0\r\n: y\r\n\r\n",
    b"00000000000000000\r\n\r\n",
]  # fmt: skip
GOOD_CHUNKS = [
    (b"3\r\nabc\r\n0\r\n\r\n", b"abc"), (b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc"), (b"3;a=b\r\nabc\r\n000\r\n\r\n", b"abc"),
    (b'3;a="b c"\r\nabc\r\n0;x\r\n\r\n', b"abc"), (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"), (b"3 ;a\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"), (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"), (b"3\r\nabc\r\n0\r\nX-T: y\r\n\r\n", b"abc"),
    (b"3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: evil\r\n\r\n", b"abc"),
    (b"3\r\nabc\r\n0\r\nConnection: upgrade\r\nUpgrade: x\r\nKeep-Alive: 1\r\n\r\n", b"abc"),
]  # fmt: skip


def chunk_rows() -> list[Row]:
    te = TE + b"chunked\r\n"
    rows = [Row(f"chunk {c[:40].decode('latin-1')!r}", post(te, c + CHUNKS + HIDDEN)) for c in BAD_CHUNKS]
    rows += [Row(f"last chunk {c.decode('latin-1')!r}", post(te, b"3\r\nabc\r\n" + c + HIDDEN)) for c in BAD_ENDS]
    rows += [
        Row(f"chunks {c.decode('latin-1')!r}", post(te, c), (200,), closed=False, whole=1, body=body) for c, body in GOOD_CHUNKS
    ]
    bits = b"1;" + b"e" * 200 + b"\r\nx\r\n"
    rows.append(Row("chunk extensions, 20 kB in all", post(te, bits * 100 + CHUNKS + HIDDEN)))
    fields = b"".join(b"X-%d: y\r\n" % i for i in range(40))
    rows.append(Row("40 trailer fields", post(te, b"0\r\n" + fields + b"\r\n" + HIDDEN), (431,)))
    rows.append(Row("9 kB of trailers", post(te, b"0\r\n" + (b"X: " + b"y" * 900 + b"\r\n") * 10 + b"\r\n" + HIDDEN), (431,)))
    return rows
