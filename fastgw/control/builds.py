"""The supervisor's side of a build: start the child, gather what it sends, give up on it when it hangs."""

import asyncio
import os
import signal

import msgspec

from fastgw._shm import seg_memfd

from . import channel as ch
from .process import Exit, how_ended, spawn_python
from .reload import ReloadError
from .snapshot import Plan, Segment, Snapshot, read_memfd

BUILD_TIMEOUT = 60.0


class Gathering:
    """What has come from the child so far. `done` is set by Built, by end of file, or by the timeout."""

    def __init__(self) -> None:
        self.segments: dict[int, Segment] = {}
        self.built: ch.Built | None = None
        self.plan_fd = -1
        self.done = asyncio.Event()

    def on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        if isinstance(frame, ch.Segments) and len(frame.hashes) == len(fds):
            self.segments.update({hash: Segment(fd) for hash, fd in zip(frame.hashes, fds, strict=True)})
            return
        if isinstance(frame, ch.Built) and len(fds) == int(frame.ok):
            self.built, self.plan_fd = frame, fds[0] if fds else -1
        else:
            ch.close_all(fds)
        self.done.set()


async def build(request: ch.Build, slots_state: bytes, objects: bytes) -> Snapshot:
    """Load and compile in a child process. ReloadError with every reason; nothing has changed then."""
    gathering = Gathering()
    ours, theirs = ch.pair()
    try:
        child = spawn_python("fastgw.control.build", [], [], theirs.fileno())
    except OSError as e:
        ours.close()
        raise ReloadError([f"the build process cannot be started: {e.strerror}"]) from None
    finally:
        theirs.close()
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    Exit(child, ended.set_result)
    channel = ch.Channel(ours, ch.BuildFrame, gathering.on_frame, gathering.done.set)
    states = [seg_memfd("fastgw slots", slots_state), seg_memfd("fastgw objects", objects)]
    try:
        channel.post(request, states)
        async with asyncio.timeout(BUILD_TIMEOUT):
            await gathering.done.wait()
            code = await asyncio.shield(ended)  # a timeout must not cancel what tells whether it lives
    except TimeoutError:
        raise ReloadError([f"the configuration was not built within {BUILD_TIMEOUT:g} s"]) from None
    except ch.ChannelClosed:
        code = await ended
    finally:
        channel.close()
        ch.close_all(states)
        if not ended.done():
            os.kill(child.pid, signal.SIGKILL)
    return _snapshot(request.generation, gathering, code)


def _snapshot(generation: int, gathering: Gathering, code: int) -> Snapshot:
    built = gathering.built
    if built is None:
        raise ReloadError([f"the build process ended without an answer: {how_ended(code)}"])
    if not built.ok:
        raise ReloadError(built.errors or ["the build process gave no reason"])
    plan = msgspec.msgpack.decode(read_memfd(gathering.plan_fd), type=Plan)
    return Snapshot(generation, built.root, gathering.segments, plan)
