"""`fastgw explain`: which route a request takes, and why the others did not win. Nothing is sent."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from fastgw.errors import FastgwError

from .common import FINDINGS, config_option, emit, json_option, read


@click.command("explain")
@click.argument("method")
@click.argument("url")
@config_option
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header field; may be repeated."
)
@click.option("--listener", metavar="NAME", help="Where the request arrives; default: the first listener.")
@json_option
def command(method: str, url: str, path: Path, headers: tuple[str, ...], listener: str | None, as_json: bool) -> None:
    """Say which route wins for METHOD and URL, why the others lost, its chain and its upstream.

    URL is a path, or http://HOST/PATH. Exit code 1: no route takes the request."""
    from fastgw.snapshot.explain import explain

    fields = [_field(text) for text in headers]
    loaded = read(path, as_json)
    config = loaded.config
    if listener is not None and listener not in config.listeners:
        raise click.BadParameter(f"there is no listener {listener!r}", param_hint="--listener")
    try:
        found = explain(config, method, url, fields, listener)
    except (FastgwError, ValueError) as error:
        raise click.UsageError(loaded.redactor.text(str(error))) from None
    shown = loaded.redactor.data(msgspec.to_builtins(found))
    if as_json:
        emit(shown)
    else:
        for line in lines(shown):
            click.echo(line)
    sys.exit(0 if found.route is not None else FINDINGS)


def _field(text: str) -> tuple[str, str]:
    """`name: value`, as curl takes it."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f"{text!r} is not NAME: VALUE", param_hint="-H")
    return name.strip(), value.strip()


def lines(data: dict[str, Any], indent: str = "") -> list[str]:
    """An explanation as text: `key: value`, what is nested is indented, what is empty is left out."""
    found: list[str] = []
    for key, value in data.items():
        if value is None or value == "" or value == [] or value == {}:
            continue
        head = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(value, dict):
            found += [head, *lines(value, indent + "  ")]
        elif isinstance(value, list):
            found += [head, *(row for item in value for row in _item(item, indent + "  "))]
        else:
            found.append(f"{head} {_scalar(value)}")
    return found


def _item(item: Any, indent: str) -> list[str]:
    """One entry of a list: records whose values are all short take one line."""
    if not isinstance(item, dict):
        return [f"{indent}- {_scalar(item)}"]
    values = [value for value in item.values() if value not in (None, "", [], {})]
    if all(not isinstance(value, dict | list) for value in values):
        return [f"{indent}- {': '.join(_scalar(value) for value in values)}"]
    first, *rest = lines(item, indent + "  ") or [indent]
    return [f"{indent}- {first.strip()}", *rest]


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
