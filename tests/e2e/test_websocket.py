"""WebSocket through a live gateway by four roads: HTTP/1.1 and HTTP/2 (RFC 8441), each plain and over TLS.

The upstream speaks HTTP/1.1. Both ends are the `websockets` package; over HTTP/2 the client is `ws_peers.H2WebSocket`,
which carries its protocol in a stream.
"""

from __future__ import annotations

import contextlib
import http
import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.server import ServerConnection

from tests.tls_files import make

from .peers import rows
from .supervised import Gateway, gateway, until
from .ws_peers import H2WebSocket, Upstream, over_h1, upstream

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  tls: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}], tickets: false}}}}
upstreams: {{up: {{endpoints: ["127.0.0.1:{port}"]}}}}
routes:
  tagged:
    match: {{prefix: /tagged}}
    chain:
      - headers: {{set: {{x-from: gateway}}, reply: {{set: {{x-reply: "yes"}}}}}}
      - concurrency: {{max: 1, by: route}}
    to: up
  page: {{match: {{exact: /page}}, to: {{static: {{body: "hello\\n"}}}}}}
  all: {{match: {{prefix: /, methods: [GET]}}, to: up}}
timeouts: {{drain: 3s}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
ROADS = ["h1", "h2", "h1-tls", "h2-tls"]
HELD = 1 << 20  # what one stream may hold: windows of 64 KiB either way, in blocks of 64, and the loop's own
CANCEL = 8
Connect = Callable[..., Any]


@dataclass
class Site:
    gw: Gateway
    up: Upstream
    ca: Path

    @property
    def text(self) -> str:
        return CONFIG.format(port=self.up.port, log=self.gw.folder / "access.log")

    def connect(self, road: str, path: str, **more: Any) -> Any:
        tls = ssl.create_default_context(cafile=str(self.ca)) if road.endswith("tls") else None
        address = self.gw.address("tls" if tls else "web")
        return (H2WebSocket if road.startswith("h2") else over_h1)(address, path, tls=tls, **more)

    def held(self) -> int:
        return int(self.gw.status()["workers"][0]["live"]["block_bytes"])

    def exchanges(self) -> int:
        return int(self.gw.status()["workers"][0]["live"]["exchanges"])

    def tunnels(self) -> float:
        line = next(each for each in self.gw.admin("/metrics")[1].splitlines() if each.startswith("fgw_tunnels"))
        return float(line.rpartition(" ")[2])


def built(folder: Path, up: Upstream) -> tuple[Gateway, Path]:
    ca = make(folder, "ca", cn="Test authority")
    make(folder, "a", "DNS:a.test", ca)
    return Gateway(folder), ca.cert


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ws")
    with upstream() as up, gateway(folder):
        gw, ca = built(folder, up)
        made = Site(gw, up, ca)
        try:
            gw.start(made.text).ready()
            yield made
            assert gw.stop() == 0
        finally:
            gw.clean()


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_messages_of_every_kind_both_ways(site: Site, road: str, deflate: bool) -> None:
    """Text, bytes, fragments; permessage-deflate is agreed between the ends and passes as it is."""
    with site.connect(road, "/echo", deflate=deflate) as ws:
        offered = "permessage-deflate" in site.up.seen["/echo"].get("sec-websocket-extensions", "")
        assert offered is deflate
        for message in ("text ü", b"bytes \0\xff", "", b"", "x" * 70_000, os.urandom(300_000)):
            ws.send(message)
            assert ws.recv() == message
        ws.send(part for part in ("in ", "three ", "parts"))
        assert ws.recv() == "in three parts"
        ws.close()
        assert ws.close_code == 1000


@pytest.mark.parametrize(("road", "deflate"), [("h1", False), ("h1-tls", True), ("h2", True), ("h2-tls", False)])
def test_a_message_of_16_mib(site: Site, road: str, deflate: bool) -> None:
    message = os.urandom(1 << 20) * 16
    with site.connect(road, "/echo/big", deflate=deflate) as ws:
        ws.send(message)
        assert ws.recv() == message
        ws.close()


def test_pings_are_answered_by_the_other_end(site: Site, road: str) -> None:
    site.up.acts["pinger"] = lambda ws: ws.send("pong came" if ws.ping(b"from the server").wait(30) else "none")
    with site.connect(road, "/echo/ping") as ws:
        assert ws.ping(b"are you there").wait(30)
        ws.close()
    with site.connect(road, "/pinger") as ws:
        assert ws.recv() == "pong came"
        ws.close()


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4001, 4999])
def test_close_codes_both_ways(site: Site, road: str, code: int) -> None:
    site.up.acts["closes"] = lambda ws: ws.close(int(ws.request.path.rpartition("/")[2]), "said the server")
    path = f"/echo/{road}/{code}"
    with site.connect(road, path) as ws:
        ws.close(code, "said the client")
    assert site.up.code(path) == code
    path = f"/closes/{road}/{code}"
    with site.connect(road, path) as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert (ws.close_code, ws.close_reason) == (code, "said the server")
        ws.close()
    assert site.up.code(path) == code


def test_a_client_that_breaks_off_is_abnormal_upstream(site: Site, road: str) -> None:
    path = f"/echo/off/{road}"
    with site.connect(road, path, deflate=False) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
        ws.break_off() if isinstance(ws, H2WebSocket) else ws.socket.shutdown(2)
        assert site.up.code(path) == 1006
    until(lambda: not site.exchanges(), "nothing is left")


def test_an_upstream_that_breaks_off_is_abnormal_for_the_client(site: Site, road: str) -> None:
    site.up.acts["breaks"] = lambda ws: (ws.recv(), ws.socket.shutdown(2))  # type: ignore[assignment, return-value]
    with site.connect(road, "/breaks") as ws:
        ws.send("now")
        with pytest.raises(ConnectionClosedError):
            ws.recv()
        assert ws.close_code == 1006
    until(lambda: not site.exchanges(), "nothing is left")


def test_the_subprotocol_is_the_upstreams_choice(site: Site, road: str) -> None:
    with site.connect(road, "/echo", subprotocols=["other", "chat.v1", "chat.v2"]) as ws:
        assert ws.subprotocol == "chat.v2"
        ws.close()
    with site.connect(road, "/echo") as ws:
        assert ws.subprotocol is None
        ws.close()


def test_a_refused_handshake_passes_with_its_body(site: Site, road: str) -> None:
    site.up.refusals["/refused"] = (http.HTTPStatus.FORBIDDEN, "not you\n")
    with pytest.raises(InvalidStatus) as refused:
        site.connect(road, "/refused")
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not you\n")


def test_it_is_a_get_for_routes_and_meets_their_steps(site: Site, road: str) -> None:
    site.up.acts["tagged"] = site.up.acts["echo"]
    path = f"/tagged/{road}"
    with site.connect(road, path) as ws:
        seen = site.up.seen[path]
        assert seen["x-from"] == "gateway"
        assert seen["via"].startswith("2 " if "h2" in road else "1.1 ")
        answer = ws.answer if isinstance(ws, H2WebSocket) else ws.response.headers
        assert answer["x-reply"] == "yes"
        assert isinstance(ws, H2WebSocket) is ("sec-websocket-accept" not in answer)
        with pytest.raises(InvalidStatus) as second:
            site.connect(road, path)
        assert second.value.response.status_code == 429, "a tunnel holds its place"
        ws.close()
    until(lambda: not site.exchanges(), "the place is free")
    with site.connect(road, path) as ws:
        ws.close()


def test_a_page_is_no_websocket(site: Site) -> None:
    """Over HTTP/2 a 2xx would say that the tunnel is open; HTTP/1.1 tells the two apart by 101."""
    for road in ROADS:
        with pytest.raises(InvalidStatus) as refused:
            site.connect(road, "/page")
        assert refused.value.response.status_code == (502 if "h2" in road else 200)


def test_log_and_metrics_say_the_same_on_every_road(site: Site, road: str) -> None:
    path = f"/echo/logged/{road}"
    with site.connect(road, path, deflate=False) as ws:
        until(lambda: site.tunnels() == 1, "one tunnel")
        ws.send("x" * 100)
        assert ws.recv() == "x" * 100
        ws.close()
    until(lambda: site.tunnels() == 0, "no tunnel")
    lines = until(lambda: [row for row in rows(site.gw.folder / "access.log", 1) if row["target"] == path], "its line")
    line = lines[0]
    assert (line["method"], line["status"], line["route"], line["upstream"]) == ("GET", 101, "all", "up")
    assert line["protocol"] == ("HTTP/2" if "h2" in road else "HTTP/1.1")
    assert line["bytes_in"] > 100 and line["bytes_out"] > 100 and line.get("reason", "ok") == "ok"


def test_who_reads_slowly_stops_the_sender_and_memory_stays(site: Site, road: str) -> None:
    sent, go = [0], threading.Event()
    piece, many = os.urandom(1 << 20), 32 if "h2" in road else 96

    def push(ws: ServerConnection) -> None:
        for _ in range(many):
            ws.send(piece)
            sent[0] += 1

    def lazy(ws: ServerConnection) -> None:
        assert go.wait(60)
        for _ in range(24):
            assert ws.recv() == piece

    site.up.acts |= {f"push-{road}": push, f"lazy-{road}": lazy}
    before = site.held()
    with site.connect(road, f"/push-{road}", deflate=False) as ws:
        assert stuck(lambda: sent[0]) < many  # the client over HTTP/1.1 holds 16 messages itself
        assert site.held() - before < HELD
        got = [ws.recv() for _ in range(many)]
        assert all(each == piece for each in got)
        ws.close()
    gone = [0]
    with site.connect(road, f"/lazy-{road}", deflate=False) as ws:
        def send() -> None:
            for _ in range(24):
                ws.send(piece)
                gone[0] += 1

        sender = threading.Thread(target=send)
        sender.start()
        stuck(lambda: gone[0])
        assert site.held() - before < HELD
        go.set()
        sender.join(60)
        assert gone[0] == 24
        ws.close()


def stuck(count: Callable[[], int]) -> int:
    """Wait until a count has stood still for a second; the count."""
    seen = -1
    while seen != count():
        seen = count()
        try:
            until(lambda seen=seen: count() != seen, "more", 1)
        except AssertionError:
            break
    return seen


@contextlib.contextmanager
def another(site: Site, folder: Path, change: Callable[[str], str] = str) -> Iterator[Site]:
    """A gateway of a test's own before the same upstream."""
    gw, ca = built(folder, site.up)
    made = Site(gw, site.up, ca)
    try:
        gw.start(change(made.text)).ready()
        yield made
    finally:
        gw.clean()


def test_reloads_leave_it_alone_and_a_drain_until_its_deadline(site: Site, tmp_path: Path) -> None:
    with another(site, tmp_path) as own, contextlib.ExitStack() as stack:
        open_ = {road: stack.enter_context(own.connect(road, f"/echo/kept/{road}")) for road in ROADS}
        gone = own.text.replace("to: up", "to: {static: {body: gone}}").replace("{up: {endpoints", "{other: {endpoints")
        for number, text in enumerate((own.text, own.text + "# again\n", gone)):
            assert own.gw.reload(text)["ok"]
            for ws in open_.values():
                ws.send(f"after {number}")
                assert ws.recv() == f"after {number}"
        own.gw.send(signal.SIGTERM)
        own.gw.line("stopping")
        for ws in open_.values():
            ws.send("draining")
            assert ws.recv() == "draining"
        for road, ws in open_.items():
            with pytest.raises(ConnectionClosed):
                ws.recv()
            assert ws.close_code == 1006, road
            assert not isinstance(ws, H2WebSocket) or ws.goaway
        assert own.gw.wait() == 0


@pytest.mark.parametrize(("times", "word"), [("tunnel: 1s", "tunnel_idle"), ("tunnel_max: 2s", "tunnel_max")])
def test_silence_and_age_end_it_on_both_sides(site: Site, tmp_path: Path, times: str, word: str) -> None:
    def timed(text: str) -> str:
        return text.replace("all: {match: {prefix: /,", f"all: {{timeouts: {{{times}}}, match: {{prefix: /,")

    with another(site, tmp_path, timed) as own:
        for road in ROADS:
            path = f"/echo/{word}/{road}"
            with own.connect(road, path) as ws:
                with pytest.raises(ConnectionClosed):
                    while word == "tunnel_max":  # busy all its life
                        ws.send("x")
                        ws.recv()
                    ws.recv()
                assert ws.close_code == 1006
                assert not isinstance(ws, H2WebSocket) or ws.reset == CANCEL
            assert site.up.code(path) == 1006
        until(lambda: not own.exchanges(), "nothing is left")
        assert [line["reason"] for line in rows(own.gw.folder / "access.log", len(ROADS))] == [word] * len(ROADS)
        assert own.gw.stop() == 0
