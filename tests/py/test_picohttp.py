"""fastgw.picohttp: its shapes, its failures, its readers, what it leaves behind."""

import doctest
import gc
import subprocess
import sys
import threading
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings

from fastgw import picohttp
from fastgw.picohttp import (
    Data,
    End,
    Limits,
    ParseError,
    RequestHead,
    RequestReader,
    ResponseHead,
    ResponseReader,
    parse_request,
    parse_response,
    parse_trailers,
)
from tests.hostile.test_differential import mutated

GET = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\nx-a:2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: v\r\n\r\n"
)
REPEATABLE = settings(
    derandomize=True, database=None, deadline=None, max_examples=1500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def refused(data: bytes, parse=parse_request, limits: Limits = picohttp.head.DEFAULT) -> tuple[str, int]:
    with pytest.raises(ParseError) as caught:
        parse(data, limits)
    return caught.value.word, caught.value.offset


def events(reader: picohttp.reader._Reader) -> list[object]:
    return list(iter(reader.next, None))


def joined(found: list[object]) -> list[object]:
    """Events with neighbouring pieces of body as one."""
    out: list[object] = []
    for event in found:
        if isinstance(event, Data) and out and isinstance(out[-1], Data):
            event = Data(out.pop().data + event.data)
        out.append(event)
    return out


# ---- one head


def test_the_examples_in_its_page() -> None:
    assert doctest.testmod(picohttp).attempted == 2
    assert doctest.testmod(picohttp).failed == 0


def test_a_request() -> None:
    head = parse_request(GET + b"behind")
    fields = ((b"Host", b"x"), (b"X-A", b"1"), (b"x-a", b"2"))
    assert head == RequestHead(fields, b"GET", b"/a?b", 1, len(GET))
    assert head.get(b"HOST") == b"x"
    assert head.get(b"none") is None
    assert head.get(b"none", b"d") == b"d"
    assert head.all(b"X-a") == [b"1", b"2"]


def test_a_response() -> None:
    head = parse_response(b"HTTP/1.0 404 Not Found\r\n\r\nbody")
    assert head == ResponseHead((), 404, b"Not Found", 0, 26)
    assert parse_response(b"HTTP/1.1 200 \r\n\r\n").reason == b""


def test_trailers() -> None:
    assert parse_trailers(b"\r\n").fields == ()
    found = parse_trailers(b"X-T: 1\r\n\r\nGET")
    assert (found.fields, found.size) == (((b"X-T", b"1"),), 10)
    assert parse_trailers(b"X-T: 1\r\n") is None


def test_every_beginning_of_a_head_needs_more() -> None:
    for n in range(len(GET)):
        assert parse_request(GET[:n]) is None
    for n in range(len(OK) - 2):
        assert parse_response(OK[:n]) is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_what_it_takes(kind) -> None:
    assert parse_request(kind(GET)).target == b"/a?b"
    reader = RequestReader()
    reader.feed(kind(GET))
    assert reader.next().target == b"/a?b"


@pytest.mark.parametrize("wrong", ["GET / HTTP/1.1\r\n\r\n", 5, None])
def test_what_it_does_not_take(wrong) -> None:
    with pytest.raises(TypeError):
        parse_request(wrong)
    with pytest.raises(TypeError):
        RequestReader().feed(wrong)


def test_heads_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parse_request(GET).target = b"/"


# ---- failures


@pytest.mark.parametrize(
    ("data", "word", "bad"),
    [
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", "bad_request_line", b"\n"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", "bad_field", b" :"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "bad_field", b" folded"),
        (b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n", "bad_field", b"\x00"),
        (b"G\x80T / HTTP/1.1\r\n\r\n", "bad_request_line", b"\x80"),
        (b"GET /#f HTTP/1.1\r\n\r\n", "bad_request_line", b"#"),
    ],
)
def test_a_failure_says_where(data: bytes, word: str, bad: bytes) -> None:
    assert refused(data) == (word, data.index(bad))


def test_a_failure_is_a_value_of_the_engine() -> None:
    with pytest.raises(ParseError, match=r"^bad_version at byte 13: the HTTP version is not served$") as caught:
        parse_request(b"GET / HTTP/2.0\r\n\r\n")
    error = caught.value
    assert (error.word, error.status, error.offset) == ("bad_version", 505, 13)
    with pytest.raises(ParseError, match="bad_request_line"):
        parse_response(b"HTTP/1.1 99 no\r\n\r\n")


@pytest.mark.parametrize(
    ("limits", "data", "word", "offset"),
    [
        (Limits(line=20), b"GET /" + b"a" * 40, "line_too_long", 20),
        (Limits(field=16), b"GET / HTTP/1.1\r\nX: " + b"a" * 40, "field_too_long", 32),
        (Limits(head=64), b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 40, "head_too_long", 64),
        (Limits(fields=2), b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 3, "too_many_fields", 28),
        (Limits(), b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 101, "too_many_fields", 616),
    ],
)
def test_limits(limits: Limits, data: bytes, word: str, offset: int) -> None:
    assert refused(data, limits=limits) == (word, offset)
    assert parse_request(data[:offset], limits) is None


def test_many_fields() -> None:
    lines = [b"X%d: %d\r\n" % (i, i) for i in range(4096)]
    head = parse_request(b"GET / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n", Limits(fields=4096, head=1 << 20))
    assert [name for name, _ in head.fields] == [b"X%d" % i for i in range(4096)]


@pytest.mark.parametrize("wrong", [{"line": -1}, {"fields": 5000}, {"head": 1 << 30}])
def test_limits_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be from 0 to"):
        Limits(**wrong)


@REPEATABLE
@given(mutated())
def test_the_offset_is_that_of_the_first_byte_that_is_wrong(message: tuple[str, bytes]) -> None:
    """Up to it the bytes are a beginning; with it, in any pieces, they are not; and a reader names the same place."""
    kind, data = message
    parse, make = (parse_request, RequestReader) if kind == "Q" else (parse_response, ResponseReader)
    try:
        parse(data)
    except ParseError as error:
        assert parse(data[: error.offset]) is None
        assert refused(data[: error.offset + 1], parse) == (error.word, error.offset)
        reader = make()
        for i in range(len(data)):
            reader.feed(data[i : i + 1])
            if i < error.offset:
                assert reader.next() is None
                continue
            with pytest.raises(ParseError) as again:
                reader.next()
            assert (again.value.word, again.value.offset) == (error.word, error.offset)


# ---- readers


def test_requests_one_behind_the_other() -> None:
    reader = RequestReader()
    reader.feed(CHUNKED + GET)
    head, *rest = events(reader)
    assert head.method == b"POST"
    assert rest[:-2] == [Data(b"abc"), Data(b"de"), End(((b"X-T", b"v"),))]
    assert rest[-2:] == [parse_request(GET), End()]
    reader.eof()
    assert reader.next() is None


def test_it_does_not_matter_how_bytes_are_cut() -> None:
    whole = RequestReader()
    whole.feed(CHUNKED + GET)
    expected = events(whole)
    expected[1:3] = [Data(b"abcde")]
    for size in (1, 2, 3, 7):
        reader, found = RequestReader(), []
        for i in range(0, len(CHUNKED + GET), size):
            reader.feed((CHUNKED + GET)[i : i + size])
            found += events(reader)
        assert joined(found) == expected


def test_a_response_ends_as_its_request_says() -> None:
    reader = ResponseReader(methods=[b"HEAD"])
    reader.expect(b"GET")
    reader.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK[:-2] + OK + OK)
    found = [event for event in events(reader) if not isinstance(event, ResponseHead)]
    assert found == [End(), Data(b"ok"), End(), Data(b"ok"), End()]


def test_a_body_up_to_the_end_of_the_connection() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\nuntil")
    assert events(reader)[1:] == [Data(b"until")]
    reader.eof()
    assert events(reader) == [End()]
    with pytest.raises(ValueError, match="closed"):
        reader.feed(b"x")


@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
def test_a_tunnel(method: bytes) -> None:
    status = b"101 Switching Protocols" if method == b"GET" else b"200 OK"
    reader = ResponseReader(methods=[method])
    reader.feed(b"HTTP/1.1 %s\r\n\r\n\x00raw" % status)
    assert events(reader)[1:] == [Data(b"\x00raw")]
    requests = RequestReader()
    requests.feed(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n\x00raw")
    assert [requests.next().method, requests.next()] == [b"CONNECT", End()]
    requests.tunnel()
    assert events(requests) == [Data(b"\x00raw")]


@pytest.mark.parametrize(
    ("make", "data", "word"),
    [
        (RequestReader, GET[:-3], "client_gone"),
        (RequestReader, CHUNKED[:-3], "body_truncated"),
        (RequestReader, CHUNKED[:-20], "body_truncated"),
        (ResponseReader, OK[:-6], "upstream_closed"),
        (ResponseReader, OK[:-1], "upstream_truncated"),
    ],
)
def test_an_early_end(make, data: bytes, word: str) -> None:
    reader = make()
    reader.feed(data)
    events(reader)
    reader.eof()
    for _ in range(2):
        with pytest.raises(ParseError) as caught:
            reader.next()
        assert (caught.value.word, caught.value.offset) == (word, len(data))


@pytest.mark.parametrize(
    ("data", "word", "offset"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "bad_framing", 56),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_framing", 65),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown_coding", 52),
        (CHUNKED.replace(b"2;x", b"2\n;x"), "bad_chunk", CHUNKED.index(b"2;x") + 1),
        (CHUNKED.replace(b"abc\r", b"abcd"), "bad_chunk", CHUNKED.index(b"abc") + 3),
        (CHUNKED.replace(b"X-T:", b"X-T :"), "bad_field", CHUNKED.index(b"X-T") + 3),
    ],
)
def test_a_reader_says_where(data: bytes, word: str, offset: int) -> None:
    for before in (b"", GET):
        for size in (1, len(data) + len(before)):
            reader = RequestReader()
            with pytest.raises(ParseError) as caught:
                for i in range(0, len(before + data), size):
                    reader.feed((before + data)[i : i + size])
                    events(reader)
            assert (caught.value.word, caught.value.offset) == (word, len(before) + offset)


def test_a_long_head_in_single_bytes_is_read_once() -> None:
    """Were it begun anew with each byte, this would be two thousand million bytes to look at."""
    data = b"GET / HTTP/1.1\r\n" + b"".join(b"X%02d: %s\r\n" % (i, b"v" * 640) for i in range(99)) + b"\r\n"
    reader = RequestReader()
    for i in range(len(data) - 1):
        reader.feed(data[i : i + 1])
        assert reader.next() is None
    reader.feed(data[-1:])
    assert len(reader.next().fields) == 99


# ---- as a part of the process


def test_structs_are_unpacked_as_the_compiler_laid_them_out() -> None:
    def offsets(struct: str, names: str) -> list[int]:
        return [picohttp.head.ffi.offsetof(f"struct {struct}", name) for name in names.split()]

    field, head = picohttp.head._FIELD, picohttp.head._HEAD
    assert offsets("fgw_field", "name value value_len name_len id flags") == [0, 4, 8, 12, 14, 15]
    assert field.size == picohttp.head.ffi.sizeof("struct fgw_field") == 16
    names = "len target target_len method_off reason reason_len nfields status method_len method minor err"
    expected = [0, 4, 8, 12, 16, 20, 24, 26, 28, 29, 30, 31]
    assert offsets("fgw_head", names) == [picohttp.head._HEAD_AT + at for at in expected]
    assert head.size == 32


def test_nothing_is_left_behind() -> None:
    """100,000 calls of each kind; what a call keeps would show as at least a byte each."""
    bad = b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"

    def calls(n: int) -> None:
        for _ in range(n):
            parse_request(GET)
            parse_response(OK)
            parse_request(GET[:20])
        for _ in range(n // 10):
            with pytest.raises(ParseError):
                parse_request(bad)
            reader = RequestReader()
            reader.feed(CHUNKED)
            events(reader)

    calls(1000)
    gc.collect()
    tracemalloc.start()
    try:
        calls(1000)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        calls(100_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000


def test_threads_do_not_share_a_state() -> None:
    """Calls into C let other threads run."""
    wrong: list[object] = []

    def work(name: bytes) -> None:
        data = b"GET /%s HTTP/1.1\r\n" % name + b"X: %s\r\n" % name * 90 + b"\r\n"
        for _ in range(2000):
            head = parse_request(data)
            if head.target != b"/" + name or {value for _, value in head.fields} != {name}:
                wrong.append(head)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(b"%d" % i * 20,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_it_brings_no_gateway_along() -> None:
    """A tool that only parses heads imports neither the loop nor the configuration."""
    code = (
        "import sys, fastgw.picohttp as _\n"
        "print([m for m in sys.modules if m.startswith(('fastgw.config', 'fastgw.control', 'uvloop', 'yaml'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
