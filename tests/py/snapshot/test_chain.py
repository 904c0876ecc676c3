"""What a route does, as records: where it ends, its steps and edits, templates and answers."""

from __future__ import annotations

import pytest

from fastgw import _layout
from fastgw.config.model import Answer, HeaderEdits, Headers, Match, Redirect, Route, Static, Step
from fastgw.plugin.catalogue import Unloaded
from fastgw.snapshot.chain import (
    Hooks,
    destination,
    params_of,
    write_answer,
    write_redirect,
    write_steps,
    write_template,
)
from fastgw.snapshot.compile import Slots
from fastgw.snapshot.layout import NOTHING, SegmentWriter
from tests.py.snapshot.make import Segment

EDITS = Step(headers=Headers(remove=("a",)))
STATIC, REDIRECT = (
    Static(status=404, body="né", headers={"x-a": "1", "content-type": "text/plain"}),
    Redirect(to="/x?{query}"),
)


class Written:
    """Writes something into a segment, which then can be read."""

    def __init__(self) -> None:
        self.w = SegmentWriter(_layout.SEG_UPSTREAM, "upstream")

    def read(self) -> Segment:
        return Segment(self.w.finish()[1])


def parts(read: Segment, span: object) -> list[object]:
    rows = read.rows("part", span)  # type: ignore[arg-type]
    said = {_layout.PART_TEXT: lambda row: read.text(row["text"]), _layout.PART_PARAM: lambda row: row["param"]}
    names = {number: name for name, number in _layout.PARTS.items()}
    return [said[row["kind"]](row) if row["kind"] in said else f"{{{names[row['kind']]}}}" for row in rows]  # type: ignore[index]


def test_parameters_in_the_order_of_the_pattern():
    assert params_of(Route(match=Match(pattern="/a/{x}/b/{y}/{rest*}"))) == ["x", "y", "rest"]
    assert params_of(Route(match=Match(prefix="/a"))) == params_of(Route()) == []


@pytest.mark.parametrize(
    ("route", "steps", "to"),
    [
        (Route(to="u"), (), "u"),
        (Route(chain=(EDITS,), to="u"), (EDITS,), "u"),
        (Route(to=Answer(static=STATIC)), (), STATIC),
        (Route(to=Answer(redirect=REDIRECT)), (), REDIRECT),
        (Route(chain=(EDITS, Step(static=STATIC), EDITS)), (EDITS,), STATIC),
        (Route(chain=(Step(redirect=REDIRECT), Step(static=STATIC)), to="u"), (), REDIRECT),
    ],
)
def test_the_first_answer_is_the_end(route, steps, to):
    assert destination(route) == (steps, to)


def test_templates():
    made = Written()
    span = write_template(made.w, "a{{{id}-{host}{client.address}{path}", ["x", "id", "path"])
    nothing = write_template(made.w, "", [])
    assert parts(made.read(), span) == ["a{", 1, "-", "{host}", "{client.address}", 2] and nothing == NOTHING


def test_every_variable_has_its_number():
    made = Written()
    span = write_template(made.w, "".join(f"{{{name}}}" for name in _layout.PARTS), [])
    assert parts(made.read(), span) == [f"{{{name}}}" for name in _layout.PARTS]


def test_edits_in_the_order_in_which_they_are_done():
    made = Written()
    headers = Headers(
        append={"X-Y": "y"},
        set={"host": "{id}"},
        rename={"a": "User-Agent"},
        remove=("b", "cookie"),
        reply=HeaderEdits(set={"server": "me"}),
    )
    span = write_steps(made.w, "r", [Step(headers=headers), EDITS], ["id"], Slots(), Hooks(Unloaded()))
    read = made.read()
    first, second = read.rows("step", span)
    assert first["kind"] == second["kind"] == _layout.STEP_HEADERS
    both = read.record("headers", first["args"])
    edits = read.rows("edit", both["request"])
    assert [
        (edit["op"], read.text(edit["name"]), read.text(edit["to"]), parts(read, edit["value"])) for edit in edits
    ] == [
        (_layout.EDIT_REMOVE, "b", "", []),
        (_layout.EDIT_REMOVE, "cookie", "", []),
        (_layout.EDIT_RENAME, "a", "User-Agent", []),
        (_layout.EDIT_SET, "host", "", [0]),
        (_layout.EDIT_APPEND, "X-Y", "", ["y"]),
    ]
    numbers = [
        (_layout.field_id(name), _layout.field_id(to))
        for name, to in ((b"b", b""), (b"cookie", b""), (b"a", b"user-agent"), (b"host", b""), (b"x-y", b""))
    ]
    assert [(edit["id"], edit["to_id"]) for edit in edits] == numbers and numbers[1][0] and numbers[2][1]
    (reply,) = read.rows("edit", both["reply"])
    assert reply["op"] == _layout.EDIT_SET and parts(read, reply["value"]) == ["me"]
    assert read.record("headers", second["args"])["reply"] == NOTHING


def test_answers():
    made = Written()
    static, redirect = write_answer(made.w, STATIC), write_redirect(made.w, Redirect(to="/{id}", status=308), ["id"])
    read = made.read()
    answer = read.record("answer", static)
    assert answer["status"] == 404 and read.text(answer["body"]) == "né"
    pairs = [(read.text(pair["name"]), read.text(pair["value"])) for pair in read.rows("pair", answer["fields"])]
    assert pairs == [("x-a", "1"), ("content-type", "text/plain")]
    moved = read.record("redirect", redirect)
    assert moved["status"] == 308 and parts(read, moved["location"]) == ["/", 0]
