"""Server-sent events and long polling: what the upstream says is passed on at once, however small it is.

The upstream sends its next event only when the test has told it that the client has the last one: an event that is kept
somewhere on the way is a test that hangs, whatever the clock says.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.tls_files import make

from .peers import Origin, fields
from .supervised import PATIENCE, Gateway, gateway, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  tls: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}]}}}}
upstreams: {{up: {{endpoints: ["{origin}"]}}}}
routes:
  hooked: {{match: {{prefix: /hooked}}, chain: [{{use: "stamps:Stamp"}}, {{use: "stamps:Waits"}}], to: up}}
  poll: {{match: {{prefix: /poll}}, timeouts: {{first_byte: 3s}}, to: up}}
  all: {{match: {{prefix: /}}, to: up}}
timeouts: {{idle: 120s}}
limits: {{http2: {{streams: 600}}}}
log: {{access: off}}
plugins: {{path: [.]}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
PLUGIN = '''
import asyncio
from fastgw.plugin import Plugin, hook


class Stamp(Plugin[None]):
    """Mark an answer's head."""

    @hook.reply
    def stamp(self, request, reply) -> None:
        reply.headers["x-stamp"] = "sync"


class Waits(Plugin[None]):
    """Think about an answer's head for a moment."""

    @hook.reply
    async def stamp(self, request, reply) -> None:
        await asyncio.sleep(0)
        reply.headers["x-waited"] = "yes"
'''
ROADS = ["h1", "h2", "h1-tls", "h2-tls"]


class Events:
    """A client that reads a body as it comes: by HTTP/1.1 or HTTP/2."""

    def __init__(self, address: str, path: str, version: int, tls: ssl.SSLContext | None, **more: str) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        if tls is not None:
            tls.set_alpn_protocols(["h2" if version == 2 else "http/1.1"])
            self.sock = tls.wrap_socket(self.sock, server_hostname="a.test")
        self.over, self.reset, self.data = False, False, b""
        self.head: dict[str, str] = {}
        named = {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in more.items()}}
        self._h1 = self._h2 = None
        if version == 1:
            lines = [f"GET {path} HTTP/1.1", "host: a.test", *(f"{name}: {value}" for name, value in named.items())]
            self.sock.sendall("\r\n".join([*lines, "", ""]).encode())
            self._h1 = http.client.HTTPResponse(self.sock)
        else:
            self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
            self._h2.initiate_connection()
            scheme = "https" if tls else "http"
            pseudo = [(":method", "GET"), (":scheme", scheme), (":path", path), (":authority", "a.test")]
            self._h2.send_headers(1, [*pseudo, *named.items()], end_stream=True)
            self.sock.sendall(self._h2.data_to_send())

    def _step(self) -> None:
        if self._h1 is not None:
            if not self.head:
                self._h1.begin()
                self.head = {name.lower(): value for name, value in self._h1.getheaders()}
                self.head[":status"] = str(self._h1.status)
                return
            try:
                data = self._h1.read1(65_536)
            except (ConnectionError, http.client.IncompleteRead):
                data, self.reset = b"", True
            self.data += data
            self.over = not data
            return
        assert self._h2 is not None
        data = self.sock.recv(65_536)
        self.over = not data
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.head = dict(event.headers)  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                self.data += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                self.over, self.reset = True, isinstance(event, h2.events.StreamReset)
        self.sock.sendall(self._h2.data_to_send())

    def begun(self) -> dict[str, str]:
        while not self.head:
            self._step()
        return self.head

    def next(self) -> bytes:
        """The next event, without the empty line that ends it; at the end what is left."""
        self.begun()
        while b"\n\n" not in self.data and not self.over:
            self._step()
        event, _, self.data = self.data.partition(b"\n\n")
        return event

    def close(self) -> None:
        if self._h1 is not None:
            self._h1.close()
        self.sock.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Script:
    """An upstream in the test's hand: it answers a request's head, then says what it is told, piece by piece."""

    def __init__(self) -> None:
        self.origin = Origin(self._serve)
        self.words: dict[str, queue.Queue[bytes | None]] = {}
        self.form: dict[str, str] = {}
        self.asked: dict[str, dict[str, list[str]]] = {}
        self.left = threading.Semaphore(0)
        self._lock = threading.Lock()

    def tell(self, path: str, word: bytes | None) -> None:
        """Say this now; None: end."""
        self._queue(path).put(word)

    def _queue(self, path: str) -> queue.Queue[bytes | None]:
        with self._lock:
            return self.words.setdefault(path, queue.Queue())

    def _serve(self, sock: socket.socket, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        form = self.form.get(path, "chunked")
        self.asked[path] = fields(head)
        watcher = threading.Thread(target=self._watch, args=(sock,), daemon=True)
        if form != "poll":
            how = "transfer-encoding: chunked" if form == "chunked" else "connection: close"
            sock.sendall(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{how}\r\n\r\n".encode())
        watcher.start()
        while (word := self._queue(path).get(timeout=PATIENCE)) is not None:
            if form == "poll":
                sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(word), word))
            else:
                sock.sendall(b"%x\r\n%s\r\n" % (len(word), word) if form == "chunked" else word)
        if form == "chunked":
            sock.sendall(b"0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        watcher.join(PATIENCE)

    def _watch(self, sock: socket.socket) -> None:
        """Until the gateway lets go."""
        with contextlib.suppress(OSError):
            while sock.recv(4096):
                pass
        self.left.release()


@dataclass
class Site:
    gw: Gateway
    up: Script
    ca: Path

    def open(self, road: str, path: str, **more: str) -> Events:
        tls = ssl.create_default_context(cafile=str(self.ca)) if road.endswith("tls") else None
        return Events(self.gw.address("tls" if tls else "web"), path, 2 if "h2" in road else 1, tls, **more)

    def live(self, what: str) -> int:
        return int(self.gw.status()["workers"][0]["live"][what])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sse")
    ca = make(folder, "ca", cn="Test authority")
    make(folder, "a", "DNS:a.test", ca)
    (folder / "stamps.py").write_text(PLUGIN)
    up = Script()
    with gateway(folder) as gw:
        gw.start(CONFIG.format(origin=up.origin.address)).ready()
        yield Site(gw, up, ca.cert)
        assert gw.stop() == 0
    up.origin.close()


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("form", ["chunked", "closed"])
def test_each_event_comes_before_the_next_is_sent(site: Site, road: str, form: str) -> None:
    path = f"/events/{road}/{form}"
    site.up.form[path] = form
    with site.open(road, path) as client:
        assert client.begun()["content-type"] == "text/event-stream", "the head comes before any event"
        for number in range(20):
            site.up.tell(path, b"data: %d\n\n" % number)
            assert client.next() == b"data: %d" % number
        for byte in b"data: x":  # events in pieces of a byte
            site.up.tell(path, bytes([byte]))
        site.up.tell(path, b"\n\n")
        assert client.next() == b"data: x"
        site.up.tell(path, None)
        assert client.next() == b"" and client.over and not client.reset


def test_a_hook_on_the_reply_keeps_nothing_back(site: Site, road: str) -> None:
    path = f"/hooked/{road}"
    with site.open(road, path) as client:
        head = client.begun()
        assert (head["x-stamp"], head["x-waited"]) == ("sync", "yes")
        for number in range(5):
            site.up.tell(path, b"data: %d\n\n" % number)
            assert client.next() == b"data: %d" % number
        site.up.tell(path, None)
        assert client.next() == b""


def test_a_reconnecting_client_says_where_it_was(site: Site, road: str) -> None:
    """What `EventSource` does when its stream ends: it asks again with the last id that it had."""
    path, last = f"/again/{road}", ""
    for number in range(3):
        more = {"last_event_id": last} if last else {}
        with site.open(road, path, **more) as client:
            client.begun()
            assert site.up.asked[path].get("last-event-id") == ([last] if last else None)
            site.up.tell(path, b"id: %d\ndata: x\n\n" % number)
            event = client.next()
            last = dict(line.split(": ") for line in event.decode().splitlines())["id"]
            site.up.tell(path, None)
            assert client.next() == b"" and client.over
    assert last == "2"


def test_a_client_that_leaves_is_told_to_the_upstream(site: Site, road: str) -> None:
    """At once; over HTTP/1.1 without TLS it might only have ended its half, until an event finds nobody there."""
    path = f"/leaves/{road}"
    while site.up.left.acquire(blocking=False):
        pass
    with site.open(road, path) as client:
        site.up.tell(path, b"data: 1\n\n")
        assert client.next() == b"data: 1"

    def gone() -> bool:
        if road == "h1":
            site.up.tell(path, b"data: 2\n\n")
        return site.up.left.acquire(blocking=False)

    until(gone, "the upstream's connection is closed")
    site.up.tell(path, None)
    until(lambda: not site.live("exchanges"), "nothing is left")


def test_a_long_poll_is_answered_late_but_in_time(site: Site, road: str) -> None:
    """Of the three seconds that its route allows it takes two; one that takes longer is a 504."""
    path = f"/poll/{road}"
    site.up.form[path] = "poll"
    pause = threading.Event()
    with site.open(road, path) as client:
        pause.wait(2)
        site.up.tell(path, b"news")
        site.up.tell(path, None)
        assert client.begun()[":status"] == "200"
        while not client.over:
            client.next()
    site.up.form[path + "/never"] = "poll"
    with site.open(road, path + "/never") as client:
        assert client.begun()[":status"] == "504"
    site.up.tell(path + "/never", None)


@pytest.mark.parametrize("version", [1, 2])
def test_500_quiet_streams_on_one_worker(site: Site, version: int, record_property: Callable[..., None]) -> None:
    """Memory a stream is bounded; each still hears its event at once, in any order."""
    count = 500
    paths = [f"/many/{version}/{number}" for number in range(count)]
    before = site.live("block_bytes")
    clients = [site.open("h1", path) for path in paths] if version == 1 else [Many(site.gw.address(), paths)]
    try:
        for client in clients:
            client.begun()
        until(lambda: site.live("exchanges") >= count, "all of them")
        for number in (0, count // 2, count - 1):
            site.up.tell(paths[number], b"data: %d\n\n" % number)
            heard = clients[number] if version == 1 else clients[0].of(number)  # type: ignore[union-attr]
            assert heard.next() == b"data: %d" % number
        until(lambda: site.live("block_bytes") - before < count * 16_384, "what waits is copied to its own size")
        held = (site.live("block_bytes") - before) / count
        record_property(f"bytes_a_stream_h{version}", held)
        print(f"HTTP/{version}: {held:.0f} block bytes a quiet stream")
    finally:
        for client in clients:
            client.close()
        for path in paths:
            site.up.tell(path, None)
    until(lambda: not site.live("exchanges"), "nothing is left")


class Many:
    """Many streams of one HTTP/2 connection, each read as `Events` is."""

    def __init__(self, address: str, paths: list[str]) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data = {2 * n + 1: b"" for n in range(len(paths))}
        self.heads: set[int] = set()
        self.sock.sendall(self.h2.data_to_send())
        while self.h2.remote_settings.max_concurrent_streams < len(paths):
            self._step()
        for stream, path in zip(self.data, paths, strict=True):
            pseudo = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.test")]
            self.h2.send_headers(stream, pseudo, end_stream=True)
        self.sock.sendall(self.h2.data_to_send())

    def _step(self) -> None:
        for event in self.h2.receive_data(self.sock.recv(65_536)):
            if isinstance(event, h2.events.ResponseReceived):
                self.heads.add(event.stream_id)
            elif isinstance(event, h2.events.DataReceived):
                self.data[event.stream_id] += event.data
        self.sock.sendall(self.h2.data_to_send())

    def begun(self) -> None:
        while len(self.heads) < len(self.data):
            self._step()

    def of(self, number: int) -> Many:
        self.stream = 2 * number + 1
        return self

    def next(self) -> bytes:
        while b"\n\n" not in self.data[self.stream]:
            self._step()
        return self.data[self.stream].partition(b"\n\n")[0]

    def close(self) -> None:
        self.sock.close()
