"""
TestingError
  NothingCame   a message or a connection was asked for that has not come
  PlayError     a conversation went otherwise
  LeftOver      at the end the engine still holds something
"""

from fastgw.errors import FastgwError


class TestingError(FastgwError, AssertionError):
    """What a test finds wrong. The text ends with what went over the wires."""

    __test__ = False  # pytest looks for tests in what is called so


class NothingCame(TestingError):
    """A message or a connection was asked for that has not come."""


class PlayError(TestingError):
    """A conversation went otherwise. The text says at which step, and what differed."""


class LeftOver(TestingError):
    """At the end the engine still holds something."""
