# cython: language_level=3
"""What asyncio takes for a task: the coroutine of a hook, stepped from the chain, and followed when it waits.

The first step is taken within the call that began it, with this object as current_task(): a coroutine that does not
wait is over then, and nothing was scheduled. One that waits is resumed by the future it waits for, as asyncio.Task is.
It has all that asyncio.timeout, TaskGroup, gather, shield and anyio look at in a task.
"""

import asyncio
import contextvars
import itertools
from asyncio import base_tasks
from asyncio.exceptions import CancelledError, InvalidStateError

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from "Python.h":
    enum:
        PYGEN_RETURN
        PYGEN_NEXT
    int PyIter_Send(object iter, object arg, PyObject **result) except -1
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef enum:
    PENDING
    CANCELLED
    FINISHED

cdef object NAMES = itertools.count(1).__next__
cdef object register = asyncio.tasks._register_task
cdef object swap_current = getattr(asyncio.tasks, "_swap_current_task", None)
cdef object current_tasks = asyncio.tasks._current_tasks if swap_current is None else None


cdef object swap(loop, task):
    """Make `task` (None: no one) the current task; who was it before."""
    if swap_current is not None:
        return swap_current(loop, task)
    cdef dict current = current_tasks
    before = current.get(loop)
    if task is None:
        current.pop(loop, None)
    else:
        current[loop] = task
    return before


cdef class Sink:
    """Who is told of each step that a task takes after it has waited."""

    cdef void task_enters(self, Task task) noexcept:
        pass

    cdef void task_left(self, Task task) noexcept:
        pass


cdef Task task_new(object coro, object loop, object context, Sink sink, object tag):
    cdef Task task = Task.__new__(Task)
    task.coro, task.loop, task.context, task.sink, task.tag = coro, loop, context, sink, tag
    return task


@cython.freelist(64)
cdef class Task:
    """A hook's coroutine as a task of asyncio. Made by the engine's host of hooks."""

    # ---- steps
    cdef bint begin(self):
        """The first step, from the chain. False: it waits, and the sink will be told."""
        PyContext_Enter(self.context)
        try:
            self.step(None)
        finally:
            PyContext_Exit(self.context)
        return self.state != PENDING

    cdef void step(self, object error) noexcept:
        """One step, as the current task. Nothing that the coroutine raises leaves."""
        try:
            before = swap(self.loop, self)
            try:
                self.advance(error)
            finally:
                swap(self.loop, before)
        except BaseException as e:                 # not the coroutine's: something of asyncio's own
            self.error = e
            self.state = FINISHED
        if self.state != PENDING and self.callbacks is not None:
            self.call_back()

    cdef void advance(self, object error):
        cdef PyObject *sent = NULL
        cdef int how = PYGEN_NEXT
        self._fut_waiter = None
        if self._must_cancel:
            if not isinstance(error, CancelledError):
                error = self._make_cancelled_error()
            self._must_cancel = False
        try:
            if error is None:
                how = PyIter_Send(self.coro, None, &sent)
                result = <object>sent
                Py_DECREF(result)
            else:
                try:
                    result = self.coro.throw(error)
                except StopIteration as stop:
                    how, result = PYGEN_RETURN, stop.value
        except CancelledError as e:
            self.error, self.state = e, CANCELLED
        except BaseException as e:
            self.error, self.state = e, FINISHED
        else:
            if how == PYGEN_NEXT:
                self.follow(result)
            elif self._must_cancel:                # cancelled within its last step
                self._must_cancel = False
                self.error, self.state = self._make_cancelled_error(), CANCELLED
            else:
                self.result_, self.state = result, FINISHED

    cdef object follow(self, object result):
        """It waits for what it yielded."""
        if not self.registered:
            register(self)
            self.registered = True
        blocking = getattr(result, "_asyncio_future_blocking", None)
        if blocking is None:
            if result is None:                     # a bare yield: another turn of the loop
                return self.loop.call_soon(self.again, None, context=self.context)
            return self.again_with(f"Task got bad yield: {result!r}")
        if result.get_loop() is not self.loop:
            return self.again_with(f"Task {self!r} got Future {result!r} attached to a different loop")
        if not blocking:
            return self.again_with(f"yield was used instead of yield from in task {self!r} with {result!r}")
        if result is self:
            return self.again_with(f"Task cannot await on itself: {self!r}")
        result._asyncio_future_blocking = False
        result.add_done_callback(self.wakeup, context=self.context)
        self._fut_waiter = result
        if self._must_cancel and result.cancel(msg=self.cancel_message):
            self._must_cancel = False

    def again_with(self, text):
        self.loop.call_soon(self.again, RuntimeError(text), context=self.context)

    def again(self, error) -> None:
        """A step from the loop."""
        if self.state != PENDING:
            return
        self.sink.task_enters(self)
        self.step(error)
        self.sink.task_left(self)

    def wakeup(self, future) -> None:
        """What it waited for has come to its end."""
        try:
            future.result()
        except BaseException as e:
            self.again(e)
        else:
            self.again(None)

    cdef object outcome(self):
        """What it returned, raised if it raised."""
        if self.error is not None:
            raise self.error
        return self.result_

    def call_back(self):
        callbacks, self.callbacks = self.callbacks, None
        for callback, context in callbacks:
            self.loop.call_soon(callback, self, context=context)

    # ---- what asyncio.Task has
    def done(self) -> bool:
        return self.state != PENDING

    def cancelled(self) -> bool:
        return self.state == CANCELLED

    def cancel(self, msg=None) -> bool:
        """Have CancelledError raised where it waits. False: it is over."""
        if self.state != PENDING:
            return False
        self.cancels += 1
        if self._fut_waiter is not None and self._fut_waiter.cancel(msg=msg):
            return True
        self._must_cancel = True
        self.cancel_message = msg
        return True

    def cancelling(self) -> int:
        return self.cancels

    def uncancel(self) -> int:
        if self.cancels > 0:
            self.cancels -= 1
        return self.cancels

    def _make_cancelled_error(self):
        error = CancelledError() if self.cancel_message is None else CancelledError(self.cancel_message)
        self.cancel_message = None
        return error

    def result(self):
        if self.state == PENDING:
            raise InvalidStateError("Result is not ready.")
        return self.outcome()

    def exception(self):
        if self.state == PENDING:
            raise InvalidStateError("Exception is not set.")
        if self.state == CANCELLED:
            raise self.error
        return self.error

    def add_done_callback(self, callback, *, context=None) -> None:
        if context is None:
            context = contextvars.copy_context()
        if self.state != PENDING:
            self.loop.call_soon(callback, self, context=context)
        elif self.callbacks is None:
            self.callbacks = [(callback, context)]
        else:
            self.callbacks.append((callback, context))

    def remove_done_callback(self, callback) -> int:
        before = self.callbacks or []
        self.callbacks = [pair for pair in before if pair[0] != callback]
        return len(before) - len(self.callbacks)

    def get_loop(self):
        return self.loop

    def get_coro(self):
        return self.coro

    def get_context(self):
        return self.context

    def get_name(self) -> str:
        self.name = self.name or f"Hook-{NAMES()}"
        return self.name

    def set_name(self, value) -> None:
        self.name = str(value)

    def get_stack(self, *, limit=None):
        return base_tasks._task_get_stack(self, limit)

    def print_stack(self, *, limit=None, file=None):
        return base_tasks._task_print_stack(self, limit, file)

    def __await__(self):
        if self.state == PENDING:
            self._asyncio_future_blocking = True
            yield self
        if self.state == PENDING:
            raise RuntimeError("await wasn't used with future")
        return self.result()

    def __iter__(self):
        return self.__await__()

    def __repr__(self):
        return f"<Hook {('pending', 'cancelled', 'finished')[self.state]} name={self.get_name()!r} coro={self.coro!r}>"

    def __getattr__(self, name):
        """What is looked at in one by gather, anyio and print_stack."""
        if name == "_coro":
            return self.coro
        if name == "_loop":
            return self.loop
        if name == "_callbacks":
            return self.callbacks
        if name == "_exception":
            return self.error
        if name == "_cancel_message":
            return self.cancel_message
        raise AttributeError(f"a hook's task has no {name!r}")


def start(coro, loop, left=None):
    """For tests and tools: a task that has taken its first step. left(task) is called after each further one."""
    cdef Task task = task_new(coro, loop, contextvars.copy_context(), Caller.__new__(Caller), left)
    task.begin()
    return task


cdef class Caller(Sink):
    """Tells a function."""

    cdef void task_left(self, Task task) noexcept:
        if task.tag is not None:
            task.tag(task)
