"""From a request to reload to a new generation, or to the old one and the reasons.

    request ──► build (a child) ──► open sockets, logs, tables ──► prepare on every worker ──► commit on every worker
                    │ refused            │ refused                      │ refused, timeout
                    └────────────────────┴──────────────────────────────┴──► all is undone, the old generation stays

One reload at a time. Requests that come while one runs are answered by one more afterwards.
A worker that dies while it prepares is replaced, and the snapshot is tried once more; the second death refuses it: it
may be what kills them. One that dies or hangs in commit is replaced, and its successor begins with the new generation.
Owner: the supervisor's loop.
"""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from . import notify
from .fleet import COMMIT_TIMEOUT, PREPARE_TIMEOUT, Fleet
from .log import ErrorLog, Value
from .process import Refused, WorkerProcess
from .snapshot import Snapshot

CHANGES_TOLD = 50


class ReloadError(Exception):
    """A configuration that was not taken; nothing has changed."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Result(Struct, frozen=True):
    """One reload, for the admin page. changed: the first CHANGES_TOLD of `changes` objects."""

    time: float
    ok: bool
    generation: int
    ms: int
    changed: list[str]
    changes: int
    errors: list[str]


class Reloader:
    """`build(generation, renew)` makes a snapshot, of the document or only of the files that the present one names,
    or raises ReloadError. `stage(snapshot)` opens what the supervisor itself
    needs for it and raises ReloadError; `adopt(snapshot)` and `abandon()` follow as the case may be."""

    def __init__(
        self,
        fleet: Fleet,
        log: ErrorLog,
        build: Callable[[int, bool], Awaitable[Snapshot]],
        stage: Callable[[Snapshot], Awaitable[None]],
        adopt: Callable[[Snapshot], None],
        abandon: Callable[[], None],
    ) -> None:
        self._fleet, self._log, self._build = fleet, log, build
        self._stage, self._adopt, self._abandon = stage, adopt, abandon
        self._wanted = self._renew = False
        self._task: asyncio.Task[None] | None = None
        self._prepared: set[WorkerProcess] = set()
        self.results: deque[Result] = deque(maxlen=16)
        self.applied = self.refused = 0

    def request(self, renew: bool = False) -> None:
        """Reload, now or as soon as the present one is done. renew: the document stays as it is, whatever the file says
        by now; only what it names is read anew."""
        self._renew = renew and (self._renew or not self._wanted)
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """No more reloads; the present one is undone."""
        self._wanted = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._wanted:
            renew, self._wanted, self._renew = self._renew, False, False
            notify.reloading()
            await self._once(renew)
            notify.notify("READY=1")

    async def _once(self, renew: bool) -> None:
        started = time.monotonic()
        generation = self._fleet.current.generation + 1 if self._fleet.current else 1
        changed: list[str] = []
        errors: list[str] = []
        try:
            snapshot = await self._build(generation, renew)
            changed = snapshot.plan.changed
            await self.apply(snapshot)
        except ReloadError as e:
            errors = e.reasons
        except Exception as e:  # a bug of ours must not end the supervisor: the old generation serves on
            errors = [f"internal error: {type(e).__name__}: {e}"]
        ms = round((time.monotonic() - started) * 1000)
        told = changed[:CHANGES_TOLD]
        self._tell(Result(time.time(), not errors, generation, ms, told, len(changed), errors))

    def first(self, snapshot: Snapshot, ms: int) -> None:
        """Note the configuration that the gateway began with."""
        self.results.append(Result(time.time(), True, snapshot.generation, ms, [], 0, []))

    def _tell(self, result: Result) -> None:
        self.results.append(result)
        if result.ok:
            self.applied += 1
            told: dict[str, Value] = {"changed": result.changed, "changes": result.changes, "ms": result.ms}
            self._log.info("reload applied", generation=result.generation, **told)
        else:
            self.refused += 1
            kept = self._fleet.current.generation if self._fleet.current else 0
            self._log.error("reload refused", kept_generation=kept, reasons=result.errors, ms=result.ms)

    async def apply(self, snapshot: Snapshot) -> None:
        """Bring a snapshot to all workers. ReloadError: everything is as it was."""
        committed = False
        try:
            await self._stage(snapshot)
            await self._prepare_all(snapshot)
            committed = True
        finally:
            if not committed:
                for worker in self._fleet.participants():
                    worker.discard()
                self._abandon()
        # The point of no return: from here on a worker that starts begins with the new generation.
        before, self._fleet.current = self._fleet.participants(), snapshot
        self._adopt(snapshot)
        await asyncio.gather(*(self._commit(worker, snapshot) for worker in before if worker in self._prepared))
        await self._fleet.catch_up()

    async def _prepare_all(self, snapshot: Snapshot) -> None:
        for attempt in (1, 2):
            workers = self._fleet.participants()
            outcomes = await asyncio.gather(*(self._prepare(worker, snapshot) for worker in workers))
            reasons = sorted({reason for outcome in outcomes if outcome is not None for reason in outcome})
            dead = [worker for worker, outcome in zip(workers, outcomes, strict=True) if outcome is None]
            if reasons:
                raise ReloadError(reasons)
            if not dead:
                self._prepared = set(workers)
                return
            if attempt == 2:
                raise ReloadError([f"worker {dead[0].slot} died while it prepared the configuration, twice"])
            await self._fleet.settled(dead)

    async def _prepare(self, worker: WorkerProcess, snapshot: Snapshot) -> list[str] | None:
        """Reasons of a refusal, none if it is ready, None if it died."""
        try:
            await worker.prepare(snapshot, PREPARE_TIMEOUT)
        except Refused as e:
            return e.reasons
        except TimeoutError:
            return [f"worker {worker.slot} did not prepare the configuration within {PREPARE_TIMEOUT:g} s"]
        except ConnectionError:
            return None
        return []

    async def _commit(self, worker: WorkerProcess, snapshot: Snapshot) -> None:
        try:
            await worker.commit(snapshot, COMMIT_TIMEOUT)
        except TimeoutError:
            self._log.error("worker does not take the configuration; ending it", worker=worker.slot)
            worker.signal(signal.SIGKILL)
        except ConnectionError:
            return  # its end is on the way
