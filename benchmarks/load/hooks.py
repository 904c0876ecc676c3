"""Requests through hooks of every kind, with reloads all the while: none lost, nothing left, memory level.

    python -m benchmarks.load.hooks [--requests 1000000] [--reload 1.0]

One worker and its clients in one process. Each request has one owed outcome, which is checked; a client that is to
leave does so while its hook waits. Exit code 1 when something was not as it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any

import uvloop

from benchmarks.micro.hook_engine import Chains, Engine, Plug
from fastgw._views import Deny

CLIENTS = 32
LEVEL_KIB = 4096  # how much more memory the second half may come to hold
NO = Deny(403, "no\n")


async def waits(request: Any) -> None:
    request.headers["x-before"] = "1"
    await asyncio.sleep(0)
    request.headers["x-after"] = "1"


async def for_ever(request: Any) -> None:
    request.headers["x-edit"] = "1"
    await asyncio.get_running_loop().create_future()


async def fails_late(request: Any) -> None:
    await asyncio.sleep(0)
    raise ValueError("as it has to")


def fails(request: Any) -> None:
    request.tags["never"] = "1"
    raise KeyError("as it has to")


def edits(request: Any) -> None:
    request.headers["x-user"] = request.headers.get("x-who", "nobody")
    request.tags["user"] = "joe"


async def at_once(request: Any) -> None:
    edits(request)


async def stamp(request: Any, reply: Any) -> None:
    await asyncio.sleep(0)
    reply.headers["x-stamp"] = request.path


def no(request: Any) -> Deny:
    return NO


CHAINS: Chains = {
    "sync": [Plug(edits)], "async": [Plug(at_once)], "waits": [Plug(waits, stamp)], "two": [Plug(edits), Plug(waits)],
    "deny": [Plug(no)], "fails": [Plug(fails)], "late": [Plug(fails_late)], "open": [Plug(fails, fail="open")],
    "budget": [Plug(for_ever, budget_ms=5)], "budgetopen": [Plug(for_ever, budget_ms=5, fail="open")],
    "reply": [Plug(reply=lambda request, reply: NO)], "plain": [], "up": [Plug(waits, stamp)],
    "leaves": [Plug(for_ever)],
}  # fmt: skip
OWED = {"deny": 403, "fails": 500, "late": 500, "budget": 504, "reply": 403}
# In every hundred requests, which: the rest are spread over those that answer at once.
RARE = {0: "budget", 25: "budgetopen", 50: "leaves", 75: "up", 90: "leaves"}
OFTEN = ("sync", "async", "waits", "two", "deny", "fails", "late", "open", "reply", "plain")


class Campaign:
    """What was asked, and what came of it."""

    def __init__(self, engine: Engine, requests: int) -> None:
        self.engine, self.requests = engine, requests
        self.numbers = itertools.count()
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.left = 0

    async def client(self) -> None:
        reader = writer = None
        while (n := next(self.numbers)) < self.requests:
            route = RARE.get(n % 100) or OFTEN[n % len(OFTEN)]
            if writer is None or writer.is_closing():
                reader, writer = await self.engine.connect()
            writer.write(b"GET /%b HTTP/1.1\r\nHost: a\r\nX-Who: %d\r\n\r\n" % (route.encode(), n))
            if route == "leaves":
                await asyncio.sleep(0.002)
                if n % 100 == 50:                      # a reset; without, the engine asks a second later who is there
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                self.left += 1
                continue
            try:
                status, close = await self.reply(reader, route)
            except (asyncio.IncompleteReadError, ConnectionError) as e:
                self.wrong.append(f"{route}: lost, {e!r}")
                writer.close()
                continue
            self.seen[route] += 1
            if status != OWED.get(route, 200):
                self.wrong.append(f"{route}: {status}")
            if close:
                writer.close()
        if writer is not None:
            writer.close()

    async def reply(self, reader: asyncio.StreamReader, route: str) -> tuple[int, bool]:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if route in ("waits", "up") and b"\r\nx-stamp: /" not in head:
            self.wrong.append(f"{route}: no stamp")
        if route == "up" and b"\r\nx-after: 1\r\n" not in body:
            self.wrong.append(f"{route}: an edit is missing")
        return int(head[9:12]), b"\r\nconnection: close\r\n" in head

    async def reloads(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self.engine.load(CHAINS)


def resident_kib() -> int:
    with open("/proc/self/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty:", "Private_Clean:")))


async def memory(campaign: Campaign, samples: list[tuple[float, int]]) -> None:
    """How much is held, against how much of the campaign is done."""
    while True:
        done = sum(campaign.seen.values()) + campaign.left
        samples.append((done / campaign.requests, resident_kib()))
        await asyncio.sleep(0.25)


async def run(requests: int, every: float) -> dict[str, Any]:
    """The figures; "wrong" names everything that was not as it has to be."""
    begun, samples = time.monotonic(), []
    async with Engine(CHAINS) as engine:
        campaign = Campaign(engine, requests)
        released: list[int] = []
        engine.host.released = released.append
        aside = [asyncio.ensure_future(campaign.reloads(every)), asyncio.ensure_future(memory(campaign, samples))]
        await asyncio.gather(*(campaign.client() for _ in range(CLIENTS)))
        for task in aside:
            task.cancel()
        wrong = campaign.wrong
        with contextlib.suppress(TimeoutError):
            await engine.until(lambda: not engine.worker.live()["exchanges"] and engine.host.live()["waiting"] == 0)
        kinds = len(engine.failures)
        engine.failures.clear()
        gc.collect()
        live, held, counts = engine.worker.live(), engine.host.live(), engine.totals()
        hooks = sum(map(len, CHAINS.values()))
        owed = {"exchanges": 0, "parked_hooks": 0, "tries": 0, "buf_nodes": 0, "snapshots": 1}
        wrong += [f"{name} is {live[name]}, not {n}" for name, n in owed.items() if live[name] != n]
        if held != {"plugins": hooks, "bound": hooks, "requests": 0, "waiting": 0}:
            wrong.append(f"the host holds {held}")
        if len(released) != hooks * (engine.generation - 1):
            wrong.append(f"{len(released)} hooks released after {engine.generation} snapshots of {hooks}")
        if counts["parked"] or counts["cancelled"] != campaign.left:
            wrong.append(f"{campaign.left} clients left, but {counts}")
        if sum(campaign.seen.values()) + campaign.left != requests:
            wrong.append("some requests were lost")
        if kinds != 2:
            wrong.append(f"{kinds} kinds of failures were told, not 2")
    half = [kib for done, kib in samples if 0.4 < done < 0.6] or [samples[0][1]]
    grown = samples[-1][1] - min(half)
    if grown > LEVEL_KIB:
        wrong.append(f"memory has grown by {grown} KiB since half of it was done")
    return {"requests": requests, "seconds": round(time.monotonic() - begun, 1), "reloads": engine.generation - 1,
            "left": campaign.left, "grown_kib": grown, "kib": samples[-1][1], "counts": counts,
            "seen": dict(campaign.seen), "wrong": Counter(wrong)}  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--requests", type=int, default=1_000_000)
    options.add_argument("--reload", type=float, default=1.0)
    args = options.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run(args.requests, args.reload))
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
