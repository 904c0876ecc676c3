"""JSON Schema (draft 2020-12) of a configuration document, for editors and for checks outside of fastgw.

It says what the loader says, save for what a schema cannot know: references between objects, the syntax of addresses,
patterns and templates, and what `${…}` expands to. Every scalar may therefore hold a `${…}`.
"""

from typing import Any

from . import units
from .model import KINDS, Answer, Match, Step
from .model_types import NAME_PATTERN
from .shape import Anything, Choice, Field, Leaf, List, Map, Object, Shape, root

REFERENCE = {"$ref": "#/$defs/Reference"}


def schema() -> dict[str, Any]:
    """The whole schema, as plain data."""
    defs: dict[str, Any] = {
        "Reference": {
            "description": "`${VAR}`, `${VAR:-x}` or `${file:path}`",
            "type": "string",
            "pattern": r"\$\{[^{}]+\}",
        }
    }
    top = _define(root(), defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fastgw configuration",
        **top,
        "$defs": dict(sorted(defs.items())),
    }


def _define(shape: Object, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of a Struct; those of its parts go to `defs`."""
    required = [option.name for option in shape.fields.values() if option.required]
    result: dict[str, Any] = {
        "description": " ".join((shape.cls.__doc__ or "").split()),
        "type": "object" if required else ["object", "null"],
        "properties": {option.name: _option(option, defs) for option in shape.fields.values()},
        "additionalProperties": False,
    }
    if required:
        result["required"] = required
    if shape.cls in (Step, Answer):
        result |= {"type": "object", "minProperties": 1, "maxProperties": 1}
    if shape.cls is Step:
        del result["maxProperties"]
        beside = [name for name in shape.fields if name not in KINDS]
        result |= {
            "if": {"required": ["use"]},
            "then": {"propertyNames": {"enum": ["use", *beside]}},
            "else": {"maxProperties": 1, "propertyNames": {"enum": [name for name in KINDS if name != "use"]}},
        }
    if shape.cls is Match:
        pairs = (("exact", "prefix"), ("exact", "pattern"), ("prefix", "pattern"))
        result["not"] = {"anyOf": [{"required": list(pair)} for pair in pairs]}
    return result


def _option(option: Field, defs: dict[str, Any]) -> dict[str, Any]:
    result = _schema(option.shape, defs)
    if option.description:
        result = {"description": option.description, **result}
    default = spell(option)
    return result if default is None else {**result, "default": default}


def spell(option: Field) -> Any:
    """A scalar option's default as a document would write it; None: it has none, or is no scalar."""
    value = option.default
    if option.required or value is None or not isinstance(value, bool | int | str):
        return None
    leaf = next((s for s in getattr(option.shape, "options", (option.shape,)) if isinstance(s, Leaf)), None)
    if isinstance(leaf, Leaf) and leaf.off and value == 0:
        return "off"
    if isinstance(leaf, Leaf) and leaf.unit and isinstance(value, int):
        return units.render(leaf.unit, value)
    return value


def _schema(shape: Shape, defs: dict[str, Any]) -> dict[str, Any]:
    match shape:
        case Leaf():
            return _leaf(shape)
        case List():
            items = _schema(shape.item, defs)
            array: dict[str, Any] = {"type": ["array", "null"], "items": items}
            if shape.least:
                array = {"type": "array", "items": items, "minItems": shape.least}
            return {"anyOf": [items, array]} if shape.single else array
        case Map():
            return _map(shape, defs)
        case Anything():
            return {}
        case Object():
            name = shape.cls.__name__
            if name not in defs:
                defs[name] = {}
                defs[name] = _define(shape, defs)
            result: dict[str, Any] = {"$ref": f"#/$defs/{name}"}
            return {"anyOf": [_schema(shape.fields[shape.short].shape, defs), result]} if shape.short else result
        case Choice():
            parts = [_schema(option, defs) for option in shape.options]
            return {"anyOf": [*parts, {"type": "null"}] if shape.nullable else parts}


def _map(shape: Map, defs: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "type": "object" if shape.least else ["object", "null"],
        "additionalProperties": _schema(shape.value, defs),
    }
    if shape.least:
        result["minProperties"] = shape.least
    if shape.names == "name":
        result["propertyNames"] = {"pattern": NAME_PATTERN}
    return result


def _leaf(shape: Leaf) -> dict[str, Any]:
    if shape.type == "str":
        return {"type": ["string", "null"] if shape.nullable else "string"}
    if shape.type == "word":
        return _or_reference({"enum": list(shape.words)})
    if shape.type == "bool":
        return _or_reference({"type": "boolean"})
    forms: list[dict[str, Any]] = []
    if shape.unit:
        forms.append({"type": "string", "pattern": units.PATTERNS[shape.unit]})
    if shape.unit == "duration":
        forms += [{"const": 0}] if shape.off or not shape.ge else []
    else:
        bounds = {"minimum": 0 if shape.off else shape.ge, "maximum": shape.le}
        forms.append({"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}})
    if shape.off:
        forms.append({"const": "off"})
    if shape.nullable:
        forms.append({"type": "null"})
    return {"anyOf": [*forms, REFERENCE]}


def _or_reference(form: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [form, REFERENCE]}
