# ruff: noqa: E501
"""What the gateway itself says to calls of gRPC, and what it does with their time-outs. The clients are grpcio's."""

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grpcio import grpc
from tests.hostile.h2_wire import DATA, END_HEADERS, END_STREAM, Hostile, frame, headers, request
from tests.hostile.origin import Origin, Reply

from .grpc_peers import Code, calls, channel, logged, outcome, words
from .supervised import Gateway, gateway, until
from .test_examples import here

PLUGINS = Path(__file__).parent / "plugins"
CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams:
  up: {{endpoints: ["{origin}"]}}
  slow: {{endpoints: ["{silent}"]}}
  late: {{endpoints: ["{silent}"], timeouts: {{first_byte: 150ms}}}}
  none: {{endpoints: ["127.0.0.1:1"]}}
plugins: {{path: ["{plugins}"]}}
limits: {{fields: 20}}
routes:
  up: {{match: {{prefix: /up}}, grpc: true, to: up}}
  slow: {{match: {{prefix: /slow}}, grpc: true, to: slow}}
  capped: {{match: {{prefix: /capped}}, timeouts: {{request: 200ms}}, to: slow}}
  late: {{match: {{prefix: /late}}, to: late}}
  none: {{match: {{prefix: /none}}, to: none}}
  get: {{match: {{prefix: /get, methods: GET}}, to: up}}
  small: {{match: {{prefix: /small}}, limits: {{body: 10}}, to: up}}
  text: {{match: {{prefix: /text}}, to: {{static: {{status: 401, body: "no entry: 100 %\\n"}}}}}}
  json: {{match: {{prefix: /json}}, to: {{static: {{status: 412, body: "{{}}", headers: {{content-type: application/json}}}}}}}}
  own: {{match: {{prefix: /own}}, to: {{static: {{headers: {{content-type: application/grpc, grpc-status: "5", grpc-message: "not here"}}}}}}}}
  away: {{match: {{prefix: /away}}, to: {{redirect: {{to: "/else"}}}}}}
  once: {{match: {{prefix: /once}}, chain: [{{rate_limit: {{rate: 1/h, name: once}}}}], to: {{static: {{headers: {{grpc-status: "0"}}}}}}}}
  deny: {{match: {{prefix: /deny}}, chain: [{{headers: {{reply: {{set: {{x-route: "{{route}}"}}}}}}}}, {{use: "calls:Refuse", with: {{status: 403, problem: "not for yöu"}}}}], to: up}}
  say: {{match: {{prefix: /say}}, chain: [{{use: "calls:Refuse", name: say, with: {{status: 401, body: "who are you?\\n"}}}}], to: up}}
  raise: {{match: {{prefix: /raise}}, chain: [{{use: "calls:Raise"}}], to: up}}
  after: {{match: {{prefix: /after}}, chain: [{{use: "calls:RefuseAnswers", with: {{status: 404}}}}], to: up}}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.close()


class Silent:
    """An upstream that takes requests and never answers; `ended`: how many of their connections were closed to it."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.heads: list[bytes] = []
        self.ended = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(sock,), daemon=True).start()

    def _hold(self, sock: socket.socket) -> None:
        with sock:
            first = sock.recv(65536)
            self.heads.append(first)
            while sock.recv(65536):
                pass
            self.ended += 1


@pytest.fixture(scope="module")
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.sock.close()


@pytest.fixture(scope="module")
def gw(tmp_path_factory: pytest.TempPathFactory, origin: Origin, silent: Silent) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("grpc")
    with gateway(folder) as made:
        text = CONFIG.format(origin=origin.address, silent=silent.address, plugins=PLUGINS, log=folder / "access.log")
        made.start(text).ready()
        yield made
        made.stop()


@pytest.fixture
def ch(gw: Gateway) -> Iterator[grpc.Channel]:
    with channel(gw.address()) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/nowhere/M", Code.UNIMPLEMENTED, "no route matches this request"),
        ("/get/M", Code.UNIMPLEMENTED, "no route here takes this method"),
        ("/none/M", Code.UNAVAILABLE, "the upstream refused the connection"),
        ("/late/M", Code.DEADLINE_EXCEEDED, "the upstream did not begin its answer in time"),
        ("/small/M", Code.RESOURCE_EXHAUSTED, "the body is longer than allowed"),
        ("/text/M", Code.UNAUTHENTICATED, "no entry: 100 %"),
        ("/json/M", Code.FAILED_PRECONDITION, "Precondition Failed"),
        ("/own/M", Code.NOT_FOUND, "not here"),
        ("/away/M", Code.UNKNOWN, "Found"),
        ("/deny/M", Code.PERMISSION_DENIED, "not for yöu"),
        ("/say/M", Code.UNAUTHENTICATED, "who are you?"),
        ("/raise/M", Code.INTERNAL, "a plugin failed"),
        ("/after/M", Code.UNIMPLEMENTED, "not this one"),
    ],
)
def test_answers_of_the_gateway(ch: grpc.Channel, path: str, code: grpc.StatusCode, text: str) -> None:
    assert outcome(lambda: ch.unary_unary(path)(b"hello, gateway", timeout=20)) == (code, text)
    assert outcome(lambda: list(ch.stream_stream(path)(iter([b"a" * 20, b"b"]), timeout=20))) == (code, text)


def test_policies_fields_are_metadata(ch: grpc.Channel, gw: Gateway) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        ch.unary_unary("/deny/M")(b"")
    told = dict(failed.value.trailing_metadata())
    assert (told["x-why"], told["x-route"]) == ("closed", "deny") and "content-length" not in told
    assert ch.unary_unary("/once/M").with_call(b"")[1].code() is Code.OK
    with pytest.raises(grpc.RpcError) as failed:
        ch.unary_unary("/once/M")(b"")
    assert failed.value.code() is Code.RESOURCE_EXHAUSTED
    assert int(dict(failed.value.trailing_metadata())["retry-after"]) > 3000


def test_log_and_metrics_keep_the_cause(ch: grpc.Channel, gw: Gateway) -> None:
    for path in ("/nowhere/log", "/none/log", "/say/log", "/own/log"):
        outcome(lambda path=path: ch.unary_unary(path)(b""))
    rows = logged(gw, "/nowhere/log", "/none/log", "/say/log", "/own/log")
    assert {rows[f"/{name}/log"]["status"] for name in ("nowhere", "none", "say", "own")} == {200}
    assert (rows["/nowhere/log"]["grpc_status"], rows["/nowhere/log"]["reason"]) == (12, "no_route")
    assert (rows["/none/log"]["grpc_status"], rows["/none/log"]["reason"]) == (14, "connect_refused")
    assert (rows["/say/log"]["grpc_status"], rows["/say/log"]["plugin"]) == (16, "say")
    assert rows["/own/log"]["grpc_status"] == 5 and "reason" not in rows["/own/log"]
    metrics = gw.admin("/metrics")[1]
    assert re.search(r'fgw_gateway_errors_total{route="none",listener="web"} [1-9]', metrics)


def test_an_answer_is_one_frame_and_has_no_body(gw: Gateway) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/nowhere/M", "POST", CALL), END_HEADERS) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\0"))
        assert peer.answer(1) == 200
        assert 1 not in peer.heard.body or peer.heard.body[1] == b""
        assert 1 not in peer.heard.trailers
        fields = dict(peer.heard.fields[1])
    assert fields["grpc-status"] == "12" and fields["content-type"] == "application/grpc"
    assert "content-length" not in fields


def test_what_never_became_a_request_is_told_in_their_form_too(ch: grpc.Channel) -> None:
    many = [(f"x-{i}", "1") for i in range(30)]
    assert outcome(lambda: ch.unary_unary("/up/M")(b"", metadata=many)) == (
        Code.RESOURCE_EXHAUSTED, "there are more header fields than allowed")


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web+proto", "application/grpc-web-text"])
def test_other_requests_are_answered_as_ever(gw: Gateway, kind: str) -> None:
    host, _, port = gw.address().partition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=20)
    client.request("POST", "/nowhere/M", b"x", {"content-type": kind})
    answer = client.getresponse()
    assert (answer.status, answer.getheader("content-type")) == (404, "application/problem+json")
    client.close()


# ---- time-outs
def test_a_deadline_ends_the_call_on_both_sides(gw: Gateway, ch: grpc.Channel, silent: Silent) -> None:
    """The client's own clock is ignored here: what it is told is the gateway's word."""
    before, heard = silent.ended, len(silent.heads)
    with Hostile(gw.address()) as peer:
        fields = [*CALL, ("grpc-timeout", "200m")]
        peer.send(headers(1, request("/slow/M", "POST", fields), END_HEADERS) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\0"))
        assert peer.answer(1) == 200
        assert dict(peer.heard.fields[1])["grpc-status"] == "4"
    until(lambda: silent.ended > before, "the upstream's request ended")
    told = re.search(rb"(?i)grpc-timeout: (\d+)([a-z])\r\n", silent.heads[heard])
    assert told and told[2] == b"u" and int(told[1]) <= 200_000
    until(lambda: calls(gw, "slow").get("DEADLINE_EXCEEDED"), "it was counted")


def test_a_route_may_be_stricter_than_the_call(ch: grpc.Channel) -> None:
    assert outcome(lambda: ch.unary_unary("/capped/M")(b"", timeout=30)) == (
        Code.DEADLINE_EXCEEDED, "the request was not finished in time")
    assert outcome(lambda: ch.unary_unary("/capped/M")(b""))[0] is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("value", ["soon", "1", "123456789m", "-1S", "1s", ""])
def test_a_malformed_timeout_is_refused(gw: Gateway, value: str) -> None:
    with Hostile(gw.address()) as peer:
        peer.send(headers(1, request("/slow/M", "POST", [*CALL, ("grpc-timeout", value)])))
        assert peer.answer(1) == 200
        assert dict(peer.heard.fields[1])["grpc-status"] == "13"


# ---- answers of upstreams
def test_the_status_of_an_upstream_is_logged_and_counted(gw: Gateway, origin: Origin) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
    origin.scripts["/up/trailers"] = Reply(chunked + b"6\r\n\0\0\0\0\1x\r\n0\r\ngrpc-status: 9\r\ngrpc-message: no%20way\r\n\r\n")
    origin.scripts["/up/head"] = Reply(b"HTTP/1.1 200 OK\r\ngrpc-status: 3\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n")
    origin.scripts["/up/html"] = Reply(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
    with channel(gw.address()) as ch:
        assert outcome(lambda: ch.unary_unary("/up/trailers")(b"")) == (Code.FAILED_PRECONDITION, "no way")
        assert outcome(lambda: ch.unary_unary("/up/head")(b""))[0] is Code.INVALID_ARGUMENT
        assert outcome(lambda: ch.unary_unary("/up/html")(b""))[0] is Code.UNAVAILABLE
    rows = logged(gw, "/up/trailers", "/up/head", "/up/html")
    assert [rows[f"/up/{name}"]["grpc_status"] for name in ("trailers", "head", "html")] == [9, 3, 14]
    counted = until(lambda: (found := calls(gw, "up")) and sum(found.values()) >= 3 and found, "three calls were counted")
    assert {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "UNAVAILABLE"} <= set(counted)


def test_an_upstream_that_breaks_off_within_a_message(gw: Gateway, origin: Origin) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
    origin.scripts["/up/cut"] = Reply(head + b"7\r\n\0\0\0\0\5ab\r\n", "close", True)
    with channel(gw.address()) as ch:
        assert outcome(lambda: ch.unary_unary("/up/cut")(b""))[0] is Code.INTERNAL
        until(lambda: calls(gw, "up").get("UNAVAILABLE"), "it was counted")


def test_thousands_of_failing_calls_and_pings_are_no_flood(ch: grpc.Channel, gw: Gateway) -> None:
    """Calls that are answered without a body give back nothing of what control frames may cost: the client must not need it."""
    for _ in range(3000):
        assert outcome(lambda: ch.unary_unary("/nowhere/M")(b"x"))[0] is Code.UNIMPLEMENTED
    assert "control_flood" not in words(gw)


def test_a_client_that_keeps_its_connection_alive(gw: Gateway) -> None:
    every = (("grpc.keepalive_time_ms", 100), ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0))
    with channel(gw.address(), *every) as ch:
        assert outcome(lambda: ch.unary_unary("/nowhere/M")(b""))[0] is Code.UNIMPLEMENTED
        time.sleep(1.5)
        assert outcome(lambda: ch.unary_unary("/nowhere/M")(b""))[0] is Code.UNIMPLEMENTED
    assert "control_flood" not in words(gw)


def test_the_example(tmp_path: Path, origin: Origin) -> None:
    with gateway(tmp_path) as gw:
        gw.start(here("grpc.yaml", tmp_path, origin.address)).ready()
        with channel(gw.address()) as ch:
            assert outcome(lambda: ch.unary_unary("/shop.v0.Orders/Get")(b"")) == (
                Code.UNIMPLEMENTED, "shop.v0 has ended: use shop.v1")
            assert outcome(lambda: ch.unary_unary("/shop.v1.Cart/Get")(b""))[0] is Code.UNIMPLEMENTED
            assert outcome(lambda: ch.unary_unary("/shop.v1.Orders/Forget")(b"")) == (Code.OK, "")
