"""The supervisor's side of builds: keep the template process, gather what its children send, give up on what hangs."""

import asyncio
import os
import signal
import subprocess

import msgspec

from fastgw._shm import seg_memfd

from . import channel as ch
from .process import Exit, how_ended, spawn_python
from .reload import ReloadError
from .snapshot import Plan, Segment, Snapshot, read_memfd

BUILD_TIMEOUT = 60.0


class Gathering:
    """What has come of one build. `ended`: the code its process ended with; None: the template itself is gone."""

    def __init__(self) -> None:
        self.segments: dict[int, Segment] = {}
        self.built: ch.Built | None = None
        self.plan: bytes = b""
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        if isinstance(frame, ch.Segments) and len(frame.hashes) == len(fds):
            self.segments.update({hash: Segment(fd) for hash, fd in zip(frame.hashes, fds, strict=True)})
            return
        if isinstance(frame, ch.Built) and len(fds) == int(frame.ok):
            self.built = frame
            self.plan = read_memfd(fds.pop()) if fds else b""
        ch.close_all(fds)
        if isinstance(frame, ch.Ended):
            self.end(frame.code)

    def end(self, code: int | None) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    def snapshot(self, generation: int, code: int | None) -> Snapshot:
        """What was built. ReloadError."""
        if self.built is None:
            how = "with its template" if code is None else how_ended(code)
            raise ReloadError([f"the build process ended without an answer: {how}"])
        if not self.built.ok:
            raise ReloadError(self.built.errors or ["the build process gave no reason"])
        return Snapshot(generation, self.built.root, self.segments, msgspec.msgpack.decode(self.plan, type=Plan))


class Builder:
    """One build at a time. The template is started when it is needed, and again when it is gone."""

    def __init__(self) -> None:
        self._template: subprocess.Popen[bytes] | None = None
        self._channel: ch.Channel | None = None
        self._gathering: Gathering | None = None

    async def build(
        self, request: ch.Build, slots_state: bytes, objects: bytes, present: bytes | None = None
    ) -> Snapshot:
        """Load and compile in a child process; `present`: this text in place of the document at the path. ReloadError
        with every reason; nothing has changed then."""
        states = [seg_memfd("fastgw slots", slots_state), seg_memfd("fastgw objects", objects)]
        if present is not None:
            states.append(seg_memfd("fastgw document", present))
        gathering = self._gathering = Gathering()
        try:
            self._running().post(request, states)
            async with asyncio.timeout(BUILD_TIMEOUT):
                code = await gathering.ended
        except TimeoutError:
            self.close()
            raise ReloadError([f"the configuration was not built within {BUILD_TIMEOUT:g} s"]) from None
        except ch.ChannelClosed:
            code = None
        except BaseException:  # the reload was called off: a child that goes on would answer the next request
            self.close()
            raise
        finally:
            ch.close_all(states)
            self._gathering = None
        return gathering.snapshot(request.generation, code)

    def _running(self) -> ch.Channel:
        if self._channel is not None and not self._channel.closed:
            return self._channel
        ours, theirs = ch.pair()
        try:
            self._template = spawn_python("fastgw.control.build", [], [], theirs.fileno())
        except OSError as e:
            ours.close()
            raise ReloadError([f"the build process cannot be started: {e.strerror}"]) from None
        finally:
            theirs.close()
        Exit(self._template, lambda code: None)
        self._channel = ch.Channel(ours, ch.BuildFrame, self._on_frame, self._on_close)
        return self._channel

    def _on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        if self._gathering is None:
            ch.close_all(fds)
        else:
            self._gathering.on_frame(frame, fds)

    def _on_close(self) -> None:
        if self._gathering is not None:
            self._gathering.end(None)

    def close(self) -> None:
        """End the template and its child."""
        if self._template is not None and self._template.returncode is None:
            os.killpg(self._template.pid, signal.SIGKILL)
        self._template = None
        if self._channel is not None:
            self._channel.close()
