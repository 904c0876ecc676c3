"""fastgw._tls: what the engine says of certificates, and what it counts."""

from pathlib import Path

import pytest

from fastgw._shm import STATS_SLOTS, Shm
from fastgw._tls import WORDS, TlsError, count_ca, inspect, totals, try_server
from tests.py.shm_writer import handshakes
from tests.tls_files import Files, make


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("ca"), "ca")


def pem(files: Files) -> tuple[bytes, bytes]:
    return files.cert.read_bytes(), files.key.read_bytes()


def test_a_certificate_is_described(ca: Files, tmp_path: Path) -> None:
    cert, key = pem(make(tmp_path, "a", "DNS:A.test,DNS:*.b.test", ca, days=3, rsa=True))
    info = inspect(cert + ca.cert.read_bytes(), key)
    assert (info.names, info.kind, info.chain) == (("a.test", "*.b.test"), "RSA", 2)
    assert abs(info.not_after - info.not_before - 3 * 86_400) < 10


def test_what_is_wrong_is_said(ca: Files, tmp_path: Path) -> None:
    cert, key = pem(make(tmp_path, "a", "DNS:a.test", ca))
    with pytest.raises(TlsError, match="the key is not the certificate's"):
        inspect(cert, ca.key.read_bytes())
    with pytest.raises(TlsError, match="no certificate can be read"):
        count_ca(key)
    with pytest.raises(TlsError, match="no cipher match"):
        try_server([(cert, key)], b"", "none", "1.2", b"NONE-SUCH")
    with pytest.raises(TlsError, match="no certificate"):
        try_server([], b"", "none", "1.2", b"")
    with pytest.raises(KeyError):
        try_server([(cert, key)], b"", "maybe", "1.2", b"")
    try_server([(cert, key)], ca.cert.read_bytes(), "require", "1.3", b"")
    assert count_ca(ca.cert.read_bytes() * 2) == 2


def test_counters_are_summed_over_workers() -> None:
    shm = Shm.create(3)
    for column in range(3):
        shm.set_epoch(column, 1)
    handshakes(shm, 0, 7, "handshakes", 2)
    handshakes(shm, 2, 7, "handshakes", 3)
    handshakes(shm, 1, 7, "tls_timeout", 4)
    found = totals(shm, 7)
    assert found == {**dict.fromkeys(WORDS, 0), "handshakes": 5, "resumed": 0, "tls_timeout": 4}
    with pytest.raises(IndexError):
        totals(shm, STATS_SLOTS)
