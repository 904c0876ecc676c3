# ruff: noqa: E501
"""The reference of request targets: the policy in words, and what the engine's own normaliser makes of examples.

`render()` is called by `make gen`. Every result on the page is asked of the compiled engine, so that none can be stale.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastgw import _layout, _route

__all__ = ["PAGE", "render"]

PAGE = "docs/reference/targets.md"


class Policy(NamedTuple):
    """What `normalize` says about paths, and how that is written in the configuration."""

    title: str
    slashes: str = "reject"
    merge: bool = True


DEFAULT = Policy("default")
OTHERS = (Policy("`slashes: keep`", "keep"), Policy("`slashes: decode`", "decode"),
          Policy("`merge_slashes: false`", merge=False))  # fmt: skip

PATHS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Dot segments": (
        "`.` and `..` are resolved, encoded dots too (`%2e` is a dot). Above the root there is nothing: 400, where RFC 3986\n"
        "would stop at the root, for nobody who means well goes there. Only whole segments count: `..;` is none, and is matched as it\n"
        "stands. An upstream that cuts off `;` and what follows before it resolves dots (some Java servers do) would take it for one.",
        ("/a/./b", "/a/b/../c", "/a/b/..", "/a/.", "/a/%2e%2E/b", "/a/%2e", "/..", "/a/../../b", "/a/.../b", "/.well-known/x", "/a/..;/b"),
    ),
    "Percent-encoding": (
        "An encoded letter, digit, `-`, `.`, `_` or `~` is decoded; other escapes stay, with upper-case digits. What is decoded\n"
        "is never decoded again. `%` without two hexadecimal digits, and encoded controls (NUL, line ends, DEL): 400.",
        ("/%61%7E", "/%c3%a4", "/a%20b", "/a%3fb", "/a%23b", "/%2541", "/%252e%252e/a", "/a%3Bb", "/%", "/%4", "/%zz", "/%u0041", "/a%00b",
         "/a%0d%0Ab", "/a%7f"),
    ),
    "Slashes": (
        "`//` is one `/` unless `merge_slashes` is off. An encoded slash and a backslash, encoded or not, are what servers\n"
        "disagree about; `slashes` says what becomes of them: refused, kept encoded (then they separate nothing), or taken for `/`.\n"
        "What was taken for `/` takes part in dot segments and merging.",
        ("/a//b", "//a", "/a/b//", "/a//../b", "/a/.//b", "/a%2Fb", "/a%2fb", "/a%2F%2Fb", "/a%2F..%2Fb", "/a\\b", "/a%5Cb", "/a\\..\\b", "/%252F"),
    ),
    "Other bytes": (
        "Everything else in a path is one byte that stands for itself: `;` begins no parameters and `+` is no space. Case\n"
        "matters. Blanks, controls and `#` cannot be in a target, nor can bytes above 0x7F; they are sent encoded.",
        ("/a;v=1/b", "/a;/../b", "/a+b", "/a&b=c", "/A", "/a:80@b", "/\"<>[]^`{}", "/a\tb", "/a\x00b", "/a#b", "/ä"),
    ),
}

QUERIES = ("/a?", "/a?b=c&d", "/a?b=%2f..%zz", "/a?//../b", "/a??b", "/?a\\b", "/a?b#c")

FORMS = (
    ("GET", "/a?b"), ("GET", "http://example.org/a/../b?c"), ("GET", "HTTPS://Example.org:8443/a"), ("GET", "http://example.org"),
    ("GET", "http://example.org?a"), ("GET", "http://[2001:db8::1]:80/"), ("OPTIONS", "*"), ("OPTIONS", "http://example.org"),
    ("OPTIONS", "http://example.org/"), ("CONNECT", "example.org:443"), ("GET", "*"), ("GET", "a/b"), ("GET", ""), ("GET", "example.org:80"),
    ("GET", "ftp://example.org/"), ("GET", "http:///a"), ("GET", "http://user@example.org/"), ("GET", "http://exa mple/"),
    ("GET", "http://example.org:99999/"), ("CONNECT", "example.org"), ("CONNECT", "/a"),
)  # fmt: skip

_INTRO = """\
# Request targets

<!-- Generated from fastgw/snapshot/reference.py and the compiled engine by `make gen`. Do not edit. -->

The target of a request (`/users?page=2`) is brought to one form, once, before anything is decided. That form of the path is what
routes match, policies see, the log says and the upstream is sent: what was matched is what is forwarded. The policy follows
RFC 9112 section 3.2 and RFC 3986 section 6.2.2, and refuses where servers are known to disagree. Paths of routes must be written in
this form; `fastgw check` tells where one is not, and `fastgw explain` shows the form of any URL.

`normalize` (of the document, or of one [listener](config.md#normalize)) changes two things: `slashes` (`reject`, `keep`, `decode`)
and `merge_slashes`. Its third key, `underscores`, is about names of fields: in paths a `_` is a byte like any other. The answer to
a refused target is 400 with the [word](errors.md) given here, and the connection is closed. In these tables a cell with – says the
same as the default.
"""

_FORMS = """\
## Forms

A target is a path (origin form), a whole URL (absolute form), `*` with OPTIONS, or `host:port` with CONNECT. The host of a URL
replaces the `Host` field, which must be there and well formed all the same; user names in it are refused, as are schemes but http
and https. Every request is forwarded with its path, or `*`, and `Host`. An OPTIONS for a URL without path and query asks about the whole
server and means `*` (RFC 9112 section 3.2.4). CONNECT opens no tunnel here: where it is well formed the answer is 405, otherwise 400.

| method | target | form | path | query | host |
|---|---|---|---|---|---|
"""

_QUERIES = """\
## Queries

The query is forwarded as it came and not normalised: what it means is the upstream's affair. `match.query` compares parameters
percent-decoded, `+` as a space, the first of a name; a `%` without two digits stands for itself. `/a?` and `/a` differ.

| target | path | query |
|---|---|---|
"""


def render() -> dict[str, str]:
    """`{path: text}`, paths relative to the checkout."""
    parts = [_INTRO]
    for title, (text, targets) in PATHS.items():
        parts.append(f"## {title}\n\n{text}\n\n{_paths(targets)}")
    parts.append(_QUERIES + "".join(_row(_code(raw), *_asked("GET", raw)[1:3]) for raw in QUERIES))
    parts.append(_FORMS + "".join(_row(f"`{method}`", _code(raw) if raw else "(empty)", *_asked(method, raw)) for method, raw in FORMS))
    return {PAGE: "\n".join(parts)}


def _paths(targets: Iterable[str]) -> str:
    columns = (DEFAULT, *OTHERS)
    rows = [_row("target", *(p.title for p in columns)), "|" + "---|" * (len(columns) + 1) + "\n"]
    return "".join([*rows, *(_row(_code(raw), *_results(raw)) for raw in targets)])


def _results(raw: str) -> Iterator[str]:
    """The cells of one path: the default's, and of the others what differs."""
    default = _path(raw, DEFAULT)
    yield default
    for policy in OTHERS:
        found = _path(raw, policy)
        yield "–" if found == default else found


def _normal(method: str, raw: str, policy: Policy) -> _route.Target:
    return _route.normal(method.encode(), raw.encode("utf-8"), _layout.SLASHES[policy.slashes], policy.merge)


def _path(raw: str, policy: Policy) -> str:
    try:
        return _code(_normal("GET", raw, policy).path)
    except _route.Refused as refused:
        return f"{refused.status} `{refused.word}`"


def _asked(method: str, raw: str) -> tuple[str, str, str, str]:
    """Form, path, query and host under the default policy; for a refused target the answer instead of the path."""
    try:
        target = _normal(method, raw, DEFAULT)
    except _route.Refused as refused:
        return "–", f"{refused.status} `{refused.word}`", "–", "–"
    query = "–" if target.query is None else _code(target.query) if target.query else "empty"
    return target.form, _code(target.path) if target.path else "–", query, _code(target.authority) if target.authority else "–"


def _code(text: str) -> str:
    """As code in a Markdown table; bytes that cannot be seen as \\xHH."""
    shown = "".join(c if 0x20 <= ord(c) < 0x7F or ord(c) > 0xA0 else f"\\x{ord(c):02X}" for c in text).replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
