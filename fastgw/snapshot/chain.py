"""What a route does: its chain of steps and where it ends, written as records."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fastgw import _layout
from fastgw.config import limits, rules_match, template
from fastgw.config.model import Answer, Concurrency, HeaderEdits, RateLimit, Redirect, Route, Static, Step
from fastgw.config.rules_limits import burst_of
from fastgw.plugin.catalogue import Plugins

from .layout import SegmentWriter, Span

_SECOND = 16 * 10**9  # in the engine's unit of time for limits
_SET = _layout.BUCKET_SET


class LimitSlots(Protocol):
    """Who gives out what limits keep in shared memory: the same name is given the same, over reloads."""

    def bucket_table(self, name: str, size: int) -> int:
        """The offset of `size` bytes for a limit's buckets."""

    def stats_slot(self, kind: str, name: str) -> int:
        """A slot of counters."""


Destination = str | Static | Redirect
"""An upstream's name, or an answer of the gateway's own."""


def params_of(route: Route) -> list[str]:
    """The names of a route's path parameters, in the order of the pattern or regex."""
    return rules_match.params_of(route.match)


def destination(route: Route) -> tuple[Sequence[Step], Destination]:
    """The steps that run, and what comes after the last one.

    A step that answers ends the chain whatever follows it, so it is the destination and nothing behind it is kept.
    A loaded configuration has an answering step wherever `to` is left out."""
    for i, step in enumerate(route.chain):
        if answer := step.static or step.redirect:
            return route.chain[:i], answer
    if isinstance(route.to, Answer):
        answer = route.to.static or route.to.redirect
        assert answer is not None, "the loader wants exactly one"
        return route.chain, answer
    assert route.to is not None, "the loader wants an end"
    return route.chain, route.to


def limit_names(route: str, steps: Sequence[Step]) -> list[str]:
    """The name of the limit of each step, its own or `ROUTE#NUMBER`; "" for other steps."""
    names, unnamed = [], 0
    for step in steps:
        limit = step.rate_limit or step.concurrency
        unnamed += limit is not None
        names.append("" if limit is None else limit.name or f"{route}#{unnamed}")
    return names


class Hooks:
    """The plugins that one routes segment names, each once, in the order of their indexes."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self.keys: list[int] = []

    def write(self, w: SegmentWriter, step: Step, slot: int) -> Mapping[str, int | Span]:
        """The fields of a `hook` record."""
        entry = self._plugins.of(step)
        if entry.key not in self.keys:
            self.keys.append(entry.key)
        return {
            "name": w.text(step.plugin), "index": self.keys.index(entry.key), "slot": slot,
            "phases": sum(_layout.HOOK_PHASES[kind] for kind in entry.kinds), "fail": _layout.HOOK_FAIL[step.fail],
            "budget_ms": step.budget_ms,
        }  # fmt: skip


def write_steps(
    w: SegmentWriter, route: str, steps: Sequence[Step], params: Sequence[str], slots: LimitSlots, hooks: Hooks
) -> Span:
    """Write the steps of a chain, for an `arr` of `step`."""
    rows: list[Mapping[str, int]] = []
    for step, limit in zip(steps, limit_names(route, steps), strict=True):
        if step.rate_limit:
            at = w.one("rate_limit", _rate_limit(w, limit, step.rate_limit, params, slots))
            rows.append({"kind": _layout.STEP_RATE_LIMIT, "args": at})
        if step.concurrency:
            at = w.one("concurrency", _concurrency(w, limit, step.concurrency, params, slots))
            rows.append({"kind": _layout.STEP_CONCURRENCY, "args": at})
        if step.use:
            at = w.one("hook", hooks.write(w, step, slots.stats_slot("plugin", step.plugin)))
            rows.append({"kind": _layout.STEP_HOOK, "args": at})
        if step.headers:
            reply = step.headers.reply or HeaderEdits()
            edits = {"request": _edits(w, step.headers, params), "reply": _edits(w, reply, params)}
            rows.append({"kind": _layout.STEP_HEADERS, "args": w.one("headers", edits)})
    return w.array("step", rows)


def _keys(w: SegmentWriter, by: Sequence[str], params: Sequence[str]) -> Span:
    rows: list[Mapping[str, int | Span]] = []
    for kind, name in map(limits.parse_key, by):
        row: dict[str, int | Span] = {"kind": _layout.LIMIT_BY[kind]}
        if kind == "path":
            row["param"] = params.index(name)
        elif name:
            row["name"] = w.text(name)
            row["id"] = _layout.field_id(name.encode()) if kind == "header" else 0
        rows.append(row)
    return w.array("limit_key", rows)


def _rate_limit(
    w: SegmentWriter, name: str, limit: RateLimit, params: Sequence[str], slots: LimitSlots
) -> Mapping[str, int | Span]:
    rate, burst = limits.parse_rate(limit.rate), burst_of(limit)
    window = max(1, -(-burst * rate.seconds // rate.count))
    cost = limits.parse_cost(limit.cost).name if isinstance(limit.cost, str) else ""
    return {
        "name": w.text(name), "policy": w.text(f'"{name}";q={burst};w={window}'), "keys": _keys(w, limit.by, params),
        "table": slots.bucket_table(name, limit.table.size), "sets": limit.table.size // _SET,
        "slot": slots.stats_slot("limit", name), "unit": -(-rate.seconds * _SECOND // rate.count), "burst": burst,
        "cost": limit.cost if isinstance(limit.cost, int) else 1, "cost_field": w.text(cost),
        "cost_id": _layout.field_id(cost.encode()), "dry_run": int(limit.dry_run), "tell": _layout.TELL[limit.fields],
    }  # fmt: skip


def _concurrency(
    w: SegmentWriter, name: str, limit: Concurrency, params: Sequence[str], slots: LimitSlots
) -> Mapping[str, int | Span]:
    return {
        "name": w.text(name), "policy": w.text(f'"{name}";q={limit.max};qu="concurrent-requests"'),
        "keys": _keys(w, limit.by, params), "max": limit.max, "slot": slots.stats_slot("limit", name),
        "queue_max": limit.queue.size, "queue_ms": limit.queue.timeout, "dry_run": int(limit.dry_run),
    }  # fmt: skip


def _edits(w: SegmentWriter, edits: HeaderEdits, params: Sequence[str]) -> Span:
    rows = [_edit(w, _layout.EDIT_REMOVE, name) for name in edits.remove]
    rows += [_edit(w, _layout.EDIT_RENAME, old, to=new) for old, new in edits.rename.items()]
    for op, values in ((_layout.EDIT_SET, edits.set), (_layout.EDIT_APPEND, edits.append)):
        rows += [_edit(w, op, name, value=write_template(w, value, params)) for name, value in values.items()]
    return w.array("edit", rows)


def _edit(w: SegmentWriter, op: int, name: str, to: str = "", value: Span = (0, 0)) -> Mapping[str, int | Span]:
    return {
        "op": op, "id": _layout.field_id(name.encode()), "name": w.text(name),
        "to_id": _layout.field_id(to.encode()), "to": w.text(to), "value": value,
    }  # fmt: skip


def write_template(w: SegmentWriter, text: str, params: Sequence[str]) -> Span:
    """Write a template's pieces, for an `arr` of `part`. A path parameter hides a variable of the same name."""
    rows: list[Mapping[str, int | Span]] = []
    for part in template.parse(text):
        if isinstance(part, str):
            rows.append({"kind": _layout.PART_TEXT, "text": w.text(part)})
        elif part.name in params:
            rows.append({"kind": _layout.PART_PARAM, "param": params.index(part.name)})
        else:
            rows.append({"kind": _layout.PARTS[part.name]})
    return w.array("part", rows)


def write_answer(w: SegmentWriter, static: Static) -> int:
    """Write a fixed answer. Returns the `ref` to it."""
    fields = [{"name": w.text(name), "value": w.text(value)} for name, value in static.headers.items()]
    return w.one("answer", {"status": static.status, "fields": w.array("pair", fields), "body": w.text(static.body)})


def write_redirect(w: SegmentWriter, redirect: Redirect, params: Sequence[str]) -> int:
    """Write a redirection. Returns the `ref` to it."""
    return w.one("redirect", {"status": redirect.status, "location": write_template(w, redirect.to, params)})
