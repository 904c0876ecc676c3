"""TLS towards upstreams, which are Python's ssl: whom the gateway believes, and what it says when it does not."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tls_files import Files, make

from .peers import read_head
from .supervised import Gateway, gateway, get, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  secure: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: up.pem, key: up.key}}]}}}}
upstreams:
  good: {{endpoints: ["127.0.0.1:{good}"], tls: {{ca: ca.pem}}}}
  named: {{endpoints: ["127.0.0.1:{named}"], tls: {{ca: ca.pem, server_name: up.test}}}}
  wrong: {{endpoints: ["127.0.0.1:{named}"], tls: {{ca: ca.pem, server_name: down.test}}}}
  unknown: {{endpoints: ["127.0.0.1:{good}"], tls: {{}}}}
  blind: {{endpoints: ["127.0.0.1:{good}"], tls: {{verify: false}}}}
  expired: {{endpoints: ["127.0.0.1:{expired}"], tls: {{ca: ca.pem}}}}
  mutual: {{endpoints: ["127.0.0.1:{mutual}"], tls: {{ca: ca.pem, certificate: {{cert: me.pem, key: me.key}}}}}}
  nobody: {{endpoints: ["127.0.0.1:{mutual}"], tls: {{ca: ca.pem}}}}
  plain: {{endpoints: ["127.0.0.1:{plain}"], tls: {{ca: ca.pem}}}}
routes:
  good: {{match: {{prefix: /good}}, to: good}}
  named: {{match: {{prefix: /named}}, to: named}}
  wrong: {{match: {{prefix: /wrong}}, to: wrong}}
  unknown: {{match: {{prefix: /unknown}}, to: unknown}}
  blind: {{match: {{prefix: /blind}}, to: blind}}
  expired: {{match: {{prefix: /expired}}, to: expired}}
  mutual: {{match: {{prefix: /mutual}}, to: mutual}}
  nobody: {{match: {{prefix: /nobody}}, to: nobody}}
  plain: {{match: {{prefix: /plain}}, to: plain}}
timeouts: {{connect: {connect}}}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
BIG = bytes(range(256)) * 4096  # 1 MiB


class Secure:
    """An HTTPS origin that keeps connections. It answers with the client's common name and the size of the body; to
    `/…/big` with BIG, to `/…/cut` without a length, and then the socket is closed without a close_notify."""

    def __init__(self, files: Files, ca: Files | None = None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.cert, files.key)
        if ca is not None:
            self.context.load_verify_locations(ca.cert)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.sock.getsockname()[1]
        self.connections = self.resumed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self.sock.accept()
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(30)
        with raw, contextlib.suppress(OSError, ValueError), self.context.wrap_socket(raw, server_side=True) as sock:
            self.connections += 1
            self.resumed += bool(sock.session_reused)
            while data := read_head(sock):
                head, _, body = data.partition(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                size = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                while len(body) < size:
                    body += sock.recv(65_536)
                path = head.split(b" ")[1]
                if path.endswith(b"/cut"):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + BIG[:100_000])
                    return  # Python's close sends no close_notify
                peer = sock.getpeercert() or {}
                name = dict(pair[0] for pair in peer.get("subject", ())).get("commonName", "-")  # type: ignore[misc]
                answer = BIG if path.endswith(b"/big") else f"{name} {len(body)}".encode()
                sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Site:
    """A gateway before origins of all kinds."""

    def __init__(self, folder: Path, gw: Gateway) -> None:
        self.folder, self.gw = folder, gw
        ca = make(folder, "ca")
        self.good = Secure(make(folder, "ip", "IP:127.0.0.1", ca))
        self.named = Secure(make(folder, "up", "DNS:up.test", ca))
        self.expired = Secure(make(folder, "old", "IP:127.0.0.1", ca, days=-1))
        make(folder, "me", "", ca, cn="gateway")
        self.mutual = Secure(make(folder, "m", "IP:127.0.0.1", ca), ca)
        self.plain = socket.create_server(("127.0.0.1", 0))

    def text(self, connect: str = "2s") -> str:
        ports = {name: getattr(self, name).port for name in ("good", "named", "expired", "mutual")}
        return CONFIG.format(**ports, plain=self.plain.getsockname()[1], connect=connect)

    def close(self) -> None:
        for origin in (self.good, self.named, self.expired, self.mutual):
            origin.close()
        self.plain.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with gateway(tmp_path) as gw:
        made = Site(tmp_path, gw)
        gw.start(made.text("400ms")).ready()
        yield made
        made.close()


def test_whom_it_believes(site: Site) -> None:
    for path in ("/good", "/named", "/blind"):
        assert site.gw.get(path) == (200, "- 0"), path
    assert site.gw.get("/mutual") == (200, "gateway 0")


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/wrong", "upstream_wrong_name"),
        ("/unknown", "upstream_bad_certificate"),
        ("/expired", "upstream_expired"),
    ],
)
def test_whom_it_does_not_believe_is_told_by_reason(site: Site, path: str, word: str) -> None:
    status, body = site.gw.get(path)
    assert status == 502 and word in body
    until(lambda: f": {word}" in site.gw.stderr.read_text(), "the line in the error log")


def test_an_upstream_that_wants_a_certificate_and_gets_none(site: Site) -> None:
    status, _ = site.gw.get("/nobody")  # with TLS 1.3 it says so only after the handshake
    assert status == 502


def test_an_upstream_that_says_nothing_is_a_connect_timeout(site: Site) -> None:
    status, body = site.gw.get("/plain")
    assert status == 504 and "connect_timeout" in body


def test_connections_are_kept_and_bodies_are_whole(site: Site) -> None:
    host, _, port = site.gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        for _ in range(5):
            sock.sendall(b"POST /good HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(BIG) + BIG)
            answer = read_head(sock)
            while b"- " not in answer:
                answer += sock.recv(1000)
            assert answer.endswith(b"- %d" % len(BIG))
        sock.sendall(b"GET /good/big HTTP/1.1\r\nhost: a\r\n\r\n")
        data = read_head(sock).partition(b"\r\n\r\n")[2]
        while len(data) < len(BIG):
            data += sock.recv(65_536)
        assert data == BIG
    assert site.good.connections == 1


def test_an_answer_that_is_cut_is_not_whole(site: Site) -> None:
    """Without a length only the close_notify says that all was there."""
    host, _, port = site.gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"GET /good/cut HTTP/1.1\r\nhost: a\r\n\r\n")
        data = b""
        while piece := sock.recv(65_536):
            data += piece
    assert b"transfer-encoding: chunked" in data.lower()
    assert not data.endswith(b"0\r\n\r\n"), "the last chunk would say that it is complete"


def test_new_settings_are_a_new_transport_and_sessions_are_resumed(site: Site) -> None:
    assert site.gw.get("/good")[0] == 200
    row = site.gw.reload(site.text("500ms"))
    assert row["ok"]
    assert site.gw.get("/good")[0] == 200
    assert site.good.connections == 1, "the same TLS settings: the warm connection serves on"
    row = site.gw.reload(site.text("500ms").replace("tls: {ca: ca.pem}}", "tls: {ca: ca.pem, min_version: '1.3'}}", 1))
    assert row["ok"], row
    assert site.gw.get("/good")[0] == 200
    assert site.good.connections == 2


def test_both_ends_speak_tls(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    host, _, port = site.gw.address("secure").rpartition(":")
    with context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname="up.test") as sock:
        sock.sendall(b"GET /good/big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        data = b""
        while piece := sock.recv(65_536):
            data += piece
    assert data.endswith(BIG)
    assert get(site.gw.address(), "/good") == (200, "- 0")
