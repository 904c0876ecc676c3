# ruff: noqa: E501
"""The engine's head and body parser beside llhttp and h11: every difference belongs to a class that says why (classes.py).

Bytes come from the tables of this folder, from the corpora that fuzzing left, and from mutations of valid messages that
hypothesis makes, the same in every run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.classes import CLASSES, Class
from tests.hostile.framing_rows import chunk_rows, length_rows, spelling_rows
from tests.hostile.head_rows import field_rows, host_rows, limit_rows, line_rows, upgrade_rows
from tests.hostile.readers import READERS, Engine, differences
from tests.hostile.reply_rows import reply_rows

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus"
TABLES = (spelling_rows, length_rows, chunk_rows, field_rows, line_rows, host_rows, limit_rows, upgrade_rows)
POST = b"POST /p HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
Bytes = tuple[str, bytes]


def from_tables() -> Iterator[Bytes]:
    for table in TABLES:
        for row in table():
            yield "Q", row.raw
    for reply in reply_rows():
        yield "H" if reply.method == "HEAD" else "R", reply.raw


def from_corpora() -> Iterator[Bytes]:
    """Their first two bytes choose kind and cuts (fuzz_head.c, fuzz_body.c); trailers and bodies get a head."""
    for path in sorted((CORPUS / "head").iterdir()):
        data = path.read_bytes()
        if len(data) > 2:
            kind = data[0] % 3
            yield ("Q", CHUNKED + b"0\r\n" + data[2:]) if kind == 2 else ("QR"[kind], data[2:])
    for path in sorted((CORPUS / "body").iterdir()):
        data = path.read_bytes()
        if len(data) > 2:
            sized = POST + b"Content-Length: %d\r\n\r\n" % data[1]
            yield "Q", (sized if data[0] & 128 else CHUNKED) + data[2:]


VALID: list[Bytes] = [
    ("Q", b"GET /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nX-Long: a b\tc\r\n\r\n"),
    ("Q", b"PUT /x HTTP/1.1\r\nHost: h:80\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"),
    ("Q", CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-T: y\r\n\r\n"),
    ("Q", b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    ("R", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello"),
    ("R", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("R", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\nuntil the end"),
    ("H", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
]  # fmt: skip
PIECES = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff", b":", b";", b",", b"_", b"#", b"0", b"5",
    b"0x", b"+", b"-", b"ffffffffffffffff", b"1" * 20, b"chunked", b", chunked", b"identity", b"gzip, ", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length:", b"Transfer-Encoding:", b"Host: e\r\n", b"\r\n ", b"\r\n\t", b"HTTP/1.1", b"HTTP/1.0",
    b"HTTP/2.0", b"X: y\r\n", b"X : y\r\n", b": y\r\n", b"0\r\n\r\n", b"a" * 40, b'"', b"\\", b"(", b"GET / HTTP/1.1\r\n",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Bytes:
    """A valid message after one to four cuts, insertions, replacements, repetitions."""
    kind, data = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        change = draw(st.sampled_from(["insert", "insert", "replace", "cut", "repeat", "byte"]))
        if change in ("insert", "replace"):
            data = data[:at] + draw(st.sampled_from(PIECES)) + data[at if change == "insert" else end :]
        elif change == "cut":
            data = data[:at] + data[end:]
        elif change == "repeat":
            data = data[:end] + data[at:]
        else:
            data = data[:at] + draw(st.binary(min_size=1, max_size=1)) + data[at + 1 :]
    return kind, data


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


def judge(engine: Engine, kind: str, data: bytes) -> tuple[set[Class], list[str]]:
    """The classes that differences in these bytes belong to, and the differences that belong to none."""
    ours = engine(kind, data)
    classes, unlisted = set(), []
    for name, read in READERS.items():
        theirs = read(kind, data)
        for what in differences(ours, theirs):
            found = next((c for c in CLASSES if c.reader in (name, "both") and what in c.what and c.applies(data, ours, theirs)), None)
            if found is None:
                unlisted.append(f"{name}: {what} of {kind} {data!r}\n  ours:   {ours}\n  theirs: {theirs}")
            else:
                classes.add(found)
    return classes, unlisted


@pytest.mark.parametrize("source", [from_tables, from_corpora])
def test_no_difference_without_a_reason(engine: Engine, source) -> None:
    unlisted = [text for kind, data in source() for text in judge(engine, kind, data)[1]]
    assert not unlisted, f"{len(unlisted)} differences\n" + "\n".join(unlisted[:5])


@settings(
    derandomize=True, database=None, deadline=None, max_examples=3000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(mutated())
def test_no_difference_in_mutations(engine: Engine, message: Bytes) -> None:
    unlisted = judge(engine, *message)[1]
    assert not unlisted, "\n".join(unlisted)


def test_every_class_occurs(engine: Engine) -> None:
    seen: set[Class] = set()
    for source in (from_tables, from_corpora):
        for kind, data in source():
            seen |= judge(engine, kind, data)[0]
    assert not [each.name for each in CLASSES if each not in seen]


def test_the_readers_agree_on_valid_messages(engine: Engine) -> None:
    for kind, data in VALID:
        ours = engine(kind, data)
        assert ours.verdict == "accept", data
        for read in READERS.values():
            theirs = read(kind, data)
            assert (theirs.verdict, theirs.first, theirs.body) == ("accept", ours.first, ours.body), data
            assert differences(ours, theirs) == []
