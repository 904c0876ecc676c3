"""Clients that never stop asking, for tests of what a fault costs: what is not a whole answer with 200 is kept."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from .peers import read_head

IDLE_IN_A_DRAIN = 0.15
"""Seconds for which a draining worker surely keeps a connection that no request uses (h1_server.c: 0.2). A client that
was slower than this to ask again may find it closed, as RFC 9112 section 9.5 allows, and asks anew."""
UNUSED_IN_A_DRAIN = 1.9
"""The same of one that no request has used yet (2.0)."""


class Broken(Exception):
    """An answer that did not come, or not whole."""


def answer(sock: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body of one answer with a Content-Length. Broken, OSError."""
    data = read_head(sock)
    head, end, body = data.partition(b"\r\n\r\n")
    if not data:
        raise Unused("closed without an answer")
    if not end:
        raise Broken(f"closed after {data[:40]!r}")
    length = next(int(row[15:]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length:"))
    while len(body) < length:
        more = sock.recv(65536)
        if not more:
            raise Broken(f"closed after {len(body)} of {length} bytes")
        body += more
    return int(head.split(b" ", 2)[1]), head, body


def dial(address: str, timeout: float = 30) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


class Unused(Broken):
    """The connection was closed before a byte of the answer."""


class Load:
    """`kept` clients that keep their connection, `fresh` ones that open one for each request.

    good: whole answers with 200. bad: everything else, in words. closed: times a connection was closed after an answer
    that had said so. seen: the bodies."""

    def __init__(self, address: str, path: str = "/hello", kept: int = 4, fresh: int = 2) -> None:
        self._address = address
        self._request = f"GET {path} HTTP/1.1\r\nhost: x\r\n".encode()
        self._stop = threading.Event()
        self.good = self.closed = 0
        self.bad: list[str] = []
        self.seen: set[bytes] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(kept)]
        self._threads += [threading.Thread(target=self._renew, daemon=True) for _ in range(fresh)]

    def start(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> "Load":
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a client waits for ever"
        return self

    def _count(self, status: int, body: bytes) -> None:
        with self._lock:
            if status == 200:
                self.good += 1
                self.seen.add(body)
            else:
                self.bad.append(f"{status} {body[:200]!r}")

    def _failed(self, what: str, e: Exception) -> None:
        with self._lock:
            self.bad.append(f"{what}: {e!r}")

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                with dial(self._address) as sock:
                    self._talk(sock)
            except (OSError, Broken) as e:
                self._failed("kept", e)

    def _talk(self, sock: socket.socket) -> None:
        before = time.monotonic()
        while not self._stop.is_set():
            since, before = before, time.monotonic()
            sock.sendall(self._request + b"\r\n")
            asked = time.monotonic()
            try:
                status, head, body = answer(sock)
            except Unused:
                if asked - since > IDLE_IN_A_DRAIN:  # nothing was asked for so long that it may have been closed
                    return
                raise
            self._count(status, body)
            if b"\r\nconnection: close" in head.lower():
                self.closed += 1
                return

    def _renew(self) -> None:
        while not self._stop.is_set():
            before = asked = time.monotonic()
            try:
                with dial(self._address) as sock:
                    sock.sendall(self._request + b"connection: close\r\n\r\n")
                    asked = time.monotonic()
                    status, _, body = answer(sock)
                    self._count(status, body)
            except (OSError, Broken) as e:
                if asked - before < UNUSED_IN_A_DRAIN:  # else it may have been closed before it was asked anything
                    self._failed("fresh", e)


@contextlib.contextmanager
def load(address: str, path: str = "/hello", kept: int = 4, fresh: int = 2) -> Iterator[Load]:
    """A load that runs as long as the block."""
    made = Load(address, path, kept, fresh).start()
    try:
        yield made
    finally:
        made.stop()
