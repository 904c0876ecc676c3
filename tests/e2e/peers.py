"""Upstreams for end-to-end tests: one that tells what it received, one that follows a script byte for byte."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.programs import program

from .supervised import until

Script = Callable[[socket.socket, bytes], None]
"""(connection, request head) → it acts; the connection is closed after it."""


def read_head(sock: socket.socket) -> bytes:
    """Up to and with the empty line; less if the peer closes."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    return data


def fields(head: bytes) -> dict[str, list[str]]:
    """Name in lower case → its values, of a head's text."""
    found: dict[str, list[str]] = {}
    for row in head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        name, _, value = row.partition(":")
        found.setdefault(name.lower(), []).append(value.strip())
    return found


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Origin:
    """A server whose every connection runs `script`; `heads` keeps the requests' heads. One thread a connection."""

    def __init__(self, script: Script, address: str | int = 0) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.accepted = 0
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(address)
            self.sock.listen(128)
            self.address = f"unix:{address}"
        else:
            self.sock = socket.create_server(("127.0.0.1", address), backlog=128)
            self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.sock.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(30)
        with contextlib.suppress(OSError), sock:
            if head := read_head(sock):
                self.heads.append(head)
                self.script(sock, head)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


@contextlib.contextmanager
def origin(script: Script, address: str | int = 0) -> Iterator[Origin]:
    made = Origin(script, address)
    try:
        yield made
    finally:
        made.close()


def tell(sock: socket.socket, head: bytes) -> None:
    """Answer with the request's line and fields as JSON, then close."""
    body = json.dumps({"line": head.split(b"\r\n")[0].decode(), "fields": fields(head)}).encode()
    sock.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def say(data: bytes) -> Script:
    """Send these bytes and close."""
    return lambda sock, head: sock.sendall(data)


def keep(body: bytes = b"ok") -> Script:
    """Answer every request of a connection with 200 and this body, until it is closed."""
    def script(sock: socket.socket, head: bytes) -> None:
        while head:
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            head = read_head(sock)
    return script


@contextlib.contextmanager
def child(command: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that must come to listen on a port; ended with the block."""
    log = folder / "child.log"
    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens, f"{command[0]} listening")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port nobody has at this moment, for servers that cannot tell which one they took."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def uvicorn(folder: Path) -> Iterator[str]:
    """The application of `asgi_app` behind uvicorn; its address."""
    port, root = free_port(), Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "uvicorn", "tests.e2e.asgi_app:app", "--app-dir", str(root), "--port", str(port),
               "--log-level", "warning", "--no-access-log"]  # fmt: skip
    with child(command, port, folder):
        yield f"127.0.0.1:{port}"


NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off; root {folder}/www; keepalive_requests 100000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; location = /small {{ return 200 "hello, world\\n"; }} }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx with the files of folder/www and /small; its address."""
    (folder / "www").mkdir(exist_ok=True)
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    with child([program("nginx"), "-c", str(config), "-p", str(folder), "-e", "stderr"], port, folder):
        yield f"127.0.0.1:{port}"


def exchange(address: str, data: bytes, half_close: bool = False) -> bytes:
    """Send bytes to `host:port`, read to the end."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 30) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while more := sock.recv(65536):
                got += more
        return got


def rows(log: Path, count: int) -> list[dict[str, Any]]:
    """The access log's lines, when there are that many."""
    def found() -> list[str] | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return lines if len(lines) >= count else None

    return [json.loads(line) for line in until(found, f"{count} log lines")]
