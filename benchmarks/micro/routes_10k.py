"""The fixed file of mixed routes: the same routes and requests for the same number, always.

    python -m benchmarks.micro.routes_10k [N]      prints the configuration as YAML's subset JSON

Of 20 routes 7 are prefixes, 6 patterns, 6 exact paths and one names no path; of 20, 14 name exact hosts, 3 wildcards and 3
none; a third name methods, a few ask for headers or query parameters, one in 50 has a priority. Words are drawn from one
vocabulary, so hosts and paths share texts, as real ones do.
"""  # noqa: E501

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastgw.config.model import Config, Endpoint, Listener, Match, Route, Upstream

SEED = 20_000
WORDS = (
    "users orders items carts invoices payments shipping search catalog products reviews sessions tokens devices events"
    " metrics reports exports imports billing accounts teams members roles policies keys webhooks jobs tasks queues topics"  # noqa: E501
    " messages threads files folders shares comments tags labels notes audit health status config settings profile avatar"  # noqa: E501
).split()
ZONES = ("example.com", "example.org", "shop.example.net", "api.internal", "eu.cloud.example")


class Request(NamedTuple):
    """What one route asks for: the request that was made to fit it."""

    route: str
    head: bytes


def _path(rng: random.Random, depth: int) -> list[str]:
    return ["v%d" % rng.randrange(1, 4)] * rng.randrange(2) + [rng.choice(WORDS) for _ in range(depth)]


def _host(rng: random.Random, spread: int) -> tuple[str, ...]:
    kind = rng.randrange(20)
    if kind < 14:
        return (f"{rng.choice(WORDS)}{rng.randrange(spread)}.{rng.choice(ZONES)}",)
    return (f"*.t{rng.randrange(spread)}.{rng.choice(ZONES)}",) if kind < 17 else ()


def _match(rng: random.Random, i: int, spread: int) -> Match:
    conditions: dict[str, Any] = {"hosts": _host(rng, spread)}
    kind, parts = i % 20, _path(rng, rng.randrange(1, 3))
    if kind < 7:
        conditions["prefix"] = "/" + "/".join([*parts, f"p{i}"][-rng.randrange(2, 4) :])
    elif kind < 13:
        parts = [part if rng.random() < 0.6 else f"{{{part}{n}}}" for n, part in enumerate(parts)]
        tail = ["{rest*}"] if rng.random() < 0.2 else [f"{rng.choice(WORDS)}{i % 97}"]
        conditions["pattern"] = "/" + "/".join([f"s{i}", *parts, *tail])
    elif kind < 19:
        conditions["exact"] = "/" + "/".join([*parts, f"e{i}"])
    elif not conditions["hosts"]:
        conditions["prefix"] = f"/only{i}"
    if rng.random() < 0.33:
        conditions["methods"] = rng.choice([("GET",), ("GET", "HEAD"), ("POST",), ("PUT", "PATCH"), ("PURGE", "GET")])
    if rng.random() < 0.03:
        conditions["headers"] = {"x-version": str(rng.randrange(4))}
    if rng.random() < 0.02:
        conditions["query"] = {"debug": "1"}
    return Match(**conditions)


def config(count: int) -> Config:
    """`count` mixed routes on one listener."""
    rng = random.Random(SEED)
    spread = max(1, count // 2000)
    routes = {}
    for i in range(count):
        match = _match(rng, i, spread)
        priority = rng.choice((-1, 10)) if rng.random() < 0.02 else 0
        routes[f"r{i:05}"] = Route(match=match, priority=priority, to="u")
    endpoint = Endpoint(address="127.0.0.1:9001")
    return Config(
        listeners={"web": Listener(bind=("127.0.0.1:8080",))},
        upstreams={"u": Upstream(endpoints=(endpoint,))},
        routes=routes,
    )


def requests(made: Config) -> Iterator[Request]:
    """One request for each route, which meets all its conditions (another route may take it)."""
    rng = random.Random(SEED + 1)
    for name, route in made.routes.items():
        match = route.match
        host = match.hosts[0] if match.hosts else f"{rng.choice(WORDS)}.{rng.choice(ZONES)}"
        host = host.replace("*", rng.choice(WORDS))
        if match.exact is not None:
            path = match.exact
        elif match.pattern is not None:
            words = [str(rng.randrange(10**6)) if part[0] == "{" else part for part in match.pattern[1:].split("/")]
            path = "/" + "/".join(words)
        else:
            path = (match.prefix or "") + "/" + "/".join(_path(rng, rng.randrange(0, 3)))
        query = "&".join(f"{key}={value}" for key, value in match.query.items())
        lines = [f"{(match.methods or ('GET',))[0]} {path}{'?' + query if query else ''} HTTP/1.1", f"host: {host}"]
        lines += ["user-agent: bench", "accept: */*", *(f"{key}: {value}" for key, value in match.headers.items())]
        yield Request(name, "\r\n".join([*lines, "", ""]).encode())


def document(made: Config) -> dict[str, Any]:
    """The configuration as its users would write it."""
    routes = {}
    for name, route in made.routes.items():
        match = route.match
        kept = {key: getattr(match, key) for key in match.__struct_fields__ if getattr(match, key)}
        routes[name] = {"match": kept, "to": route.to} | ({"priority": route.priority} if route.priority else {})
    upstreams = {name: {"endpoints": [e.address for e in u.endpoints]} for name, u in made.upstreams.items()}
    return {"listeners": {"web": {"bind": "127.0.0.1:8080"}}, "upstreams": upstreams, "routes": routes}


if __name__ == "__main__":
    json.dump(document(config(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)), sys.stdout, indent=1)
