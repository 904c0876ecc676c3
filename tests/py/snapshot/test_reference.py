"""The page about request targets: what it says is what the engine does, and it leaves out nothing that was promised."""

from __future__ import annotations

import itertools

import pytest

from fastgw import _layout, _route
from fastgw.snapshot import reference

RAWS = [raw for _, targets in reference.PATHS.values() for raw in targets]


def outcome(raw: str, slashes: str, merge: bool) -> str:
    try:
        return _route.normal(b"GET", raw.encode(), _layout.SLASHES[slashes], merge).path
    except _route.Refused as refused:
        return f"{refused.status} `{refused.word}`"


@pytest.mark.parametrize("raw", RAWS)
def test_normal_form_is_a_fixed_point_under_every_policy(raw):
    for slashes, merge in itertools.product(_layout.SLASHES, (True, False)):
        once = outcome(raw, slashes, merge)
        if once.startswith("/") and not (slashes == "decode" and "%" in once):
            assert outcome(once, slashes, merge) == once


@pytest.mark.parametrize(
    ("method", "raw", "target"),
    [
        (b"GET", b"/a/%2E%2e/b%2d?x=%2f", _route.Target("origin", "/b-", "x=%2f", "")),
        (b"GET", b"/a?", _route.Target("origin", "/a", "", "")),
        (b"GET", b"http://h:1/a//b", _route.Target("absolute", "/a/b", None, "h:1")),
        (b"OPTIONS", b"*", _route.Target("asterisk", "*", None, "")),
        (b"CONNECT", b"h:443", _route.Target("authority", "", None, "h:443")),
    ],
)
def test_forms(method, raw, target):
    assert _route.normal(method, raw) == target


@pytest.mark.parametrize(("raw", "word"), [(b"/..", "bad_target"), (b"http://:80/", "bad_host"), (b"", "bad_target")])
def test_what_is_refused(raw, word):
    with pytest.raises(_route.Refused) as refused:
        _route.normal(b"GET", raw)
    assert (refused.value.word, refused.value.status) == (word, 400)


def test_the_page_shows_each_policy_where_it_differs():
    page = reference.render()[reference.PAGE]
    assert "| `/a//b` | `/a/b` | – | – | `/a//b` |" in page
    assert "| `/a%2fb` | 400 `bad_target` | `/a%2Fb` | `/a/b` | – |" in page
    assert r"| `/a\x00b` | 400 `bad_target` | – | – | – |" in page
    assert "| `OPTIONS` | `http://example.org` | absolute | `*` | – | `example.org` |" in page
    for word in ("`;`", "NUL", "`_`", "`CONNECT`", "backslash", "Queries"):
        assert word in page, word
    for line in page.splitlines():
        if line.startswith("| `/"):
            assert line.count(" | ") in (2, 4), line
