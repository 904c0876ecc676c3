"""A worker process: uvloop, and nested in it the engine. Started by the supervisor as `python -m
fastgw.control.worker`.

    start ──Ready──► waits ──snapshot committed──► serves ──Drain, end of the channel──► drains ──► exit 0

It obeys its channel. Signals meant for the supervisor (INT, HUP, QUIT, USR1, USR2 reach the whole process group of a
terminal) are ignored. TERM asks the supervisor for a successor, upon which it is told to drain; a second one drains at
once. (The kernel sends TERM when the supervisor dies, but then the channel has ended too.)
User and capabilities are dropped before anything that a configuration names is imported.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import uvloop

from fastgw import _process
from fastgw._hook import Host
from fastgw._shm import Shm
from fastgw._worker import Refused, Worker
from fastgw.plugin.instances import Instances, PluginErrors, log_plugins

from . import channel as ch
from .identity import become

IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ORPHAN_DRAIN_MS = 30_000  # before any configuration says how long a drain may take
DRAIN_TICK = 0.02
UNDO_S = 10.0  # for an attempt to prepare that was cancelled: until what had started has stopped
EXIT_S = 2.0  # from the end of the drain and of the plugins' stop() to the end of the process
PATTERNS_A_TURN = 4  # of routes, compiled between two looks at traffic: some 10 µs each


class WorkerMain:
    """One worker's life."""

    def __init__(self, sock: socket.socket, shm: Shm, column: int) -> None:
        self.engine = Worker(column, shm)
        self.preparing: asyncio.Task[None] | None = None
        self.done = asyncio.Event()
        self.leaving = self.draining = False
        self.refused: list[str] = []  # segments, until Prepare asks
        self.drain_ms = ORPHAN_DRAIN_MS
        self.loop = asyncio.get_running_loop()
        self.host = host = Host(self.loop, self.plugin_failed)
        host.blocked = self.plugin_blocked
        self.engine.host = host
        self.plugins = Instances(host, self.engine.report)
        log_plugins(self.engine.report)
        self.channel = ch.Channel(sock, ch.Down, self.on_frame, self.on_close)
        self.handlers: dict[type[ch.Frame], Callable[[Any, list[int]], None]] = {
            ch.Segments: self.segments,
            ch.Prepare: self.prepare,
            ch.Commit: self.commit,
            ch.Discard: self.discard,
            ch.Listen: self.listen,
            ch.Unlisten: self.unlisten,
            ch.TicketKeys: self.ticket_keys,
            ch.Bells: self.bells,
            ch.Drain: self.drain,
            ch.LiveQuery: self.live,
        }

    async def run(self) -> None:
        """Serve until drained."""
        self.engine.attach(self.loop)
        self.loop.add_signal_handler(signal.SIGTERM, self.on_term)
        self.reply(ch.Ready(os.getpid()))
        await self.done.wait()
        self.stop_preparing()
        if self.preparing is not None:
            await asyncio.wait({self.preparing}, timeout=UNDO_S)
        await self.plugins.close()
        self.engine.detach()
        self.channel.close()

    # -- channel
    def on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        try:
            self.handlers[type(frame)](frame, fds)
        finally:
            ch.close_all(fds)

    def on_close(self) -> None:
        """The supervisor is gone: finish what is in flight and go too."""
        self.start_drain(self.drain_ms, last=True)

    def on_term(self) -> None:
        """Somebody wants this worker replaced, now or soon."""
        if not self.leaving:
            self.leaving = True
            self.reply(ch.Leaving())
        elif not self.draining:
            self.reply(ch.Draining())
            self.start_drain(self.drain_ms)

    def reply(self, frame: ch.Frame) -> None:
        with contextlib.suppress(ch.ChannelClosed):
            self.channel.post(frame)

    def segments(self, frame: ch.Segments, fds: list[int]) -> None:
        for fd in fds:
            try:
                self.engine.segment_add(fd)
            except Refused as e:
                self.refused.append(f"segment refused: {e}")

    def prepare(self, frame: ch.Prepare, fds: list[int]) -> None:
        """Plugins first, which may wait: requests are served meanwhile, and a Discard ends it."""
        self.stop_preparing()
        self.preparing = self.loop.create_task(self.prepare_all(frame, self.preparing))

    async def prepare_all(self, frame: ch.Prepare, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before}, timeout=UNDO_S)  # what it has started may have to stop first
        while self.engine.compile(PATTERNS_A_TURN):
            await asyncio.sleep(0)  # traffic goes first
        refused, self.refused = self.refused, []
        try:
            await self.plugins.prepare(self.engine.plugins(frame.root))
            self.engine.prepare(frame.root)
        except (Refused, PluginErrors) as e:
            self.plugins.unwanted()
            told = e.errors if isinstance(e, PluginErrors) else [*refused, str(e)]
            self.reply(ch.Prepared(seq=frame.seq, ok=False, errors=told))
        else:
            self.plugins.bound()
            self.reply(ch.Prepared(seq=frame.seq, ok=True))

    def stop_preparing(self) -> None:
        if self.preparing is not None and not self.preparing.done():
            self.preparing.cancel()
            self.plugins.unwanted()

    def plugin_failed(self, name: str, what: str, error: BaseException) -> None:
        """The first failure of its kind; all are counted."""
        trace = "".join(traceback.format_exception(error)).rstrip()
        self.engine.report("error", f"plugin {name}: {what}: {type(error).__name__}: {error}\n{trace}")

    def task_ended(self, error: BaseException) -> None:
        """A task that a plugin has made itself: nobody knows whose."""
        trace = "".join(traceback.format_exception(error)).rstrip()
        self.engine.report("error", f"a task of a plugin ended with {type(error).__name__}: {error}\n{trace}")

    def plugin_blocked(self, name: str, seconds: float, where: str) -> None:
        told = f"plugin {name}: plugin_blocked: it has held the worker for {seconds:.1f} s"
        self.engine.report("error", f"{told}\n{where}")

    def commit(self, frame: ch.Commit, fds: list[int]) -> None:
        self.drain_ms = frame.drain_ms
        self.reply(ch.Committed(seq=frame.seq, generation=self.engine.commit()))

    def discard(self, frame: ch.Discard, fds: list[int]) -> None:
        self.stop_preparing()
        self.engine.discard()
        self.plugins.unwanted()

    def listen(self, frame: ch.Listen, fds: list[int]) -> None:
        error = ""
        if self.draining:
            error = "this worker is draining"
        elif len(fds) != 1:
            error = f"{len(fds)} descriptors came instead of one"
        else:
            try:
                self.engine.listen(frame.listener, frame.socket, fds[0], frame.shared)
            except Refused as e:
                error = str(e)
        self.reply(ch.Listening(seq=frame.seq, error=error))

    def unlisten(self, frame: ch.Unlisten, fds: list[int]) -> None:
        self.engine.unlisten(frame.socket)

    def ticket_keys(self, frame: ch.TicketKeys, fds: list[int]) -> None:
        self.engine.ticket_keys(frame.keys)

    def bells(self, frame: ch.Bells, fds: list[int]) -> None:
        try:
            for column, fd in zip(frame.columns, fds, strict=True):
                self.engine.bell(column, fd)
        except Refused as e:  # others could not wake it, or it them: another one may have more luck
            self.reply(ch.Log("error", str(e)))
            self.leaving = True
            self.reply(ch.Leaving())

    def live(self, frame: ch.LiveQuery, fds: list[int]) -> None:
        counts = self.engine.live() | {f"hooks_{name}": n for name, n in self.host.live().items()}
        self.reply(ch.Live(seq=frame.seq, counts=counts, plugins=self.plugins.counts()))

    # -- the end
    def drain(self, frame: ch.Drain, fds: list[int]) -> None:
        self.start_drain(frame.deadline_ms, frame.last)

    def start_drain(self, deadline_ms: int, last: bool = False) -> None:
        """Begin, or begin again with another deadline. last: nobody else will accept who waits to be."""
        self.engine.drain(deadline_ms, last)
        if not self.draining:
            self.draining = True
            self.watch_drain()

    def watch_drain(self) -> None:
        # The engine has no descriptor for "drained" besides its epoll set, so it is asked now and then.
        if self.engine.drained:
            self.reply(ch.Drained())
            self.done.set()
        else:
            self.loop.call_later(DRAIN_TICK, self.watch_drain)


def run_on(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], told: Callable[[BaseException], None]) -> None:
    """Run `main` to its end. A SystemExit that leaves another task ends the loop, as asyncio has it: not here, where
    tasks are those of plugins. It is told, and the loop goes on."""
    while not main.done():
        try:
            loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as error:
            if main.done():
                raise
            told(error)


def exit_soon(column: int) -> None:
    """Whatever tasks and threads of plugins still do, this process ends."""

    def end() -> None:
        os.write(2, b"fastgw: worker %d: tasks or threads of plugins went on after its end\n" % column)
        os._exit(0)

    timer = threading.Timer(EXIT_S, end)
    timer.daemon = True
    timer.start()


def drop_privileges(user: int, group: int, parent: int) -> None:
    """Become `user` and `group` (identity.become); then ask for TERM at the parent's death.

    OSError: not allowed."""
    become(user, group)
    _process.pdeathsig(signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)  # it died before we could ask


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastgw.control.worker")
    for name in ("channel", "shm", "column", "parent"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("user", "group"):
        parser.add_argument(f"--{name}", type=int, default=-1)
    options = parser.parse_args(argv)
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    faulthandler.enable()
    _process.set_title(f"fastgw: worker {options.column}", f"fastgw-w{options.column}")
    drop_privileges(options.user, options.group, options.parent)
    shm = Shm.map(options.shm)
    sock = socket.socket(fileno=options.channel)

    async def make() -> WorkerMain:
        return WorkerMain(sock, shm, options.column)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        worker = runner.run(make())
        loop = runner.get_loop()
        run_on(loop, loop.create_task(worker.run()), worker.task_ended)
        exit_soon(options.column)


if __name__ == "__main__":
    main()
