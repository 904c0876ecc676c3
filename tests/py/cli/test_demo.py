"""The demo: its two upstreams over real sockets, its configuration, and how it starts and stops."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import websockets

from fastgw.cli.demo import CONFIG
from fastgw.cli.demo_apps import Orders, users
from fastgw.cli.demo_http import Origin
from fastgw.config.load import loads


@pytest.fixture
async def origin():
    """Start an origin: `await origin(handler)` is its base URL."""
    started = []

    async def start(handler):
        started.append(Origin(handler))
        return f"http://{await started[-1].listen('127.0.0.1')}"

    yield start
    for one in started:
        await one.stop()


async def raw(url, *pieces):
    """Send bytes and read until the origin closes."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
    data = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return data


async def test_users(origin):
    async with httpx.AsyncClient(base_url=await origin(users)) as client:
        assert [user["name"] for user in (await client.get("/")).json()] == ["Ada", "Grace", "Edsger"]
        assert (await client.get("/users/2")).json() == (await client.get("/2")).json() == {"id": 2, "name": "Grace"}
        assert (await client.get("/9")).status_code == 404
        head = await client.head("/1")
        assert head.headers["content-length"] == "25" and head.content == b""
        assert (await client.get("/slow?ms=10")).json() == {"slept": "10"}


async def test_echo_sees_what_was_sent(origin):
    async with httpx.AsyncClient(base_url=await origin(users)) as client:
        reply = (await client.post("/echo?a=1", content=b"body", headers={"X-Case": "v"})).json()
        assert (reply["method"], reply["target"], reply["body"]) == ("POST", "/echo?a=1", "body")
        assert ["X-Case", "v"] in reply["headers"]

        async def pieces():
            for number in range(3):
                yield b"%d," % number

        assert (await client.post("/echo", content=pieces())).json()["body"] == "0,1,2,"


async def test_events_arrive_one_by_one(origin):
    async with httpx.AsyncClient(base_url=await origin(users)) as client:
        async with client.stream("GET", "/events?n=3") as reply:
            assert reply.headers["content-type"] == "text/event-stream"
            assert [line async for line in reply.aiter_lines() if line.startswith("data")] == [
                "data: tick 0", "data: tick 1", "data: tick 2",
            ]  # fmt: skip


async def test_websocket_echo(origin):
    url = (await origin(users)).replace("http", "ws") + "/ws"
    async with websockets.connect(url, max_size=None) as ws:
        for message in ("text", b"bytes", "", "x" * 200, b"y" * 70_000, ["in ", "pieces"]):
            await ws.send(message)
            assert await ws.recv() == ("".join(message) if isinstance(message, list) else message)
        await (await ws.ping())
        await ws.send(b"z" * (1 << 20) + b"!")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await ws.recv()
        assert caught.value.rcvd.code == 1009


async def test_no_websocket_without_an_upgrade(origin):
    async with httpx.AsyncClient(base_url=await origin(users)) as client:
        assert (await client.get("/ws")).status_code == 426


async def test_orders(origin):
    async with httpx.AsyncClient(base_url=await origin(Orders())) as client:
        made = await client.post("/orders", json={"user": 2, "item": "tea"})
        assert (made.status_code, made.headers["location"]) == (201, "/orders/2")
        found = await client.get("/orders/2", headers={"x-order": "2"})
        assert found.json() == {"id": 2, "user": 2, "item": "tea"} and found.headers["x-order-seen"] == "2"
        assert len((await client.get("/orders")).json()) == 2
        assert (await client.post("/orders", content=b"{")).status_code == 400
        assert (await client.delete("/orders/2")).status_code == 405
        assert (await client.get("/orders/77")).status_code == 404


async def test_pipelining_expect_and_close(origin):
    url = await origin(users)
    one, last = b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /2 HTTP/1.1\r\nconnection: close\r\n\r\n"
    data = await raw(url, one * 3 + last)
    assert data.count(b"HTTP/1.1 200 OK") == 4 and data.count(b"Ada") == 3 and data.endswith(b'"Grace"}\n')
    head = b"POST /echo HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    assert (await raw(url, head, b"hi")).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 400),
    ],
)
async def test_what_an_origin_refuses(origin, data, status):
    assert (await raw(await origin(users), data)).startswith(b"HTTP/1.1 %d " % status)


async def test_a_unix_socket(tmp_path):
    one = Origin(users)
    try:
        assert await one.listen(str(tmp_path / "s")) == f"unix:{tmp_path}/s"
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "s"))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            assert (await client.get("/1")).json()["name"] == "Ada"
    finally:
        await one.stop()


def test_the_configuration_is_the_example():
    example = Path(__file__).resolve().parents[3] / "examples/demo.yaml"
    assert example.read_text() == CONFIG
    assert loads(CONFIG).warnings == []


def start(*arguments, **env):
    return subprocess.Popen([sys.executable, "-m", "fastgw.cli", "demo", *arguments], text=True, bufsize=1,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env})  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_upstreams_only(number):
    process = start("--upstreams-only", "--port", "0")
    try:
        found = dict(line.split(maxsplit=1) for line in (process.stdout.readline(), process.stdout.readline()))
        assert httpx.get(f"http://{found['users:'].strip()}/1").json()["name"] == "Ada"
        assert httpx.get(f"http://{found['orders:'].strip()}/orders/1").json()["user"] == 1
        process.send_signal(number)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_a_taken_port_is_told():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--port", str(taken.getsockname()[1]))
        _, error = process.communicate(timeout=30)
    assert process.returncode == 1 and "is taken" in error and "--port 0" in error


FAKE = """
import http.server, re, signal, sys
text = open(sys.argv[sys.argv.index("-c") + 1]).read()
port = int(re.search(r'admin: .bind: "127.0.0.1:(\\d+)"', text)[1])
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
    def log_message(self, *args): pass
def term(*args):
    open(__file__ + ".stopped", "w").close(); sys.exit(0)
"""


def test_six_lines_and_everything_stops(tmp_path, monkeypatch):
    """The gateway is played by a script: this is about the demo's own part, starting, waiting and stopping."""
    script = tmp_path / "gateway.py"
    script.write_text(FAKE + "signal.signal(signal.SIGTERM, term)\n"
                      "http.server.HTTPServer(('127.0.0.1', port), Ready).serve_forever()\n")  # fmt: skip
    process = _demo_with(script)
    lines = [process.stdout.readline() for _ in range(6)]
    assert [line.split(":")[0] for line in lines] == ["gateway", "admin", "try", "config", "logs", "reload"]
    config = Path(lines[3].split(maxsplit=1)[1].strip())
    assert loads(config.read_text(), str(config)).warnings == []
    assert Path(lines[4].split()[1]) == config.parent
    command, option, pid = lines[5].split(":")[1].split()
    assert (command, option) == ("kill", "-HUP") and str(script) in Path(f"/proc/{pid}/cmdline").read_text()
    process.send_signal(signal.SIGTERM)
    rest, error = process.communicate(timeout=30)
    assert (process.returncode, rest, error) == (0, "", "")
    assert not config.parent.exists()
    assert (tmp_path / "gateway.py.stopped").exists()


def test_a_gateway_that_does_not_start_is_told(tmp_path):
    script = tmp_path / "gateway.py"
    script.write_text("import sys; print('no such thing', file=sys.stderr); sys.exit(78)\n")
    process = _demo_with(script)
    output, error = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert "the gateway did not start" in error and "no such thing" in error


def _demo_with(script):
    """Run the demo with another program in the place of `python -m fastgw.cli run`."""
    code = (
        "import sys, fastgw.cli.demo as demo\n"
        f"demo.GATEWAY = [sys.executable, {str(script)!r}]\n"
        "demo.command(['--port', '0'], prog_name='demo')"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_addresses_of_the_demo_as_json():
    process = start("--upstreams-only", "--port", "0", "--json")
    try:
        text = "".join(process.stdout.readline() for _ in range(4))
        assert set(json.loads(text)) == {"users", "orders"}
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_the_accept_key_of_the_standard():
    """RFC 6455 section 1.3."""
    import hashlib

    from fastgw.cli.demo_http import _WEBSOCKET_GUID

    digest = hashlib.sha1(b"dGhlIHNhbXBsZSBub25jZQ==" + _WEBSOCKET_GUID).digest()
    assert base64.b64encode(digest) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
