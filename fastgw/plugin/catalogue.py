"""The plugins of a configuration: each loaded once on trial, with all that is wrong told at its place in the document.

examine(loaded) ──► Catalogue, problems          Catalogue.of(step) ──► Entry: what a snapshot says of a step's plugin
"""

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from fastgw.config.load import Loaded
from fastgw.config.model import Config, Step
from fastgw.config.nodes import Source, join
from fastgw.config.problem import Fault, Problem

from . import settings
from .base import Plugin, make
from .errors import PluginError, told
from .modules import Modules, digest


class Entry(NamedTuple):
    """One instance. `key` names it in snapshots; `kinds`: the kinds of its hooks; `path`: absolute folders."""

    key: int
    name: str
    use: str
    settings: bytes
    path: tuple[str, ...]
    kinds: tuple[str, ...]


class Plugins(Protocol):
    """Who knows what stands behind the `use` of a step."""

    def of(self, step: Step) -> Entry:
        """The step's plugin."""


def encoded(step: Step) -> bytes:
    """A step's settings as JSON, the same for the same settings."""
    return msgspec.json.encode(step.settings, order="deterministic")


def _key(*parts: bytes | str) -> int:
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little") + data)
    return int.from_bytes(hashed.digest()[:8], "little") or 1


class Unloaded:
    """Stands for plugins that nobody has looked into: as if they had all hooks. For `explain` and `routes`."""

    def of(self, step: Step) -> Entry:
        assert step.use is not None
        data = encoded(step)
        return Entry(_key(step.plugin, step.use, data), step.plugin, step.use, data, (), ("access", "reply"))


class Catalogue:
    """The plugins of one configuration, all of them loadable."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, bytes], Entry] = {}

    def of(self, step: Step) -> Entry:
        assert step.use is not None
        return self._entries[step.plugin, step.use, encoded(step)]

    def entries(self) -> list[Entry]:
        return sorted(set(self._entries.values()))

    def keep(self, step: Step, entry: Entry) -> None:
        assert step.use is not None
        self._entries[step.plugin, step.use, encoded(step)] = entry


def steps(config: Config) -> Iterator[tuple[str, Step]]:
    """Every step that uses a plugin, with its path in the document."""
    for name, route in config.routes.items():
        for number, step in enumerate(route.chain):
            if step.use is not None:
                yield f"{join('routes', name)}.chain[{number}]", step


def folders(loaded: Loaded) -> tuple[str, ...]:
    """The folders of `plugins.path`, absolute. Those that are not there are left out."""
    found = [(loaded.base / each).absolute() for each in loaded.config.plugins.path]
    return tuple(str(folder) for folder in found if folder.is_dir())


def examine(loaded: Loaded) -> tuple[Catalogue, list[Problem]]:
    """Import the plugins of a configuration, decode their settings and make an instance of each; none is started.

    Runs the plugins' own code: call it where that may be done."""
    made = _Examination(loaded)
    for path, step in steps(loaded.config):
        made.look(path, step)
    return made.catalogue, made.problems


class _Examination:
    def __init__(self, loaded: Loaded) -> None:
        self.catalogue, self.problems = Catalogue(), list[Problem]()
        self._marks, self._keys, self._source = loaded.marks, loaded.keys, Source(loaded.name, loaded.text)
        self._folders = folders(loaded)
        self._modules = Modules()
        self._codes: dict[str, bytes] = {}
        self._classes: dict[str, type[Plugin[Any]] | PluginError] = {}
        if "plugins.path" in loaded.marks:
            self._missing_folders(loaded.base, loaded.config.plugins.path)

    def _missing_folders(self, base: Path, path: tuple[str, ...]) -> None:
        for number, each in enumerate(path):
            if not (base / each).is_dir():
                fault = Fault("FGW1215", f"there is no folder {base / each}", expected="a folder with modules")
                self._tell(fault, f"plugins.path[{number}]", "plugins.path")

    def look(self, path: str, step: Step) -> None:
        """One step: its problems are recorded, or its entry is."""
        assert step.use is not None
        cls = self._class(step.use)
        if isinstance(cls, PluginError):
            self._tell(Fault("FGW1216", f"{step.use}: {cls}"), f"{path}.use")
            return
        try:
            value = settings.decode(step.settings, cls.settings_type)
        except settings.Wrong as wrong:
            self._unfit(wrong, path, step, cls)
            return
        try:
            make(cls, value, step.plugin)
            module = step.use.partition(":")[0]
            code = self._codes.get(module) or self._codes.setdefault(module, digest(self._folders, module))
        except (Exception, SystemExit) as error:
            self._tell(Fault("FGW1216", f"{step.use}: {told('it cannot be made', error)}"), f"{path}.use")
            return
        data = encoded(step)
        key = _key(step.plugin, step.use, data, "\0".join(self._folders), code)
        self.catalogue.keep(step, Entry(key, step.plugin, step.use, data, self._folders, tuple(sorted(cls.hooks))))

    def _class(self, use: str) -> type[Plugin[Any]] | PluginError:
        if use not in self._classes:
            try:
                self._classes[use] = self._modules.find(use, self._folders)
            except PluginError as error:
                self._classes[use] = error
        return self._classes[use]

    def _unfit(self, wrong: settings.Wrong, path: str, step: Step, cls: type[Plugin[Any]]) -> None:
        at, above = f"{path}.with", f"{path}.with"
        for part in wrong.path:
            above, at = at, f"{at}[{part}]" if isinstance(part, int) else join(at, part)
        hint = ""
        known = settings.field_names(cls.settings_type) if cls.settings_type is not None else ()
        if wrong.unknown and len(wrong.path) == 1:
            close = difflib.get_close_matches(str(wrong.path[0]), known, 1)
            hint = f"did you mean {close[0]}?" if close else ""
        expected = f"one of {', '.join(known)}" if known and wrong.unknown else ""
        fault = Fault("FGW1217", f"{step.use}: {wrong}", expected=expected, hint=hint)
        if wrong.unknown and at in self._keys:
            fault.length = len(str(wrong.path[-1]))
            self.problems.append(self._source.problem(fault, *self._keys[at], at))
        else:
            self._tell(fault, at, above, f"{path}.with", f"{path}.use")

    def _tell(self, fault: Fault, *paths: str) -> None:
        """At the first of these paths that is written."""
        at = next((path for path in paths if path in self._marks), paths[0])
        line, column = self._marks.get(at, (0, 0))
        self.problems.append(self._source.problem(fault, line, column, paths[0]))
