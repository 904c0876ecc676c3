# cython: language_level=3
"""core/worker.h: the engine, nested in a Python loop."""

from libc.stdint cimport uint32_t, uint64_t

from fastgw._c cimport worker as c

from fastgw.errors import FastgwError

cdef enum:
    ERR = 512

LIVE_NAMES = ("conns", "exchanges", "parked_hooks", "tries", "timers", "blocks", "block_bytes", "mallocs", "buf_nodes",
              "h1_servers", "h1_clients", "snapshots", "segments", "pools")


class Refused(FastgwError):
    """The engine refused; the text says why."""


cdef class Worker:
    """One engine, for the thread that made it. Keeps the shared memory mapped; closes everything at once when freed.

    At most one snapshot is prepared at a time."""
    cdef c.fgw_worker *w
    cdef c.fgw_snapshot *prepared
    cdef object shm, loop

    def __cinit__(self, uint32_t column, shm not None):
        cdef char err[ERR]
        cdef c.fgw_worker_options options
        options.shm = <c.fgw_shm *><size_t>shm.address
        options.column = column
        options.clock = NULL
        self.shm = shm
        err[0] = 0
        self.w = c.fgw_worker_new(&options, err, ERR)
        if self.w is NULL:
            raise Refused(text(err))

    def __dealloc__(self):
        if self.w is not NULL:
            if self.prepared is not NULL:
                c.fgw_worker_discard(self.w, self.prepared)
            c.fgw_worker_free(self.w)

    # ---- the loop
    def fileno(self) -> int:
        """The descriptor that is readable when `turn` has something to do."""
        return c.fgw_worker_fd(self.w)

    def attach(self, loop) -> None:
        """Let `loop` call `turn` whenever the engine's epoll set has something ready."""
        loop.add_reader(c.fgw_worker_fd(self.w), self.turn)
        self.loop = loop

    def detach(self) -> None:
        """Undo `attach`. Nothing is served any more."""
        if self.loop is not None:
            self.loop.remove_reader(c.fgw_worker_fd(self.w))
            self.loop = None

    def turn(self) -> None:
        """Serve one batch of ready events; never blocks."""
        c.fgw_worker_turn(self.w)

    # ---- snapshots
    def segment_add(self, int fd) -> None:
        """Map a sealed segment; the caller may close fd. A known one is not mapped again. Refused."""
        cdef char err[ERR]
        err[0] = 0
        if c.fgw_worker_segment_add(self.w, fd, err, ERR) != 0:
            raise Refused(text(err))

    def segment_has(self, uint64_t hash) -> bool:
        return c.fgw_worker_segment_has(self.w, hash)

    def prepare(self, uint64_t root_hash) -> None:
        """Make the snapshot of this root ready, in place of one prepared before. Nothing serves it yet. Refused."""
        cdef char err[ERR]
        err[0] = 0
        # The one before may hold segments that this one names too: it goes last.
        cdef c.fgw_snapshot *made = c.fgw_worker_prepare(self.w, root_hash, err, ERR)
        self.discard()
        self.prepared = made
        if made is NULL:
            raise Refused(text(err))

    def commit(self) -> int:
        """Serve the prepared snapshot from now on; its generation. Refused: there is none."""
        cdef c.fgw_snapshot *s = self.prepared
        if s is NULL:
            raise Refused("no snapshot is prepared")
        self.prepared = NULL
        c.fgw_worker_commit(self.w, s)
        return c.fgw_worker_generation(self.w)

    def discard(self) -> None:
        """Forget the prepared snapshot, if there is one."""
        cdef c.fgw_snapshot *s = self.prepared
        if s is not NULL:
            self.prepared = NULL
            c.fgw_worker_discard(self.w, s)

    @property
    def generation(self) -> int:
        """Of the snapshot that is served; 0: none."""
        return c.fgw_worker_generation(self.w)

    # ---- listening sockets
    def listen(self, uint32_t listener_id, uint32_t socket_id, int fd, bint shared=False) -> None:
        """Accept on fd, which is duplicated. Refused."""
        cdef char err[ERR]
        err[0] = 0
        if c.fgw_worker_listen(self.w, listener_id, socket_id, fd, shared, err, ERR) != 0:
            raise Refused(text(err))

    def unlisten(self, uint32_t socket_id) -> bool:
        """Accept on it no more. False: not known."""
        return c.fgw_worker_unlisten(self.w, socket_id) == 0

    def bell(self, uint32_t column, int fd) -> None:
        """A column's eventfd, by which workers wake each other; it is duplicated. Refused."""
        cdef char err[ERR]
        err[0] = 0
        if c.fgw_worker_bell(self.w, column, fd, err, ERR) != 0:
            raise Refused(text(err))

    # ---- the end
    def drain(self, uint32_t deadline_ms) -> None:
        """Accept no more, answer what is in flight, cut what is left at the deadline."""
        c.fgw_worker_drain(self.w, deadline_ms)

    @property
    def drained(self) -> bool:
        return c.fgw_worker_drained(self.w)

    def live(self) -> dict:
        """What the engine holds now: name → count."""
        cdef c.fgw_live n
        c.fgw_worker_live(self.w, &n)
        return dict(zip(LIVE_NAMES, (
            n.conns, n.exchanges, n.parked_hooks, n.tries, n.timers, n.blocks, n.block_bytes, n.mallocs, n.buf_nodes,
            n.h1_servers, n.h1_clients, n.snapshots, n.segments, n.pools), strict=True))


cdef str text(const char *err):
    return (<bytes>err).decode("utf-8", "replace") or "no reason given"
