"""What the commands share: options, reading a configuration, printing."""

import sys
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from fastgw.config.load import Loaded, load
from fastgw.errors import ConfigErrors

FINDINGS, BAD_CONFIG = 1, 78

config_option = click.option(
    "-c", "--config", "path", metavar="FILE", required=True, envvar="FASTGW_CONFIG",
    type=click.Path(path_type=Path), help="The configuration: YAML, or JSON or TOML in a file so named.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read(path: Path, as_json: bool, code: int = FINDINGS) -> Loaded:
    """Load a configuration, or print what is wrong with it and exit with `code`. Warnings are not printed."""
    try:
        return load(path)
    except ConfigErrors as errors:
        refuse(errors, as_json, code)


def refuse(errors: ConfigErrors, as_json: bool, code: int) -> NoReturn:
    """Print the problems, JSON to stdout or text to stderr, and exit with `code`."""
    if as_json:
        emit({"ok": False, "problems": [problem.to_dict() for problem in errors.problems]})
    else:
        click.echo(str(errors), err=True)
    sys.exit(code)


def emit(data: Any) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Print aligned columns: plain text, so that it can be piped; a terminal gets a header in bold."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in [columns, *rows]]  # fmt: skip
    click.echo(click.style(lines[0], bold=True))
    for line in lines[1:]:
        click.echo(line)
