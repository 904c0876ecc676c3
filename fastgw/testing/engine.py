"""Configuration → snapshot → engine, as the supervisor and a worker do it, in this process and in a memory of its own.

    text ──load, compile──► segments ──prepare, commit──► Worker ◄──► Net: clients, upstreams, clock
"""

import asyncio
import os
import textwrap
import traceback
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from fastgw._hook import Host
from fastgw._limits import zero
from fastgw._shm import Shm, seg_memfd
from fastgw._testing import Net
from fastgw._worker import Worker
from fastgw.config.addresses import parse_address
from fastgw.config.load import Loaded, load, loads
from fastgw.control import build
from fastgw.control.slots import SlotTable
from fastgw.control.snapshot import Plan
from fastgw.errors import ConfigErrors
from fastgw.plugin.catalogue import examine
from fastgw.plugin.instances import Instances
from fastgw.upstream.address import pack
from fastgw.upstream.clusters import Slots
from fastgw.upstream.spec import ClusterSpec

_NOTHING = msgspec.msgpack.encode({})  # digests of the objects before: what changed is asked by nobody


class Staged(NamedTuple):
    """A configuration whose segments the worker has."""

    plan: Plan
    root: int
    plugins: bool


class Engine:
    """`now`: the time of day. `env`, `base`: what references in documents mean. `free` gives all back."""

    def __init__(self, now: datetime, env: Mapping[str, str] | None, base: str | Path) -> None:
        self._env, self._base = env, base
        self._shm = Shm.create(1)
        self._state, self._generation = SlotTable.of(self._shm).state(), 0
        self.net = Net(int(now.timestamp() * 1000) * 1_000_000)
        self._worker: Worker | None = Worker(0, self._shm, self.net)
        self.net.attach(self._worker.address)
        self.upstreams: dict[str, tuple[ClusterSpec, Slots]] = {}
        self.listeners: dict[str, int] = {}
        self.plugins: Instances | None = None

    @property
    def worker(self) -> Worker:
        assert self._worker is not None
        return self._worker

    def free(self) -> None:
        """Close everything at once. Plugins that run are not stopped: that waits (`Instances.close`)."""
        if self._worker is not None and self._worker.host is not None:
            self._worker.host.released = None
        self.net.attach(0)
        self._worker = self.plugins = None

    __del__ = free  # before the collector empties what the worker needs for its end

    def stage(self, config: str | Path) -> Staged:
        """Load, compile, and give the worker the segments. ConfigErrors, SnapshotError."""
        loaded = self._load(config)
        catalogue, problems = examine(loaded)
        if problems:
            raise ConfigErrors(problems, loaded.warnings)
        plan, root, segments = build.make(loaded, self._generation + 1, self._state, _NOTHING, catalogue)
        for hash, data in segments.items():
            fd = seg_memfd(f"fastgw {hash:016x}", data)
            try:
                self.worker.segment_add(fd)
            finally:
                os.close(fd)
        return Staged(plan, root, bool(catalogue.entries()))

    async def start(self, staged: Staged) -> None:
        """`commit`, with plugins: in the loop that runs their hooks. PluginErrors, Refused: nothing has changed."""
        if self.plugins is None:
            host = Host(asyncio.get_running_loop(), self._failed)
            self.worker.host, self.plugins = host, Instances(host, self._report)
        try:
            await self.plugins.prepare(self.worker.plugins(staged.root))
            self.commit(staged)
        except BaseException:
            self.plugins.unwanted()
            raise
        self.plugins.bound()

    def commit(self, staged: Staged) -> None:
        """Bring it into use. Refused: nothing has changed."""
        self.worker.prepare(staged.root)
        self.net.adopt()
        self._stage(staged.plan)
        self._generation = self.worker.commit()
        self.net.adopt()
        self._state = staged.plan.slots
        self.listeners = {each.name: each.id for each in staged.plan.listeners}

    def _report(self, level: str, text: str) -> None:
        # Not the worker's own method: whoever kept that would keep the worker.
        if self._worker is not None:
            self._worker.report(level, text)

    def _failed(self, name: str, what: str, error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error)).rstrip()
        self._report("error", f"plugin {name}: {what}: {type(error).__name__}: {error}\n{trace}")

    def _load(self, config: str | Path) -> Loaded:
        if isinstance(config, Path):
            return load(config, self._env)
        return loads(textwrap.dedent(config), "<test>", env=self._env, base=self._base)

    def _stage(self, plan: Plan) -> None:
        """What the supervisor does before a commit: slots taken over are zeroed, listeners and tables are made."""
        slots = SlotTable.from_state(plan.slots)
        for slot in slots.reused:
            self._shm.clear(slot)
        for offset, size in slots.reused_buckets:
            zero(self._shm, offset, size)
        for listener in plan.listeners:
            self.net.listen(listener.id)
        for spec in plan.clusters:
            known = self.upstreams.get(spec.name)
            if known is None or (known[0].table, known[0].cap) != (spec.table, spec.cap):
                self._shm.init(spec.table, spec.cap)
                known = spec, Slots(spec.cap)
            self.upstreams[spec.name] = spec, known[1]
            self.publish(spec.name, {member.address: member.weight for member in spec.members})

    def publish(self, upstream: str, weights: Mapping[str, int], down: Iterable[str] = ()) -> None:
        """An upstream's endpoints by name. KeyError: no such upstream."""
        spec, slots = self.upstreams[upstream]
        given, bad = slots.assign(name.encode() for name in weights), set(down)
        rows = [(*given[name.encode()], w, name not in bad, _sockaddr(name), name) for name, w in weights.items()]
        self._shm.publish(spec.table, rows)


def _sockaddr(name: str) -> bytes:
    """Of an endpoint, for the table's sake: nobody connects to it. A host name stands for an address."""
    address = parse_address(name)
    return bytes(16) if address.kind == "name" else pack(address)
