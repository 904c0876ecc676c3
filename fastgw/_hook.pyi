import asyncio
from collections.abc import Callable
from typing import Any

from fastgw._hook_stats import COUNTERS as COUNTERS
from fastgw._hook_stats import totals as totals

class Hooks:
    name: str
    access: Callable[..., Any] | None
    reply: Callable[..., Any] | None
    def __init__(
        self, name: str, access: Callable[..., Any] | None = None, reply: Callable[..., Any] | None = None
    ) -> None: ...

class Host:
    loop: asyncio.AbstractEventLoop
    failed: Callable[[str, str, BaseException], object]
    blocked: Callable[[str, float, str], object] | None
    released: Callable[[int], object] | None
    def __init__(
        self, loop: asyncio.AbstractEventLoop, failed: Callable[[str, str, BaseException], object]
    ) -> None: ...
    def add(self, key: int, hooks: Hooks) -> None: ...
    def remove(self, key: int) -> None: ...
    def live(self) -> dict[str, int]: ...
    def watch(self) -> None: ...
    def holds(self) -> tuple[int, str, float] | None: ...
    def close(self) -> None: ...
