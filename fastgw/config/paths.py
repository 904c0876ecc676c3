"""Paths and path patterns of routes.

A request's path is normalised before it is matched, so a path here must be in normal form, or it would never match:
dot segments resolved, unreserved bytes not percent-encoded, other escapes with upper-case digits.
"""

import re
from typing import NamedTuple

from .problem import Fault

PARAMS_MAX = 16
SEGMENTS_MAX = 63
_UNRESERVED = re.compile(r"%([46][1-9A-Fa-f]|[57][0-9Aa]|3[0-9]|2[DdEe]|5[Ff]|7[Ee])")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"%([01][0-9A-Fa-f]|7[Ff])")
_SLASH = re.compile(r"%2F|%5C")
_RAW = re.compile(r"[^!$-;=@-Z_a-z~&'()*+,%]")  # what pchar and '/' do not hold
_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\*?)\}")


class Segment(NamedTuple):
    """One segment of a pattern. `param`: it takes any one segment, or with `rest` all that follow, and names it."""

    text: str
    param: bool = False
    rest: bool = False


def check_path(text: str) -> str:
    """A path for `exact` or `prefix`, unchanged. Raises Fault (FGW1205)."""
    if not text.startswith("/"):
        raise Fault("FGW1205", f"`{text}` does not begin with `/`", expected="a path such as /users",
                    hint=f"did you mean /{text}?" if re.fullmatch(r"[\w./~-]+", text) else "")  # fmt: skip
    if brace := re.search(r"[{}]", text):
        raise Fault(
            "FGW1205", "braces have no meaning here", hint="parameters belong into `pattern`", offset=brace.start()
        )
    _check_bytes(text, "FGW1205")
    return text


def _check_bytes(text: str, code: str) -> None:
    """Only what a normalised path can hold. Raises Fault with this code."""
    if text.count("/") > SEGMENTS_MAX:
        raise Fault(code, f"{text.count('/')} segments", expected=f"at most {SEGMENTS_MAX}")
    for char, what in (("?", "a query"), ("#", "a fragment")):
        if (at := text.find(char)) >= 0:
            hint = "queries are matched by `query`" if char == "?" else ""
            raise Fault(code, f"{what} is no part of a path", hint=hint, offset=at)
    for match in re.finditer("%", text):
        if not _ESCAPE.match(text, match.start()):
            raise Fault(code, "`%` without two hexadecimal digits", hint="a per cent sign is written %25",
                        offset=match.start())  # fmt: skip
    if raw := _RAW.search(text):
        escaped = "".join(f"%{byte:02X}" for byte in raw[0].encode("utf-8", "replace"))
        raise Fault(code, f"{raw[0]!r} cannot stand in a path", hint=f"write it as {escaped}", offset=raw.start())
    if control := _CONTROL.search(text):
        raise Fault(code, "no request has this path, since encoded control characters are refused",
                    offset=control.start(), length=3)  # fmt: skip
    normal = _UNRESERVED.sub(lambda m: chr(int(m[1], 16)), text)
    normal = _ESCAPE.sub(lambda m: m[0].upper(), normal)
    if normal != text:
        raise Fault(code, "no request has this path, since paths are normalised first", hint=f"did you mean {normal}?")
    for segment in re.finditer(r"/\.\.?(?=/|$)", text):
        raise Fault(code, "no request has a `.` or `..` segment in its path, since paths are normalised first",
                    offset=segment.start() + 1, length=len(segment[0]) - 1)  # fmt: skip


def arriving(text: str, slashes: str, merge_slashes: bool) -> str | None:
    """What the normalisation of a listener makes of a checked path or pattern; None: it lets no such request in."""
    if slashes == "reject" and _SLASH.search(text):
        return None
    if slashes == "decode":
        text = _SLASH.sub("/", text)
    return re.sub("/{2,}", "/", text) if merge_slashes else text


def parse_pattern(text: str) -> tuple[Segment, ...]:
    """The segments of `/orders/{id}/{rest*}`. Raises Fault (FGW1206)."""
    if not text.startswith("/"):
        raise Fault("FGW1206", f"`{text}` does not begin with `/`", expected="a pattern such as /orders/{id}")
    segments, at = [], 1
    for piece in text[1:].split("/"):
        segments.append(_segment(piece, at))
        at += len(piece) + 1
        if segments[-1].rest and at <= len(text):
            raise Fault("FGW1206", f"`{{{segments[-1].text}*}}` must be the last segment", offset=at - len(piece) - 1,
                        length=len(piece))  # fmt: skip
    _check_bytes("".join("/x" if s.param else f"/{s.text}" for s in segments), "FGW1206")
    names = [segment.text for segment in segments if segment.param]
    for name in names:
        if names.count(name) > 1:
            raise Fault("FGW1206", f"the parameter `{name}` stands here twice", offset=text.rindex(f"{{{name}"),
                        length=len(name) + 2)  # fmt: skip
    if len(names) > PARAMS_MAX:
        raise Fault("FGW1206", f"{len(names)} parameters", expected=f"at most {PARAMS_MAX}")
    return tuple(segments)


def _segment(piece: str, at: int) -> Segment:
    if match := _PARAM.fullmatch(piece):
        return Segment(match[1], param=True, rest=bool(match[2]))
    if "{" not in piece and "}" not in piece:
        return Segment(piece)
    expected = "{name} as a whole segment, or {name*} as the last"
    if _PARAM.search(piece):
        raise Fault("FGW1206", f"a parameter is only part of the segment `{piece}`", expected=expected, offset=at,
                    length=len(piece))  # fmt: skip
    hint = "a name is letters, digits and _, and begins with no digit" if re.fullmatch(r"\{.*\}", piece) else ""
    raise Fault("FGW1206", f"`{piece}` is not a parameter", expected=expected, hint=hint, offset=at, length=len(piece))
