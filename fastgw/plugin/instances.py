"""The plugins that one worker runs, from their import to their end.

    prepare(specs): import → make → start() ──all well──► known to the host, until no snapshot names them → stop()
                      └────────────one fails──────────► those that were new stop again; PluginErrors

The thread is the worker's. A start() may wait, and requests are served meanwhile; an import may not, and is reported
when it was long.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
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
        """Have the host know all of these. PluginErrors."""
        self._wanted = {spec.key for spec in specs}
        new = [spec for spec in specs if spec.key not in self._plugins]
        errors: list[str] = []
        made: dict[int, Plugin[Any]] = {}
        for spec in new:
            try:
                made[spec.key] = self._make(spec)
            except PluginError as error:
                errors.append(f"plugin {spec.name}: {error}")
        started: list[int] = []
        try:
            if not errors:
                errors = await self._start(made, started)
        finally:
            if errors or len(started) < len(made):
                await self._stop_all([made[key] for key in started])
        if errors:
            raise PluginErrors(errors)
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
        except (Exception, SystemExit) as error:
            raise told("it cannot be made", error) from None
        finally:
            took = time.monotonic() - begun
            if took > LONG_IMPORT_S:
                self._report("warn", f"plugin {spec.name}: its import held the worker for {took * 1000:.0f} ms")

    async def _start(self, made: dict[int, Plugin[Any]], started: list[int]) -> list[str]:
        """Start them at once; the keys of those that did go to `started`. Returns what went wrong."""
        tasks = {key: asyncio.ensure_future(plugin.start()) for key, plugin in made.items()}
        if not tasks:
            return []
        try:
            await asyncio.wait(tasks.values(), timeout=START_S)
        finally:
            errors = []
            for key, task in tasks.items():
                if not task.done():
                    task.cancel()
                    errors.append(f"plugin {made[key].name}: start() did not end within {START_S:.0f} s")
                elif task.cancelled() or task.exception() is not None:
                    error = asyncio.CancelledError() if task.cancelled() else task.exception()
                    assert error is not None
                    errors.append(f"plugin {made[key].name}: {told('start() failed', error)}")
                else:
                    started.append(key)
        return errors

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
        task = asyncio.ensure_future(self._stop(plugin))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop_all(self, plugins: Sequence[Plugin[Any]]) -> None:
        await asyncio.gather(*(self._stop(plugin) for plugin in plugins))

    async def _stop(self, plugin: Plugin[Any]) -> None:
        try:
            await asyncio.wait_for(plugin.stop(), STOP_S)
        except TimeoutError:
            self._report("warn", f"plugin {plugin.name}: stop() did not end within {STOP_S:.0f} s")
        except Exception as error:
            self._report("warn", f"plugin {plugin.name}: {told('stop() failed', error)}")


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
