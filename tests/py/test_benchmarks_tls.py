"""The comparison over TLS: what its loads say, and what is kept of an earlier run. See test_benchmarks.py."""

import itertools
import shutil
import ssl
import threading
from contextlib import suppress
from socket import create_connection, create_server
from typing import Any

import pytest

from benchmarks import render
from benchmarks.compare import run, tls
from benchmarks.load import attacks, hostile_upstream, tools, upstream_attacks
from benchmarks.load import tls as load_tls


def test_what_h2load_says() -> None:
    said = """finished in 2.50s, 61234.50 req/s, 3.21MB/s
requests: 123081 total, 123209 started, 123081 done, 123080 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 123090 2xx, 0 3xx, 2 4xx, 1 5xx
traffic: 6.42MB (6730000) total, 1.06MB (1110000) headers (space savings 93.00%), 1.53MB (1600053) data
"""
    report = tools.h2load_report(said)
    assert (report["requests"], report["duration_us"], report["bytes"]) == (123081, 2_500_000, 6730000)
    assert report["errors"] == {"failed": 1, "errored": 0, "timeout": 0, "status": 3}
    assert tools.h2load_report(said.replace("2.50s", "10.5ms"))["duration_us"] == 10_500
    with pytest.raises(tools.BenchError, match="no summary"):
        tools.h2load_report("could not connect")


def test_kept_workloads_stand_beside_new_ones_in_the_suites_order() -> None:
    earlier = {"workloads": {"https": {"commit": "old"}, "h2-4x64": {"commit": "old"}}, "peers": {"h2o": {}}}
    document: dict[str, Any] = {
        "workloads": {"h2-4x64": {"commit": "new"}, "h2-16x8": {"commit": "new"}},
        "peers": {"fastgw": {}},
    }
    run.keep(earlier, document, tls.SUITE)
    assert {name: w["commit"] for name, w in document["workloads"].items()} == {
        "h2-16x8": "new",
        "h2-4x64": "new",
        "https": "old",
    }
    assert list(document["workloads"]) == ["h2-16x8", "h2-4x64", "https"]
    assert set(document["peers"]) == {"h2o", "fastgw"}


def test_page_has_no_percentiles_where_the_load_tells_none() -> None:
    cost = {"median": 15.0, "low": 15.0, "high": 15.0}
    row = {"cpu_us": cost, "proxy_share_of_core": 0.8, "others_on_core": 0.0, "kernel_share": 0.7, "worker_share": 1.0}
    row |= {"requests_per_wait": None, "requests_per_second": 1000.0, "p99_us": None}
    result = {"title": "HTTP/2", "summary": {"h2o": row}, "rounds": []}
    assert "| h2o | 15.0 (15.0 – 15.0) | 80% | 0% | 70% | – | 100% | 1,000 | – |" in render.workload_section(result, {})


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
@pytest.mark.parametrize("resume", [False, True])
def test_handshakes_are_counted_and_resumed(resume: bool) -> None:
    files = tools.certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    seen = []

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with context.wrap_socket(conn, server_side=True) as tls_conn:
                tls_conn.recv(4096)
                seen.append(tls_conn.session_reused)
                tls_conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                with suppress(OSError):  # it says the end, and is not told one
                    tls_conn.unwrap()

    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        report = tools.handshakes(listener.getsockname()[1], "/", 1, 1, resume, None)
        listener.shutdown(2)
    thread.join(10)
    assert report["requests"] == len(seen) > 2
    assert report["resumed"] == sum(seen) == (len(seen) - 1 if resume else 0)
    assert not any(report["errors"].values())


def test_attacks_send_what_they_say() -> None:
    first = attacks.rapid_reset(0)
    size = int.from_bytes(first[:3], "big")
    assert (first[3], first[4], first[5:9]) == (attacks.HEADERS, attacks.HEAD, b"\0\0\0\1")
    assert first[9 + size + 3] == attacks.RST
    assert attacks.rapid_reset(1)[5:9] == (201).to_bytes(4, "big"), "stream numbers go on"
    assert attacks.literal(b"x", b"y" * 3900)[3:6] == bytes((127, (3900 - 127) % 128 | 128, (3900 - 127) // 128))
    goaway = attacks.frame(attacks.GOAWAY, 0, 0, b"\0\0\0\x07\0\0\0\x0b")
    assert attacks.said(b"whatever" + goaway) == "GOAWAY 11"
    assert attacks.said(b"nothing of the kind") == ""


def test_upstreams_attack_as_they_say() -> None:
    pieces = {name: list(itertools.islice(make(5), 3)) for name, make in hostile_upstream.H2.items()}
    assert pieces["rapid GOAWAY"][0][3:4] == bytes((attacks.GOAWAY,))
    assert pieces["empty DATA"][1][:9] == attacks.frame(attacks.DATA, 0, 5)
    assert pieces["a head byte by byte"][:2] == [pieces["a head byte by byte"][0][:1], 0.01]
    assert all(p[8] == 5 for p in pieces["endless CONTINUATION"])
    assert list(hostile_upstream.close(0)) == [b""]
    assert not set(hostile_upstream.H1) & {""}
    assert len(upstream_attacks.ALL) == len(hostile_upstream.H1) + len(hostile_upstream.H2)


@pytest.mark.parametrize("h2", [False, True])
def test_a_hostile_upstream_is_a_good_one_until_it_is_told(h2: bool) -> None:
    upstream = hostile_upstream.Upstream(h2)
    hello = attacks.hello() + attacks.frame(attacks.HEADERS, attacks.HEAD, 1, attacks.GET)
    ask = hello if h2 else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    try:
        for attack, last in ((None, b"ok"), (hostile_upstream.goaway if h2 else hostile_upstream.cut, b"")):
            upstream.attack = attack
            with create_connection(("127.0.0.1", upstream.port), 10) as sock:
                sock.sendall(ask)
                heard = b""
                while last not in heard if last else True:
                    part = sock.recv(4096)
                    if not part:
                        break
                    heard += part
                assert last in heard
        assert (upstream.asked, upstream.dials) == (2, 2)
    finally:
        upstream.close()


def test_what_a_client_of_a_hostile_upstream_got() -> None:
    upstream = hostile_upstream.Upstream(False)
    try:
        got = []
        for attack in (None, hostile_upstream.cut, hostile_upstream.close, hostile_upstream.slow_line):
            upstream.attack = attack
            got.append(upstream_attacks.fetch(upstream.port, "/", 0.5))
        assert got == ["held", "cut", "nothing", "held"]  # the good one keeps its connection: it is no gateway
    finally:
        upstream.close()


def test_an_attack_that_harms_others_misses_its_gate() -> None:
    seen = {"connections": 1, "sent_bytes": 1, "ends": {"held": 1}, "cpu_s": 1.0, "growth_kib": 10, "answered": 9}
    good = attacks.document({"ping flood": seen | {"failed": 0, "slowest_ms": 5.0}}, 1)
    assert [g["verdict"] for g in good["gates"]] == ["met"] * 3
    grown = {"growth_kib": (attacks.GROWTH_MIB + 1) << 10, "failed": 1, "slowest_ms": 1e6}
    bad = attacks.document({"ping flood": seen | grown}, 1)
    assert [g["verdict"] for g in bad["gates"]] == ["missed"] * 3


def test_connections_in_number_are_held_against_their_bounds() -> None:
    idle = {"h2": {"connections": 10, "still_open": 9, "each_bytes": 30_000}}
    streams = {"connections": 1000, "grown_kib": 300 << 10, "after_kib": 100 << 10, "meanwhile": "13 bytes"}
    streams["again"] = True
    rotate = {"turns": 3, "certificates_seen": 4, "dials": 9, "requests": 99, "failed": 1}
    names = {"1000": {"start_kib": 1024, "used_kib": 2048, "cpu_us": 380.0}}
    rows, gates = load_tls.rows_and_gates({"idle": idle, "streams": streams, "rotate": rotate, "names": names})
    assert len(rows) == 4
    assert [g["verdict"] for g in gates] == ["missed"] * 5
