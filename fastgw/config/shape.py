"""The model's types in the form that loader, schema and reference walk: made once from msgspec's inspection.

Leaf     a scalar: text, integer, truth value, or one of a set of words
List     items of one shape; `single`: a bare item may stand for a list of one
Map      free keys, values of one shape
Object   a Struct; `short`: a bare string stands for that field of it
Choice   one of several shapes, told apart by what stands there
Anything plain data that is looked into later
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from .model import Config


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. `words`: the allowed values of a literal; `unit`, `off`, `check` (there: kind): see model_types."""

    type: str  # "str", "int", "bool" or "word"
    words: tuple[str | int, ...] = ()
    ge: int | None = None
    le: int | None = None
    unit: str | None = None
    off: bool = False
    check: str | None = None
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class List:
    item: "Shape"
    single: bool = False
    least: int = 0
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    names: str
    value: "Shape"
    least: int = 0
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One option of an Object. `default` is msgspec.NODEFAULT when it is required. `attribute`: the Struct's."""

    name: str
    shape: "Shape"
    description: str
    default: Any
    attribute: str = ""

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT


@dataclass(frozen=True, slots=True)
class Object:
    cls: type
    fields: dict[str, Field] = field(hash=False)
    short: str | None = None
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple["Shape", ...]
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    nullable: bool = False


Shape = Leaf | List | Map | Object | Choice | Anything


@cache
def root() -> Object:
    """The shape of a whole configuration."""
    shape = _shape(inspect.type_info(Config), {})
    assert isinstance(shape, Object)
    return shape


def _shape(info: inspect.Type, extra: dict[str, Any]) -> Shape:
    """Translate one inspected type; `extra` comes from the Metadata around it."""
    if isinstance(info, inspect.Metadata):
        return _shape(info.type, {**(info.extra or {}), **extra})
    if isinstance(info, inspect.UnionType):
        return _union(info, extra)
    if isinstance(info, inspect.StructType):
        return Object(info.cls, fields_of(info.cls), extra.get("short"))
    if isinstance(info, inspect.VarTupleType):
        return List(_shape(info.item_type, {}), extra.get("single", False), info.min_length or 0)
    if isinstance(info, inspect.DictType):
        return Map(extra["names"], _shape(info.value_type, {}), info.min_length or 0)
    if isinstance(info, inspect.AnyType):
        return Anything()
    return _leaf(info, extra)


def _union(info: inspect.UnionType, extra: dict[str, Any]) -> Shape:
    rest = [_shape(option, extra) for option in info.types if not isinstance(option, inspect.NoneType)]
    nullable = len(rest) < len(info.types)
    return replace(rest[0], nullable=nullable) if len(rest) == 1 else Choice(tuple(rest), nullable)


def _leaf(info: inspect.Type, extra: dict[str, Any]) -> Leaf:
    if isinstance(info, inspect.LiteralType):
        return Leaf("word", words=tuple(word for word in info.values if isinstance(word, str | int)))
    if isinstance(info, inspect.IntType):
        return Leaf("int", ge=extra["least"], le=info.le, unit=extra.get("unit"), off=extra["off"])
    if isinstance(info, inspect.BoolType):
        return Leaf("bool")
    if isinstance(info, inspect.StrType):
        return Leaf("str", check=extra.get("kind"))
    raise TypeError(f"the model uses a type that configurations cannot hold: {info}")


@cache
def fields_of(cls: type) -> dict[str, Field]:
    """The options of a Struct, in the order they are declared."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return {
        f.encode_name: Field(f.encode_name, _shape(f.type, {}), _description(f.type), _default(f), f.name)
        for f in info.fields
    }


def _default(info: inspect.Field) -> Any:
    if info.default_factory is not msgspec.NODEFAULT:
        return info.default_factory()
    return info.default


def _description(info: inspect.Type) -> str:
    """The outermost description: the field's own, before that of its type."""
    if isinstance(info, inspect.Metadata):
        return (info.extra_json_schema or {}).get("description") or _description(info.type)
    if isinstance(info, inspect.UnionType):
        return next(filter(None, map(_description, info.types)), "")
    return ""
