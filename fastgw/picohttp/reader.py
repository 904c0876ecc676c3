"""All the bytes of a connection: heads, bodies, trailers, one message behind the other."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from fastgw._picohttp import ffi, lib

from .head import (
    BYTES_MAX,
    DEFAULT,
    Bytes,
    Fields,
    Limits,
    Parse,
    ParseError,
    ResponseHead,
    Scratch,
    c_limits,
    first_bad,
    make_request,
    make_response,
)


class Data(Struct, frozen=True, gc=False):
    """A piece of a body, never empty. Chunks are neither joined nor kept whole."""

    data: bytes


class End(Struct, frozen=True, gc=False):
    """A message is complete."""

    trailers: Fields = ()



class _Reader:
    """
    ┌► head ─► body ─► trailers ─┐      tunnel: bytes that are no HTTP any more
    └────────────────────────────┘      A failure is for ever: next() raises it again.
    """

    _parse_head: Parse
    _make: Callable[[Scratch, bytes], Any]
    _gone: tuple[int, int]  # failures: the peer closed within a head, within a body

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._head_limits, self._trailer_limits, self._body_limits = c_limits(limits)
        self._scratch = Scratch(max(limits.fields, limits.trailer_fields, 1))
        self._body = ffi.new("struct fgw_body *")
        self._out = ffi.new("uint32_t[3]")
        self._framing, self._length = ffi.new("enum fgw_framing *"), ffi.new("uint64_t *")
        self._buf = bytearray()
        self._at = 0  # of the first byte in _buf, in all that was fed
        self._step: Callable[[], Any] = self._head
        self._closed = False
        self._failed: ParseError | None = None

    @property
    def unread(self) -> bytes:
        """What was fed and belongs to no event yet."""
        return bytes(self._buf)

    def feed(self, data: Bytes) -> None:
        """Bytes of the connection, in any pieces. ValueError: after eof."""
        if self._closed:
            raise ValueError("the connection is closed")
        self._buf += memoryview(data)

    def eof(self) -> None:
        """The peer sends no more: a body without a length ends well, anything else that is not complete is a ParseError."""  # noqa: E501
        self._closed = True

    def next(self) -> Any:
        """The next event; None: nothing more can be told of what was fed. ParseError."""
        if self._failed is not None:
            raise self._failed
        try:
            return self._step()
        except ParseError as error:
            self._failed = error
            raise

    def tunnel(self) -> None:
        """From here on all bytes are Data: the connection was given to another protocol."""
        self._step = self._raw

    # -- steps: each returns an event, or None for more bytes

    def _head(self) -> Any:
        h, n = self._scratch.head, len(self._buf)
        if n == 0:
            return None
        with ffi.from_buffer(self._buf) as p:
            n = min(n, BYTES_MAX + 1)
            size = self._parse_head(h, p, n, self._head_limits)
            if size < 0:
                bad = first_bad(self._parse_head, p, n, self._head_limits, self._scratch.room)
                raise ParseError(h.err, self._at + bad)
            code = self._frame(h) if size > 0 else 0
        if size == 0:
            return self._more(self._gone[0])
        if code:
            raise ParseError(code, self._at + size - 1)
        head = self._make(self._scratch, self._take(size))
        self._begin(head)
        return head

    def _data(self) -> Any:
        out, n = self._out, min(len(self._buf), 0x7FFF_FFFF)
        out[0] = out[1] = out[2] = 0
        with ffi.from_buffer(self._buf) as p:
            event = lib.fgw_body_next(self._body, self._body_limits, p, n, out, out + 1, out + 2)
        pos, off, length = out
        taken = self._take(pos)
        if event == lib.FGW_BODY_DATA:
            return Data(taken[off : off + length])
        if event == lib.FGW_BODY_BAD:
            raise ParseError(self._body.err, self._at - 1)
        if event == lib.FGW_BODY_TRAILERS:
            lib.fgw_head_reset(self._scratch.head)
            self._step = self._trailers
            return self._trailers()
        if event == lib.FGW_BODY_END or (self._closed and not self._buf and lib.fgw_body_eof(self._body)):
            return self._end(())
        return self._more(self._gone[1])

    def _trailers(self) -> Any:
        h = self._scratch.head
        with ffi.from_buffer(self._buf) as p:
            n = min(len(self._buf), BYTES_MAX + 1)
            size = lib.fgw_head_parse_trailers(h, p, n, self._trailer_limits)
            if size < 0:
                bad = first_bad(lib.fgw_head_parse_trailers, p, n, self._trailer_limits, self._scratch.room)
                raise ParseError(h.err, self._at + bad)
        if size == 0:
            return self._more(self._gone[1])
        return self._end(self._scratch.taken(self._take(size), h.nfields))

    def _raw(self) -> Any:
        return Data(self._take(len(self._buf))) if self._buf else None

    # -- their parts

    def _frame(self, h: Any) -> int:
        """The framing decision, made once; a failure's code or 0."""
        raise NotImplementedError

    def _begin(self, head: Any) -> None:
        lib.fgw_body_start(self._body, self._framing[0], self._length[0])
        self._step = self._data

    def _end(self, trailers: Fields) -> End:
        lib.fgw_head_reset(self._scratch.head)
        self._step = self._head
        return End(trailers)

    def _take(self, n: int) -> bytes:
        taken = bytes(memoryview(self._buf)[:n])
        del self._buf[:n]
        self._at += n
        return taken

    def _more(self, gone: int) -> None:
        if self._closed:
            raise ParseError(gone, self._at + len(self._buf))


class RequestReader(_Reader):
    """What a client sends: for each request RequestHead, Data ..., End.

    A CONNECT or an upgrade goes on as requests until `tunnel` says that it was agreed to.
    """

    _parse_head = staticmethod(lib.fgw_head_parse_request)
    _make = staticmethod(make_request)
    _gone = (lib.FGW_E_CLIENT_GONE, lib.FGW_E_BODY_TRUNCATED)

    def _frame(self, h: Any) -> int:
        return int(lib.fgw_framing_request(h, self._framing, self._length))


class ResponseReader(_Reader):
    """What a server sends: for each response ResponseHead, Data ..., End. One with 1xx is its head alone, and another head
    follows; behind a 101, or a 2xx to CONNECT, all is Data.

    Where a response ends depends on what was asked (RFC 9112 section 6.3): tell every HEAD and CONNECT by `expect`, in the
    order of the requests. A request that nothing was told of counts as GET.
    """  # noqa: E501

    _parse_head = staticmethod(lib.fgw_head_parse_reply)
    _make = staticmethod(make_response)
    _gone = (lib.FGW_E_UPSTREAM_CLOSED, lib.FGW_E_UPSTREAM_TRUNCATED)

    def __init__(self, limits: Limits = DEFAULT, methods: Iterable[bytes] = ()) -> None:
        super().__init__(limits)
        self._methods = deque(methods)

    def expect(self, method: bytes) -> None:
        """Another request with this method was sent."""
        self._methods.append(method)

    def _frame(self, h: Any) -> int:
        to_head = bool(self._methods) and self._methods[0] == b"HEAD"
        return int(lib.fgw_framing_reply(h, to_head, self._framing, self._length))

    def _begin(self, head: ResponseHead) -> None:
        if head.status < 200 and head.status != 101:
            lib.fgw_head_reset(self._scratch.head)
            return
        method = self._methods.popleft() if self._methods else b"GET"
        if head.status == 101 or (method == b"CONNECT" and head.status < 300):
            self.tunnel()
        else:
            super()._begin(head)
