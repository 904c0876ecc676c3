# ruff: noqa: E501  (rows of tables)
"""Durations, sizes and rates; paths and patterns; templates; addresses: the parts the loader is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgw.config import template, units
from fastgw.config.addresses import Address, parse_address, parse_bind, parse_cidr, parse_host_pattern
from fastgw.config.paths import Segment, check_path, parse_pattern
from fastgw.config.problem import Fault


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        ("duration", "250ms", 250), ("duration", "30s", 30_000), ("duration", "5m", 300_000), ("duration", "1h", 3_600_000),
        ("duration", "7d", 604_800_000), ("duration", "1m30s", 90_000), ("duration", "1.5s", 1_500), ("duration", "0", 0),
        ("size", "500B", 500), ("size", "16KiB", 16_384), ("size", "1MiB", 1 << 20), ("size", "1MB", 10**6),
        ("size", "1kB", 1_000), ("size", "1.5KiB", 1_536), ("size", "77", 77), ("size", "0", 0),
        ("rate", "500B/s", 500), ("rate", "1KiB/s", 1_024), ("rate", "9", 9), ("rate", "2kB", 2_000),
    ],
)  # fmt: skip
def test_units(unit, text, value):
    assert units.parse(unit, text) == value


@pytest.mark.parametrize(
    ("unit", "text"),
    [("duration", t) for t in ("", "5", "s", "-1s", "1 s", "1S", "5M", "1e3s", "1s\n", "٣s", "1,5s", "0.0005s", "1.s", "9" * 13 + "s")]
    + [("size", t) for t in ("", "B", "1K", "1kib", "-1B", "1 B", "1B ", "0x10", "1KiB/s", "0.5B", "1e3")]
    + [("rate", t) for t in ("", "1/s/s", "1B/m", "B/s")],
)  # fmt: skip
def test_units_refused(unit, text):
    with pytest.raises(Fault) as caught:
        units.parse(unit, text)
    assert caught.value.code == "FGW1106"


@given(st.sampled_from(["duration", "size", "rate"]), st.integers(0, 1 << 36))
def test_units_rendered_mean_the_same(unit, value):
    assert units.parse(unit, units.render(unit, value)) == value


def test_patterns():
    assert parse_pattern("/orders/{id}/{rest*}") == (
        Segment("orders"), Segment("id", param=True), Segment("rest", param=True, rest=True),
    )  # fmt: skip
    assert parse_pattern("/a/") == (Segment("a"), Segment(""))
    assert parse_pattern("/") == (Segment(""),)
    assert len(parse_pattern("/" + "/".join(f"{{p{i}}}" for i in range(16)))) == 16
    with pytest.raises(Fault, match="17 parameters"):
        parse_pattern("/" + "/".join(f"{{p{i}}}" for i in range(17)))


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a.b/..c", "/%2F", "/%C3%A9", "/a;b=c,d", "/~x", "/a:b@c!$&'()*+"])
def test_normal_paths(path):
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path", ["/a/..", "/..", "/./a", "/%7e", "/%2D", "/%e9", "/a\\b", '/"', "/<", "/|", "/^", "/`", "/ ", "/\x7f"]
)
def test_paths_that_no_request_has(path):
    with pytest.raises(Fault):
        check_path(path)


def test_paths_and_patterns_are_as_deep_as_the_trie_goes():
    assert check_path("/a" * 63)
    for check in (check_path, parse_pattern):
        with pytest.raises(Fault, match="64 segments"):
            check("/a" * 64)


def test_templates():
    assert template.parse("a {id}{{b}}") == ("a ", template.Variable("id", 2), "{b}")
    assert template.parse("") == () and template.parse("{{}}") == ("{}",)
    template.check_variables("{id} {client.address} {route}", ["id"])
    with pytest.raises(Fault) as caught:
        template.check_variables("xx {nope}", ["id"])
    assert (caught.value.offset, caught.value.length) == (3, 6)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("ip4", "127.0.0.1", 80)), ("[::1]:80", Address("ip6", "::1", 80)),
        ("[0:0:0::1]:80", Address("ip6", "::1", 80)), ("Users.Internal:9", Address("name", "users.internal", 9)),
        ("unix:/run/x.sock", Address("unix", "/run/x.sock", 0)), ("a_b:1", Address("name", "a_b", 1)),
    ],
)  # fmt: skip
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "a", "a:", ":1", "a:b", "a:-1", "a:+1", "a: 1", "a:65536", "1.2.3:1", "1.2.3.4.5:1", "01.2.3.4:1", "::1:1",
     "[::1]", "[::1]1", "[1.2.3.4]:1", "-a:1", "a-:1", "a..b:1", "a b:1", "é:1", "*:1", "unix:", "unix:a", "a:1\n", "a:１"],
)  # fmt: skip
def test_addresses_refused(text):
    with pytest.raises(Fault) as caught:
        parse_bind(text) if text == "*:1" else parse_address(text)
    assert caught.value.code == "FGW1203"


def test_networks_and_hosts():
    assert str(parse_cidr("10.0.0.0/8")) == "10.0.0.0/8" and str(parse_cidr("::1")) == "::1/128"
    assert parse_host_pattern("*.Example.COM.") == "*.example.com" and parse_host_pattern("[::0:1]") == "[::1]"
    for text in ("", "*", "*.", "a.*", "*a.b", "a:1", "a/b", "[::1", "a..b", ".a", "x." * 64 + "y"):
        with pytest.raises(Fault):
            parse_host_pattern(text)
