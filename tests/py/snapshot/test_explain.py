"""Which route a request takes: the winner and what it does, the losers and why, what is answered without a route."""

from __future__ import annotations

import pytest

from fastgw.config.model import (
    Answer,
    Endpoint,
    HeaderEdits,
    Headers,
    Listener,
    Match,
    Normalize,
    Redirect,
    Route,
    Static,
    Step,
    Upstream,
)
from fastgw.errors import FastgwError
from fastgw.snapshot import explain as module
from fastgw.snapshot.compile import SnapshotError
from fastgw.snapshot.explain import Explanation, Lost, explain
from tests.py.snapshot.make import config

LISTENERS = {
    "web": Listener(bind=("127.0.0.1:1",)),
    "api": Listener(bind=("127.0.0.1:2",), normalize=Normalize(merge_slashes=False)),
}


def lost(found: Explanation) -> dict[str, str]:
    return {loser.route: loser.why for loser in found.lost}


class TestWinner:
    def test_all_that_is_told(self):
        step = Step(
            headers=Headers(
                remove=("a",),
                rename={"b": "c"},
                set={"x-id": "{id}"},
                append={"via": "me"},
                reply=HeaderEdits(remove=("server",), set={"x": "y"}),
            )
        )
        upstream = Upstream(endpoints=(Endpoint(address="127.0.0.1:9"), Endpoint(address="orders.internal:80")))
        made = config(
            {"orders": Route(match=Match(pattern="/o/{id}/{rest*}"), chain=(step,), to="orders")},
            upstreams={"orders": upstream},
        )
        assert explain(made, "POST", "http://API.example.com:8080/o/7/a/../b%41?q=1#part", {"x-a": "1"}) == Explanation(
            route="orders",
            match="pattern /o/{id}/{rest*}",
            method="POST",
            listener="web",
            host="api.example.com",
            path="/o/7/bA",
            query="q=1",
            params={"id": "7", "rest": "bA"},
            chain=[
                "request: remove a",
                "request: rename b to c",
                "request: set x-id: {id}",
                "request: append via: me",
                "reply: remove server",
                "reply: set x: y",
            ],
            upstream="orders",
            endpoints=["127.0.0.1:9", "orders.internal:80"],
            sends="/o/7/bA?q=1",
        )

    @pytest.mark.parametrize(
        ("prefix", "url", "sends"),
        [
            ("/a", "/a/b?q", "/b?q"),
            ("/a", "/a", "/"),
            ("/a", "/a/", "/"),
            ("/a/", "/a/b/c?x=1&y", "/b/c?x=1&y"),
            ("/", "/a", "/a"),
        ],
    )
    def test_what_a_stripped_prefix_leaves_is_sent(self, prefix, url, sends):
        made = config({"a": Route(match=Match(prefix=prefix), strip_prefix=True, to="u")})
        assert explain(made, "GET", url).sends == sends

    def test_options_of_the_whole_server(self):
        found = explain(config({"all": Match()}), "OPTIONS", "*")
        assert (found.route, found.path, found.sends, found.match) == ("all", "*", "*", "every path")

    @pytest.mark.parametrize(
        ("to", "answer"),
        [
            (Answer(static=Static(status=404, body="né")), "404, 3 bytes"),
            (Answer(redirect=Redirect(to="/x?{query}", status=308)), "308 to /x?{query}"),
        ],
    )
    def test_answers_of_the_gateways_own(self, to, answer):
        found = explain(config({"a": Route(to=to)}), "GET", "/")
        assert (found.route, found.answer, found.upstream, found.endpoints, found.sends) == ("a", answer, None, [], "")

    def test_an_answering_step_ends_the_chain(self):
        edits = Step(headers=Headers(remove=("a",)))
        found = explain(config({"a": Route(chain=(edits, Step(static=Static(body="x")), edits), to="u")}), "GET", "/")
        assert (found.chain, found.answer, found.upstream) == (["request: remove a"], "200, 1 bytes", None)


class TestLosers:
    def test_each_with_its_reason(self):
        routes = {
            "won": Match(hosts=("api.a.org",), pattern="/u/{id}", methods=("GET",), headers={"x-v": "1"}),
            "host": Match(hosts=("x.org",)),
            "path": Match(exact="/v"),
            "method": Match(methods=("PUT", "PATCH")),
            "header": Match(headers={"x-w": "1"}),
            "query": Match(query={"q": "1"}),
            "elsewhere": Route(listeners=("api",), to="u"),
            "low": Route(priority=-1, to="u"),
            "wide": Match(hosts=("*.a.org",)),
            "prefix": Match(hosts=("api.a.org",), prefix="/u"),
            "rest": Match(hosts=("api.a.org",), pattern="/u/{rest*}"),
            "any-method": Match(hosts=("api.a.org",), pattern="/u/{x}"),
            "plain": Match(hosts=("api.a.org",), pattern="/u/{x}", methods=("GET",)),
            "zzz": Match(hosts=("api.a.org",), pattern="/u/{y}", methods=("GET",), headers={"x-u": "2"}),
        }
        found = explain(
            config(routes, listeners=LISTENERS), "GET", "http://api.a.org/u/7?q=2", [("X-V", "1"), ("x-u", "2")]
        )
        assert found.route == "won"
        assert lost(found) == {
            "host": "host api.a.org is not x.org",
            "path": "path /u/7 is not /v",
            "method": "method GET is not PUT or PATCH",
            "header": "header x-w is absent",
            "query": "query parameter q is 2, not 1",
            "elsewhere": "not on listener web",
            "low": "priority -1 is below 0",
            "wide": "host *.a.org is wider than api.a.org",
            "prefix": "prefix /u is less specific than pattern /u/{id}",
            "rest": "pattern /u/{rest*} is less specific than pattern /u/{id} in segment 2",
            "any-method": "names no method, won does",
            "plain": "asks for fewer headers (0 instead of 1)",
            "zzz": "the same in all, and the name zzz comes after won",
        }
        assert [loser.route for loser in found.lost] == [name for name in routes if name != "won"], (
            "as the file has them"
        )

    def test_a_fault_of_ours_is_not_hidden(self, monkeypatch):
        monkeypatch.setattr(module, "missed", lambda match, request: None)
        with pytest.raises(FastgwError, match="route a fits, but the router did not find it"):
            explain(config({"a": Match(exact="/a")}), "GET", "/b")


class TestNoRoute:
    def test_404(self):
        found = explain(config({"a": Match(prefix="/a")}), "GET", "/b")
        assert (found.route, found.answer, found.path, found.sends) == (None, "404 no route", "/b", "")
        assert found.lost == [Lost("a", "path /b is not below the prefix /a")]

    def test_405_and_what_is_allowed(self):
        made = config(
            {
                "a": Match(prefix="/a", methods=("PUT", "PURGE")),
                "b": Match(pattern="/a/{x}", methods=("GET",)),
                "c": Match(exact="/c"),
            }
        )
        found = explain(made, "POST", "/a/b")
        assert (found.route, found.answer) == (None, "405 method not allowed; allow: GET, PUT")
        assert lost(found) == {
            "a": "method POST is not PUT or PURGE",
            "b": "method POST is not GET",
            "c": "path /a/b is not /c",
        }

    def test_no_routes_at_all(self):
        assert explain(config({}), "GET", "/").answer == "404 no route"


class TestRefused:
    @pytest.mark.parametrize(
        ("method", "url", "fields", "word"),
        [
            ("GET", "/%zz", {}, "bad_target"),
            ("GET", "/../x", {}, "bad_target"),
            ("GET", "/a%2Fb", {}, "bad_target"),
            ("GET", "*", {}, "bad_target"),
            ("CONNECT", "/a", {}, "bad_target"),
            ("G T", "/", {}, "bad_request_line"),
            ("", "/", {}, "bad_request_line"),
            ("GET", "/a b", {}, "bad_request_line"),
            ("GET", "/é", {}, "bad_request_line"),
            ("GET", "/", {"a b": "1"}, "bad_field"),
            ("GET", "/", {"a": "\x00"}, "bad_field"),
            ("GET", "http://h:99999/", {}, "bad_host"),
            ("GET", "http://user@h/", {}, "bad_host"),
            ("GET", "/", {"host": "a b"}, "bad_host"),
            ("GET", "/", [("host", "a"), ("Host", "a")], "bad_host"),
        ],
    )
    def test_as_the_engine_refuses_it(self, method, url, fields, word):
        found = explain(config({"all": Match()}), method, url, fields)
        assert (
            found.route is None and found.answer.startswith(f"400 {word}: ") and found.lost == [] and found.path == ""
        )

    @pytest.mark.parametrize("url", ["", "a/b", "http://", "https:///a", "ftp://h/a"])
    def test_what_is_no_url(self, url):
        with pytest.raises(ValueError, match="neither a path|names no host"):
            explain(config({"all": Match()}), "GET", url)

    def test_a_line_break_makes_no_second_field(self):
        for fields in ({"a": "1\r\nhost: b"}, {"a\n": "1"}):
            with pytest.raises(ValueError, match="a line break"):
                explain(config({"all": Match()}), "GET", "/", fields)

    def test_what_no_snapshot_can_hold(self):
        with pytest.raises(SnapshotError, match="route a: the value of query.q"):
            explain(config({"a": Match(query={"q": "x" * 2000})}), "GET", "/")


class TestListener:
    made = config(
        {"a": Route(listeners=("api",), match=Match(prefix="/a"), to="u"), "all": Match()}, listeners=LISTENERS
    )

    def test_the_first_unless_another_is_named(self):
        assert (explain(self.made, "GET", "/a").listener, explain(self.made, "GET", "/a").route) == ("web", "all")
        assert explain(self.made, "GET", "/a", listener="api").route == "a"

    def test_its_own_path_policy(self):
        assert [explain(self.made, "GET", "//a", listener=name).path for name in ("web", "api")] == ["/a", "//a"]

    def test_one_that_is_not_there(self):
        with pytest.raises(FastgwError, match="there is no listener nobody"):
            explain(self.made, "GET", "/", listener="nobody")


class TestHost:
    made = config({"h": Match(hosts=("h",)), "none": Match()})

    def test_from_the_url_or_a_field_or_none(self):
        assert explain(self.made, "GET", "/", {"Host": "H:80"}).route == "h"
        assert (
            explain(self.made, "GET", "http://h?q").route == "h"
            and explain(self.made, "GET", "http://h?q").query == "q"
        )
        assert explain(self.made, "GET", "http://h", {"host": "other"}).route == "h", (
            "the URL's host is what a client would send"
        )
        found = explain(self.made, "GET", "/")
        assert (found.route, found.host, lost(found)) == ("none", "", {"h": "host (none) is not h"})


class TestRegexes:
    def test_the_engine_says_what_a_regex_takes_and_what_its_groups_are(self):
        made = config(
            {
                "b": Match(regex="/(?<year>\\d{4})/(?<rest>.*)"),
                "a": Match(regex="/\\d+/.*"),
                "c": Match(regex="/(a+)+"),
                "p": Match(prefix="/2025"),
            }
        )
        found = explain(made, "GET", "/2024/x/y")
        assert (found.route, found.match) == ("b", "regex /(?<year>\\d{4})/(?<rest>.*)")
        assert found.params == {"year": "2024", "rest": "x/y"}
        assert lost(found) == {
            "a": "regexes are tried in the order of the configuration, and b is written before",
            "c": "path /2024/x/y does not match the regex /(a+)+",
            "p": "path /2024/x/y is not below the prefix /2025",
        }
        assert lost(explain(made, "GET", "/2025/x"))["b"] == (
            "regex /(?<year>\\d{4})/(?<rest>.*) is less specific than prefix /2025"
        )

    def test_one_that_is_given_up_does_not_match(self):
        made = config({"slow": Match(regex="/(a+)+")})
        assert explain(made, "GET", "/" + "a" * 4000).route == "slow"
        assert explain(made, "GET", "/" + "a" * 4000 + "b").answer == "404 no route"
