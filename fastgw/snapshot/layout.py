"""Writes segments: the records of src_c/policy/layout.def, laid out as the compiled half of fastgw says.

Nothing about the format is repeated here; a field added to layout.def can be written at once. Offsets are from a
segment's first byte, 0 means absent. The same calls give the same bytes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from struct import Struct
from typing import Any, NamedTuple

from fastgw import _layout

Span = tuple[int, int]
"""The value of a `str` or `arr` field: offset and length or count."""

NOTHING: Span = (0, 0)
_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "ref": "I", "str": "2I", "arr": "2I"}


class Record(NamedTuple):
    """How one record is packed. `names` holds each field and if it is a pair, in the order of `packer`."""

    packer: Struct
    align: int
    names: tuple[tuple[str, bool], ...]

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """The record's bytes; fields that are not given are 0. Raises KeyError for one that it does not have."""
        flat: list[int] = []
        for name, pair in self.names:
            if pair:
                flat += values.get(name, NOTHING)
            else:
                flat.append(values.get(name, 0))
        if not values.keys() <= {name for name, _ in self.names}:
            raise KeyError(*values.keys() - {name for name, _ in self.names})
        return self.packer.pack(*flat)


@cache
def records() -> dict[str, Record]:
    """Every record of layout.def by its name."""
    found = {}
    for name, group in groupby(_layout.fields(), key=lambda field: field.record):
        fields, code, end = list(group), "<", 0
        for field in fields:
            code += f"{field.offset - end}x{_CODES[field.type]}"
            end = field.offset + field.size
        code += f"{fields[0].record_size - end}x"
        names = tuple((field.name, field.type in ("str", "arr")) for field in fields)
        found[name] = Record(Struct(code), fields[0].record_align, names)
    return found


class SegmentWriter:
    """Builds one segment. Its top record stands right behind the header; everything else goes where there is room.

    Records are reserved and filled, or written at once by `array`; a record may name others that are filled later.
    """

    def __init__(self, kind: int, top: str) -> None:
        self._kind = kind
        self._bytes = bytearray()
        self._texts: dict[bytes, Span] = {}
        self.reserve("seg")
        self.top = self.reserve(top)
        self._top_record = top

    def reserve(self, record: str, count: int = 1) -> int:
        """Room for `count` records in a row. Returns the offset of the first; 0 when there are none."""
        if not count:
            return 0
        shape = records()[record]
        return self._room(shape.packer.size * count, shape.align)

    def _room(self, size: int, align: int) -> int:
        self._bytes += bytes(-len(self._bytes) % align)
        at = len(self._bytes)
        self._bytes += bytes(size)
        return at

    @staticmethod
    def size_of(record: str) -> int:
        """The bytes that one such record takes in a row."""
        return records()[record].packer.size

    def fill(self, at: int, record: str, values: Mapping[str, Any]) -> None:
        """Write the reserved record at `at`."""
        packed = records()[record].pack(values)
        self._bytes[at : at + len(packed)] = packed

    def fill_top(self, values: Mapping[str, Any]) -> None:
        """Write the record behind the header."""
        self.fill(self.top, self._top_record, values)

    def one(self, record: str, values: Mapping[str, Any]) -> int:
        """Write one record. Returns its offset, for a `ref`."""
        at = self.reserve(record)
        self.fill(at, record, values)
        return at

    def array(self, record: str, rows: Sequence[Mapping[str, Any]]) -> Span:
        """Write records in a row, for an `arr`."""
        if not rows:
            return NOTHING
        packed = b"".join(map(records()[record].pack, rows))
        at = self._room(len(packed), records()[record].align)
        self._bytes[at : at + len(packed)] = packed
        return at, len(rows)

    def numbers(self, values: Sequence[int], size: int) -> Span:
        """Write plain numbers of `size` bytes each, for an `arr`."""
        if not values:
            return NOTHING
        at = self._room(len(values) * size, size)
        self._bytes[at:] = b"".join(value.to_bytes(size, "little") for value in values)
        return at, len(values)

    def text(self, text: str | bytes) -> Span:
        """Write text (UTF-8), for a `str`. Equal texts stand once."""
        raw = text.encode() if isinstance(text, str) else text
        if raw and raw not in self._texts:
            self._texts[raw] = len(self._bytes), len(raw)
            self._bytes += raw
        return self._texts.get(raw, NOTHING)

    def texts(self, texts: Sequence[str | bytes]) -> Span:
        """Write texts and a row of `str` naming them, for an `arr`."""
        spans = [self.text(text) for text in texts]
        if not spans:
            return NOTHING
        at = self._room(8 * len(spans), 4)
        self._bytes[at:] = b"".join(offset.to_bytes(4, "little") + size.to_bytes(4, "little") for offset, size in spans)
        return at, len(spans)

    def finish(self) -> tuple[int, bytes]:
        """The content hash and the whole segment."""
        self._bytes += bytes(-len(self._bytes) % 8)
        header = records()["seg"].packer.size
        digest = _layout.content_hash(memoryview(self._bytes)[header:])
        self.fill(0, "seg", {
            "magic": _layout.SEG_MAGIC, "layout": _layout.LAYOUT_VERSION, "kind": self._kind,
            "size": len(self._bytes), "hash": digest,
        })  # fmt: skip
        return digest, bytes(self._bytes)
