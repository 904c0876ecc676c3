"""What clients read of a status that a plugin chose: the phrase and the title that belong to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastgw.testing import Gateway

PLUGIN = """
from fastgw.plugin import Deny, Plugin, hook

class Answers(Plugin[None]):
    @hook.access
    def access(self, request):
        if request.path == "/denied":
            return Deny(402, problem="no plan")

    @hook.reply
    def reply(self, request, reply):
        if request.path == "/gone":
            reply.status = 410
"""
CONFIG = """
listeners: {web: {bind: "127.0.0.1:8080"}}
upstreams: {up: {endpoints: ["10.0.0.1:80"]}}
plugins: {path: ["%s"]}
routes: {all: {match: {prefix: /}, chain: [{use: "fgw_answers:Answers"}], to: up}}
"""


@pytest.fixture
def gw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "fgw_answers.py").write_text(PLUGIN)
    with Gateway(CONFIG % tmp_path) as made:
        yield made
    del sys.modules["fgw_answers"]


@pytest.mark.parametrize(("path", "status", "phrase"), [("/gone", 410, "Gone"), ("/kept", 404, "Gone Fishing")])
def test_a_status_comes_with_its_own_phrase(gw: Gateway, path: str, status: int, phrase: str) -> None:
    client = gw.client()
    client.ask("GET", path)
    gw.upstream("up").accept().send(b"HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n")
    answer = client.response()
    assert (answer.status, answer.reason) == (status, phrase)


def test_a_problem_has_the_title_of_its_status(gw: Gateway) -> None:
    answer = gw.get("/denied")
    told = {"type": "about:blank", "title": "Payment Required", "status": 402, "detail": "no plan", "reason": "denied"}
    assert (answer.status, answer.json()) == (402, told)
