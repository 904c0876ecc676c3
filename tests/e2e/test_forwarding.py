# ruff: noqa: E501
"""Who a request is said to come from: trusted_proxies, X-Forwarded-For and Forwarded, PROXY lines by real clients."""

import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program

from .peers import child, exchange, free_port, origin, rows, tell
from .supervised import Gateway, gateway, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  six: {{bind: "[::1]:0"}}
  proxied: {{bind: ["127.0.0.1:0"], proxy_protocol: true}}
  sock: {{bind: "unix:{folder}/gw.sock"}}
  sockproxied: {{bind: "unix:{folder}/proxied.sock", proxy_protocol: true}}
upstreams: {{up: {{endpoints: ["{up}"]}}}}
routes: {{all: {{match: {{prefix: /}}, chain: [{{headers: {{set: {{x-client: "{{client.address}}"}}}}}}], to: up}}}}
trusted_proxies: ["127.0.0.2", "10.0.0.0/8", "2001:db8:1::/48", "::1"]
log: {{access: {{to: {folder}/access.log}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
STRANGER, TRUSTED = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("forwarding")
    with origin(tell) as up, gateway(folder) as made:
        made.start(CONFIG.format(up=up.address, folder=folder)).ready()
        yield made


def ask(address: str, source: str, *lines: str, before: bytes = b"") -> dict[str, list[str]]:
    """The fields that the origin got of a request with these fields, sent from `source`."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(address[5:])
    else:
        host, _, port = address.rpartition(":")
        sock = socket.create_connection((host.strip("[]"), int(port)), 10, (source, 0) if source else None)
    with sock:
        head = "".join(f"{line}\r\n" for line in ("GET /who HTTP/1.1", "Host: example.org", *lines, "Connection: close", ""))
        sock.sendall(before + head.encode())
        got = b""
        while more := sock.recv(65536):
            got += more
    assert got.startswith(b"HTTP/1.1 200 "), got
    told: dict[str, Any] = json.loads(got.partition(b"\r\n\r\n")[2])
    return told["fields"]


SPOOFED = (
    "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6;host=evil;proto=https", "X-Request-Id: chosen",
)  # fmt: skip


def test_a_stranger_is_not_believed(gw: Gateway) -> None:
    got = ask(gw.address(), STRANGER, *SPOOFED)
    assert got["x-forwarded-for"] == got["x-client"] == [STRANGER]
    assert (got["x-forwarded-proto"], got["x-forwarded-host"]) == (["http"], ["example.org"])
    assert got["forwarded"] == [f'for={STRANGER};host="example.org";proto=http']
    assert not {"x-real-ip", "x-forwarded-port"} & got.keys()
    assert got["x-request-id"] != ["chosen"] and "6.6.6.6" not in str(got) and "evil" not in str(got)


def test_a_trusted_proxy_is_believed(gw: Gateway) -> None:
    got = ask(gw.address(), TRUSTED, *SPOOFED)
    assert got["x-forwarded-for"] == [f"6.6.6.6, {TRUSTED}"] and got["x-client"] == ["6.6.6.6"]
    assert (got["x-forwarded-proto"], got["x-forwarded-host"]) == (["https"], ["evil"])
    assert got["forwarded"][0].startswith("for=6.6.6.6;host=evil;proto=https, for=127.0.0.2;")
    assert got["x-request-id"] == ["chosen"] and got["x-real-ip"] == ["6.6.6.6"]


CHAINS = [
    # what came, and who the client is: the rightmost that is not trusted itself
    (["X-Forwarded-For: 6.6.6.6, 203.0.113.5"], "203.0.113.5"),
    (["X-Forwarded-For: 6.6.6.6, 203.0.113.5, 10.1.2.3"], "203.0.113.5"),
    (["X-Forwarded-For: 203.0.113.5,10.1.2.3 , 10.255.0.1"], "203.0.113.5"),
    (["X-Forwarded-For: 10.0.0.9, 10.1.2.3"], "10.0.0.9"),
    (["X-Forwarded-For: 2001:db8:2::5"], "2001:db8:2::5"),
    (["X-Forwarded-For: 2001:db8:2::5, 2001:db8:1::7"], "2001:db8:2::5"),
    (["X-Forwarded-For: [2001:db8:2::5], 10.0.0.1"], "2001:db8:2::5"),
    (["X-Forwarded-For: 6.6.6.6, unknown"], TRUSTED),
    (["X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.1"], "10.0.0.1"),
    (["X-Forwarded-For: "], TRUSTED),
    (["X-Forwarded-For: , ,"], TRUSTED),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.5"], "203.0.113.5"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.5", "x-forwarded-for: 10.0.0.1"], "203.0.113.5"),
    (["X-Forwarded-For: 6.6.6.6, 999.1.1.1"], TRUSTED),
    (["X_Forwarded_For: 6.6.6.6"], TRUSTED),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "client"), CHAINS, ids=[" + ".join(lines) for lines, _ in CHAINS])
def test_chains(gw: Gateway, lines: list[str], client: str) -> None:
    got = ask(gw.address(), TRUSTED, *lines)
    assert got["x-client"] == [client]
    [passed] = got["x-forwarded-for"]
    assert passed.endswith(TRUSTED)


def test_of_several_lines_the_nearest_proxys_counts(gw: Gateway) -> None:
    got = ask(gw.address(), TRUSTED, "X-Forwarded-Proto: ftp", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil",
              "X-Forwarded-Host: good", "X-Request-Id: theirs", "X-Request-Id: ours")  # fmt: skip
    assert (got["x-forwarded-proto"], got["x-forwarded-host"], got["x-request-id"]) == (["https"], ["good"], ["ours"])


def test_over_ipv6(gw: Gateway) -> None:
    got = ask(gw.address("six"), "", "X-Forwarded-For: 2001:db8:2::9")
    assert got["x-forwarded-for"] == ["2001:db8:2::9, ::1"] and got["x-client"] == ["2001:db8:2::9"]
    assert got["forwarded"] == ['for="[::1]";host="example.org";proto=http']


def test_a_unix_client_has_no_address_and_no_trust(gw: Gateway) -> None:
    got = ask(f"unix:{gw.folder}/gw.sock", "", *SPOOFED)
    assert got["x-client"] == ["unix"] and "6.6.6.6" not in str(got)
    assert got["forwarded"][0].startswith("for=unknown;")


# ---- PROXY
LINE = b"PROXY TCP4 203.0.113.5 192.0.2.1 5555 80\r\n"
LINE6 = b"PROXY TCP6 2001:db8:2::5 2001:db8::1 5555 80\r\n"


def test_a_proxy_line_names_the_client(gw: Gateway) -> None:
    got = ask(gw.address("proxied"), TRUSTED, before=LINE)
    assert got["x-forwarded-for"] == got["x-client"] == ["203.0.113.5"]
    got = ask(gw.address("proxied"), TRUSTED, before=LINE6)
    assert got["x-forwarded-for"] == ["2001:db8:2::5"] and got["forwarded"][0].startswith('for="[2001:db8:2::5]";')


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(command: int, family: int, body: bytes) -> bytes:
    """A PROXY header of version 2."""
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


V4 = socket.inet_aton("203.0.113.5") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 5555, 80)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8:2::5") + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack(">HH", 5555, 80)
)  # fmt: skip
UNIX = b"/run/a.sock".ljust(108, b"\0") * 2


@pytest.mark.parametrize(
    ("before", "client"),
    [
        (header(0x21, 0x11, V4), "203.0.113.5"),
        (header(0x21, 0x21, V6 + b"\1\0\2h2"), "2001:db8:2::5"),
        (header(0x21, 0x31, UNIX), "unix"),
        (header(0x20, 0x00, b""), TRUSTED),
        (header(0x21, 0x00, b"anything"), TRUSTED),
        (header(0x21, 0x11, V4 + b"\4\x0f\xd0" + bytes(0xFD0)), "203.0.113.5"),
    ],
)
def test_a_header_of_version_2_names_the_client(gw: Gateway, before: bytes, client: str) -> None:
    got = ask(gw.address("proxied"), TRUSTED, before=before)
    assert got["x-client"] == [client]
    if client not in (TRUSTED, "unix"):
        assert got["x-forwarded-for"] == [client]
        got = ask(gw.address("proxied"), TRUSTED, *SPOOFED, before=before)
        assert got["x-forwarded-for"] == [client] and "6.6.6.6" not in str(got)


def test_who_the_line_names_is_not_trusted_for_it(gw: Gateway) -> None:
    """The balancer may name the client; that does not make the client's own fields true."""
    got = ask(gw.address("proxied"), TRUSTED, *SPOOFED, before=LINE)
    assert got["x-forwarded-for"] == ["203.0.113.5"] and "6.6.6.6" not in str(got)
    got = ask(gw.address("proxied"), TRUSTED, "X-Forwarded-For: 6.6.6.6", before=b"PROXY TCP4 10.0.0.7 192.0.2.1 1 2\r\n")
    assert got["x-forwarded-for"] == ["6.6.6.6, 10.0.0.7"] and got["x-client"] == ["6.6.6.6"]


def test_unknown_keeps_the_sockets_address(gw: Gateway) -> None:
    assert ask(gw.address("proxied"), TRUSTED, before=b"PROXY UNKNOWN\r\n")["x-forwarded-for"] == [TRUSTED]


@pytest.mark.parametrize("before", [LINE, header(0x21, 0x11, V4), header(0x20, 0, b"")])
@pytest.mark.parametrize("source", [STRANGER, "127.0.0.9"])
def test_a_stranger_may_not_speak_proxy(gw: Gateway, source: str, before: bytes) -> None:
    host, _, port = gw.address("proxied").rpartition(":")
    with socket.create_connection((host, int(port)), 10, (source, 0)) as sock:
        try:
            sock.sendall(before + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(1) == b""
        except ConnectionError:
            pass


def test_proxy_lines_over_a_unix_socket(gw: Gateway) -> None:
    got = ask(f"unix:{gw.folder}/proxied.sock", "", *SPOOFED, before=LINE)
    assert got["x-forwarded-for"] == ["203.0.113.5"] and "6.6.6.6" not in str(got)


def test_no_line_on_a_proxy_listener_is_no_request(gw: Gateway) -> None:
    host, _, port = gw.address("proxied").rpartition(":")
    with socket.create_connection((host, int(port)), 10, (TRUSTED, 0)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            assert sock.recv(1) == b""
        except ConnectionError:
            pass


def test_a_proxy_line_elsewhere_is_a_bad_request(gw: Gateway) -> None:
    assert exchange(gw.address(), LINE + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_curl_speaks_proxy(gw: Gateway) -> None:
    url = f"http://{gw.address('proxied')}/who"
    command = ["curl", "-sS", "--max-time", "10", "--haproxy-protocol", "--interface", TRUSTED, url, url]
    done = subprocess.run(command, capture_output=True, check=True)
    told = [json.loads(each + "}}") for each in done.stdout.decode().split("}}") if each]
    assert [each["fields"]["x-forwarded-for"] for each in told] == [[TRUSTED]] * 2


HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen l
  bind 127.0.0.1:{port}
  source 127.0.0.2
  server gw {gw} send-proxy
listen v2
  bind 127.0.0.1:{port2}
  source 127.0.0.2
  server gw {gw} send-proxy-v2
listen checksum
  bind 127.0.0.1:{port3}
  source 127.0.0.2
  server gw {gw} send-proxy-v2 proxy-v2-options crc32c,unique-id check check-send-proxy inter 50
  unique-id-format %pid-%rt
"""


def test_haproxy_in_front(gw: Gateway, tmp_path: Path) -> None:
    ports, config = [free_port() for _ in range(3)], tmp_path / "haproxy.cfg"
    port, port2, port3 = ports
    config.write_text(HAPROXY.format(port=port, port2=port2, port3=port3, gw=gw.address("proxied")))
    with child([program("haproxy"), "-db", "-f", str(config)], port, tmp_path):
        for number in range(1, 20):
            source = f"127.0.0.{number + 10}"
            for each in ports:
                got = ask(f"127.0.0.1:{each}", source, *SPOOFED)
                assert got["x-forwarded-for"] == [source] and "6.6.6.6" not in str(got)


def test_the_log_has_the_client(gw: Gateway) -> None:
    ask(gw.address("proxied"), TRUSTED, "User-Agent: proxied", before=LINE)
    ask(gw.address(), TRUSTED, "User-Agent: forwarded", "X-Forwarded-For: 203.0.113.6")

    def told() -> dict[str, str]:
        return {row["user_agent"]: row["client"] for row in rows(gw.folder / "access.log", 2) if "user_agent" in row}

    assert until(lambda: told() if {"proxied", "forwarded"} <= told().keys() else None, "both lines").items() >= {
        "proxied": "203.0.113.5", "forwarded": "203.0.113.6"}.items()  # fmt: skip


def test_a_circle_is_broken(gw: Gateway) -> None:
    def status(via: str) -> bytes:
        got = exchange(gw.address(), f"GET / HTTP/1.1\r\nHost: a\r\nVia: {via}\r\nConnection: close\r\n\r\n".encode())
        return got[9:12]

    assert status("1.1 fastgw, 1.1 fastgw") == b"200"
    assert status("1.1 fastgw, 1.0 other, 1.1 fastgw, 1.1 fastgw") == b"508"
    assert status("1.1 fastgwx, 1.1 notfastgw, 1.1 x (fastgw), 1.1 x") == b"200"


def test_what_an_origin_reads(gw: Gateway) -> None:
    """No field of ours comes twice, whatever was sent."""
    got = ask(gw.address(), TRUSTED, *SPOOFED, *SPOOFED, "Via: 1.0 first", "Via: 1.1 second")
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via", "x-request-id", "host"):
        assert len(got[name]) == 1, name
    assert got["via"] == ["1.0 first, 1.1 second, 1.1 fastgw"]
