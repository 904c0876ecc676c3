# cython: language_level=3
"""What a hook sees and says: views of a request and its reply, and verdicts.

Nothing is decoded or copied before it is read. Edits are made in copies of the lists, and are the exchange's only when
the hook has ended well. A view whose exchange is over raises ExchangeOver.
"""

import json
from collections import namedtuple
from collections.abc import Mapping
from http import HTTPStatus

cimport cython
from cpython.unicode cimport PyUnicode_DecodeLatin1

cimport fastgw._c.hook as c
from fastgw._fields cimport OUT, REPLY, Headers, Lists, Tags, headers_new, put

from fastgw._fields import ExchangeOver

cdef int alive = 0

ClientCertificate = namedtuple("ClientCertificate", "subject cn fingerprint uris dns not_after")
ClientCertificate.__doc__ = """What a client's verified certificate says: its subject (RFC 2253), common name, SHA-256
as 64 hex digits, URI and DNS names, and its end in Unix time."""

cdef inline str text(c.fgw_str s):
    return PyUnicode_DecodeLatin1(s.p, s.n, NULL) if s.n else ""


cpdef int requests_alive():
    """Live Request objects: what a test of leaks looks at."""
    return alive


cdef Request request_new(c.fgw_req *r, c.fgw_hook_state *s):
    cdef Request request = Request.__new__(Request)
    request.r, request.s = r, s
    return request


cdef class Request(Lists):
    """A request. One object for a plugin in an exchange: its hooks are given the same."""

    def __cinit__(self):
        global alive
        alive += 1

    def __dealloc__(self):
        global alive
        alive -= 1

    @property
    def method(self) -> str:
        return text(self.alive().method)

    @property
    def scheme(self) -> str:
        return text(self.alive().scheme)

    @property
    def authority(self) -> str:
        """Host and port as they are forwarded."""
        return text(self.alive().authority)

    @property
    def host(self) -> str:
        """In lower case, without a port."""
        return text(self.alive().host)

    @property
    def path(self) -> str:
        """In its normal form, which is what routes match; still percent-encoded where it has to be."""
        return text(self.alive().target.path)

    @property
    def query(self) -> str:
        """As it came, without the question mark."""
        return text(self.alive().target.query)

    @property
    def listener(self) -> str:
        return text(self.alive().listener)

    @property
    def client(self) -> str:
        """The client's address: the peer's, or what trusted proxies say."""
        return text(self.alive().client)

    @property
    def certificate(self) -> ClientCertificate | None:
        """The client's own, where the listener asks for one (`tls.client_auth`) and it was verified."""
        cdef c.fgw_req *r = self.alive()
        if r.peer is NULL or r.peer.identity is NULL:
            return None
        cdef const c.fgw_identity *i = r.peer.identity
        return ClientCertificate(
            text(i.subject), text(i.cn), text(i.fingerprint), tuple(text(i.uris[n]) for n in range(i.nuris)),
            tuple(text(i.dns[n]) for n in range(i.ndns)), i.not_after)

    @property
    def request_id(self) -> str:
        return text(self.alive().request_id)

    @property
    def route(self) -> str:
        cdef c.fgw_req *r = self.alive()
        return text(c.fgw_l_text(r.seg, r.route.name))

    @property
    def params(self) -> dict:
        """The path's parameters by name, in the form of `path`."""
        cdef c.fgw_req *r = self.alive()
        cdef const c.fgw_l_str *names = <const c.fgw_l_str *>c.fgw_l_at(r.seg, r.route.params.off)
        return {text(c.fgw_l_text(r.seg, names[i])): text(r.params[i]) for i in range(r.route.nparams)}

    @property
    def headers(self) -> Headers:
        return headers_new(self, OUT)

    @property
    def tags(self) -> Tags:
        cdef Tags tags = Tags.__new__(Tags)
        tags.request = self
        return tags

    def __repr__(self):
        return "<Request over>" if self.r is NULL else f"<Request {self.method} {self.path}>"


cdef object reply_new(Request request):
    cdef Reply reply = Reply.__new__(Reply)
    reply.request = request
    return reply


@cython.freelist(64)
cdef class Reply:
    """A reply: an upstream's, or one of the gateway's own."""
    cdef Request request

    @property
    def status(self) -> int:
        cdef c.fgw_req *r = self.request.alive()
        return self.request.new_status or r.status

    @status.setter
    def status(self, int value):
        cdef int now = self.status
        if not self.request.open >> REPLY & 1:
            raise ExchangeOver("the hook has ended")
        if not 200 <= value <= 599:
            raise ValueError(f"{value} is no final status")
        if value != now and (bodiless(value) or bodiless(now)):
            raise ValueError(f"{now} cannot become {value}: one of them has no body")
        self.request.new_status = value

    @property
    def headers(self) -> Headers:
        return headers_new(self.request, REPLY)

    def __repr__(self):
        return "<Reply over>" if self.request.r is NULL else f"<Reply {self.status}>"


PROBLEM = json.JSONEncoder(separators=(",", ":"))
TITLES = {each.value: each.phrase for each in HTTPStatus}


cdef inline bint bodiless(int status):
    return status < 200 or status in (204, 205, 304)


class Allow:
    """Go on. None says the same."""


cdef class Deny:
    """Answer the client, instead of the upstream. Looked at once, so that one may be kept and returned again."""

    def __init__(self, int status, body="", *, headers=None, problem=None):
        if not 200 <= status <= 599 or bodiless(status):
            raise ValueError(f"{status} is no final status with a body")
        lines = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        names = {name.lower() for name, _ in lines}
        self.detail = b"" if problem is None else problem.encode()
        if problem is not None:
            body = PROBLEM.encode({"type": "about:blank", "title": TITLES.get(status, "Denied"), "status": status,
                                   "detail": problem, "reason": "denied"}) + "\n"
        if body and "content-type" not in names:
            kind = "text/plain; charset=utf-8" if problem is None else "application/problem+json"
            lines.append(("content-type", kind))
        self.status = status
        self.body = body.encode() if isinstance(body, str) else bytes(body)
        self.headers = tuple((str(name), str(value)) for name, value in lines)

    cdef int answer(self, Request request) except -1:
        """Make it the exchange's own answer."""
        cdef c.fgw_req *r = request.alive()
        cdef c.fgw_fields fields
        cdef c.fgw_str body, detail
        if not c.fgw_fields_copy(&r.arena, &fields, &r.reply):
            raise MemoryError("the exchange's memory is used up")
        if request.s.phase == c.FGW_HOOK_REPLY:
            fields.n = 0                           # not one of the upstream's
        for name, value in self.headers:
            put(&r.arena, &fields, name, value, False)
        body.p, body.n = self.body, <uint32_t>len(self.body)
        body = c.fgw_arena_dup(&r.arena, body)
        detail.p, detail.n = self.detail, <uint32_t>len(self.detail)
        if not r.grpc:
            detail.n = 0
        elif detail.n:
            detail = c.fgw_arena_dup(&r.arena, detail)
        if body.p is NULL or detail.p is NULL:
            raise MemoryError("the exchange's memory is used up")
        r.reply = fields
        r.answer.status, r.answer.body, r.answer.why, r.answer.detail = self.status, body, c.FGW_E_DENIED, detail
        return 0

    def __repr__(self):
        return f"Deny({self.status}, {self.body!r})"
