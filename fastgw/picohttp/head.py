"""One head, request or response, and trailer sections."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from struct import Struct as Packed
from typing import Any, TypeVar

from msgspec import Struct

from fastgw._picohttp import ffi, lib
from fastgw.errors import FastgwError

Fields = tuple[tuple[bytes, bytes], ...]
"""(name, value) in the order received; a name may come more than once (RFC 9110 section 5.2)."""

FIELDS_MAX = 4096
BYTES_MAX = 1 << 24
# As the compiler lays them out (a test compares). Of a field: name, value, value_len, name_len, id, flags; of a head:
# len, target, target_len, method_off, reason, reason_len, nfields, status, method_len, method, minor, err.
_FIELD = Packed("=IIIHBB")
_HEAD, _HEAD_AT = Packed("=IIIIIIHHBBBB"), 24


class ParseError(FastgwError):
    """Bytes that are no HTTP/1 message, or pass a limit.

    `word`    the engine's word for it (docs/reference/errors.md): bad_request_line, bad_field, bad_framing, head_too_long ...
              A status line has no words of its own: it is a bad_request_line too.
    `text`    the same as a sentence
    `status`  what the gateway would answer; 0: nothing, only close
    `offset`  of the first byte that made it so: without it and those behind, more could still have made it good. From the
              start of the data; a reader counts all bytes that it was ever fed.
    """  # noqa: E501

    def __init__(self, code: int, offset: int) -> None:
        self.word: str = ffi.string(lib.fgw_err_word(code)).decode()
        self.text: str = ffi.string(lib.fgw_err_text(code)).decode()
        self.status: int = lib.fgw_err_status(code)
        self.offset = offset
        super().__init__(code, offset)

    def __str__(self) -> str:
        return f"{self.word} at byte {self.offset}: {self.text}"


class Limits(Struct, frozen=True, kw_only=True):
    """How long things may be; the defaults are those of `limits` in the configuration. ValueError: out of range."""

    line: int = 16_384
    """First line; beyond it line_too_long."""
    field: int = 16_384
    """One field with its name; beyond it field_too_long."""
    head: int = 65_536
    """The whole head; beyond it head_too_long."""
    fields: int = 100
    """Fields in a head; beyond it too_many_fields."""
    trailers: int = 8_192
    trailer_fields: int = 32
    chunk_extension: int = 256
    """Of one chunk; beyond it bad_chunk."""
    chunk_extensions: int = 16_384
    """Of all chunks of a message together."""

    def __post_init__(self) -> None:
        for name, value in zip(self.__struct_fields__, _astuple(self), strict=True):
            most = FIELDS_MAX if name in ("fields", "trailer_fields") else BYTES_MAX
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be from 0 to {most}")


def _astuple(limits: Limits) -> tuple[int, ...]:
    return tuple(getattr(limits, name) for name in limits.__struct_fields__)


DEFAULT = Limits()


class _Fields(Struct, frozen=True, gc=False):
    fields: Fields

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """The first value with this name, in any case."""
        name = name.lower()
        return next((value for key, value in self.fields if key.lower() == name), default)

    def all(self, name: bytes) -> list[bytes]:
        """Every value with this name, in any case."""
        name = name.lower()
        return [value for key, value in self.fields if key.lower() == name]


class RequestHead(_Fields, frozen=True, gc=False):
    """Request line and fields. `minor`: of HTTP/1.minor. `size`: bytes up to the first of the body."""

    method: bytes
    target: bytes
    minor: int
    size: int


class ResponseHead(_Fields, frozen=True, gc=False):
    """Status line and fields. `reason` may be empty."""

    status: int
    reason: bytes
    minor: int
    size: int


class Trailers(_Fields, frozen=True, gc=False):
    """The fields behind a chunked body. `size`: bytes with the empty line."""

    size: int


class Scratch:
    """The parser's state and its field list; kept for the next call."""

    __slots__ = ("fields", "head", "raw", "raw_head", "room")

    def __init__(self, room: int = 256) -> None:
        self.head, self.fields, self.room = ffi.new("struct fgw_head *"), ffi.new("struct fgw_field[]", room), room
        self.head.fields = self.fields
        self.raw, self.raw_head = ffi.buffer(self.fields), ffi.buffer(self.head)

    def taken(self, data: bytes, nfields: int) -> Fields:
        found = _FIELD.iter_unpack(self.raw[: nfields * _FIELD.size])
        return tuple([(data[n : n + nn], data[v : v + vn]) for n, v, vn, nn, _, _ in found])


_spare: deque[Scratch] = deque(maxlen=16)  # calls let other threads run: each has its own


@lru_cache(maxsize=64)
def c_limits(limits: Limits) -> tuple[Any, Any, Any]:
    """For heads, trailers and bodies."""
    head = ffi.new("struct fgw_head_limits *", [limits.line, limits.field, limits.head, limits.fields])
    trailers = [limits.line, limits.field, limits.trailers, limits.trailer_fields]
    body = [limits.chunk_extension, limits.chunk_extensions, limits.trailers, limits.trailer_fields]
    return head, ffi.new("struct fgw_head_limits *", trailers), ffi.new("struct fgw_body_limits *", body)


_DEFAULT = c_limits(DEFAULT)
_Head = TypeVar("_Head")
Parse = Callable[[Any, Any, int, Any], int]
Bytes = bytes | bytearray | memoryview


def first_bad(parse: Parse, data: Any, n: int, limits: Any, fields: int) -> int:
    """Where the bytes went wrong: whether a beginning of them is refused does not depend on how it was cut."""
    scratch = Scratch(fields)

    def refused(length: int) -> bool:
        lib.fgw_head_reset(scratch.head)
        return parse(scratch.head, data, length, limits) < 0

    return bisect_left(range(n + 1), True, key=refused) - 1


def _parse(
    parse: Parse, make: Callable[[Scratch, bytes], _Head], data: Bytes, allowed: Limits, which: int = 0
) -> _Head | None:
    limits = (_DEFAULT if allowed is DEFAULT else c_limits(allowed))[which]
    if type(data) is not bytes:
        data = bytes(memoryview(data))
    try:
        scratch = _spare.pop()
    except IndexError:
        scratch = Scratch()
    if limits.max_fields > scratch.room:
        scratch = Scratch(limits.max_fields)
    head, n = scratch.head, min(len(data), BYTES_MAX + 1)
    lib.fgw_head_reset(head)
    size = parse(head, data, n, limits)
    made = make(scratch, data) if size > 0 else None
    code = head.err if size < 0 else 0
    _spare.append(scratch)
    if code:
        raise ParseError(code, first_bad(parse, data, n, limits, limits.max_fields))
    return made


def make_request(scratch: Scratch, data: bytes) -> RequestHead:
    size, t, nt, m, _, _, count, _, nm, _, minor, _ = _HEAD.unpack_from(scratch.raw_head, _HEAD_AT)
    return RequestHead(scratch.taken(data, count), data[m : m + nm], data[t : t + nt], minor, size)


def make_response(scratch: Scratch, data: bytes) -> ResponseHead:
    size, _, _, _, r, nr, count, status, _, _, minor, _ = _HEAD.unpack_from(scratch.raw_head, _HEAD_AT)
    return ResponseHead(scratch.taken(data, count), status, data[r : r + nr], minor, size)


def _trailers(scratch: Scratch, data: bytes) -> Trailers:
    return Trailers(scratch.taken(data, scratch.head.nfields), scratch.head.len)


def parse_request(data: Bytes, limits: Limits = DEFAULT) -> RequestHead | None:
    """The head that data begins with; what comes behind it is not looked at. None: it is not complete. ParseError."""
    return _parse(lib.fgw_head_parse_request, make_request, data, limits)


def parse_response(data: Bytes, limits: Limits = DEFAULT) -> ResponseHead | None:
    """As parse_request, of a response."""
    return _parse(lib.fgw_head_parse_reply, make_response, data, limits)


def parse_trailers(data: Bytes, limits: Limits = DEFAULT) -> Trailers | None:
    """As parse_request, of what follows the last chunk; `b"\\r\\n"` is a section without fields."""
    return _parse(lib.fgw_head_parse_trailers, _trailers, data, limits, 1)
