"""What every plugin is derived from."""

import inspect
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from .hook import KINDS, MARK

S = TypeVar("S")


class Plugin(Generic[S]):
    """A class whose hooks run in the engine: `class KeyAuth(Plugin[Settings])`, or `Plugin[None]` without settings.

    An instance is made in every worker for each distinct `with`, before the configuration is used, and lives as long
    as a configuration names it so: reloads keep it, and what it remembers. All its calls come from the worker's one
    thread.

    settings  what stands under `with`, decoded to the type in brackets (a msgspec Struct, dataclass or TypedDict)
    name      what log and metrics call the plugin
    log       a logger; its lines go to the gateway's error log

    TypeError at the class: two hooks of a kind, or one that cannot be called as KINDS says."""

    settings: S
    name: str
    log: logging.Logger

    settings_type: ClassVar[Any] = None
    """The type in the brackets."""
    hooks: ClassVar[dict[str, str]] = {}
    """Kind of hook to the name of its method."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if isinstance(get_origin(base), type) and issubclass(get_origin(base), Plugin):
                (argument,) = get_args(base)
                cls.settings_type = None if isinstance(argument, TypeVar) or argument is type(None) else argument
        cls.hooks = _hooks_of(cls)

    async def start(self) -> None:
        """Open what it needs. Awaited in the worker, before the configuration is used; an exception refuses it."""

    async def stop(self) -> None:
        """Close it again. Awaited once, when no configuration names this instance any more, or at the worker's end.

        Not where `start` has failed or was cancelled: that cleans up by itself."""


def _hooks_of(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in dir(cls):
        method = getattr(cls, name, None)
        kind = getattr(method, MARK, None) if inspect.isfunction(method) else None
        if kind is None:
            continue
        if kind in found:
            raise TypeError(f"{cls.__qualname__} has two hooks for {kind}: {found[kind]} and {name}")
        _check_call(cls, name, method, kind)
        found[kind] = name
    return found


def _check_call(cls: type, name: str, method: Callable[..., Any], kind: str) -> None:
    try:
        inspect.signature(method).bind(None, *KINDS[kind])
    except TypeError as error:
        wanted = ", ".join(("self", *KINDS[kind]))
        raise TypeError(f"{cls.__qualname__}.{name} cannot be called as {name}({wanted}): {error}") from None


def make(cls: type[Plugin[Any]], settings: Any, name: str) -> Plugin[Any]:
    """An instance that is not started. Whatever its `__init__`, if it has one, raises."""
    plugin = cls.__new__(cls)
    plugin.settings, plugin.name, plugin.log = settings, name, logging.getLogger(f"fastgw.plugin.{name}")
    plugin.__init__()  # type: ignore[misc]
    return plugin
