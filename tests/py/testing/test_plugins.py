"""fastgw.testing with plugins: hooks run in the engine's chain, on the gateway's clock, in tests of both kinds."""

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from fastgw.errors import ConfigErrors
from fastgw.plugin.instances import PluginErrors
from fastgw.testing import Gateway, LeftOver, NothingCame

CODE = '''
import asyncio
import gc
import weakref
import msgspec
from fastgw.plugin import Deny, Plugin, hook

seen = []

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    wait: float = 0
    start: float = 0
    fails: bool = False

class KeyAuth(Plugin[Settings]):
    async def start(self):
        await asyncio.sleep(self.settings.start)
        if self.settings.fails:
            raise RuntimeError("no key store")
        seen.append("start")

    async def stop(self):
        seen.append("stop")

    @hook.access
    async def check(self, request):
        if request.headers.get("x-api-key") is None:
            return Deny(401, "no key")
        async with asyncio.timeout(60):
            if self.settings.wait:
                await asyncio.sleep(self.settings.wait)
        request.headers["x-user"] = "me"

    @hook.reply
    def stamp(self, request, reply):
        if request.path == "/api/bad":
            raise ValueError("a bad path")
        reply.headers["x-served-by"] = "test"
'''

CONFIG = """
    listeners: {web: {bind: "127.0.0.1:8080"}}
    plugins: {path: [plugins]}
    upstreams: {api: {endpoints: ["127.0.0.1:9001"]}}
    routes:
      api:
        match: {prefix: /api}
        chain: [{use: "NAME:KeyAuth", with: {SETTINGS}, budget_ms: 30000}]
        to: api
      hello: {match: {exact: /hello}, to: {static: {status: 200, body: "hello"}}}
"""


class Place:
    """A folder with the plugin, under a module name of its own for each test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        (folder / "plugins").mkdir()
        (folder / "plugins" / f"{name}.py").write_text(CODE)

    def config(self, settings: str = "") -> str:
        return CONFIG.replace("NAME", self.name).replace("SETTINGS", settings)

    def gateway(self, settings: str = "") -> Gateway:
        return Gateway(self.config(settings), base=self.folder)

    @property
    def seen(self) -> list[str]:
        return __import__(self.name).seen


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, f"plugin_{request.node.name.partition('[')[0]}")


def test_hooks_run(place: Place) -> None:
    with place.gateway() as gw:
        gw.upstream("api").serve(lambda request: (200, request.header("x-user")))
        refused = gw.get("/api/1")
        assert (refused.status, refused.body) == (401, b"no key")
        passed = gw.get("/api/1", {"x-api-key": "k"})
        assert (passed.body, passed.header("x-served-by")) == (b"me", "test")
        assert gw.get("/hello").header("x-served-by") is None
    assert place.seen == ["start", "stop"]


def test_a_hook_waits_on_the_gateways_clock(place: Place) -> None:
    with place.gateway("wait: 5") as gw:
        client = gw.client()
        client.ask("GET", "/api/1", {"x-api-key": "k"})
        gw.advance("4.999s")
        assert gw.upstream("api").waiting == 0
        assert gw.live()["parked_hooks"] == 1
        gw.advance("1ms")
        gw.upstream("api").accept().reply(200, "ok")
        assert client.response().body == b"ok"


def test_a_budget_is_kept(place: Place) -> None:
    with place.gateway("wait: 50") as gw:
        client = gw.client()
        client.ask("GET", "/api/1", {"x-api-key": "k"})
        gw.advance("29s")
        with pytest.raises(NothingCame):
            client.response()
        gw.advance("1s")
        assert client.response().json()["reason"] == "plugin_timeout"


def test_a_failing_hook_is_in_the_error_log(place: Place) -> None:
    with place.gateway() as gw:
        gw.upstream("api").serve("ok")
        assert gw.get("/api/bad", {"x-api-key": "k"}).json()["reason"] == "plugin_failed"
        assert any("ValueError: a bad path" in line for line in gw.errors)


def test_a_client_that_leaves_cancels_its_hook(place: Place) -> None:
    with place.gateway("wait: 5") as gw:
        client = gw.client()
        client.ask("GET", "/api/1", {"x-api-key": "k"})
        client.reset()
        assert gw.live()["parked_hooks"] == 0


def test_reloads_start_and_stop(place: Place) -> None:
    with place.gateway() as gw:
        gw.reload(place.config("wait: 1"))
        assert place.seen == ["start", "start", "stop"]
        gw.reload(place.config("wait: 1"))
        assert place.seen == ["start", "start", "stop"]
        with pytest.raises(PluginErrors, match="no key store"):
            gw.reload(place.config("fails: true"))
        with pytest.raises(ConfigErrors, match="FGW1217"):
            gw.reload(place.config("nonsense: 1"))
        client = gw.client()
        client.ask("GET", "/api/1")
        assert client.response().status == 401
    assert place.seen == ["start", "start", "stop", "stop"]


def test_a_start_may_take_time(place: Place) -> None:
    with place.gateway("start: 3") as gw:
        assert gw.now >= 3000
        assert gw.get("/api/1").status == 401


def test_a_plugin_that_does_not_start(place: Place) -> None:
    with pytest.raises(PluginErrors, match="no key store"):
        place.gateway("fails: true")
    with pytest.raises(PluginErrors, match=r"start\(\) did not end"):
        place.gateway("start: 100")


async def test_in_an_async_test(place: Place) -> None:
    async with place.gateway("wait: 0.01") as gw:
        client = gw.client()
        client.ask("GET", "/api/1", {"x-api-key": "k"})
        await gw.settled()
        assert gw.upstream("api").waiting == 0
        await asyncio.sleep(0.05)  # the running loop's clock is the real one
        await gw.settled()
        gw.upstream("api").accept().reply(200, "ok")
        assert client.response().body == b"ok"
        with pytest.raises(RuntimeError, match="await gateway.reloaded"):
            gw.reload(place.config())
        await gw.reloaded(place.config())
        assert gw.get("/api/1").status == 401
    assert place.seen == ["start", "start", "stop", "stop"]


def test_parked_hooks_that_are_left_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    gw = place.gateway("wait: 5")
    gw.client().ask("GET", "/api/1", {"x-api-key": "k"})
    monkeypatch.setattr("fastgw.testing.peers.Peer.reset", lambda self: None)
    monkeypatch.setattr("fastgw.testing.gateway.DRAIN_MS", 0)
    with pytest.raises(LeftOver, match="1 parked_hooks"):
        gw.close()


def test_a_failure_in_a_test_leaves_nothing(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), place.gateway("wait: 5") as gw:
        gw.client().ask("GET", "/api/1", {"x-api-key": "k"})
        _ = 1 / 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_collector_may_take_one_that_nobody_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine, host and plugins refer to each other: whatever goes first, the hooks are unbound without a fault."""
    raised: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", raised.append)
    for _ in range(3):
        gw = place.gateway()
        engine = weakref.ref(gw._served())
        del gw
        gc.collect()
        assert engine() is None
    assert not raised
