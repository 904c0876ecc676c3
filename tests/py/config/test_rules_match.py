"""What `check` says of routes with regexes, and which names they give."""

from __future__ import annotations

import pytest

from fastgw.config.load import loads
from fastgw.config.regexes import PATTERNS_MAX
from fastgw.config.rules_match import params_of
from fastgw.errors import ConfigErrors

HEAD = """
listeners: {web: {bind: "127.0.0.1:8080"}, other: {bind: "127.0.0.1:8081"}}
upstreams: {u: {endpoints: ["127.0.0.1:1"]}}
routes:
"""


def warnings(*routes: str) -> list[str]:
    """The warnings about these routes (`{match: …}`), as PATH: MESSAGE."""
    rows = [f"  r{i}: {{to: u, {route}}}\n" for i, route in enumerate(routes)]
    return [f"{w.path}: {w.message}" for w in loads(HEAD + "".join(rows)).warnings]


def test_groups_are_named_by_number() -> None:
    match = loads(HEAD + "  r: {to: u, match: {regex: '/(?<z>a)(b)(?<a>c)'}}\n").config.routes["r"].match
    assert params_of(match) == ["z", "a"]


def test_a_regex_behind_a_route_that_takes_every_path_is_never_reached() -> None:
    text = "never reached: the route `r1` takes every path before regexes are tried"
    assert warnings("match: {regex: '/a.*'}", "match: {prefix: /}") == [f"routes.r0: {text}"]
    assert warnings("match: {regex: '/a.*', hosts: a.org}", "match: {hosts: [a.org, b.org]}") == [f"routes.r0: {text}"]


@pytest.mark.parametrize(
    "taker",
    [
        "match: {prefix: /a}",
        "match: {methods: GET}",
        "match: {headers: {x: '1'}}",
        "match: {hosts: a.org}",
        "priority: -1",
        "listeners: other",
    ],
)
def test_one_that_takes_less_hides_nothing(taker: str) -> None:
    assert warnings("match: {regex: '/a.*'}", taker) == []


def test_a_regex_that_begins_with_no_slash() -> None:
    found = warnings("match: {regex: 'a/.*'}")
    assert found == ["routes.r0.match.regex: never matches: every path begins with `/`, this regex with `a`"]
    assert warnings("match: {regex: '(?:/a|/b).*'}") == []


def test_of_two_equal_ones_the_first_written_wins() -> None:
    found = warnings("match: {regex: '/a.*'}", "match: {regex: '/a.*'}")
    assert found == ["routes.r1: matches the same requests as the route `r0`, which is written before it"]


def test_too_many() -> None:
    rows = [f"  r{i}: {{to: u, match: {{regex: '/{i}'}}}}\n" for i in range(PATTERNS_MAX + 1)]
    assert loads(HEAD + "".join(rows[:-1])).config
    with pytest.raises(ConfigErrors) as caught:
        loads(HEAD + "".join(rows))
    assert [(p.code, p.path) for p in caught.value.problems] == [("FGW1218", f"routes.r{PATTERNS_MAX}")]
