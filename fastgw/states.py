# ruff: noqa: E501
"""The reference of the engine's states: what may follow what, drawn from the tables the engine itself is checked against.

`render()` is called by `make gen`. The words about each state are here; a state without words, or words without a state,
is an error.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fastgw import _exchange

__all__ = ["PAGE", "diagram", "render"]

PAGE = "docs/reference/states.md"
Table = Sequence[tuple[str, Sequence[str]]]


class Machine(NamedTuple):
    """One set of states: its title, what is said about it, its table, and a sentence a state."""

    title: str
    text: str
    table: Table
    states: dict[str, str]


_INTRO = """\
# States

<!-- Generated from fastgw/states.py and the compiled engine by `make gen`. Do not edit. -->

A request that is being served is an *exchange*. It has two directions, each with a state of its own, and *tries* of which one
at a time is under way. The engine holds these tables as data; builds for tests stop at a step that a table does not have.
The exchange is over when its reply is done (in a tunnel: when both directions have ended), or when a side gives up.
"""

_REQUEST = """\
A step does the work of one state and names the next. Any step may refuse the request, or answer it, which leads to `done`;
so do a timeout and an abort that come while it waits. What of a body still comes then is read and dropped by the codec."""

_REPLY = """\
What is sent to the client: an upstream's answer or the gateway's own. An answer of the gateway passes the reply parts of the
steps before the one that made it. If a step fails in `chain`, the reply begins anew as the gateway's own, without the steps."""

_ATTEMPT = """\
An attempt to have the request answered by one endpoint. A failure in `lease` is told as it is, for the pool has gone from
endpoint to endpoint already; one in `sent` may be followed by another try; after `won` there is none."""


def machines() -> tuple[Machine, ...]:
    """All that is on the page."""
    return (
        Machine("Request direction", _REQUEST, _exchange.request(), {
            "early": "target, host, client address, request id and overload are looked at",
            "route": "the route is found; the limits and timers it sets begin",
            "chain": "the request steps of the route; a parked one waits here with its ticket",
            "try": "an answer of the route itself is given, or a try begins",
            "body": "a try is under way; body bytes go to it, or are kept for it",
            "done": "nothing more is read for this exchange",
        }),
        Machine("Reply direction", _REPLY, _exchange.reply(), {
            "wait": "no final head yet; interim answers (1xx) pass",
            "chain": "the reply steps, last first; a parked one waits here, body bytes meanwhile",
            "body": "the head was sent; body, trailers or tunnel bytes follow",
            "done": "the end was sent",
        }),
        Machine("Try", _ATTEMPT, _exchange.attempt(), {
            "none": "not there",
            "lease": "waits in the pool for a connection",
            "sent": "the request's head was handed to the connection; the first-byte timer runs once the request is out",
            "won": "the final head of its answer has come",
        }),
    )  # fmt: skip


def render() -> dict[str, str]:
    """`{path: text}`, paths relative to the checkout."""
    return {PAGE: "\n".join([_INTRO, *(_section(machine) for machine in machines())])}


def _section(m: Machine) -> str:
    names = [name for name, _ in m.table]
    if names != list(m.states):
        raise ValueError(f"{m.title}: the engine has {names}, the words are for {list(m.states)}")
    rows = []
    for name, following in m.table:
        told = " ".join(f"`{to}`" for to in following) or "–"
        rows.append(f"| `{name}` | {m.states[name]} | {told} |")
    table = "\n".join(["| state | what | may be followed by |", "|---|---|---|", *rows])
    return f"## {m.title}\n\n{m.text}\n\n```\n{diagram(m.table)}\n```\n\n{table}\n"


def diagram(table: Table) -> str:
    """The states in a row with arrows to their neighbours; below, a line for each state that is reached otherwise."""
    names = [name for name, _ in table]
    lanes = _lanes(table)
    width = [max(len(name), 2 * len(lanes) - 1) for name in names]
    starts = [sum(width[:i]) + 5 * i for i in range(len(names))]
    top = ""
    for i, (name, following) in enumerate(table):
        arrow = " ──► " if i + 1 < len(names) and names[i + 1] in following else "     "
        top += name.ljust(width[i]) + arrow
    ends = {
        (state, lane): starts[state] + 2 * lane
        for lane, (target, sources) in enumerate(lanes)
        for state in (target, *sources)
    }
    targets = {(target, lane) for lane, (target, _) in enumerate(lanes)}
    rows = [_row({column: "▲" if end in targets else "│" for end, column in ends.items()})] if lanes else []
    for lane in range(len(lanes)):
        joined = [column for (_, of), column in ends.items() if of == lane]
        rows.append(_line(joined, [column for (_, of), column in ends.items() if of > lane]))
    return "\n".join(row.rstrip() for row in [top, *rows])


def _lanes(table: Table) -> list[tuple[int, list[int]]]:
    """(target, sources) of all that no arrow to the right-hand neighbour shows."""
    names = [name for name, _ in table]
    found: list[tuple[int, list[int]]] = []
    for target, name in enumerate(names):
        sources = [i for i, (_, following) in enumerate(table) if name in following and i + 1 != target]
        if sources:
            found.append((target, sources))
    return found


def _row(marks: dict[int, str]) -> str:
    return "".join(marks.get(column, " ") for column in range(max(marks) + 1))


def _line(columns: list[int], passing: list[int]) -> str:
    """A horizontal line that joins `columns`; others pass it on their way down."""
    first, last = min(columns), max(columns)
    marks = dict.fromkeys(range(first, last + 1), "─") | dict.fromkeys(columns, "┴") | {first: "└", last: "┘"}
    return _row(marks | {column: "┼" if first < column < last else "│" for column in passing})
