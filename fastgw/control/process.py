"""A worker process as the supervisor sees it: its channel, its state, its end."""

import asyncio
import contextlib
import enum
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from . import channel as ch
from .snapshot import Snapshot

SEGMENTS_PER_FRAME = 32


class State(enum.StrEnum):
    """STARTING ──snapshot committed──► LIVE ──Drain──► DRAINING ──► GONE; a crash leads to GONE from anywhere."""

    STARTING = "starting"
    LIVE = "live"
    DRAINING = "draining"
    GONE = "gone"


class Refused(Exception):
    """The worker cannot use a snapshot; `reasons` says why."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def spawn_python(module: str, arguments: Sequence[str], fds: Sequence[int], stdin: int) -> subprocess.Popen[bytes]:
    """Start `python -m module` in a process group of its own (a terminal's Ctrl-C is not for it) with these
    descriptors."""
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    # -P: the working directory is not a place to import from.
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.Popen(command, stdin=stdin, pass_fds=fds, env=environment, process_group=0)


class Exit:
    """Tells once, in the loop, when a child has ended; reaps it."""

    def __init__(self, child: subprocess.Popen[bytes], done: Callable[[int], None]) -> None:
        self._child, self._done = child, done
        self._loop = asyncio.get_running_loop()
        self._fd = os.pidfd_open(child.pid)
        self._loop.add_reader(self._fd, self._ended)

    def _ended(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._done(self._child.wait())


def how_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


class WorkerProcess:
    """One process in one slot (its column in shared memory).

    on_ready(worker): it waits for its first snapshot. on_leaving(worker): it was told by a signal to go, and serves on
    until it is told to drain. on_draining(worker): it has begun to. on_exit(worker, code): it has ended and is
    reaped."""

    def __init__(
        self,
        slot: int,
        shm_fd: int,
        identity: tuple[int, int],
        on_ready: Callable[["WorkerProcess"], None],
        on_exit: Callable[["WorkerProcess", int], None],
        on_leaving: Callable[["WorkerProcess"], None],
        on_draining: Callable[["WorkerProcess"], None],
        on_log: Callable[["WorkerProcess", ch.Log], None],
    ) -> None:
        """Spawn it. OSError: no process or descriptor to be had."""
        self.slot, self.state = slot, State.STARTING
        self.root = 0  # of the snapshot it serves
        self.generation = 0
        self.holds: dict[int, bool] = {}  # sockets it was given, by number
        self.started = time.monotonic()
        self._sent: set[int] = set()  # segments that it has been given and may still hold
        self._served: set[int] = set()  # those of the snapshot it serves
        self.ready = self.loading = False
        self._on_ready, self._on_exit, self._on_log = on_ready, on_exit, on_log
        self._on_leaving, self._on_draining = on_leaving, on_draining
        ours, theirs = ch.pair()
        try:
            self._child = self._spawn(theirs, shm_fd, identity)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel = ch.Channel(ours, ch.Up, self._on_frame, self._on_close)
        self._exit = Exit(self._child, self._exited)

    def _spawn(self, sock: socket.socket, shm_fd: int, identity: tuple[int, int]) -> subprocess.Popen[bytes]:
        numbers = {"channel": sock.fileno(), "shm": shm_fd, "column": self.slot, "parent": os.getpid(),
                   "user": identity[0], "group": identity[1]}  # fmt: skip
        arguments = [f"--{name}={value}" for name, value in numbers.items()]
        return spawn_python("fastgw.control.worker", arguments, [sock.fileno(), shm_fd], subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        return self._child.pid

    # -- events
    def _on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        ch.close_all(fds)
        if isinstance(frame, ch.Ready):
            self.ready = True
            self._on_ready(self)
        elif isinstance(frame, ch.Leaving):
            self._on_leaving(self)
        elif isinstance(frame, ch.Draining):
            self.state = State.DRAINING
            self._on_draining(self)
        elif isinstance(frame, ch.Log):
            self._on_log(self, frame)

    def _on_close(self) -> None:
        """It broke the channel. A worker that cannot be told anything is of no use: if it does not end, it is ended."""
        if self.state in (State.STARTING, State.LIVE):
            self.signal(signal.SIGTERM)

    def _exited(self, code: int) -> None:
        self.state = State.GONE
        self.channel.close()
        self._on_exit(self, code)

    # -- snapshots
    async def prepare(self, snapshot: Snapshot, seconds: float) -> None:
        """Send what it lacks and have it made ready. Refused, TimeoutError, ChannelClosed."""
        lacking = [hash for hash in snapshot.segments if hash not in self._sent]
        for at in range(0, len(lacking), SEGMENTS_PER_FRAME):
            part = lacking[at : at + SEGMENTS_PER_FRAME]
            await self.channel.send(ch.Segments(part), [snapshot.segments[hash].fd for hash in part])
        self._sent.update(lacking)
        answer = await self.channel.call(ch.Prepare(root=snapshot.root), seconds=seconds)
        if not isinstance(answer, ch.Prepared) or not answer.ok:
            raise Refused(answer.errors if isinstance(answer, ch.Prepared) else ["a wrong answer"])

    async def commit(self, snapshot: Snapshot, seconds: float) -> None:
        """Have it serve what it prepared. TimeoutError, ChannelClosed."""
        answer = await self.channel.call(ch.Commit(drain_ms=snapshot.plan.drain_ms), seconds=seconds)
        # The engine unmaps what no snapshot names any more, so only this one's segments are sure to be there.
        self._served = set(snapshot.segments)
        self._sent = set(self._served)
        self.root = snapshot.root
        self.generation = answer.generation if isinstance(answer, ch.Committed) else 0

    def discard(self) -> None:
        """Have it forget what it prepared."""
        with contextlib.suppress(ch.ChannelClosed):
            self.channel.post(ch.Discard())
        self._sent = set(self._served)

    async def load(self, snapshot: Snapshot, seconds: float) -> None:
        await self.prepare(snapshot, seconds)
        await self.commit(snapshot, seconds)

    # -- the end
    def drain(self, deadline_ms: int, last: bool = False) -> None:
        """Ask it to finish and exit. last: nobody will accept on its sockets after it."""
        if self.state is not State.GONE:
            self.state = State.DRAINING
            with contextlib.suppress(ch.ChannelClosed):
                self.channel.post(ch.Drain(deadline_ms, last))

    def signal(self, signum: int) -> None:
        """Send a signal; nothing when it is gone."""
        if self.state is not State.GONE:
            self._child.send_signal(signum)
