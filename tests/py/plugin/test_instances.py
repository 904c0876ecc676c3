"""The plugins of a worker: made, started, kept while a snapshot wants them, stopped, and none left over."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastgw._hook import Hooks
from fastgw._worker import PluginSpec
from fastgw.plugin import instances
from fastgw.plugin.instances import Instances, PluginErrors

TEXT = """
import asyncio
from fastgw.plugin import Plugin, hook
told = []
class Good(Plugin[dict[str, str]]):
    async def start(self):
        told.append(f"start {self.name}")
    async def stop(self):
        told.append(f"stop {self.name}")
    @hook.access
    def check(self, request): ...
class Bad(Good):
    async def start(self):
        raise OSError("no table")
class Slow(Good):
    async def start(self):
        await asyncio.sleep(3600)
class Sticks(Good):
    async def stop(self):
        await asyncio.sleep(3600)
class Leaves(Good):
    async def start(self):
        raise SystemExit(3)
class Breaks(Good):
    async def start(self):
        raise KeyboardInterrupt
class LeavesLate(Good):
    async def stop(self):
        raise SystemExit(4)
class Stubborn(Good):
    async def start(self):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await Good.start(self)
go = asyncio.Event()
class Deaf(Good):
    async def start(self):
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                pass
        await Good.start(self)
"""


class Host:
    """Stands for the engine's: what it knows, and who is told of releases."""

    def __init__(self) -> None:
        self.known: dict[int, Hooks] = {}
        self.released: Callable[[int], object] | None = None
        self.closed = False

    def add(self, key: int, hooks: Hooks) -> None:
        self.known[key] = hooks

    def remove(self, key: int) -> None:
        del self.known[key]

    def close(self) -> None:
        self.closed = True

    def release(self, key: int) -> None:
        assert self.released is not None
        self.released(key)


class Bench:
    def __init__(self, folder: Path) -> None:
        (folder / "fgw_inst.py").write_text(TEXT)
        self._path = (str(folder),)
        self.host, self.lines = Host(), list[str]()
        self.instances = Instances(self.host, lambda level, text: self.lines.append(f"{level} {text}"))  # type: ignore[arg-type]

    def spec(self, key: int, name: str = "Good") -> PluginSpec:
        return PluginSpec(key, f"p{key}", f"fgw_inst:{name}", b"{}", self._path)

    async def prepare(self, *specs: PluginSpec) -> None:
        await self.instances.prepare(specs)

    @property
    def told(self) -> list[str]:
        found: Any = sys.modules["fgw_inst"]
        return list(found.told)

    async def ends(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    path = list(sys.path)
    yield Bench(tmp_path)
    sys.modules.pop("fgw_inst", None)
    sys.path[:] = path


async def test_an_instance_is_started_once_and_stops_when_nothing_has_it_bound(bench: Bench):
    await bench.prepare(bench.spec(1))
    bench.instances.bound()
    await bench.prepare(bench.spec(1), bench.spec(2))
    bench.instances.bound()
    assert bench.told == ["start p1", "start p2"] and set(bench.host.known) == {1, 2}
    await bench.prepare(bench.spec(2))
    bench.instances.bound()
    bench.host.release(1)
    await bench.ends()
    assert bench.told[2:] == ["stop p1"] and set(bench.host.known) == {2}


async def test_one_that_a_new_snapshot_wants_outlives_the_release_by_the_old_one(bench: Bench):
    await bench.prepare(bench.spec(1))
    bench.instances.bound()
    await bench.prepare(bench.spec(1))
    bench.host.release(1)
    bench.instances.bound()
    await bench.ends()
    assert bench.told == ["start p1"] and set(bench.host.known) == {1}


async def test_a_start_that_fails_stops_those_that_did_not(bench: Bench):
    with pytest.raises(PluginErrors) as error:
        await bench.prepare(bench.spec(1), bench.spec(2, "Bad"))
    assert error.value.errors[0].startswith("plugin p2: start() failed: OSError: no table (")
    assert bench.told == ["start p1", "stop p1"] and not bench.host.known


async def test_a_start_that_never_ends_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(instances, "START_S", 0.01)
    with pytest.raises(PluginErrors, match=r"plugin p1: start\(\) did not end"):
        await bench.prepare(bench.spec(1, "Slow"))
    assert not bench.host.known


async def test_what_was_prepared_and_is_discarded_stops(bench: Bench):
    """As it is when another worker has refused."""
    await bench.prepare(bench.spec(1))
    bench.instances.bound()
    await bench.prepare(bench.spec(1), bench.spec(2))
    bench.instances.bound()
    bench.instances.unwanted()
    bench.host.release(2)
    await bench.ends()
    assert bench.told == ["start p1", "start p2", "stop p2"] and set(bench.host.known) == {1}


async def test_what_the_engine_refused_stops(bench: Bench):
    await bench.prepare(bench.spec(1))
    bench.instances.unwanted()
    await bench.ends()
    assert bench.told == ["start p1", "stop p1"] and not bench.host.known


async def test_the_end_stops_all_and_does_not_wait_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(instances, "STOP_S", 0.01)
    await bench.prepare(bench.spec(1), bench.spec(2, "Sticks"))
    bench.instances.bound()
    await bench.instances.close()
    await asyncio.sleep(0.05)
    assert "stop p1" in bench.told and bench.host.closed and not bench.host.known
    assert bench.lines == ["warn plugin p2: stop() did not end within 0 s"]


async def test_an_exit_is_that_plugins_failure(bench: Bench):
    """SystemExit and KeyboardInterrupt, in start() and in stop()."""
    with pytest.raises(PluginErrors) as error:
        await bench.prepare(bench.spec(1), bench.spec(2, "Leaves"), bench.spec(3, "Breaks"))
    assert [each.partition(" (")[0] for each in error.value.errors] == [
        "plugin p2: start() failed: SystemExit: 3", "plugin p3: start() failed: KeyboardInterrupt",
    ]  # fmt: skip
    assert bench.told == ["start p1", "stop p1"] and not bench.host.known
    await bench.prepare(bench.spec(4, "LeavesLate"), bench.spec(5))
    bench.instances.unwanted()
    await bench.ends()
    assert sorted(bench.told[2:]) == ["start p4", "start p5", "stop p5"]
    assert [line.partition(" (")[0] for line in bench.lines] == ["warn plugin p4: stop() failed: SystemExit: 4"]


async def test_a_cancelled_attempt_stops_what_had_started_once(bench: Bench):
    """Also when the cancellation comes twice, and when a start() has swallowed its own."""
    attempt = asyncio.ensure_future(bench.prepare(bench.spec(1), bench.spec(2, "Slow"), bench.spec(3, "Stubborn")))
    await bench.ends()
    assert bench.told == ["start p1"]
    for _ in range(2):
        attempt.cancel()
        await bench.ends()
    assert attempt.cancelled() and not bench.host.known
    assert bench.told == ["start p1", "start p3", "stop p1", "stop p3"], "p2 has never started"
    await bench.instances.close()
    assert len(bench.told) == 4 and not bench.lines


async def test_all_had_started_when_the_attempt_was_cancelled(bench: Bench):
    attempt = asyncio.ensure_future(bench.prepare(bench.spec(1), bench.spec(2)))
    await asyncio.sleep(0)
    while len(bench.told) < 2:
        await asyncio.sleep(0)
    attempt.cancel()
    await bench.ends()
    assert attempt.cancelled() and not bench.host.known
    assert sorted(bench.told) == ["start p1", "start p2", "stop p1", "stop p2"]


async def test_a_start_that_ends_long_after_it_was_given_up_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(instances, "START_S", 0.01)
    monkeypatch.setattr(instances, "STOP_S", 0.01)
    with pytest.raises(PluginErrors, match=r"plugin p1: start\(\) did not end"):
        await bench.prepare(bench.spec(1, "Deaf"))
    assert bench.lines == ["warn plugin p1: start() goes on though it was cancelled"]
    module: Any = sys.modules["fgw_inst"]
    module.go.set()
    await bench.ends()
    assert bench.told == ["start p1", "stop p1"] and not bench.host.known
