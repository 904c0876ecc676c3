"""Gateways whose certificates change, and what clients may do to them before they are let in."""

import concurrent.futures
import contextlib
import os
import socket
import threading

import pytest

from tests.tls_files import make

from .supervised import until
from .tls_site import Site, get, own, site

__all__ = ["own", "site"]


def serial(site: Site) -> str:
    with site.connect(site.context()) as sock:
        return str(sock.getpeercert()["serialNumber"])  # type: ignore[index]


def test_renewed_files_come_into_use_by_themselves(own: Site) -> None:
    """No signal. The document may have been edited meanwhile: that is for a reload. Bad files are refused, once."""
    text = own.text() + "watch: {certificates: 100ms}\n"
    own.gw.start(text).ready()
    first = serial(own)
    own.gw.config.write_text("not: ready yet\n")
    new = make(own.gw.folder / "new", "a", "DNS:a.test,IP:127.0.0.1", own.ca)
    for path in (new.cert, new.key):
        path.replace(own.gw.folder / path.name)
    until(lambda: serial(own) != first, "the new certificate")
    assert sorted(own.gw.line("reload applied")["changed"]) == [f"~ listener {n}" for n in ("modern", "mutual", "web")]
    second = serial(own)
    good = (own.gw.folder / "a.key").read_text()
    make(own.gw.folder / "else", "a", "DNS:a.test", own.ca)
    (own.gw.folder / "a.key").write_text((own.gw.folder / "else" / "a.key").read_text())
    own.gw.line("reload refused")
    assert serial(own) == second
    (own.gw.folder / "a.key").write_text(good)
    own.gw.line("certificate files changed", 3)
    until(lambda: len(own.gw.lines("reload applied")) == 2, "the good key again")
    assert serial(own) == second
    assert len(own.gw.lines("reload refused")) == 1
    assert own.gw.reload(text)["ok"]


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

    if os.geteuid() != 0:
        pytest.skip("only root can drop privileges")
    for path in own.gw.folder.glob("*.key"):
        path.chmod(0o600)
    own.gw.folder.chmod(0o700)
    own.gw.start(own.text(workers=1) + "user: nobody\n").ready()
    with own.connect(own.context()) as sock:
        assert get(sock, "/hello") == b"hello"
