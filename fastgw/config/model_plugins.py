"""Plugins: Python classes whose hooks look at requests and replies."""

from typing import Annotated

from msgspec import Meta, Struct

from .model_types import option

PATH_MAX = 16
BUDGET_MS = 1_000


class Plugins(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the modules of plugins are found."""

    path: Annotated[
        tuple[Annotated[str, option("", kind="folder")], ...],
        Meta(max_length=PATH_MAX),
        option(
            "Folders in which modules are looked for before the installed ones, relative to the configuration's own. "
            "When a file in them has changed, a reload runs the new code.",
            single=True,
        ),
    ] = ("plugins",)
