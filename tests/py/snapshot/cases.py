"""Tables of routes and requests for them, made at random but the same for a seed: for tests of the router."""

from __future__ import annotations

import re
from random import Random
from typing import NamedTuple

from fastgw.config.model import Match, Route
from fastgw.config.paths import parse_pattern
from fastgw.snapshot.precedence import Request

WORDS = [
    "b",
    "c",
    "abcdefgh",
    "abcdefghi",
    "a-segment-of-more-than-sixteen",
    "a-segment-that-is-longer-than-thirty-two-bytes",
]
HOST_PATTERNS = ["a.org", "b.a.org", "*.a.org", "*.b.a.org", "*.org", "x", "*." + "y." * 33 + "org"]
HOSTS = [
    "a.org",
    "b.a.org",
    "c.b.a.org",
    "org",
    "x",
    "",
    ".a.org",
    "z" * 61 + ".a.org",
    "y." * 32 + "org",
    "y." * 36 + "org",
]
METHODS = ["GET", "GET", "PUT", "PURGE", "BAN", "OPTIONS"]
REGEX_PIECES = {
    "[\\w-]+": ["a", "b-c"],
    "(?P<NAME>[\\w-]+)": ["a", "c"],
    "(?P<NAME>.*)": ["", "a", "a/b"],
    "(?:a|b)": ["a", "b"],
    "(?:(?P<NAME>a)|b+)": ["a", "bb"],
    ".*": ["", "a/b"],
    "(a|aa)+?": ["a", "aaa"],
}
"""What regexes are made of, and texts that each takes."""
PATH_KINDS = ["exact", *["prefix"] * 3, *["pattern"] * 2, "regex", "none"]
FIELDS = ["x-a", "user-agent"]
QUERY = ["p", "q"]
WRITTEN = {"p": ["p", "%70"], "q": ["q", "%71"], "1": ["1", "%31"], "2": ["2", "%32"]}


def some(rng: Random, choices: list[str], most: int) -> list[str]:
    return [rng.choice(choices) for _ in range(rng.randint(0, most))]


def flags(rng: Random, names: list[str]) -> dict[str, str]:
    return {name: rng.choice("12") for name in names if rng.random() < 0.12}


def some_path(rng: Random, words: list[str]) -> dict[str, str]:
    kind, parts = rng.choice(PATH_KINDS), some(rng, words, 4)
    if kind == "regex":
        pieces = [rng.choice(list(REGEX_PIECES)).replace("NAME", f"p{i}") for i in range(len(parts))]
        parts = [piece if rng.random() < 0.8 else part for piece, part in zip(pieces, parts, strict=True)]
    if kind == "pattern":
        parts = [f"{{p{i}}}" if rng.random() < 0.4 else part for i, part in enumerate(parts)]
        parts += ["{rest*}"] if rng.random() < 0.3 else []
    return {} if kind == "none" else {kind: "/" + "/".join(parts)}


def some_route(rng: Random, words: list[str]) -> Route:
    match = Match(
        **some_path(rng, words),
        hosts=tuple(some(rng, HOST_PATTERNS, 2)) if rng.random() < 0.6 else (),
        methods=tuple(some(rng, METHODS, 2)) if rng.random() < 0.3 else (),
        headers=flags(rng, FIELDS),
        query=flags(rng, QUERY),
    )
    return Route(match=match, priority=rng.choice([0] * 12 + [1, -1]), to="u")


def filled(rng: Random, words: list[str], match: Match) -> str:
    """A path that the match takes."""
    if match.regex is not None:
        pieces = [re.sub(r"<p\d>", "<NAME>", piece) for piece in match.regex[1:].split("/")]
        return "/" + "/".join(rng.choice(REGEX_PIECES.get(piece, [piece])) for piece in pieces)
    if match.pattern is None:
        return match.exact or match.prefix or "/"
    parts = [
        "/".join(some(rng, words, 2)) if s.rest else rng.choice(words) if s.param else s.text
        for s in parse_pattern(match.pattern)
    ]
    return "/" + "/".join(parts)


def some_request(rng: Random, words: list[str], match: Match) -> Request:
    """Made to fit the match, and then often bent."""
    path = filled(rng, words, match)
    path = path[: path.rindex("/")] if rng.random() < 0.1 else path
    path += "".join(f"/{word}" for word in some(rng, words, 2))
    host, method = rng.choice(HOSTS), rng.choice(METHODS)
    if match.hosts and rng.random() < 0.6:
        host = rng.choice(match.hosts).replace("*", rng.choice(["a", "a.b", "z" * 60]))
    if match.methods and rng.random() < 0.6:
        method = rng.choice(match.methods)
    query = [*match.query.items(), *flags(rng, QUERY).items()]
    fields = [*match.headers.items(), *flags(rng, FIELDS).items()]
    rng.shuffle(query), rng.shuffle(fields)
    fields = [(rng.choice([name, name.title()]), value) for name, value in fields]
    if method == "OPTIONS" and rng.random() < 0.3:
        return Request(method, host, "*", "", tuple(fields))
    written = "&".join("=".join(rng.choice(WRITTEN[text]) for text in pair) for pair in query)
    return Request(method, host, path or "/", written, tuple(fields))


class Case(NamedTuple):
    table: dict[str, Route]
    requests: list[Request]


def a_case(seed: int) -> Case:
    """Routes and requests of few words, so that they meet."""
    rng = Random(seed)
    words = ["a", "a", "", *some(rng, WORDS, 3)]
    names = [f"r{i:02}" for i in range(rng.randint(2, 30))]
    rng.shuffle(names)  # the order of the configuration is not that of the names
    table = {name: some_route(rng, words) for name in names}
    asked = [some_request(rng, words, rng.choice(list(table.values())).match) for _ in range(25)]
    return Case(table, asked)
