"""Templates: text with `{variables}`, such as `{id}` of the route's pattern or `{client.address}`; `{{` is a brace."""

import difflib
import re
from collections.abc import Collection
from typing import NamedTuple

from .problem import Fault

VARIABLES = {
    "client.address": "the client's address, behind trusted proxies the one they tell",
    "host": "the request's host, without port",
    "request.id": "the request's id",
    "method": "the request's method",
    "path": "the request's normalised path",
    "query": "the request's query, without `?`",
    "scheme": "http or https",
    "listener": "the listener's name",
    "route": "the route's name",
    "client.certificate.subject": "the subject of the client's verified certificate (RFC 2253); empty without one",
    "client.certificate.cn": "its common name",
    "client.certificate.fingerprint": "its SHA-256, 64 hex digits",
    "client.certificate.uri": "its first URI name, such as a SPIFFE id",
    "client.certificate.dns": "its first DNS name",
}
"""What every template may use, besides the parameters of its route's pattern."""

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Variable(NamedTuple):
    """A place to fill; `offset` is where its `{` stands in the text."""

    name: str
    offset: int


def parse(text: str) -> tuple[str | Variable, ...]:
    """Literals and variables in turn; literals are unescaped and joined. Raises Fault (FGW1207)."""
    parts: list[str | Variable] = []
    for match in _PIECE.finditer(text):
        piece: str | Variable = match[0]
        if match[0] in ("{{", "}}"):
            piece = match[0][0]
        elif match[1] is not None:
            piece = _variable(match)
        elif match[0] in ("{", "}"):
            raise Fault("FGW1207", f"`{match[0]}` without its partner", hint=f"a brace is written {match[0] * 2}",
                        offset=match.start())  # fmt: skip
        if isinstance(piece, str) and parts and isinstance(parts[-1], str):
            parts[-1] += piece
        else:
            parts.append(piece)
    return tuple(parts)


def _variable(match: re.Match[str]) -> Variable:
    if not _NAME.fullmatch(match[1]):
        hint = "braces that are meant as such are doubled"
        raise Fault("FGW1207", f"`{match[0]}` is not a variable", expected="{name}", hint=hint, offset=match.start(),
                    length=len(match[0]))  # fmt: skip
    return Variable(match[1], match.start())


def check_variables(text: str, params: Collection[str]) -> None:
    """Every variable of a well-formed template is known. Raises Fault (FGW1207) for the first that is not."""
    for part in parse(text):
        if isinstance(part, str) or part.name in VARIABLES or part.name in params:
            continue
        known = [*params, *VARIABLES]
        close = difflib.get_close_matches(part.name, known, 1)
        raise Fault("FGW1207", f"the variable `{part.name}` is unknown", expected="one of " + ", ".join(known),
                    hint=f"did you mean {{{close[0]}}}?" if close else "", offset=part.offset,
                    length=len(part.name) + 2)  # fmt: skip
