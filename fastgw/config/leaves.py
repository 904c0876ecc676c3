"""One scalar of a document to one value of the model, or a Fault that says what was found and what was expected."""

import difflib
from typing import Any

from . import units
from .checks import CHECKS
from .nodes import Node
from .problem import Fault
from .shape import Anything, Choice, Leaf, List, Map, Object, Shape

NOUNS = {
    "address": "an address", "bind": "an address to listen on", "cidr": "a network", "field": "a header field's name",
    "account": "the name or number of a user or group",
    "cost": "header:NAME", "frequency": "requests in a time, such as 100/s, 5000/m or 10/h",
    "limit_key": "client_ip, route, header:NAME, query:NAME, cookie:NAME or path:NAME", "limit_name": "a limit's name",
    "use": "module:Class", "folder": "a path of a folder",
    "host": "a host", "listener": "a listener's name", "log": "stdout, stderr or a path", "method": "a method",
    "path": "a path", "query": "text", "pattern": "a path pattern", "pem": "the path of a PEM file",
    "regex": "a regex", "server_name": "a host name or an address", "template": "text",
    "upstream": "an upstream's name", "value": "text", None: "text",
}  # fmt: skip


def convert(node: Node, shape: Leaf) -> Any:
    """The value of an expanded scalar. Raises Fault (FGW1103 to FGW1106, and those of `checks`)."""
    value = node.value()
    if value is None and shape.nullable and not node.expanded:
        return None
    if shape.type == "word":
        return _word(node, shape, value)
    if shape.type == "bool":
        return _bool(node, shape, value)
    return _text(node, shape, value) if shape.type == "str" else _number(node, shape, value)


def _text(node: Node, shape: Leaf, value: Any) -> str:
    if not isinstance(value, str) and not node.expanded:
        hint = f'in quotes it is text: "{node.text}"' if value is not None else ""
        raise Fault("FGW1103", f"found {node.found()}", expected=describe(shape), hint=hint)
    if shape.check not in CHECKS:
        return node.text
    return CHECKS[shape.check](node.text)


def _bool(node: Node, shape: Leaf, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(node.text.lower(), node.text.lower())
    hint = f"did you mean {meant}?" if meant in ("true", "false") and not node.expanded else ""
    raise Fault("FGW1103", f"found {node.found()}", expected=describe(shape), hint=hint)


def _word(node: Node, shape: Leaf, value: Any) -> str | int:
    if type(value) in (str, int) and value in shape.words:
        return value
    close = difflib.get_close_matches(node.text.lower(), map(str, shape.words), 1)
    hint = f"did you mean {close[0]}?" if close and not node.expanded else ""
    if value in [str(word) for word in shape.words]:
        hint = f"without quotes: {value}"
    elif node.text in shape.words:
        hint = f'in quotes: "{node.text}"'
    raise Fault("FGW1104", f"found {node.found()}", expected=describe(shape), hint=hint)


def _number(node: Node, shape: Leaf, value: Any) -> int:
    if shape.off and value == "off":
        return 0
    if shape.unit and not isinstance(value, bool) and value is not None:
        value = _measure(node, shape)
    if type(value) is not int:
        hint = "without quotes it is a number" if isinstance(value, str) and node.text.isdecimal() else ""
        raise Fault("FGW1103", f"found {node.found()}", expected=describe(shape), hint=hint)
    if (shape.off and value == 0) or _least(shape) <= value <= _most(shape):
        return value
    raise Fault("FGW1105", f"{node.shown()} is out of range", expected=describe(shape))


def _measure(node: Node, shape: Leaf) -> int:
    assert shape.unit is not None
    try:
        return units.parse(shape.unit, node.text)
    except Fault as fault:
        hint = "" if node.expanded else fault.hint
        raise Fault(fault.code, f"found {node.found()}", expected=describe(shape), hint=hint) from None


def _least(shape: Leaf) -> int:
    return shape.ge if shape.ge is not None else -(1 << 63)


def _most(shape: Leaf) -> int:
    return shape.le if shape.le is not None else 1 << 63


def describe(shape: Shape) -> str:
    """What is expected, in words."""
    match shape:
        case Leaf(type="word"):
            return shape.words[0] if len(shape.words) == 1 else "one of " + ", ".join(map(str, shape.words))  # type: ignore
        case Leaf(type="bool"):
            return "true or false"
        case Leaf(type="str"):
            return NOUNS[shape.check]
        case Leaf():
            return _describe_number(shape)
        case List():
            return f"{describe(shape.item)}, or a list of them" if shape.single else "a list"
        case Map() | Object():
            return "a mapping"
        case Anything():
            return "anything"
        case Choice():
            return " or ".join(describe(option) for option in shape.options)


def _describe_number(shape: Leaf) -> str:
    low, high = (units.render(shape.unit, bound) for bound in (_least(shape), _most(shape)))
    kind = units.EXPECTED[shape.unit] + "," if shape.unit else "a whole number"
    return f"{kind} from {low} to {high}" + (", or off" if shape.off else "")
