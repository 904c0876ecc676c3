"""`fastgw version`: which fastgw this is, and with `--features` what it was built of and what it can do."""

import importlib
import importlib.metadata
import platform
from typing import Any

import click

from fastgw import __version__

from .common import emit, json_option

PROTOCOLS = ["http/1.0", "http/1.1", "upgrade tunnels", "proxy protocol v1", "tcp", "unix sockets"]
LIBRARIES = ("uvloop", "msgspec", "orjson", "PyYAML", "click", "aiodns", "pycares")


@click.command("version")
@json_option
@click.option("--features", "with_features", is_flag=True, help="Also what this build can do.")
def command(as_json: bool, with_features: bool) -> None:
    """Print the version."""
    found: dict[str, Any] = {"version": __version__}
    if with_features:
        found |= features()
    if as_json:
        emit(found)
        return
    click.echo(f"fastgw {__version__}")
    for name, value in found.items():
        if name != "version":
            click.echo(f"{name}: {_text(value)}")


def features() -> dict[str, Any]:
    """What this installation is made of; whatever is missing is None."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "engine": _engine(),
        "protocols": PROTOCOLS,
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _engine() -> dict[str, Any] | None:
    """The compiled half, None if it is not built."""
    try:
        importlib.import_module("fastgw._worker")
        layout = importlib.import_module("fastgw._layout")
    except ImportError:
        return None
    return {"snapshot_layout": layout.LAYOUT_VERSION}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value or "not built")
