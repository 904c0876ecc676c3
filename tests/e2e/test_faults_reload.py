"""Reloads, deaths and restarts of the gateway's own processes while clients that keep their connections ask on."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import answer, dial, load
from .peers import keep, origin
from .supervised import Gateway, alive, gateway, get, until
from .test_supervisor import CONFIG


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def proxied(up: str, number: int = 0, more: str = "") -> str:
    """/hello tells the number; all else goes to the upstream, whose settings change with the number too."""
    return f"""
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["{up}"], pool: {{max_idle: {64 + number % 5}}}}}}}
routes:
  hello: {{match: {{exact: /hello}}, to: {{static: {{body: "v{number}"}}}}}}
  up{number % 3}: {{match: {{prefix: /}}, chain: [{{headers: {{set: {{x-number: "{number}"}}}}}}], to: up}}
limits: {{connection_requests: off, fields: {100 + number % 7}}}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
{more}
"""


@pytest.mark.slow
def test_a_reload_every_100_ms_fails_no_request(gw: Gateway) -> None:
    """For 20 s and until 50 different configurations were served; nobody's connection is even closed."""
    with origin(keep()) as up:
        gw.start(proxied(up.address)).ready()
        address = gw.address()
        with load(address, "/hello", kept=3, fresh=2) as own, load(address, "/up", kept=3, fresh=1) as through:
            began, number, applied = time.monotonic(), 0, 0
            while (time.monotonic() - began < 20 or applied < 50) and time.monotonic() - began < 90:
                number += 1
                gw.write(proxied(up.address, number))
                gw.send(signal.SIGHUP)
                time.sleep(0.1)
                if number % 10 == 0:
                    applied = gw.status()["reloads"]["applied"]
            until(lambda: gw.get("/hello")[1] == f"v{number}", "the last one")
        reloads = gw.status()["reloads"]
        assert own.bad == [] and through.bad == []
        assert own.closed == through.closed == 0
        assert reloads["refused"] == 0 and reloads["applied"] >= 50, reloads
        assert len(own.seen) >= 50, "different configurations that clients have seen"
        assert not gw.lines("worker ended")


def test_reloads_change_nothing_for_an_answer_in_flight(gw: Gateway) -> None:
    """Three seconds between its halves, and its route and upstream are gone meanwhile."""
    go = threading.Event()

    def halves(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
        go.wait(60)
        sock.sendall(b"-last")

    with origin(halves) as up:
        gw.start(proxied(up.address)).ready()
        with dial(gw.address()) as sock:
            sock.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(9, socket.MSG_PEEK)
            began = time.monotonic()
            for number in range(4):
                assert gw.reload(CONFIG.replace("hello\\n", f"v{number}"))["ok"]
            until(lambda: time.monotonic() - began > 3, "three seconds")
            assert gw.get("/slow")[0] == 404
            go.set()
            assert answer(sock)[2] == b"first-last"


def test_an_answer_in_flight_is_finished_by_a_worker_that_retires(gw: Gateway) -> None:
    go = threading.Event()

    def late(sock: socket.socket, head: bytes) -> None:
        go.wait(60)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with origin(late) as up:
        gw.start(proxied(up.address)).ready()
        clients = [dial(gw.address()) for _ in range(16)]  # some of them at each worker
        try:
            for sock in clients:
                sock.sendall(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
            until(lambda: len(up.heads) == 16, "all at the upstream")
            before = gw.workers()
            assert gw.reload(proxied(up.address, 1).replace("workers: 2", "workers: 1"))["ok"]
            assert alive(before[1])
            go.set()
            assert [answer(sock)[0] for sock in clients] == [200] * 16
        finally:
            for sock in clients:
                sock.close()
        until(lambda: not alive(before[1]), "its end")


def echo(sock: socket.socket, head: bytes) -> None:
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    while data := sock.recv(65536):
        sock.sendall(data)


def upgraded(address: str) -> socket.socket:
    sock = dial(address)
    sock.sendall(
        b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return sock


def echoes(sock: socket.socket, text: bytes) -> bool:
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        data = sock.recv(65536)
        if not data:
            return False
        got += data
    return got == text


def test_a_websocket_lives_through_reloads_and_until_the_end_of_a_drain(gw: Gateway) -> None:
    with origin(echo) as up:
        text = proxied(up.address, more="timeouts: {drain: 3s}")
        gw.start(text).ready()
        tunnels = [upgraded(gw.address()) for _ in range(12)]
        try:
            for number in range(4):
                assert gw.reload(CONFIG.replace("hello\\n", f"v{number}") + "timeouts: {drain: 3s}\n")["ok"]
                assert all(echoes(sock, b"reload %d" % number) for sock in tunnels)
            gw.send(signal.SIGTERM)
            gw.line("stopping")
            assert all(echoes(sock, b"draining") for sock in tunnels)
            for sock in tunnels:
                assert not sock.recv(100), "cut at the deadline"
            assert gw.wait() == 0
        finally:
            for sock in tunnels:
                sock.close()


def test_a_worker_killed_under_load_costs_at_most_one_request_a_connection(gw: Gateway) -> None:
    with origin(keep()) as up:
        gw.start(proxied(up.address)).ready()
        with load(gw.address(), "/up", kept=6, fresh=2) as clients:
            for kill in range(3):
                more = clients.good + 200
                until(lambda more=more: clients.good > more, "requests")
                pid = gw.workers()[0]
                os.kill(pid, signal.SIGKILL)
                until(lambda pid=pid: gw.workers().get(0) not in (None, pid), "another worker")
                assert len(clients.bad) <= 8 * (kill + 1), clients.bad
        assert clients.good > 600
        told = gw.admin("/metrics")[1].splitlines()
        assert 'fgw_upstream_requests_in_flight{upstream="up"} 0' in told, "what the dead held is forgotten"


def test_a_worker_told_to_go_under_load_fails_no_request(gw: Gateway) -> None:
    """Kept connections are closed after an answer that says so; fresh ones go to its successor."""
    gw.start(CONFIG.replace("hello\\n", "x" * 1000)).ready()
    with load(gw.address(), kept=8, fresh=4) as clients:
        for kill in range(6):
            more = clients.good + 100
            until(lambda more=more: clients.good > more or clients.bad, "requests")
            pid = list(gw.workers().values())[kill % 2]
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid: len(now := gw.workers()) == 2 and pid not in now.values(), "another worker")
    assert clients.bad == [] and clients.closed > 0


def test_a_killed_supervisor_leaves_its_port_to_the_next(gw: Gateway) -> None:
    gw.start(CONFIG).ready()
    port = gw.address().rpartition(":")[2]
    with load(gw.address(), kept=2, fresh=1):
        workers = list(gw.workers().values())
        gw.send(signal.SIGKILL)
        gw.wait()
        until(lambda: not any(alive(pid) for pid in workers), "the workers' end")
    gw.start(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}", 1)).ready(2)
    assert get(f"127.0.0.1:{port}", "/hello") == (200, "hello\n")
