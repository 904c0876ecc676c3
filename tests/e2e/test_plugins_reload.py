"""Plugins over reloads and deaths: instances that stay, edited modules, and configurations that are refused."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .load import load
from .peers import keep, origin, tell
from .plugged import ask, config, count, route, send, server, whole
from .supervised import Gateway, gateway, until

COUNTS = """
from fastgw.plugin import Deny, Plugin, Request, hook
import msgspec

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    limit: int = 5
    word: str = "v1"

class Counts(Plugin[Settings]):
    seen = 0

    @hook.access
    def check(self, request: Request) -> Deny:
        self.seen += 1
        return Deny(200, f"VERSION {self.settings.word} {self.seen}")
"""


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        (tmp_path / "plugins").mkdir()
        yield made


@pytest.fixture
def up() -> Iterator[str]:
    with origin(tell) as made:
        yield made.address


def module(gw: Gateway, text: str, name: str = "mine") -> None:
    (gw.folder / "plugins" / f"{name}.py").write_text(text)


def mine(gw: Gateway, up: str, more: str = "", extra: str = "") -> str:
    return config(gw, up, route("all", f"{{use: 'mine:Counts'{more}}}"), path="plugins") + extra


def test_an_instance_stays_while_its_settings_and_code_do(gw: Gateway, up: str) -> None:
    module(gw, COUNTS)
    gw.start(mine(gw, up)).ready()
    assert ask(gw, "/").body == b"VERSION v1 1"
    assert gw.reload(mine(gw, up, extra="limits: {fields: 90}\n"))["ok"]
    assert ask(gw, "/").body == b"VERSION v1 2", "what it remembers is kept"
    assert gw.reload(mine(gw, up, ", with: {word: v2}"))["ok"]
    assert ask(gw, "/").body == b"VERSION v2 1", "another one"


def test_edited_code_is_live_after_a_reload(gw: Gateway, up: str) -> None:
    module(gw, COUNTS.replace("VERSION", "one"))
    gw.start(mine(gw, up)).ready()
    assert ask(gw, "/").body == b"one v1 1"
    for word in ("two", "three"):
        module(gw, COUNTS.replace("VERSION", word))
        assert gw.reload(mine(gw, up))["ok"]
        assert ask(gw, "/").body == f"{word} v1 1".encode()


def test_edited_helper_modules_are_live_too(gw: Gateway, up: str) -> None:
    module(gw, "WORD = 'one'\n", "helper")
    module(gw, COUNTS.replace("import msgspec", "import msgspec\nfrom helper import WORD").replace("VERSION", "{WORD}"))
    gw.start(mine(gw, up)).ready()
    assert ask(gw, "/").body == b"one v1 1"
    module(gw, "WORD = 'two'\n", "helper")
    assert gw.reload(mine(gw, up))["ok"]
    assert ask(gw, "/").body == b"two v1 1"


def test_the_old_instance_stops_when_the_last_request_of_its_snapshot_has_ended(gw: Gateway, up: str) -> None:
    with server(gw.folder / "told") as names:
        waiting = route("all", names.step(budget_ms="600000"), to="{static: {body: passed}}")
        gw.start(config(gw, up, waiting)).ready()
        client = send(gw)
        names.waiting(1)
        other = route("all", to="{static: {body: new}}")
        assert gw.reload(config(gw, up, other))["ok"]
        assert ask(gw, "/").body == b"new"
        assert not names.told("stopped"), "a request of the old one still waits in it"
        names.release()
        assert whole(client).endswith(b"passed")
        until(lambda: names.told("stopped"), "its stop")


WRONG = {
    "bad settings": (COUNTS, ", with: {limit: many}", ["FGW1217", "fastgw.yaml:8:72", "with.limit", "Expected `int`"]),
    "unknown setting": (COUNTS, ", with: {limt: 3}", ["FGW1217", "did you mean limit?"]),
    "import error": ("import nothing_like_it\n", "", ["FGW1216", "nothing_like_it", "mine.py:1"]),
    "syntax error": ("def f(:\n", "", ["FGW1216", "SyntaxError", "mine.py:1"]),
    "exception in the module": ("x = 1\ny = x / 0\n", "", ["FGW1216", "ZeroDivisionError", "mine.py:2"]),
    "exit in the module": ("raise SystemExit(3)\n", "", ["FGW1216", "SystemExit", "mine.py:1"]),
    "no such class": (COUNTS.replace("class Counts", "class Count"), "", ["FGW1216", "no Counts; it has Count"]),
    "no plugin": ("class Counts: ...\n", "", ["FGW1216", "not derived from fastgw.plugin.Plugin"]),
    "no hook": (COUNTS.replace("@hook.access", ""), "", ["FGW1216", "no hook"]),
    "signature": (COUNTS.replace("request: Request", ""), "", ["FGW1216", "cannot be called as check(self, request)"]),
    "two of a kind": (COUNTS + "\n    @hook.access\n    def b(self, request): ...\n", "", ["two hooks for access"]),
    "exception in __init__": (
        f"{COUNTS}\n    def __init__(self):\n        open('/nowhere')\n", "",
        ["FGW1216", "FileNotFoundError", "mine.py"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_loaded_is_refused_and_the_old_goes_on(gw: Gateway, up: str, what: str) -> None:
    """By a reload, by `check` and at a start, in the same words."""
    text, more, words = WRONG[what]
    module(gw, COUNTS)
    gw.start(mine(gw, up)).ready()
    assert ask(gw, "/").body == b"VERSION v1 1"
    module(gw, text)
    row = gw.reload(mine(gw, up, more, "limits: {fields: 90}\n"))
    assert not row["ok"], row
    told = str(row)
    command = [sys.executable, "-m", "fastgw.cli", "check", "-c", str(gw.config)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode != 0
    for word in ("mine:Counts", "fastgw.yaml:8:", "routes.all.chain[0]", *words):
        assert word in told, told
        assert word in checked.stdout + checked.stderr, checked.stdout + checked.stderr
    assert ask(gw, "/").body == b"VERSION v1 2", "the old instance, with its state"


def test_a_start_that_fails_refuses_the_reload_and_leaves_nothing(gw: Gateway, up: str) -> None:
    """The other new plugin, which had started, is stopped again."""
    with server(gw.folder / "told") as names:
        module(gw, COUNTS)
        gw.start(mine(gw, up)).ready()
        broken = "\n    async def start(self):\n        raise OSError('no table')\n"
        module(gw, COUNTS + broken, "broken")
        road = Path(__file__).parent / "plugins" / "road.py"
        module(gw, road.read_text(), "road")
        both = config(gw, up, route("all", "{use: 'broken:Counts'}"), route("w", names.step()), path="plugins")
        row = gw.reload(both)
        assert not row["ok"] and "broken:Counts: start() failed: OSError: no table" in str(row), row
        until(lambda: len(names.told("stopped")) == len(names.told("started")), "what had started has stopped")
        assert ask(gw, "/").body == b"VERSION v1 1"


def test_what_one_worker_cannot_start_is_let_go_by_all(gw: Gateway, up: str) -> None:
    """The worker that had prepared it whole stops its instances too."""
    plain = config(gw, up, route("all", to="{static: {body: old}}"), workers=2)
    with server(gw.folder / "told") as names:
        gw.start(plain).ready()
        once = f"{{use: 'faults:OnlyOne', with: {{file: {gw.folder}/once}}}}"
        row = gw.reload(config(gw, up, route("all", names.step(), once), workers=2))
        assert not row["ok"] and "FileExistsError" in str(row), row
        until(lambda: len(names.told("started")) == 2 == len(names.told("stopped")), "both have stopped")
        assert ask(gw, "/").body == b"old"


def test_a_worker_that_is_killed_starts_its_plugins_again(gw: Gateway, up: str) -> None:
    with server(gw.folder / "told") as names:
        waiting = route("all", names.step(budget_ms="600000"), to="{static: {body: passed}}")
        gw.start(config(gw, up, waiting)).ready()
        client = send(gw)
        names.waiting(1)
        (pid,) = gw.workers().values()
        assert names.told("started") == [f"started {pid}"] and count(gw, "waiting", "road:Wait") == 1
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(names.told("started")) == 2, "its successor's start")
        client.close()
        until(lambda: gw.workers() and pid not in gw.workers().values(), "a new worker")
        assert count(gw, "waiting", "road:Wait") == 0, "what the dead one held is no longer counted"
        late = send(gw)
        names.waiting(2)
        names.release()
        assert whole(late).endswith(b"passed")


def test_reloads_with_edited_code_lose_no_request(gw: Gateway, up: str) -> None:
    module(gw, COUNTS.replace("Deny(200", "None and Deny(200"))
    with origin(keep()) as kept:
        gw.start(mine(gw, kept.address)).ready()
        with load(gw.address(), "/", kept=3, fresh=1) as clients:
            for number in range(10):
                module(gw, COUNTS.replace("Deny(200", "None and Deny(200").replace('"v1"', f'"v{number}"'))
                assert gw.reload(mine(gw, kept.address))["ok"]
        assert clients.bad == [] and clients.good > 50
