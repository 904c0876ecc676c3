"""The error log: what happens to the gateway itself. One line an event, apart from the access log.

A line is JSON, `{"time", "level", "event", ...fields}`, or on a terminal plain text with the same content. Levels are
those of the configuration. At first lines go to stderr; once there is a log drain (fastgw._shm.LogDrain), which also
writes what workers log, it gets them. A target that fails (full disk) loses lines; nobody waits and nothing is raised.
Thread: any one; the supervisor's loop.
"""

import os
import select
import time
from collections.abc import Callable
from functools import partial

import orjson

LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}
Value = str | int | float | bool | None | list[str]
STREAMS = {"stdout": 1, "stderr": 2}
"""Targets that are not files, and their descriptors."""


def stamp(wall: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall)) + f".{int(wall * 1000) % 1000:03d}Z"


def line_json(wall: float, level: str, event: str, fields: dict[str, Value]) -> bytes:
    line = orjson.dumps({"time": stamp(wall), "level": level, "event": event, **fields}, default=str)
    return line + b"\n"


def line_text(wall: float, level: str, event: str, fields: dict[str, Value]) -> bytes:
    """As JSON, to be read by people. Control characters in values are escaped, so no value can forge a line."""
    parts = [stamp(wall), f"{level:7}", event]
    for name, value in fields.items():
        text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
        plain = text and text.isprintable() and " " not in text
        parts.append(f"{name}={text if plain else orjson.dumps(text).decode()}")
    return (" ".join(parts) + "\n").encode()


def write_now(fd: int, line: bytes) -> bool:
    """Write to a descriptor that may be anything, without waiting. False: some of it was lost.

    A pipe whose reader has stopped would hold the loop: it is asked for room first (pipe(7): PIPE_BUF)."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    try:
        for at in range(0, len(line), select.PIPE_BUF):
            if not poll.poll(0):
                return False
            os.write(fd, line[at : at + select.PIPE_BUF])
    except OSError:
        return False
    return True


class ErrorLog:
    """Formats lines and hands them to a sink. Usable before any configuration: level info, to stderr."""

    def __init__(self) -> None:
        self._sink: Callable[[bytes], object] = partial(write_now, 2)
        self._least = LEVELS["info"]
        self._format = line_text if os.isatty(2) else line_json

    def configure(self, target: str, level: str, sink: Callable[[bytes], object]) -> None:
        """Follow a configuration: lines go to `sink`, in the form that suits `target`."""
        self._sink, self._least = sink, LEVELS[level]
        self._format = line_text if target in STREAMS and os.isatty(STREAMS[target]) else line_json

    def write(self, level: str, event: str, **fields: Value) -> None:
        """One event: a few constant words; all that varies goes into the fields. An unknown level counts as error."""
        if LEVELS.get(level, 3) >= self._least:
            self._sink(self._format(time.time(), level, event, fields))

    def debug(self, event: str, **fields: Value) -> None:
        self.write("debug", event, **fields)

    def info(self, event: str, **fields: Value) -> None:
        self.write("info", event, **fields)

    def warning(self, event: str, **fields: Value) -> None:
        self.write("warning", event, **fields)

    def error(self, event: str, **fields: Value) -> None:
        self.write("error", event, **fields)
