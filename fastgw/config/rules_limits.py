"""Rules of limits: of one step, of the steps of a route, and of all limits that share a name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import limits, rules_match
from .model import Concurrency, Config, RateLimit, Route
from .model_traffic import KEYS_MAX
from .nodes import Node, join
from .problem import Fault

if TYPE_CHECKING:
    from .convert import Converter


def burst_of(limit: RateLimit) -> int:
    """The burst, or what stands for it."""
    return min(limits.parse_rate(limit.rate).count, 10_000_000) if limit.burst is None else limit.burst


def rate_limit(conv: "Converter", value: RateLimit, node: Node, path: str) -> None:
    rate, burst = limits.parse_rate(value.rate), burst_of(value)
    name = "burst" if value.burst is not None else "rate"
    if burst * rate.seconds > rate.count * limits.REST_MAX_DAYS * 86_400:
        days = burst * rate.seconds // (rate.count * 86_400)
        fault = Fault("FGW1212", f"a bucket of {burst:,} would take {days:,} days to fill at {value.rate}",
                      expected=f"at most {limits.REST_MAX_DAYS} days")  # fmt: skip
        conv.fail(node.get(name) or node, f"{path}.{name}", fault)
    if isinstance(value.cost, int) and value.cost > burst:
        fault = Fault("FGW1212", f"a request that costs {value.cost:,} can never pass a burst of {burst:,}",
                      expected="a cost of at most the burst")  # fmt: skip
        conv.fail(node.get("cost") or node, f"{path}.cost", fault)


def steps_of(node: Node, path: str) -> Iterator[tuple[Node, str]]:
    """The mappings of a route's limits, with their paths."""
    chain = node.get("chain")
    for number, step in enumerate(chain.items if chain is not None and chain.kind == "list" else []):
        for kind in ("rate_limit", "concurrency"):
            found = step.get(kind) if step.kind == "map" else None
            if found is not None and found.kind == "map":
                yield found, f"{path}.chain[{number}].{kind}"


def route_keys(conv: "Converter", value: Route, node: Node, path: str) -> None:
    """What a limit counts by must be something that requests of its route have."""
    params = rules_match.params(value, node)
    if params is None:
        return  # the pattern itself is bad
    for limit, at in steps_of(node, path):
        by = limit.get("by")
        if by is not None and by.kind == "list" and len(by.items) > KEYS_MAX:
            conv.fail(by, f"{at}.by", Fault("FGW1105", f"{len(by.items)} keys", expected=f"at most {KEYS_MAX}"))
        for item in [] if by is None else by.items if by.kind == "list" else [by]:
            kind, _, name = item.text.partition(":")
            if kind == "path" and name and name not in params:
                none = "a route with a `match.pattern`, or named groups in `match.regex`"
                has = f"one of {', '.join(params)}" if params else none
                conv.fail(item, f"{at}.by", Fault("FGW1214", f"the route has no path parameter `{name}`", expected=has))


def shared_names(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """Limits of one name are one limit: their settings must not differ."""
    seen: dict[str, tuple[RateLimit | Concurrency, str]] = {}
    routes = node.get("routes")
    for route_name, route in value.routes.items():
        for step in route.chain:
            for limit in (step.rate_limit, step.concurrency):
                if limit is None or limit.name is None:
                    continue
                first, owner = seen.setdefault(limit.name, (limit, route_name))
                if first != limit:
                    at = routes.get(route_name) if routes is not None else None
                    fault = Fault("FGW1212", f"the limit `{limit.name}` has other settings on the route `{owner}`",
                                  expected="the same settings wherever a name is used")  # fmt: skip
                    conv.fail(at or node, join("routes", route_name), fault)
