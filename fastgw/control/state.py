"""Where the gateway keeps things on disk: the last good document, and its admin socket.

    state   $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/fastgw, else /var/lib/fastgw, else .fastgw beside the
            configuration
    run     $RUNTIME_DIRECTORY (systemd), else $XDG_RUNTIME_DIR, else /run

The kept document is the text as written, with references (`${VAR}`, `${file:...}`) and not what they stand for; mode
0600.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path


def state_candidates(config: Path) -> list[Path]:
    """Folders for state, the preferred first."""
    home = os.environ.get("XDG_STATE_HOME", "")
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    named = [Path(given)] if given else [Path(home, "fastgw")] if home else []
    return [*named, Path("/var/lib/fastgw"), config.resolve().parent / ".fastgw"]


def runtime_directory() -> Path:
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given or os.environ.get("XDG_RUNTIME_DIR") or "/run")


class LastGood:
    """The last document that was taken, one for each configuration path."""

    def __init__(self, config: Path) -> None:
        name = hashlib.sha256(str(config.resolve()).encode()).hexdigest()[:12]
        self._file = f"last-good-{name}{config.suffix.lower() or '.yaml'}"
        self._folders = state_candidates(config)

    def find(self) -> Path | None:
        """The kept document; None: there is none."""
        return next((folder / self._file for folder in self._folders if (folder / self._file).is_file()), None)

    def keep(self, document: bytes) -> Path:
        """Replace it, whole or not at all, in the first folder that can be written. OSError: none can."""
        failed: OSError | None = None
        for folder in self._folders:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                return _replace(folder / self._file, document)
            except OSError as e:
                failed = failed or e
        raise failed or FileNotFoundError("no folder for state")


def _replace(path: Path, data: bytes) -> Path:
    fd, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return path
