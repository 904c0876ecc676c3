"""The compiled trie, asked through the C router: the order of precedence by examples, and the limits."""

from __future__ import annotations

import pytest

from benchmarks.micro import routes_10k
from fastgw import _layout
from fastgw.config.model import Match, Route
from fastgw.config.paths import SEGMENTS_MAX
from fastgw.snapshot import routes
from fastgw.snapshot.precedence import Request, missed, narrowest, rank
from fastgw.snapshot.routes import LABELS_MAX, SnapshotError, covering
from tests.py.snapshot.make import Asked, Segment


class TestPaths:
    def test_exact_before_pattern_before_prefix(self):
        asked = Asked({"a": Match(prefix="/u/1"), "b": Match(pattern="/u/{id}"), "c": Match(exact="/u/1")})
        assert [asked(path) for path in ("/u/1", "/u/2", "/u/1/2", "/u/2/2")] == ["c", "b", "a", None]

    def test_prefixes_end_at_segments(self):
        asked = Asked(
            {
                "a": Match(prefix="/a"),
                "ab": Match(prefix="/a/b"),
                "under": Match(prefix="/a/b/"),
                "root": Match(prefix="/"),
            }
        )
        assert [asked(p) for p in ("/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/b/c", "/a/bc", "/")] == [
            "a",
            "a",
            "root",
            "ab",
            "under",
            "under",
            "a",
            "root",
        ]

    def test_no_path_takes_star_too_and_a_prefix_does_not(self):
        asked = Asked({"all": Match(), "root": Match(prefix="/"), "rest": Match(pattern="/{all*}")})
        assert asked("*", method="OPTIONS") == "all"
        assert Asked({"root": Match(prefix="/")})("*", method="OPTIONS") is None
        assert asked("/*") == "rest"

    def test_parameters(self):
        asked = Asked(
            {
                "one": Match(pattern="/o/{id}"),
                "two": Match(pattern="/o/{id}/i/{item}"),
                "rest": Match(pattern="/f/{path*}"),
            }
        )
        assert asked.find("GET", "/o/7").params == ("7",)
        assert asked.find("GET", "/o/7/i/a%20b").params == ("7", "a%20b")
        assert asked.find("GET", "/f/").params == ("",)
        assert asked.find("GET", "/f/a/b/").params == ("a/b/",)
        assert asked("/o/") is None and asked("/f") is None and asked("/o/7/i/") is None

    def test_literals_first_from_the_left_and_back_again(self):
        asked = Asked(
            {
                "lp": Match(pattern="/a/{x}/c"),
                "pl": Match(pattern="/{x}/b/c"),
                "pp": Match(pattern="/{x}/{y}/{z}"),
                "deep": Match(pattern="/a/b/d/e"),
                "rest": Match(pattern="/a/{r*}"),
            }
        )
        assert [asked(p) for p in ("/a/b/c", "/x/b/c", "/x/y/z", "/a/b/d", "/a/b/d/e", "/b/b/d")] == [
            "lp",
            "pl",
            "pp",
            "rest",
            "deep",
            "pp",
        ]

    def test_as_many_segments_as_may_be_written(self):
        path = "/x" * SEGMENTS_MAX
        asked = Asked({"exact": Match(exact=path), "pattern": Match(pattern=path[2:] + "/{id}")})
        assert asked(path) == "exact" and asked(path[2:] + "/y") == "pattern"

    def test_sixteen_parameters(self):
        asked = Asked(
            {"p": Match(pattern="".join(f"/{{p{i}}}" for i in range(16))), "q": Match(pattern="/{a}/{b}/{r*}")}
        )
        assert asked.find("GET", "/v" * 16).params == ("v",) * 16
        assert asked.find("GET", "/v" * 17).params == ("v", "v", "/".join("v" * 15))

    def test_what_matched_is_normalised_first(self):
        asked = Asked({"admin": Match(prefix="/admin"), "all": Match(prefix="/")})
        for target in ("/%61dmin", "/x/../admin/y", "//admin", "/./admin", "/admin/%2e"):
            assert asked(target) == "admin", target
        keep = Asked({"admin": Match(prefix="/admin"), "all": Match(prefix="/")}, slashes=_layout.SLASHES["keep"])
        assert keep("/admin%2fx") == "all" and keep("/admin\\x") == "all"
        decode = Asked({"admin": Match(prefix="/admin"), "all": Match(prefix="/")}, slashes=_layout.SLASHES["decode"])
        assert decode("/admin%2fx") == "admin"


class TestHosts:
    def test_exact_then_longest_wildcard_then_any(self):
        asked = Asked(
            {
                "exact": Match(hosts=("api.example.org",), exact="/1"),
                "long": Match(hosts=("*.example.org",), exact="/2"),
                "short": Match(hosts=("*.org",), prefix="/"),
                "any": Match(),
            }
        )
        assert [asked(path, "api.example.org") for path in ("/1", "/2", "/3")] == ["exact", "long", "short"]
        assert [asked("/2", host) for host in ("a.b.example.org", "example.org", "org", "api.example.com")] == [
            "long",
            "short",
            "any",
            "any",
        ]

    def test_folded_and_without_port(self):
        asked = Asked({"a": Match(hosts=("api.example.org",)), "six": Match(hosts=("[::1]",))})
        assert asked("/", "API.Example.Org.:8080") == "a" and asked("/", "[::1]:80") == "six"
        assert asked("http://api.example.org/", "other") == "a"

    def test_one_route_under_many_hosts(self):
        asked = Asked({"a": Match(hosts=("x", "*.y", "x"), pattern="/{id}")})
        assert asked("/1", "x") == asked("/1", "z.y") == "a" and asked("/1", "y") is None

    def test_too_many_labels(self):
        longest = "*" + ".a" * LABELS_MAX
        assert Asked({"a": Match(hosts=(longest,))})("/", "b" + longest[1:]) == "a"
        with pytest.raises(SnapshotError, match="route a: the host"):
            Asked({"a": Match(hosts=(longest + ".a",))})

    def test_covering(self):
        assert list(covering("a.b.c")) == ["a.b.c", "*.b.c", "*.c", ""]
        assert list(covering("*.b.c")) == ["*.b.c", "*.c", ""]
        assert list(covering("")) == [""]


class TestTheRest:
    def test_priority_comes_before_all(self):
        asked = Asked(
            {
                "exact": Match(hosts=("h",), exact="/a"),
                "first": Route(match=Match(methods=("GET",)), priority=1, to="u"),
                "last": Route(match=Match(hosts=("h",), exact="/b"), priority=-1, to="u"),
            }
        )
        assert asked("/a", "h") == "first" and asked("/a", "h", method="PUT") == "exact"
        assert asked("/b", "h", method="PUT") == "last"

    def test_method_headers_query_name(self):
        routes = {
            "z-method": Match(exact="/", methods=("GET",)),
            "y-headers": Match(exact="/", headers={"a": "1", "b": "1"}),
            "x-header": Match(exact="/", headers={"a": "1"}),
            "w-query": Match(exact="/", query={"q": "1"}),
            "b": Match(exact="/"),
            "a": Match(exact="/"),
        }
        asked = Asked(routes)
        all_fit = ("/?q=1", "x", "a: 1", "b: 1")
        assert asked(*all_fit) == "z-method"
        assert [asked(*all_fit, method="PUT"), asked("/?q=1", "x", "a: 1", method="PUT")] == ["y-headers", "x-header"]
        assert [asked("/?q=1", method="PUT"), asked("/", method="PUT")] == ["w-query", "a"]

    def test_methods_without_a_number(self):
        asked = Asked({"a": Match(exact="/", methods=("PURGE", "GET")), "b": Match(exact="/")})
        assert [asked("/", method=m) for m in ("PURGE", "GET", "BAN", "PUT")] == ["a", "a", "b", "b"]

    def test_allow_is_told_only_when_the_method_alone_failed(self):
        asked = Asked(
            {
                "get": Match(exact="/a", methods=("GET", "PURGE")),
                "put": Match(pattern="/{x}", methods=("PUT",)),
                "header": Match(exact="/a", methods=("PATCH",), headers={"x": "1"}),
            }
        )
        assert asked.find("POST", "/a").allow == ("GET", "PUT")
        assert asked.find("POST", "/a", "x", "x: 1").allow == ("GET", "PUT", "PATCH")
        assert asked.find("POST", "/b").allow == ("PUT",) and asked.find("POST", "/a/b").allow == ()
        wide = Asked({"narrow": Match(hosts=("h",), exact="/a", methods=("GET",)), "wide": Match()})
        assert wide("/a", "h", method="PUT") == "wide" and wide.find("PUT", "/a", "h").allow == ()

    def test_nothing_at_all(self):
        asked = Asked({})
        assert asked("/") is None and asked("*", method="OPTIONS") is None


class TestEdges:
    """The table that all edges are found in."""

    routes = {f"r{i:03}": Match(hosts=(f"h{i % 7}",), prefix=f"/a{i % 50}/b{i}") for i in range(300)}

    def table(self, asked: Asked) -> tuple[int, list[int]]:
        """Its mask, and for each slot whether it is taken."""
        read = Segment(asked.segment)
        top = read.top("routes")
        return top["edge_mask"], [int(row["node"] != 0) for row in read.rows("edge", top["edges"])]

    def test_half_full_at_most_and_its_last_slot_is_empty(self):
        mask, taken = self.table(Asked(self.routes))
        assert mask & (mask + 1) == 0 and 2 * sum(taken) <= mask + 1 < len(taken) and taken[-1] == 0

    def test_a_search_that_would_be_long_makes_it_larger(self, monkeypatch):
        plain = self.table(Asked(self.routes))[0]
        monkeypatch.setattr(routes, "_RUN_MAX", 4)
        asked = Asked(self.routes)
        mask, taken = self.table(asked)
        assert mask > plain and "11111" not in "".join(map(str, taken))
        assert all(asked(f"/a{i % 50}/b{i}", f"h{i % 7}") == name for i, name in enumerate(self.routes))


def test_the_routes_of_the_benchmark_are_found_by_the_model_too():
    made = routes_10k.config(1500)
    asked = list(routes_10k.requests(made))
    router = Asked(dict(made.routes))
    for request in asked[::25]:
        found = router.router.find(request.head)
        fields = [line.split(": ") for line in request.head.decode().split("\r\n")[1:-2]]
        seen = Request(
            request.head.split(b" ")[0].decode(), *found.target, tuple((name, value) for name, value in fields)
        )
        fit = [
            (rank(name, route.match, route.priority, narrowest(route.match, seen.host) or "", 0), name)
            for name, route in made.routes.items()
            if missed(route.match, seen) is None
        ]
        assert found.route is not None and list(made.routes)[found.route] == min(fit)[1], request
