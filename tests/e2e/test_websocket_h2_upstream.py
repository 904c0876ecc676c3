"""WebSocket to an upstream that speaks HTTP/2: an extended CONNECT, whichever way the client has asked.

The upstream is a second gateway, which speaks HTTP/2 to the first and HTTP/1.1 to a server of the `websockets` package.
"""

from __future__ import annotations

import contextlib
import http
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.tls_files import make

from .supervised import Gateway, gateway, until
from .ws_peers import H2WebSocket, Upstream, over_h1, upstream

NEAR = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  tls: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}], tickets: false}}}}
upstreams:
  clear: {{endpoints: ["{clear}"], protocol: h2}}
  secure: {{endpoints: ["{secure}"], protocol: auto, tls: {{ca: ca.pem, server_name: a.test}}}}
routes:
  clear: {{match: {{prefix: /clear}}, strip_prefix: true, to: clear}}
  secure: {{match: {{prefix: /secure}}, strip_prefix: true, to: secure}}
log: {{access: off}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
FAR = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  tls: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: a.pem, key: a.key}}], tickets: false}}}}
upstreams: {{up: {{endpoints: ["127.0.0.1:{port}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
ROADS = ["h1", "h2", "h1-tls", "h2-tls"]
pytestmark = pytest.mark.parametrize("far", ["clear", "secure"])


@dataclass
class Site:
    near: Gateway
    far: Gateway
    up: Upstream
    ca: Path

    def connect(self, road: str, path: str, **more: Any) -> Any:
        tls = ssl.create_default_context(cafile=str(self.ca)) if road.endswith("tls") else None
        address = self.near.address("tls" if tls else "web")
        return (H2WebSocket if road.startswith("h2") else over_h1)(address, path, tls=tls, **more)

    def quiet(self) -> None:
        for gw in (self.near, self.far):
            until(lambda gw=gw: not gw.status()["workers"][0]["live"]["exchanges"], "nothing is left")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folders = [tmp_path_factory.mktemp(name) for name in ("near", "far")]
    ca = make(folders[0], "ca", cn="Test authority")
    for folder in folders:
        make(folder, "a", "DNS:a.test", ca)
    with upstream() as up, gateway(folders[0]) as near, gateway(folders[1]) as far:
        far.start(FAR.format(port=up.port, log=far.folder / "access.log")).ready()
        near.start(NEAR.format(clear=far.address(), secure=far.address("tls"))).ready()
        yield Site(near, far, up, ca.cert)
        assert (near.stop(), far.stop()) == (0, 0)


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_messages_and_negotiation(site: Site, road: str, far: str) -> None:
    with site.connect(road, f"/{far}/echo/{road}", subprotocols=["chat.v1", "chat.v2"]) as ws:
        assert ws.subprotocol == "chat.v2"
        for message in ("text ü", b"", "x" * 70_000, os.urandom(1 << 20)):
            ws.send(message)
            assert ws.recv() == message
        ws.send(part for part in ("in ", "three ", "parts"))
        assert ws.recv() == "in three parts"
        assert ws.ping(b"there?").wait(30)
        ws.close(4001, "enough")
    assert site.up.code(f"/echo/{road}") == 4001
    seen = site.up.seen[f"/echo/{road}"]
    assert seen["via"] == ("2" if "h2" in road else "1.1") + " fastgw, 2 fastgw", "the second hop is HTTP/2"
    assert "permessage-deflate" in seen["sec-websocket-extensions"]
    site.quiet()


def test_close_codes_come_back(site: Site, road: str, far: str) -> None:
    site.up.acts["closes"] = lambda ws: ws.close(1011, "broken")
    with site.connect(road, f"/{far}/closes") as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert (ws.close_code, ws.close_reason) == (1011, "broken")
        ws.close()
    site.quiet()


def test_ends_by_force_pass_both_ways(site: Site, road: str, far: str) -> None:
    path = f"/echo/off/{road}/{far}"
    with site.connect(road, f"/{far}{path}", deflate=False) as ws:
        ws.send("hello")
        assert ws.recv() == "hello"
        ws.break_off() if isinstance(ws, H2WebSocket) else ws.socket.shutdown(2)
        assert site.up.code(path) == 1006
    site.up.acts["breaks"] = lambda ws: (ws.recv(), ws.socket.shutdown(2))  # type: ignore[assignment, return-value]
    with site.connect(road, f"/{far}/breaks") as ws:
        ws.send("now")
        with pytest.raises(ConnectionClosedError):
            ws.recv()
        assert ws.close_code == 1006
    site.quiet()


def test_a_refusal_passes_and_the_connection_serves_on(site: Site, road: str, far: str) -> None:
    site.up.refusals["/refused"] = (http.HTTPStatus.FORBIDDEN, "not you\n")
    for _ in range(3):
        with pytest.raises(InvalidStatus) as refused:
            site.connect(road, f"/{far}/refused")
        assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not you\n")
    with site.connect(road, f"/{far}/echo") as ws:
        ws.send("after all")
        assert ws.recv() == "after all"
        ws.close()
    site.quiet()


def test_many_share_connections(site: Site, road: str, far: str) -> None:
    """Tunnels are streams of the same few connections to the upstream."""
    with contextlib.ExitStack() as stack:
        paths = [f"/{far}/echo/{number}" for number in range(12)]
        open_ = [stack.enter_context(site.connect(road, path, deflate=False)) for path in paths]
        for number, ws in enumerate(open_):
            ws.send(str(number))
        assert [ws.recv() for ws in open_] == [str(number) for number in range(12)]
        lines = site.near.admin("/metrics")[1].splitlines()
        held = [float(line.split()[-1]) for line in lines if line.startswith("fgw_upstream_connections{")]
        assert held and sum(held) <= 4, "not one for each"
        for ws in open_:
            ws.close()
    site.quiet()
