# cython: language_level=3
"""One pattern of a route, compiled and matched by the engine (policy/regex.h): for `check`, `explain` and tests."""

from fastgw._c cimport route as c

PATTERN_MAX = c.FGW_REGEX_MAX
PATTERNS_MAX = c.FGW_REGEXES_MAX


class BadRegex(ValueError):
    """A pattern that does not compile. `offset`: where in the pattern, in characters."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


cdef class Regex:
    """A compiled pattern. `names`: of its named groups, by number; `first`: what all it matches begin with, or ""."""
    cdef c.fgw_regexes *code
    cdef readonly tuple names
    cdef readonly str first

    def __cinit__(self, str pattern not None):
        cdef bytes raw = pattern.encode()
        cdef c.fgw_regex_info info
        self.code = c.fgw_regexes_of(c.fgw_str(raw, len(raw)), &info)
        if self.code is NULL:
            raise BadRegex((<bytes>info.error).decode(), len(raw[:info.offset].decode("utf-8", "replace")))
        self.names = tuple([info.names[i].p[:info.names[i].n].decode() for i in range(info.nnames)])
        self.first = chr(info.first) if info.first >= 0 else ""

    def __dealloc__(self):
        c.fgw_regexes_free(self.code)

    def match(self, str path not None) -> tuple[str, ...] | None:
        """What its named groups took of a path, if it takes the whole; a match that is given up at a limit is none."""
        cdef bytes raw = path.encode()
        cdef c.fgw_str params[16]
        if not c.fgw_regexes_match(self.code, 0, c.fgw_str(raw, len(raw)), params):
            return None
        return tuple([params[i].p[:params[i].n].decode("utf-8", "replace") for i in range(len(self.names))])
