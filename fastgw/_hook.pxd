from libc.stdint cimport int32_t, uint64_t

cimport fastgw._c.hook as c
from fastgw._task cimport Sink, Task
from fastgw._views cimport Request


cdef class Hooks:
    cdef readonly str name
    cdef readonly object access, reply
    cdef bint access_waits, reply_waits


cdef class Host(Sink):
    cdef c.fgw_hook_host table
    cdef readonly object loop
    cdef public object failed, released, blocked
    cdef object context, watcher, __weakref__
    cdef list plugins, counts, keys
    cdef dict numbers
    cdef set waiting, seen
    cdef Hooks running       # whose hook has the thread
    cdef uint64_t since, budget_ns
    cdef int ask(self, int32_t number, c.fgw_hook_phase phase, Request request) noexcept
    cdef int said(self, Request request, object verdict) except -1
    cdef int fail(self, Request request, object error) noexcept
    cdef void enter(self, Request request, uint64_t since) noexcept
