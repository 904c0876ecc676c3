"""JSON text (RFC 8259) to a tree with places. Strict: no comments, no trailing commas, no duplicate keys."""

import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]

from .nodes import MAX_DEPTH, MAX_NODES, Node, Source, Unreadable
from .problem import Fault

_SPACE = re.compile(r"[ \t\n\r]*")
_ATOM = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z.+-])|(?:true|false|null)\b")


def parse(name: str, text: str) -> tuple[Source, Node]:
    """Read one document. Raises Unreadable at the first thing that is not JSON."""
    source = Source(name, text)
    return source, _Reader(source).document()


class _Reader:
    """Recursive descent over one text, at most MAX_DEPTH deep. `_at` is the next character."""

    def __init__(self, source: Source) -> None:
        self._source, self._text = source, source.text
        self._at = self._depth = self._nodes = 0

    def document(self) -> Node:
        self._space()
        root = self._value()
        self._space()
        if self._at < len(self._text):
            self._fail("something follows the document's end", "nothing more")
        return root

    def _fail(self, message: str, expected: str = "", code: str = "FGW1003", at: int | None = None) -> None:
        place = self._source.place(self._at if at is None else at)
        raise Unreadable(self._source.problem(Fault(code, message, expected=expected), *place))

    def _space(self) -> str:
        """Skip white space; returns the character that follows, empty at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        return self._text[self._at : self._at + 1]

    def _new(self, kind: str) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(f"more than {MAX_NODES:,} values", code="FGW1006")
        return Node(kind, *self._source.place(self._at), self._at)  # type: ignore[arg-type]

    def _value(self) -> Node:
        char = self._text[self._at : self._at + 1]
        if char == "{":
            return self._nested(self._map)
        if char == "[":
            return self._nested(self._list)
        node = self._new("scalar")
        if char == '"':
            node.text = self._string()
            return node
        if not (atom := _ATOM.match(self._text, self._at)):
            self._fail("the document ends here" if not char else f"unexpected {char!r}", "a JSON value")
        assert atom is not None
        node.text, node.plain, self._at = atom[0], True, atom.end()
        return node

    def _nested(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep", code="FGW1006")
        node = read()
        self._depth -= 1
        return node

    def _string(self) -> str:
        start = self._at
        try:
            value, self._at = scanstring(self._text, start + 1, True)
        except ValueError as error:
            self._fail(getattr(error, "msg", str(error)).lower(), "a JSON string", at=getattr(error, "pos", start))
        if any("\ud800" <= char <= "\udfff" for char in value):
            self._fail("half of a surrogate pair", "a whole character", "FGW1002", start)
        return value

    def _list(self) -> Node:
        node = self._new("list")
        self._at += 1
        if self._space() == "]":
            self._at += 1
            return node
        while True:
            self._space()
            node.items.append(self._value())
            if self._comma("]"):
                return node

    def _map(self) -> Node:
        node = self._new("map")
        seen: dict[str, Node] = {}
        self._at += 1
        if self._space() == "}":
            self._at += 1
            return node
        while True:
            if self._space() != '"':
                self._fail("a key is missing", "a key in double quotes")
            key = self._new("scalar")
            key.text = self._string()
            if key.text in seen:
                text = f"the key `{key.text}` stands here twice; the first is on line {seen[key.text].line}"
                self._fail(text, code="FGW1004", at=key.index)
            seen[key.text] = key
            if self._space() != ":":
                self._fail("no value for this key", "`:`")
            self._at += 1
            self._space()
            node.items.append((key, self._value()))
            if self._comma("}"):
                return node

    def _comma(self, close: str) -> bool:
        """Step over `,` (False: more follows) or over the closing bracket (True)."""
        char = self._space()
        if char not in (",", close) or not char:
            self._fail("the document ends here" if not char else f"unexpected {char!r}", f"`,` or `{close}`")
        self._at += 1
        return char == close
