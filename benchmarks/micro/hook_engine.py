"""A worker with hooks in this process, nested in the running loop: for tests of hooks, and for measuring them.

    async with Engine({"a": [Plug(access=check)], "b": []}) as e:      # routes /a and /b
        reply = await e.ask("/a", "x-key: 1")

A route answers by itself with 200 `ok`; one whose name begins with `up` asks the origin, which answers with what it was
asked as its body.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from unittest import mock

from fastgw import _layout
from fastgw._hook import Hooks, Host, totals
from fastgw._shm import LogDrain, Shm, eptable_size, seg_memfd
from fastgw._worker import Worker
from fastgw.config.addresses import Address
from fastgw.config.model import Answer, Config, Endpoint, Listener, Log, Match, Route, Static, Upstream
from fastgw.control.snapshot import root_hash
from fastgw.snapshot import compile as compiler
from fastgw.snapshot.compile import Slots, Snapshot
from fastgw.snapshot.layout import SegmentWriter, Span
from fastgw.upstream.address import pack

FIRST_SLOT = 900
KEYS = itertools.count(1)


class Plug(NamedTuple):
    """One `hook` step."""

    access: Callable[..., Any] | None = None
    reply: Callable[..., Any] | None = None
    fail: str = "closed"
    budget_ms: int = 0
    name: str = "plug"


class Got(NamedTuple):
    """What a client read."""

    status: int
    headers: dict[str, str]
    body: str


Chains = Mapping[str, Sequence[Plug]]


class Places(Slots):
    """Slots, with the one endpoint table where it is."""

    def __init__(self, table: int) -> None:
        super().__init__()
        self.table = table

    def endpoint_table(self, name: str) -> int:
        return self.table


def build(chains: Chains, keys: Mapping[str, Sequence[int]], generation: int, slots: Slots, log: Log) -> Snapshot:
    """A snapshot whose routes have these chains."""
    all_keys = sorted({key for of_route in keys.values() for key in of_route})
    plain = SegmentWriter.fill_top

    def steps(w: SegmentWriter, route: str, *_: object) -> Span:
        rows = []
        for plug, key in zip(chains[route], keys[route], strict=True):
            phases = (plug.access is not None) * _layout.HOOK_PHASES["access"]
            phases |= (plug.reply is not None) * _layout.HOOK_PHASES["reply"]
            at = w.one("hook", {
                "name": w.text(plug.name), "index": all_keys.index(key), "slot": FIRST_SLOT, "phases": phases,
                "fail": _layout.HOOK_FAIL[plug.fail], "budget_ms": plug.budget_ms})  # fmt: skip
            rows.append({"kind": _layout.STEP_HOOK, "args": at})
        return w.array("step", rows)

    def fill_top(w: SegmentWriter, values: Mapping[str, Any]) -> None:
        more: dict[str, Span] = {}
        if "generation" in values:
            rows = [{"key": key, "name": w.text("plug"), "use": w.text("m:C"), "settings": w.text("{}"),
                     "path": w.texts(["/a", "/b"])} for key in all_keys]  # fmt: skip
            more = {"plugins": w.array("plugin", rows)}
        elif "nodes" in values and all_keys:
            more = {"hooks": w.numbers(all_keys, 8)}
        plain(w, {**values, **more})

    def to(name: str) -> dict[str, Any]:
        return {"to": "u"} if name.startswith("up") else {"to": Answer(static=Static(body="ok"))}

    config = Config(
        listeners={"web": Listener(bind=("127.0.0.1:0",))},
        upstreams={"u": Upstream(endpoints=(Endpoint(address="127.0.0.1:9"),))},
        routes={name: Route(match=Match(prefix=f"/{name}"), **to(name)) for name in chains},
        log=log,
    )
    with mock.patch.object(compiler, "write_steps", steps), mock.patch.object(SegmentWriter, "fill_top", fill_top):
        return compiler.compile(config, generation, slots)


class Engine:
    """One worker and its client."""

    def __init__(self, chains: Chains, log: Path | None = None) -> None:
        self.chains = chains
        self.failures: list[tuple[str, str, BaseException]] = []
        self.loop = asyncio.get_running_loop()
        self.host = Host(self.loop, lambda *told: self.failures.append(told))
        self.shm = Shm.create(1, heap=1 << 20)
        self.shm.set_epoch(0, 1)
        self.worker = Worker(0, self.shm)
        self.worker.host = self.host
        self.worker.attach(self.loop)
        self.table = self.shm.heap
        self.slots, self.generation = Places(self.table), 0
        self.keys: dict[str, list[int]] = {}
        self.kept: list[asyncio.StreamWriter] = []
        self.log = log
        self.drain = LogDrain(self.shm, access=None if log is None else os.fspath(log), error=None)

    async def __aenter__(self) -> Self:
        self.origin = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        port = self.origin.sockets[0].getsockname()[1]
        self.shm.init(self.table, 4)
        assert eptable_size(4) < 1 << 20
        self.shm.publish(self.table, [(1, 1, 1, True, pack(Address("ip4", "127.0.0.1", port)), f"127.0.0.1:{port}")])
        self.load(self.chains)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(1024)
            sock.setblocking(False)
            self.port = sock.getsockname()[1]
            self.worker.listen(self.slots.listener_id("web"), 1, sock.fileno())
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self.kept:
            writer.close()
        self.worker.detach()
        self.origin.close()
        self.host.close()
        self.drain.stop()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The origin: tells what it was asked."""
        self.kept.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nX-Origin: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))

    def load(self, chains: Chains) -> dict[str, list[int]]:
        """Prepare and commit these routes; what the snapshot before had bound is let go when its last request is over.
        The keys of the hooks by route."""
        self.generation += 1
        old, keys = self.keys, {name: [next(KEYS) for _ in plugs] for name, plugs in chains.items()}
        for name, plugs in chains.items():
            for plug, key in zip(plugs, keys[name], strict=True):
                self.host.add(key, Hooks(plug.name, plug.access, plug.reply))
        log = Log() if self.log is not None else Log(access="off")
        made = build(chains, keys, self.generation, self.slots, log)
        for segment in (*made.segments.values(), made.root):
            fd = seg_memfd("segment", segment)
            self.worker.segment_add(fd)
            os.close(fd)
        self.root = root_hash(made.root)
        self.specs = self.worker.plugins(self.root)
        self.worker.prepare(self.root)
        self.worker.commit()
        for of_route in old.values():
            for key in of_route:
                self.host.remove(key)
        self.keys = keys
        return keys

    def totals(self) -> dict[str, int]:
        """The counters of all plugs together."""
        return totals(self.shm, FIRST_SLOT)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, path: str, *fields: str, method: str = "GET", on: Any = None) -> Got:
        """One request, on a connection of its own or on that one; and its reply."""
        reader, writer = on or await self.connect()
        lines = "".join(f"{field}\r\n" for field in fields)
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: example.org\r\n{lines}\r\n".encode("latin-1"))
        got = await read_reply(reader)
        if on is None:
            writer.close()
        return got

    async def until(self, what: Callable[[], bool]) -> None:
        """Let the loop run until it is so; TimeoutError after ten seconds."""
        async with asyncio.timeout(10):
            while not what():
                await asyncio.sleep(0.001)


async def read_reply(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Got(int(head[0].split()[1]), headers, body.decode("latin-1"))
