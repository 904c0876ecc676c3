"""Upstream processes that are stopped, killed and started again, and names that change, while requests go on."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.dns_server import SERVFAIL, Server

from .load import answer, dial, load
from .peers import Script, child, free_port, keep, origin, read_head, reset, rows
from .supervised import Gateway, gateway, get, until
from .test_faults import OK, config
from .test_supervisor_faults import dns, named  # noqa: F401 (a fixture)


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@contextlib.contextmanager
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(Path(__file__).with_name("origin_child.py")), str(port), str(folder)]
    with child(command, port, folder) as made:
        yield made


def test_a_stopped_upstream_is_504_at_its_timeout_and_well_at_once(gw: Gateway, log: Path) -> None:
    port = free_port()
    with process(gw.folder, port) as up:
        gw.start(config(log, f"127.0.0.1:{port}")).ready()
        assert get(gw.address(), "/") == (200, "ok")
        os.kill(up.pid, signal.SIGSTOP)
        assert get(gw.address(), "/")[0] == 504
        os.kill(up.pid, signal.SIGCONT)
        assert get(gw.address(), "/") == (200, "ok")
        timed_out = rows(log, 3)[1]
        assert timed_out["reason"] == "first_byte_timeout" and 290 <= timed_out["duration_ms"] < 1_300


def test_a_stopped_upstream_does_not_slow_others(gw: Gateway, log: Path) -> None:
    port = free_port()
    with process(gw.folder, port) as up, origin(keep()) as well:
        text = config(log, f"127.0.0.1:{port}").replace(
            "routes:\n", "routes:\n  well: {match: {prefix: /well}, to: well}\n"
        ).replace("upstreams: {", f'upstreams: {{well: {{endpoints: ["{well.address}"]}}, ')  # fmt: skip
        gw.start(text).ready()
        os.kill(up.pid, signal.SIGSTOP)
        with load(gw.address(), "/stopped", kept=20, fresh=0) as stuck, load(gw.address(), "/well", kept=4) as clients:
            until(lambda: len(stuck.bad) >= 40, "those that wait for the stopped one")
        os.kill(up.pid, signal.SIGCONT)
        assert clients.bad == []
        assert clients.good > 200
        assert all(each.startswith("504 ") for each in stuck.bad)
        slowest = sorted(row["duration_ms"] for row in rows(log, 1) if row["target"] == "/well")
        assert slowest[len(slowest) * 99 // 100] < 250, "far from the other's timeout"


def test_a_restarted_upstream_fails_no_get_through_its_old_connections(gw: Gateway, log: Path) -> None:
    """The worker stands still while requests come and its warm connections die: it sees the requests first."""
    port = free_port()
    gw.start(config(log, f"127.0.0.1:{port}").replace("300ms, connect", "10s, connect")).ready()
    [worker] = gw.workers().values()
    with contextlib.ExitStack() as stack:
        up = stack.enter_context(process(gw.folder, port))
        clients = [stack.enter_context(dial(gw.address())) for _ in range(8)]
        for _ in range(3):
            for path in (b"/slow", b"/"):  # slow ones at the same time, so that there are eight connections
                for sock in clients:
                    sock.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: a\r\n\r\n")
                assert [answer(sock)[0] for sock in clients] == [200] * 8
            os.kill(worker, signal.SIGSTOP)
            for sock in clients:
                sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            up.kill()
            up.wait()
            up = stack.enter_context(process(gw.folder, port))
            os.kill(worker, signal.SIGCONT)
            assert [answer(sock)[0] for sock in clients] == [200] * 8
    assert any(row["tries"] == 2 for row in rows(log, 72)), "it did not come to what this test is about"


def test_what_died_at_one_endpoint_is_tried_again_at_another(gw: Gateway, log: Path) -> None:
    """Even where the first is favoured by far, and would take a new connection."""
    def once(sock: socket.socket, head: bytes) -> None:
        sock.sendall(OK)
        read_head(sock)
        reset(sock)

    with origin(once) as first, origin(keep(b"second")) as second:
        text = config(log, "A", "B").replace('"A"', f'{{address: "{first.address}", weight: 100}}')
        gw.start(text.replace('"B"', f'{{address: "{second.address}", weight: 1}}')).ready()
        with dial(gw.address()) as sock:
            for wanted in (b"ok", b"second"):
                sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                status, _, body = answer(sock)
                assert (status, body) == (200, wanted)
        assert [row["tries"] for row in rows(log, 2)] == [1, 2]


def test_a_post_reaches_a_dying_upstream_once_at_most(gw: Gateway, log: Path) -> None:
    port = free_port()
    gw.start(config(log, f"127.0.0.1:{port}")).ready()
    statuses: list[int] = []
    stop = threading.Event()

    def post() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(OSError), dial(gw.address()) as sock:
                name = f"/{threading.get_ident()}-{number}".encode()
                sock.sendall(b"POST " + name + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
                statuses.append(answer(sock)[0])

    with contextlib.ExitStack() as stack:
        up = stack.enter_context(process(gw.folder, port))
        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            more = statuses.count(200) + 100
            until(lambda more=more: statuses.count(200) > more, "posts")
            up.kill()
            up.wait()
            up = stack.enter_context(process(gw.folder, port))
        stop.set()
        for thread in threads:
            thread.join()
    seen = (gw.folder / "posts").read_bytes().split()
    assert len(seen) == len(set(seen)), "one was sent twice"
    assert set(statuses) <= {200, 502, 503}


def test_down_is_told_within_a_second_and_back_within_three(gw: Gateway, log: Path) -> None:
    port = free_port()
    gw.start(config(log, f"127.0.0.1:{port}")).ready()
    for _ in range(5):
        assert get(gw.address(), "/")[0] in (502, 503)
    assert all(row["duration_ms"] < 1_000 for row in rows(log, 5))
    with process(gw.folder, port):
        began = time.monotonic()
        until(lambda: get(gw.address(), "/")[0] == 200, "it is found again")
        assert time.monotonic() - began < 10


BIG = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 8_000) for n in range(20)) + b"\r\n"
BAD_HEADS = {
    "too large": BIG,
    "no number": b"HTTP/1.1 2x0 OK\r\ncontent-length: 2\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
    "a nul": b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_HEADS)
def test_a_bad_head_is_a_502_told_once_and_never_pooled(gw: Gateway, log: Path, kind: str) -> None:
    def bad(sock: socket.socket, head: bytes) -> None:
        sock.sendall(BAD_HEADS[kind])
        with contextlib.suppress(OSError):
            sock.recv(1)  # kept open: only the gateway can end this connection

    with origin(bad) as up:
        gw.start(config(log, up.address)).ready()
        assert get(gw.address(), "/")[0] == 502
        [row] = rows(log, 1)
        assert row["by"] == "upstream" and row["duration_ms"] < 2_000
        up.script = keep()
        assert get(gw.address(), "/") == (200, "ok")
        assert up.accepted == 2, "a connection for each"


def test_bytes_behind_an_answer_end_its_connection(gw: Gateway, log: Path) -> None:
    def more(sock: socket.socket, head: bytes) -> None:
        sock.sendall(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        with contextlib.suppress(OSError):
            sock.recv(1)

    with origin(more) as up:
        gw.start(config(log, up.address)).ready()
        with dial(gw.address()) as sock:
            for _ in range(5):
                sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                assert answer(sock)[2] == b"ok"
        assert up.accepted == 5


def cut_in_the_request(sock: socket.socket, head: bytes) -> None:
    sock.recv(10_000)
    reset(sock)


def never_reads(sock: socket.socket, head: bytes) -> None:
    time.sleep(0.2)
    reset(sock)


@pytest.mark.parametrize("script", [cut_in_the_request, never_reads])
def test_an_upstream_that_dies_in_a_request_body_is_a_502_once(gw: Gateway, log: Path, script: Script) -> None:
    with origin(script) as up:
        gw.start(config(log, up.address)).ready()
        with dial(gw.address()) as sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n" + b"x" * 1_000_000)
            assert read_head(sock).startswith(b"HTTP/1.1 502 ")
        [row] = rows(log, 1)
        assert row["status"] == 502 and row["by"] == "upstream"
        assert up.accepted == 1


# -- names
def test_a_slow_resolver_holds_nobody_up(gw: Gateway, dns: Server) -> None:  # noqa: F811
    """The name server falls silent: the last addresses are kept, and no process of ours waits for it."""
    with origin(keep()) as up:
        dns.zone.names["users.test"] = ["127.0.0.1"]
        gw.start(named(up.port), env={"FASTGW_NAMESERVERS": dns.address}).ready()
        assert gw.get("/u") == (200, "ok")
        dns.zone.names["users.test"] = None
        asked = len(dns.zone.asked)
        with load(gw.address(), "/u") as clients:
            until(lambda: len(dns.zone.asked) > asked + 2, "questions without an answer")
            assert gw.admin("/readyz")[0] == 200
            assert gw.reload(gw.config.read_text() + "log: {error: {level: debug}}\n")["ok"]
        assert clients.bad == [] and clients.good > 100
        dns.zone.names["users.test"] = SERVFAIL
        gw.line("name not resolved")
        assert gw.get("/u") == (200, "ok")


def test_a_changed_address_is_followed_without_a_failed_request(gw: Gateway, dns: Server) -> None:  # noqa: F811
    with origin(keep(b"first")) as first:
        dns.zone.names["users.test"] = ["127.0.0.1"]
        with socket.create_server(("127.0.0.2", first.port)) as sock:
            threading.Thread(target=serve, args=(sock, b"second"), daemon=True).start()
            gw.start(named(first.port), env={"FASTGW_NAMESERVERS": dns.address}).ready()
            with load(gw.address(), "/u") as clients:
                until(lambda: b"first" in clients.seen, "the first address")
                dns.zone.names["users.test"] = ["127.0.0.2"]
                until(lambda: b"second" in clients.seen or clients.bad, "the second")
                until(lambda: {gw.get("/u") for _ in range(10)} == {(200, "second")}, "only the second")
            assert clients.bad == []


def serve(listener: socket.socket, body: bytes) -> None:
    def one(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            keep(body)(sock, read_head(sock))

    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()
