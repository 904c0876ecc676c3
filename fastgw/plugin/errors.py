"""Why a plugin cannot be used, and the place in its author's files that says so."""

import importlib
import sysconfig
import traceback
from pathlib import Path

from fastgw.errors import FastgwError

_OURS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), "<frozen importlib")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class PluginError(FastgwError):
    """A plugin cannot be loaded or started. `file`, `line`: where in its author's files; "" and 0: nowhere there."""

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message, self.file, self.line = message, file, line

    def __str__(self) -> str:
        return f"{self.message} ({self.file}:{self.line})" if self.file else self.message


def told(what: str, error: BaseException) -> PluginError:
    """An exception of the author's code as a PluginError: its text, and the innermost line that is the author's.

    That is one of no library; but for a plugin that is itself installed among them, the innermost that is not ours."""
    if isinstance(error, PluginError):
        return error
    file, line = "", 0
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno or 0
    else:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(_OURS)]
        own = [each for each in frames if Path(each.filename).is_file() and not each.filename.startswith(_LIBRARIES)]
        if frames:
            last = (own or frames)[-1]
            file, line = last.filename, last.lineno or 0
    text = " ".join(str(error).split())
    return PluginError(f"{what}: {type(error).__name__}{': ' if text else ''}{text}", file, line)
