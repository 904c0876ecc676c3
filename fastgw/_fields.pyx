# cython: language_level=3
"""The lists of a request that a hook reads and edits: fields of request and reply, and tags.

Nothing is decoded before it is read. A list is copied when it is edited first, and the copy is the exchange's only when
the hook has ended well.
"""

cimport cython
from cpython.unicode cimport PyUnicode_DecodeLatin1

cimport fastgw._c.hook as c

from fastgw.errors import FastgwError

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(str text, Py_ssize_t *n) except NULL
    bint PyUnicode_IS_ASCII(str text)


class ExchangeOver(FastgwError, RuntimeError):
    """A request or reply was used after its exchange, or edited when its hook had ended."""


cdef inline c.fgw_str utf8(str s):
    """A view; a name that is no ASCII is none that HTTP allows."""
    cdef Py_ssize_t n
    cdef c.fgw_str out
    out.p = PyUnicode_AsUTF8AndSize(s, &n)
    out.n = <uint32_t>n
    return out


cdef int put(c.fgw_arena *a, c.fgw_fields *f, str name, str value, bint instead) except -1:
    cdef bytes kept
    cdef c.fgw_str v
    if PyUnicode_IS_ASCII(value):
        v = utf8(value)
    else:
        kept = value.encode("latin-1")             # UnicodeEncodeError is a ValueError
        v.p, v.n = kept, <uint32_t>len(kept)
    return refusal(c.fgw_fields_put(a, f, utf8(name), v, instead), name, value)


cdef int refusal(c.fgw_put out, str name, str value) except -1:
    if out == c.FGW_PUT_OK:
        return 0
    if out == c.FGW_PUT_BAD_NAME:
        raise ValueError(f"HTTP does not allow the name {name[:80]!r}")
    if out == c.FGW_PUT_BAD_VALUE:
        raise ValueError(f"HTTP does not allow this value of {name}: {value[:80]!r}")
    if out == c.FGW_PUT_OWNED:
        raise ValueError(f"{name} belongs to the connection: the gateway writes it itself")
    if out == c.FGW_PUT_TOO_MANY:
        raise ValueError("there are too many fields already")
    raise MemoryError("the exchange's memory is used up")


cdef class Lists:
    """What of an exchange is the hook's: until it is over."""

    cdef c.fgw_req *alive(self) except NULL:
        if self.r is NULL:
            raise ExchangeOver("the exchange is over")
        return self.r

    cdef c.fgw_fields *read(self, int which) except NULL:
        cdef c.fgw_req *r = self.alive()
        if self.dirty >> which & 1:
            return &self.work[which]
        return &r.out if which == OUT else &r.reply if which == REPLY else &r.tags

    cdef c.fgw_fields *edit(self, int which) except NULL:
        cdef c.fgw_fields *f = self.read(which)
        if not self.open >> which & 1:
            raise ExchangeOver("the request is on its way" if which == OUT and self.open else "the hook has ended")
        if not self.dirty >> which & 1:
            if not c.fgw_fields_copy(&self.r.arena, &self.work[which], f):
                raise MemoryError("the exchange's memory is used up")
            self.dirty |= 1 << which
        return &self.work[which]

    cdef void begin(self, c.fgw_hook_phase phase) noexcept:
        self.open = 1 << TAGS | (1 << OUT if phase == c.FGW_HOOK_ACCESS else 1 << REPLY)
        self.dirty = self.new_status = 0

    cdef void keep(self) noexcept:
        """The hook has ended well: what it edited is so."""
        if self.dirty & 1 << OUT:
            self.r.out = self.work[OUT]
        if self.dirty & 1 << REPLY:
            self.r.reply = self.work[REPLY]
        if self.new_status:
            self.r.status = self.new_status
        self.keep_tags()

    cdef void keep_tags(self) noexcept:
        """It has answered itself: of its edits only these are of use."""
        if self.dirty & 1 << TAGS:
            self.r.tags = self.work[TAGS]
        self.drop()

    cdef void drop(self) noexcept:
        self.open = self.dirty = self.new_status = 0


cdef Headers headers_new(Lists request, int which):
    cdef Headers h = Headers.__new__(Headers)
    h.request, h.which = request, which
    return h


@cython.freelist(64)
cdef class Headers:
    """Header fields, whose names have no case. The lines of one name are one value, joined with commas, but for
    Set-Cookie."""
    cdef str find(self, str name):
        cdef c.fgw_fields *f = self.request.read(self.which)
        cdef c.fgw_str n = utf8(name)
        cdef uint32_t i = c.fgw_fields_next(f, 0, n) if n.n else f.n
        if i == f.n:
            return None
        cdef str found = value_of(f, i)
        if f.v[i].id == c.FGW_H_SET_COOKIE:
            return found
        i = c.fgw_fields_next(f, i + 1, n)
        while i < f.n:
            found = f"{found}, {value_of(f, i)}"
            i = c.fgw_fields_next(f, i + 1, n)
        return found

    def get(self, str name not None, default=None):
        found = self.find(name)
        return default if found is None else found

    def get_all(self, str name not None) -> list:
        """The value of each line of this name."""
        cdef c.fgw_fields *f = self.request.read(self.which)
        cdef c.fgw_str n = utf8(name)
        cdef uint32_t i = c.fgw_fields_next(f, 0, n) if n.n else f.n
        found = []
        while i < f.n:
            found.append(value_of(f, i))
            i = c.fgw_fields_next(f, i + 1, n)
        return found

    def set(self, str name not None, str value not None) -> None:
        """In place of all lines of this name. ValueError: HTTP does not allow it, or the gateway writes it itself."""
        put(&self.request.alive().arena, self.request.edit(self.which), name, value, True)

    def add(self, str name not None, str value not None) -> None:
        """One more line."""
        put(&self.request.alive().arena, self.request.edit(self.which), name, value, False)

    def remove(self, str name not None) -> None:
        """All lines of this name, if there are any."""
        c.fgw_fields_remove(self.request.edit(self.which), utf8(name))

    def items(self) -> list:
        """Each line: its name in lower case, and its value."""
        cdef c.fgw_fields *f = self.request.read(self.which)
        cdef c.fgw_str every
        every.p, every.n = NULL, 0
        cdef uint32_t i = c.fgw_fields_next(f, 0, every)
        lines = []
        while i < f.n:
            name = PyUnicode_DecodeLatin1(f.v[i].name, f.v[i].name_len, NULL).lower()
            lines.append((name, value_of(f, i)))
            i = c.fgw_fields_next(f, i + 1, every)
        return lines

    def __getitem__(self, str name not None):
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, str name not None, str value not None):
        self.set(name, value)

    def __delitem__(self, str name not None):
        if self.find(name) is None:
            raise KeyError(name)
        self.remove(name)

    def __contains__(self, name):
        return isinstance(name, str) and self.find(name) is not None

    def keys(self) -> list:
        """The names, each once."""
        return list(dict(self.items()))

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.keys())

    def __repr__(self):
        return "<Headers over>" if self.request.r is NULL else f"Headers({self.items()!r})"


cdef inline str value_of(c.fgw_fields *f, uint32_t i):
    return PyUnicode_DecodeLatin1(f.v[i].value, f.v[i].value_len, NULL)


cdef class Tags:
    """Words for the access log: at most 16, of 64 and 512 bytes. They stay with the exchange, whoever sets them."""
    cdef dict all(self):
        cdef c.fgw_fields *f = self.request.read(TAGS)
        cdef uint32_t i
        return {f.v[i].name[:f.v[i].name_len].decode("utf-8", "replace"):
                f.v[i].value[:f.v[i].value_len].decode("utf-8", "replace") for i in range(f.n)}

    def __setitem__(self, str name not None, str value not None):
        cdef c.fgw_fields *f = self.request.edit(TAGS)
        cdef c.fgw_put out = c.fgw_tag_put(&self.request.r.arena, f, utf8(name), utf8(value))
        if out == c.FGW_PUT_BAD_NAME:
            raise ValueError(f"a tag's name has 1 to {c.FGW_TAG_NAME_MAX} bytes")
        if out == c.FGW_PUT_BAD_VALUE:
            raise ValueError(f"a tag has at most {c.FGW_TAG_VALUE_MAX} bytes")
        if out == c.FGW_PUT_TOO_MANY:
            raise ValueError(f"a request has at most {c.FGW_TAGS_MAX} tags")
        refusal(out, name, value)

    def __getitem__(self, str name not None):
        return self.all()[name]

    def get(self, str name not None, default=None):
        return self.all().get(name, default)

    def __contains__(self, name):
        return name in self.all()

    def keys(self):
        return self.all().keys()

    def items(self):
        return self.all().items()

    def __iter__(self):
        return iter(self.all())

    def __len__(self):
        return len(self.all())

    def __repr__(self):
        return "<Tags over>" if self.request.r is NULL else f"Tags({self.all()!r})"
