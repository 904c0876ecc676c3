"""The supervisor's life: start, stop, signals, who owns a port, what the admin surface says."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .supervised import Gateway, alive, connect, gateway, get, until

CONFIG = """
listeners: {web: {bind: "127.0.0.1:0"}}
routes: {hello: {match: {exact: /hello}, to: {static: {body: "hello\\n"}}}}
admin: {bind: "127.0.0.1:0"}
workers: 2
"""


def slow(port: int) -> str:
    """With a route /slow to an upstream on this port."""
    routes = CONFIG.replace("routes: {", "routes: {slow: {match: {exact: /slow}, to: slow}, ")
    return routes + f'upstreams: {{slow: {{endpoints: ["127.0.0.1:{port}"]}}}}\n'


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def test_it_serves_and_tells_where(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    assert gw.get("/hello") == (200, "hello\n")
    status = gw.status()
    assert status["listeners"] == {"web": [gw.address()]}
    assert status["generation"] == 1
    assert [row["state"] for row in status["workers"]] == ["live", "live"]
    assert all(row["live"]["snapshots"] == 1 for row in status["workers"])


def test_processes_have_titles(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    for column, pid in gw.workers().items():
        assert Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") == f"fastgw: worker {column}".encode()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_a_stop_ends_everything(gw: Gateway, signum: int) -> None:
    gw.start(CONFIG).ready()
    address, workers = gw.address(), list(gw.workers().values())
    assert gw.stop(signum) == 0
    assert not [pid for pid in workers if alive(pid)]
    with pytest.raises(ConnectionRefusedError):
        get(address, "/hello")
    assert gw.lines("stopped")


def test_workers_ignore_signals_for_the_supervisor(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    workers = gw.workers()
    for pid in workers.values():
        for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, signum)
    assert gw.get("/hello")[0] == 200
    assert gw.workers() == workers


def test_supervisor_killed_workers_end_and_ports_are_free(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    address, workers = gw.address(), list(gw.workers().values())
    gw.send(signal.SIGKILL)
    gw.wait()
    until(lambda: not [pid for pid in workers if alive(pid)], "the workers' end")
    host, _, port = address.rpartition(":")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))


def test_a_port_of_somebody_else_is_refused(gw: Gateway) -> None:
    with socket.socket() as owner:
        # Even one that would share: SO_REUSEPORT alone must not let two gateways split a port's connections.
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        gw.start(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        assert gw.wait() == 1
    reasons = [row["reason"] for row in gw.lines("cannot start")]
    assert reasons == [f"cannot listen on 127.0.0.1:{port}: the address is in use by another process"]


def test_a_bad_configuration_is_told_whole_and_exits_78(gw: Gateway) -> None:
    gw.start("listeners: {web: {bind: nonsense, what: 1}}\nroutes: {a: {to: nobody}}\n")
    assert gw.wait() == 78
    said = gw.stderr.read_text()
    assert all(part in said for part in ("nonsense", "what", "nobody"))


def test_last_good_is_kept_and_used_only_when_asked(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    assert gw.stop() == 0
    [kept] = (gw.folder / "state" / "fastgw").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text() == CONFIG
    gw.start("not: good")
    assert gw.wait() == 78
    gw.start(None, "--last-good").ready(2)
    assert get(gw.address(ready=2), "/hello") == (200, "hello\n")
    assert gw.lines("starting with the last good configuration")


def test_admin_pages(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    assert gw.admin("/livez") == (200, "ok\n")
    assert gw.admin("/readyz") == (200, "ok\n")
    code, body = gw.admin("/healthz?verbose")
    assert code == 200 and "[+] workers" in body and "[+] configuration" in body
    assert gw.admin("/nothing")[0] == 404
    assert gw.admin("/metrics")[0] == 200


def test_admin_is_a_unix_socket_by_default(gw: Gateway) -> None:
    gw.start(CONFIG.replace('admin: {bind: "127.0.0.1:0"}', "")).ready()
    path = gw.folder / "run" / "fastgw-admin.sock"
    assert gw.line("ready")["admin"] == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert gw.admin("/livez") == (200, "ok\n")
    assert gw.stop() == 0
    assert not path.exists()


def test_unix_listener_replaces_a_stale_socket_and_cleans_up(gw: Gateway) -> None:
    path = gw.folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    gw.start(CONFIG.replace("127.0.0.1:0", f"unix:{path}", 1)).ready()
    assert gw.get("/hello") == (200, "hello\n")
    assert gw.stop() == 0
    assert not path.exists()


def test_drain_finishes_what_is_in_flight_while_not_ready(gw: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as origin:
        port = origin.getsockname()[1]
        gw.start(slow(port))
        gw.ready()
        address, admin = gw.address(), gw.line("ready")["admin"]
        client = connect(address)
        client.request("GET", "/slow")
        peer, _ = origin.accept()
        with peer:
            assert peer.recv(4096).startswith(b"GET /slow ")
            gw.send(signal.SIGTERM)
            gw.line("stopping")
            assert get(admin, "/readyz")[0] == 503
            until(lambda: refused(address), "no more connections")
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"late")
    assert gw.wait() == 0


def refused(address: str) -> bool:
    try:
        get(address, "/hello")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_a_drain(gw: Gateway, second: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as origin:
        port = origin.getsockname()[1]
        gw.start(slow(port)).ready()
        client = connect(gw.address())
        client.request("GET", "/slow")
        peer, _ = origin.accept()
        with peer:
            gw.send(signal.SIGTERM)
            gw.line("stopping")
            assert alive(gw.pid)
            assert gw.stop(second) == 0


def test_logs_are_reopened_after_a_rotation(gw: Gateway) -> None:
    log = gw.folder / "access.log"
    gw.start(CONFIG + f"log: {{access: {{to: {log}}}}}\n").ready()
    gw.get("/hello")
    until(lambda: log.exists() and log.read_text(), "the first line")
    log.rename(gw.folder / "access.log.1")
    gw.send(signal.SIGUSR1)
    gw.line("logs reopened")
    until(log.exists, "the new file")
    gw.get("/hello")
    row = json.loads(until(log.read_text, "a line in the new file").splitlines()[0])
    assert row["status"] == 200


def test_service_manager_is_told(gw: Gateway) -> None:
    path = gw.folder / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        gw.start(CONFIG, env={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=serving web=")
        gw.send(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096) == b"READY=1"
        gw.send(signal.SIGTERM)
        assert manager.recv(4096) == b"STOPPING=1"
        assert gw.wait() == 0
