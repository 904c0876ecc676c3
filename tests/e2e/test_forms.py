# ruff: noqa: E501
"""The less usual forms of HTTP/1 through a live gateway: 1.0 on either side, targets that are no path, interim answers, sockets that are no IPv4."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import Origin, exchange, origin, read_head, rows, tell
from .supervised import Gateway, UnixHTTP, gateway, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  six: {{bind: "[::1]:0"}}
  sock: {{bind: "unix:{folder}/gw.sock"}}
upstreams:
  up: {{endpoints: ["{up}"]}}
  unix: {{endpoints: ["unix:{folder}/up.sock"]}}
  six: {{endpoints: ["[::1]:{six}"]}}
  gone: {{endpoints: ["unix:{folder}/none.sock"]}}
  named: {{endpoints: ["[::1]:{six}"], host: rewrite}}
  namedunix: {{endpoints: ["unix:{folder}/up.sock"], host: rewrite}}
routes:
  all: {{match: {{prefix: /}}, to: up}}
  unix: {{match: {{prefix: /unix}}, to: unix}}
  six: {{match: {{prefix: /six}}, to: six}}
  gone: {{match: {{prefix: /gone}}, to: gone}}
  named: {{match: {{prefix: /named}}, to: named}}
  namedunix: {{match: {{prefix: /named/unix}}, to: namedunix}}
log: {{access: {{to: {folder}/access.log}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""


class Keeping(Origin):
    """Answers any number of requests on a connection with what it was asked."""

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(30)
        with sock:
            while head := read_head(sock):
                self.heads.append(head)
                body = head.split(b"\r\n")[0]
                sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


class KeepingV6(Keeping):
    def __init__(self) -> None:
        super().__init__(tell)
        self.close()
        self.sock = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=128)
        self.address = f"[::1]:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()


@pytest.fixture(scope="module")
def up() -> Iterator[Origin]:
    with origin(tell) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


@pytest.fixture(scope="module")
def keeping(folder: Path) -> Iterator[tuple[Keeping, KeepingV6]]:
    made = Keeping(tell, str(folder / "up.sock")), KeepingV6()
    yield made
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def gw(folder: Path, up: Origin, keeping: tuple[Keeping, KeepingV6]) -> Iterator[Gateway]:
    with gateway(folder) as made:
        made.start(CONFIG.format(folder=folder, up=up.address, six=keeping[1].port)).ready()
        yield made
        assert made.stop() == 0
        assert not (folder / "gw.sock").exists(), "a unix listener's file is removed"


def asked(up: Origin) -> bytes:
    return up.heads[-1].split(b"\r\n")[0]


# ---- sockets
def test_a_unix_listener(gw: Gateway, folder: Path) -> None:
    client = UnixHTTP(str(folder / "gw.sock"))
    for _ in range(3):
        client.request("GET", "/over/unix")
        answer = client.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["line"] == "GET /over/unix HTTP/1.1"
    client.close()
    row = until(lambda: next((r for r in rows(folder / "access.log", 1) if r["target"] == "/over/unix"), None), "its line")
    assert (row["client"], row["listener"]) == ("unix", "sock")


@pytest.mark.parametrize(("path", "which"), [("/unix", 0), ("/six", 1)])
def test_connections_of_other_families_are_kept_too(gw: Gateway, keeping: tuple[Keeping, Keeping], path: str, which: int) -> None:
    for number in range(10):
        assert gw.get(f"{path}/{number}") == (200, f"GET {path}/{number} HTTP/1.1")
    assert keeping[which].accepted == 1


def test_an_ipv6_listener(gw: Gateway) -> None:
    host, _, port = gw.address("six").rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), 10) as sock:
        sock.sendall(b"GET /v6 HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n")
        got = b""
        while more := sock.recv(65536):
            got += more
    assert json.loads(got.partition(b"\r\n\r\n")[2])["fields"]["host"] == ["[::1]:80"]


def test_an_endpoint_as_host(gw: Gateway, keeping: tuple[Keeping, KeepingV6]) -> None:
    assert gw.get("/named")[0] == 200
    assert b"\r\nHost: " + keeping[1].address.encode() + b"\r\n" in keeping[1].heads[-1]
    assert gw.get("/named/unix")[0] == 200
    assert b"\r\nHost: namedunix\r\n" in keeping[0].heads[-1]


def test_a_unix_endpoint_that_is_not_there(gw: Gateway) -> None:
    status, body = gw.get("/gone")
    assert (status, json.loads(body)["reason"]) == (502, "connect_refused")


# ---- HTTP/1.0
def test_a_1_0_client_is_closed_unless_it_asks(gw: Gateway, up: Origin) -> None:
    got = exchange(gw.address(), b"GET /a HTTP/1.0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: close\r\n" in got
    assert asked(up) == b"GET /a HTTP/1.1" and b"Via: 1.0 fastgw\r\n" in up.heads[-1]


def test_a_1_0_client_that_keeps_alive(gw: Gateway) -> None:
    host, _, port = gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        for number in range(5):
            sock.sendall(b"GET /six/%d HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" % number)
            got = b""
            while not got.endswith(b"GET /six/%d HTTP/1.1" % number):
                more = sock.recv(65536)
                assert more, got
                got += more
            assert b"\r\nconnection: keep-alive\r\n" in got.lower()


def test_a_1_0_client_gets_no_chunks(gw: Gateway, up: Origin) -> None:
    up.script = lambda sock, head: sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n")
    got = exchange(gw.address(), b"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    up.script = tell
    head, _, body = got.partition(b"\r\n\r\n")
    assert body == b"hello world" and b"transfer-encoding" not in head.lower() and b"\r\nConnection: close" in head


def test_a_1_0_client_gets_no_interim_answers(gw: Gateway, up: Origin) -> None:
    up.script = lambda sock, head: sock.sendall(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    got = exchange(gw.address(), b"GET /early HTTP/1.0\r\n\r\n")
    up.script = tell
    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\nok")


def test_a_1_0_origin(gw: Gateway, up: Origin) -> None:
    said = {
        b"HTTP/1.0 200 OK\r\n\r\nto the end": b"to the end",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfour": b"four",
        b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nfour": b"four",
        b"HTTP/1.0 204 No\r\n\r\n": b"",
    }
    for raw, body in said.items():
        up.script = lambda sock, head, raw=raw: sock.sendall(raw)
        got = exchange(gw.address(), b"GET /old HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, _, rest = got.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            assert rest == b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            assert rest == body
    up.script = tell


# ---- targets
def test_options_of_the_server(gw: Gateway, up: Origin) -> None:
    assert exchange(gw.address(), b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert exchange(gw.address(), b"GET * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    exchange(gw.address(), b"OPTIONS /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert asked(up) == b"OPTIONS /x HTTP/1.1"


def test_an_absolute_target_wins_over_host(gw: Gateway, up: Origin) -> None:
    got = exchange(gw.address(), b"GET http://Good.example:81/p/../q?a=b HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert asked(up) == b"GET /q?a=b HTTP/1.1" and b"\r\nHost: Good.example:81\r\n" in up.heads[-1] and b"evil" not in up.heads[-1]


# ---- interim answers
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n"


def test_early_hints_pass_in_order(gw: Gateway, up: Origin) -> None:
    up.script = lambda sock, head: sock.sendall(INTERIM + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    got = exchange(gw.address(), b"GET /hints HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    up.script = tell
    first, second, final = [part for part in got.split(b"HTTP/1.1 ")[1:] if not part.startswith(b"100 ")]
    assert first == b"103 Early Hints\r\nLink: </a>\r\n\r\n" and second == b"103 Early Hints\r\nLink: </b>\r\n\r\n"
    assert final.startswith(b"200 OK\r\n") and final.endswith(b"\r\n\r\nok")


EXPECTS = b"POST /expect HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


def test_the_upstreams_100_comes_before_the_body_is_sent(gw: Gateway, up: Origin) -> None:
    def careful(sock: socket.socket, head: bytes) -> None:
        assert head.endswith(b"\r\n\r\n") and b"expect: 100-continue" in head.lower()
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        while len(body) < 5:
            body += sock.recv(5)
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n" + body)

    up.script = careful
    host, _, port = gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(EXPECTS)
        got = read_head(sock)
        assert got == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        got = b""
        while not got.endswith(b"hello"):
            more = sock.recv(65536)
            assert more
            got += more
    up.script = tell
    assert got.startswith(b"HTTP/1.1 200 ")


def test_an_upstream_that_refuses_is_not_sent_the_body(gw: Gateway, up: Origin) -> None:
    came: list[bytes] = []

    def refuses(sock: socket.socket, head: bytes) -> None:
        sock.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
        while more := sock.recv(65536):
            came.append(more)

    up.script = refuses
    host, _, port = gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(EXPECTS)
        got = b""
        while more := sock.recv(65536):
            got += more
    up.script = tell
    assert got.startswith(b"HTTP/1.1 403 ") and b"100 Continue" not in got
    assert b"\r\nConnection: close\r\n" in got, "whether the body still comes is not known, so nothing else may"
    assert came == []
