from libc.stdint cimport uint32_t

cimport fastgw._c.hook as c

cdef enum:
    OUT = 0                  # which list of fields: the request's, the reply's, the tags
    REPLY = 1
    TAGS = 2
    LISTS = 3


cdef class Lists:
    cdef c.fgw_req *r        # NULL: its exchange is over
    cdef c.fgw_hook_state *s
    cdef c.fgw_fields work[LISTS]
    cdef int dirty, open     # bits of lists: edited in `work`; may be edited now
    cdef int new_status
    cdef c.fgw_req *alive(self) except NULL
    cdef c.fgw_fields *read(self, int which) except NULL
    cdef c.fgw_fields *edit(self, int which) except NULL
    cdef void begin(self, c.fgw_hook_phase phase) noexcept
    cdef void keep(self) noexcept
    cdef void keep_tags(self) noexcept
    cdef void drop(self) noexcept


cdef class Headers:
    cdef Lists request
    cdef int which
    cdef str find(self, str name)


cdef class Tags:
    cdef Lists request
    cdef dict all(self)


cdef Headers headers_new(Lists request, int which)
cdef int put(c.fgw_arena *a, c.fgw_fields *f, str name, str value, bint instead) except -1
