"""The gateway's listening sockets. They outlive workers and reloads.

    TCP    one SO_REUSEPORT socket for each bind and seat, so that the kernel spreads connections. A seat is a worker's;
           its accept queues pass to whoever has it next
    Unix   one socket for each bind, shared by all workers (EPOLLEXCLUSIVE)

There are as many seats as there have ever been workers: closing a socket would reset the connections in its queue, and
those whose handshake is under way, so that happens only when its address is left. A TCP socket is bound here. The first
of an address listens at once, which makes it ours; the others when a worker is given them for the first time
(fleet.py): before, nobody would answer.

A reload is `open` (all that is new is bound; if anything fails, nothing has changed), then `commit` or `rollback`.
An address that stays keeps its sockets, whatever listener it belongs to now; they then get new numbers.
Owner: the supervisor's loop.
"""

import itertools
import socket
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from fastgw.config.addresses import Address, parse_bind
from fastgw.upstream.address import text

from .sockets import BindError, actual, bind_tcp, identity, listen_tcp, open_unix, probe_tcp, unlink_if, waiting


class ListenerSpec(Struct, frozen=True, array_like=True):
    """A listener as configured: its name, its id in the snapshot, its binds."""

    name: str
    id: int
    binds: tuple[str, ...]


class Key(NamedTuple):
    """What makes a socket the same over a reload. `owner` tells apart binds to port 0, which are never shared."""

    bind: Address
    seat: int  # -1: shared by all
    owner: str


class Bound(NamedTuple):
    """One open socket. `number` names it to the workers and is never used again for another."""

    number: int
    listener: int
    name: str
    key: Key
    actual: Address
    sock: socket.socket
    file: tuple[int, int]  # a Unix socket's (device, inode)

    @property
    def shared(self) -> bool:
        return self.key.seat < 0


class BindErrors(Exception):
    """Every address that could not be bound."""

    def __init__(self, errors: list[BindError]) -> None:
        super().__init__("\n".join(str(e) for e in errors))
        self.errors = errors


class Listeners:
    """All open sockets, and those of a reload that is under way."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._bound: dict[Key, Bound] = {}
        self._next: dict[Key, Bound] | None = None
        self._leaving: list[Bound] = []
        self._specs: list[ListenerSpec] = []
        self._next_specs: list[ListenerSpec] = []

    def __iter__(self) -> Iterator[Bound]:
        """Every socket that somebody should accept on, those that are only being emptied included."""
        return iter([*self._bound.values(), *self._leaving])

    # -- reload
    def open(self, specs: list[ListenerSpec], seats: int) -> None:
        """Bind what these listeners and so many workers need and is not open yet. BindErrors: nothing has changed."""
        self.rollback()
        new: dict[Key, Bound] = {}
        errors: list[BindError] = []
        for spec in specs:
            for bind in spec.binds:
                try:
                    self._open_bind(spec, parse_bind(bind), seats, new)
                except BindError as e:
                    errors.append(e)
        self._next, self._next_specs = new, specs
        if errors:
            self.rollback()
            raise BindErrors(errors)

    def _open_bind(self, spec: ListenerSpec, address: Address, seats: int, new: dict[Key, Bound]) -> None:
        owner = spec.name if address.port == 0 and address.kind != "unix" else ""
        if address.kind == "unix":
            self._take(spec, Key(address, -1, owner), address, new)
            return
        known = [b for key, b in (self._bound | new).items() if key.bind == address and key.owner == owner]
        # A port that is ours already (for another seat, or for an overlapping address) cannot be probed.
        if not known and all(b.actual.port != address.port for b in (self._bound | new).values()):
            probe_tcp(address)
        target = known[0].actual if known else address
        for seat in sorted({*range(seats), *(b.key.seat for b in known)}):
            target = self._take(spec, Key(address, seat, owner), target, new).actual
        if not known:  # before it listens, another gateway's probe would not find it
            listen_tcp(target, new[Key(address, 0, owner)].sock)

    def _take(self, spec: ListenerSpec, key: Key, target: Address, new: dict[Key, Bound]) -> Bound:
        """The open socket of this key, or a fresh one on `target` (which has the port that port 0 became)."""
        old = self._bound.get(key)
        if old is not None and old.listener == spec.id:
            new[key] = old._replace(name=spec.name)
            return new[key]
        if old is not None:
            sock, file = old.sock, old.file
        else:
            sock = open_unix(target) if target.kind == "unix" else bind_tcp(target)
            file = identity(target.host) if target.kind == "unix" else (0, 0)
        new[key] = Bound(next(self._numbers), spec.id, spec.name, key, actual(sock, target), sock, file)
        return new[key]

    def commit(self) -> list[Bound]:
        """Use what was opened. What nobody needs any more is returned: it stays open until `leave`, so that its queue
        can be emptied, unless its listener is gone, and with it the settings to serve by: that is closed now."""
        if self._next is None:
            return []
        kept = {b.sock.fileno() for b in self._next.values()}
        ids = {b.listener for b in self._next.values()}
        gone = [b for b in self._bound.values() if b.sock.fileno() not in kept]
        self._bound, self._specs, self._next = self._next, self._next_specs, None
        leaving = [b for b in gone if b.listener in ids]
        self._leaving += leaving
        for bound in gone:
            if bound.listener not in ids:
                self.close(bound)
        return leaving

    def leave(self, bounds: list[Bound]) -> None:
        """Close sockets that `commit` returned."""
        for bound in bounds:
            self._leaving.remove(bound)
            self.close(bound)

    def rollback(self) -> None:
        """Close what was opened for a reload that was refused."""
        if self._next is None:
            return
        ours = {b.sock.fileno() for b in self._bound.values()}
        for bound in self._next.values():
            if bound.sock.fileno() not in ours:
                self.close(bound)
        self._next = None

    # -- use
    @staticmethod
    def close(bound: Bound) -> None:
        """Close a socket here and remove its file. Workers may still hold it."""
        if bound.key.bind.kind == "unix":
            unlink_if(bound.key.bind.host, bound.file)
        bound.sock.close()

    @staticmethod
    def waiting(bound: Bound) -> int:
        """Connections that nobody has accepted yet; Unix sockets do not tell: 0."""
        return 0 if bound.shared else waiting(bound.sock)

    def addresses(self) -> dict[str, list[str]]:
        """Listener → its addresses as they are, in the order of the configuration."""
        found: dict[str, list[str]] = {spec.name: [] for spec in self._specs}
        for bound in self._bound.values():
            shown = text(bound.actual)
            if shown not in found.setdefault(bound.name, []):
                found[bound.name].append(shown)
        return found

    def close_all(self) -> None:
        """Close everything and remove the Unix sockets' files."""
        self.rollback()
        for bound in self:
            self.close(bound)
        self._bound, self._leaving = {}, []
