"""The page about states: drawn from the engine's tables, and drawn right."""

from __future__ import annotations

import pytest

from fastgw import _exchange, states

TABLES = {"request": _exchange.request(), "reply": _exchange.reply(), "try": _exchange.attempt()}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_its_own_states_and_all_can_be_reached(name):
    table = dict(TABLES[name])
    first = next(iter(table))
    reached, waiting = {first}, [first]
    while waiting:
        new = set(table[waiting.pop()]) - reached
        reached |= new
        waiting += new
    assert reached == set(table)
    assert len(table) == len(TABLES[name])


def test_the_ends_are_ends():
    assert dict(TABLES["request"])["done"] == ()
    assert dict(TABLES["reply"])["done"] == ()
    assert dict(TABLES["try"])["won"] == ("none",)


def test_the_diagram_has_an_arrow_for_every_step():
    drawn = states.diagram([("early", ["late", "done"]), ("late", ["early", "done"]), ("done", [])])
    assert drawn.splitlines() == [
        "early ──► late ──► done",
        "▲ │       │          ▲",
        "└─┼───────┘          │",
        "  └──────────────────┘",
    ]


def test_a_state_without_words_is_an_error(monkeypatch):
    monkeypatch.setattr(_exchange, "reply", lambda: [("wait", ("gone",)), ("gone", ())])
    with pytest.raises(ValueError, match="gone"):
        states.render()


def test_the_page_has_every_table():
    page = states.render()[states.PAGE]
    for table in TABLES.values():
        for name, following in table:
            told = " ".join(f"`{to}`" for to in following) or "–"
            assert any(line.startswith(f"| `{name}` |") and line.endswith(f"| {told} |") for line in page.splitlines())
