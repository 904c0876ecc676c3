"""The order among routes, said a second time in plain Python: for `explain`'s reasons, and to test the C router against.

A route *fits* a request when nothing of its match is missed; of those that fit, the least `rank` wins.
"""  # noqa: E501

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from fastgw.config.model import Match, Route
from fastgw.config.paths import Segment, parse_pattern
from fastgw.config.regexes import parse_regex

LITERAL, PARAM, REST = 0, 1, 2


class Request(NamedTuple):
    """A request as the router sees it: host folded, path normalised, query as it came."""

    method: str
    host: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> list[str]:
        """All values of a field, without the white space around them."""
        return [value.strip(" \t") for key, value in self.headers if key.lower() == name.lower()]

    def parameter(self, name: str) -> bytes | None:
        """The decoded value of the first query parameter of this name."""
        for part in filter(None, self.query.split("&")):
            key, _, value = part.partition("=")
            if _decoded(key) == name.encode():
                return _decoded(value)
        return None


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


def covers(pattern: str, host: str) -> bool:
    """Does a host of a configuration take this host? `*.` stands for one or more labels."""
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def narrowest(match: Match, host: str) -> str | None:
    """The host of a match that takes this host and is preferred; "" if it takes all; None: none does."""
    fit = [pattern for pattern in match.hosts if covers(pattern, host)] if match.hosts else [""]
    return min(fit, key=host_rank, default=None)


def host_rank(pattern: str) -> tuple[int, int]:
    """Exact before the longest wildcard before any."""
    if pattern.startswith("*."):
        return 1, -pattern.count(".")
    return (0, 0) if pattern else (2, 0)


def shape(segments: Sequence[Segment]) -> tuple[int, ...]:
    """A pattern's segments by kind, from left to right."""
    return tuple(REST if s.rest else PARAM if s.param else LITERAL for s in segments)


def path_rank(match: Match) -> tuple[int, tuple[int, ...]]:
    """Exact before pattern before the longest prefix, of which no path at all is the shortest, before regex."""
    if match.exact is not None:
        return 0, ()
    if match.pattern is not None:
        return 1, shape(parse_pattern(match.pattern))
    if match.regex is not None:
        return 3, ()
    prefix = match.prefix or ""
    return 2, (prefix.endswith("/") - 2 * prefix.count("/"),)  # "/a" takes what "/a/" does, and "/a" too


def rank(name: str, match: Match, priority: int, host: str, order: int) -> tuple[object, ...]:
    """The sort key of a route that fits; `host` is its `narrowest`, `order` its place in the configuration."""
    return (
        -priority, host_rank(host), path_rank(match), order if match.regex is not None else 0,
        not match.methods, -len(match.headers), -len(match.query), name,
    )  # fmt: skip


def path_fits(match: Match, path: str) -> bool:
    """Does the path part of a match take this normalised path?"""
    if match.exact is not None:
        return path == match.exact
    if match.pattern is not None:
        return _pattern_fits(parse_pattern(match.pattern), path)
    if match.regex is not None:
        return path.startswith("/") and parse_regex(match.regex).match(path) is not None
    if match.prefix is None:
        return True
    return path == match.prefix or path.startswith(match.prefix if match.prefix.endswith("/") else match.prefix + "/")


def _pattern_fits(segments: Sequence[Segment], path: str) -> bool:
    if not path.startswith("/"):
        return False
    parts = path[1:].split("/")
    if segments[-1].rest:
        segments, parts = segments[:-1], parts[: len(segments) - 1] if len(parts) >= len(segments) else []
    return len(parts) == len(segments) and all(
        part != "" if segment.param else part == segment.text for segment, part in zip(segments, parts, strict=True)
    )


def missed(match: Match, request: Request) -> str | None:
    """The first thing by which a match misses a request; None: it fits."""
    if narrowest(match, request.host) is None:
        return f"host {request.host or '(none)'} is not {' or '.join(match.hosts)}"
    if not path_fits(match, request.path):
        return _path_missed(match, request.path)
    if match.methods and request.method not in match.methods:
        return f"method {request.method} is not {' or '.join(match.methods)}"
    for name, value in match.headers.items():
        if value not in (got := request.header(name)):
            return f"header {name} is {' and '.join(got)}, not {value}" if got else f"header {name} is absent"
    for name, value in match.query.items():
        found = request.parameter(name)
        if found != value.encode():
            said = "absent" if found is None else f"{found.decode('utf-8', 'backslashreplace')}, not {value}"
            return f"query parameter {name} is {said}"
    return None


def _path_missed(match: Match, path: str) -> str:
    if match.exact is not None:
        return f"path {path} is not {match.exact}"
    if match.pattern is not None:
        return f"path {path} does not have the pattern {match.pattern}"
    if match.regex is not None:
        return f"path {path} does not match the regex {match.regex}"
    return f"path {path} is not below the prefix {match.prefix}"


def beaten(name: str, route: Route, winner_name: str, winner: Route, host: str) -> str:
    """Why a route that fits a request comes behind the one that won it. Only the first difference counts."""
    mine, theirs = route.match, winner.match
    if route.priority != winner.priority:
        return f"priority {route.priority} is below {winner.priority}"
    my_host, their_host = narrowest(mine, host) or "", narrowest(theirs, host) or ""
    if host_rank(my_host) != host_rank(their_host):
        return f"host {my_host or 'any'} is wider than {their_host}"
    if path_rank(mine) != path_rank(theirs):
        return _path_beaten(mine, theirs)
    if mine.regex is not None:
        return f"regexes are tried in the order of the configuration, and {winner_name} is written before"
    if bool(mine.methods) != bool(theirs.methods):
        return f"names no method, {winner_name} does"
    for what, have, has in (("headers", mine.headers, theirs.headers), ("query parameters", mine.query, theirs.query)):
        if len(have) != len(has):
            return f"asks for fewer {what} ({len(have)} instead of {len(has)})"
    return f"the same in all, and the name {name} comes after {winner_name}"


def _path_beaten(mine: Match, theirs: Match) -> str:
    path, other = described(mine), described(theirs)
    if mine.pattern is None or theirs.pattern is None:
        if path_rank(mine)[0] != path_rank(theirs)[0]:
            return f"{path} is less specific than {other}"
        return f"{path} is shorter than {other}"
    pairs = zip(parse_pattern(mine.pattern), parse_pattern(theirs.pattern), strict=False)
    at = next(i for i, (a, b) in enumerate(pairs, 1) if shape([a]) != shape([b]))
    return f"{path} is less specific than {other} in segment {at}"


def described(match: Match) -> str:
    """The path part of a match in words."""
    for kind in ("exact", "pattern", "prefix", "regex"):
        if (path := getattr(match, kind)) is not None:
            return f"{kind} {path}"
    return "every path"
