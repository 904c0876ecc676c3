"""Rules of what routes match: of one match, and of all matches of a configuration."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .model import Config, Match, Route
from .nodes import Node, join
from .paths import parse_pattern
from .problem import Fault
from .regexes import PATTERNS_MAX, parse_regex

if TYPE_CHECKING:
    from .convert import Converter

PATHS = ("exact", "prefix", "pattern", "regex")


def key_of(node: Node, name: str) -> Node:
    """The key node of this name; the mapping itself if it came from elsewhere."""
    return next((key for key, _ in node.items if key.text == name), node)


def params_of(match: Match) -> list[str]:
    """The names of the path parameters of a sound match, in their order."""
    if match.regex is not None:
        return list(parse_regex(match.regex).names)
    return [s.text for s in parse_pattern(match.pattern) if s.param] if match.pattern is not None else []


def params(route: Route, node: Node) -> list[str] | None:
    """The names of a route's path parameters; None: its pattern or regex is bad, and nobody knows."""
    match = node.get("match")
    for kind in ("pattern", "regex"):
        if match is not None and match.get(kind) is not None and getattr(route.match, kind) is None:
            return None
    return params_of(route.match)


def one_path(conv: "Converter", value: Match, node: Node, path: str) -> None:
    written = [key.text for key, item in node.items if key.text in PATHS and not item.is_empty()]
    for name in written[1:]:
        expected = f"only one of {', '.join(PATHS[:-1])} and {PATHS[-1]}"
        fault = Fault("FGW1212", f"`{name}` beside `{written[0]}`", expected=expected)
        conv.fail(key_of(node, name), f"{path}.{name}", fault)


def regex_begin(conv: "Converter", value: Match, node: Node, path: str) -> None:
    """A regex takes a whole path, so one that begins with anything but a slash takes none."""
    first = parse_regex(value.regex).first if value.regex is not None else ""
    if first not in ("", "/"):
        fault = Fault("FGW1902", f"never matches: every path begins with `/`, this regex with `{first}`",
                      hint="a regex takes the whole path, from its first `/` on")  # fmt: skip
        conv.warn(node.get("regex") or node, f"{path}.regex", fault)


def same_matches(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """Two routes with one match: only their names decide which wins, or of regexes which is written first."""
    seen: dict[tuple, str] = {}
    routes = node.get("routes")
    by_order = [item for item in value.routes.items() if item[1].match.regex is not None]
    by_name = sorted((item for item in value.routes.items() if item[1].match.regex is None), key=lambda item: item[0])
    for name, route in [*by_name, *by_order]:
        for key in _match_keys(route):
            first = seen.setdefault(key, name)
            if first != name:
                why = "wins by its name" if route.match.regex is None else "is written before it"
                fault = Fault("FGW1901", f"matches the same requests as the route `{first}`, which {why}",
                              hint="give one of them a higher priority")  # fmt: skip
                conv.warn(key_of(routes, name) if routes is not None else node, join("routes", name), fault)
                break


def _match_keys(route: Route) -> Iterator[tuple]:
    """What a route matches, once for each host and listener, with the names of parameters left out."""
    match = route.match
    pattern = (
        tuple(s._replace(text="") if s.param else s for s in parse_pattern(match.pattern)) if match.pattern else None
    )
    headers = frozenset((name.lower(), value) for name, value in match.headers.items())
    prefix = match.prefix or (None if match.exact or pattern or match.regex else "/")
    where = (match.exact, prefix, pattern, match.regex)
    rest = (frozenset(match.methods), headers, frozenset(match.query.items()), route.priority)
    for host in match.hosts or (None,):
        for listener in route.listeners or (None,):
            yield (listener, host, *where, *rest)


def regexes(conv: "Converter", value: Config, node: Node, path: str) -> None:
    """Not too many, and none behind a route that takes every path first."""
    routes = node.get("routes") or node
    named = [(name, route) for name, route in value.routes.items() if route.match.regex is not None]
    for listener in value.listeners:
        tried = [name for name, route in named if not route.listeners or listener in route.listeners]
        if len(tried) > PATTERNS_MAX:
            name = tried[PATTERNS_MAX]
            fault = Fault("FGW1218", f"{len(tried)} routes of the listener `{listener}` have a regex",
                          expected=f"at most {PATTERNS_MAX}, since they are tried in turn")  # fmt: skip
            conv.fail(key_of(routes, name), join("routes", name), fault)
            break
    takers = [(name, route) for name, route in value.routes.items() if _takes_every_path(route.match)]
    for name, route in named:
        for other, taker in takers:
            if taker.priority == route.priority and _as_wide(taker, route):
                what = f"never reached: the route `{other}` takes every path before regexes are tried"
                fault = Fault("FGW1902", what, hint="give this route a higher priority")
                conv.warn(key_of(routes, name), join("routes", name), fault)
                break


def _takes_every_path(match: Match) -> bool:
    bare = not (match.methods or match.headers or match.query or match.exact or match.pattern or match.regex)
    return bare and match.prefix in (None, "/")


def _as_wide(taker: Route, route: Route) -> bool:
    """Is the one found wherever the other one is, under the same hosts?"""
    hosts = set(route.match.hosts or ("",)) <= set(taker.match.hosts or ("",))
    listeners = not taker.listeners or (bool(route.listeners) and set(route.listeners) <= set(taker.listeners))
    return hosts and listeners
