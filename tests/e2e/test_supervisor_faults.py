"""What goes wrong around the supervisor: names, disks, its own helper processes, an impatient operator."""

import asyncio
import os
import pwd
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.dns_server import NXDOMAIN, SERVFAIL, Server, Zone

from .supervised import Gateway, Origin, alive, children, gateway, get, until
from .test_supervisor import CONFIG


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def dns() -> Iterator[Server]:
    """A name server in a thread of its own; its zone may be changed at any time."""
    server, ready = Server(Zone()), threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with server:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield server
    stop[0]()
    thread.join(10)


def named(port: int) -> str:
    """All requests go to users.test."""
    return CONFIG.replace("routes: {", "routes: {u: {match: {prefix: /u}, to: u}, ") + (
        f'upstreams: {{u: {{endpoints: ["users.test:{port}"]}}}}\n'
    )


def test_names_are_resolved_followed_and_kept(gw: Gateway, dns: Server) -> None:
    first = Origin("first")
    second = Origin("second", "127.0.0.2", first.port)
    try:
        dns.zone.names["users.test"] = ["127.0.0.1"]
        gw.start(named(first.port), env={"FASTGW_NAMESERVERS": dns.address}).ready()
        assert gw.get("/u") == (200, "first")
        dns.zone.names["users.test"] = ["127.0.0.2"]
        until(lambda: gw.get("/u") == (200, "second"), "the new address")
        for code in (SERVFAIL, NXDOMAIN):
            failures = len(gw.lines("name not resolved"))
            dns.zone.names["users.test"] = code
            line = gw.line("name not resolved", failures + 1)
            assert line["kept"] == "last good addresses"
            assert gw.get("/u") == (200, "second")
            [endpoint] = gw.status()["upstreams"]["u"]["endpoints"]
            assert endpoint["address"] == f"127.0.0.2:{first.port}"
            assert endpoint["name"] == f"users.test:{first.port}"
    finally:
        first.close()
        second.close()


def test_a_name_that_nobody_knows_does_not_hold_up_a_start(gw: Gateway, dns: Server) -> None:
    origin = Origin("late")
    try:
        dns.zone.names["users.test"] = None
        gw.start(named(origin.port), env={"FASTGW_NAMESERVERS": dns.address}).ready()
        assert gw.get("/hello") == (200, "hello\n")
        assert gw.get("/u")[0] == 503
        dns.zone.names["users.test"] = ["127.0.0.1"]
        until(lambda: gw.get("/u") == (200, "late"), "the name's first address")
    finally:
        origin.close()


def test_a_stop_during_the_start_leaves_nothing(gw: Gateway, dns: Server) -> None:
    dns.zone.names["users.test"] = None  # the start waits for this name
    gw.start(named(1), env={"FASTGW_NAMESERVERS": dns.address})
    until(lambda: any("worker" in title(pid) for pid in children(gw.pid)), "the first worker")
    started = children(gw.pid)
    assert gw.stop() == 0
    assert not [pid for pid in started if alive(pid)]


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_the_build_process_is_started_again(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    [template] = [pid for pid in children(gw.pid) if "fastgw: build" in title(pid)]
    os.kill(template, signal.SIGKILL)
    until(lambda: template not in children(gw.pid), "its end")
    result = gw.reload(CONFIG.replace("hello\\n", "two"))
    assert result["ok"], result
    assert gw.get("/hello") == (200, "two")


def test_a_build_process_that_dies_refuses_the_reload(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    [template] = [pid for pid in children(gw.pid) if "fastgw: build" in title(pid)]
    os.kill(template, signal.SIGSTOP)
    gw.write(CONFIG)
    before = gw.status()["reloads"]["refused"]
    gw.send(signal.SIGHUP)
    gw.admin("/livez")
    os.kill(template, signal.SIGKILL)
    until(lambda: gw.status()["reloads"]["refused"] > before, "the refusal")
    [error] = gw.status()["reloads"]["last"][-1]["errors"]
    assert error == "the build process ended without an answer: with its template"
    assert gw.get("/hello") == (200, "hello\n")
    assert gw.reload(CONFIG)["ok"]


def test_no_helper_outlives_the_supervisor(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    helpers = children(gw.pid)
    assert len(helpers) == 3, "two workers and the build template"
    gw.send(signal.SIGKILL)
    gw.wait()
    until(lambda: not [pid for pid in helpers if alive(pid)], "their end")


def test_full_disks_lose_log_lines_and_nothing_else(gw: Gateway) -> None:
    gw.start(CONFIG + "log: {access: {to: /dev/full}}\n").ready()
    assert {gw.get("/hello")[0] for _ in range(20)} == {200}
    until(lambda: gw.status()["logs"]["access"]["dropped"] >= 20, "the count of lost lines")


def test_a_log_reader_that_stops_holds_nobody_up(gw: Gateway) -> None:
    fifo = gw.folder / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        gw.start(CONFIG + f"log: {{access: {{to: {fifo}}}}}\n").ready()
        # More than a pipe holds, and nobody reads it.
        for _ in range(40):
            assert gw.get("/hello?" + "x" * 8_000)[0] == 200
        assert gw.reload(CONFIG + f"log: {{access: {{to: {fifo}}}, error: {{level: debug}}}}\n")["ok"]
        gw.send(signal.SIGUSR1)
        gw.line("logs reopened")
        assert gw.get("/hello")[0] == 200
        assert gw.stop() == 0
    finally:
        os.close(reader)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_run_under_another_user(gw: Gateway) -> None:
    nobody = pwd.getpwnam("nobody")
    gw.start(CONFIG + "user: nobody\n")
    try:
        gw.ready()
        for pid in gw.workers().values():
            status = dict(
                line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
            )
            assert status["Uid"].split() == [str(nobody.pw_uid)] * 4
            assert status["Gid"].split() == [str(nobody.pw_gid)] * 4
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
            assert status["NoNewPrivs"] == "1"
        assert gw.get("/hello") == (200, "hello\n")
        workers = list(gw.workers().values())
        gw.send(signal.SIGKILL)
        gw.wait()
        until(lambda: not [pid for pid in workers if alive(pid)], "their end")
    finally:
        gw.clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_reload_does_not_change_whom_workers_run_as(gw: Gateway) -> None:
    gw.start(CONFIG + "user: nobody\n").ready()
    for other in ("", "user: daemon\n", "user: nobody\ngroup: daemon\n"):
        result = gw.reload(CONFIG + other)
        assert result["errors"] == ["`user` and `group` cannot be changed by a reload: restart"]
    assert gw.reload(CONFIG + "user: nobody\nlog: {error: {level: debug}}\n")["ok"]


@pytest.mark.parametrize(("line", "reason"), [
    ("user: nobody_knows_me", "this host knows no user nobody_knows_me"),
    ("group: nobody_knows_me", "this host knows no group nobody_knows_me"),
    ("user: '4000000000'", "user 4000000000 has no entry, so `group` must be set"),
])  # fmt: skip
def test_an_identity_that_cannot_be_had_ends_the_start(gw: Gateway, line: str, reason: str) -> None:
    gw.start(CONFIG + line + "\n")
    assert gw.wait() == 1
    assert [row["reason"] for row in gw.lines("cannot start")] == [reason]


def test_readyz_fails_for_a_while_before_a_drain(gw: Gateway) -> None:
    gw.start(CONFIG + "timeouts: {drain_delay: 3s}\n").ready()
    admin = gw.line("ready")["admin"]
    gw.send(signal.SIGTERM)
    gw.line("stopping")
    assert get(admin, "/readyz")[0] == 503
    assert gw.get("/hello") == (200, "hello\n"), "served as before"
    assert gw.wait() == 0
