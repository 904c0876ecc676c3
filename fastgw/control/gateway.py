"""One gateway: what the supervisor holds, how a snapshot is brought into use, and what is told about it all."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Protocol

import msgspec

from fastgw import __version__
from fastgw._hook_stats import totals as plugin_totals
from fastgw._limits import zero
from fastgw._shm import WORKERS_MAX, LogDrain, Shm
from fastgw.config.model import Log
from fastgw.upstream.clusters import Clusters
from fastgw.upstream.discovery.dns import DnsResolver

from . import channel as ch
from . import identity, metrics
from .builds import Builder
from .fleet import Fleet, SlotState
from .listeners import BindErrors, Bound, Listeners
from .log import STREAMS, ErrorLog
from .process import State, WorkerProcess
from .reload import Reloader, ReloadError
from .slots import SlotTable
from .snapshot import Plan, Snapshot
from .sockets import BindError
from .state import LastGood, runtime_directory
from .watch import FileWatch

NO_OBJECTS = msgspec.msgpack.encode({})
NAMES_WAIT = 2.0
LIVE_TIMEOUT = 1.0
EMPTY_TIMEOUT = 1.0
FILES_TOLD = 10


class Admin(Protocol):
    """The admin server (fastgw.admin.server), which knows the gateway only by its pages."""

    address: str

    def open(self, bind: str) -> None: ...
    def rollback(self) -> None: ...
    def commit(self) -> None: ...
    def close(self) -> None: ...


class Gateway:
    """Everything but signals. `workers`: overrides the configuration's number."""

    def __init__(self, path: Path, workers: int | None, make_admin: Callable[["Gateway"], Admin]) -> None:
        self.path, self._workers = path, workers
        self.log = ErrorLog()
        self.started = time.time()
        self.shm = Shm.create(WORKERS_MAX)
        self.drain = LogDrain(self.shm, None, 2)
        self.slots = SlotTable.of(self.shm)
        self._slots_state = self.slots.state()
        self.listeners = Listeners()
        self.clusters = Clusters(self.shm, DnsResolver, self.log)
        self.builder = Builder()
        self.fleet = Fleet(self.shm, self.listeners, self.log, on_exit=self._forget_held)
        self.reloader = Reloader(self.fleet, self.log, self.build, self.stage, self.adopt, self.abandon)
        self.admin = make_admin(self)
        self.watch = FileWatch(self._renewed)
        self.kept, self._kept = LastGood(path), b""
        self.stopping = ""
        self._tasks: set[asyncio.Task[None]] = set()

    # -- a snapshot's way into use
    async def build(self, generation: int, renew: bool = False, document: Path | None = None) -> Snapshot:
        """Load and compile in a child; renew: the present document, with the files that it names. ReloadError."""
        request = ch.Build(str(self.path), generation, str(document or ""))
        current = self.fleet.current
        objects, present = (current.plan.objects, current.plan.document) if current else (NO_OBJECTS, None)
        snapshot = await self.builder.build(request, self._slots_state, objects, present if renew else None)
        return snapshot.sharing(current)

    def count(self, snapshot: Snapshot) -> int:
        """How many workers there should be."""
        return min(self._workers or snapshot.plan.workers or len(os.sched_getaffinity(0)), WORKERS_MAX)

    def become(self, plan: Plan) -> None:
        """Before the first worker: settle whom all of them run as. ReloadError."""
        try:
            self.fleet.identity = identity.find(plan.user, plan.group)
        except identity.IdentityError as e:
            raise ReloadError([str(e)]) from None
        if os.geteuid() == 0 and self.fleet.identity[0] <= 0:
            self.log.warning("workers run as root", hint="set `user` in the configuration")

    def _same_identity(self, plan: Plan) -> str:
        """Workers of two kinds beside each other would be neither. Empty: no change, or before the first start."""
        before = self.fleet.current
        if before is None or (before.plan.user, before.plan.group) == (plan.user, plan.group):
            return ""
        return "`user` and `group` cannot be changed by a reload: restart"

    async def stage(self, snapshot: Snapshot) -> None:
        """Open all that the snapshot needs here. ReloadError with every reason; `abandon` then undoes the rest."""
        plan, errors = snapshot.plan, []
        try:
            self.listeners.open(plan.listeners, self.count(snapshot))
        except BindErrors as e:
            errors += [str(error) for error in e.errors]
        try:
            self.admin.open(plan.admin.bind or f"unix:{runtime_directory() / 'fastgw-admin.sock'}")
        except BindError as e:
            errors.append(f"admin: {e}")
        errors += log_problems(plan.log)
        errors += filter(None, [self._same_identity(plan)])
        if errors:
            raise ReloadError(errors)
        await self.clusters.prepare(plan.clusters, NAMES_WAIT)

    def abandon(self) -> None:
        """Undo `stage`."""
        self.listeners.rollback()
        self.admin.rollback()
        self.clusters.discard()

    def adopt(self, snapshot: Snapshot) -> None:
        """Bring what was staged into use. The workers are told to commit right after this."""
        plan = snapshot.plan
        leaving = self.listeners.commit()
        self.clusters.commit()
        self._slots_state, self.slots = plan.slots, SlotTable.from_state(plan.slots)
        for slot in self.slots.reused:
            self.shm.clear(slot)
        for offset, size in self.slots.reused_buckets:
            zero(self.shm, offset, size)
        self.logs(plan.log)
        self.fleet.resize(self.count(snapshot), plan.drain_ms)
        self.fleet.forgive()
        self.fleet.settle_sockets()
        self.admin.commit()
        if leaving:
            self._spawn(self._leave(leaving))
        for warning in plan.warnings:
            self.log.warning("configuration", warning=warning)
        self.watch.follow(plan.files, plan.watch_ms / 1000)
        if plan.document != self._kept:
            self._kept = plan.document
            self._spawn(self._keep(plan.document))

    def _renewed(self, files: list[str]) -> None:
        self.log.info("certificate files changed", files=files[:FILES_TOLD], changes=len(files))
        self.reloader.request(renew=True)

    def _forget_held(self, column: int) -> None:
        """A worker is dead: what it held of upstreams and plugins, nobody holds any more."""
        held = [slot for kind, _, slot in self.slots.identities() if kind in ("upstream", "plugin")]
        self.shm.zero_gauges(column, held)

    async def _leave(self, leaving: list[Bound]) -> None:
        await self.fleet.emptied(leaving, EMPTY_TIMEOUT)
        self.listeners.leave(leaving)
        self.fleet.settle_sockets()

    async def _keep(self, document: bytes) -> None:
        try:
            await asyncio.to_thread(self.kept.keep, document)  # it waits for the disk
        except OSError as e:
            self.log.warning("last good configuration is not kept", reason=str(e))

    def logs(self, log: Log) -> None:
        """Send the logs where a configuration wants them."""
        self.drain.direct("access", None if log.access == "off" else place(log.access.to))
        self.drain.direct("error", place(log.error.to))
        self.log.configure(log.error.to, log.error.level, self.drain.say)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End the build template, and wait for what is being written."""
        self.builder.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- telling
    def checks(self) -> dict[str, str]:
        """For /readyz: name → "" if fine, else what is wrong."""
        return {
            "configuration": "" if self.fleet.current else "none is loaded",
            "workers": "" if self.fleet.live() else "none is live",
            "running": self.stopping,
        }

    def metrics(self) -> bytes:
        """For /metrics."""
        return metrics.render(self)

    def effective(self) -> bytes:
        """For /config: JSON."""
        return self.fleet.current.plan.effective if self.fleet.current else b"{}"

    async def status(self) -> dict[str, object]:
        """For /status."""
        current = self.fleet.current
        told = await asyncio.gather(*(self._worker(index) for index in sorted(self.fleet.slots)))
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self.started,
            "configuration": str(self.path),
            "generation": current.generation if current else 0,
            "ready": not any(self.checks().values()),
            "stopping": self.stopping,
            "workers": [row for row, _ in told],
            "worker_restarts": self.fleet.restarts,
            "listeners": self.listeners.addresses(),
            "admin": self.admin.address,
            "upstreams": self.clusters.status(),
            "plugins": self._plugins({int(str(row["column"])): plugins for row, plugins in told}),
            "logs": {name: self.drain.counters(name) for name in ("access", "error")},
            "log_lines_lost": self.shm.ring_losses(),
            "reloads": {
                "applied": self.reloader.applied,
                "refused": self.reloader.refused,
                "last": [msgspec.to_builtins(result) for result in self.reloader.results],
            },
        }

    async def _worker(self, index: int) -> tuple[dict[str, object], dict[str, int]]:
        """A worker's row, and its instances of plugins."""
        slot = self.fleet.slots[index]
        worker = slot.worker
        state = slot.state.value if worker is None or slot.state is SlotState.RETIRING else worker.state.value
        live = await live_counts(worker)
        row: dict[str, object] = {
            "column": index,
            "pid": worker.pid if worker else None,
            "state": state,
            "generation": worker.generation if worker else 0,
            "restarts": slot.restarts,
            "live": live.counts if live else None,
        }
        return row, live.plugins if live else {}

    def _plugins(self, loaded: dict[int, dict[str, int]]) -> list[dict[str, object]]:
        """A row for each plugin of the configuration; `loaded`: instances by name, of each worker.

        What is counted is counted by name: since the gateway's start, and over all configurations."""
        rows: list[dict[str, object]] = []
        slots = {name: slot for kind, name, slot in self.slots.identities() if kind == "plugin"}
        for spec in self.fleet.current.plan.plugins if self.fleet.current else []:
            counted = plugin_totals(self.shm, slots[spec.name])
            instances = {column: counts[spec.name] for column, counts in loaded.items() if spec.name in counts}
            rows.append({
                "name": spec.name,
                "use": spec.use,
                "hooks": spec.hooks,
                "loaded": sorted(instances),
                "instances": sum(instances.values()),
                "calls": counted["calls"],
                "replies": counted["replies"],
                "failures": counted["failed"],
                "timeouts": counted["timed_out"],
                "cancelled": counted["cancelled"],
                "blocked": counted["blocked"],
                "waiting": counted["parked"],
                "seconds": round(counted["ns"] / 1e9, 6),
            })  # fmt: skip
        return rows


async def live_counts(worker: WorkerProcess | None) -> ch.Live | None:
    """What a worker holds; None: it does not say."""
    if worker is None or worker.state is State.GONE:
        return None
    try:
        answer = await worker.channel.call(ch.LiveQuery(), seconds=LIVE_TIMEOUT)
    except (TimeoutError, ConnectionError):
        return None
    return answer if isinstance(answer, ch.Live) else None


def place(target: str) -> str | int:
    """A log's target as the drain takes it: a path or a descriptor."""
    return STREAMS.get(target, target)


def log_problems(log: Log) -> list[str]:
    """Log files that cannot be opened."""
    targets = {log.error.to} | (set() if log.access == "off" else {log.access.to})
    problems = []
    for target in sorted(targets - STREAMS.keys()):
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640))
        except OSError as e:
            # A FIFO that nobody reads yet is fine: the drain waits for its reader.
            if e.errno != 6:
                problems.append(f"log {target}: {e.strerror}")
    return problems
