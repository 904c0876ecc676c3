"""Opening listening sockets: TCP with SO_REUSEPORT and a probe before, Unix with care for what lies at the path."""

import errno
import os
import socket
import stat
import struct

from fastgw.config.addresses import Address
from fastgw.upstream.address import family, sockaddr, text

BACKLOG = 65_535  # the kernel lowers it to net.core.somaxconn
UNIX_MODE = 0o660
_TCP_INFO_UNACKED = 24  # offset of tcpi_unacked; in LISTEN it counts the connections that wait to be accepted


class BindError(OSError):
    """An address that cannot be listened on; the text is for people."""

    def __init__(self, address: Address, why: str) -> None:
        super().__init__(f"cannot listen on {text(address)}: {why}")
        self.address = address


def reason(e: OSError) -> str:
    """An errno in words that help."""
    if e.errno == errno.EADDRINUSE:
        return "the address is in use by another process"
    if e.errno == errno.EADDRNOTAVAIL:
        return "this host does not have the address"
    if e.errno in (errno.EACCES, errno.EPERM):
        return "not permitted (ports below 1024 need CAP_NET_BIND_SERVICE; a Unix socket needs a writable folder)"
    return os.strerror(e.errno) if e.errno else str(e)


def _tcp(address: Address) -> socket.socket:
    sock = socket.socket(family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # Without it a restart would wait for the TIME_WAIT of old connections.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.kind == "ip6":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # 0.0.0.0 and [::] may both be configured
    return sock


def probe_tcp(address: Address) -> None:
    """Refuse an address that somebody else owns: SO_REUSEPORT alone would share it with them. BindError."""
    if address.port == 0:
        return
    with _tcp(address) as sock:
        try:
            sock.bind(sockaddr(address))
        except OSError as e:
            raise BindError(address, reason(e)) from None


def bind_tcp(address: Address) -> socket.socket:
    """One socket for a SO_REUSEPORT group, bound. It joins the group, and connections come, when it listens.

    BindError."""
    sock = _tcp(address)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted sockets inherit it (tcp(7)), which saves the engine a call for each.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(sockaddr(address))
    except OSError as e:
        sock.close()
        raise BindError(address, reason(e)) from None
    return sock


def listens(sock: socket.socket) -> bool:
    """Whether connections come to it."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def listen_tcp(address: Address, sock: socket.socket) -> None:
    """Have connections come to a socket of `bind_tcp`, if they do not yet. BindError."""
    if listens(sock):
        return
    try:
        sock.listen(BACKLOG)
    except OSError as e:
        raise BindError(address, reason(e)) from None


def open_tcp(address: Address) -> socket.socket:
    """Both. BindError."""
    sock = bind_tcp(address)
    try:
        listen_tcp(address, sock)
    except BindError:
        sock.close()
        raise
    return sock


def open_unix(address: Address, mode: int = UNIX_MODE) -> socket.socket:
    """A listening Unix socket. One that nobody answers on any more is replaced; anything else at the path is not
    touched.

    BindError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        _clear_stale(address)
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(address.host)
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
    except OSError as e:
        sock.close()
        raise e if isinstance(e, BindError) else BindError(address, reason(e)) from None
    return sock


def _clear_stale(address: Address) -> None:
    try:
        found = os.lstat(address.host)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise BindError(address, "there is a file at this path that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(address.host)
        except ConnectionRefusedError:
            os.unlink(address.host)
            return
        except FileNotFoundError:
            return
        except OSError as e:
            if e.errno != errno.EAGAIN:  # EAGAIN: its queue is full, so it has an owner
                raise
    raise BindError(address, "the address is in use by another process")


def identity(path: str) -> tuple[int, int]:
    """(device, inode) of the file at a path; (0, 0): none."""
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def unlink_if(path: str, owned: tuple[int, int]) -> None:
    """Remove a socket's file, unless somebody has put another in its place."""
    if owned != (0, 0) and identity(path) == owned:
        try:
            os.unlink(path)
        except OSError:
            return


def actual(sock: socket.socket, address: Address) -> Address:
    """The address with the port that the kernel chose for port 0."""
    return address if address.kind == "unix" else address._replace(port=sock.getsockname()[1])


def waiting(sock: socket.socket) -> int:
    """Connections in the accept queue of a listening TCP socket; 0 when the kernel does not tell."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED + 4)
    except OSError:
        return 0
    return struct.unpack_from("=I", info, _TCP_INFO_UNACKED)[0] if len(info) >= _TCP_INFO_UNACKED + 4 else 0
