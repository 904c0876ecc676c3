"""Addresses as the kernel takes them."""

import socket

import pytest

from fastgw.config.addresses import parse_address
from fastgw.upstream.address import from_ip, pack, reachable, text


@pytest.mark.parametrize(
    ("written", "packed"),
    [
        ("127.0.0.1:8080", socket.AF_INET.to_bytes(2, "little") + b"\x1f\x90\x7f\0\0\1" + bytes(8)),
        ("[::1]:80", socket.AF_INET6.to_bytes(2, "little") + b"\0\x50" + bytes(4) + bytes(15) + b"\1" + bytes(4)),
        ("unix:/run/a.sock", socket.AF_UNIX.to_bytes(2, "little") + b"/run/a.sock\0"),
    ],
)
def test_pack(written: str, packed: bytes) -> None:
    address = parse_address(written)
    assert pack(address) == packed
    assert text(address) == written


def test_the_kernel_takes_what_we_packed() -> None:
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        raw = pack(from_ip("127.0.0.1", server.getsockname()[1]))
        assert libc.connect(client.fileno(), raw, len(raw)) == 0


def test_a_name_has_no_sockaddr() -> None:
    with pytest.raises(ValueError, match=r"users\.internal:80 is not resolved"):
        pack(parse_address("users.internal:80"))


def test_an_address_without_a_route_is_not_reachable() -> None:
    assert reachable(from_ip("127.0.0.1", 80))
    assert not reachable(from_ip("255.255.255.255", 80)), "broadcast is refused like a missing route"
