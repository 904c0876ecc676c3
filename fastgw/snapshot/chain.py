"""What a route does: its chain of steps and where it ends, written as records."""

from collections.abc import Mapping, Sequence

from fastgw import _layout
from fastgw.config import template
from fastgw.config.model import Answer, HeaderEdits, Redirect, Route, Static, Step
from fastgw.config.paths import parse_pattern

from .layout import SegmentWriter, Span

Destination = str | Static | Redirect
"""An upstream's name, or an answer of the gateway's own."""


def params_of(route: Route) -> list[str]:
    """The names of a route's path parameters, in the order of the pattern."""
    pattern = route.match.pattern
    return [] if pattern is None else [segment.text for segment in parse_pattern(pattern) if segment.param]


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


def write_steps(w: SegmentWriter, steps: Sequence[Step], params: Sequence[str]) -> Span:
    """Write the steps of a chain, for an `arr` of `step`."""
    rows: list[Mapping[str, int]] = []
    for step in steps:
        if step.headers:
            reply = step.headers.reply or HeaderEdits()
            edits = {"request": _edits(w, step.headers, params), "reply": _edits(w, reply, params)}
            rows.append({"kind": _layout.STEP_HEADERS, "args": w.one("headers", edits)})
    return w.array("step", rows)


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
