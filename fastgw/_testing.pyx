# cython: language_level=3
"""testing/net.h: a worker without sockets, for fastgw.testing.

    Net    the clock, the dials, the listeners of one worker
    Pipe   the test's end of one connection
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastgw._c cimport testing as c
from fastgw._c.worker cimport fgw_worker

DIALS = {c.fgw_net_dial_name(d).decode(): d for d in (c.FGW_NET_OPENS, c.FGW_NET_HANGS, c.FGW_NET_REFUSED)}
LINES = 1 << 16
ALL = <size_t>-1


class Restless(RuntimeError):
    """Events never came to an end."""


cdef class Net:
    """Made before its worker, which is given `clock`; outlives it."""
    cdef c.fgw_net *n
    cdef bint attached

    def __cinit__(self, uint64_t wall_ns):
        self.n = c.fgw_net_new(wall_ns)
        if self.n is NULL:
            raise MemoryError("Net")

    def __dealloc__(self):
        c.fgw_net_free(self.n)

    @property
    def clock(self) -> int:
        """The address of its struct fgw_clock_source."""
        return <size_t>c.fgw_net_clock(self.n)

    def attach(self, size_t worker) -> None:
        """The address of the worker that it plays with; 0: it is about to go, and nothing works any more."""
        self.attached = worker != 0
        c.fgw_net_attach(self.n, <fgw_worker *>worker)

    cdef int check(self) except -1:
        if not self.attached:
            raise ValueError("the gateway is closed")
        return 0

    def adopt(self) -> None:
        """After each prepare and commit: pools dial into this net."""
        self.check()
        c.fgw_net_adopt(self.n)

    def listen(self, uint32_t listener) -> None:
        """Before the commit that brings it."""
        self.check()
        if not c.fgw_net_listen(self.n, listener):
            raise MemoryError("listen")

    def connect(self, uint32_t listener, str address not None, uint16_t port) -> Pipe | None:
        """A client's connection. None: refused."""
        self.check()
        cdef bytes text = address.encode()
        return wrap(self, c.fgw_net_connect(self.n, listener, text, port))

    def dials(self, str upstream not None, str endpoint not None, str how not None) -> None:
        """How dials go from now on: opens, hangs, refused. An empty endpoint: all that nothing is said of."""
        cdef bytes u = upstream.encode(), e = endpoint.encode()
        if not c.fgw_net_dials(self.n, u, e, <c.fgw_net_dial><int>DIALS[how]):
            raise MemoryError("dials")

    def accept(self, str upstream not None) -> Pipe | None:
        """The oldest connection dialled that nobody took."""
        cdef bytes text = upstream.encode()
        return wrap(self, c.fgw_net_accept(self.n, text))

    def waiting(self, str upstream="") -> int:
        """How many `accept` would give; empty: for all upstreams."""
        cdef bytes text = upstream.encode()
        return c.fgw_net_waiting(self.n, text)

    def run(self) -> None:
        """Serve events until there are none. Restless."""
        self.check()
        if not c.fgw_net_run(self.n):
            raise Restless("the engine does not come to rest")

    def advance(self, uint64_t ms) -> None:
        """Let time pass. Restless."""
        self.check()
        if not c.fgw_net_pass(self.n, ms):
            raise Restless(f"the engine does not come to rest at {self.now} ms")

    @property
    def next(self) -> int | None:
        """Milliseconds until a timer may fire, perhaps a little early; None: there is none."""
        self.check()
        cdef uint64_t ms = c.fgw_net_next(self.n)
        return None if ms == <uint64_t>-1 else ms

    @property
    def now(self) -> int:
        """Milliseconds since it was made."""
        return c.fgw_net_now(self.n)

    @property
    def moved(self) -> int:
        """Bytes that went through all pipes, ever."""
        return c.fgw_net_moved(self.n)

    def lines(self, bint errors=False) -> bytes:
        """New lines of the access log or the error log."""
        self.check()
        cdef bytearray out = bytearray(LINES)
        cdef char *p = out
        cdef list parts = []
        cdef size_t n = c.fgw_net_log(self.n, errors, p, LINES)
        while n:
            parts.append(bytes(memoryview(out)[:n]))
            n = c.fgw_net_log(self.n, errors, p, LINES)
        return b"".join(parts)


cdef Pipe wrap(Net net, c.fgw_pipe *p):
    if p is NULL:
        return None
    cdef Pipe self = Pipe.__new__(Pipe)
    self.net, self.p = net, p
    return self


cdef class Pipe:
    """Its memory is let go of with this object, not the connection: end or reset that."""
    cdef c.fgw_pipe *p
    cdef Net net

    def __init__(self):
        raise TypeError("made by Net")

    def __dealloc__(self):
        if self.p is not NULL:
            c.fgw_pipe_release(self.p)

    def write(self, const unsigned char[::1] data not None) -> None:
        """Into an ended or closed pipe: dropped."""
        if data.shape[0] and not c.fgw_pipe_write(self.p, &data[0], data.shape[0]):
            raise MemoryError("write")

    def read(self) -> bytes:
        """All that the engine has sent and nobody has read."""
        cdef size_t n = c.fgw_pipe_unread(self.p)
        cdef bytearray out = bytearray(n)
        if n:
            c.fgw_pipe_read(self.p, out, n)
        return bytes(out)

    def end(self) -> None:
        c.fgw_pipe_end(self.p)

    def reset(self) -> None:
        c.fgw_pipe_reset(self.p)

    def room(self, more=None) -> None:
        """Take so many more bytes from the engine; None: all there will be."""
        c.fgw_pipe_room(self.p, ALL if more is None else <size_t>more)

    def answer(self, bint open) -> None:
        """A connect that hangs comes through, or is refused."""
        c.fgw_pipe_answer(self.p, open)

    @property
    def untaken(self) -> int:
        """Bytes written that the engine has not read."""
        return c.fgw_pipe_untaken(self.p)

    @property
    def connecting(self) -> bool:
        return bool(c.fgw_pipe_is(self.p) & c.FGW_PIPE_CONNECTING)

    @property
    def ended(self) -> bool:
        """The engine sends no more."""
        return bool(c.fgw_pipe_is(self.p) & c.FGW_PIPE_ENDED)

    @property
    def closed(self) -> bool:
        """The engine has let go of it."""
        return bool(c.fgw_pipe_is(self.p) & c.FGW_PIPE_CLOSED)

    @property
    def was_reset(self) -> bool:
        return bool(c.fgw_pipe_is(self.p) & c.FGW_PIPE_WAS_RESET)

    @property
    def endpoint(self) -> str:
        """That was dialled; empty: a client."""
        return (<bytes>c.fgw_pipe_endpoint(self.p)).decode()
