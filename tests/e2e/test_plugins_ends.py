"""Plugins that would end the process they run in, and ends of the process that they would delay."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import origin, tell
from .plugged import ask, config, count, logged, route, said
from .supervised import Gateway, gateway, until


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def up() -> Iterator[str]:
    with origin(tell) as made:
        yield made.address


def exits(name: str, where: str, **more: str) -> str:
    """/name with a plugin that leaves there."""
    beside = "".join(f", {key}: {value}" for key, value in more.items() if key != "interrupt")
    what = f"with: {{where: {where}, interrupt: {more.get('interrupt', 'false')}}}"
    return route(name, f"{{use: 'faults:Exits', name: {name}, {what}{beside}}}")


@pytest.mark.parametrize("interrupt", ["false", "true"])
def test_an_exit_in_a_hook_is_a_failed_hook(gw: Gateway, up: str, interrupt: str) -> None:
    """sys.exit() and KeyboardInterrupt: before it waits, after, in the reply, and in a task that the hook waits for."""
    places = {"now": "hook", "late": "late hook", "reply": "reply", "task": "task"}
    closed = [exits(name, where, interrupt=interrupt) for name, where in places.items()]
    opened = [exits(f"open-{name}", where, fail="open", interrupt=interrupt) for name, where in places.items()]
    gw.start(config(gw, up, *closed, *opened)).ready()
    workers = gw.workers()
    for name in places:
        assert ask(gw, f"/{name}").status == 500
        assert ask(gw, f"/open-{name}").status == 200
    assert ask(gw, "/open-now").fields["x-half"] == "done", "its reply hook did not fail"
    assert {row["reason"] for row in logged(gw, 8) if row["status"] == 500} == {"plugin_failed"}
    for name in places:
        assert count(gw, "failures_total", name) == 1
    assert "KeyboardInterrupt" in said(gw, "plugin now") if interrupt == "true" else "SystemExit: 9"
    said(gw, "a task of a plugin ended with")
    assert gw.workers() == workers


@pytest.mark.parametrize("interrupt", ["false", "true"])
def test_an_exit_in_start_refuses_the_configuration(gw: Gateway, up: str, interrupt: str) -> None:
    gw.start(config(gw, up, route("all"))).ready()
    workers = gw.workers()
    result = gw.reload(config(gw, up, exits("all", "start", interrupt=interrupt)))
    assert not result["ok"]
    [error] = result["errors"]
    word = "KeyboardInterrupt" if interrupt == "true" else "SystemExit: 9"
    assert f"plugin all: start() failed: {word}" in error and "faults.py:" in error
    assert gw.workers() == workers and ask(gw, "/a").status == 200


def test_an_exit_in_stop_is_told(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, exits("all", "stop"))).ready()
    workers = gw.workers()
    assert gw.reload(config(gw, up, route("all")))["ok"]
    said(gw, "plugin all: stop() failed: SystemExit: 9")
    assert gw.workers() == workers and ask(gw, "/a").status == 200


@pytest.mark.parametrize("error", ["SystemExit(9)", "KeyboardInterrupt"])
def test_an_exit_at_the_import_refuses_the_configuration(gw: Gateway, up: str, error: str) -> None:
    (gw.folder / "plugins").mkdir()
    (gw.folder / "plugins/mine.py").write_text(f"raise {error}\n")
    gw.start(config(gw, up, route("all"))).ready()
    assert not gw.reload(config(gw, up, route("all", "{use: 'mine:Any'}"), path="plugins"))["ok"]
    assert ask(gw, "/a").status == 200


@pytest.mark.parametrize("how", ["stop", "worker"])
def test_an_end_while_a_start_waits(gw: Gateway, up: str, how: str) -> None:
    """The start that waits is cancelled and does not count as one; what had started is stopped, once; nothing hangs."""
    told = gw.folder / "told"
    slow = f"{{use: 'faults:StartsSlowly', with: {{file: {told}}}}}"
    quick = f"{{use: 'faults:StartsAtOnce', with: {{file: {told}}}}}"
    kept = f"{{use: 'faults:StartsAtOnce', with: {{file: {gw.folder}/kept}}, name: kept}}"
    gw.start(config(gw, up, route("all", kept))).ready()
    [pid] = gw.workers().values()
    gw.write(config(gw, up, route("all", kept, slow, quick)))
    gw.send(signal.SIGHUP)
    until(lambda: told.exists() and set(told.read_text().split()) == {"starts", "started"}, "one waits, one started")
    if how == "stop":
        assert gw.stop() == 0
    else:
        os.kill(pid, signal.SIGTERM)
        until(lambda: pid not in gw.workers().values() and len(gw.workers()) == 1, "its successor")
        until(lambda: "stopped" in told.read_text(), "its end")
    words = told.read_text().split()[: 4 if how == "worker" else None]  # the successor goes on with the reload
    assert sorted(words) == ["cancelled", "started", "starts", "stopped"]
    before = ["started"] * (2 if how == "worker" else 1)  # the successor is there before it ends
    until(lambda: (gw.folder / "kept").read_text().split()[: len(before) + 1] == [*before, "stopped"], "its end")


def test_tasks_and_threads_that_do_not_end_do_not_keep_the_process(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'faults:Stays'}"))).ready()
    assert gw.stop() == 0
    assert "tasks or threads of plugins went on" in gw.stderr.read_text()
