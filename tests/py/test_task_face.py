"""What of a hook's task is looked at from outside, and what becomes of one that nobody ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import io
import weakref
from typing import Any

import pytest
import uvloop

from fastgw._task import start
from tests.py.test_task import hook, outcome


class Yields:
    def __init__(self, what):
        self.what = what

    def __await__(self):
        yield self.what


def test_what_is_no_future_is_told(run):
    async def body(what):
        with pytest.raises(RuntimeError) as told:
            await Yields(what() if callable(what) else what)
        return str(told.value)

    async def main():
        assert "bad yield: 5" in await outcome(hook(body(5)))
        assert "yield was used instead" in await outcome(hook(body(asyncio.get_running_loop().create_future())))
        other = asyncio.new_event_loop()
        foreign = other.create_future()
        foreign._asyncio_future_blocking = True
        assert "different loop" in await outcome(hook(body(foreign)))
        other.close()

        def myself():
            me = asyncio.current_task()
            me._asyncio_future_blocking = True
            return me

        assert "await on itself" in await outcome(hook(body(myself)))

    run(main())


def test_it_can_be_waited_for_and_looked_at(run):
    async def body():
        await asyncio.sleep(0.001)
        return 5

    async def main():
        task, told = hook(body()), []
        assert not task.done() and "pending" in repr(task)
        with pytest.raises(asyncio.InvalidStateError):
            task.result()
        with pytest.raises(asyncio.InvalidStateError):
            task.exception()
        assert asyncio.isfuture(task) and task in asyncio.all_tasks()
        assert task.get_loop() is asyncio.get_running_loop() and task.get_coro().__name__ == "body"
        assert isinstance(task.get_context(), contextvars.Context)
        assert [frame.f_code.co_name for frame in task.get_stack()] == ["body"]
        task.print_stack(file=(text := io.StringIO()))
        assert "body" in text.getvalue()
        task.set_name("mine")
        assert task.get_name() == "mine" and "mine" in repr(task)
        gone = told.append
        task.add_done_callback(told.append)
        task.add_done_callback(lambda t: told.append("2"), context=contextvars.copy_context())
        task.add_done_callback(print)
        assert task.remove_done_callback(print) == 1
        assert await asyncio.gather(task, return_exceptions=True) == [5]
        assert await task == 5 and gone
        await asyncio.sleep(0)
        assert told == [task, "2"]
        task.add_done_callback(told.append)
        await asyncio.sleep(0)
        assert told == [task, "2", task]
        assert task not in asyncio.all_tasks() and hook(body()).get_name() != "mine"
        assert not hasattr(task, "no_such_thing")

    run(main())


def test_one_that_is_dropped_is_closed(run):
    async def body():
        try:
            await asyncio.get_running_loop().create_future()
        except GeneratorExit:
            closed.append(1)
            raise

    async def main():
        task = hook(body())
        ref = weakref.ref(task)
        del task
        gc.collect()
        assert ref() is None

    closed: list[int] = []
    run(main())
    assert closed == [1]


def test_the_end_of_the_loop_cancels_it():
    async def body():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        ended.append(1)

    async def main():
        kept.append(hook(body()))
        kept.append(hook(asyncio.sleep(60)))

    ended: list[int] = []
    kept: list[Any] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    assert ended == [1] and kept[0].done()


def test_steps_after_the_first_are_told(run):
    async def body():
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main():
        told: list[bool] = []
        task = start(body(), asyncio.get_running_loop(), lambda t: told.append(t.done()))
        await task
        assert told == [False, True]

    run(main())
