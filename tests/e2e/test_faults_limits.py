"""A worker that runs out of descriptors or memory, and a client that takes nothing of what it asked for."""

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import Broken, answer, dial
from .peers import keep, origin, read_head, rows
from .supervised import Gateway, gateway, until
from .test_faults import config
from .test_supervisor import CONFIG

MIB = 1 << 20


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def worker_of(gw: Gateway) -> int:
    [pid] = gw.workers().values()
    return pid


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_bytes(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def metric(gw: Gateway, name: str) -> float:
    return sum(float(row.split()[-1]) for row in gw.admin("/metrics")[1].splitlines() if row.startswith(name))


GET = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"


def test_out_of_descriptors(gw: Gateway) -> None:
    """prlimit to 20 more than are open: alive, at rest, others refused cleanly, and well as soon as there is room."""
    gw.start(CONFIG.replace("workers: 2", "workers: 1")).ready()
    pid, before = worker_of(gw), descriptors(worker_of(gw))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + 20, before + 20))
    refused = metric(gw, "fgw_refused_connections_total")
    clients = [dial(gw.address()) for _ in range(60)]
    try:
        until(lambda: metric(gw, "fgw_refused_connections_total") >= refused + 3, "refusals")
        served = closed = 0
        for sock in clients:
            sock.settimeout(0.2)
            with contextlib.suppress(OSError, Broken):
                sock.sendall(GET)
                served += answer(sock)[0] == 200
        assert served == 20, "the worker uses what it has"
        began, cpu = time.monotonic(), cpu_seconds(pid)
        until(lambda: time.monotonic() - began > 2, "two seconds of it")
        assert (cpu_seconds(pid) - cpu) / (time.monotonic() - began) < 0.5, "it spins"
        assert worker_of(gw) == pid
        for sock in clients:  # the reserve is used to close them one by one; nobody is told nonsense
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                closed += sock.recv(100) == b""
        assert gw.lines() and "out of file descriptors" in gw.stderr.read_text()
    finally:
        for sock in clients:
            sock.close()
    until(lambda: gw.get("/hello") == (200, "hello\n"), "accepting again")
    until(lambda: descriptors(pid) <= before + 1, "its descriptors back")


def endless(sock: socket.socket, head: bytes) -> None:
    """Answers /small with two bytes, everything else for ever."""
    if head.startswith(b"GET /small "):
        keep()(sock, head)
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n")
    while True:
        sock.sendall(b"x" * 65536)


@contextlib.contextmanager
def hoarders(gw: Gateway, number: int) -> Iterator[None]:
    """Clients that ask for endless answers and read nothing: what they are owed waits in the gateway."""
    clients = []
    try:
        for _ in range(number):
            sock = socket.socket()
            clients.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, _, port = gw.address().rpartition(":")
            sock.connect((host, int(port)))
            sock.sendall(b"GET /patient HTTP/1.1\r\nhost: x\r\n\r\n")
        yield
    finally:
        for sock in clients:
            sock.close()


def small(gw: Gateway) -> int:
    """The status of a small request; 0: the connection was closed on it."""
    try:
        return gw.get("/small")[0]
    except OSError:
        return 0


def test_out_of_memory_is_refused_and_survived(gw: Gateway) -> None:
    """No more address space than 16 MiB beyond what it has: requests are refused or cut, the worker lives on."""
    log = gw.folder / "access.log"
    with origin(endless) as up:
        gw.start(config(log, up.address)).ready()
        pid = worker_of(gw)
        assert small(gw) == 200
        room = status_bytes(pid, "VmSize") + 16 * MIB
        resource.prlimit(pid, resource.RLIMIT_AS, (room, room))
        seen: set[int] = set()
        with hoarders(gw, 600):
            for _ in range(200):
                seen.add(small(gw))
        until(lambda: small(gw) == 200, "served again")
        reasons = {row.get("reason") for row in rows(log, 1)}
        assert worker_of(gw) == pid and not gw.lines("worker ended"), "it died"
        assert seen <= {0, 200, 502, 503, 504}  # 504: six hundred dials at once overflow the backlog of the origin
        assert "no_memory" in reasons


def test_a_client_that_reads_nothing_costs_little(gw: Gateway) -> None:
    """200 MB wait at the upstream, not in the gateway; and all of them arrive when they are wanted."""
    total, sent = 200 * 1000 * 1000, [0]
    piece = b"x" * 100_000

    def pour(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent[0] < total:
            sock.sendall(piece)
            sent[0] += len(piece)

    log = gw.folder / "access.log"
    with origin(pour) as up:
        gw.start(config(log, up.address)).ready()
        pid = worker_of(gw)
        before = status_bytes(pid, "VmRSS")
        with dial(gw.address()) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            seen = [-1, 0.0]

            def stands() -> bool:
                if sent[0] != seen[0]:
                    seen[:] = [sent[0], time.monotonic()]
                return sent[0] > 0 and time.monotonic() - seen[1] > 1

            until(stands, "the flow stops")
            assert sent[0] < total / 4, "everything was taken in"
            assert status_bytes(pid, "VmRSS") - before < 32 * MIB
            assert read_head(sock).startswith(b"HTTP/1.1 200 ")
            got, room = 0, bytearray(MIB)
            while n := sock.recv_into(room):
                got += n
                if got >= total - MIB:  # what came with the head is in neither count
                    break
            assert got >= total - MIB


def test_connections_beyond_the_limit_are_refused_with_503(gw: Gateway) -> None:
    gw.start(CONFIG.replace("workers: 2", "workers: 1") + "limits: {connections: 5}\n").ready()
    clients = [dial(gw.address()) for _ in range(5)]
    try:
        for sock in clients:
            sock.sendall(GET)
            assert answer(sock)[0] == 200
        with dial(gw.address()) as late:
            status, head, _ = answer(late)
            assert status == 503 and b"retry-after: 1" in head.lower()
    finally:
        for sock in clients:
            sock.close()
    until(lambda: gw.get("/hello")[0] == 200, "room again")


def test_message_memory_at_its_limit_refuses_new_requests(gw: Gateway) -> None:
    """limits.memory: at 90 % of it new requests are 503; what is in hand goes on."""
    log = gw.folder / "access.log"
    with origin(endless) as up:
        gw.start(config(log, up.address, more="limits: {memory: 4MiB}")).ready()
        pid = worker_of(gw)
        before = status_bytes(pid, "VmRSS")
        clients = [dial(gw.address()) for _ in range(20)]  # beyond 98 % no further connection is accepted

        def known() -> int:
            """As small(), by a client that is known. At 100 % it may be cut."""
            try:
                clients[-1].sendall(b"GET /small HTTP/1.1\r\nhost: x\r\n\r\n")
                return answer(clients[-1])[0]
            except (OSError, Broken):
                clients.pop().close()
                return 0

        try:
            assert known() == 200
            with hoarders(gw, 120):
                until(lambda: known() == 503, "a refusal")
                assert status_bytes(pid, "VmRSS") - before < 64 * MIB
            until(lambda: known() == 200, "served again")
        finally:
            for sock in clients:
                sock.close()
        until(lambda: gw.get("/small")[0] == 200, "accepting again")
        assert worker_of(gw) == pid
        assert {row.get("reason") for row in rows(log, 1)} & {"overload", "no_memory"}
