"""The writer of segments: what it writes is where the C half looks for it, and the C half accepts the whole."""

from __future__ import annotations

import pytest

from fastgw import _layout
from fastgw.snapshot.layout import NOTHING, SegmentWriter, records
from tests.py.snapshot.make import Segment

SAMPLES = {
    "u8": 0xA1,
    "u16": 0xB1B2,
    "u32": 0xC1C2C3C4,
    "u64": 0xD1D2D3D4D5D6D7D8,
    "ref": 0xE1E2E3E4,
    "str": (0xF1F2F3F4, 7),
    "arr": (0x01020304, 9),
}


@pytest.mark.parametrize("record", sorted({field.record for field in _layout.fields()}))
def test_every_field_stands_where_c_reads_it(record):
    values = {field.name: SAMPLES[field.type] for field in _layout.fields() if field.record == record}
    packed = records()[record].pack(values)
    assert Segment(packed).record(record, 0) == values
    size = next(field.record_size for field in _layout.fields() if field.record == record)
    assert len(packed) == size == SegmentWriter.size_of(record)


def test_what_is_not_given_is_nothing_and_what_is_not_there_is_refused():
    assert records()["cond"].pack({}) == bytes(SegmentWriter.size_of("cond"))
    with pytest.raises(KeyError, match="nonsense"):
        records()["cond"].pack({"nonsense": 1})


def writer() -> SegmentWriter:
    return SegmentWriter(_layout.SEG_UPSTREAM, "upstream")


def test_a_whole_segment():
    w = writer()
    w.fill_top({"name": w.text("users"), "connect_ms": 2000})
    digest, data = w.finish()
    assert _layout.check(data) is None and len(data) % 8 == 0
    read = Segment(data)
    assert read.record("seg", 0) == {
        "magic": _layout.SEG_MAGIC,
        "layout": _layout.LAYOUT_VERSION,
        "kind": _layout.SEG_UPSTREAM,
        "size": len(data),
        "hash": digest,
    }
    assert read.text(read.top("upstream")["name"]) == "users" and read.top("upstream")["connect_ms"] == 2000


def test_the_hash_is_that_of_the_content():
    made = []
    for name in ("a", "a", "b"):
        w = writer()
        w.fill_top({"name": w.text(name)})
        made.append(w.finish())
    assert made[0] == made[1] and made[0][0] != made[2][0]
    digest, data = made[0]
    assert _layout.check(data[:-1] + b"\x01") == "a segment's hash is not that of its content"
    assert _layout.check(data[:-8]) == "a segment is cut short"
    assert digest == _layout.content_hash(memoryview(data)[SegmentWriter.size_of("seg") :])


def test_rows_are_aligned_and_in_order():
    w = writer()
    w.text("odd")
    at, count = w.array("cond", [{"id": 1, "name": w.text("a")}, {"id": 2}])
    assert at % records()["cond"].align == 0 and count == 2
    w.text("x")
    alone = w.one("try", {"firsts": 1 << 63, "root": 16})
    assert alone % 8 == 0
    read = Segment(w.finish()[1])
    assert [row["id"] for row in read.rows("cond", (at, count))] == [1, 2]
    assert read.record("try", alone) == {"firsts": 1 << 63, "root": 16}


def test_reserved_now_and_filled_later():
    w = writer()
    at = w.reserve("leaf", 2)
    behind = w.text("behind")
    w.fill(at + w.size_of("leaf"), "leaf", {"next": at})
    read = Segment(w.finish()[1])
    assert [row["next"] for row in read.rows("leaf", (at, 2))] == [0, at]
    assert read.text(behind) == "behind", "filling a record leaves what stands behind it"


def test_equal_texts_stand_once():
    w = writer()
    assert w.text("a") == w.text(b"a") != w.text("b") and w.text("é")[1] == 2
    span = w.texts(["a", "", "b", "a"])
    assert Segment(w.finish()[1]).texts(span) == ["a", "", "b", "a"]


def test_numbers():
    w = writer()
    w.text("odd")
    span = w.numbers([1, 1 << 63], 8)
    assert span[0] % 8 == 0
    assert Segment(w.finish()[1]).numbers(span, 8) == [1, 1 << 63]


def test_nothing_takes_no_place():
    w = writer()
    before = len(w.finish()[1])
    w = writer()
    assert [w.array("cond", []), w.numbers([], 4), w.text(""), w.texts([])] == [NOTHING] * 4 and w.reserve(
        "cond", 0
    ) == 0
    assert len(w.finish()[1]) == before
