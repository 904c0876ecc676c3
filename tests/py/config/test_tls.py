# ruff: noqa: E501  (a row of a table is one line)
"""TLS in a configuration: what is taken, and how every mistake is told."""

import os
from pathlib import Path

import pytest

from fastgw import _layout
from fastgw.config.load import Loaded, load, loads
from fastgw.control.build import certificates, digests
from fastgw.errors import ConfigErrors
from fastgw.snapshot.compile import Slots, compile, tls_segment
from tests.tls_files import make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind, by name."""
    at = tmp_path_factory.mktemp("tls")
    ca = make(at, "ca")
    make(at, "a", "DNS:a.test,DNS:www.a.test", ca)
    make(at, "rsa", "DNS:a.test", ca, rsa=True)
    make(at, "again", "DNS:a.test,DNS:other.test", ca)
    make(at, "nameless", "", ca, cn="no name")
    make(at, "old", "DNS:old.test", ca, days=-1)
    make(at, "soon", "DNS:soon.test", ca, days=5)
    (at / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (at / "der.pem").write_bytes(b"\x30\x82\xff\xfe")
    (at / "empty.pem").write_text("")
    return at


def document(tls: str, more: str = "") -> str:
    return f'listeners: {{web: {{bind: "127.0.0.1:0", tls: {tls}}}}}\nroutes: {{a: {{to: {{static: {{}}}}}}}}\n{more}'


def loaded(folder: Path, tls: str, more: str = "") -> Loaded:
    return loads(document(tls, more), base=folder)


A = "{cert: a.pem, key: a.key}"


@pytest.mark.parametrize(
    ("tls", "code", "at", "message"),
    [
        ("{}", "FGW1102", "", "`certificates` is missing"),
        ("{certificates: []}", "FGW1105", ".certificates", "nothing"),
        ("{certificates: [{cert: a.pem}]}", "FGW1102", ".certificates[0]", "`key` is missing"),
        ("{certificates: [{cert: none.pem, key: a.key}]}", "FGW1011", ".certificates[0].cert", "none.pem cannot be used: No such file"),
        ("{certificates: [{cert: a.pem, key: none.key}]}", "FGW1011", ".certificates[0].key", "none.key cannot be used"),
        ("{certificates: [{cert: ., key: a.key}]}", "FGW1011", ".certificates[0].cert", "Is a directory"),
        ("{certificates: [{cert: der.pem, key: a.key}]}", "FGW1221", ".certificates[0].cert", "der.pem is not PEM text"),
        ("{certificates: [{cert: bad.pem, key: a.key}]}", "FGW1221", ".certificates[0].cert", "no certificate can be read"),
        ("{certificates: [{cert: empty.pem, key: a.key}]}", "FGW1221", ".certificates[0].cert", "no certificate can be read"),
        ("{certificates: [{cert: a.key, key: a.key}]}", "FGW1221", ".certificates[0].cert", "no certificate can be read"),
        ("{certificates: [{cert: a.pem, key: a.pem}]}", "FGW1221", ".certificates[0].key", "no private key can be read"),
        ("{certificates: [{cert: a.pem, key: again.key}]}", "FGW1221", ".certificates[0].key", "the key is not the certificate's"),
        (f"{{certificates: [{A}], min_version: '1.1'}}", "FGW1104", ".min_version", "'1.1'"),
        (f"{{certificates: [{A}], min_version: 1.2}}", "FGW1104", ".min_version", "1.2"),
        (f"{{certificates: [{A}], ciphers: NONSENSE}}", "FGW1221", ".ciphers", "no cipher match"),
        (f"{{certificates: [{A}], client_auth: {{mode: require}}}}", "FGW1212", ".client_auth.mode", "without a `ca`"),
        (f"{{certificates: [{A}], client_auth: {{mode: request, ca: a.key}}}}", "FGW1221", ".client_auth.ca", "no certificate can be read"),
        (f"{{certificates: [{A}], client_auth: {{mode: maybe, ca: ca.pem}}}}", "FGW1104", ".client_auth.mode", "'maybe'"),
        (f"{{certificates: [{A}], unknown_names: strict}}", "FGW1104", ".unknown_names", "'strict'"),
    ],
)
def test_every_mistake_is_told_once_at_its_place(folder: Path, tls: str, code: str, at: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(folder, tls)
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == (code, f"listeners.web.tls{at}")
    assert message in problem.message
    assert problem.line == 1 and problem.column > 40
    assert "PRIVATE KEY" not in problem.render()


def test_unquoted_versions_are_helped(folder: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(folder, f"{{certificates: [{A}], min_version: 1.2}}")
    assert caught.value.problems[0].hint == 'in quotes: "1.2"'


@pytest.mark.parametrize(
    ("tls", "code", "at", "message"),
    [
        ("{certificates: [{cert: old.pem, key: old.key}]}", "FGW1904", ".certificates[0].cert", "of old.test expired on 20"),
        ("{certificates: [{cert: soon.pem, key: soon.key}]}", "FGW1904", ".certificates[0].cert", "in 4 days"),
        (f"{{certificates: [{A}, {{cert: again.pem, key: again.key}}]}}", "FGW1902", ".certificates[1]", "not used for a.test: certificates[0]"),
        (f"{{certificates: [{A}, {{cert: nameless.pem, key: nameless.key}}]}}", "FGW1902", ".certificates[1]", "no DNS name"),
        (f"{{certificates: [{A}], client_auth: {{ca: ca.pem}}}}", "FGW1902", ".client_auth.ca", "never used"),
    ],
)
def test_what_is_only_strange_is_a_warning(folder: Path, tls: str, code: str, at: str, message: str) -> None:
    [warning] = loaded(folder, tls).warnings
    assert (warning.code, warning.path) == (code, f"listeners.web.tls{at}")
    assert message in warning.message


def test_one_name_may_have_both_key_types(folder: Path) -> None:
    assert loaded(folder, f"{{certificates: [{A}, {{cert: rsa.pem, key: rsa.key}}]}}").warnings == []


def test_pem_text_may_come_from_the_environment(folder: Path) -> None:
    cert, key = (folder / "a.pem").read_text(), (folder / "a.key").read_text()
    text = document('{certificates: [{cert: "${CERT}", key: "${file:a.key}"}]}')
    made = loads(text, base=folder, env={"CERT": cert})
    [only] = made.config.listeners["web"].tls.certificates  # type: ignore[union-attr]
    assert only.cert == cert and only.key.strip() == key.strip()
    assert "PRIVATE" not in str(made.document())


def test_paths_are_relative_to_the_document(folder: Path, tmp_path: Path) -> None:
    (folder / "gw.yaml").write_text(document(f"{{certificates: [{A}]}}"))
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert load(folder / "gw.yaml").config.listeners["web"].tls
    finally:
        os.chdir(before)


def test_new_bytes_are_a_change(folder: Path, tmp_path: Path) -> None:
    ca = make(tmp_path, "ca")
    make(tmp_path, "a", "DNS:a.test", ca)
    one = loaded(tmp_path, f"{{certificates: [{A}]}}")
    make(tmp_path, "a", "DNS:a.test", ca)
    two = loaded(tmp_path, f"{{certificates: [{A}]}}")
    assert one.source_hash != two.source_hash
    assert digests(one.config)["listener web"] != digests(two.config)["listener web"]


def test_the_segment_holds_all_that_a_worker_needs(folder: Path) -> None:
    more = "timeouts: {handshake: 3s}\n"
    config = loaded(folder, f"{{certificates: [{A}], client_auth: {{mode: require, ca: ca.pem}}, min_version: '1.3'}}", more).config
    snapshot = compile(config, 1, Slots(), descriptors=1000)
    assert all(_layout.check(segment) is None for segment in (snapshot.root, *snapshot.segments.values()))
    assert _layout.check_snapshot(snapshot.root, list(snapshot.segments.values())) is None
    tls = config.listeners["web"].tls
    assert tls is not None
    hash, data = tls_segment(tls, 3000, http2=True)
    assert snapshot.segments[hash] == data and tls_segment(tls, 3000, http2=False)[0] != hash
    for name in ("a.pem", "a.key", "ca.pem"):
        assert (folder / name).read_bytes() in data


def test_ends_are_known_to_the_supervisor(folder: Path) -> None:
    config = loaded(folder, f"{{certificates: [{A}, {{cert: nameless.pem, key: nameless.key}}]}}").config
    first, second = certificates(config)
    assert (first.listener, first.name, second.name) == ("web", "a.test", "#1")
    assert second.not_after - first.not_after < 100


def up(tls: str, endpoint: str = "127.0.0.1:1") -> str:
    return f'listeners: {{w: {{bind: "127.0.0.1:0"}}}}\nupstreams: {{u: {{endpoints: ["{endpoint}"], tls: {tls}}}}}\nroutes: {{a: {{to: u}}}}\n'


@pytest.mark.parametrize(
    ("tls", "endpoint", "code", "at", "message"),
    [
        ("{ca: a.key}", "a:1", "FGW1221", ".ca", "no certificate can be read"),
        ("{ca: none.pem}", "a:1", "FGW1011", ".ca", "none.pem cannot be used"),
        ("{certificate: {cert: a.pem, key: again.key}}", "a:1", "FGW1221", ".certificate.key", "the key is not the certificate's"),
        ("{ciphers: NONSENSE}", "a:1", "FGW1221", ".ciphers", "no cipher match"),
        ("{server_name: '*.a.test'}", "a:1", "FGW1210", ".server_name", "no wildcard"),
        ("{server_name: 'a.test:443'}", "a:1", "FGW1210", ".server_name", ""),
        ("{}", "unix:/run/x.sock", "FGW1212", "", "a unix socket has no name"),
    ],
)
def test_mistakes_of_upstreams(folder: Path, tls: str, endpoint: str, code: str, at: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(up(tls, endpoint), base=folder)
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == (code, f"upstreams.u.tls{at}")
    assert message in problem.message


def test_upstreams_that_anybody_may_be_are_warned_of(folder: Path) -> None:
    [warning] = loads(up("{verify: false}"), base=folder).warnings
    assert (warning.code, warning.path) == ("FGW1903", "upstreams.u.tls.verify")
    for tls in ("{}", "{ca: ca.pem, server_name: a.test}", "{server_name: 2001:db8::1}", "{certificate: {cert: a.pem, key: a.key}}"):
        made = loads(up(tls), base=folder)
        assert made.warnings == []
        snapshot = compile(made.config, 1, Slots(), descriptors=1000)
        assert all(_layout.check(segment) is None for segment in (snapshot.root, *snapshot.segments.values()))
    assert loads(up("{server_name: a.test}", "unix:/run/x.sock"), base=folder).warnings == []
