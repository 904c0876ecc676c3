"""Files that a configuration was made of, and whether they are still the same: certificates that somebody renews.

    every `interval`: look ──as they were──► wait        changed, and the same at the next look too ──► changed()

A certificate and its key are two files: what is looked at twice is more likely to be both. What was told once is told
again only when it has changed again, so a bad file is refused once and not at every look.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from fastgw.config.expand import Signature, signature


def signatures(paths: Mapping[str, Signature]) -> dict[str, Signature | None]:
    """Those of the files now; None for one that cannot be looked at."""
    found: dict[str, Signature | None] = dict.fromkeys(paths)
    for path in paths:
        with contextlib.suppress(OSError):
            found[path] = signature(path)
    return found


class FileWatch:
    """Owner: the supervisor's loop. Files are looked at in a thread, for they may lie far away."""

    def __init__(self, changed: Callable[[list[str]], None]) -> None:
        self._changed = changed
        self._files: Mapping[str, Signature] = {}
        self._interval = 0.0
        self._task: asyncio.Task[None] | None = None

    def follow(self, files: Mapping[str, Signature], interval: float) -> None:
        """From now on these, as they were when they were read, every `interval` seconds; 0: none at all."""
        self.stop()
        if files and interval:
            self._files, self._interval = dict(files), interval
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _run(self) -> None:
        told: Mapping[str, Signature | None] = self._files
        before = told
        while True:
            await asyncio.sleep(self._interval)
            now = await asyncio.to_thread(signatures, self._files)
            if now != told and now == before:
                differing = sorted(path for path in now if now[path] != told[path])
                told = now
                self._changed(differing)
            before = now
