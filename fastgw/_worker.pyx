# cython: language_level=3
"""core/worker.h: the engine, nested in a Python loop."""

from typing import NamedTuple

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastgw._c cimport hook as h
from fastgw._c cimport tls as t
from fastgw._c cimport worker as c
from fastgw._hook cimport Host

from fastgw.errors import FastgwError

cdef enum:
    ERR = 512

LIVE_NAMES = ("conns", "exchanges", "parked_hooks", "tries", "timers", "blocks", "block_bytes", "mallocs", "buf_nodes",
              "h1_servers", "h1_clients", "snapshots", "segments", "pools")


LEVELS = ("debug", "info", "warn", "error")


class PluginSpec(NamedTuple):
    """A plugin as a snapshot names it. `settings` is JSON; `path`: folders where its module is looked for first."""

    key: int
    name: str
    use: str
    settings: bytes
    path: tuple[str, ...]


class Refused(FastgwError):
    """The engine refused; the text says why."""


@cython.no_gc_clear                      # hooks are unbound when it is freed: their host has to be there
cdef class Worker:
    """One engine, for the thread that made it. Keeps the shared memory mapped; closes everything at once when freed.

    At most one snapshot is prepared at a time."""
    cdef object clock                    # a test's (its `clock` is the address); None: the system's
    cdef c.fgw_worker *w
    cdef c.fgw_snapshot *prepared
    cdef object shm, loop
    cdef Host hooks

    def __cinit__(self, uint32_t column, shm not None, clock=None):
        cdef char err[ERR]
        cdef c.fgw_worker_options options
        options.shm = <c.fgw_shm *><size_t>shm.address
        options.column = column
        options.clock = NULL if clock is None else <c.fgw_clock_source *><size_t>clock.clock
        self.shm, self.clock = shm, clock
        err[0] = 0
        self.w = c.fgw_worker_new(&options, err, ERR)
        if self.w is NULL:
            raise Refused(text(err))

    def __dealloc__(self):
        if self.w is not NULL:
            if self.prepared is not NULL:
                c.fgw_worker_discard(self.w, self.prepared)
            c.fgw_worker_free(self.w)

    @property
    def address(self) -> int:
        """Of the C worker, for other extension types."""
        return <size_t>self.w

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

    def compile(self, uint32_t most) -> int:
        """Compile up to `most` patterns of routes that prepare would else compile; how many are left."""
        return c.fgw_worker_compile(self.w, most)

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

    # ---- plugins
    def plugins(self, uint64_t root_hash) -> list:
        """The PluginSpecs that an added root names: what `host` must have before it is prepared. Refused."""
        cdef const void *root = c.fgw_worker_root(self.w, root_hash)
        cdef const h.fgw_l_plugin *p
        cdef const h.fgw_l_str *path
        cdef h.fgw_l_arr list_of
        if root is NULL:
            raise Refused("the root segment was not added")
        list_of = (<const h.fgw_l_root *>h.fgw_l_body(root)).plugins
        p = <const h.fgw_l_plugin *>h.fgw_l_at(root, list_of.off)
        specs = []
        for i in range(list_of.count):
            path = <const h.fgw_l_str *>h.fgw_l_at(root, p[i].path.off)
            folders = tuple([word(root, path[j]).decode() for j in range(p[i].path.count)])
            specs.append(PluginSpec(p[i].key, word(root, p[i].name).decode(), word(root, p[i].use).decode(),
                                    word(root, p[i].settings), folders))
        return specs

    @property
    def host(self) -> Host | None:
        """Who runs the hooks. Set once, before a snapshot that has some is prepared."""
        return self.hooks

    @host.setter
    def host(self, Host host not None):
        if self.hooks is not None:
            raise ValueError("the worker has a host")
        self.hooks = host
        c.fgw_worker_host(self.w, <const c.fgw_hook_host *>&host.table)

    def report(self, str level not None, str text not None) -> None:
        """Lines of the error log. Also from another thread, while this one runs Python."""
        for line in text.splitlines():
            c.fgw_worker_tell(self.w, LEVELS.index(level), line.encode())

    def ticket_keys(self, bytes keys not None) -> None:
        """Seal TLS session tickets with the first of these keys, open them with all. ValueError: not whole keys."""
        if not keys or len(keys) % t.FGW_TLS_TICKET_KEY or len(keys) > t.FGW_TLS_TICKET_KEY * t.FGW_TLS_TICKET_KEYS:
            raise ValueError(f"{len(keys)} bytes are no keys")
        c.fgw_worker_ticket_keys(self.w, <const char *>keys, <uint32_t>(len(keys) // t.FGW_TLS_TICKET_KEY))

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
    def drain(self, uint32_t deadline_ms, bint last=True) -> None:
        """Accept no more, answer what is in flight, cut what is left at the deadline. last: nobody else has the
        sockets, so accept first who waits to be."""
        c.fgw_worker_drain(self.w, deadline_ms, last)

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


cdef bytes word(const void *seg, h.fgw_l_str s):
    cdef h.fgw_str w = h.fgw_l_text(seg, s)
    return w.p[:w.n]


cdef str text(const char *err):
    return (<bytes>err).decode("utf-8", "replace") or "no reason given"
