"""Small configurations for the tests of snapshots, without a file."""

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
