import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

class Task(asyncio.Task[Any]):
    tag: Any

def start(
    coro: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, left: Callable[[Task], object] | None = None
) -> Task: ...
