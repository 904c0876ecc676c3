"""Plugins of the end-to-end tests that go wrong in every way there is."""

import asyncio
import os
import time

import msgspec

from fastgw.plugin import Deny, Plugin, Reply, Request, hook


class Raises(Plugin[None]):
    """Fails after an edit, at once or after it has waited."""

    @hook.access
    async def check(self, request: Request) -> None:
        request.headers["x-half"] = "done"
        if request.path == "/late":
            await asyncio.sleep(0.001)
        raise LookupError(f"no row for {request.path}")


class RaisesOnReply(Plugin[None]):
    @hook.reply
    def check(self, request: Request, reply: Reply) -> None:
        reply.headers["x-half"] = "done"
        raise LookupError("nothing for this reply")


class Nonsense(Plugin[None]):
    """Says what no hook may say."""

    @hook.access
    def check(self, request: Request) -> None:
        return 7  # type: ignore[return-value]


class Splits(Plugin[None]):
    """Sets a value that would be two fields."""

    @hook.access
    def check(self, request: Request) -> None:
        request.headers["x-user"] = "joe\r\nx-admin: yes"


class Late(Plugin[None]):
    """Never comes to an end by itself; says in the log that it was cancelled."""

    @hook.access
    async def check(self, request: Request) -> None:
        request.headers["x-half"] = "done"
        try:
            await asyncio.sleep(3600)
        finally:
            self.log.warning("cleaned up")


class BlockSettings(msgspec.Struct):
    seconds: float = 1.5


class Blocks(Plugin[BlockSettings]):
    """Holds the worker's thread."""

    @hook.access
    def check(self, request: Request) -> None:
        time.sleep(self.settings.seconds)
        request.headers["x-late"] = "yes"


class File(msgspec.Struct):
    file: str


class Keeps(Plugin[None]):
    """Keeps the first request and looks at it in the second."""

    kept: Request | None = None

    @hook.access
    def check(self, request: Request) -> Deny | None:
        if self.kept is None:
            self.kept = request
            return None
        return Deny(200, self.kept.path)


class OnlyOne(Plugin[File]):
    """Starts once: in the first worker that tries."""

    async def start(self) -> None:
        os.close(os.open(self.settings.file, os.O_CREAT | os.O_EXCL))

    @hook.access
    def check(self, request: Request) -> None: ...


class Unstartable(Plugin[None]):
    async def start(self) -> None:
        raise ConnectionRefusedError("the directory does not answer")

    @hook.access
    def check(self, request: Request) -> None: ...


class Where(msgspec.Struct):
    """Where to leave, and how."""

    where: str = "hook"
    interrupt: bool = False


class Exits(Plugin[Where]):
    """Leaves the process, or would."""

    async def start(self) -> None:
        self.leave("start")

    async def stop(self) -> None:
        self.leave("stop")

    @hook.access
    async def check(self, request: Request) -> None:
        request.headers["x-half"] = "done"
        self.leave("hook")
        await asyncio.sleep(0.001)
        if self.settings.where == "task":
            await asyncio.create_task(self.later())
        self.leave("late hook")

    @hook.reply
    def stamp(self, request: Request, reply: Reply) -> None:
        reply.headers["x-half"] = "done"
        self.leave("reply")

    async def later(self) -> None:
        self.leave("task")

    def leave(self, where: str) -> None:
        if self.settings.where == where:
            raise KeyboardInterrupt if self.settings.interrupt else SystemExit(9)


class StartsSlowly(Plugin[File]):
    """Its start waits until it is cancelled; all is told in a file."""

    async def start(self) -> None:
        self.tell("starts")
        try:
            await asyncio.sleep(3600)
        finally:
            self.tell("cancelled")

    async def stop(self) -> None:
        self.tell("stopped")

    def tell(self, word: str) -> None:
        with open(self.settings.file, "a") as file:
            file.write(word + "\n")

    @hook.access
    def check(self, request: Request) -> None: ...


class StartsAtOnce(StartsSlowly):
    async def start(self) -> None:
        self.tell("started")


class Stays(Plugin[None]):
    """Leaves a task that cannot be cancelled and a thread that does not end."""

    async def start(self) -> None:
        self.task = asyncio.create_task(self.run())
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    @hook.access
    def check(self, request: Request) -> None: ...
