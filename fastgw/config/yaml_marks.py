"""YAML 1.2 text to a tree with places, from libyaml's events.

Events rather than PyYAML's composer: depth, aliases and their expansion are then bounded before anything recurses,
duplicate keys are seen, and no tag ever makes an object.
"""

import re
from typing import Any

import yaml
from yaml.cyaml import CParser

from .nodes import MAX_DEPTH, MAX_NODES, Node, Source, Unreadable
from .problem import Fault

BREAKS = r"\r\n|[\n\r\x85\u2028\u2029]"
_REFUSED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORE_TAGS = {"tag:yaml.org,2002:str", "!"}


def parse(name: str, text: str) -> tuple[Source, Node]:
    """Read one document. Raises Unreadable at the first thing that is not YAML or not allowed here."""
    source = Source(name, text, BREAKS)
    if bad := _REFUSED.search(text):
        fault = Fault("FGW1002", f"the character U+{ord(bad[0]):04X} may not stand in a document")
        raise Unreadable(source.problem(fault, *source.place(bad.start())))
    return source, _Composer(source).document()


class _Composer:
    """Builds the tree of one document. `_anchors` maps a name to its node, or to None while that node is still open."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parser: Any = CParser(source.text)
        self._anchors: dict[str, Node | None] = {}
        self._depth = self._nodes = 0

    def document(self) -> Node:
        """The root; an empty document is an empty scalar."""
        self._event(yaml.StreamStartEvent)
        if isinstance(event := self._event(), yaml.StreamEndEvent):
            return self._scalar("", True, event)
        root = self._node(self._event())
        self._event(yaml.DocumentEndEvent)
        if not isinstance(event := self._event(), yaml.StreamEndEvent):
            self._fail(event, Fault("FGW1005", "a second document begins here", expected="one document in a file"))
        return root

    def _event(self, _kind: type | None = None) -> Any:
        try:
            return self._parser.get_event()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            text = " ".join(filter(None, (error.context, error.problem))) or "not YAML"
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            if "nesting depth" in text:  # libyaml 0.2.6 looks ahead and has a bound of its own, above ours
                fault = Fault("FGW1006", f"nested more than {MAX_DEPTH} deep")
                raise Unreadable(self._source.problem(fault, *place)) from None
            hint = self._hint(*place)
            raise Unreadable(self._source.problem(Fault("FGW1003", text, hint=hint), *place)) from None
        except yaml.YAMLError as error:
            raise Unreadable(self._source.problem(Fault("FGW1003", str(error)), 1, 1)) from None

    def _hint(self, line: int, column: int) -> str:
        """What the usual cause of a syntax error here is."""
        text, at = self._source.line(line), column - 1
        if text[at : at + 1] == "\t":
            return "YAML is indented with spaces, not tabs"
        if text[max(0, at - 1) : at + 1] == "${":
            return "inside { } and [ ] a ${…} must stand in quotes"
        return ""

    def _fail(self, event: Any, fault: Fault) -> None:
        mark = event.start_mark
        raise Unreadable(self._source.problem(fault, mark.line + 1, mark.column + 1))

    def _node(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(event, 1)
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag in _CORE_TAGS):
            self._fail(event, Fault("FGW1005", f"the tag {event.tag}", expected="a value without a tag"))
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event.value, not event.style and event.tag is None, event)
        else:
            self._anchor(event, None)
            node = self._collection(event)
        self._anchor(event, node)
        return node

    def _anchor(self, event: Any, node: Node | None) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _count(self, event: Any, more: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            self._fail(event, Fault("FGW1006", f"more than {MAX_NODES:,} values, aliases followed"))

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            self._fail(event, Fault("FGW1007", f"the alias *{event.anchor} has no anchor before it"))
        node = self._anchors[event.anchor]
        if node is None:
            self._fail(event, Fault("FGW1007", f"the alias *{event.anchor} stands inside its own anchor"))
        assert node is not None
        self._count(event, node.weight)
        return node

    def _scalar(self, text: str, plain: bool, event: Any) -> Node:
        mark = event.start_mark
        node = Node("scalar", mark.line + 1, mark.column + 1, mark.index)
        node.text, node.plain = text, plain
        return node

    def _collection(self, event: Any) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(event, Fault("FGW1006", f"nested more than {MAX_DEPTH} deep"))
        mark = event.start_mark
        is_map = isinstance(event, yaml.MappingStartEvent)
        node = Node("map" if is_map else "list", mark.line + 1, mark.column + 1, mark.index)
        self._fill_map(node) if is_map else self._fill_list(node)
        self._depth -= 1
        return node

    def _fill_list(self, node: Node) -> None:
        while not isinstance(event := self._event(), yaml.SequenceEndEvent):
            item = self._node(event)
            node.items.append(item)
            node.weight += item.weight

    def _fill_map(self, node: Node) -> None:
        merges: list[tuple[Any, Node]] = []
        seen: dict[str, Node] = {}
        while not isinstance(event := self._event(), yaml.MappingEndEvent):
            key = self._node(event)
            if key.kind != "scalar":
                self._fail(event, Fault("FGW1005", f"{key.found()} as a key", expected="a key that is text"))
            value = self._node(self._event())
            node.weight += 1 + value.weight
            if key.text == "<<" and key.plain:
                merges.append((event, value))
                continue
            if key.text in seen:
                first = seen[key.text].line
                text = f"the key `{key.text}` stands here twice; the first is on line {first}"
                self._fail(event, Fault("FGW1004", text, length=len(key.text)))
            seen[key.text] = key
            node.items.append((key, value))
        for event, value in merges:
            self._merge(node, seen, event, value)

    def _merge(self, node: Node, seen: dict[str, Node], event: Any, value: Node) -> None:
        """`<<`: add what the mapping, or the mappings of the list, have and this one has not."""
        for part in value.items if value.kind == "list" else [value]:
            if part.kind != "map":
                self._fail(event, Fault("FGW1007", "`<<` without a mapping", expected="an alias of a mapping"))
            for key, item in part.items:
                if key.text not in seen:
                    seen[key.text] = key
                    node.items.append((key, item))
