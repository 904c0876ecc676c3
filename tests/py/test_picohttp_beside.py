"""fastgw.picohttp beside the engine's own reading of the same bytes, llhttp and h11."""

from collections.abc import Iterator

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastgw.picohttp import Data, End, ParseError, RequestHead, RequestReader, ResponseHead, ResponseReader
from tests.hostile.readers import READERS, Engine, Reading, differences
from tests.hostile.test_differential import VALID, from_corpora, from_tables, mutated

REPEATABLE = settings(
    derandomize=True, database=None, deadline=None, max_examples=1500,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def pico(kind: str, data: bytes) -> Reading:
    """picohttp in the form of tests.hostile.readers."""
    reader = RequestReader() if kind == "Q" else ResponseReader(methods=[b"HEAD" if kind == "H" else b"GET"])
    reader.feed(data)
    reading = Reading("partial", used=len(data))
    try:
        for again in (False, True):
            for event in iter(reader.next, None):
                if isinstance(event, RequestHead):
                    reading.first, reading.second = event.method, event.target
                elif isinstance(event, ResponseHead):
                    reading.first, reading.second = b"%d" % event.status, event.reason
                    if event.status == 101:
                        reading.verdict, reading.used = "accept", len(data) - len(reader.unread)
                if isinstance(event, RequestHead | ResponseHead):
                    reading.minor, reading.fields = event.minor, list(event.fields)
                elif isinstance(event, Data):
                    reading.body += event.data
                if isinstance(event, End):
                    reading.verdict, reading.trailers = "accept", list(event.trailers)
                    reading.used = len(data) - len(reader.unread)
                if reading.verdict == "accept":
                    return reading
            if not again:
                reader.eof()
    except ParseError as error:
        gone = error.word in ("client_gone", "body_truncated", "upstream_closed", "upstream_truncated")
        return Reading("partial" if gone else "reject", "ok" if gone else error.word, error.offset)
    return Reading("partial", "ok", len(data))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


def same(engine: Engine, kind: str, data: bytes) -> None:
    theirs, ours = engine(kind, data), pico(kind, data)
    if theirs.verdict == "accept":
        assert ours == theirs, data
    else:
        assert (ours.verdict, ours.word) == (theirs.verdict, theirs.word), data


@pytest.mark.parametrize("source", [from_tables, from_corpora])
def test_it_reads_what_the_engine_reads(engine: Engine, source) -> None:
    """What others read otherwise is told, class by class, in tests/hostile/test_differential.py."""
    for kind, data in source():
        same(engine, kind, data)


@REPEATABLE
@given(mutated())
def test_it_reads_mutations_as_the_engine_does(engine: Engine, message: tuple[str, bytes]) -> None:
    same(engine, *message)


@REPEATABLE
@given(mutated())
def test_where_llhttp_and_h11_agree_on_a_meaning_it_agrees_too(message: tuple[str, bytes]) -> None:
    ours, theirs = pico(*message), [read(*message) for read in READERS.values()]
    if {each.verdict for each in (ours, *theirs)} == {"accept"} and not differences(*theirs):
        assert not differences(ours, theirs[1])


TOKEN = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" "), max_size=30).map(
    lambda text: text.strip(" ").encode()
)


@REPEATABLE
@given(st.lists(st.tuples(TOKEN.map(lambda name: b"x-" + name), VALUE), max_size=40), st.binary(max_size=200))
def test_what_h11_writes(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    writer = h11.Connection(h11.CLIENT)
    head = h11.Request(method="POST", target="/p", headers=[("host", "h"), ("transfer-encoding", "chunked"), *fields])
    wire = writer.send(head) + (writer.send(h11.Data(data=body)) if body else b"") + writer.send(h11.EndOfMessage())
    reader = RequestReader()
    reader.feed(wire)
    first, *rest = iter(reader.next, None)
    assert [(name.lower(), value) for name, value in first.fields][2:] == [(n.lower(), v) for n, v in fields]
    assert rest == ([Data(body)] if body else []) + [End()]


def test_the_readers_agree_on_valid_messages() -> None:
    for kind, data in VALID:
        for read in READERS.values():
            assert differences(pico(kind, data), read(kind, data)) == [], data
