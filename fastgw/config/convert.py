"""A document's tree to the model, value by value, so that one pass finds everything that is wrong.

What is wrong is recorded and left out: an option that is bad counts as its default, an entry that is bad is missing
from its list or mapping. So checks further up (fastgw.config.rules) still run, on what is sound.
"""

import difflib
import re
from typing import Any, Final

from msgspec import structs

from . import checks, leaves, rules
from .expand import Expander
from .model import Config
from .model_types import NAME_PATTERN
from .nodes import SECRET, Node, Source, is_secret, join
from .problem import CODES, Fault, Problem
from .shape import Anything, Choice, Leaf, List, Map, Object, Shape, root


class _Bad:
    """Stands for a value that could not be had; what is wrong with it has been recorded."""


BAD: Final = _Bad()


class Converter:
    """Walks one document. `problems`, `warnings` and `marks` (path: line, column) are complete after `config()`.

    So are `keys`, the marks of keys in data that is looked into later, `references` (path: reference) of all values
    that came through one, and `hidden` (value: reference). A private key that is written out counts as such a value."""

    def __init__(self, source: Source, tree: Node, expander: Expander) -> None:
        self._source, self._tree, self._expander = source, tree, expander
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.marks: dict[str, tuple[int, int]] = {}
        self.keys: dict[str, tuple[int, int]] = {}
        self.references: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        self.names = {"listener": self._keys("listeners"), "upstream": self._keys("upstreams")}

    def _keys(self, key: str) -> list[str]:
        node = self._tree.get(key)
        return [name.text for name, _ in node.items] if node and node.kind == "map" else []

    def config(self) -> Config | None:
        """The configuration; None or something partial if there are problems."""
        value = self._value(self._tree, root(), "")
        return value if isinstance(value, Config) else None

    def fail(self, node: Node, path: str, fault: Fault) -> _Bad:
        """Record a problem at a node."""
        self.problems.append(self._problem(node, path, fault))
        return BAD

    def warn(self, node: Node, path: str, fault: Fault) -> None:
        """Record a warning at a node."""
        self.warnings.append(self._problem(node, path, fault))

    def _problem(self, node: Node, path: str, fault: Fault) -> Problem:
        fault = _veil(node, fault)
        line, column = node.line, node.column
        text = node.raw if node.raw is not None else node.text
        quote = 0 if node.plain else 1
        literal = node.kind == "scalar" and self._source.text.startswith(text, node.index + quote)
        if fault.offset is None:
            fault.length = len(text) + 2 * quote if literal else 1
        elif literal and not node.expanded:
            line, column = self._source.place(node.index + quote + fault.offset)
        return self._source.problem(fault, line, column, path)

    def _value(self, node: Node, shape: Shape, path: str) -> Any:
        self.marks[path] = (node.line, node.column)
        if node.kind == "scalar":
            try:
                self._expander.expand(node)
            except Fault as fault:
                return self.fail(node, path, fault)
            if node.raw is not None:
                self.references[path], self.hidden[node.text] = node.raw, node.raw
            elif is_secret(node.text):
                self.references[path] = self.hidden[node.text] = SECRET
        match shape:
            case Leaf():
                return self._kept(node, self._leaf(node, shape, path))
            case List():
                return self._list(node, shape, path)
            case Map():
                return self._map(node, shape, path)
            case Object():
                return self._object(node, shape, path)
            case Choice():
                return self._choice(node, shape, path)
            case Anything():
                return self._anything(node, path)

    def _anything(self, node: Node, path: str) -> Any:
        """Plain data, every reference in it replaced. A scalar that had one is text, whatever it looks like."""
        anything = Anything()
        if node.kind == "map":
            self.keys |= {join(path, key.text): (key.line, key.column) for key, _ in node.items}
            return {key.text: self._value(item, anything, join(path, key.text)) for key, item in node.items}
        if node.kind == "list":
            return [self._value(item, anything, f"{path}[{i}]") for i, item in enumerate(node.items)]
        try:
            return node.text if node.expanded else node.value()
        except Fault as fault:
            return self.fail(node, path, fault)

    def _kept(self, node: Node, value: Any) -> Any:
        """A value as it is kept; in that form too it is hidden, if it came through a reference."""
        if node.raw is not None and isinstance(value, str):
            self.hidden[value] = node.raw
        return value

    def _mismatch(self, node: Node, shape: Shape, path: str) -> _Bad:
        return self.fail(node, path, Fault("FGW1103", f"found {node.found()}", expected=leaves.describe(shape)))

    def _leaf(self, node: Node, shape: Leaf, path: str) -> Any:
        if node.kind != "scalar":
            return self._mismatch(node, shape, path)
        try:
            value = leaves.convert(node, shape)
            if shape.check in self.names:
                self._reference(shape.check, value)
            if shape.check == "pem" and value is not None:
                value = self._expander.pem(value)
                if value != node.text:  # a file: its path is shown, never its content
                    self.references.setdefault(path, node.text)
        except Fault as fault:
            return self.fail(node, path, fault)
        return value

    def _reference(self, kind: str, name: str) -> None:
        """A name of a listener or upstream must have been given to one. Raises Fault (FGW1201)."""
        known = self.names[kind]
        if name in known:
            return
        some = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        close = difflib.get_close_matches(name, known, 1)
        expected = f"one of {some}" if known else f"a defined {kind}"
        raise Fault("FGW1201", f"there is no {kind} `{name}`", expected=expected,
                    hint=f"did you mean {close[0]}?" if close else "")  # fmt: skip

    def _list(self, node: Node, shape: List, path: str) -> Any:
        if node.is_empty():
            items = []
        elif node.kind == "list":
            items = [self._value(item, shape.item, f"{path}[{i}]") for i, item in enumerate(node.items)]
        elif shape.single:
            items = [self._value(node, shape.item, path)]
        else:
            return self._mismatch(node, shape, path)
        if len(items) < shape.least:
            return self.fail(node, path, Fault("FGW1105", "nothing stands here", expected=leaves.describe(shape)))
        good = tuple(item for item in items if item is not BAD)
        return good if len(good) >= shape.least else BAD

    def _map(self, node: Node, shape: Map, path: str) -> dict[str, Any]:
        if not node.is_empty() and node.kind != "map":
            self._mismatch(node, shape, path)
            return {}
        if len(node.items) < shape.least:
            self.fail(node, path, Fault("FGW1105", "nothing stands here", expected="at least one entry"))
        result: dict[str, Any] = {}
        folded: set[str] = set()
        for key, item in node.items:
            at = join(path, key.text)
            if isinstance(shape.value, Anything):
                self.keys[at] = (key.line, key.column)
            try:
                _check_key(key.text, shape.names, folded)
            except Fault as fault:
                self.fail(key, at, fault)
            value = self._value(item, shape.value, at)
            if value is not BAD:
                result[key.text] = value
        return result

    def _choice(self, node: Node, shape: Choice, path: str) -> Any:
        if node.is_empty() and shape.nullable:
            return None
        mappings = [option for option in shape.options if isinstance(option, Object)]
        scalars = [option for option in shape.options if isinstance(option, Leaf)]
        if node.kind == "map" and mappings:
            return self._object(node, mappings[0], path)
        if node.kind != "scalar":
            return self._mismatch(node, shape, path)
        if any(option.type == "word" and node.text in option.words for option in scalars):
            return node.text
        free = [option for option in scalars if option.type != "word"]
        if not free or (mappings and node.is_empty()):
            return self._mismatch(node, shape, path)
        before = len(self.problems)
        number = node.is_integer()
        value = self._leaf(node, next((leaf for leaf in free if (leaf.type == "int") is number), free[0]), path)
        if value is BAD and self.problems[before].code in ("FGW1103", "FGW1105"):
            self.problems[before] = self._widen(self.problems[before], node, shape)
        return value

    def _widen(self, problem: Problem, node: Node, shape: Choice) -> Problem:
        """The problem of one option of a choice, told as that of the whole choice."""
        words = [str(word) for option in shape.options if isinstance(option, Leaf) for word in option.words]
        close = difflib.get_close_matches(node.text.lower(), words, 1)
        hint = f"did you mean {close[0]}?" if close and not node.expanded else problem.hint
        return structs.replace(problem, expected=leaves.describe(shape), hint=hint)

    def _object(self, node: Node, shape: Object, path: str) -> Any:
        if node.is_empty():
            if shape.nullable:
                return None
        elif shape.short and node.kind == "scalar":
            value = self._value(node, shape.fields[shape.short].shape, path)
            return value if value is BAD else shape.cls(**{shape.short: value})
        elif node.kind != "map":
            return self._mismatch(node, shape, path)
        values, whole = self._fields(node, shape, path)
        if not whole:
            return BAD
        result = shape.cls(**values)
        rules.apply(self, result, node, path)
        return result

    def _fields(self, node: Node, shape: Object, path: str) -> tuple[dict[str, Any], bool]:
        """The sound options of a mapping; False if a required one is not among them."""
        values: dict[str, Any] = {}
        told = set()  # options that are missing only because their names or values are bad
        for key, item in node.items:
            told.add(key.text)
            if option := shape.fields.get(key.text):
                value = self._value(item, option.shape, join(path, key.text))
                if value is not BAD:
                    values[option.attribute] = value
            else:
                told.add(self._unknown(key, shape, join(path, key.text)))
        whole = True
        for option in shape.fields.values():
            if option.required and option.attribute not in values:
                if option.name not in told:
                    message = f"the key `{option.name}` is missing"
                    self.fail(node, path, Fault("FGW1102", message, expected=option.description, offset=0))
                if isinstance(option.shape, Map):
                    values[option.attribute] = {}
                else:
                    whole = False
        return values, whole

    def _unknown(self, key: Node, shape: Object, path: str) -> str:
        """Record an unknown key; returns the option that was probably meant, if any."""
        close = difflib.get_close_matches(key.text, shape.fields, 1)
        fault = Fault("FGW1101", f"unknown key `{key.text}`", expected="one of " + ", ".join(shape.fields),
                      hint=f"did you mean {close[0]}?" if close else "")  # fmt: skip
        self.fail(key, path, fault)
        return close[0] if close else ""


def _veil(node: Node, fault: Fault) -> Fault:
    """A message about a value that came from a reference must not quote it: it may be a secret."""
    if not node.expanded or fault.code in ("FGW1103", "FGW1104", "FGW1105", "FGW1106"):
        return fault
    return Fault(fault.code, f"{node.found()} cannot be used here: {CODES[fault.code]}", expected=fault.expected)


def _check_key(text: str, names: str, folded: set[str]) -> None:
    """A key of a free mapping. Raises Fault (FGW1004, FGW1108, FGW1208)."""
    if names == "name" and not re.fullmatch(NAME_PATTERN, text):
        expected = "at most 64 letters, digits, dots, dashes and underscores, a letter or digit first"
        raise Fault("FGW1108", f"`{text}` is not a name", expected=expected)
    if names == "field":
        checks.field_name(text)
        if text.lower() in folded:
            raise Fault("FGW1004", f"the header field `{text}` stands here twice; case makes no difference")
        folded.add(text.lower())
    if names == "query" and not text:
        raise Fault("FGW1108", "a query parameter without a name")
