"""An asyncio loop for tests that have none: its clock is the gateway's, and it runs only while the gateway settles.

So what Python does for a request (a hook's coroutine, its timeouts) is served like everything else: at once, and by
`advance`. Nothing waits for real time: what depends on other threads or the network does not come.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any


class TestLoop(asyncio.SelectorEventLoop):
    """`clock`: seconds."""

    __test__ = False  # pytest looks for tests in what is called so

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def time(self) -> float:
        return self._clock()

    def next_timer(self) -> float | None:
        """When the first timer falls due; None: there is none."""
        scheduled: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009 - no public name
        while scheduled and scheduled[0].cancelled():
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else None

    def spin(self) -> bool:
        """Run what is ready, until nothing is. False: nothing was."""
        ran = False
        while self._due():
            ran = True
            self.call_soon(self.stop)
            self.run_forever()
        return ran

    def call(self, work: Callable[[], None]) -> None:
        """Do it with this loop running, as a callback of it. What it raises is raised here."""
        raised: list[BaseException] = []

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                raised.append(error)

        self.call_soon(guarded)
        self.call_soon(self.stop)
        self.run_forever()
        if raised:
            raise raised[0]

    def _due(self) -> bool:
        ready: Any = getattr(self, "_ready")  # noqa: B009
        timer = self.next_timer()
        return bool(ready) or (timer is not None and timer <= self.time())
