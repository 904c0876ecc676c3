"""The modules of plugins: found in the configured folders or among the installed ones, run anew once changed."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .base import Plugin
from .errors import PluginError, told

FILES_MAX, BYTES_MAX = 10_000, 64 << 20


def digest(path: Sequence[str], module: str) -> bytes:
    """A hash of all `.py` files in the folders, and of the module's own file if it lies elsewhere.

    PluginError: too many files, or one that cannot be read."""
    found = hashlib.sha256()
    size = 0
    for folder in path:
        files = sorted(Path(folder).rglob("*.py"))
        if len(files) > FILES_MAX:
            raise PluginError(f"the folder {folder} holds {len(files):,} files; at most {FILES_MAX:,}")
        for file in files:
            data = _read(file)
            size += len(data)
            found.update(f"{file.relative_to(folder)}\0{len(data)}\0".encode() + data)
    if size > BYTES_MAX:
        raise PluginError(f"{size:,} bytes of plugins; at most {BYTES_MAX:,}")
    top = module.partition(".")[0]
    if not any((Path(folder) / top).is_dir() or (Path(folder) / f"{top}.py").is_file() for folder in path):
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is not None and spec.origin and Path(spec.origin).is_file():
            found.update(_read(Path(spec.origin)))
    return found.digest()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PluginError(f"{file} cannot be read: {error.strerror}") from None


class Modules:
    """What one process has imported for plugins. `sys.path` has the folders in front from the first load on."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], bytes] = {}

    def find(self, use: str, path: Sequence[str]) -> type[Plugin[Any]]:
        """The class that `module:Class` names. PluginError: there is none, or it is no plugin, or its module fails."""
        module_name, _, name = use.partition(":")
        self._forget_changed(tuple(path))
        sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
        importlib.invalidate_caches()
        module = _import(module_name, path)
        _refuse_shadowed(module_name, path)
        found = getattr(module, name, None)
        file = getattr(module, "__file__", None) or ""
        if found is None:
            classes = [each for each, value in vars(module).items() if _is_plugin(value) and not each.startswith("_")]
            has = f"; it has {', '.join(classes)}" if classes else ""
            raise PluginError(f"the module {module_name} has no {name}{has}", file, 1)
        if not _is_plugin(found):
            raise PluginError(f"{use} is not derived from fastgw.plugin.Plugin", file, 1)
        if not found.hooks:
            raise PluginError(f"{use} has no hook: no method is marked @hook.access or @hook.reply", file, 1)
        return found

    def _forget_changed(self, path: tuple[str, ...]) -> None:
        """Modules that came from these folders are run anew once a file there has changed.

        Instances keep the classes they were made of; only names are forgotten."""
        now = digest(path, "")
        if self._seen.get(path, now) != now:
            roots = [Path(folder).resolve() for folder in path]
            for name, module in list(sys.modules.items()):
                file = getattr(module, "__file__", None)
                if file and any(Path(file).resolve().is_relative_to(root) for root in roots):
                    del sys.modules[name]
        self._seen[path] = now


def _is_plugin(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Plugin) and found is not Plugin


def _refuse_shadowed(name: str, path: Sequence[str]) -> None:
    """PluginError: a folder has a file for the module, but its name was taken before the folders were looked at."""
    top = name.partition(".")[0]
    for file in (each for folder in path for each in (Path(folder) / f"{top}.py", Path(folder) / top / "__init__.py")):
        if file.is_file():
            got = getattr(sys.modules.get(top), "__file__", None)
            if got is None or Path(got).resolve() != file.resolve():
                whose = f"of {got}" if got else "of Python's own"
                raise PluginError(f"the name {top} is taken by a module {whose}: rename the file", str(file), 1)
            return


def _import(name: str, path: Sequence[str]) -> ModuleType:
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a file changed twice within a second would be taken for its older self
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            folders = "".join(f" in {each}{'' if Path(each).is_dir() else ' (no such folder)'}," for each in path)
            raise PluginError(f"there is no module {error.name}{folders}{' nor installed' if path else ''}") from None
        raise told(f"the module {name} cannot be imported", error) from None
    except (Exception, SystemExit) as error:
        raise told(f"the module {name} cannot be imported", error) from None
    finally:
        sys.dont_write_bytecode = before
