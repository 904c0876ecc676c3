"""What the end-to-end tests of plugins share: a configuration, a client that sees fields, servers that plugins ask."""

import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .supervised import Gateway, until

PLUGINS = Path(__file__).parent / "plugins"


def config(gw: Gateway, up: str, *routes: str, workers: int = 1, path: str | Path = PLUGINS) -> str:
    return (
        f'listeners: {{web: {{bind: "127.0.0.1:0"}}}}\nadmin: {{bind: "127.0.0.1:0"}}\nworkers: {workers}\n'
        f"upstreams: {{up: {{endpoints: ['{up}']}}}}\nlog: {{access: {{to: {gw.folder}/access.log}}}}\n"
        f"plugins: {{path: ['{path}']}}\nroutes:\n" + "".join(f"  {route}\n" for route in routes)
    )


def route(name: str, *steps: str, to: str = "up") -> str:
    """`name` serves /name and what is below it; "all" serves everything."""
    prefix = "/" if name == "all" else f"/{name}"
    return f"{name}: {{match: {{prefix: {prefix}}}, chain: [{', '.join(steps)}], to: {to}}}"


class Reply:
    """Status, fields in lower case, body; `sent`: what the origin of peers.tell has received, first value of each."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.fields = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()

    @property
    def sent(self) -> dict[str, str]:
        assert self.status == 200, (self.status, self.body)
        return {name: values[0] for name, values in json.loads(self.body)["fields"].items()}


def ask(gw: Gateway, path: str, headers: dict[str, str] | None = None) -> Reply:
    """One request on a connection of its own."""
    host, _, port = gw.address().rpartition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        client.request("GET", path, headers=headers or {})
        return Reply(client.getresponse())
    finally:
        client.close()


def send(gw: Gateway, path: str = "/") -> socket.socket:
    """A connection with a request on it whose reply nobody has read."""
    host, _, port = gw.address().rpartition(":")
    sock = socket.create_connection((host, int(port)), 60)
    sock.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    return sock


def whole(sock: socket.socket) -> bytes:
    """All that comes on it."""
    with sock:
        got = b""
        while more := sock.recv(65536):
            got += more
        return got


def count(gw: Gateway, name: str, plugin: str) -> float:
    """A figure `fgw_plugin_NAME` of the metrics page; 0 if it is not there."""
    found = re.search(rf'^fgw_plugin_{name}{{plugin="{re.escape(plugin)}"}} (\S+)$', gw.admin("/metrics")[1], re.M)
    return float(found[1]) if found else 0.0


def logged(gw: Gateway, lines: int = 1) -> list[dict[str, Any]]:
    """The access log, once it has so many lines."""
    def find() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (gw.folder / "access.log").read_text().splitlines()]
        return found if len(found) >= lines else []

    return until(find, f"{lines} lines")


def said(gw: Gateway, words: str) -> str:
    """The error log, once these words are in it."""
    def find() -> str | None:
        text = gw.stderr.read_text(errors="replace")
        return text if words in text else None

    return until(find, f"{words!r} in the log; it has:\n{gw.stderr.read_text(errors='replace')}")


class Server:
    """A TCP server for plugins. Its `told` are lines of a file that plugins write to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._sock.getsockname()[1]
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def step(self, **more: str) -> str:
        """A step that uses road:Wait with this server."""
        beside = "".join(f", {name}: {value}" for name, value in more.items())
        return f"{{use: 'road:Wait', with: {{port: {self.port}, file: {self.file}}}{beside}}}"

    def told(self, word: str) -> list[str]:
        """The lines that begin with a word."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line for line in lines if line.split(" ")[0] == word]

    def waiting(self, number: int) -> None:
        """Wait until so many requests in all have come to the hook."""
        until(lambda: len(self.told("waits")) >= number, f"{number} requests at the hook")

    def release(self) -> None:
        """Let go what waits."""
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sendall(b"go\n")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._sock.accept()
                self._peers.append(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for peer in self._peers:
            peer.close()


@contextlib.contextmanager
def server(file: Path) -> Iterator[Server]:
    made = Server(file)
    try:
        yield made
    finally:
        made.close()
