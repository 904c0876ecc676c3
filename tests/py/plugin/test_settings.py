"""Settings: what fits, and the place of what does not."""

from typing import Any

import msgspec
import pytest

from fastgw.plugin.settings import Wrong, decode, field_names


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    port: int


class Settings(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    name: str
    port: int = 1
    inner: Inner | None = None
    many: list[Inner] = []


def test_what_fits():
    assert decode({"name": "a", "inner": {"port": 3}}, Settings) == Settings("a", inner=Inner(3))
    assert decode({"name": "a", "port": "12"}, Settings).port == 12, "text, as references give it"
    assert decode({}, None) is None and decode(None, None) is None


@pytest.mark.parametrize(
    ("data", "type", "path", "missing"),
    [
        ({}, Settings, ["name"], True),
        ({"name": "a", "port": "x"}, Settings, ["port"], False),
        ({"name": "a", "prot": 1}, Settings, ["prot"], False),
        ({"name": "a", "inner": {"port": []}}, Settings, ["inner", "port"], False),
        ({"name": "a", "many": [{"port": 1}, {"p": 1}]}, Settings, ["many", 1, "p"], False),
        ({"x": 1}, None, ["x"], False),
    ],
)
def test_what_does_not_fit_has_a_place(data: Any, type: Any, path: list[str | int], missing: bool):
    with pytest.raises(Wrong) as wrong:
        decode(data, type)
    assert wrong.value.path[: len(path)] == path and wrong.value.missing == missing
    assert "$" not in str(wrong.value)


def test_names_are_those_of_documents():
    assert field_names(Settings) == ("name", "port", "inner", "many") and field_names(dict[str, int]) == ()
