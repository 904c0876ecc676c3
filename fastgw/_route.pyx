# cython: language_level=3
"""The C router over a segment's bytes, for `explain`, `routes`, tests and benchmarks. The engine does not come here."""
from typing import NamedTuple

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc

cimport fastgw._c.route as c

cdef str text(c.fgw_str s):
    return s.p[:s.n].decode("latin-1") if s.n else ""


METHODS = tuple([text(c.fgw_method_name(i)) for i in range(1, c.FGW_M_COUNT)])
"""The methods that have a number, from number 1 on. All others share number 0."""


class Normal(NamedTuple):
    """A request target in its one form: host folded and without port, path normalised, query as it came."""

    host: str
    path: str
    query: str


class Target(NamedTuple):
    """A request target by itself: its form, its path in normal form, its query as it came (None: there is no `?`), and
    the authority of an absolute or authority form."""

    form: str
    path: str
    query: str | None
    authority: str


class Found(NamedTuple):
    """`route`: index in the segment, None: no route. `rest`: what strip_prefix leaves, a leading slash ensured.
    `allow`: without a route, the methods that would have had one."""

    target: Normal
    route: int | None
    params: tuple[str, ...]
    rest: str
    allow: tuple[str, ...]


class Refused(ValueError):
    """The engine answers such a request itself, with `status` and the log word `word`, before it is routed."""

    def __init__(self, word: str, text: str, status: int) -> None:
        super().__init__(text)
        self.word, self.status = word, status


def path_hash(bytes text not None) -> int:
    """The hash by which hosts and path segments are found."""
    return c.fgw_route_hash(text, len(text))


def slot(hash, parent: int, nslots: int) -> tuple[int, int]:
    """Where the search for a text below the node at `parent` begins in a table of `nslots`, and its tag."""
    cdef c.fgw_route_slot s = c.fgw_route_slot_of(hash, parent, nslots - 1)
    return s.slot, s.tag


def first_bit(hash) -> int:
    """The bit of a root's filter that stands for first segments with this hash."""
    return c.fgw_route_first(hash)


def method_bit(bytes method not None) -> int:
    """The bit of a method's number; 1: it has none."""
    return 1 << c.fgw_method_id(c.fgw_str(method, len(method)))


cdef refuse(int err):
    raise Refused(c.fgw_err_word(err).decode(), c.fgw_err_text(err).decode(), c.fgw_err_status(err))


FORMS = {
    c.FGW_FORM_ORIGIN: "origin", c.FGW_FORM_ABSOLUTE: "absolute", c.FGW_FORM_AUTHORITY: "authority",
    c.FGW_FORM_ASTERISK: "asterisk"}


def normal(bytes method not None, bytes raw not None, int slashes=0, bint merge_slashes=True) -> Target:
    """A request target in normal form, by the engine's own normaliser. Raises Refused for what it would not take."""
    cdef c.fgw_target_policy policy
    cdef c.fgw_target t
    cdef uint32_t room = 3 * len(raw) + 2
    cdef char *place = <char *>malloc(room)
    if place is NULL:
        raise MemoryError("normal")
    policy.slashes, policy.merge_slashes = slashes, merge_slashes
    try:
        err = c.fgw_target_parse(c.fgw_str(raw, len(raw)), c.fgw_method_id(c.fgw_str(method, len(method))), &policy,
                                 place, room, &t)
        if err:
            refuse(err)
        return Target(FORMS[t.form], text(t.path), text(t.query) if t.has_query else None, text(t.authority))
    finally:
        free(place)


cdef c.fgw_regexes *compiled(const char *segment) except? NULL:
    """The regexes of a checked segment; NULL: it holds no routes."""
    cdef char err[256]
    cdef c.fgw_regexes *made
    if (<const c.fgw_l_seg *>segment).kind != c.FGW_SEG_ROUTES:
        return NULL
    made = c.fgw_regexes_new(segment)
    if made is NULL:
        raise MemoryError("Router")
    if c.fgw_regexes_compile(made, 0xFFFFFFFF, err, sizeof(err)) < 0:
        c.fgw_regexes_free(made)
        raise ValueError(err.decode())
    return made


cdef class Router:
    """The routes of one segment. Owns a copy of its bytes; raises ValueError when they are not well formed."""
    cdef bytes segment
    cdef c.fgw_target_policy policy
    cdef c.fgw_regexes *regexes

    def __cinit__(self, bytes segment not None, int slashes=0, bint merge_slashes=True):
        why = c.fgw_seg_check(<const char *>segment, len(segment))
        if why is not NULL:
            raise ValueError(why.decode())
        self.segment = segment
        self.regexes = compiled(<const char *>segment)
        self.policy.slashes, self.policy.merge_slashes = slashes, merge_slashes

    def __dealloc__(self):
        c.fgw_regexes_free(self.regexes)

    def find(self, bytes head not None) -> Found:
        """Route one request, given as its HTTP/1.1 head with the empty line at the end.

        Parses, normalises and matches as the engine does. Raises Refused for what would never be routed."""
        cdef uint32_t room = 3 * len(head) + 64, max_fields = 4096
        cdef char *place = <char *>malloc(2 * room)
        cdef c.fgw_field *fields = <c.fgw_field *>malloc(max_fields * sizeof(c.fgw_field))
        try:
            if place is NULL or fields is NULL:
                raise MemoryError("Router.find")
            return self.routed(head, fields, max_fields, place, place + room, room)
        finally:
            free(place)
            free(fields)

    cdef routed(self, bytes head, c.fgw_field *fields, uint16_t max_fields, char *path, char *host, uint32_t room):
        cdef c.fgw_head h
        cdef c.fgw_head_limits limits = c.fgw_head_limits(1 << 20, 1 << 20, 1 << 20, max_fields)
        cdef c.fgw_target target
        cdef c.fgw_route_in request
        h.fields = fields
        c.fgw_head_reset(&h)
        cdef int n = c.fgw_head_parse_request(&h, head, len(head), &limits)
        if n < 0:
            refuse(h.err)
        if n != len(head):
            raise ValueError("not one whole head")
        cdef int err = c.fgw_target_parse(c.fgw_head_target(&h), h.method, &self.policy, path, room, &target)
        if err:
            refuse(err)
        request.host = self.host_of(&h, &target, host)
        request.path, request.query = target.path, target.query
        request.method, request.method_id, request.head = c.fgw_head_method(&h), h.method, &h
        request.regexes = self.regexes
        return self.answer(&request)

    cdef c.fgw_str host_of(self, c.fgw_head *h, c.fgw_target *target, char *place):
        """RFC 9112 section 3.2: exactly one Host from 1.1 on; the authority of an absolute target wins over it."""
        cdef c.fgw_str authority, host
        cdef uint16_t port = 0, i
        cdef int seen = 0
        authority = c.fgw_str(place, 0)
        for i in range(h.nfields):
            if h.fields[i].id == c.FGW_H_HOST:
                authority = c.fgw_head_value(h, &h.fields[i])
                seen += 1
        if seen > 1 or (seen == 0 and h.minor > 0) or not c.fgw_authority_split(authority, &host, &port, True):
            refuse(c.FGW_E_BAD_HOST)
        if target.authority.n:
            authority = target.authority
            c.fgw_authority_split(authority, &host, &port, True)       # fgw_target_parse has looked at it
        return c.fgw_str(place, c.fgw_host_fold(host, place))

    cdef answer(self, c.fgw_route_in *request):
        cdef c.fgw_route_out out
        cdef c.fgw_str rest
        cdef const char *seg = self.segment
        target = Normal(text(request.host), text(request.path), text(request.query))
        if not c.fgw_route_find(seg, request, &out):
            allow = tuple(name for i, name in enumerate(METHODS, 1) if out.allow >> i & 1)
            return Found(target, None, (), "", allow)
        rest = c.fgw_route_rest(out.route, request.path)
        left = text(rest)
        if left != "*" and not left.startswith("/"):
            left = "/" + left
        return Found(target, out.route.index, tuple([text(out.params[i]) for i in range(out.route.nparams)]), left, ())
