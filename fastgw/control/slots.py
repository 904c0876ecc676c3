"""Who has which number: stats slots, listener and upstream ids, endpoint tables in shared memory. Kept over reloads.

    supervisor ──state──► build child: asks by name, a known name gets what it had ──new state──► kept, if committed

A state is bytes, so a build that is refused leaves nothing behind. A name that the configuration mentions no more is
*retired*: should it return within the hour, it gets the same again. After that no request of an old snapshot can be in
flight any more, and its slot and table are free for others. Ids are never given twice.
Thread: any one at a time.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from fastgw._shm import STATS_SLOTS, eptable_size
from fastgw.snapshot.compile import SnapshotError

RETIRED_S = 3600.0
CAP_MIN = 64
OVERFLOW = 0  # the stats slot of all who came when there was none left
_ALIGN = 64
_PAGE = 4096


class Memory(Protocol):
    """A mapping: endpoint tables may lie in [heap, size)."""

    @property
    def heap(self) -> int: ...
    @property
    def size(self) -> int: ...


class _Given(Struct, array_like=True):
    """What a name has: a stats slot, an id, or the offset of a table with room for `cap`."""

    number: int
    cap: int = 0
    retired: float = 0.0  # CLOCK_MONOTONIC, the same in every process; 0: in use


class _State(Struct, array_like=True):
    heap: int  # the first byte never given out
    end: int
    names: dict[str, dict[str, _Given]] = {}  # kind → name; kinds are those of stats, and the four below
    next_slot: int = OVERFLOW + 1
    next_id: int = 0
    free_slots: list[int] = []
    free_tables: list[_Given] = []
    reused: list[int] = []
    free_buckets: list[_Given] = []
    reused_buckets: list[tuple[int, int]] = []


_TABLE, _BUCKETS, _LISTENER_ID, _UPSTREAM_ID = "endpoint table", "buckets", "listener id", "upstream id"
_NO_STATS = frozenset((_TABLE, _BUCKETS, _LISTENER_ID, _UPSTREAM_ID))


class Identity(NamedTuple):
    """What a stats slot counts. kind: "route" (name: `listener/route`), "unmatched" (a listener's), "upstream",
    "limit", "plugin", "tls" (a listener's), "grpc" (a route's), "overflow"."""

    kind: str
    name: str
    slot: int


class SlotTable:
    """One state being read, or carried on by one build."""

    def __init__(self, heap: int, end: int) -> None:
        """Nothing given out yet; endpoint tables may lie in [heap, end) of the shared memory."""
        self._s = _State(heap, end)
        self._named: set[tuple[str, str]] = set()
        self._reused: list[int] = []
        self._reused_buckets: list[tuple[int, int]] = []

    @classmethod
    def of(cls, memory: Memory) -> "SlotTable":
        """The first table of a new shared memory."""
        return cls(memory.heap, memory.size)

    @classmethod
    def from_state(cls, state: bytes) -> "SlotTable":
        """msgspec.DecodeError: these bytes are no state."""
        table = cls(0, 0)
        table._s = msgspec.msgpack.decode(state, type=_State)
        return table

    def state(self) -> bytes:
        """Everything as it is after this build: names that nobody asked this object for are retired."""
        now = time.monotonic()
        for kind, names in self._s.names.items():
            for name, given in names.items():
                given.retired = 0.0 if (kind, name) in self._named else given.retired or now
            for name in [name for name, given in names.items() if given.retired and now - given.retired > RETIRED_S]:
                self._release(kind, names.pop(name))
        reused = {"reused": self._reused, "reused_buckets": self._reused_buckets}
        return msgspec.msgpack.encode(msgspec.structs.replace(self._s, **reused))

    def _release(self, kind: str, given: _Given) -> None:
        if kind == _TABLE:
            self._s.free_tables.append(given)
        elif kind == _BUCKETS:
            self._s.free_buckets.append(given)
        elif kind not in _NO_STATS:
            self._s.free_slots.append(given.number)

    @property
    def reused(self) -> list[int]:
        """Stats slots that the build of this state took over from others: to be zeroed before it is committed."""
        return self._s.reused

    @property
    def reused_buckets(self) -> list[tuple[int, int]]:
        """The same for tables of buckets: (offset, bytes)."""
        return self._s.reused_buckets

    def _known(self, kind: str, name: str) -> _Given | None:
        self._named.add((kind, name))
        return self._s.names.setdefault(kind, {}).get(name)

    # -- ids
    def listener_id(self, name: str) -> int:
        """The number of a listener's sockets."""
        return self._id(_LISTENER_ID, name)

    def upstream_id(self, name: str) -> int:
        """A number that stays with this upstream's name."""
        return self._id(_UPSTREAM_ID, name)

    def _id(self, kind: str, name: str) -> int:
        given = self._known(kind, name)
        if given is None:
            given = self._s.names[kind][name] = _Given(self._s.next_id)
            self._s.next_id += 1
        return given.number

    # -- counters
    def stats_slot(self, kind: str, name: str) -> int:
        """The slot of this identity's counters; OVERFLOW, which is everybody's, when none is left."""
        given = self._known(kind, name)
        if given is None:
            number = self._new_slot()
            if number == OVERFLOW:
                return OVERFLOW
            given = self._s.names[kind][name] = _Given(number)
        return given.number

    def _new_slot(self) -> int:
        s = self._s
        if s.next_slot < STATS_SLOTS:
            s.next_slot += 1
            return s.next_slot - 1
        if not s.free_slots:
            return OVERFLOW
        self._reused.append(s.free_slots.pop(0))
        return self._reused[-1]

    def identities(self) -> Iterator[Identity]:
        """Those in use, by kind and name; at the end the overflow, once there were no slots left."""
        for kind in sorted(self._s.names.keys() - _NO_STATS):
            for name, given in sorted(self._s.names[kind].items()):
                if not given.retired:
                    yield Identity(kind, name, given.number)
        if self._s.next_slot >= STATS_SLOTS:
            yield Identity("overflow", "", OVERFLOW)

    # -- buckets of limits
    def bucket_table(self, name: str, size: int) -> int:
        """The offset of a limit's buckets: the same as long as its name and size stay. SnapshotError: no room."""
        identity = f"{name} {size}"
        given = self._known(_BUCKETS, identity)
        if given is None:
            given = self._s.names[_BUCKETS][identity] = self._new_buckets(name, -(-size // _PAGE) * _PAGE)
        return given.number

    def _new_buckets(self, name: str, size: int) -> _Given:
        s = self._s
        for free in s.free_buckets:
            if free.cap == size:
                s.free_buckets.remove(free)
                self._reused_buckets.append((free.number, size))
                return _Given(free.number, size)
        offset = -(-s.heap // _PAGE) * _PAGE
        if offset + size > s.end:
            raise SnapshotError(f"limit {name}: the shared memory has no room for {size:,} more bytes of buckets")
        s.heap = offset + size
        return _Given(offset, size)

    # -- endpoint tables
    def reserve_endpoints(self, name: str, count: int) -> None:
        """Give upstream `name` a table for `count` configured endpoints and what their names may resolve to.

        A table that has become too small is left for a larger one. SnapshotError: the shared memory is full."""
        known = self._known(_TABLE, name)
        if known is not None and known.cap >= count:
            return
        cap = CAP_MIN
        while cap < 4 * count:
            cap *= 2
        made = self._new_table(name, cap)
        if known is not None:  # under a name nobody can ask for, it grows old like every other
            self._s.names[_TABLE][f"{known.number} outgrown"] = known
        self._s.names[_TABLE][name] = made

    def endpoint_table(self, name: str) -> int:
        """The offset of an upstream's endpoint table in shared memory. SnapshotError: the shared memory is full."""
        return self._table(name).number

    def endpoint_cap(self, name: str) -> int:
        """How many endpoints that table holds. SnapshotError: the shared memory is full."""
        return self._table(name).cap

    def _table(self, name: str) -> _Given:
        self.reserve_endpoints(name, 1)
        return self._s.names[_TABLE][name]

    def _new_table(self, name: str, cap: int) -> _Given:
        s = self._s
        for free in s.free_tables:
            if free.cap == cap:
                s.free_tables.remove(free)
                return _Given(free.number, cap)
        offset = -(-s.heap // _ALIGN) * _ALIGN
        if offset + eptable_size(cap) > s.end:
            raise SnapshotError(f"upstreams.{name}: the shared memory has no room for {cap} more endpoints")
        s.heap = offset + eptable_size(cap)
        return _Given(offset, cap)
