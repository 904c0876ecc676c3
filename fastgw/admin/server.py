"""The admin server's socket: a Unix socket by default, TCP where configured; changed by a reload."""

import asyncio
import socket

from fastgw.config.addresses import Address, parse_bind
from fastgw.control.sockets import actual, identity, open_tcp, open_unix, probe_tcp, unlink_if
from fastgw.upstream.address import text

from .http import Connection, Handler

UNIX_MODE = 0o600


class AdminServer:
    """At most one address. `open` binds a new one, then `commit` or `rollback`; an unchanged address is kept."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._bind = self._next_bind = ""
        self._sock: socket.socket | None = None
        self._next: socket.socket | None = None
        self._file = (0, 0)
        self._server: asyncio.Server | None = None
        self._accepting: asyncio.Task[None] | None = None
        self.address = ""

    def open(self, bind: str) -> None:
        """Bind. BindError: nothing has changed."""
        self.rollback()
        self._next_bind = bind
        if bind == self._bind:
            return
        address = parse_bind(bind)
        if address.kind == "unix":
            self._next = open_unix(address, UNIX_MODE)
        else:
            probe_tcp(address)
            self._next = open_tcp(address)

    def rollback(self) -> None:
        """Close what was opened for a reload that was refused."""
        if self._next is not None:
            _close(self._next, parse_bind(self._next_bind), identity_of(self._next_bind))
            self._next = None

    def commit(self) -> None:
        """Serve on what was opened, and no more on the old address. Connections that are open stay."""
        if self._next is None:
            return
        self._stop()
        self._sock, self._next = self._next, None
        self._bind, self._file = self._next_bind, identity_of(self._next_bind)
        self.address = text(actual(self._sock, parse_bind(self._bind)))
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._sock))

    async def _accept(self, sock: socket.socket) -> None:
        # The server closes the socket object that it is given: it gets a duplicate, ours names the file to remove.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._handler, self._connections), sock=sock.dup())

    def _stop(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._sock is not None:
            _close(self._sock, parse_bind(self._bind), self._file)
            self._sock = None

    def close(self) -> None:
        """Close everything and remove a Unix socket's file."""
        self.rollback()
        self._stop()
        for connection in list(self._connections):
            connection.close()


def identity_of(bind: str) -> tuple[int, int]:
    address = parse_bind(bind)
    return identity(address.host) if address.kind == "unix" else (0, 0)


def _close(sock: socket.socket, address: Address, file: tuple[int, int]) -> None:
    if address.kind == "unix":
        unlink_if(address.host, file)
    sock.close()
