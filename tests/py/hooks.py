"""What the tests of hooks share."""

from __future__ import annotations

import asyncio
import gc

from benchmarks.micro.hook_engine import Engine


async def settled(e: Engine) -> None:
    """Nothing is left of any request."""
    e.failures.clear()  # their tracebacks keep what they saw
    await e.until(lambda: not e.worker.live()["exchanges"])
    gc.collect()
    live = e.host.live()
    assert live["requests"] == 0 and live["waiting"] == 0, live
    assert e.worker.live()["parked_hooks"] == 0 and e.totals()["parked"] == 0
    assert e.shm.gauges(0)["parked"] == 0


class Gate:
    """What hooks wait at."""

    def __init__(self) -> None:
        self.here = 0
        self.event = asyncio.Event()
        self.cancelled: list[BaseException] = []

    async def __call__(self, request, reply=None):
        self.here += 1
        try:
            await self.event.wait()
        except asyncio.CancelledError as e:
            self.cancelled.append(e)
            raise
        (reply or request).headers["x-gate"] = "passed"
