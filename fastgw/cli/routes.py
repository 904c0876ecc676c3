"""`fastgw routes`: the routes of a configuration, in the order in which they are preferred."""

from pathlib import Path
from typing import Any

import click

from fastgw.config.model import Answer, Config, Route, Step
from fastgw.config.rules_match import PATHS

from .common import config_option, emit, json_option, read, table


@click.command("routes")
@config_option
@json_option
def command(path: Path, as_json: bool) -> None:
    """List the routes, those first that win over others where both match."""
    loaded = read(path, as_json)
    config = loaded.config
    # A stable sort: regexes, which are all of one rank, stay in the order in which they are tried.
    ordered = sorted(config.routes.items(), key=precedence)
    rows = [loaded.redactor.data(describe(config, name, route)) for name, route in ordered]
    if as_json:
        emit(rows)
        return
    columns = ["route", "priority", "listeners", "hosts", "path", "methods", "chain", "to"]
    table([column.upper() for column in columns], [[_cell(column, row[column]) for column in columns] for row in rows])


def precedence(item: tuple[str, Route]) -> tuple[Any, ...]:
    """Sort key: priority, host exact before longest wildcard before any, exact before pattern before longest prefix
    before regex, methods given, more headers, more query, name; regexes as they are written."""
    name, route = item
    match = route.match
    host = min(((2 if not h else 1 if h.startswith("*") else 0), -h.count("."), h) for h in match.hosts or ("",))
    if match.regex is not None:
        return (-route.priority, host, 3)
    return (-route.priority, host, *_path_order(route), not match.methods, -len(match.headers), -len(match.query), name)


def _path_order(route: Route) -> tuple[int, tuple[tuple[int, str], ...], int, str]:
    match = route.match
    if match.exact is not None:
        return 0, (), 0, match.exact
    if match.pattern is not None:
        parts = match.pattern[1:].split("/")
        return 1, tuple((2 if part.endswith("*}") else 1 if part.startswith("{") else 0, part) for part in parts), 0, ""
    prefix = (match.prefix or "/").rstrip("/")
    return 2, (), -prefix.count("/"), prefix


def describe(config: Config, name: str, route: Route) -> dict[str, Any]:
    """One route as plain data."""
    match = route.match
    kind = next((kind for kind in PATHS if getattr(match, kind) is not None), "prefix")
    return {
        "route": name,
        "priority": route.priority,
        "listeners": list(route.listeners or config.listeners),
        "hosts": list(match.hosts),
        "kind": kind,
        "path": _path(kind, getattr(match, kind) or "/"),
        "methods": list(match.methods),
        "headers": match.headers,
        "query": match.query,
        "strip_prefix": route.strip_prefix,
        "chain": [_kind(step) for step in route.chain],
        "to": _target(route),
    }


def _path(kind: str, text: str) -> str:
    return {"prefix": f"{text.rstrip('/')}/…", "regex": f"~ {text}"}.get(kind, text)


def _kind(step: Step) -> str:
    if step.use:
        return f"use {step.use}"
    return next(name for name in step.__struct_fields__ if getattr(step, name) is not None)


def _target(route: Route) -> str:
    if isinstance(route.to, Answer):
        return f"redirect {route.to.redirect.status}" if route.to.redirect else f"static {route.to.static.status}"  # type: ignore[union-attr]
    return route.to or "(chain)"


def _cell(column: str, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value) or ("-" if column == "chain" else "*")
    return str(value)
