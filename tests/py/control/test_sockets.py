"""Opening sockets: what is refused and why, what is replaced, what is left alone."""

import os
import socket
from pathlib import Path

import pytest

from fastgw.config.addresses import Address, parse_bind
from fastgw.control import sockets as s


def loopback(port: int = 0, kind: str = "ip4") -> Address:
    return parse_bind(f"127.0.0.1:{port}" if kind == "ip4" else f"[::1]:{port}")


def test_one_port_is_shared_by_sockets_of_ours() -> None:
    with s.open_tcp(loopback()) as first:
        address = s.actual(first, loopback())
        with s.open_tcp(address) as second:
            assert second.getsockname() == first.getsockname()
            assert not first.getblocking() and not os.get_inheritable(first.fileno())


def test_connections_come_once_a_socket_listens() -> None:
    with s.bind_tcp(loopback()) as server:
        assert not s.listens(server)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.getsockname())
        for _ in range(2):
            s.listen_tcp(loopback(), server)
            assert s.listens(server)
        socket.create_connection(server.getsockname()).close()


def test_accepted_sockets_inherit_nodelay() -> None:
    with s.open_tcp(loopback()) as server, socket.create_connection(server.getsockname()):
        server.setblocking(True)
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_the_probe_refuses_even_who_would_share() -> None:
    with s.open_tcp(loopback()) as foreign:
        address = s.actual(foreign, loopback())
        with pytest.raises(s.BindError, match=rf"cannot listen on 127.0.0.1:{address.port}: .*in use by another"):
            s.probe_tcp(address)
    s.probe_tcp(address)


def test_an_address_of_another_host_is_told() -> None:
    with pytest.raises(s.BindError, match="this host does not have the address"):
        s.open_tcp(parse_bind("192.0.2.1:8080"))


def test_both_families_may_have_one_port() -> None:
    with s.open_tcp(parse_bind("[::]:0")) as six:
        port = six.getsockname()[1]
        with s.open_tcp(parse_bind(f"0.0.0.0:{port}")):
            pass


def test_connections_that_wait_are_counted() -> None:
    with s.open_tcp(loopback()) as server:
        assert s.waiting(server) == 0
        clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
        assert s.waiting(server) == 3
        server.accept()[0].close()
        assert s.waiting(server) == 2
        for client in clients:
            client.close()


def test_unix_socket_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with s.open_unix(parse_bind(f"unix:{tmp_path}/a"), 0o600):
            assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    address = parse_bind(f"unix:{tmp_path}/a")
    s.open_unix(address).close()
    assert (tmp_path / "a").exists()
    with s.open_unix(address):
        pass


def test_a_unix_socket_with_an_owner_is_not(tmp_path: Path) -> None:
    address = parse_bind(f"unix:{tmp_path}/a")
    with s.open_unix(address), pytest.raises(s.BindError, match="in use by another process"):
        s.open_unix(address)
    assert (tmp_path / "a").exists()


def test_a_file_that_is_no_socket_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    with pytest.raises(s.BindError, match="not a socket"):
        s.open_unix(parse_bind(f"unix:{tmp_path}/a"))
    assert (tmp_path / "a").read_text() == "precious"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(s.BindError, match="No such file or directory"):
        s.open_unix(parse_bind(f"unix:{tmp_path}/no/a"))


def test_only_our_own_file_is_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with s.open_unix(parse_bind(f"unix:{path}")):
        mine = s.identity(path)
        os.rename(path, path + ".old")
        with s.open_unix(parse_bind(f"unix:{path}")):
            s.unlink_if(path, mine)
            assert os.path.exists(path), "somebody else's"
            s.unlink_if(path, s.identity(path))
    assert not os.path.exists(path)
    s.unlink_if(path, s.identity(path))
