"""The texts of limits: rates of requests, what a limit counts by, and what a request costs."""

import re
from typing import NamedTuple

from .problem import Fault

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
RATE_MAX = 10_000_000  # a second; the engine's unit of time is 1/16 ns
REST_MAX_DAYS = 31
WITH_NAME = ("header", "query", "cookie", "path")
ALONE = ("client_ip", "route")
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_RATE = re.compile(r"([1-9][0-9]{0,9})/([a-z]+)")
_LONG = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "day": "d"}
_EXPECTED_KEY = "client_ip, route, or header:NAME, query:NAME, cookie:NAME, path:NAME"


class Rate(NamedTuple):
    """`count` requests in `seconds`."""

    count: int
    seconds: int


class Key(NamedTuple):
    """One part of what a limit counts by. `name` is empty for those without one."""

    kind: str
    name: str


def parse_rate(text: str) -> Rate:
    """`100/s` and the like. Raises Fault (FGW1106, FGW1105)."""
    expected = "requests in a time, such as 100/s, 5000/m, 10/h or 1000/d"
    match = _RATE.fullmatch(text)
    if match is None or match[2] not in SECONDS:
        hint = ""
        if match and match[2] in _LONG:
            hint = f"did you mean {match[1]}/{_LONG[match[2]]}?"
        elif text.isdecimal():
            hint = f"in what time? {text}/s, for example"
        raise Fault("FGW1106", "this is not a rate", expected=expected, hint=hint)
    rate = Rate(int(match[1]), SECONDS[match[2]])
    if rate.count > RATE_MAX * rate.seconds:
        raise Fault("FGW1105", "the rate is out of range", expected=f"at most {RATE_MAX:,} a second")
    return rate


def parse_key(text: str) -> Key:
    """One part of `by`. Raises Fault (FGW1214, FGW1208)."""
    kind, colon, name = text.partition(":")
    if kind in ALONE and not colon:
        return Key(kind, "")
    if kind not in WITH_NAME:
        raise Fault("FGW1214", f"`{text}` is nothing that a limit can count by", expected=_EXPECTED_KEY)
    if not name:
        raise Fault("FGW1214", f"`{text}` names no {kind}", expected=f"{kind}:NAME")
    if kind == "header" and not FIELD_NAME.fullmatch(name):
        raise Fault("FGW1208", f"`{name}` is not a header field's name", expected="letters, digits, - and _")
    if kind == "cookie" and not FIELD_NAME.fullmatch(name):
        raise Fault("FGW1214", f"`{name}` is not a cookie's name", expected="letters, digits, - and _")
    return Key(kind, name)


def parse_cost(text: str) -> Key:
    """`header:NAME`. Raises Fault (FGW1214, FGW1208)."""
    if not text.startswith("header:"):
        raise Fault("FGW1214", f"`{text}` is no cost", expected="a number, or header:NAME")
    return parse_key(text)
