"""HTTPS through a live gateway, with clients that are not ours: Python's ssl, curl and openssl s_client."""

import contextlib
import json
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.tls_files import make

from . import peers
from .plugged import PLUGINS
from .supervised import until
from .tls_site import BIG, Site, get, own, site

__all__ = ["own", "site"]


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
    assert "CN=a-rsa" in (done.stdout + done.stderr).replace(" = ", "=")  # blanks came and went between versions


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


def test_who_the_client_is(own: Site, tmp_path: Path) -> None:
    """In a template, in a plugin and in the log; nothing of it for one who shows no certificate."""
    bob = make(tmp_path / "bob", "bob", "URI:spiffe://d.test/bob,DNS:bob.test", own.ca)
    with peers.origin(peers.tell) as up:
        own.gw.start(f"""
listeners:
  web: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}],
         client_auth: {{mode: request, ca: ca.pem}}}}}}
workers: 1
upstreams: {{up: {{endpoints: ["{up.address}"]}}}}
plugins: {{path: ["{PLUGINS}"]}}
log: {{access: {{to: "{own.gw.folder}/access.log"}}}}
routes:
  all:
    match: {{prefix: /}}
    chain:
      - headers: {{set: {{x-who: "{{client.certificate.subject}}|{{client.certificate.uri}}"}}}}
      - use: road:Certificate
    to: up
""").ready()
        told = []
        for who in (bob, None):
            with own.connect(own.context(who)) as sock:
                seen = json.loads(get(sock, "/", "x-who: root\r\n"))["fields"]
                told.append((seen["x-who"], seen["x-certificate"]))
    assert told == [
        (["CN=bob|spiffe://d.test/bob"], ["('bob', ('spiffe://d.test/bob',), ('bob.test',), 64)"]),
        (["|"], ["None"]),
    ]
    log = own.gw.folder / "access.log"
    until(lambda: log.read_text().count("\n") == 2, "two lines")
    assert [json.loads(line).get("client_subject") for line in log.read_text().splitlines()] == ["CN=bob", None]
