"""Plugins of the end-to-end tests: what hooks may do."""

import asyncio
import os

import anyio
import msgspec

from fastgw.plugin import Allow, Deny, ExchangeOver, Plugin, Reply, Request, hook


class Edits(Plugin[None]):
    """Reads and sets fields of both heads, and tags the log's line."""

    @hook.access
    def check(self, request: Request) -> Allow:
        request.headers["x-user"] = request.headers.get("x-name", "nobody").upper()
        request.headers.remove("x-secret")
        request.tags["user"] = request.headers["x-user"]
        return Allow()

    @hook.reply
    def stamp(self, request: Request, reply: Reply) -> None:
        reply.headers["x-seen"] = f"{request.route} {reply.status}"


class Certificate(Plugin[None]):
    """Tells the origin what the client's certificate says."""

    @hook.access
    def check(self, request: Request) -> None:
        found = request.certificate
        request.headers["x-certificate"] = repr(found and (found.cn, found.uris, found.dns, len(found.fingerprint)))


class KeySettings(msgspec.Struct, forbid_unknown_fields=True):
    header: str = "x-api-key"
    keys: tuple[str, ...] = ()


class KeyAuth(Plugin[KeySettings]):
    @hook.access
    def check(self, request: Request) -> Deny | None:
        if request.headers.get(self.settings.header) in self.settings.keys:
            return None
        return Deny(401, "no key\n", headers={"www-authenticate": "Key"})


class Server(msgspec.Struct, forbid_unknown_fields=True):
    """A server of the test's; what happens is also told in a file, a line each."""

    port: int
    file: str = ""


class LookUp(Plugin[Server]):
    """Asks a TCP server who it is: over asyncio's streams, or anyio's for /anyio."""

    @hook.access
    async def ask(self, request: Request) -> Deny | None:
        name = request.headers.get("x-name", "")
        try:
            async with asyncio.timeout(20):
                user = await (self.by_anyio(name) if request.path == "/anyio" else self.by_asyncio(name))
        except OSError:
            return Deny(503, "nobody to ask\n")
        if not user:
            return Deny(403, "unknown\n")
        request.headers["x-user"] = user
        return None

    async def by_asyncio(self, name: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.port)
        try:
            writer.write(name.encode() + b"\n")
            return (await reader.readline()).decode().strip()
        finally:
            writer.close()

    async def by_anyio(self, name: str) -> str:
        with anyio.fail_after(20):
            async with await anyio.connect_tcp("127.0.0.1", self.settings.port) as stream:
                await stream.send(name.encode() + b"\n")
                return (await stream.receive()).decode().strip()


class Wait(Plugin[Server]):
    """Holds every request until the server's word comes: over one connection, opened by `start`."""

    async def start(self) -> None:
        self.go = asyncio.Event()
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.settings.port)
        self.reading = asyncio.create_task(self.read(reader))
        self.tell(f"started {os.getpid()}")

    async def stop(self) -> None:
        self.reading.cancel()
        self.writer.close()
        self.tell(f"stopped {os.getpid()}")

    async def read(self, reader: asyncio.StreamReader) -> None:
        while await reader.readline():
            self.go.set()

    def tell(self, line: str) -> None:
        with open(self.settings.file, "a") as file:
            file.write(line + "\n")

    @hook.access
    async def hold(self, request: Request) -> None:
        self.tell("waits")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.tell("cancelled")
            try:
                self.tell(request.path)
            except ExchangeOver:
                self.tell("over")
            raise
        request.headers["x-waited"] = "yes"
