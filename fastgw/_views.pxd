from libc.stdint cimport uint32_t

cimport fastgw._c.hook as c
from fastgw._fields cimport Lists
from fastgw._task cimport Task


cdef class Request(Lists):
    cdef Task task           # the hook that runs, if it waits
    cdef object hooks        # the plugin's


cdef class Deny:
    cdef readonly int status
    cdef readonly bytes body
    cdef bytes detail
    cdef readonly tuple headers
    cdef int answer(self, Request request) except -1


cdef Request request_new(c.fgw_req *r, c.fgw_hook_state *s)
cdef object reply_new(Request request)
cpdef int requests_alive()
