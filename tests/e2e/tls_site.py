"""What the tests of HTTPS share: a site with its certificates, a client, the fixtures `site` and `own`."""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tls_files import Files, make

from .supervised import Gateway, Origin, gateway

CONFIG = """
listeners:
  web:
    bind: "127.0.0.1:0"
    tls:
      certificates:
        - {{cert: a.pem, key: a.key}}
        - {{cert: a-rsa.pem, key: a-rsa.key}}
        - {{cert: b.pem, key: b.key}}
        - {{cert: wild.pem, key: wild.key}}
  mutual:
    bind: "127.0.0.1:0"
    tls:
      certificates: [{{cert: a.pem, key: a.key}}]
      client_auth: {{mode: require, ca: ca.pem}}
  modern:
    bind: "127.0.0.1:0"
    tls: {{certificates: [{{cert: a.pem, key: a.key}}], min_version: "1.3", unknown_names: refuse}}
  plain: {{bind: "127.0.0.1:0"}}
upstreams:
  up: {{endpoints: ["127.0.0.1:{origin}"]}}
routes:
  up: {{match: {{prefix: /up}}, to: up}}
  big: {{match: {{exact: /big}}, to: {{static: {{body: "{big}"}}}}}}
  hello: {{match: {{exact: /hello}}, to: {{static: {{body: hello}}}}}}
timeouts: {{handshake: {handshake}, keep_alive: 60s}}
log: {{access: off, error: {{level: info}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: {workers}
"""
BIG = "0123456789abcdef" * 8192


@dataclass
class Site:
    gw: Gateway
    ca: Files
    alice: Files
    stranger: Files
    old: Files
    origin: Origin

    def text(self, workers: int = 2, handshake: str = "10s") -> str:
        return CONFIG.format(origin=self.origin.port, big=BIG, workers=workers, handshake=handshake)

    def port(self, listener: str = "web") -> int:
        return int(self.gw.address(listener).rpartition(":")[2])

    def context(self, who: Files | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.ca.cert))
        made.maximum_version = newest
        if who is not None:
            made.load_cert_chain(who.cert, who.key)
        return made

    def connect(
        self, context: ssl.SSLContext, name: str = "a.test", listener: str = "web", **more: object
    ) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port(listener)), 10)
        try:
            return context.wrap_socket(raw, server_hostname=name, **more)  # type: ignore[arg-type]
        except BaseException:
            raw.close()
            raise

    def failures(self, why: str, listener: str = "web") -> float:
        return self.metric("fgw_tls_handshake_failures_total", f'listener="{listener}",why="{why}"')

    def metric(self, name: str, labels: str) -> float:
        found = re.search(rf"^{name}{{{re.escape(labels)}}} (\S+)$", self.gw.admin("/metrics")[1], re.M)
        return float(found[1]) if found else 0


def get(sock: ssl.SSLSocket | socket.socket, path: str, more: str = "") -> bytes:
    """One exchange on an open connection; the body."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nhost: a.test\r\n{more}\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += (piece := sock.recv(65_536))
        assert piece, data
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    size = int(re.search(rb"content-length: (\d+)", head, re.I)[1])  # type: ignore[index]
    while len(body) < size:
        body += (piece := sock.recv(65_536))
        assert piece
    return body


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("tls")
    ca = make(folder, "ca", cn="Test authority")
    other = make(folder, "other", cn="Another authority")
    make(folder, "a", "DNS:a.test,IP:127.0.0.1", ca)
    make(folder, "a-rsa", "DNS:a.test", ca, rsa=True)
    make(folder, "b", "DNS:b.test", ca)
    make(folder, "wild", "DNS:*.w.test", ca)
    alice, stranger = make(folder, "alice", "", ca), make(folder, "stranger", "", other)
    old = make(folder, "old", "", ca, days=-1)
    origin = Origin("from the origin")
    with gateway(folder) as gw:
        made = Site(gw, ca, alice, stranger, old, origin)
        gw.start(made.text()).ready()
        yield made
        assert gw.stop() == 0
    origin.close()


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Iterator[Site]:
    """The same files, another gateway."""
    for path in (*site.gw.folder.glob("*.pem"), *site.gw.folder.glob("*.key")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with gateway(tmp_path) as gw:
        yield Site(gw, site.ca, site.alice, site.stranger, site.old, site.origin)
