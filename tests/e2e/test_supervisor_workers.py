"""Workers die; their slots, sockets and counters do not."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .supervised import Gateway, alive, gateway, get, until
from .test_supervisor import CONFIG, slow


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def replaced(gw: Gateway, column: int, old: int) -> int:
    """Wait for another worker in this column; its pid."""
    def other() -> int | None:
        pid = gw.workers().get(column)
        return pid if pid not in (None, old) else None

    return until(other, f"a new worker {column}")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_dead_worker_is_replaced(gw: Gateway, signum: int) -> None:
    gw.start(CONFIG).ready()
    before = gw.workers()
    os.kill(before[0], signum)
    replaced(gw, 0, before[0])
    status = gw.status()
    assert [row["restarts"] for row in status["workers"]] == [1, 0]
    assert status["worker_restarts"] == 1
    assert gw.workers()[1] == before[1]
    assert gw.get("/hello") == (200, "hello\n")
    assert gw.line("worker ended")["how"] == f"killed by {signal.Signals(signum).name}"


def test_connections_in_the_queue_of_a_dead_worker_are_served_by_its_successor(gw: Gateway) -> None:
    gw.start(CONFIG.replace("workers: 2", "workers: 1")).ready()
    host, _, port = gw.address().rpartition(":")
    [worker] = gw.workers().values()
    os.kill(worker, signal.SIGSTOP)
    waiting = [socket.create_connection((host, int(port))) for _ in range(20)]
    for sock in waiting:
        sock.settimeout(30)
        sock.sendall(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    os.kill(worker, signal.SIGKILL)
    for sock in waiting:
        with sock:
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_worker_that_is_told_to_go_drains_and_is_replaced(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    before = gw.workers()
    os.kill(before[1], signal.SIGTERM)
    assert gw.line("worker drains")["worker"] == 1
    assert gw.line("worker ended")["how"] == "exit status 0"
    after = until(lambda: found if len(found := gw.workers()) == 2 else None, "two workers")
    assert after[0] == before[0] and before[1] not in after.values()
    assert gw.get("/hello")[0] == 200


def test_too_many_crashes_wait_and_lend_the_sockets(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    pid = gw.workers()[0]
    for _ in range(4):
        os.kill(pid, signal.SIGKILL)
        pid = replaced(gw, 0, pid)
    os.kill(pid, signal.SIGKILL)
    line = gw.line("worker crashes too often; waiting")
    assert line["worker"] == 0 and line["seconds"] == 0.5
    # While slot 0 waits, its share of the connections is accepted by worker 1.
    statuses = {get(gw.address(), "/hello")[0] for _ in range(40)}
    assert statuses == {200}
    replaced(gw, 0, pid)
    assert gw.status()["workers"][0]["restarts"] == 5


def test_a_lent_socket_is_served_while_its_slot_waits(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    pid = gw.workers()[0]
    # Six in a row: the last waits are long enough to see that all of many connections are answered meanwhile.
    for _ in range(6):
        os.kill(pid, signal.SIGKILL)
        pid = replaced(gw, 0, pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gw.status()["workers"][0]["state"] == "backoff", "the wait")
    served = sum(get(gw.address(), "/hello")[0] == 200 for _ in range(40))
    assert served == 40
    assert gw.status()["workers"][0]["state"] == "backoff", "the wait was over too soon to show anything"


def test_kills_under_load_lose_at_most_what_was_in_hand(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    address, stop = gw.address(), threading.Event()
    good, bad = [0], [0]

    def load() -> None:
        while not stop.is_set():
            try:
                good[0] += get(address, "/hello")[0] == 200
            except OSError:
                bad[0] += 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    kills = 3
    for _ in range(kills):
        before = gw.workers()
        os.kill(before[0], signal.SIGKILL)
        replaced(gw, 0, before[0])
    stop.set()
    for thread in threads:
        thread.join()
    assert good[0] > 0
    # Each client had one connection at a time: at most one of each was with the worker that died.
    assert bad[0] <= kills * len(threads)


def test_worker_number_follows_the_configuration(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    first = gw.workers()
    assert gw.reload(CONFIG.replace("workers: 2", "workers: 3"))["ok"]
    until(lambda: len(gw.workers()) == 3, "three workers")
    assert gw.reload(CONFIG.replace("workers: 2", "workers: 1"))["ok"]
    until(lambda: len(gw.status()["workers"]) == 1, "one worker")
    assert gw.workers() == {0: first[0]}
    assert not alive(first[1])
    assert {gw.get("/hello")[0] for _ in range(20)} == {200}


def test_workers_end_after_requests_in_flight_when_the_supervisor_is_killed(gw: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as origin:
        gw.start(slow(origin.getsockname()[1])).ready()
        host, _, port = gw.address().rpartition(":")
        workers = list(gw.workers().values())
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            peer, _ = origin.accept()
            with peer:
                peer.recv(4096)
                gw.send(signal.SIGKILL)
                gw.wait()
                until(lambda: sum(alive(pid) for pid in workers) == 1, "the idle worker's end")
                time.sleep(0.2)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
        until(lambda: not any(alive(pid) for pid in workers), "the busy worker's end")


def test_what_a_dead_worker_held_is_zeroed(gw: Gateway) -> None:
    gw.start(CONFIG.replace("workers: 2", "workers: 1")).ready()
    host, _, port = gw.address().rpartition(":")
    [pid] = gw.workers().values()
    for _ in range(6):  # so that nobody takes the dead one's place at once
        os.kill(pid, signal.SIGKILL)
        pid = replaced(gw, 0, pid)
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(4096)
        until(lambda: "\nfgw_connections 1\n" in gw.admin("/metrics")[1], "the gauge")
        os.kill(pid, signal.SIGKILL)
        until(lambda: gw.status()["workers"][0]["state"] == "backoff", "the wait")
        assert "\nfgw_connections 0\n" in gw.admin("/metrics")[1]
        assert gw.admin("/readyz")[0] == 503


def test_worker_counters_survive_worker_death(gw: Gateway) -> None:
    gw.start(CONFIG.replace("workers: 2", "workers: 1")).ready()
    for _ in range(5):
        gw.get("/hello")
    before = gw.admin("/metrics")[1]
    [pid] = gw.workers().values()
    os.kill(pid, signal.SIGKILL)
    replaced(gw, 0, pid)
    counts = [[line for line in text.splitlines() if line.startswith("fgw_requests_total") and '"hello"' in line]
              for text in (before, gw.admin("/metrics")[1])]  # fmt: skip
    assert counts[0] == counts[1] and counts[0][0].endswith(" 5")
    assert "fgw_worker_restarts_total 1\n" in gw.admin("/metrics")[1]
