"""The engine's HTTP/1 parser for tools and tests: the same C objects as the gateway's hot path, through cffi.

    parse_request(data)     one head, RFC 9112 section 3    → RequestHead | None (more bytes are needed)
    parse_response(data)    one head, RFC 9112 section 4    → ResponseHead | None
    parse_trailers(data)    a trailer section, 7.1.2        → Trailers | None
    RequestReader()         all of a client's bytes, as they come: heads, bodies, trailers, pipelined messages
    ResponseReader()        all of a server's

    >>> head = parse_request(b"GET /a?b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    >>> head.method, head.target, head.get(b"host"), head.size
    (b'GET', b'/a?b', b'x', 30)

A reader is fed and asked until it has no more to tell:

    reader.feed(data)
    while (event := reader.next()) is not None:
        ...                     # RequestHead or ResponseHead, then Data, Data, ..., End

Bytes are as received: names keep their case, values are trimmed of blanks at both ends and nothing else. Parsing is strict
(RFC 9112): CRLF only, no NUL, no folded lines, no blank before a colon, one framing. What the gateway refuses, this
refuses, by the same word: ParseError.

Threads: functions may be called from any; a reader belongs to one at a time. Cost: linear in the bytes, in whatever pieces
they come; a reader holds what it was fed and has not told yet.
"""  # noqa: E501

from .head import (
    Fields,
    Limits,
    ParseError,
    RequestHead,
    ResponseHead,
    Trailers,
    parse_request,
    parse_response,
    parse_trailers,
)
from .reader import Data, End, RequestReader, ResponseReader

__all__ = [
    "Data", "End", "Fields", "Limits", "ParseError", "RequestHead", "RequestReader", "ResponseHead", "ResponseReader",
    "Trailers", "parse_request", "parse_response", "parse_trailers",
]  # fmt: skip
