"""Messages as a test reads and writes them, and as it says what it expects of one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

Pairs = tuple[tuple[str, str], ...]
HeadersLike = Mapping[str, str | None] | Iterable[tuple[str, str]]


def pairs(headers: HeadersLike) -> tuple[tuple[str, str | None], ...]:
    items: Any = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), value) for name, value in items)


@dataclass(frozen=True)
class _Message:
    """`headers`: as received, or as to be sent; in an expectation those given must be there with this value, and those given
    as None must not be. `body` None: in an expectation any, else empty."""  # noqa: E501

    headers: Any = field(default=(), kw_only=True)
    trailers: Pairs = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", pairs(self.headers))
        if isinstance(body := getattr(self, "body", None), str):
            object.__setattr__(self, "body", body.encode())

    def header(self, name: str, default: str | None = None) -> str | None:
        """The first value with this name, in any case."""
        return next(iter(self.header_all(name)), default)

    def header_all(self, name: str) -> list[str]:
        """Every value with this name, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower() and value is not None]

    def _headers_wrong(self, got: "_Message") -> Iterator[str]:
        for name, value in self.headers:
            found = got.header_all(name)
            if value is None and found:
                yield f"header {name}: expected none, got {found[0]!r}"
            elif value is not None and value not in found:
                yield f"header {name}: expected {value!r}, got {', '.join(map(repr, found)) or 'none'}"

    def _wrong(self, got: Any, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            wanted, have = getattr(self, name), getattr(got, name)
            if wanted is not None and wanted != have:
                yield f"{name}: expected {wanted!r}, got {have!r}"
        yield from self._headers_wrong(got)

    def _lines(self, first: str, body: bytes, framing: Iterable[tuple[str, str]]) -> bytes:
        given = {name.lower() for name, _ in self.headers}
        fields = [*self.headers, *((n, v) for n, v in framing if n not in given)]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields if value is not None)
        return f"{first}\r\n{head}\r\n".encode("latin-1") + body


@dataclass(frozen=True)
class Request(_Message):
    """A request. `path` is the target as it stands in the request line, query and all."""

    method: str | None = None
    path: str | None = None
    body: Any = None
    complete: bool = field(default=True, kw_only=True)
    """False: only asked for as far as it had come."""

    def wrong(self, got: "Request") -> list[str]:
        """What differs from this expectation."""
        return list(self._wrong(got, ("method", "path", "body")))

    def wire(self) -> bytes:
        """As a client sends it: `host` and `content-length` are added where they are not given."""
        body = self.body or b""
        framing = [("host", "test"), *([("content-length", str(len(body)))] if body else [])]
        return self._lines(f"{self.method or 'GET'} {self.path or '/'} HTTP/1.1", body, framing)


@dataclass(frozen=True)
class Response(_Message):
    """A response. `interim`: the 1xx that came before it, without bodies."""

    status: int | None = None
    body: Any = None
    reason: str | None = field(default=None, kw_only=True)
    interim: tuple["Response", ...] = field(default=(), kw_only=True)
    complete: bool = field(default=True, kw_only=True)

    def wrong(self, got: "Response") -> list[str]:
        """What differs from this expectation."""
        return list(self._wrong(got, ("status", "reason", "body")))

    def json(self, type: Any = Any) -> Any:
        """The body as JSON; of a failure that the gateway answers it is the problem (RFC 9457)."""
        return msgspec.json.decode(self.body or b"", type=type)

    def wire(self, to: str = "GET") -> bytes:
        """As a server sends it in answer to a request with this method."""
        body, status = self.body or b"", self.status or 200
        bare = status < 200 or status == 204
        coded = any(name.lower() == "transfer-encoding" for name, _ in self.headers)
        framing = [] if bare or coded else [("content-length", str(len(body)))]
        reason = self.reason if self.reason is not None else _REASONS.get(status, "")
        sent = b"" if to == "HEAD" or bare or status == 304 else body
        return self._lines(f"HTTP/1.1 {status} {reason}", sent, framing)


_REASONS = {
    100: "Continue", 101: "Switching Protocols", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted",
    204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified", 307: "Temporary Redirect",
    308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip

Reply = Response | int | bytes | tuple[Any, ...] | None
Handler = Callable[[Request], Reply]


def response_of(reply: Any) -> Response:
    """What a handler may give: a Response, a status, a body, (status, body), (status, body, headers). TypeError."""
    if isinstance(reply, Response):
        return reply
    if isinstance(reply, int):
        return Response(reply)
    if isinstance(reply, bytes | str):
        return Response(200, reply)
    if isinstance(reply, tuple) and 2 <= len(reply) <= 3:
        return Response(reply[0], reply[1], headers=reply[2] if len(reply) == 3 else ())
    raise TypeError(f"not a reply: {reply!r}")
