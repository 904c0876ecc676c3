"""HTTP/2, without TLS and over it, from clients not ours (curl, h2load, python-h2) before an HTTP/1 upstream: all forms, ends from each side."""  # noqa: E501

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.hostile.h2_wire import DATA, END_HEADERS, END_STREAM, PREFACE, Hostile, frame, headers, number, request
from tests.hostile.origin import Origin, Reply, ok
from tests.programs import program
from tests.tls_files import make

from .supervised import Gateway, gateway, until

CONFIG = """
listeners:
  h2c: {{bind: "127.0.0.1:0"}}
  tls: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}]}}}}
  old: {{bind: "127.0.0.1:0", http2: false, tls: {{certificates: [{{cert: a.pem, key: a.key}}]}}}}
upstreams: {{up: {{endpoints: ["{origin}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
EH, ES, RST, CANCEL, INTERNAL = END_HEADERS, END_STREAM, 3, 8, 2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


@dataclass
class Door:
    """A listener, and how one comes in there."""

    gw: Gateway
    listener: str
    ca: Path

    @property
    def context(self) -> ssl.SSLContext | None:
        if self.listener == "h2c":
            return None
        made = ssl.create_default_context(cafile=str(self.ca))
        made.set_alpn_protocols(["h2", "http/1.1"])
        return made

    @property
    def address(self) -> str:
        return self.gw.address(self.listener)

    @property
    def url(self) -> str:
        return f"{'http' if self.listener == 'h2c' else 'https'}://{self.address}"

    def peer(self) -> Hostile:
        return Hostile(self.address, tls=self.context)

    def socket(self) -> socket.socket:
        host, _, port = self.address.partition(":")
        raw = socket.create_connection((host, int(port)), 20)
        return self.context.wrap_socket(raw, server_hostname=host) if self.context else raw

    def curl(self, path: str, *options: str, data: bytes | None = None) -> tuple[str, bytes]:
        """What curl writes with -w '%{http_version} %{http_code}', and the body."""
        how = ["--http2-prior-knowledge"] if self.listener == "h2c" else ["--cacert", str(self.ca)]
        command = ["curl", "-sS", "--max-time", "30", *how, *options, "-w", "%{stderr}%{http_version} %{http_code}"]
        done = subprocess.run([*command, f"{self.url}{path}"], input=data, capture_output=True, check=False)
        return done.stderr.decode(), done.stdout


def at(folder: Path) -> Gateway:
    """A gateway in a folder that has the certificates."""
    folder.mkdir(exist_ok=True)
    ca = make(folder, "ca", cn="Test authority")
    make(folder, "a", "IP:127.0.0.1", ca)
    return gateway(folder)


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("h2")
    with at(folder) as made:
        made.start(CONFIG.format(origin=origin.address, log=folder / "access.log")).ready()
        yield made
        made.stop()


@pytest.fixture(params=["h2c", "tls"])
def door(request: pytest.FixtureRequest, gw: Gateway, origin: Origin) -> Door:
    origin.seen.clear()
    return Door(gw, request.param, gw.folder / "ca.pem")


def test_no_body_and_head(door: Door, origin: Origin) -> None:
    origin.scripts["/none"] = Reply(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert door.curl("/none") == ("2 204", b"")
    assert door.curl("/some") == ("2 200", b"ok\n")
    origin.scripts["/head"] = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    told, head = door.curl("/head", "-I")
    assert told == "2 200" and b"content-length: 9" in head


def test_cookies_host_and_forwarding(door: Door, origin: Origin) -> None:
    crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")]
    with door.peer() as peer:
        peer.send(headers(1, request("/crumbs", extra=crumbs)))
        assert peer.answer(1) == 200
    seen = origin.seen["/crumbs"][0]
    assert seen.values(b"cookie") == [b"a=1; b=2"] and seen.values(b"host") == [b"h"]
    assert seen.values(b"via")[0].startswith(b"2 ")


@pytest.mark.parametrize("options", [("--data-binary", "@-"), ("-T", "-", "-X", "POST")], ids=["sized", "streamed"])
def test_bodies_up(door: Door, origin: Origin, options: tuple[str, ...]) -> None:
    body = os.urandom(3_000_000)
    path = f"/up{len(options)}"
    assert door.curl(path, *options, data=body) == ("2 200", b"ok\n")
    assert origin.seen[path][0].body == body


def test_bodies_down(door: Door, origin: Origin, tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    origin.scripts["/sized"] = Reply(ok(body))
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    origin.scripts["/chunked"] = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    origin.scripts["/closed"] = Reply(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, "close")
    for path in ("/sized", "/chunked", "/closed"):
        assert door.curl(path) == ("2 200", body)


def test_trailers_both_ways_and_interim_answers(door: Door, origin: Origin) -> None:
    origin.scripts["/t"] = Reply(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED)
    with door.peer() as peer:
        peer.send(headers(1, request("/t", "POST", [("te", "trailers")]), EH))
        peer.send(frame(DATA, 0, 1, b"xyz") + headers(1, [("x-up", "1")]))
        assert peer.answer(1) == 200
        assert (peer.heard.interim[1], peer.heard.body[1], peer.heard.trailers[1]) == ([103], b"abc", [("x-t", "1")])
    assert (origin.seen["/t"][0].body, origin.seen["/t"][0].trailers) == (b"xyz", [(b"x-up", b"1")])


def test_an_upstream_that_breaks_off_is_a_reset(door: Door, origin: Origin) -> None:
    origin.scripts["/cut"] = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "close", True)
    with door.peer() as peer:
        peer.send(headers(1, request("/cut")))
        assert peer.answer(1) is None and peer.heard.resets[1] == INTERNAL
        peer.send(headers(3, request("/after")))
        assert peer.answer(3) == 200


def test_a_client_that_resets_ends_its_request_upstream(door: Door) -> None:
    """The upstream sees its connection close; the client's other streams go on."""
    listener = socket.create_server(("127.0.0.1", 0))
    began, ended = threading.Event(), threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(20)
            began.set() if sock.recv(65536) else None
            ended.set() if sock.recv(65536) == b"" else None

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with at(door.gw.folder / f"reset-{door.listener}") as other:
        other.start(CONFIG.format(origin=f"127.0.0.1:{listener.getsockname()[1]}", log="stdout")).ready()
        with Door(other, door.listener, other.folder / "ca.pem").peer() as peer:
            peer.send(headers(1, request("/slow")))
            assert began.wait(20)
            peer.send(number(RST, 1, CANCEL))
            assert ended.wait(20)
            assert not peer.settle().goaway
        other.stop()
    listener.close()


def test_one_slow_stream_holds_no_other(door: Door, origin: Origin) -> None:
    origin.scripts["/big"] = Reply(ok(b"x" * 8_000_000))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.increment_flow_control_window(1 << 24)
    with door.socket() as sock:
        for stream in (1, 3, 5):
            client.send_headers(stream, request("/big"), end_stream=True)
        client.increment_flow_control_window(1 << 24, 3)
        client.increment_flow_control_window(1 << 24, 5)
        sock.sendall(client.data_to_send())
        got, over = {1: 0, 3: 0, 5: 0}, set()
        while over != {3, 5}:
            for event in client.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    got[event.stream_id] += len(event.data)
                if isinstance(event, h2.events.StreamEnded):
                    over.add(event.stream_id)
            sock.sendall(client.data_to_send())
        assert got[1] <= 65_535 and got[3] == got[5] == 8_000_000


@pytest.mark.parametrize("listener", ["h2c", "tls"])
def test_a_drain_finishes_what_has_begun(origin: Origin, tmp_path: Path, listener: str) -> None:
    origin.seen.clear()
    with at(tmp_path) as gw:
        gw.start(CONFIG.format(origin=origin.address, log="stdout")).ready()
        with Door(gw, listener, tmp_path / "ca.pem").peer() as peer:
            peer.send(headers(1, request("/drained", "POST"), EH))
            peer.settle()
            gw.send(15)
            peer.until(lambda h: len(h.goaway) == 2)
            assert peer.heard.goaway == [0, 0] and peer.heard.last == [0x7FFFFFFF, 1]
            peer.send(frame(DATA, ES, 1, b"end"))
            assert peer.answer(1) == 200 and peer.end().over
        assert gw.wait() == 0
    assert origin.seen["/drained"][0].body == b"end"


def test_h2load_and_the_log(door: Door) -> None:
    told = subprocess.run([program("h2load"), "-n", "3000", "-c", "8", "-m", "16", f"{door.url}/load/{door.listener}"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert re.search(r"3000 succeeded, 0 failed, 0 errored", told), told
    log = door.gw.folder / "access.log"
    until(lambda: log.read_text().count(f'"target":"/load/{door.listener}","host"') >= 3000, "3,000 lines")
    assert log.read_text().count('"protocol":"HTTP/2"') >= 3000


def test_what_is_agreed_by_alpn(gw: Gateway) -> None:
    safe, old = Door(gw, "tls", gw.folder / "ca.pem"), Door(gw, "old", gw.folder / "ca.pem")
    assert old.curl("/x") == ("1.1 200", b"ok\n"), "http2: false"
    assert safe.curl("/x", "--http1.1") == ("1.1 200", b"ok\n")
    assert safe.curl("/x", "--no-alpn") == ("1.1 200", b"ok\n"), "who asks for nothing gets HTTP/1.1"
    with socket.create_connection(("127.0.0.1", int(safe.address.rpartition(":")[2])), 20) as raw:
        context = safe.context
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
            sock.sendall(PREFACE)  # HTTP/2 that was not agreed on
            assert sock.recv(4096).startswith(b"HTTP/1.1 505 ")
