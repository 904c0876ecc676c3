"""TOML 1.0 text to a tree with places. The standard library says what is TOML, the reader here where everything stands.

So it sees only text that tomllib has taken, and need not know what is wrong: it follows keys, brackets and quotes. What
a scalar means is asked of tomllib again.
"""

import math
import re
import tomllib
from typing import Any

from .nodes import MAX_DEPTH, MAX_NODES, Node, Source, Unreadable
from .problem import Fault

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")|' r"'''.*?'''(?!')|" r'"(?!"")(?:[^"\\\n]|\\.)*"|' r"'(?!'')[^'\n]*'|\"\"|''", re.S
)
_ATOM = re.compile(r"[^\s,#\]}]+(?: \d\d:\d\d[^\s,#\]}]*)?")
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse(name: str, text: str) -> tuple[Source, Node]:
    """Read one document. Raises Unreadable at the first thing that is not TOML or not allowed here."""
    source = Source(name, text)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(_problem(source, str(error))) from None
    except RecursionError:
        fault = Fault("FGW1006", f"nested more than {MAX_DEPTH} deep")
        raise Unreadable(source.problem(fault, 1, 1)) from None
    except ValueError:  # int() has a bound of its own for the digits that it reads
        raise Unreadable(source.problem(Fault("FGW1103", "a number of too many digits"), 1, 1)) from None
    return source, _Reader(source).document()


def _problem(source: Source, said: str) -> Any:
    """What tomllib said, at the place that it named; of a key that stands there twice, the line's begin."""
    where = _WHERE.search(said)
    line, column = source.place(len(source.text))
    if where and where[1]:
        line, column = int(where[1]), int(where[2])
    message = _WHERE.sub("", said)
    twice = message.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate"))
    if twice:
        excerpt = source.line(line)
        column = len(excerpt) - len(excerpt.lstrip(" \t[")) + 1
    message = message[:1].lower() + message[1:]
    return source.problem(Fault("FGW1004" if twice else "FGW1003", message), line, column)


class _Reader:
    """Follows one text. `_at` is the next character."""

    def __init__(self, source: Source) -> None:
        self._source, self._text = source, source.text
        self._at = self._nodes = 0

    def document(self) -> Node:
        root = table = self._new("map", 0)
        while self._blank():
            if self._text.startswith("[[", self._at):
                table = self._header(root, 2)
            elif self._text[self._at] == "[":
                table = self._header(root, 1)
            else:
                self._pair(table, 0)
        return root

    def _blank(self) -> str:
        """Skip white space, ends of lines and comments; returns the character that follows, empty at the end."""
        self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
        return self._text[self._at : self._at + 1]

    def _new(self, kind: str, depth: int, at: int | None = None) -> Node:
        at = self._at if at is None else at
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(Fault("FGW1006", f"more than {MAX_NODES:,} values"), at)
        if depth > MAX_DEPTH:
            self._fail(Fault("FGW1006", f"nested more than {MAX_DEPTH} deep"), at)
        return Node(kind, *self._source.place(at), at)  # type: ignore[arg-type]

    def _fail(self, fault: Fault, at: int) -> None:
        raise Unreadable(self._source.problem(fault, *self._source.place(at)))

    def _header(self, root: Node, brackets: int) -> Node:
        """`[a.b]` or `[[a.b]]`: the table that the lines below it belong to."""
        at = self._at
        self._at += brackets
        keys = self._keys()
        self._blank()
        self._at += brackets
        table, depth = root, len(keys)
        for key in keys[:-1]:
            table = self._below(table, key, depth)
        if brackets == 1:
            return self._below(table, keys[-1], depth)
        rows = table.get(keys[-1].text)
        if rows is None:
            rows = self._new("list", depth, at)
            table.items.append((keys[-1], rows))
        rows.items.append(self._new("map", depth + 1, at))
        last: Node = rows.items[-1]
        return last

    def _below(self, table: Node, key: Node, depth: int) -> Node:
        """The table of this key, the last one of an array of tables, or a new one."""
        found = table.get(key.text)
        if found is None:
            found = self._new("map", depth, key.index)
            table.items.append((key, found))
        return found.items[-1] if found.kind == "list" else found

    def _keys(self) -> list[Node]:
        """The parts of a key, `a."b".c`."""
        keys = []
        while True:
            self._blank()
            key, at = self._new("scalar", 0), self._at
            match = _BARE.match(self._text, at) or _TEXT.match(self._text, at)
            assert match is not None
            self._at = match.end()
            key.text = match[0] if match.re is _BARE else _value(match[0])
            key.plain = match.re is _BARE
            keys.append(key)
            if self._blank() != ".":
                return keys
            self._at += 1

    def _pair(self, table: Node, depth: int) -> None:
        keys = self._keys()
        for key in keys[:-1]:
            table = self._below(table, key, depth + len(keys))
        self._at += 1  # the equals sign, which _keys has stopped at
        self._blank()
        table.items.append((keys[-1], self._item(depth + len(keys))))

    def _item(self, depth: int) -> Node:
        char = self._text[self._at]
        if char == "[":
            return self._list(depth)
        if char == "{":
            return self._inline(depth)
        node = self._new("scalar", depth)
        if match := _TEXT.match(self._text, self._at):
            node.text = _value(match[0])
        else:
            match = _ATOM.match(self._text, self._at)
            assert match is not None
            node.plain, node.text = True, self._plain(match[0], node)
        self._at = match.end()
        return node

    def _plain(self, text: str, node: Node) -> str:
        """A number or truth value, as the tree's own scalars write it. Dates are none of a configuration's types."""
        value = _value(text)
        if not isinstance(value, bool | int | float):
            fault = Fault("FGW1103", f"found the date or time {text}", expected="text, a number, true or false",
                          hint=f'in quotes it is text: "{text}"', length=len(text))  # fmt: skip
            self._fail(fault, node.index)
        if isinstance(value, float) and not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        return text if re.fullmatch(r"[-+]?\d+(\.\d+)?|true|false", text) else str(value)

    def _list(self, depth: int) -> Node:
        node = self._new("list", depth)
        self._at += 1
        while self._blank() != "]":
            node.items.append(self._item(depth + 1))
            if self._blank() == ",":
                self._at += 1
        self._at += 1
        return node

    def _inline(self, depth: int) -> Node:
        node = self._new("map", depth)
        self._at += 1
        while self._blank() != "}":
            self._pair(node, depth)
            if self._blank() == ",":
                self._at += 1
        self._at += 1
        return node


def _value(text: str) -> Any:
    """What one scalar stands for."""
    return tomllib.loads(f"v = {text}")["v"]
