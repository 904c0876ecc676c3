"""The plugins that one worker runs, from their import to their end.

    prepare(specs): import → make → start() ──all well──► known to the host, until no snapshot names them → stop()
                      └──one fails, or it is cancelled──► those that were new stop again; PluginErrors

stop() is called once for each start() that has ended well, and for no other: one that fails or is cancelled cleans up
by itself. Nothing that a plugin raises, SystemExit included, is more than that plugin's failure.
The thread is the worker's. A start() may wait, and requests are served meanwhile; an import may not, and is reported
when it was long.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from fastgw._hook import Hooks, Host
from fastgw._worker import PluginSpec

from . import settings
from .base import Plugin, make
from .errors import PluginError, told
from .modules import Modules

START_S = 10.0  # of all start() of one configuration together; the supervisor waits for 15 s
STOP_S = 5.0
LONG_IMPORT_S = 0.05


class PluginErrors(Exception):
    """Plugins that could not be made or started; nothing is left of the attempt."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


async def ended(call: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Do it to its end, whatever that is: what it raised. (A SystemExit that left a task would end the loop.)"""
    try:
        await call()
    except BaseException as error:
        return error
    return None


class Instances:
    """Makes, keeps and stops them. `report(level, text)` writes lines of the error log."""

    def __init__(self, host: Host, report: Callable[[str, str], None]) -> None:
        self._host, self._report = host, report
        self._modules = Modules()
        self._plugins: dict[int, Plugin[Any]] = {}
        self._wanted: set[int] = set()  # by the snapshot that is being prepared, or was prepared last
        self._bound: set[int] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        host.released = self._released

    def counts(self) -> dict[str, int]:
        """Instances by the plugin's name: more than one while a request holds an older configuration's."""
        return dict(Counter(plugin.name for plugin in self._plugins.values()))

    # -- one configuration
    async def prepare(self, specs: Sequence[PluginSpec]) -> None:
        """Have the host know all of these. PluginErrors. If that, or cancelled, nothing of the attempt is left."""
        self._wanted = {spec.key for spec in specs}
        new = [spec for spec in specs if spec.key not in self._plugins]
        errors: list[str] = []
        made: dict[int, Plugin[Any]] = {}
        for spec in new:
            try:
                made[spec.key] = self._make(spec)
            except PluginError as error:
                errors.append(f"plugin {spec.name}: {error}")
        if errors:
            raise PluginErrors(errors)
        await self._start(list(made.values()))
        for spec in new:
            plugin = made[spec.key]
            methods = {kind: getattr(plugin, name) for kind, name in plugin.hooks.items()}
            self._plugins[spec.key] = plugin
            self._host.add(spec.key, Hooks(spec.name, **methods))

    def bound(self) -> None:
        """The engine has prepared the snapshot that the last `prepare` was for."""
        self._bound |= self._wanted

    def unwanted(self) -> None:
        """The engine has not: what was made for it stops."""
        wanted, self._wanted = self._wanted, set()
        for key in wanted - self._bound:
            self._end(key)

    async def close(self) -> None:
        """Stop all of them."""
        for key in list(self._plugins):
            self._end(key)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=STOP_S)
        self._host.close()

    def _make(self, spec: PluginSpec) -> Plugin[Any]:
        begun = time.monotonic()
        try:
            cls = self._modules.find(spec.use, spec.path)
            value = settings.decode(msgspec.json.decode(spec.settings), cls.settings_type)
            return make(cls, value, spec.name)
        except settings.Wrong as wrong:
            raise PluginError(f"settings: {wrong}") from None
        except BaseException as error:  # signals of a terminal are ignored here: even KeyboardInterrupt is the plugin's
            raise told("it cannot be made", error) from None
        finally:
            took = time.monotonic() - begun
            if took > LONG_IMPORT_S:
                self._report("warn", f"plugin {spec.name}: its import held the worker for {took * 1000:.0f} ms")

    async def _start(self, plugins: Sequence[Plugin[Any]]) -> None:
        """Start them at once. PluginErrors."""
        tasks = {asyncio.ensure_future(ended(plugin.start)): plugin for plugin in plugins}
        if not tasks:
            return
        errors: list[str] | None = None
        try:
            done, late = await asyncio.wait(tasks, timeout=START_S)
            errors = [f"plugin {tasks[task].name}: start() did not end within {START_S:.0f} s" for task in late]
            for task in done:
                if (error := task.result()) is not None:
                    errors.append(f"plugin {tasks[task].name}: {told('start() failed', error)}")
        finally:
            if errors != []:  # a second cancellation does not keep them from being stopped
                await asyncio.shield(self._spawn(self._undo(tasks)))
        if errors:
            raise PluginErrors(sorted(errors))

    async def _undo(self, tasks: dict[asyncio.Task[BaseException | None], Plugin[Any]]) -> None:
        """Cancel what still starts, stop what has started: whoever swallows its cancellation, as soon as it has."""
        for task in tasks:
            task.cancel()
        done, stuck = await asyncio.wait(tasks, timeout=STOP_S)
        for task in stuck:
            self._report("warn", f"plugin {tasks[task].name}: start() goes on though it was cancelled")
            task.add_done_callback(lambda task: self._started_late(task, tasks[task]))
        await asyncio.gather(*(self._stop(tasks[task]) for task in tasks if task in done and _went_well(task)))

    def _started_late(self, task: asyncio.Task[BaseException | None], plugin: Plugin[Any]) -> None:
        if _went_well(task):
            self._spawn(self._stop(plugin))

    # -- the end of an instance
    def _released(self, key: int) -> None:
        """No snapshot has it bound; one that is being prepared may want it all the same."""
        self._bound.discard(key)
        if key not in self._wanted:
            self._end(key)

    def _end(self, key: int) -> None:
        plugin = self._plugins.pop(key, None)
        if plugin is None:
            return
        self._host.remove(key)
        self._spawn(self._stop(plugin))

    async def _stop(self, plugin: Plugin[Any]) -> None:
        task = asyncio.ensure_future(ended(plugin.stop))
        done, _ = await asyncio.wait({task}, timeout=STOP_S)
        if not done:
            task.cancel()
            self._report("warn", f"plugin {plugin.name}: stop() did not end within {STOP_S:.0f} s")
        elif (error := task.result()) is not None:
            self._report("warn", f"plugin {plugin.name}: {told('stop() failed', error)}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        return task


def _went_well(task: asyncio.Task[BaseException | None]) -> bool:
    return not task.cancelled() and task.result() is None


class LogHandler(logging.Handler):
    """What plugins log, to the gateway's error log."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        super().__init__()
        self._tell = report

    def emit(self, record: logging.LogRecord) -> None:
        levels = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
        level = next((word for least, word in levels if record.levelno >= least), "debug")
        name = record.name.removeprefix("fastgw.plugin.")
        try:
            self._tell(level, f"plugin {name}: {self.format(record)}")
        except Exception:
            self.handleError(record)


def log_plugins(report: Callable[[str, str], None]) -> None:
    """Have the lines of all plugins' loggers reported; the error log's own level decides what is written."""
    logger = logging.getLogger("fastgw.plugin")
    logger.handlers[:] = [LogHandler(report)]
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
