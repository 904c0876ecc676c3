"""Rules of routes that carry gRPC: what would let no call through is told before the first one fails."""

from typing import TYPE_CHECKING

from .model import Config
from .nodes import Node, join
from .problem import Fault
from .rules_match import key_of

if TYPE_CHECKING:
    from .convert import Converter


def grpc_routes(conv: "Converter", value: Config, node: Node, path: str) -> None:
    routes = node.get("routes") or node
    for name, route in value.routes.items():
        if not route.grpc:
            continue
        at, where = routes.get(name) or routes, join("routes", name)
        if route.match.methods and "POST" not in route.match.methods:
            match = at.get("match") or at
            fault = Fault("FGW1902", "no call ever matches: every gRPC call is a POST", hint="methods: POST")
            conv.warn(match.get("methods") or match, f"{where}.match.methods", fault)
        listeners = [value.listeners[each] for each in route.listeners or value.listeners if each in value.listeners]
        if listeners and not any(each.http2 for each in listeners):
            fault = Fault("FGW1902", "no call ever arrives: gRPC is spoken over HTTP/2, and no listener here serves it",
                          hint="http2: true")  # fmt: skip
            conv.warn(key_of(at, "grpc"), f"{where}.grpc", fault)
        upstream = value.upstreams.get(route.to) if isinstance(route.to, str) else None
        if upstream is not None and upstream.protocol == "h1":
            fault = Fault("FGW1903", f"servers of gRPC speak HTTP/2, and to `{route.to}` HTTP/1.1 is spoken",
                          hint=f"upstreams.{route.to}.protocol: h2")  # fmt: skip
            conv.warn(at.get("to") or at, f"{where}.to", fault)
