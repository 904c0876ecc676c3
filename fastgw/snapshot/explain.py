"""Which route a request takes, and why no other. Nothing is sent.

The winner is asked of the C router, over a segment compiled for the purpose, with the engine's own head parser and path
normalisation; the reasons of the others are Python's (`precedence`), which tests hold to the same winner.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from fastgw import _layout, _route
from fastgw.config import units
from fastgw.config.model import Config, HeaderEdits, Headers, Redirect, Route, Static, Step
from fastgw.config.rules_limits import burst_of
from fastgw.errors import FastgwError

from .chain import Destination, destination, limit_names, params_of
from .compile import routes_of, routes_segment
from .precedence import Request, beaten, described, missed

__all__ = ["Explanation", "Lost", "explain"]


class Lost(Struct, frozen=True):
    """A route that did not win, and the first reason."""

    route: str
    why: str


class Explanation(Struct, frozen=True, kw_only=True):
    """What becomes of one request. Without a route, `answer` says what the gateway answers instead."""

    route: str | None
    match: str = ""
    method: str
    listener: str
    host: str = ""
    path: str = ""
    query: str = ""
    params: dict[str, str] = {}
    chain: list[str] = []
    upstream: str | None = None
    endpoints: list[str] = []
    sends: str = ""
    answer: str = ""
    lost: list[Lost] = []


def explain(
    config: Config,
    method: str,
    url: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    listener: str | None = None,
) -> Explanation:
    """Explain a request to `url`, a path or http://HOST/PATH, on a listener (None: the first one).

    Raises FastgwError for a listener that is not there, ValueError for what is no URL or no header field."""
    listener = next(iter(config.listeners)) if listener is None else listener
    if listener not in config.listeners:
        raise FastgwError(f"there is no listener {listener}")
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    target, fields = _target(url, fields)
    routes = routes_of(config, listener)
    normalize = config.listeners[listener].normalize or config.normalize
    router = _route.Router(routes_segment(config, routes)[1], _layout.SLASHES[normalize.slashes], normalize.merge_slashes)  # noqa: E501
    try:
        found = router.find(_head(method, target, fields))
    except _route.Refused as refused:
        answer = f"{refused.status} {refused.word}: {refused}"
        return Explanation(route=None, method=method, listener=listener, answer=answer)
    request = Request(method, *found.target, tuple(fields))
    winner = None if found.route is None else list(routes)[found.route]
    told = _told(config, winner, routes[winner], found) if winner is not None else {"answer": _unrouted(found)}
    return Explanation(
        route=winner, method=method, listener=listener, host=request.host, path=request.path, query=request.query,
        lost=_losers(config, listener, routes, winner, request), **told,
    )  # fmt: skip


def _target(url: str, fields: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """The request target and the fields with Host, as a client would send them."""
    url = url.partition("#")[0]
    scheme, mark, rest = url.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        host, url = rest[:cut], rest[cut:]
        if not host:
            raise ValueError(f"{scheme}://{rest} names no host")
        url = url if url.startswith("/") else "/" + url
        fields = [("host", host), *(field for field in fields if field[0].lower() != "host")]
    elif not url.startswith("/") and url != "*":
        raise ValueError(f"{url!r} is neither a path nor http://HOST/PATH")
    if not any(name.lower() == "host" for name, _ in fields):
        fields = [("host", ""), *fields]
    return url, list(fields)


def _head(method: str, target: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    if bad := next((line for line in lines if "\r" in line or "\n" in line), None):
        raise ValueError(f"a line break in {bad!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _unrouted(found: _route.Found) -> str:
    if found.allow:
        return f"405 method not allowed; allow: {', '.join(found.allow)}"
    return "404 no route"


def _told(config: Config, name: str, route: Route, found: _route.Found) -> dict[str, object]:
    """The fields of an Explanation that the winning route gives."""
    steps, to = destination(route)
    named = zip(steps, limit_names(name, steps), strict=True)
    told: dict[str, object] = {
        "match": described(route.match),
        "params": dict(zip(params_of(route), found.params, strict=True)),
        "chain": [line for step, limit in named for line in _step(step, limit)],
    }
    if isinstance(to, str):
        query = f"?{found.target.query}" if found.target.query else ""
        endpoints = [endpoint.address for endpoint in config.upstreams[to].endpoints]
        return {**told, "upstream": to, "endpoints": endpoints, "sends": found.rest + query}
    return {**told, "answer": _answer(to)}


def _step(step: Step, limit: str) -> list[str]:
    """A step in words; `limit`: its name, if it is a limit."""
    if step.headers:
        return _edits(step.headers)
    if step.rate_limit:
        r = step.rate_limit
        cost = "" if r.cost == 1 else f", each costs {r.cost}"
        return [f"rate_limit {limit}: {r.rate}, burst {burst_of(r)}{cost}, {_by(r.by)}{_dry(r.dry_run)}"]
    if step.concurrency:
        c = step.concurrency
        wait = f", {c.queue.size} may wait {units.render('duration', c.queue.timeout)}" if c.queue.size else ""
        return [f"concurrency {limit}: {c.max} at once{wait}, {_by(c.by)}{_dry(c.dry_run)}"]
    if step.use:
        named = f"plugin {step.name}: {step.use}" if step.name else f"plugin {step.use}"
        return [f"{named}, at most {step.budget_ms} ms, fails {step.fail}"]
    return []


def _by(by: Sequence[str]) -> str:
    return f"by {' + '.join(by)}" if by else "all requests together"


def _dry(dry_run: bool) -> str:
    return ", dry run" if dry_run else ""


def _edits(headers: Headers) -> list[str]:
    lines = []
    for what, edits in (("request", headers), ("reply", headers.reply or HeaderEdits())):
        lines += [f"{what}: remove {name}" for name in edits.remove]
        lines += [f"{what}: rename {old} to {new}" for old, new in edits.rename.items()]
        lines += [f"{what}: set {name}: {value}" for name, value in edits.set.items()]
        lines += [f"{what}: append {name}: {value}" for name, value in edits.append.items()]
    return lines


def _answer(to: Destination) -> str:
    match to:
        case Static():
            return f"{to.status}, {len(to.body.encode())} bytes"
        case Redirect():
            return f"{to.status} to {to.to}"
    raise TypeError(f"{to!r} is an upstream")


def _losers(
    config: Config, listener: str, routes: Mapping[str, Route], winner: str | None, request: Request
) -> list[Lost]:
    lost = []
    for name, route in config.routes.items():
        if name == winner:
            continue
        why = missed(route.match, request) if name in routes else f"not on listener {listener}"
        if why is None and winner is not None:
            why = beaten(name, route, winner, routes[winner], request.host)
        if why is None:
            raise FastgwError(f"route {name} fits, but the router did not find it: this is a fault of fastgw")
        lost.append(Lost(name, why))
    return lost
