"""Marks for the methods of a plugin that the engine calls. Each may be `async`; a class has at most one of each kind.

access(self, request)           before the request is forwarded: None or Allow goes on, Deny answers
reply(self, request, reply)     before a reply's head is sent, the gateway's own replies too: Deny answers instead
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

MARK = "__fastgw_hook__"
KINDS = {"access": ("request",), "reply": ("request", "reply")}
"""The kinds of hooks, and what they are called with."""

_F = TypeVar("_F", bound=Callable[..., Any])


if not TYPE_CHECKING:  # for a type checker a module with __getattr__ would have every name

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"there is no @hook.{name}; there are {' and '.join(f'@hook.{kind}' for kind in KINDS)}")


def access(method: _F) -> _F:
    """Call this method for each request, at the step's place in the chain."""
    setattr(method, MARK, "access")
    return method


def reply(method: _F) -> _F:
    """Call this method for each reply; those of later steps run first."""
    setattr(method, MARK, "reply")
    return method
