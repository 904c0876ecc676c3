"""What stands under `with`, to the type that a plugin declares."""

import re
from typing import Any

import msgspec

_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_KEY = re.compile(r"(?:unknown|required) field `([^`]+)`")


class Wrong(Exception):
    """Settings that do not fit. `path`: keys and numbers down to what is wrong; `missing`: the last is not there;
    `unknown`: it should not be."""

    def __init__(self, message: str, path: list[str | int], *, missing: bool = False, unknown: bool = False) -> None:
        super().__init__(message)
        self.path, self.missing, self.unknown = path, missing, unknown


def decode(data: Any, type: Any) -> Any:
    """Plain data as `type`; None for a plugin without settings. Text that came from a reference may be a number.

    Raises Wrong."""
    if type is None:
        if data:
            message = "this plugin takes no settings; one that does is derived from Plugin[Settings]"
            raise Wrong(message, [next(iter(data))], unknown=True)
        return None
    try:
        return msgspec.convert(data, type, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        place = _PLACE.search(text)
        path: list[str | int] = []
        for key, number in _STEP.findall(place[1]) if place else ():
            path.append(key or (int(number) if number.isdigit() else number))
        message = _PLACE.sub("", text)
        if key := _KEY.search(message):
            path.append(key[1])
        raise Wrong(message, path, missing="required" in message, unknown="unknown field" in message) from None


def field_names(type: Any) -> tuple[str, ...]:
    """The names that a document may use for a type's fields; none where that is not known."""
    try:
        info = msgspec.inspect.type_info(type)
    except TypeError:
        return ()
    return tuple(field.encode_name for field in getattr(info, "fields", ()))
