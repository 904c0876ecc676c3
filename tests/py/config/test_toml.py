"""TOML: it means the same, everything has its place, and what is wrong is told where it is."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgw.config import toml_marks
from fastgw.config.load import load, loads, plain
from fastgw.config.nodes import Unreadable
from fastgw.errors import ConfigErrors

ROOT = Path(__file__).resolve().parents[3]
HEAD = '[listeners.web]\nbind = "127.0.0.1:8080"\n'


def read(text: str) -> object:
    return plain(toml_marks.parse("f.toml", text)[1])


DOCUMENTS = [
    "",
    "# nothing\n",
    "a = 1\r\nb = 'x'\r\n[c]\r\nd = true",
    "a.b.c = 1\na.b.d = 2\n[e.f]\ng = [1, 2,\n  3, # three\n]\n",
    "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 2\n[[a.e]]\nf = 3\n[[a.e]]\n",
    'a = {b = 1, "c d" = {e = []}, f."g.h" = \'\\\'}',
    'a = "x # no comment"  # a comment\n"b" = "\\u00e9\\n\\"]"\n',
    'a = """\nfirst\n second "" \\\n   third"""""\nb = \'\'\'\nraw \\ \'\'\'\'\'\nc = ""\nd = \'\'\n',
    "a = [['x'], [], [{b = 1}, {}]]\n",
    "a = 1_000\nb = 0xFF\nc = 0o17\nd = 0b11\ne = +5\nf = -0\ng = 1.5\nh = 1e3\ni = 6.02_2E-2\nj = inf\nk = -inf\n",
    "  [ a . 'b.c' ]  # spaces\n  d  =  1  \n",
    "a = [\n  # first\n  1, # one\n  2 # two\n  ,\n]\n",
    '1 = 1\n-_ = 2\n"" = 3\n',
]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_it_means_what_the_standard_library_reads(text: str) -> None:
    assert read(text) == tomllib.loads(text)


PIECES = [
    "a", "b", "=", ".", "[", "]", "{", "}", ",", "\n", " ", "#", "'x'", '"y"', '"""z"""', "'''", '""', "1", "-2",
    "1.5", "true", "[a]\n", "[[b]]\n", "a = ", "b.c = ", "[1, 2]", "{a = 1}", "\\", "\r\n", "\t", "é", "_", "inf",
    "0x1",
]  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_is_toml_is_read_alike_and_nothing_else_raises(text: str) -> None:
    try:
        meant = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(Unreadable) as caught:
            read(text)
        assert caught.value.problem.line >= 1 and caught.value.problem.column >= 1
    else:
        assert read(text) == meant


def test_places() -> None:
    text = HEAD
    text += '[upstreams]\nu.endpoints = [\n  "127.0.0.1:1", {address = "127.0.0.1:2"}]\n[routes."a.b"]\n  to = "u"\n'
    marks = loads(text, "f.toml", "toml").marks
    assert marks["listeners.web.bind"] == (2, 8)
    assert marks["upstreams.u.endpoints"] == (4, 15)
    assert marks["upstreams.u.endpoints[0]"] == (5, 3)
    assert marks["upstreams.u.endpoints[1].address"] == (5, 29)
    assert marks['routes["a.b"].to'] == (7, 8)


BROKEN = [
    # document, line, column, code, path, part of the message
    ("workers = 0\n" + HEAD, 1, 11, "FGW1105", "workers", "out of range"),
    (HEAD + "[limits]\nheads = '1KiB'\n", 4, 1, "FGW1101", "limits.heads", "unknown key `heads`"),
    (HEAD + "[routes.r]\nto = 'u'\n", 4, 6, "FGW1201", "routes.r.to", "no upstream `u`"),
    (HEAD + "[routes.r]\nmatch.regex = '/(a'\nto.static = {}\n", 4, 18, "FGW1218", "routes.r.match.regex", "closing"),
    (HEAD + "[[routes]]\n", 3, 1, "FGW1103", "routes", "found a list"),
    (HEAD + "workers = 2024-05-01\n", 3, 11, "FGW1103", "", "found the date or time 2024-05-01"),
    (HEAD + "workers = 2024-05-01 12:30:00Z\n", 3, 11, "FGW1103", "", "found the date or time 2024-05-01 12:30:00Z"),
    (HEAD + "workers = 12:30:00\n", 3, 11, "FGW1103", "", "found the date or time 12:30:00"),
    (HEAD + "workers = 1\nworkers = 2\n", 4, 1, "FGW1004", "", "cannot overwrite a value"),
    (HEAD + "[limits]\n[limits]\n", 4, 2, "FGW1004", "", "cannot declare"),
    (HEAD + "limits = {a = 1\n", 3, 16, "FGW1003", "", "nclosed"),
    (HEAD + "workers\n", 3, 8, "FGW1003", "", "expected '='"),
    (HEAD + "a = [1\n", 4, 1, "FGW1003", "", "nclosed array"),
    ("a = " + "[" * 70 + "]" * 70, 1, 69, "FGW1006", "", "nested more than 64 deep"),
    ("a = " + "[" * 100_000, 1, 1, "FGW1006", "", "nested more than 64 deep"),
    (".".join("a" * 70) + " = 1", 1, 1, "FGW1006", "", "nested more than 64 deep"),
    ("a = " + "9" * 5000, 1, 1, "FGW1103", "", "too many digits"),
    ("workers = " + "9" * 50 + "\n" + HEAD, 1, 11, "FGW1103", "workers", "a number of 50 characters"),
    ("a = \"\u0000\"", 1, 6, "FGW1003", "", "llegal character"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "code", "path", "message"), BROKEN)
def test_what_is_wrong_has_its_place(text: str, line: int, column: int, code: str, path: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(text, "f.toml", "toml", env={})
    found = caught.value.problems[0]
    assert (found.line, found.column, found.code, found.path) == (line, column, code, path), found.render()
    assert message in found.message and found.file == "f.toml"


def test_a_name_in_toml_is_read_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "gw.TOML"
    path.write_text(HEAD + "[routes.r]\nto.static.body = '${SECRET}'\n")
    loaded = load(path, {"SECRET": "hunter2"})
    assert loaded.format == "toml" and "hunter2" not in str(loaded.document())
    assert loaded.config.routes["r"].to.static.body == "hunter2"  # type: ignore[union-attr]


def test_dates_are_the_only_toml_that_is_refused() -> None:
    kinds = {type(value) for value in tomllib.loads("a = 1979-05-27\nb = 07:32:00\nc = 1979-05-27T07:32:00Z").values()}
    assert kinds == {datetime.date, datetime.time, datetime.datetime}
    assert read("a = '1979-05-27'") == {"a": "1979-05-27"}
