"""`fastgw check`: every problem of a configuration at once."""

import sys
from pathlib import Path

import click

from fastgw.config.load import Loaded, load
from fastgw.config.problem import Problem
from fastgw.errors import ConfigErrors, FastgwError

from .common import FINDINGS, config_option, emit, json_option


@click.command("check")
@config_option
@json_option
@click.option("--strict", is_flag=True, help="Warnings count as findings.")
@click.option("--dump", is_flag=True, help="Print a sound configuration with all its defaults, as JSON.")
def command(path: Path, as_json: bool, strict: bool, dump: bool) -> None:
    """Tell everything that is wrong with a configuration.

    Nothing that is printed holds what a reference (${VAR}, ${file:path}) stands for.

    Exit code 0: it can be used; 1: it cannot, or has warnings and --strict was given."""
    loaded = None
    try:
        loaded = load(path)
        problems, warnings = _compile(loaded), loaded.warnings
    except ConfigErrors as errors:
        problems, warnings = errors.problems, errors.warnings
    if as_json:
        emit({
            "ok": not problems,
            "file": str(path),
            "source_hash": loaded.source_hash if loaded else None,
            "problems": [problem.to_dict() for problem in problems],
            "warnings": [warning.to_dict() for warning in warnings],
            **({"config": loaded.effective()} if dump and loaded and not problems else {}),
        })  # fmt: skip
    elif dump and loaded and not problems:
        for warning in warnings:
            click.echo(warning.render(), err=True)
        emit(loaded.effective())
    else:
        _print(path, problems, warnings)
    sys.exit(FINDINGS if problems or (strict and warnings) else 0)


def _compile(loaded: Loaded) -> list[Problem]:
    """What only shows when plugins are loaded and the snapshot is built; nothing where the engine is not built."""
    try:
        from fastgw.plugin.catalogue import examine
        from fastgw.snapshot.compile import Slots, compile
    except ImportError:
        return []
    plugins, problems = examine(loaded)
    if problems:
        return [loaded.redactor.problem(problem) for problem in problems]
    try:
        compile(loaded.config, 1, Slots(), plugins=plugins)
    except FastgwError as error:
        message = loaded.redactor.text(str(error))
        return [Problem(code="FGW1301", file=loaded.name, line=0, column=0, path="", message=message)]
    return []


def _print(path: Path, problems: list[Problem], warnings: list[Problem]) -> None:
    for problem in problems:
        click.echo(problem.render())
    for warning in warnings:
        click.echo(warning.render())
    counts = ", ".join(_count(n, word) for n, word in ((len(problems), "error"), (len(warnings), "warning")) if n)
    click.echo(f"{path}: {counts or 'no problems'}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
