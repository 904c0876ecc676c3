"""HTTP/2 from clients not ours (curl, h2load, python-h2) before an HTTP/1 upstream: all forms, ends from each side."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.hostile.h2_wire import DATA, END_HEADERS, END_STREAM, Hostile, frame, headers, number, request
from tests.hostile.origin import Origin, Reply, ok

from .supervised import Gateway, gateway, until

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["{origin}"]}}}}
routes: {{all: {{match: {{prefix: /}}, to: up}}}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
EH, ES, RST, CANCEL, INTERNAL = END_HEADERS, END_STREAM, 3, 8, 2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("h2")
    with gateway(folder) as made:
        made.start(CONFIG.format(origin=origin.address, log=folder / "access.log")).ready()
        yield made
        made.stop()


def curl(gw: Gateway, path: str, *options: str, data: bytes | None = None) -> tuple[str, bytes]:
    """What curl writes with -w '%{http_version} %{http_code}', and the body."""
    command = ["curl", "-sS", "--max-time", "30", "--http2-prior-knowledge", *options]
    command += ["-w", "%{stderr}%{http_version} %{http_code}"]
    done = subprocess.run([*command, f"http://{gw.address()}{path}"], input=data, capture_output=True, check=False)
    return done.stderr.decode(), done.stdout


def test_no_body_and_head(gw: Gateway, origin: Origin) -> None:
    origin.scripts["/none"] = Reply(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert curl(gw, "/none") == ("2 204", b"")
    assert curl(gw, "/some") == ("2 200", b"ok\n")
    origin.scripts["/head"] = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    told, head = curl(gw, "/head", "-I")
    assert told == "2 200" and b"content-length: 9" in head


def test_cookies_host_and_forwarding(gw: Gateway, origin: Origin) -> None:
    crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")]
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/crumbs", extra=crumbs)))
        assert peer.answer(1) == 200
    seen = origin.seen["/crumbs"][0]
    assert seen.values(b"cookie") == [b"a=1; b=2"] and seen.values(b"host") == [b"h"]
    assert seen.values(b"via")[0].startswith(b"2 ")


@pytest.mark.parametrize("options", [("--data-binary", "@-"), ("-T", "-", "-X", "POST")], ids=["sized", "streamed"])
def test_bodies_up(gw: Gateway, origin: Origin, options: tuple[str, ...]) -> None:
    body = os.urandom(3_000_000)
    path = f"/up{len(options)}"
    assert curl(gw, path, *options, data=body) == ("2 200", b"ok\n")
    assert origin.seen[path][0].body == body


def test_bodies_down(gw: Gateway, origin: Origin, tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    origin.scripts["/sized"] = Reply(ok(body))
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    origin.scripts["/chunked"] = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    origin.scripts["/closed"] = Reply(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, "close")
    for path in ("/sized", "/chunked", "/closed"):
        assert curl(gw, path) == ("2 200", body)


def test_trailers_both_ways_and_interim_answers(gw: Gateway, origin: Origin) -> None:
    origin.scripts["/t"] = Reply(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED)
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/t", "POST", [("te", "trailers")]), EH))
        peer.send(frame(DATA, 0, 1, b"xyz") + headers(1, [("x-up", "1")]))
        assert peer.answer(1) == 200
        assert (peer.heard.interim[1], peer.heard.body[1], peer.heard.trailers[1]) == ([103], b"abc", [("x-t", "1")])
    assert (origin.seen["/t"][0].body, origin.seen["/t"][0].trailers) == (b"xyz", [(b"x-up", b"1")])


def test_an_upstream_that_breaks_off_is_a_reset(gw: Gateway, origin: Origin) -> None:
    origin.scripts["/cut"] = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "close", True)
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/cut")))
        assert peer.answer(1) is None and peer.heard.resets[1] == INTERNAL
        peer.send(headers(3, request("/after")))
        assert peer.answer(3) == 200


def test_a_client_that_resets_ends_its_request_upstream(gw: Gateway) -> None:
    """The upstream sees its connection close; the client's other streams go on."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(20)
            sock.recv(65536)
            ended.set() if sock.recv(65536) == b"" else None

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with gateway(gw.folder / "reset") as other:
        other.folder.mkdir()
        other.start(CONFIG.format(origin=f"127.0.0.1:{listener.getsockname()[1]}", log="stdout")).ready()
        with Hostile(other.address()) as peer:
            peer.send(headers(1, request("/slow")))
            peer.settle()
            peer.send(number(RST, 1, CANCEL))
            assert ended.wait(20)
            assert not peer.settle().goaway
        other.stop()
    listener.close()


def test_one_slow_stream_holds_no_other(gw: Gateway, origin: Origin) -> None:
    origin.scripts["/big"] = Reply(ok(b"x" * 8_000_000))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.increment_flow_control_window(1 << 24)
    host, _, port = gw.address().partition(":")
    with socket.create_connection((host, int(port)), 20) as sock:
        for stream in (1, 3, 5):
            client.send_headers(stream, request("/big"), end_stream=True)
        client.increment_flow_control_window(1 << 24, 3)
        client.increment_flow_control_window(1 << 24, 5)
        sock.sendall(client.data_to_send())
        got, over = {1: 0, 3: 0, 5: 0}, set()
        while over != {3, 5}:
            for event in client.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    got[event.stream_id] += len(event.data)
                if isinstance(event, h2.events.StreamEnded):
                    over.add(event.stream_id)
            sock.sendall(client.data_to_send())
        assert got[1] <= 65_535 and got[3] == got[5] == 8_000_000


def test_a_drain_finishes_what_has_begun(origin: Origin, tmp_path: Path) -> None:
    with gateway(tmp_path) as gw:
        gw.start(CONFIG.format(origin=origin.address, log="stdout")).ready()
        with Hostile(gw.address()) as peer:
            peer.send(headers(1, request("/drained", "POST"), EH))
            peer.settle()
            gw.send(15)
            peer.until(lambda h: len(h.goaway) == 2)
            assert peer.heard.goaway == [0, 0] and peer.heard.last == [0x7FFFFFFF, 1]
            peer.send(frame(DATA, ES, 1, b"end"))
            assert peer.answer(1) == 200 and peer.end().over
        assert gw.wait() == 0
    assert origin.seen["/drained"][0].body == b"end"


def test_h2load_and_the_log(gw: Gateway) -> None:
    told = subprocess.run(["h2load", "-n", "3000", "-c", "8", "-m", "16", f"http://{gw.address()}/load"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert re.search(r"3000 succeeded, 0 failed, 0 errored", told), told
    log = gw.folder / "access.log"
    until(lambda: log.read_text().count('"target":"/load","host"') >= 3000, "3,000 lines")
    assert log.read_text().count('"protocol":"HTTP/2"') >= 3000
