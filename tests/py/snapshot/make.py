"""Small configurations for the tests of snapshots, without a file; and a reader of the segments they become."""

from __future__ import annotations

from fastgw import _layout, _route
from fastgw.config.model import Config, Endpoint, Listener, Match, Route, Upstream
from fastgw.snapshot.compile import routes_segment


def config(routes: dict[str, Route | Match], **more: object) -> Config:
    """One listener `web`, one upstream `u`; a bare match becomes a route to it."""
    made = {name: route if isinstance(route, Route) else Route(match=route, to="u") for name, route in routes.items()}
    fields: dict[str, object] = {
        "listeners": {"web": Listener(bind=("127.0.0.1:8080",))},
        "upstreams": {"u": Upstream(endpoints=(Endpoint(address="127.0.0.1:9001"),))},
    }
    return Config(routes=made, **{**fields, **more})


Value = int | tuple[int, int]


class Segment:
    """Reads records back, by the compiled list of fields and by nothing that writes them."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def number(self, at: int, size: int) -> int:
        assert at >= 0 and at + size <= len(self.data)
        return int.from_bytes(self.data[at : at + size], "little")

    def record(self, name: str, at: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for field in _layout.fields():
            if field.record == name:
                where = at + field.offset
                pair = field.type in ("str", "arr")
                found[field.name] = (
                    (self.number(where, 4), self.number(where + 4, 4)) if pair else self.number(where, field.size)
                )
        return found

    def top(self, name: str) -> dict[str, Value]:
        return self.record(name, _size("seg"))

    def rows(self, name: str, span: Value) -> list[dict[str, Value]]:
        assert isinstance(span, tuple)
        return [self.record(name, span[0] + i * _size(name)) for i in range(span[1])]

    def numbers(self, span: Value, size: int) -> list[int]:
        assert isinstance(span, tuple)
        return [self.number(span[0] + i * size, size) for i in range(span[1])]

    def text(self, span: Value) -> str:
        assert isinstance(span, tuple)
        return self.data[span[0] : span[0] + span[1]].decode()

    def texts(self, span: Value) -> list[str]:
        numbers = self.numbers((span[0], 2 * span[1]) if isinstance(span, tuple) else span, 4)
        return [self.text(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def _size(record: str) -> int:
    return next(field.record_size for field in _layout.fields() if field.record == record)


def head(method: str, target: str, host: str = "x", *fields: str) -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"host: {host}", *fields, "", ""]).encode()


class Asked:
    """Routes, compiled, checked, and asked by name."""

    def __init__(self, routes: dict[str, Route | Match], slashes: int = 0, merge_slashes: bool = True) -> None:
        self.config = config(routes)
        self.segment = routes_segment(self.config, self.config.routes)[1]
        assert _layout.check(self.segment) is None
        self.router = _route.Router(self.segment, slashes, merge_slashes)

    def find(self, method: str, target: str, host: str = "x", *fields: str) -> _route.Found:
        return self.router.find(head(method, target, host, *fields))

    def __call__(self, target: str, host: str = "x", *fields: str, method: str = "GET") -> str | None:
        """The name of the route taken."""
        found = self.find(method, target, host, *fields)
        return None if found.route is None else list(self.config.routes)[found.route]
