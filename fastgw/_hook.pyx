# cython: language_level=3
"""policy/hook.h: plugins' hooks in the engine.

    Host                 who runs them, for one worker: it is given to Worker.host, for the worker's life
    Hooks                one plugin's bound methods
    totals(shm, slot)    a plugin's counters over all workers, by the names in COUNTERS

No exception of a plugin crosses into the engine: the hook has failed then, `Host.failed` is told once for each kind.
"""

import asyncio
import contextvars
import inspect
import sys
import threading
import traceback
import weakref

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, uint64_t

cimport fastgw._c.hook as c
from fastgw._task cimport Sink, Task, task_new
from fastgw._views cimport Deny, Request, reply_new, request_new, requests_alive

from fastgw._hook_stats import COUNTERS, totals
from fastgw._views import Allow

__all__ = ["COUNTERS", "Hooks", "Host", "totals"]

cdef extern from "Python.h":
    object PyContext_Copy(object context)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    Py_ssize_t Py_REFCNT(object o)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *t)
    const int CLOCK_MONOTONIC

cdef enum:
    KINDS = 1000                      # of failures that are remembered as told
    PATIENCE_NS = 1_000_000_000       # of the watch, where a hook has no budget
WATCH = 0.1                           # seconds between two looks at the hook that has the thread


cdef class Hooks:
    """What a plugin has: bound methods, or None. They are called with (request) and (request, reply)."""

    def __init__(self, str name not None, access=None, reply=None):
        if access is None and reply is None:
            raise ValueError(f"{name} has no hook")
        self.name, self.access, self.reply = name, access, reply
        self.access_waits = inspect.iscoroutinefunction(access)
        self.reply_waits = inspect.iscoroutinefunction(reply)


cdef class Host(Sink):
    """Runs the hooks of one worker, in the thread of its loop.

    failed(name, what, error)      a hook failed: once for each plugin, kind of error and place
    blocked(name, seconds, where)  a hook holds the thread for longer than its budget; called by another one
    released(key)                  what was added under the key is bound by no snapshot any more
    """

    def __cinit__(self, loop not None, failed):
        self.loop, self.failed, self.context = loop, failed, contextvars.copy_context()
        self.seen, self.waiting, self.numbers = set(), set(), {}
        self.plugins, self.counts, self.keys = [], [], []
        self.table.self = <void *>self
        self.table.bind, self.table.unbind, self.table.run, self.table.over = bind, unbind, run, over

    # ---- what can be bound
    def add(self, uint64_t key, Hooks hooks not None) -> None:
        """Have it found by the snapshots that name this key. ValueError: there is one."""
        if key in self.numbers:
            raise ValueError(f"the key {key:016x} is taken")
        try:
            number = self.plugins.index(None)
            self.plugins[number], self.keys[number] = hooks, key
        except ValueError:
            number = len(self.plugins)
            self.plugins.append(hooks)
            self.counts.append(0)
            self.keys.append(key)
        self.numbers[key] = number

    def remove(self, uint64_t key) -> None:
        """Have it not be found any more. Snapshots that have bound it keep it. KeyError."""
        number = self.numbers.pop(key)
        if not self.counts[number]:
            self.plugins[number] = None

    def live(self) -> dict:
        """What there is now: plugins, bindings, requests that a view is alive of, hooks that wait."""
        plugins = len(self.plugins) - self.plugins.count(None)
        return dict(plugins=plugins, bound=sum(self.counts), requests=requests_alive(), waiting=len(self.waiting))

    # ---- hooks
    cdef int ask(self, int32_t number, c.fgw_hook_phase phase, Request request) noexcept:
        cdef Hooks hooks = self.plugins[number]
        cdef bint access = phase == c.FGW_HOOK_ACCESS
        cdef Task task
        try:
            request.hooks = hooks
            self.enter(request, request.s.start_ns)
            context = PyContext_Copy(self.context)
            if access and hooks.access_waits or not access and hooks.reply_waits:
                coro = hooks.access(request) if access else hooks.reply(request, reply_new(request))
                task = task_new(coro, self.loop, context, self, request)
                request.task = task
                if not task.begin():
                    self.waiting.add(task)
                    return c.FGW_HOOK_PARKED
                request.task = None
                verdict = task.outcome()
            else:
                PyContext_Enter(context)
                try:
                    verdict = hooks.access(request) if access else hooks.reply(request, reply_new(request))
                finally:
                    PyContext_Exit(context)
            return self.said(request, verdict)
        except BaseException as e:
            return self.fail(request, e)
        finally:
            self.running = None

    cdef int said(self, Request request, object verdict) except -1:
        if verdict is None or type(verdict) is Allow:
            request.keep()
            return c.FGW_HOOK_NEXT
        if isinstance(verdict, Deny):
            (<Deny>verdict).answer(request)
            request.keep_tags()
            return c.FGW_HOOK_REPLY_MADE
        if inspect.iscoroutine(verdict):
            verdict.close()
        raise TypeError(f"a hook returns None, Allow or Deny, not {verdict!r:.200}")

    cdef int fail(self, Request request, object error) noexcept:
        """Its edits are forgotten, and what was wrong is told, if it is the first of its kind."""
        cdef Hooks hooks = request.hooks
        try:
            request.drop()
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            at = None if place is None else (place.tb_frame.f_code.co_filename, place.tb_lineno)
            kind = (hooks.name, type(error), at)
            if kind not in self.seen and len(self.seen) < KINDS:
                self.seen.add(kind)
                self.failed(hooks.name, "plugin_failed", error)
        except BaseException:
            traceback.print_exc()
        return c.FGW_HOOK_FAILED

    cdef void enter(self, Request request, uint64_t since) noexcept:
        """A hook has the thread from here on."""
        self.running, self.since, self.budget_ns = request.hooks, since, PATIENCE_NS
        if request.s is not NULL and request.s.l.budget_ms:
            self.budget_ns = request.s.l.budget_ms * <uint64_t>1_000_000

    # ---- those that wait
    cdef void task_enters(self, Task task) noexcept:
        self.enter(task.tag, now())

    cdef void task_left(self, Task task) noexcept:
        cdef Request request = task.tag
        cdef c.fgw_hook_state *s = request.s
        cdef c.fgw_hooks *engine = s.hooks if s is not NULL else NULL
        cdef int out
        self.running = None
        if s is not NULL:
            c.fgw_hook_slice(s.hooks, s.l, c.fgw_l_text(request.r.seg, s.l.name), self.since)
        if not task.state:
            return
        self.waiting.discard(task)
        if s is NULL:                                # nobody waits for it any more
            if task.error is not None and not isinstance(task.error, asyncio.CancelledError):
                self.fail(request, task.error)
            return
        request.task = None
        try:
            out = self.said(request, task.outcome())
        except BaseException as e:
            out = self.fail(request, e)
        c.fgw_hook_done(s, <c.fgw_hook_out>out)
        engine.settle(engine)

    # ---- what blocks
    def watch(self) -> None:
        """Begin to look, from another thread, for hooks that hold this one."""
        if self.watcher is None:
            self.watcher = threading.Event()
            args = weakref.ref(self), self.watcher, threading.get_ident()
            threading.Thread(target=look, args=args, name="hooks", daemon=True).start()

    def holds(self):
        """(since, plugin's name, seconds) when one has had the thread for longer than its budget."""
        cdef Hooks hooks = self.running
        cdef uint64_t held = now() - self.since
        return None if hooks is None or held <= self.budget_ns else (self.since, hooks.name, held / 1e9)

    def close(self) -> None:
        """The watch ends. What has been bound stays."""
        if self.watcher is not None:
            self.watcher.set()
        self.watcher = None


def look(host_ref, stop, thread):
    """The watch: each hook that blocks is told once, with the place where it is. The engine never waits for it."""
    told = 0
    while not stop.wait(WATCH):
        host = host_ref()
        if host is None:
            return
        found = host.holds()
        if found is not None and found[0] != told and host.blocked is not None:
            told = found[0]
            frame = sys._current_frames().get(thread)
            where = "".join(traceback.format_stack(frame)[-3:]) if frame is not None else ""
            del frame                                # it would keep the request
            try:
                host.blocked(found[1], found[2], where)
            except Exception:
                traceback.print_exc()
        del host, found


cdef uint64_t now() noexcept:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1_000_000_000 + <uint64_t>t.tv_nsec


# ---- the table of functions
cdef int32_t bind(void *self, uint64_t key) noexcept:
    cdef Host host = <Host>self
    number = host.numbers.get(key)
    if number is None:
        return -1
    host.counts[number] += 1
    try:
        host.watch()
    except BaseException:
        traceback.print_exc()
    return number


cdef void unbind(void *self, int32_t number) noexcept:
    cdef Host host = <Host>self
    if host.counts is not None:                      # else the collector has emptied it, before its worker
        host.counts[number] -= 1
    if host.counts is None or host.counts[number]:
        return
    if host.numbers.get(key := host.keys[number]) != number:
        host.plugins[number] = None                  # it was removed meanwhile
    try:
        if host.released is not None:
            host.loop.call_soon(host.released, key)
    except (AttributeError, RuntimeError):
        pass                                         # the loop is closed, or is being taken apart


cdef c.fgw_hook_out run(void *self, int32_t number, c.fgw_hook_phase phase, c.fgw_req *r,
                        c.fgw_hook_state *s) noexcept:
    cdef Request request
    cdef int out
    if s.host is NULL:
        try:
            request = request_new(r, s)
        except BaseException:
            return c.FGW_HOOK_FAILED
        Py_INCREF(request)
        s.host = <void *>request
    else:
        request = <Request>s.host
    request.begin(phase)
    out = (<Host>self).ask(number, phase, request)
    if out != c.FGW_HOOK_PARKED and Py_REFCNT(request) == 2:
        s.host = NULL                                # nobody has kept it: there is nothing to be told
        Py_DECREF(request)
    return <c.fgw_hook_out>out


cdef void over(void *self, c.fgw_req *r, c.fgw_hook_state *s, c.fgw_hook_over why) noexcept:
    cdef Request request = <Request>s.host
    cdef Task task = request.task
    request.r, request.s, request.task = NULL, NULL, None
    Py_DECREF(request)
    if task is not None:
        try:
            task.cancel()
        except BaseException:
            traceback.print_exc()
