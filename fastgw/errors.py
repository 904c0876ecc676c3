"""The exceptions of fastgw.

FastgwError
  ConfigErrors        a configuration cannot be used; `problems` tells everything that is wrong with it
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastgw.config.problem import Problem

__all__ = ["ConfigErrors", "FastgwError"]


class FastgwError(Exception):
    """Base of all exceptions that fastgw raises on purpose."""


class ConfigErrors(FastgwError):
    """Raised by the loader with every problem of one document, in the document's order. `str()` is the whole report."""

    def __init__(self, problems: Sequence["Problem"], warnings: Sequence["Problem"] = ()) -> None:
        super().__init__(problems, warnings)
        self.problems = list(problems)
        self.warnings = list(warnings)

    def __str__(self) -> str:
        return "\n".join(problem.render() for problem in self.problems)
