cdef class Sink:
    cdef void task_enters(self, Task task) noexcept
    cdef void task_left(self, Task task) noexcept


cdef class Task:
    cdef object __weakref__
    cdef object coro, loop, context, result_, error, callbacks, name, cancel_message
    cdef public object _fut_waiter
    cdef Sink sink
    cdef readonly object tag
    cdef int state, cancels
    cdef public bint _must_cancel, _asyncio_future_blocking
    cdef bint registered
    cdef bint begin(self)
    cdef void step(self, object error) noexcept
    cdef void advance(self, object error)
    cdef object follow(self, object result)
    cdef object outcome(self)


cdef Task task_new(object coro, object loop, object context, Sink sink, object tag)
