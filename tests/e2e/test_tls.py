"""HTTPS through a live gateway, with clients that are not ours: Python's ssl, curl and openssl s_client."""

import concurrent.futures
import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tls_files import Files, make

from .supervised import Gateway, Origin, gateway, until

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

    def connect(self, context: ssl.SSLContext, name: str = "a.test", listener: str = "web", **more: object) -> ssl.SSLSocket:  # noqa: E501
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


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_over_both_versions(site: Site, newest: ssl.TLSVersion) -> None:
    with site.connect(site.context(newest=newest)) as sock:
        assert sock.version() == newest.name.replace("_", ".")
        assert get(sock, "/hello") == b"hello"
        assert get(sock, "/up") == b"from the origin"
        assert get(sock, "/big") == BIG.encode()
        sock.sendall(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        data = b""
        while piece := sock.recv(4096):
            data += piece
        assert data.endswith(b"hello"), "and its end is a close_notify: ssl would raise at a cut"


def test_pipelined_requests_in_one_record(site: Site) -> None:
    with site.connect(site.context()) as sock:
        sock.sendall(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n" * 20)
        data = b""
        while data.count(b"hello") < 20:
            data += sock.recv(65_536)
        assert data.count(b"HTTP/1.1 200") == 20


@pytest.mark.parametrize(
    ("name", "cn"), [("a.test", "a"), ("b.test", "b"), ("x.w.test", "wild"), ("y.x.w.test", "a"), ("unknown", "a")]
)
def test_the_certificate_is_that_of_the_name(site: Site, name: str, cn: str) -> None:
    context = site.context()
    context.check_hostname = False
    with site.connect(context, name) as sock:
        assert dict(pair[0] for pair in sock.getpeercert()["subject"])["commonName"] == cn  # type: ignore[index]


def test_a_client_without_ecdsa_gets_the_rsa_certificate(site: Site) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port()}", "-servername", "a.test", "-sigalgs",
         "RSA-PSS+SHA256", "-CAfile", str(site.ca.cert)],
        input="", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "CN = a-rsa" in done.stdout + done.stderr


def test_curl_and_its_alpn(site: Site) -> None:
    done = subprocess.run(
        ["curl", "-sv", "--http2", "--cacert", str(site.ca.cert), f"https://127.0.0.1:{site.port()}/up"],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.stdout == "from the origin", done.stderr
    assert re.search("ALPN.*accepted.* h2", done.stderr), done.stderr


def test_what_fails_is_counted_by_its_reason(site: Site) -> None:
    def failed(why: str, context: ssl.SSLContext, name: str = "a.test", listener: str = "web") -> None:
        before = site.failures(why, listener)
        with contextlib.suppress(ssl.SSLError, ConnectionError), site.connect(context, name, listener) as sock:
            sock.recv(1)  # TLS 1.3: its client learns of a refusal with the first byte it reads
        until(lambda: site.failures(why, listener) == before + 1, why)

    blind = ssl.create_default_context()
    failed("tls_refused", blind)
    spdy = site.context()
    spdy.set_alpn_protocols(["spdy/3"])
    failed("tls_no_shared_protocol", spdy)
    failed("tls_no_certificate", site.context(), listener="mutual")
    failed("tls_unknown_ca", site.context(site.stranger), listener="mutual")
    failed("tls_expired", site.context(site.old), listener="mutual")
    failed("tls_version", site.context(newest=ssl.TLSVersion.TLSv1_2), listener="modern")
    failed("tls_unknown_name", site.context(), "nobody.test", "modern")
    until(lambda: "tls_expired" in site.gw.stderr.read_text(), "the line in the error log")


def test_a_client_with_a_certificate_comes_in(site: Site) -> None:
    with site.connect(site.context(site.alice), listener="mutual") as sock:
        assert get(sock, "/hello") == b"hello"


def test_plain_http_is_told_so(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port()), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ") and b"speaks TLS" in answer
    until(lambda: site.failures("tls_plain_http") >= 1, "it is counted")


def test_tickets_resume_at_whichever_worker(site: Site) -> None:
    context = site.context(newest=ssl.TLSVersion.TLSv1_2)
    with site.connect(context) as sock:
        assert get(sock, "/hello") == b"hello"
        session = sock.session
    reused = 0
    for _ in range(12):  # the kernel spreads them over both
        with site.connect(context, session=session) as sock:
            assert get(sock, "/hello") == b"hello"
            reused += bool(sock.session_reused)
    assert reused == 12
    assert site.metric("fgw_tls_handshakes_total", 'listener="web",resumed="yes"') >= 12


def test_a_ticket_does_not_lead_past_the_rules_for_clients(site: Site) -> None:
    context = site.context(newest=ssl.TLSVersion.TLSv1_2)
    with site.connect(context) as sock:
        assert get(sock, "/hello") == b"hello"
        session = sock.session
    before = site.failures("tls_no_certificate", "mutual")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with site.connect(context, listener="mutual", session=session) as sock:
            get(sock, "/hello")
    until(lambda: site.failures("tls_no_certificate", "mutual") == before + 1, "it is counted")


def test_the_end_of_certificates_is_a_metric(site: Site) -> None:
    name = "fgw_tls_certificate_expiry_timestamp_seconds"
    left = site.metric(name, 'listener="web",name="*.w.test"') - time.time()
    assert 29 * 86_400 < left < 31 * 86_400


# -- gateways of their own
@pytest.fixture
def own(site: Site, tmp_path: Path) -> Iterator[Site]:
    """The same files, another gateway."""
    for path in (*site.gw.folder.glob("*.pem"), *site.gw.folder.glob("*.key")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with gateway(tmp_path) as gw:
        yield Site(gw, site.ca, site.alice, site.stranger, site.old, site.origin)


def serial(site: Site) -> str:
    with site.connect(site.context()) as sock:
        return str(sock.getpeercert()["serialNumber"])  # type: ignore[index]


def test_certificates_are_replaced_under_load_and_a_bad_one_is_refused(own: Site) -> None:
    own.gw.start(own.text()).ready()
    own.port()
    stop, failed, served = threading.Event(), list[str](), [0, 0, 0]

    def client(number: int) -> None:
        context = own.context()
        while not stop.is_set():
            try:
                with own.connect(context) as sock:
                    for _ in range(10):
                        if get(sock, "/up" if number == 0 else "/hello") in (b"hello", b"from the origin"):
                            served[number] += 1
            except Exception as e:
                failed.append(f"{type(e).__name__}: {e}")

    with own.connect(own.context()) as kept, concurrent.futures.ThreadPoolExecutor(3) as pool:
        old = kept.getpeercert()["serialNumber"]  # type: ignore[index]
        running = [pool.submit(client, number) for number in range(3)]
        try:
            seen = {str(old)}
            for _ in range(5):
                make(own.gw.folder, "a", "DNS:a.test,IP:127.0.0.1", own.ca)
                row = own.gw.reload(own.text())
                assert row["ok"] and "~ listener web" in row["changed"]
                seen.add(serial(own))
            assert len(seen) == 6, "each new connection has the newest"
            (own.gw.folder / "a.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
            row = own.gw.reload(own.text())
            assert not row["ok"] and "FGW1221" in str(row["errors"])
            assert serial(own) in seen, "the last good one is kept"
        finally:
            stop.set()
        for each in running:
            each.result()
        assert failed == []
        assert min(served) > 20
        assert get(kept, "/hello") == b"hello", "a connection keeps what it began with"
    assert own.gw.stop() == 0


def test_half_handshakes_end_in_time(own: Site) -> None:
    own.gw.start(own.text(workers=1, handshake="300ms")).ready()
    socks = [socket.create_connection(("127.0.0.1", own.port()), 10) for _ in range(3)]
    socks[1].sendall(b"\x16\x03\x01\x02\x00\x01")
    socks[2].sendall(b"\x16")
    for sock in socks:
        assert sock.recv(1) == b"", "closed, and not by a reset"
        sock.close()
    until(lambda: own.failures("tls_timeout") == 3, "they are counted")
    assert own.gw.status()["workers"][0]["state"] == "live"


def test_garbage_of_all_kinds_hurts_nobody(own: Site) -> None:
    own.gw.start(own.text(workers=1)).ready()
    hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(range(200))
    records = b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\x15\x03\x01\x00\x02\x02\x28", b"\x14\x03\x03\x00\x01\x01"
    others = b"\0" * 100, b"\x80\x2e\x01\x00\x02" + b"\1" * 60, b"SSH-2.0-x\r\n", b"\r\n\r\n"
    garbage = [hello, hello[:40], *records, *others]
    with own.connect(own.context()) as bystander:
        for data in garbage * 5:
            with socket.create_connection(("127.0.0.1", own.port()), 10) as sock, contextlib.suppress(OSError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
        assert get(bystander, "/hello") == b"hello"
    assert own.gw.status()["workers"][0]["state"] == "live"
    assert own.failures("tls_malformed") > 0


def test_keys_that_workers_may_not_read_are_no_matter(own: Site) -> None:
    """Only the builder reads files: workers have dropped their privileges by then."""
    import os

    if os.geteuid() != 0:
        pytest.skip("only root can drop privileges")
    for path in own.gw.folder.glob("*.key"):
        path.chmod(0o600)
    own.gw.folder.chmod(0o700)
    own.gw.start(own.text(workers=1) + "user: nobody\n").ready()
    with own.connect(own.context()) as sock:
        assert get(sock, "/hello") == b"hello"
