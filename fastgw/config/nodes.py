"""A document as a tree in which everything knows its place. All readers, YAML, JSON and TOML, make this tree.

Scalars keep their text; what a plain scalar means is decided by YAML 1.2's core schema here, once:
`on`, `yes` and `12:30` are strings, `012` is twelve.
"""

import math
import re
from bisect import bisect_right
from typing import Literal

from .problem import Fault, Problem

Plain = str | int | float | bool | None
MAX_BYTES = 32 << 20
MAX_DEPTH = 64
MAX_NODES = 1_000_000

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")
SECRET = "(a private key, not shown)"
_KEY = re.compile(r"[^\n]*PRIVATE KEY.*?(?:-----END[^\n]*|\Z)", re.S)
_NUMBER_MAX = 40  # characters; longer ones are refused unread, since int() of many digits is slow


class Source:
    """The text of a document and its name, for excerpts. `breaks` says what ends a line."""

    def __init__(self, name: str, text: str, breaks: str = r"\r\n|[\n\r]") -> None:
        self.name, self.text = name, text
        self._starts = [0, *(m.end() for m in re.finditer(breaks, text))]

    def line(self, number: int) -> str:
        """The line of this number (from 1) without its end; empty beyond the end."""
        if not 1 <= number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n\x85\u2028\u2029")

    def _in_key(self, number: int) -> bool:
        """Some of a private key stands in this line."""
        if "PRIVATE KEY" not in self.text or not 1 <= number <= len(self._starts):
            return False
        start, end = self._starts[number - 1], self._starts[number] if number < len(self._starts) else len(self.text)
        return any(key.start() < end and start < key.end() for key in _KEY.finditer(self.text))

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, from 1, of a character index."""
        row = bisect_right(self._starts, index)
        return row, index - self._starts[row - 1] + 1

    def problem(self, fault: Fault, line: int, column: int, path: str = "") -> Problem:
        """Give a fault its place. Long lines, and those with a private key, are left out of the excerpt."""
        excerpt = self.line(line)
        shown = len(excerpt) <= 200 and not self._in_key(line)
        return Problem(
            code=fault.code, file=self.name, line=line, column=column, path=path, message=fault.message,
            expected=fault.expected, hint=fault.hint, excerpt=excerpt if shown else "",
            length=fault.length,
        )  # fmt: skip


class Unreadable(Exception):
    """The document is no tree at all; `problem` says why and where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Node:
    """One value of a document.

    kind    "scalar", "list" or "map"
    text    a scalar's text after `${}` was expanded; `raw` before that
    items   a list's nodes; a map's (key, value) pairs, in order, merge keys resolved
    plain   a scalar without quotes
    weight  how many nodes stand below this one when every alias is followed, itself included
    """

    __slots__ = ("column", "index", "items", "kind", "line", "plain", "raw", "text", "weight")

    def __init__(self, kind: Literal["scalar", "list", "map"], line: int, column: int, index: int) -> None:
        self.kind, self.line, self.column, self.index = kind, line, column, index
        self.text: str = ""
        self.raw: str | None = None
        self.items: list = []
        self.plain = False
        self.weight = 1

    @property
    def expanded(self) -> bool:
        """A `${}` was replaced in it: what it is then follows from what is wanted, and its text may be a secret."""
        return self.raw is not None

    def value(self) -> Plain:
        """A scalar as the core schema has it. Raises Fault (FGW1103) for a number too long to be meant."""
        return core(self.text) if self.plain or self.expanded else self.text

    def is_empty(self) -> bool:
        """Nothing was written, as after the key in `limits:`."""
        return self.kind == "scalar" and self.plain and not self.expanded and self.text in _NULL

    def is_integer(self) -> bool:
        """A whole number is written here, be it longer than is taken."""
        try:
            return type(self.value()) is int
        except Fault:
            return True

    def found(self) -> str:
        """What stands there, for messages: never what a reference expanded to."""
        if self.kind != "scalar":
            return "a mapping" if self.kind == "map" else "a list"
        if self.expanded:
            return f"what {self.raw} expands to"
        if is_secret(self.text):
            return "a private key"
        if self.plain and len(self.text) > _NUMBER_MAX and _DECIMAL.fullmatch(self.text):
            return f"a number of {len(self.text)} characters"
        value = self.value()
        if value is None:
            return "nothing" if not self.text else f"`{self.text}` (nothing)"
        if isinstance(value, str):
            return f"the text {shorten(self.text)!r}"
        return f"the {'truth value' if isinstance(value, bool) else 'number'} {self.text}"

    def shown(self) -> str:
        """The text itself, in backquotes, or the reference it came from."""
        return f"`{shorten(self.raw if self.raw is not None else SECRET if is_secret(self.text) else self.text)}`"

    def get(self, key: str) -> "Node | None":
        """The value under `key` of a map; None when it is missing or this is no map."""
        if self.kind == "map":
            for name, value in self.items:
                if name.text == key:
                    return value
        return None


def is_secret(text: str) -> bool:
    """A private key in PEM that is written out: it is shown nowhere."""
    return "PRIVATE KEY" in text


def core(text: str) -> Plain:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in "+-.0123456789":
        return text
    if _DECIMAL.fullmatch(text):
        return int(_bounded(text))
    if _RADIX.fullmatch(text):
        return int(_bounded(text)[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return math.nan if text[-1] in "nN" else math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return text


def _bounded(text: str) -> str:
    if len(text) > _NUMBER_MAX:
        raise Fault("FGW1103", f"a number of {len(text)} characters", expected=f"at most {_NUMBER_MAX}")
    return text


def join(path: str, key: str) -> str:
    """The path of a key: a.b, or a["x.y"] when the key is no simple word."""
    part = key if _SIMPLE.fullmatch(key) else f'["{key}"]'
    return f"{path}.{part}" if path and not part.startswith("[") else path + part


def shorten(text: str, most: int = 60) -> str:
    """At most `most` characters, control characters made visible."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
