"""The driver of a hook's coroutine beside asyncio.Task: whatever works in the one works in the other."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from fastgw._task import Task, start

WORD: contextvars.ContextVar[str] = contextvars.ContextVar("WORD", default="none")
Make = Callable[[Coroutine[Any, Any, Any]], Any]


def hook(coro: Coroutine[Any, Any, Any]) -> Task:
    """Begun as the engine begins it: not within a task."""
    return start(coro, asyncio.get_running_loop())


def plain(coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(coro)


@pytest.fixture(params=[hook, plain], ids=["hook", "task"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


async def outcome(task: Any) -> Any:
    """Its result, or its error."""
    await asyncio.wait({task})
    return None if task.cancelled() else task.exception() or task.result()


def test_one_that_does_not_wait_is_over_at_once_and_scheduled_nothing(run):
    async def body():
        seen.append(asyncio.current_task())
        return 7

    async def main():
        me, loop = asyncio.current_task(), asyncio.get_running_loop()
        task = hook(body())
        assert task.done() and task.result() == 7 and seen == [task]
        assert asyncio.current_task() is me
        assert task not in asyncio.all_tasks(loop) and not task.cancelled() and task.exception() is None

    seen: list[object] = []
    run(main())


def test_what_it_raises_is_kept(run):
    async def body(error):
        raise error

    async def main():
        for error in (ValueError("x"), SystemExit(3), KeyboardInterrupt()):
            task = hook(body(error))
            assert task.exception() is error
            with pytest.raises(type(error)):
                task.result()
        task = hook(body(asyncio.CancelledError("m")))
        assert task.cancelled()
        with pytest.raises(asyncio.CancelledError):
            task.exception()

    run(main())


def test_it_waits_for_futures_turns_and_tasks(run, make):
    async def child(n):
        await asyncio.sleep(0)
        return n

    async def body():
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        assert await asyncio.gather(child(1), child(2)) == [1, 2]
        assert await asyncio.create_task(child(3)) == 3
        assert await asyncio.wait_for(child(4), 5) == 4
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("k"))
        with pytest.raises(KeyError):
            await future
        return asyncio.current_task()

    async def main():
        task = make(body())
        assert await outcome(task) is task

    run(main())


def test_timeouts(run, make):
    async def body():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.001)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60) as t:
                t.reschedule(-1)
                await asyncio.sleep(60)
        assert asyncio.current_task().cancelling() == 0
        return "done"

    async def main():
        assert await outcome(make(body())) == "done"

    run(main())


def test_task_groups(run, make):
    async def child(n, fail=False):
        await asyncio.sleep(0)
        if fail:
            raise ValueError(n)
        seen.append(n)

    async def body():
        async with asyncio.TaskGroup() as group:
            group.create_task(child(1))
            group.create_task(child(2))
        with pytest.raises(ExceptionGroup) as told:
            async with asyncio.TaskGroup() as group:
                group.create_task(child(3, fail=True))
                await asyncio.sleep(60)
        assert told.value.exceptions[0].args == (3,)
        assert asyncio.current_task().cancelling() == 0
        return "done"

    async def main():
        assert await outcome(make(body())) == "done"

    seen: list[int] = []
    run(main())
    assert seen == [1, 2]


def test_anyio(run, make):
    async def child(n):
        await anyio.lowlevel.checkpoint()
        seen.append(n)

    async def body():
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep(60)
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.001):
                await anyio.sleep(60)
        async with anyio.create_task_group() as group:
            group.start_soon(child, 1)
            group.start_soon(child, 2)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(lambda: 7) == 7
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        event = anyio.Event()
        asyncio.get_running_loop().call_soon(event.set)
        await event.wait()
        assert anyio.get_current_task().name
        return "done"

    async def main():
        assert await outcome(make(body())) == "done"

    seen: list[int] = []
    run(main())
    assert sorted(seen) == [1, 2]


def test_context_variables_are_its_own(run, make):
    async def body(word):
        assert WORD.get() == "outer"
        WORD.set(word)
        for _ in range(3):
            await asyncio.sleep(0)
            assert WORD.get() == word
        await asyncio.create_task(child(word))
        return WORD.get()

    async def child(word):
        assert WORD.get() == word
        WORD.set("child's")

    async def main():
        WORD.set("outer")
        tasks = [make(body(f"w{i}")) for i in range(3)]
        assert [await outcome(t) for t in tasks] == ["w0", "w1", "w2"]
        assert WORD.get() == "outer"

    run(main())


def test_cancelled_before_it_waits_for_the_first_time(run):
    async def body(swallow=False):
        task = asyncio.current_task()
        assert task.cancel("why") and task.cancelling() == 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as e:
            assert e.args in (("why",), ())
            if not swallow:
                raise
            task.uncancel()
            return "went on"

    async def ends():
        asyncio.current_task().cancel()
        return 1

    async def main():
        task = hook(body())
        assert await outcome(task) is None and task.cancelled()
        assert await outcome(hook(body(swallow=True))) == "went on"
        assert hook(ends()).cancelled()

    run(main())


def test_cancelled_while_it_waits(run, make):
    async def body(how):
        try:
            if how == "future":
                await asyncio.get_running_loop().create_future()
            elif how == "task":
                await asyncio.create_task(asyncio.sleep(60))
            elif how == "gather":
                await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))
            else:
                await asyncio.sleep(60)
        finally:
            cleaned.append(how)
            await asyncio.sleep(0)
            cleaned.append(how)

    async def main():
        for how in ("future", "task", "gather", "sleep"):
            task = make(body(how))
            await asyncio.sleep(0)
            assert task.cancel("now") is True
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled() and task.cancel() is False
            assert cleaned[-2:] == [how, how]

    cleaned: list[str] = []
    run(main())


def test_cancelled_during_a_bare_yield_and_twice(run, make):
    async def body():
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(60)
        return asyncio.current_task().cancelling()

    async def main():
        task = make(body())
        await asyncio.sleep(0) if not isinstance(task, Task) else None
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        assert await outcome(task) == 2
        assert task.uncancel() == 1 and task.uncancel() == 0 and task.uncancel() == 0

    run(main())


def test_shield(run, make):
    async def inner():
        await asyncio.sleep(0.002)
        kept.append(1)

    async def body():
        await asyncio.shield(asyncio.create_task(inner()))

    async def main():
        task = make(body())
        await asyncio.sleep(0)
        task.cancel()
        assert await outcome(task) is None
        await asyncio.sleep(0.01)

    kept: list[int] = []
    run(main())
    assert kept == [1]
