"""No connection is lost because workers come and go: listening sockets stay, and somebody always accepts on them."""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import load
from .supervised import Gateway, alive, children, gateway, get, until
from .test_supervisor import CONFIG, slow

LISTEN = "0A"


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def sized(count: int, text: str = CONFIG) -> str:
    return text.replace("workers: 2", f"workers: {count}")


def listening(address: str) -> set[str]:
    """Inodes of the sockets that listen at this address."""
    end = f"0100007F:{int(address.rpartition(':')[2]):04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[1] == end and row[3] == LISTEN}


def held(pid: int, inodes: set[str]) -> set[str]:
    """Which of them a process has."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found |= set(re.findall(r"^socket:\[(\d+)\]$", os.readlink(link)))
    return found & inodes


def resized(gw: Gateway, count: int) -> list[int]:
    """Reload with so many workers, and wait for them; their pids."""
    assert gw.reload(sized(count))["ok"]
    until(lambda: len(gw.status()["workers"]) == count == len(gw.workers()), f"{count} workers and no others")
    return list(gw.workers().values())


def each_has_its_own(gw: Gateway, inodes: set[str], pids: list[int]) -> bool:
    own = [held(pid, inodes) for pid in pids]
    return all(len(each) == 1 for each in own) and len(set.union(*own)) == len(pids)


def test_sockets_stay_whatever_the_number_of_workers(gw: Gateway) -> None:
    gw.start(sized(4)).ready()
    address = gw.address()
    inodes = until(lambda: found if len(found := listening(address)) == 4 else None, "a socket for each worker")
    until(lambda: each_has_its_own(gw, inodes, list(gw.workers().values())), "one for each")
    for count in (2, 1):
        pids = resized(gw, count)
        until(lambda pids=pids: set.union(*(held(pid, inodes) for pid in pids)) == inodes, "all are held")
        assert listening(address) == inodes
        assert {get(address, "/hello")[0] for _ in range(40)} == {200}
    pids = resized(gw, 4)
    until(lambda: each_has_its_own(gw, inodes, pids), "each has its own again")
    assert listening(address) == inodes


def test_the_sockets_of_a_dead_worker_are_lent_at_once(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    inodes = until(lambda: found if len(found := listening(gw.address())) == 2 else None, "a socket for each worker")
    first, second = gw.workers().values()
    until(lambda: each_has_its_own(gw, inodes, [first, second]), "one for each")
    supervisor = gw.pid
    os.kill(first, signal.SIGKILL)
    # Its successor is stopped before it can take anything: nobody but the neighbour can answer.
    new = until(lambda: [p for p in children(supervisor) if p != second and serves(p)], "a successor")
    for pid in new:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: held(second, inodes) == inodes, "the neighbour has both")
        assert {gw.get("/hello")[0] for _ in range(40)} == {200}
    finally:
        for pid in new:
            os.kill(pid, signal.SIGCONT)
    until(lambda: len(gw.workers()) == 2, "the successor")
    until(lambda: each_has_its_own(gw, inodes, list(gw.workers().values())), "one for each")


def serves(pid: int) -> bool:
    """Whether it was started as a worker."""
    with contextlib.suppress(OSError):
        return alive(pid) and b"fastgw.control.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_a_worker_that_wants_to_go_serves_until_another_can(gw: Gateway) -> None:
    """Its connections go on, and new ones do not wait for their end."""
    with socket.create_server(("127.0.0.1", 0)) as origin:
        gw.start(sized(1, slow(origin.getsockname()[1]))).ready()
        host, _, port = gw.address().rpartition(":")
        [old] = gw.workers().values()
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            peer, _ = origin.accept()
            with peer:
                peer.recv(4096)
                os.kill(old, signal.SIGTERM)
                with load(gw.address(), kept=0, fresh=2) as asked:
                    until(lambda: old not in gw.workers().values() and gw.workers(), "the successor")
                    seen = asked.good
                    until(lambda: asked.good > seen + 20, "answers by it")
                assert asked.bad == []
                assert alive(old), "it ended with a request in flight"
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
    until(lambda: not alive(old), "its end")
    assert len(gw.status()["workers"]) == 1 and gw.status()["worker_restarts"] == 1


def test_told_twice_it_goes_at_once(gw: Gateway) -> None:
    gw.start(sized(1)).ready()
    [old] = gw.workers().values()
    os.kill(old, signal.SIGTERM)
    gw.line("worker wants to go")
    os.kill(old, signal.SIGTERM)
    assert gw.line("worker ended")["how"] == "exit status 0"
    until(lambda: gw.workers(), "the successor")
    assert old not in gw.workers().values()
    assert gw.get("/hello")[0] == 200
    assert len(gw.status()["workers"]) == 1


def test_one_that_dies_while_another_comes_is_not_replaced_twice(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    before = gw.workers()
    os.kill(before[0], signal.SIGTERM)
    gw.line("worker wants to go")
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(gw.workers()) == 2 and before[0] not in gw.workers().values(), "the successor")
    assert before[1] in gw.workers().values()
    assert len(gw.status()["workers"]) == 2
    assert {gw.get("/hello")[0] for _ in range(20)} == {200}


def test_no_connection_is_lost_while_workers_come_and_go(gw: Gateway) -> None:
    gw.start(sized(4)).ready()
    with load(gw.address(), kept=0, fresh=8) as asked:
        for count in (1, 3, 2, 4, 1, 4):
            resized(gw, count)
        for pid in gw.workers().values():
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid: not alive(pid) and len(gw.workers()) == 4, "another")
    assert asked.good > 100
    assert asked.bad == []


def test_a_refused_reload_with_more_workers_loses_none(gw: Gateway) -> None:
    """The sockets that it opened go again, and nobody had connected to them."""
    gw.start(sized(1)).ready()
    with socket.create_server(("127.0.0.1", 0)) as owner, load(gw.address(), kept=0, fresh=8) as asked:
        admin = f'admin: {{bind: "127.0.0.1:{owner.getsockname()[1]}"}}'
        taken = sized(4).replace('admin: {bind: "127.0.0.1:0"}', admin)
        for _ in range(10):
            assert not gw.reload(taken)["ok"]
            gw.write(sized(1))
    assert asked.good > 100
    assert asked.bad == []


def test_a_killed_worker_takes_only_what_it_had_accepted(gw: Gateway) -> None:
    """It is stopped first: from then on it accepts nothing, and what comes waits in its queue."""
    gw.start(CONFIG).ready()
    address = gw.address()
    first = gw.workers()[0]
    os.kill(first, signal.SIGSTOP)
    host, _, port = address.rpartition(":")
    request = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection((host, int(port)), 30)) for _ in range(40)]
        for sock in waiting:
            sock.sendall(request)
        os.kill(first, signal.SIGKILL)
        assert [sock.recv(4096)[:12] for sock in waiting] == [b"HTTP/1.1 200"] * 40
