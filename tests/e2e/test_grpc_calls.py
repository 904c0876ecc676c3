# ruff: noqa: E501
"""Calls of all kinds between grpcio's clients and servers, in cleartext and over TLS on both sides."""

import json
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.grpcio import grpc
from tests.tls_files import Files, make

from .grpc_peers import OPTIONS, Code, Failed, calls, channel, outcome, server, words
from .grpc_service import Health, Service, check, watch, word
from .supervised import Gateway, gateway, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0"}}
  secure: {{bind: "127.0.0.1:0", tls: {{certificates: [{{cert: up.pem, key: up.key}}]}}}}
upstreams:
  plain: {{endpoints: ["{plain}"], protocol: h2}}
  secure: {{endpoints: ["{secure}"], protocol: h2, tls: {{ca: ca.pem}}}}
routes:
  plain: {{match: {{prefix: /plain.T}}, grpc: true, to: plain}}
  secure: {{match: {{prefix: /secure.T}}, grpc: true, to: secure}}
  health: {{match: {{prefix: /grpc.health.v1.Health}}, to: plain}}
{more}
log: {{access: {{to: {log}}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""
ROADS = ("plain-plain", "secure-plain", "plain-secure", "secure-secure")
BIG = os.urandom(3_000_001)


@dataclass
class Site:
    gw: Gateway
    service: Service
    health: Health
    files: Files
    ca: Files
    addresses: dict[str, str]

    def config(self, more: str = "") -> str:
        return CONFIG.format(more=more, log=self.gw.folder / "access.log", **self.addresses)

    def open(self, road: str, *options: tuple[str, object]) -> grpc.Channel:
        options = (*OPTIONS, ("grpc.enable_retries", 0), *options)
        if road.startswith("plain"):
            return grpc.insecure_channel(self.gw.address(), options=options)
        trust = grpc.ssl_channel_credentials(self.ca.cert.read_bytes())
        return grpc.secure_channel(self.gw.address("secure"), trust, options=options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("calls")
    ca = make(folder, "ca")
    files = make(folder, "up", "DNS:up.test,IP:127.0.0.1", ca)
    service, health = Service(), Health()
    handlers = service.handlers("plain.T", "secure.T")
    trust = grpc.ssl_server_credentials([(files.key.read_bytes(), files.cert.read_bytes())])
    with server(*handlers, threads=160, add=health.add) as plain, server(*handlers, credentials=trust) as secure, gateway(folder) as gw:
        made = Site(gw, service, health, files, ca, {"plain": plain, "secure": secure})
        gw.start(made.config()).ready()
        yield made
        gw.stop()


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest, site: Site) -> Iterator["Road"]:
    ch = site.open(request.param)
    yield Road(ch, request.param.partition("-")[2])
    ch.close()


@dataclass
class Road:
    """One channel, and the service that it leads to."""

    ch: grpc.Channel
    to: str

    def unary(self, method: str, message: bytes = b"", **more: object) -> bytes:
        return self.ch.unary_unary(f"/{self.to}.T/{method}")(message, timeout=30, **more)

    def path(self, method: str) -> str:
        return f"/{self.to}.T/{method}"


# ---- kinds
@pytest.mark.parametrize("message", [b"", b"x", b"hello" * 3000, BIG], ids=["nothing", "small", "75 KB", "3 MB"])
def test_unary(road: Road, message: bytes) -> None:
    answer, call = road.ch.unary_unary(road.path("Unary")).with_call(message, timeout=60)
    assert answer == message
    trailing = dict(call.trailing_metadata())
    assert (call.code(), trailing["x-size"], trailing["x-raw-bin"]) == (Code.OK, str(len(message)), message[:64])


def test_client_streaming(road: Road) -> None:
    sizes = [0, 1, 70_000, 5, 1_000_000]
    got = road.ch.stream_unary(road.path("Up"))((b"a" * n for n in sizes), timeout=60)
    assert json.loads(got) == sizes
    assert json.loads(road.ch.stream_unary(road.path("Up"))(iter(()), timeout=60)) == []


def test_server_streaming(road: Road) -> None:
    found = list(road.ch.unary_stream(road.path("Down"))(json.dumps([500, 4000]).encode(), timeout=60))
    assert found == [n.to_bytes(4, "big") * 1000 for n in range(500)]
    assert list(road.ch.unary_stream(road.path("Down"))(b"[0, 0]", timeout=60)) == []


def test_both_directions_in_turn(road: Road) -> None:
    """A message is asked for only when the one before was answered: nothing is held back on the way."""
    say: queue.Queue[bytes | None] = queue.Queue()
    call = road.ch.stream_stream(road.path("Both"))(iter(say.get, None), timeout=60)
    for n in range(50):
        say.put(b"%d!" % n)
        assert next(call) == (b"%d!" % n)[::-1]
    say.put(None)
    assert list(call) == [] and call.code() is Code.OK


def test_both_directions_at_once(road: Road) -> None:
    messages = [bytes([n]) * 20_000 for n in range(200)]
    assert list(road.ch.stream_stream(road.path("Both"))(iter(messages), timeout=60)) == messages


# ---- status and metadata
def test_failures_come_through(road: Road) -> None:
    for code in Code:
        if code is not Code.OK:
            text = f"{code.name}: süß & 100 %\n"
            with pytest.raises(Failed) as failed:
                road.unary("Fail", f"{code.name} {text}".encode())
            assert (failed.value.code(), failed.value.details()) == (code, text)
            assert dict(failed.value.trailing_metadata())["x-more"] == "1"
    call = road.ch.unary_stream(road.path("FailLate"))(b"DATA_LOSS half of it", timeout=30)
    assert next(call) == b"one"
    assert outcome(lambda: next(call)) == (Code.DATA_LOSS, "half of it")
    assert outcome(lambda: road.unary("NoSuch"))[0] is Code.UNIMPLEMENTED


def test_metadata_both_ways(road: Road) -> None:
    raw = bytes(range(256))
    sent = (("x-one", "1"), ("x-raw-bin", raw), ("x-two", "a, b"), ("x-two", "c"))
    answer, call = road.ch.unary_unary(road.path("Meta")).with_call(b"", metadata=sent, timeout=30)
    seen = json.loads(answer)
    assert seen["x-raw-bin"] == [raw.hex()] and seen["x-one"] == ["1"]
    assert [part.strip() for value in seen["x-two"] for part in value.split(",")] == ["a", "b", "c"]
    assert seen["user-agent"][0].startswith("grpc-python") and seen["via"] == ["2 fastgw"] and seen["x-forwarded-for"] == ["127.0.0.1"]
    first = dict(call.initial_metadata())
    assert (first["x-first"], first["x-first-bin"]) == ("early", raw)


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=["gzip", "deflate"])
def test_compression_passes(road: Road, coding: grpc.Compression) -> None:
    message = b"again and " * 50_000
    assert road.unary("Unary", message, compression=coding) == message
    assert json.loads(road.unary("Meta", compression=coding))


# ---- deadlines and cancellation
def test_what_is_left_of_a_deadline_goes_on(road: Road) -> None:
    left = json.loads(road.ch.unary_unary(road.path("Left"))(b"", timeout=20))
    assert 0 < left < 21
    assert json.loads(road.ch.unary_unary(road.path("Left"))(b"")) > 1e9, "no deadline, as grpcio says it"


def test_a_deadline_is_heard_on_both_sides(road: Road, site: Site) -> None:
    name = f"deadline {road.ch} {id(road)}"
    call = road.ch.unary_stream(road.path("Hold"))(name.encode(), timeout=0.3)
    assert next(call) == b"here"
    assert outcome(lambda: next(call))[0] is Code.DEADLINE_EXCEEDED
    assert site.service.event(site.service.cancelled, name).wait(20)


def test_a_client_that_cancels(road: Road, site: Site) -> None:
    name = f"cancel {id(road)}"
    call = road.ch.unary_stream(road.path("Hold"))(name.encode(), timeout=60)
    assert next(call) == b"here"
    call.cancel()
    assert site.service.event(site.service.cancelled, name).wait(20)
    assert road.unary("Unary", b"still here") == b"still here"


def test_a_server_that_ends_a_call_before_its_client(road: Road) -> None:
    """The client goes on sending: the call is over all the same, and the connection is not."""
    stop = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"UNAVAILABLE enough"
        while not stop.wait(0.01):
            yield b"more"

    try:
        call = road.ch.stream_unary(road.path("Fail"))
        assert outcome(lambda: call(messages(), timeout=30))[0] in (Code.UNAVAILABLE, Code.UNIMPLEMENTED)
    finally:
        stop.set()
    assert road.unary("Unary", b"y") == b"y"


# ---- many
def test_a_hundred_streams_at_once(site: Site) -> None:
    """They are open together on one connection of the client, each with messages under way in both directions."""
    with site.open("plain-plain") as ch:
        doors = [queue.Queue() for _ in range(100)]
        streams = [ch.stream_stream("/plain.T/Wait")(iter(door.get, None), timeout=120) for door in doors]
        for n, door in enumerate(doors):
            door.put(b"stream %d" % n)
        assert [next(stream) for stream in streams] == [b"stream %d" % n for n in range(100)]
        for n, door in enumerate(doors):
            door.put(b"x" * n)
        assert [len(next(stream)) for stream in streams] == list(range(100))
        for door in doors:
            door.put(None)
        assert all(list(stream) == [] for stream in streams)


def test_thousands_of_calls_from_many_threads(site: Site) -> None:
    with site.open("plain-plain") as ch, futures.ThreadPoolExecutor(16) as pool:
        call = ch.unary_unary("/plain.T/Unary")
        found = pool.map(lambda n: call(b"%d" % n, timeout=60), range(4000))
        assert list(found) == [b"%d" % n for n in range(4000)]
    assert not words(site.gw) & {"control_flood", "rapid_reset", "protocol_error"}


def test_a_slow_reader_holds_only_its_own_stream(site: Site) -> None:
    """64 MiB are asked for, and not read: others go on, and the gateway's memory does not grow with it."""
    with site.open("plain-plain") as ch:
        slow = ch.unary_stream("/plain.T/Down")(json.dumps([1024, 65536]).encode(), timeout=120)
        assert len(next(slow)) == 65536
        for n in range(200):
            assert ch.unary_unary("/plain.T/Unary")(b"%d" % n, timeout=30) == b"%d" % n
        held = [float(row.split()[1]) for row in site.gw.admin("/metrics")[1].splitlines() if row.startswith("fgw_buffer_bytes ")]
        assert held[0] < 8 << 20
        slow.cancel()


# ---- changes of the gateway meanwhile
def test_streams_live_through_reloads(site: Site) -> None:
    say: queue.Queue[bytes | None] = queue.Queue()
    with site.open("plain-plain") as ch:
        call = ch.stream_stream("/plain.T/Wait")(iter(say.get, None), timeout=120)
        for n in range(3):
            say.put(b"reload %d" % n)
            assert next(call) == b"reload %d" % n
            done = site.gw.reload(site.config(f"  more{n}: {{match: {{prefix: /more{n}}}, to: {{static: {{body: x}}}}}}"))
            assert done["ok"], done
        say.put(None)
        assert list(call) == [] and call.code() is Code.OK


def test_a_gateway_that_stops_fails_no_call(tmp_path: Path, site: Site) -> None:
    """Calls come one behind the other from eight threads while it is told to stop: each is answered, or was not taken
    (and then the client, whose library repeats what a GOAWAY has left out, says that it is unavailable because nobody listens)."""
    with gateway(tmp_path) as gw, channel_of(gw, tmp_path, site) as ch:
        stop, bad, good = threading.Event(), [], []

        def run() -> None:
            call = ch.unary_unary("/plain.T/Unary")
            while not stop.is_set():
                code, text = outcome(lambda: call(b"x" * 2000, timeout=30))
                if code is Code.OK:
                    good.append(1)
                elif "refused" in text.lower() or "failed to connect" in text.lower():
                    return
                else:
                    bad.append((code, text))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(8)]
        long = ch.unary_stream("/plain.T/Down")(json.dumps([300, 16384]).encode(), timeout=60)
        assert len(next(long)) == 16384
        for thread in threads:
            thread.start()
        until(lambda: len(good) > 200, "calls are under way")
        gw.send(signal.SIGTERM)
        assert len(list(long)) == 299
        for thread in threads:
            thread.join(60)
        stop.set()
        assert gw.wait() == 0
    assert bad == []


def channel_of(gw: Gateway, folder: Path, site: Site):
    for name in ("ca.pem", "up.pem", "up.key"):
        (folder / name).write_bytes((site.gw.folder / name).read_bytes())
    gw.start(CONFIG.format(more="", log=folder / "access.log", **site.addresses)).ready()
    return channel(gw.address(), again=True)


def test_a_server_that_stops_fails_no_call(tmp_path: Path, site: Site) -> None:
    """grpcio's servers say GOAWAY when they are told to stop: what they have not taken goes to the next endpoint. What they
    have taken and not begun they cancel, in words of their own: those are the server's, and pass as they are."""
    service = Service()
    pool = futures.ThreadPoolExecutor(16)
    first = grpc.server(pool, handlers=service.handlers("plain.T"), options=OPTIONS)
    port = first.add_insecure_port("127.0.0.1:0")
    first.start()
    text = """
listeners: {web: {bind: "127.0.0.1:0"}}
upstreams: {up: {endpoints: ["127.0.0.1:%d", "%s"], protocol: h2}}
routes: {all: {match: {prefix: /}, grpc: true, to: up}}
log: {access: {to: %s/access.log}}
admin: {bind: "127.0.0.1:0"}
workers: 1
""" % (port, site.addresses["plain"], tmp_path)
    with gateway(tmp_path) as gw:
        with channel(gw.start(text).ready().address()) as ch, futures.ThreadPoolExecutor(8) as load:
            call = ch.unary_unary("/plain.T/Unary")
            running = [load.submit(outcome, lambda: call(b"y", timeout=30)) for _ in range(3000)]
            until(lambda: service.calls > 100, "the first server has its share")
            first.stop(20).wait()
            found = {each.result() for each in running}
        assert (Code.OK, "") in found and found <= {(Code.OK, ""), (Code.CANCELLED, "CANCELLED")}
        gw.stop()
        assert words(gw) == {""}, "not one failure that the gateway had to tell"
    pool.shutdown()


# ---- health
def test_health_is_a_service_like_others(site: Site) -> None:
    with site.open("plain-plain") as ch:
        assert check(ch) == "SERVING"
        site.health.set("shop", False)
        assert check(ch, "shop") == "NOT_SERVING"
        assert outcome(lambda: check(ch, "nobody"))[0] is Code.NOT_FOUND
        seen = watch(ch, "shop")
        assert word(next(seen)) == "NOT_SERVING"
        site.health.set("shop", True)
        assert word(next(seen)) == "SERVING"
        seen.cancel()


def test_calls_are_counted(site: Site) -> None:
    with site.open("plain-plain") as ch:
        before = calls(site.gw, "plain")
        assert outcome(lambda: ch.unary_unary("/plain.T/Fail")(b"ABORTED no"))[0] is Code.ABORTED
        assert outcome(lambda: ch.unary_unary("/plain.T/Unary")(b""))[0] is Code.OK
        for code in ("ABORTED", "OK"):
            until(lambda code=code: calls(site.gw, "plain").get(code, 0) > before.get(code, 0), f"{code} was counted")


@pytest.mark.parametrize("road_", ["plain-plain", "secure-secure"])
def test_a_channel_that_keeps_itself_alive(site: Site, road_: str) -> None:
    """Pings every 50 ms for two seconds on an idle connection; neither side's guard minds, nor does the server behind."""
    every = (("grpc.keepalive_time_ms", 50), ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0))
    with site.open(road_, *every) as ch:
        path = f"/{road_.partition('-')[2]}.T/Unary"
        assert ch.unary_unary(path)(b"1", timeout=30) == b"1"
        time.sleep(2)
        assert ch.unary_unary(path)(b"2", timeout=30) == b"2"
    assert "control_flood" not in words(site.gw)


def test_streams_may_be_silent(tmp_path: Path, site: Site) -> None:
    """For longer than bodies and answers may; not for longer than a tunnel."""
    text = CONFIG.replace("workers: 1", "workers: 1\ntimeouts: {{body: 300ms, idle: 300ms}}")
    text = text.replace("prefix: /plain.T}},", "prefix: /plain.T}}, timeouts: {{tunnel: {tunnel}}},")
    say: queue.Queue[bytes | None] = queue.Queue()
    for name in ("ca.pem", "up.pem", "up.key"):
        (tmp_path / name).write_bytes((site.gw.folder / name).read_bytes())
    for tunnel, code in (("60s", Code.OK), ("700ms", Code.DEADLINE_EXCEEDED)):
        with gateway(tmp_path) as gw:
            gw.start(text.format(more="", log=tmp_path / "access.log", tunnel=tunnel, **site.addresses)).ready(1 if tunnel == "60s" else 2)
            with channel(gw.address(ready=1 if tunnel == "60s" else 2)) as ch:
                call = ch.stream_stream("/plain.T/Wait")(iter(say.get, None), timeout=60)
                say.put(b"1")
                assert next(call) == b"1"
                time.sleep(2)
                say.put(b"2")
                if code is Code.OK:
                    assert next(call) == b"2"
                    say.put(None)
                    assert list(call) == []
                else:
                    assert outcome(lambda call=call: next(call))[0] in (Code.CANCELLED, Code.INTERNAL, code)
            gw.stop()
