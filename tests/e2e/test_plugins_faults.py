"""What goes wrong in a hook, and what is owed then: every row of the table in docs/plugins.md about requests."""

import json
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import origin, tell
from .plugged import ask, config, count, logged, route, said, send, server, whole
from .supervised import Gateway, gateway, until


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def up() -> Iterator[str]:
    with origin(tell) as made:
        yield made.address


def failed_closed(gw: Gateway, path: str, status: int, reason: str, plugin: str) -> None:
    """The gateway's own reply, with nothing of the author's code in it."""
    got = ask(gw, path)
    problem = json.loads(got.body)
    assert (got.status, problem["status"], problem["reason"]) == (status, status, reason)
    assert got.fields["content-type"] == "application/problem+json"
    assert b"no row" not in got.body and b"LookupError" not in got.body and b"faults" not in got.body
    rows = until(lambda: [row for row in logged(gw) if row.get("reason") == reason], "its line in the access log")
    row = rows[0]
    assert row["status"] == status and row["plugin"] == plugin


@pytest.mark.parametrize("path", ["/now", "/late"])
def test_an_exception_is_500_and_its_traceback_is_logged_once(gw: Gateway, up: str, path: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Raises'}"))).ready()
    for _ in range(3):
        failed_closed(gw, path, 500, "plugin_failed", "faults:Raises")
    assert count(gw, "failures_total", "faults:Raises") == 3
    text = said(gw, "plugin faults:Raises")
    assert text.count(f"LookupError: no row for {path}") in (1, 2) and text.count("Traceback") == 1
    assert "tests/e2e/plugins/faults.py" in text, "where"


@pytest.mark.parametrize("path", ["/now", "/late"])
def test_an_exception_with_fail_open_is_as_if_the_hook_were_not_there(gw: Gateway, up: str, path: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Raises', fail: open}"))).ready()
    got = ask(gw, path)
    assert "x-half" not in got.sent, "its edits go with it"
    assert count(gw, "failures_total", "faults:Raises") == 1
    said(gw, "LookupError")


def test_an_exception_in_a_reply_hook(gw: Gateway, up: str) -> None:
    closed = route("c", "{use: 'faults:RaisesOnReply'}")
    opened = route("o", "{use: 'faults:RaisesOnReply', fail: open}")
    gw.start(config(gw, up, closed, opened)).ready()
    failed_closed(gw, "/c", 500, "plugin_failed", "faults:RaisesOnReply")
    got = ask(gw, "/o")
    assert got.status == 200 and "x-half" not in got.fields


def test_what_no_hook_may_say_fails_it(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Nonsense'}"))).ready()
    failed_closed(gw, "/a", 500, "plugin_failed", "faults:Nonsense")
    assert "TypeError" in said(gw, "plugin faults:Nonsense")


def test_a_value_that_would_be_two_fields_never_leaves(gw: Gateway, up: str) -> None:
    closed, opened = route("c", "{use: 'faults:Splits'}"), route("o", "{use: 'faults:Splits', fail: open}")
    gw.start(config(gw, up, closed, opened)).ready()
    failed_closed(gw, "/c", 500, "plugin_failed", "faults:Splits")
    assert not {"x-user", "x-admin"} & ask(gw, "/o").sent.keys()
    assert "ValueError" in said(gw, "plugin faults:Splits")


def test_the_end_of_the_budget_is_504_or_goes_on(gw: Gateway, up: str) -> None:
    closed = route("c", "{use: 'faults:Late', budget_ms: 30, name: shut}")
    opened = route("o", "{use: 'faults:Late', budget_ms: 30, fail: open, name: open}")
    gw.start(config(gw, up, closed, opened)).ready()
    failed_closed(gw, "/c", 504, "plugin_timeout", "shut")
    assert "x-half" not in ask(gw, "/o").sent
    assert count(gw, "timeouts_total", "shut") == count(gw, "timeouts_total", "open") == 1
    until(lambda: gw.stderr.read_text().count("cleaned up") == 2, "its own end, both times")


def test_a_hook_that_blocks_is_named_while_it_does_and_counted(gw: Gateway, up: str) -> None:
    """It cannot be stopped: its verdict stands. The log has the line of its code before it is over."""
    gw.start(config(gw, up, route("all", "{use: 'faults:Blocks', budget_ms: 100}"))).ready()
    got = ask(gw, "/a")
    assert got.sent["x-late"] == "yes"
    text = said(gw, "plugin_blocked")
    assert "plugin faults:Blocks" in text and "time.sleep" in text
    assert count(gw, "blocked_total", "faults:Blocks") == 1


def test_a_client_that_leaves_ends_the_hook(gw: Gateway, up: str) -> None:
    """It is cancelled, its view is dead in its own clean-up, and nothing is left."""
    with server(gw.folder / "told") as names:
        gw.start(config(gw, up, route("all", names.step()))).ready()
        client = send(gw)
        names.waiting(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        until(lambda: names.told("over"), "cancelled, and over")
        assert len(names.told("cancelled")) == 1
        until(lambda: count(gw, "waiting", "road:Wait") == 0, "none waits")
        assert count(gw, "cancelled_total", "road:Wait") == 1 and count(gw, "failures_total", "road:Wait") == 0


def test_a_request_that_was_kept_cannot_be_used_later(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Keeps'}"))).ready()
    assert ask(gw, "/first").status == 200
    failed_closed(gw, "/second", 500, "plugin_failed", "faults:Keeps")
    assert "ExchangeOver" in said(gw, "plugin faults:Keeps")


def test_a_plugin_that_does_not_start_keeps_the_gateway_from_serving(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Unstartable'}")))
    assert gw.wait() != 0
    text = gw.stderr.read_text()
    assert "faults:Unstartable: start() failed: ConnectionRefusedError: the directory does not answer" in text
    assert "faults.py:" in text


def refused(gw: Gateway) -> bool:
    """Whether nobody listens any more."""
    host, _, port = gw.address().rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def test_a_drain_waits_for_a_hook_and_then_stops_the_plugin(gw: Gateway, up: str) -> None:
    with server(gw.folder / "told") as names:
        waiting = route("all", names.step(budget_ms="600000"), to="{static: {body: passed}}")
        gw.start(config(gw, up, waiting)).ready()
        client = send(gw)
        names.waiting(1)
        gw.send(signal.SIGTERM)
        until(lambda: refused(gw), "the listener is closed")
        names.release()
        assert whole(client).endswith(b"passed")
        assert gw.wait() == 0
        assert len(names.told("stopped")) == 1
