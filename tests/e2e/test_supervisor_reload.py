"""Reloads: all or nothing, one at a time, and nobody notices but those whom the change concerns."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .supervised import Gateway, gateway, get, until
from .test_supervisor import CONFIG


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def bodied(text: str) -> str:
    """The configuration with another answer at /hello."""
    return CONFIG.replace("hello\\n", text)


def test_a_reload_changes_what_is_served_by_all_workers(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    workers, address = gw.workers(), gw.address()
    result = gw.reload(bodied("two"))
    assert result["ok"] and result["generation"] == 2
    assert result["changed"] == ["~ route hello"]
    assert {get(address, "/hello") for _ in range(20)} == {(200, "two")}
    assert gw.workers() == workers
    assert {row["generation"] for row in gw.status()["workers"]} == {2}
    line = gw.line("reload applied")
    assert line["generation"] == 2 and line["changed"] == ["~ route hello"] and line["ms"] >= 0


def test_a_broken_configuration_keeps_the_old_one(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    result = gw.reload(CONFIG + "nonsense: 1\n")
    assert not result["ok"] and "nonsense" in "\n".join(result["errors"])
    assert gw.get("/hello") == (200, "hello\n")
    assert gw.status()["generation"] == 1
    assert gw.admin("/readyz")[0] == 200
    assert "nonsense" in "\n".join(gw.line("reload refused")["reasons"])
    assert gw.reload(bodied("healed"))["ok"]
    assert gw.get("/hello") == (200, "healed")


def test_an_address_in_use_refuses_the_whole_reload(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        two = bodied("two").replace("}}\nroutes", f'}}, other: {{bind: ["127.0.0.1:0", "127.0.0.1:{port}"]}}}}\nroutes')
        result = gw.reload(two)
    assert not result["ok"]
    assert result["errors"] == [f"cannot listen on 127.0.0.1:{port}: the address is in use by another process"]
    assert gw.get("/hello") == (200, "hello\n")
    assert list(gw.status()["listeners"]) == ["web"]
    sockets = listening(gw.pid)
    assert gw.reload(two)["ok"], "free now"
    assert len(listening(gw.pid)) == len(sockets) + 4, "two binds, two workers"


def listening(pid: int) -> list[str]:
    """Inodes of a process's TCP sockets in LISTEN."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[3] == "0A"}
    links = (Path(f"/proc/{pid}/fd") / fd for fd in os.listdir(f"/proc/{pid}/fd"))
    found = [os.readlink(link) for link in links if link.is_symlink()]
    return [link for link in found if link.startswith("socket:[") and link[8:-1] in inodes]


def test_listeners_come_and_go(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    web = gw.address()
    assert gw.reload(CONFIG.replace("}}\nroutes", '}, more: {bind: "127.0.0.1:0"}}\nroutes'))["ok"]
    [more] = gw.status()["listeners"]["more"]
    assert get(more, "/hello") == (200, "hello\n")
    assert get(web, "/hello") == (200, "hello\n")
    assert gw.reload(CONFIG)["ok"]
    until(lambda: not reachable(more), "the listener's end")
    assert gw.status()["listeners"] == {"web": [web]}
    assert get(web, "/hello") == (200, "hello\n")


def reachable(address: str) -> bool:
    try:
        get(address, "/hello")
    except OSError:
        return False
    return True


def test_an_address_that_moves_to_another_listener_stays_open(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    port = gw.address().rpartition(":")[2]
    assert gw.reload(CONFIG.replace("127.0.0.1:0", f"127.0.0.2:{port}", 1))["ok"]
    fixed = CONFIG.replace("127.0.0.1:0", f"127.0.0.2:{port}", 1)
    assert gw.reload(fixed.replace("web:", "renamed:"))["ok"]
    assert get(f"127.0.0.2:{port}", "/hello") == (200, "hello\n")
    assert gw.status()["listeners"] == {"renamed": [f"127.0.0.2:{port}"]}


def test_admin_address_and_logs_follow_a_reload(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    path, log = gw.folder / "admin.sock", gw.folder / "error.log"
    gw.write(CONFIG.replace('admin: {bind: "127.0.0.1:0"}', f'admin: {{bind: "unix:{path}"}}')
             + f"log: {{error: {{to: {log}}}}}\n")  # fmt: skip
    gw.send(signal.SIGHUP)
    until(lambda: path.exists() and reachable_admin(path), "the new admin socket")
    until(lambda: log.exists() and "reload applied" in log.read_text(), "the new log")


def reachable_admin(path: Path) -> bool:
    try:
        return get(f"unix:{path}", "/readyz")[0] == 200
    except OSError:
        return False


def test_a_log_that_cannot_be_opened_refuses_the_reload(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    result = gw.reload(CONFIG + f"log: {{access: {{to: {gw.folder}/no/such/folder/log}}}}\n")
    assert not result["ok"] and "No such file" in result["errors"][0]


def test_a_refused_reload_leaves_nothing_open(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    before, admin = listening(gw.pid), gw.line("ready")["admin"]
    path = gw.folder / "admin.sock"
    bad = CONFIG.replace("}}\nroutes", '}, more: {bind: "127.0.0.1:0"}}\nroutes')
    bad = bad.replace('admin: {bind: "127.0.0.1:0"}', f'admin: {{bind: "unix:{path}"}}')
    assert not gw.reload(bad + f"log: {{error: {{to: {gw.folder}/no/such/log}}}}\n")["ok"]
    assert listening(gw.pid) == before
    assert not path.exists()
    assert gw.status()["admin"] == admin


def test_requests_to_reload_coalesce(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    for i in range(50):
        gw.write(bodied(f"v{i}"))
        gw.send(signal.SIGHUP)
    until(lambda: gw.get("/hello")[1] == "v49", "the last configuration")
    reloads = gw.status()["reloads"]
    assert 1 <= reloads["applied"] < 50
    assert reloads["refused"] == 0


def test_reloads_under_load_fail_no_request(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    address, stop = gw.address(), threading.Event()
    seen: set[str] = set()
    bad: list[object] = []

    def load() -> None:
        while not stop.is_set():
            try:
                code, body = get(address, "/hello")
                seen.add(body)
                if code != 200:
                    bad.append(code)
            except OSError as e:
                bad.append(e)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(8):
        assert gw.reload(bodied(f"v{i}"))["ok"]
    stop.set()
    for thread in threads:
        thread.join()
    assert not bad
    assert len(seen) > 4


def test_a_worker_killed_while_reloads_run_does_not_stop_them(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    killed: set[int] = set()

    def answers() -> set[str]:
        try:
            return {gw.get("/hello")[1] for _ in range(4)}
        except OSError:
            return set()  # a connection that died with its worker

    for i in range(6):
        # A dead one is in /status until the supervisor has heard of it, and then its number is nobody's.
        victim = until(lambda: next(iter(sorted(set(gw.workers().values()) - killed)), None), "a worker to be killed")
        gw.write(bodied(f"v{i}"))
        gw.send(signal.SIGHUP)
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
        until(lambda want=f"v{i}": answers() == {want}, f"configuration {i}")

    def settled() -> bool:
        """A worker may be live a moment before it has told that it serves the last configuration."""
        status = gw.status()
        rows = [row for row in status["workers"] if row["state"] == "live"]
        return len(rows) == 2 and {row["generation"] for row in rows} == {status["generation"]}

    until(settled, "both workers with the last configuration")
    assert gw.status()["reloads"]["refused"] == 0


def test_endpoints_follow_a_reload_and_keep_their_slots(gw: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        ports = [sock.getsockname()[1] for sock in (a, b)]

        def config(*used: int) -> str:
            members = ", ".join(f'"127.0.0.1:{port}"' for port in used)
            return CONFIG + f"upstreams: {{u: {{endpoints: [{members}]}}}}\n"

        gw.start(config(ports[0])).ready()
        [first] = gw.status()["upstreams"]["u"]["endpoints"]
        assert gw.reload(config(*ports))["ok"]
        both = gw.status()["upstreams"]["u"]["endpoints"]
        assert both[0] == first and both[1]["slot"] != first["slot"]
        assert gw.reload(config(ports[1]))["ok"]
        assert gw.status()["upstreams"]["u"]["endpoints"] == [both[1]]
        assert gw.reload(config(*ports))["ok"]
        again = gw.status()["upstreams"]["u"]["endpoints"][0]
        assert (again["slot"], again["generation"]) == (first["slot"], 3)
