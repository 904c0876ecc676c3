"""Proxied traffic through a live gateway: third-party clients on one side, a scripted origin on the other."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import websockets

from tests.programs import program

from .supervised import Gateway, gateway, until

Script = Callable[[socket.socket, bytes], bool]
"""Given a connection and one request's bytes (head and body): answer; False closes the connection."""


class Origin:
    """An HTTP/1.1 origin on raw sockets; what it says is up to the script set for the path's first segment."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.server.getsockname()[1]
        self.scripts: dict[str, Script] = {}
        self.seen: list[bytes] = []
        self.closed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(30)
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    if not (got := peer.recv(65536)):
                        return
                    buffer += got
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                while len(buffer) < length:
                    if not (got := peer.recv(65536)):
                        return
                    buffer += got
                if b"transfer-encoding: chunked" in head.lower():
                    while not buffer.endswith(b"\r\n\r\n"):
                        buffer += peer.recv(65536)
                    length = len(buffer)
                request, buffer = head + b"\r\n\r\n" + buffer[:length], buffer[length:]
                self.seen.append(request)
                name = request.split(b" ")[1].split(b"?")[0].strip(b"/").split(b"/")[0].decode()
                if not self.scripts.get(name, answer())(peer, request):
                    return
        except OSError:
            return
        finally:
            self.closed += 1
            peer.close()


def answer(body: bytes = b"fine", status: str = "200 OK", fields: bytes = b"") -> Script:
    def script(peer: socket.socket, request: bytes) -> bool:
        length = b"" if status.startswith(("204", "304")) else b"Content-Length: %d\r\n" % len(body)
        text = b"HTTP/1.1 " + status.encode() + b"\r\n" + fields + length + b"\r\n"
        peer.sendall(text if request.startswith(b"HEAD") or not length else text + body)
        return True

    return script


def raw(data: bytes, keep: bool = False) -> Script:
    def script(peer: socket.socket, request: bytes) -> bool:
        peer.sendall(data)
        return keep

    return script


def config(origin: Origin, more: str = "") -> str:
    return f"""
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  o: {{endpoints: ["127.0.0.1:{origin.port}"]}}
  dead: {{endpoints: ["127.0.0.1:1"]}}
  mixed: {{endpoints: ["127.0.0.1:1", "127.0.0.1:{origin.port}"]}}
  slow: {{endpoints: ["127.0.0.1:{origin.port}"], timeouts: {{first_byte: 300ms}}}}
routes:
  all: {{match: {{prefix: /}}, to: o}}
  dead: {{match: {{prefix: /dead}}, to: dead}}
  mixed: {{match: {{prefix: /mixed}}, to: mixed}}
  hang: {{match: {{prefix: /hang}}, to: slow}}
  stripped: {{match: {{prefix: /strip}}, strip_prefix: true, to: o}}
  one: {{match: {{pattern: "/item/{{id}}"}}, chain: [{{headers: {{set: {{x-item: "{{id}}"}}, reply: {{remove: [x-secret]}}}}}}], to: o}}
  hello: {{match: {{exact: /hello}}, to: {{static: {{status: 200, body: "hello\\n", headers: {{content-type: text/plain}}}}}}}}
  moved: {{match: {{exact: /moved}}, to: {{redirect: {{to: /hello, status: 308}}}}}}
admin: {{bind: "127.0.0.1:0"}}
log: {{access: {{format: json, to: stdout}}}}
{more}"""  # noqa: E501


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.server.close()


@pytest.fixture(scope="module")
def live(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("proxy")) as made:
        yield made.start(config(origin), "--workers", "1").ready()
        if made.child is not None and made.child.poll() is None:
            assert made.stop() == 0


@pytest.fixture
def url(live: Gateway) -> str:
    return "http://" + live.address()


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["curl", "-sS", "--max-time", "10", *arguments], capture_output=True, check=False)


def talk(address: str, data: bytes, *, half_close: bool = False) -> bytes:
    """Everything a gateway says to these bytes until it closes or is done with one answer."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        got = b""
        while piece := s.recv(65536):
            got += piece
        return got


def test_a_request_passes_and_says_where_it_came_from(url: str, origin: Origin) -> None:
    origin.scripts["a"] = answer(b"body of a")
    reply = httpx.get(url + "/a/b?x=1", headers={"X-Forwarded-For": "6.6.6.6", "X-Case": "Kept"})
    assert (reply.status_code, reply.text) == (200, "body of a")
    head = origin.seen[-1]
    assert head.startswith(b"GET /a/b?x=1 HTTP/1.1\r\nHost: ")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in head and b"6.6.6.6" not in head  # a spoofed one is not believed
    assert b"Via: 1.1 fastgw" in head and b"X-Request-Id: " in head and b"Forwarded: for=127.0.0.1;" in head
    assert b"x-case: Kept" in head.replace(b"X-Case", b"x-case")


@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 65535, 3_000_000])
def test_sized_bodies_both_ways(url: str, origin: Origin, size: int) -> None:
    body = bytes(i % 251 for i in range(size))
    origin.scripts["echo"] = lambda peer, request: answer(request.partition(b"\r\n\r\n")[2])(peer, request)
    reply = httpx.post(url + "/echo", content=body, timeout=20)
    assert reply.status_code == 200 and reply.content == body


def test_chunked_both_ways_with_trailers(live: Gateway, origin: Origin) -> None:
    got: list[bytes] = []

    def chunked(peer: socket.socket, request: bytes) -> bool:
        got.append(request.partition(b"\r\n\r\n")[2])
        peer.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n"  # noqa: E501
        )
        return False

    origin.scripts["chunked"] = chunked
    said = talk(
        live.address(),
        b"POST /chunked HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nx-check: 1\r\n\r\n",
    )
    assert said.endswith(b"5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n")
    assert b"abc" in got[0] and b"ext" not in got[0] and got[0].endswith(b"0\r\nx-check: 1\r\n\r\n")


def test_head_204_304_have_no_body(url: str, origin: Origin) -> None:
    origin.scripts["n"] = answer(status="204 No Content")
    origin.scripts["m"] = answer(status="304 Not Modified")
    origin.scripts["h"] = answer(b"12345")
    with httpx.Client() as client:
        assert client.get(url + "/n").status_code == 204
        assert client.get(url + "/m").status_code == 304
        reply = client.head(url + "/h")
        assert reply.headers["content-length"] == "5" and reply.content == b""
        assert client.get(url + "/h").text == "12345"  # the connection is still in step


def test_pipelined_requests_are_answered_in_order(live: Gateway, origin: Origin) -> None:
    origin.scripts["p"] = lambda peer, request: answer(request.split(b" ")[1])(peer, request)
    said = talk(
        live.address(),
        b"".join(b"GET /p/%d HTTP/1.1\r\nHost: h\r\n\r\n" % i for i in range(40))
        + b"GET /p/last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    )
    positions = [said.index(b"\r\n\r\n/p/%d" % i) for i in range(40)]
    assert positions == sorted(positions) and said.endswith(b"/p/last")


def test_close_delimited_and_http10(live: Gateway, origin: Origin) -> None:
    origin.scripts["old"] = raw(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
    assert curl("http://" + live.address() + "/old").stdout == b"until the end"
    said = talk(live.address(), b"GET /old HTTP/1.0\r\n\r\n")
    assert said.endswith(b"\r\n\r\nuntil the end") and b"chunked" not in said.lower()


def test_curl_expects_continue(url: str, origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 1_500_000)
    origin.scripts["up"] = lambda peer, request: answer(b"%d" % len(request.partition(b"\r\n\r\n")[2]))(peer, request)
    done = curl("-H", "Expect: 100-continue", "--data-binary", f"@{tmp_path / 'body'}", url + "/up")
    assert done.stdout == b"1500000", done.stderr


def test_an_early_hint_and_a_100_pass(live: Gateway, origin: Origin) -> None:
    origin.scripts["hint"] = raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keep=True
    )
    said = talk(live.address(), b"GET /hint HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n") and said.endswith(
        b"ok"
    )


def test_routes_steps_and_answers_of_our_own(url: str, origin: Origin) -> None:
    origin.scripts["item"] = answer(fields=b"X-Secret: 1\r\nX-Open: 2\r\n")
    reply = httpx.get(url + "/item/42")
    assert b"x-item: 42\r\n" in origin.seen[-1] and "x-secret" not in reply.headers and reply.headers["x-open"] == "2"
    httpx.get(url + "/strip/deep/er")
    assert origin.seen[-1].startswith(b"GET /deep/er HTTP/1.1\r\n")
    assert httpx.get(url + "/hello").text == "hello\n"
    moved = httpx.get(url + "/moved")
    assert (moved.status_code, moved.headers["location"]) == (308, "/hello")
    assert httpx.get(url + "/a/%2e%2e/hello").text == "hello\n"  # normalised once, then matched


def test_a_dead_upstream_is_a_502_that_says_why(url: str) -> None:
    reply = httpx.get(url + "/dead")
    assert reply.status_code == 502 and reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["reason"] == "connect_refused"


def test_a_dead_endpoint_is_passed_over(url: str) -> None:
    assert [httpx.get(url + "/mixed").status_code for _ in range(6)] == [200] * 6


def test_a_silent_upstream_is_a_504(url: str, origin: Origin) -> None:
    origin.scripts["hang"] = lambda peer, request: bool(peer.recv(1))  # until the gateway gives up
    reply = httpx.get(url + "/hang", timeout=10)
    assert (reply.status_code, reply.json()["reason"]) == (504, "first_byte_timeout")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "upstream_closed"),
        (b"HTTP/1.1 20", "upstream_closed"),
        (b"SSH-2.0-OpenSSH\r\n", "upstream_bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "upstream_bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "upstream_bad_answer"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "upstream_bad_upgrade",
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "upstream_head_too_long"),
    ],
)
def test_a_bad_answer_is_a_502(url: str, origin: Origin, said: bytes, reason: str) -> None:
    origin.scripts["bad"] = raw(said)
    reply = httpx.post(url + "/bad", content=b"x")
    assert (reply.status_code, reply.json()["reason"]) == (502, reason)


def test_a_truncated_body_is_seen_to_be_unfinished(url: str, origin: Origin) -> None:
    origin.scripts["cut"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url + "/cut")
    origin.scripts["cut"] = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url + "/cut")


def test_a_post_is_not_sent_twice(url: str, origin: Origin) -> None:
    origin.scripts["once"] = answer()
    with httpx.Client() as client:
        client.get(url + "/once")  # warms the connection
        origin.scripts["twice"] = raw(b"")
        before = len(origin.seen)
        assert client.post(url + "/twice", content=b"pay").status_code == 502
        assert len(origin.seen) == before + 1


def test_a_client_that_leaves_cancels_the_upstream(live: Gateway, origin: Origin) -> None:
    waiting = threading.Event()

    def wait(peer: socket.socket, request: bytes) -> bool:
        waiting.set()
        return bool(peer.recv(1))

    origin.scripts["left"] = wait
    host, _, port = live.address().rpartition(":")
    before = origin.closed
    with socket.create_connection((host, int(port))) as s:
        s.sendall(b"GET /left HTTP/1.1\r\nHost: h\r\n\r\n")
        assert waiting.wait(10)
    until(lambda: origin.closed > before, "the upstream connection is closed")


def test_a_half_closed_client_still_gets_its_answer(live: Gateway) -> None:
    said = talk(live.address(), b"GET /half HTTP/1.1\r\nHost: h\r\n\r\n", half_close=True)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n") and said.endswith(b"fine")


def test_websockets_pass_both_ways(url: str, tmp_path: Path) -> None:
    async def run() -> None:
        async def echo(ws) -> None:
            async for message in ws:
                await ws.send(message)
            await ws.close(4001, "bye")

        async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            text = (
                f'listeners: {{web: {{bind: "127.0.0.1:0"}}}}\nupstreams: {{w: {{endpoints: ["127.0.0.1:{port}"]}}}}\n'
                'routes: {w: {match: {prefix: /}, to: w}}\nadmin: {bind: "127.0.0.1:0"}\nlog: {access: off}\n'
            )
            with gateway(tmp_path) as own:
                await asyncio.to_thread(lambda: own.start(text, "--workers", "1").ready())
                async with websockets.connect("ws://" + own.address() + "/chat", max_size=None) as ws:
                    for message in ("text", b"bytes", "x" * 3_000_000):
                        await ws.send(message)
                        assert await ws.recv() == message
                    await ws.send(part for part in ("in ", "three ", "parts"))
                    assert await ws.recv() == "in three parts"
                    await ws.close(4002, "enough")
                    assert ws.close_code == 4002
                assert await asyncio.to_thread(own.stop) == 0

    asyncio.run(run())


def test_wrk_sees_no_error(live: Gateway, origin: Origin) -> None:
    done = subprocess.run(
        [program("wrk"), "-t1", "-c32", "-d2", "http://" + live.address() + "/hello"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout


def test_nothing_is_left_and_the_log_is_whole(live: Gateway, origin: Origin) -> None:
    worker = until(
        lambda: next(
            (w for w in live.status()["workers"] if not w["live"]["exchanges"] and not w["live"]["conns"]), None
        ),
        "idle",
    )
    assert worker["restarts"] == 0 and worker["live"]["tries"] == 0
    rows = [row for row in live.lines() if row.get("route") == "one"]
    assert (
        rows
        and rows[-1]["status"] == 200
        and rows[-1]["upstream"] == "o"
        and rows[-1]["endpoint"] == f"127.0.0.1:{origin.port}"
    )
