"""The order among routes: the model in plain Python by examples, and the C router held to it over random tables."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgw import _route
from fastgw.config.model import Match, Route
from fastgw.config.paths import parse_pattern
from fastgw.snapshot.precedence import (
    Request,
    beaten,
    covers,
    described,
    host_rank,
    missed,
    narrowest,
    path_fits,
    path_rank,
    rank,
)
from tests.py.snapshot.cases import a_case
from tests.py.snapshot.make import Asked


def asks(method: str = "GET", path: str = "/", host: str = "x", query: str = "", **fields: str) -> Request:
    return Request(method, host, path, query, tuple((name.replace("_", "-"), value) for name, value in fields.items()))


class TestHosts:
    def test_a_star_stands_for_one_label_or_more(self):
        assert covers("*.a.org", "b.a.org") and covers("*.a.org", "c.b.a.org")
        assert not covers("*.a.org", "a.org") and not covers("*.a.org", "ba.org") and not covers("a.org", "b.a.org")

    def test_narrowest(self):
        match = Match(hosts=("*.org", "b.a.org", "*.a.org"))
        assert [narrowest(match, host) for host in ("b.a.org", "c.a.org", "a.org", "x")] == [
            "b.a.org",
            "*.a.org",
            "*.org",
            None,
        ]
        assert narrowest(Match(), "x") == ""

    def test_ranks(self):
        patterns = ["a.b.org", "*.a.b.org", "*.b.org", "*.org", ""]
        assert sorted(patterns[3:] + patterns[:3], key=host_rank) == patterns


class TestPaths:
    @pytest.mark.parametrize(
        ("prefix", "fit", "miss"),
        [
            ("/a", ["/a", "/a/", "/a/b"], ["/", "/ab", "/b/a"]),
            ("/a/", ["/a/", "/a/b", "/a//"], ["/a", "/ab/"]),
            ("/", ["/", "/a", "//"], ["*", ""]),
            ("/a//", ["/a//", "/a//b"], ["/a/", "/a/b"]),
        ],
    )
    def test_prefixes(self, prefix, fit, miss):
        match = Match(prefix=prefix)
        assert all(path_fits(match, path) for path in fit) and not any(path_fits(match, path) for path in miss)

    @pytest.mark.parametrize(
        ("pattern", "fit", "miss"),
        [
            ("/a/{x}", ["/a/b"], ["/a/", "/a", "/a/b/", "/a/b/c", "*"]),
            ("/{x}/b", ["/a/b"], ["//b", "/a/c"]),
            ("/a/{r*}", ["/a/", "/a/b", "/a/b/c", "/a//"], ["/a", "/b/"]),
            ("/{r*}", ["/", "/a/b"], ["*"]),
            ("/{x}/{r*}", ["/a/", "/a/b/c"], ["/a", "//b"]),
        ],
    )
    def test_patterns(self, pattern, fit, miss):
        match = Match(pattern=pattern)
        assert all(path_fits(match, path) for path in fit) and not any(path_fits(match, path) for path in miss)

    def test_exact_and_none(self):
        assert path_fits(Match(exact="/a"), "/a") and not path_fits(Match(exact="/a"), "/a/")
        assert path_fits(Match(), "/a") and path_fits(Match(), "*")

    def test_ranks(self):
        matches = [
            Match(exact="/a"),
            Match(pattern="/a/b"),
            Match(pattern="/a/{x}/c"),
            Match(pattern="/a/{x}/{y}"),
            Match(pattern="/a/{r*}"),
            Match(pattern="/{x}/b/c"),
            Match(pattern="/{r*}"),
            Match(prefix="/a//b"),
            Match(prefix="/a//"),
            Match(prefix="/a/b"),
            Match(prefix="/a/"),
            Match(prefix="/a"),
            Match(prefix="/"),
            Match(),
            Match(regex="/a"),
        ]
        assert sorted(matches[7:] + matches[:7], key=path_rank) == matches
        assert len({path_rank(match) for match in matches}) == len(matches)

    def test_described(self):
        assert [described(m) for m in (Match(exact="/a"), Match(prefix="/a"), Match(pattern="/{a}"), Match())] == [
            "exact /a",
            "prefix /a",
            "pattern /{a}",
            "every path",
        ]


class TestMissed:
    match = Match(hosts=("x",), prefix="/a", methods=("GET", "PUT"), headers={"x-v": "1"}, query={"q": "a b"})

    def test_it_fits(self):
        assert missed(self.match, asks(path="/a/b", query="q=a+b", X_V=" 1\t")) is None
        assert missed(self.match, asks(path="/a", query="&q=a%20b&q=c", x_v="1")) is None
        assert missed(Match(), asks(host="")) is None

    @pytest.mark.parametrize(
        ("request_", "why"),
        [
            (asks(host="y"), "host y is not x"),
            (asks(host=""), "host (none) is not x"),
            (asks(path="/b"), "path /b is not below the prefix /a"),
            (asks("POST", "/a"), "method POST is not GET or PUT"),
            (asks(path="/a", query="q=a+b"), "header x-v is absent"),
            (Request("GET", "x", "/a", "q=a+b", (("X-V", "2"), ("x-v", "3"))), "header x-v is 2 and 3, not 1"),
            (asks(path="/a", x_v="1"), "query parameter q is absent"),
            (asks(path="/a", query="q=a&q=a+b", x_v="1"), "query parameter q is a, not a b"),
            (asks(path="/a", query="q=%FF", x_v="1"), "query parameter q is \\xff, not a b"),
        ],
    )
    def test_the_first_thing_missed(self, request_, why):
        assert missed(self.match, request_) == why

    def test_paths(self):
        assert missed(Match(exact="/a"), asks(path="/b")) == "path /b is not /a"
        assert missed(Match(pattern="/{x}"), asks(path="/b/c")) == "path /b/c does not have the pattern /{x}"


class TestBeaten:
    @pytest.mark.parametrize(
        ("loser", "winner", "why"),
        [
            (Route(), Route(priority=1), "priority 0 is below 1"),
            (Match(hosts=("*.a.org",)), Match(hosts=("b.a.org",)), "host *.a.org is wider than b.a.org"),
            (Match(), Match(hosts=("*.a.org",)), "host any is wider than *.a.org"),
            (Match(prefix="/a"), Match(exact="/a/b"), "prefix /a is less specific than exact /a/b"),
            (Match(), Match(pattern="/a/{x}"), "every path is less specific than pattern /a/{x}"),
            (
                Match(pattern="/a/{x}"),
                Match(pattern="/a/b"),
                "pattern /a/{x} is less specific than pattern /a/b in segment 2",
            ),
            (
                Match(pattern="/{r*}"),
                Match(pattern="/{x}/b"),
                "pattern /{r*} is less specific than pattern /{x}/b in segment 1",
            ),
            (Match(prefix="/a"), Match(prefix="/a/"), "prefix /a is shorter than prefix /a/"),
            (Match(), Match(prefix="/"), "every path is shorter than prefix /"),
            (Match(headers={"a": "1"}), Match(methods=("GET",)), "names no method, w does"),
            (Match(query={"a": "1"}), Match(headers={"a": "1"}), "asks for fewer headers (0 instead of 1)"),
            (
                Match(query={"a": "1"}),
                Match(query={"a": "1", "b": "2"}),
                "asks for fewer query parameters (1 instead of 2)",
            ),
            (Match(), Match(), "the same in all, and the name z comes after w"),
            (Match(regex="/.*"), Match(), "regex /.* is less specific than every path"),
            (
                Match(regex="/a.*", methods=("GET",)),
                Match(regex="/.*"),
                "regexes are tried in the order of the configuration, and w is written before",
            ),
        ],
    )
    def test_only_the_first_difference_counts(self, loser, winner, why):
        mine, theirs = (made if isinstance(made, Route) else Route(match=made) for made in (loser, winner))
        assert beaten("z", mine, "w", theirs, "b.a.org") == why


# ---- the C router against the model


def rank_of(table: dict[str, Route], name: str, host: str) -> tuple[object, ...]:
    route = table[name]
    return rank(name, route.match, route.priority, narrowest(route.match, host) or "", list(table).index(name))


def winner(table: dict[str, Route], asked: Request) -> str | None:
    fitting = [name for name, route in table.items() if missed(route.match, asked) is None]
    fit = [(rank_of(table, name, asked.host), name) for name in fitting]
    return min(fit)[1] if fit else None


def params(match: Match, path: str) -> tuple[str, ...]:
    if match.regex is not None:
        taken = re.fullmatch(match.regex, path, re.ASCII)
        assert taken is not None
        return tuple(taken[name] or "" for name in taken.re.groupindex)
    if match.pattern is None:
        return ()
    pieces = ["(.*)" if s.rest else "([^/]+)" if s.param else re.escape(s.text) for s in parse_pattern(match.pattern)]
    found = re.fullmatch("/" + "/".join(pieces), path)
    assert found is not None
    return found.groups()


def allowed(table: dict[str, Route], asked: Request) -> set[str]:
    """Methods with a number that would have had a route."""
    return {
        method
        for route in table.values()
        for method in route.match.methods
        if method in _route.METHODS and missed(route.match, asked._replace(method=method)) is None
    }


def found_by_c(router: Asked, asked: Request) -> tuple[str | None, _route.Found]:
    target = asked.path + (f"?{asked.query}" if asked.query else "")
    found = router.find(asked.method, target, asked.host, *(f"{name}: {value}" for name, value in asked.headers))
    return (None if found.route is None else list(router.config.routes)[found.route]), found


def disagreement(table: dict[str, Route], asked: Request, router: Asked | None = None) -> str:
    """What the router says that the model does not; "" when they agree."""
    name, found = found_by_c(router or Asked(table, merge_slashes=False), asked)
    best = winner(table, asked)
    if found.target != (asked.host, asked.path, asked.query):
        return f"it reads {found.target}"
    if name != best:
        return f"it takes {name}, not {best}"
    if set(found.allow) != (allowed(table, asked) if name is None else set()):
        return f"it allows {found.allow}"
    if name is not None and found.params != params(table[name].match, asked.path):
        return f"its parameters are {found.params}"
    return ""


def least(table: dict[str, Route], asked: Request) -> dict[str, Route]:
    """The table without the routes that a disagreement does not need."""
    for name in list(table):
        fewer = {other: route for other, route in table.items() if other != name}
        table = fewer if disagreement(fewer, asked) else table
    return table


cases = st.integers(0, 2**64).map(a_case)


@settings(max_examples=800, deadline=None)
@given(cases)
def test_the_router_takes_the_least_of_those_that_fit(case):
    router = Asked(case.table, merge_slashes=False)
    for asked in case.requests:
        if why := disagreement(case.table, asked, router):
            few = least(case.table, asked)
            pytest.fail(f"{asked}: {why}, of\n" + "\n".join(f"{name}: {route}" for name, route in few.items()))


@settings(max_examples=100, deadline=None)
@given(cases)
def test_regexes_take_what_they_take_elsewhere(case):
    """The model asks the engine what a regex takes; here Python's own regexes are asked too."""
    for match in [route.match for route in case.table.values() if route.match.regex is not None]:
        for asked in case.requests:
            taken = asked.path.startswith("/") and re.fullmatch(match.regex, asked.path, re.ASCII) is not None
            assert path_fits(match, asked.path) == taken, (match.regex, asked.path)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_every_loser_that_fits_is_told_why(case):
    for asked in case.requests:
        best = winner(case.table, asked)
        for name, route in case.table.items():
            if best is None or name == best or missed(route.match, asked):
                continue
            won = case.table[best]
            assert rank_of(case.table, name, asked.host) > rank_of(case.table, best, asked.host)
            assert beaten(name, route, best, won, asked.host)


def test_the_cases_are_worth_asking():
    """Of many requests most find routes to choose from, and some none but a method that would have had one."""
    fitting, refused, by_regex = [], 0, 0
    for case in map(a_case, range(60)):
        for asked in case.requests:
            fitting.append(sum(missed(route.match, asked) is None for route in case.table.values()))
            best = winner(case.table, asked)
            by_regex += best is not None and case.table[best].match.regex is not None
            refused += fitting[-1] == 0 and bool(allowed(case.table, asked))
    assert sum(n >= 3 for n in fitting) > len(fitting) / 3 and fitting.count(0) > len(fitting) / 20 and refused > 10
    assert by_regex > len(fitting) / 40


@given(st.lists(st.sampled_from(["p", "q", "%70", "=", "&", "+", "%", "%3", "%31", "1", "%C3%A9", "%zz"]), max_size=12))
def test_queries_are_decoded_alike(pieces):
    query = "".join(pieces)
    for value in ("", "1", " ", "1=", "é", "%", "%3"):
        match = Match(query={"p": value})
        asked = asks(query=query)
        assert (Asked({"a": match}).find("GET", f"/?{query}").route is None) == (missed(match, asked) is not None)
