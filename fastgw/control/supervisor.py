"""The supervisor: the process that `fastgw run` is. It serves no traffic; it keeps those alive who do.

    HUP         reload                       TERM, QUIT   drain: not ready, a delay, workers finish, exit 0
    USR1        reopen the logs              INT, or a second TERM or QUIT: stop now

Exit codes: 0 after a stop; 78 the configuration cannot be used; 1 it cannot be brought into use (a port is taken, ...).
"""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Awaitable
from pathlib import Path

import uvloop

from fastgw import _process

from . import notify
from .gateway import Gateway
from .reload import ReloadError
from .snapshot import Snapshot

BAD_CONFIG, FAILED = 78, 1
QUEUE_WAIT = 0.25  # before a drain: how long workers may take to empty their accept queues


def run(
    config_path: Path | str,
    workers: int | None = None,
    last_good: bool = False,
) -> int:
    """Serve until told to stop. Returns the exit code; what is wrong is told on stderr.

    last_good: if the configuration is bad, begin with the document that was kept."""
    path = Path(config_path)
    _process.set_title(f"fastgw: supervisor {path}", "fastgw")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(path, workers, last_good))


async def serve(path: Path, workers: int | None, last_good: bool) -> int:
    """One gateway's life in the running loop."""
    # Here alone control reaches up: it is where the parts are put together.
    from fastgw.admin.pages import gateway_pages
    from fastgw.admin.server import AdminServer

    gateway = Gateway(path, workers, lambda made: AdminServer(gateway_pages(made)))
    return await Supervisor(gateway, last_good).run()


class Supervisor:
    """Signals, start and stop of a gateway."""

    def __init__(self, gateway: Gateway, last_good: bool) -> None:
        self._gateway, self._last_good = gateway, last_good
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._serving = False

    async def run(self) -> int:
        self._signals()
        start = asyncio.create_task(self._start())
        code = await self._first(start, self._stop)
        if code is None or code == 0:
            await self._stop.wait()
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
        await self._end()
        return code or 0

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._on_hup)
        loop.add_signal_handler(signal.SIGUSR1, self._on_usr1)
        loop.add_signal_handler(signal.SIGINT, self._on_stop, "INT", True)
        loop.add_signal_handler(signal.SIGTERM, self._on_stop, "TERM", False)
        loop.add_signal_handler(signal.SIGQUIT, self._on_stop, "QUIT", False)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def _on_hup(self) -> None:
        if self._serving and not self._stop.is_set():
            self._gateway.reloader.request()

    def _on_usr1(self) -> None:
        self._gateway.drain.reopen()
        self._gateway.log.info("logs reopened")

    def _on_stop(self, name: str, now: bool) -> None:
        if now or self._stop.is_set():
            self._now.set()
        if not self._stop.is_set():
            self._gateway.stopping = "stopping" if now else "draining"
            self._gateway.log.info("stopping", signal=name, graceful=not now)
        self._stop.set()

    @staticmethod
    async def _first(task: "asyncio.Task[int]", event: asyncio.Event) -> int | None:
        """The task's result, or None if the event comes first."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return task.result() if task.done() else None

    # -- start
    async def _start(self) -> int:
        """Load and serve. The exit code if that fails, else 0."""
        gateway, began = self._gateway, time.monotonic()
        try:
            snapshot = await self._first_build()
        except ReloadError as e:
            print("\n".join(e.reasons), file=sys.stderr, flush=True)
            self._stop.set()
            return BAD_CONFIG
        try:
            gateway.become(snapshot.plan)
            gateway.fleet.resize(gateway.count(snapshot), snapshot.plan.drain_ms)
            await gateway.fleet.settled()
            if not gateway.fleet.participants():
                raise ReloadError(["no worker could be started"])
            await gateway.reloader.apply(snapshot)
        except ReloadError as e:
            for reason in e.reasons:
                gateway.log.error("cannot start", reason=reason)
            self._stop.set()
            return FAILED
        except Exception:  # a bug of ours: told, and everything that was started is ended
            traceback.print_exc()
            self._stop.set()
            return FAILED
        ms = round((time.monotonic() - began) * 1000)
        gateway.reloader.first(snapshot, ms)
        self._serving = True
        listeners = [f"{name}={address}" for name, found in gateway.listeners.addresses().items() for address in found]
        gateway.log.info(
            "ready", generation=snapshot.generation, pid=os.getpid(), workers=len(gateway.fleet.live()),
            listeners=listeners, admin=gateway.admin.address, ms=ms,
        )  # fmt: skip
        notify.notify("READY=1", f"STATUS=serving {' '.join(listeners)}")
        return 0

    async def _first_build(self) -> Snapshot:
        """The configuration's snapshot, or with --last-good the kept one's. ReloadError."""
        gateway = self._gateway
        try:
            return await gateway.build(1)
        except ReloadError as e:
            kept = gateway.kept.find() if self._last_good else None
            if kept is None:
                raise
            for reason in e.reasons:
                gateway.log.error("configuration is bad", reason=reason)
            gateway.log.warning("starting with the last good configuration", document=str(kept))
            return await gateway.build(1, document=kept)

    # -- stop
    async def _end(self) -> None:
        gateway, fleet = self._gateway, self._gateway.fleet
        notify.notify("STOPPING=1")
        gateway.watch.stop()
        await gateway.reloader.stop()
        if not self._now.is_set() and fleet.live():
            delay_ms = fleet.current.plan.drain_delay_ms if fleet.current else 0
            await self._unless_now(asyncio.sleep(delay_ms / 1000))
            await self._unless_now(fleet.emptied(list(gateway.listeners), QUEUE_WAIT))
            fleet.stopping = True
            gateway.listeners.close_all()
            drain_ms = fleet.current.plan.drain_ms if fleet.current else 0
            await self._unless_now(fleet.drain(drain_ms))
        await fleet.kill()
        gateway.listeners.close_all()
        gateway.admin.close()
        await gateway.clusters.close()
        await gateway.close()
        gateway.log.info("stopped")
        gateway.drain.stop()

    async def _unless_now(self, work: Awaitable[None]) -> None:
        """Wait for work, but no longer than until somebody wants the stop at once."""
        task, now = asyncio.ensure_future(work), asyncio.create_task(self._now.wait())
        await asyncio.wait({task, now}, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, now):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
