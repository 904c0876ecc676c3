"""What a plugin's class is looked over for, and how its instances are made."""

from typing import Any, TypeVar

import msgspec
import pytest

from fastgw.plugin import Plugin, hook
from fastgw.plugin.base import make


class Settings(msgspec.Struct):
    word: str = "w"


T = TypeVar("T")


class Above(Plugin[T]):
    @hook.access
    def check(self, request): ...


def test_the_type_of_settings_is_what_stands_in_the_brackets():
    class Plain(Plugin[None]): ...

    class Given(Plugin[Settings]): ...

    class Below(Given): ...

    class Late(Above[Settings]): ...

    found = [each.settings_type for each in (Plain, Given, Below, Late, Above)]
    assert found == [None, Settings, Settings, Settings, None]


def test_hooks_are_found_in_the_class_and_above_it():
    class Both(Above[None]):
        @hook.reply
        async def seen(self, request, reply, more=1): ...

    assert Both.hooks == {"access": "check", "reply": "seen"} and Above.hooks == {"access": "check"}


def test_a_method_that_stands_for_a_hook_without_the_mark_is_none():
    class Without(Above[None]):
        def check(self, request): ...

    assert Without.hooks == {}


@pytest.mark.parametrize(
    ("kind", "method", "says"),
    [
        (hook.access, lambda self: None, "cannot be called as check(self, request)"),
        (hook.access, lambda self, request, more: None, "cannot be called as check(self, request)"),
        (hook.reply, lambda self, request: None, "cannot be called as check(self, request, reply)"),
        (hook.access, lambda self, *, request: None, "cannot be called as check(self, request)"),
    ],
)
def test_a_hook_that_cannot_be_called_is_an_error_of_the_class(kind: Any, method: Any, says: str):
    with pytest.raises(TypeError, match="Wrong") as error:
        new("Wrong", check=kind(method))
    assert says in str(error.value)


def new(name: str, **members: Any) -> type:
    """A class derived from Plugin."""
    return type(Plugin)(name, (Plugin,), members)


def test_two_hooks_of_a_kind_are_an_error_of_the_class():
    with pytest.raises(TypeError, match="two hooks for reply: a and b"):
        new("Wrong", a=hook.reply(lambda self, q, r: None), b=hook.reply(lambda self, q, r: None))


def test_settings_are_there_before_init_runs():
    class Mine(Plugin[Settings]):
        def __init__(self) -> None:
            self.shout = self.settings.word.upper() + self.name

    made = make(Mine, Settings("a"), "n")
    assert made.shout == "An" and made.log.name == "fastgw.plugin.n"
