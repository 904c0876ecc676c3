"""Showing configurations: what is in force with every default, and texts in which no secret may stand.

A value that came through `${VAR}` or `${file:path}` is shown as that reference. In a dump that is exact, since every
value's place is known. In sentences (messages, explanations) values are looked for instead: of fewer than HIDDEN_LEAST
characters only where they are the whole text, since they would be found in innocent words.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from . import units
from .model import KINDS, Config, Step
from .nodes import join
from .problem import Problem
from .shape import Anything, Choice, Field, Leaf, List, Map, Object, Shape, root

HIDDEN_LEAST = 4
ANYTHING = Anything()


class Redactor:
    """Puts references in the place of values. `values`: value → reference."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {value: reference for value, reference in values.items() if value}
        long = sorted((value for value in self._values if len(value) >= HIDDEN_LEAST), key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, long))) if long else None

    def text(self, text: str) -> str:
        """A text without the values."""
        if text in self._values:
            return self._values[text]
        return self._found.sub(lambda match: self._values[match[0]], text) if self._found else text

    def data(self, data: Any) -> Any:
        """Plain data, all texts in it; also keys."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, dict):
            return {self.text(key): self.data(value) for key, value in data.items()}
        return [self.data(item) for item in data] if isinstance(data, list | tuple) else data

    def problem(self, problem: Problem) -> Problem:
        """A finding whose words do not quote a value. The excerpt is the document's own text."""
        words = {name: self.text(getattr(problem, name)) for name in ("message", "expected", "hint")}
        return structs.replace(problem, **words)


def effective(config: Config, references: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration with its defaults as plain data that can be loaded again, `references` (path →
    reference) in the place of what they stand for. Lists and mappings are never abbreviated."""
    shown: dict[str, Any] = _Shower(references).show(root(), config, "")
    return shown


class _Shower:
    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = references
        self._defaults: dict[int, Any] = {}  # what a default is shown as: most of a large configuration

    def show(self, shape: Shape, value: Any, path: str) -> Any:
        reference = self._references.get(path)
        match shape:
            case Object():
                return self._object(shape, value, path, reference)
            case List() if reference is None:
                return [self.show(shape.item, item, f"{path}[{i}]") for i, item in enumerate(value)]
            case Map():
                return {key: self.show(shape.value, item, join(path, key)) for key, item in value.items()}
            case Anything() if reference is None:
                return self._anything(value, path)
            case Choice() if isinstance(value, Struct):
                options = [option for option in shape.options if isinstance(option, Object)]
                return self.show(next(option for option in options if option.cls is type(value)), value, path)
            case Leaf() if reference is None:
                return _scalar(shape, value)
        return reference if reference is not None else _escaped(value)

    def _anything(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: self.show(ANYTHING, item, join(path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.show(ANYTHING, item, f"{path}[{i}]") for i, item in enumerate(value)]
        return _escaped(value)

    def _object(self, shape: Object, value: Any, path: str, reference: str | None) -> dict[str, Any]:
        found = {}
        for name, field in shape.fields.items():
            if isinstance(value, Step) and value.use is None and name not in KINDS:
                continue  # what belongs to a plugin stands beside `use` only
            item = getattr(value, field.attribute)
            if name == shape.short and reference is not None:
                found[name] = reference
            elif item is not None:
                found[name] = self._field(field, item, join(path, name))
        return found

    def _field(self, field: Field, item: Any, path: str) -> Any:
        if item is not field.default or path in self._references or not isinstance(item, Struct):
            return self.show(field.shape, item, path)
        if id(item) not in self._defaults:
            self._defaults[id(item)] = self.show(field.shape, item, path)
        return self._defaults[id(item)]


def _scalar(leaf: Leaf, value: Any) -> Any:
    if leaf.off and value == 0:
        return "off"
    return units.render(leaf.unit, value) if leaf.unit else _escaped(value)


def _escaped(value: Any) -> Any:
    """Text in which a dollar sign is no reference."""
    return re.sub(r"\$(?=[${])", "$$", value) if isinstance(value, str) else value
