"""Which endpoints each upstream has, published to the workers through tables in shared memory.

    configured members ──► names are watched (discovery) ──► addresses ──► slots and generations ──► table

Owner    the supervisor's loop. Nothing here is on the road of a request.
Names    an endpoint is named by slot + generation. The same address keeps both for as long as it is a member; a slot
         that is taken over by another address gets a generation never used before in its table.
Reload   `prepare` makes new tables and waits a while for names; `commit` makes the new membership the one that is
         published; `discard` forgets it. Changes by DNS are published when they happen.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from fastgw.config.addresses import Address, parse_address

from .address import from_ip, pack, reachable, text
from .discovery.dns import Resolver, WatchedName
from .spec import ClusterSpec

NAME_MAX = 79  # FGW_EP_NAME without its NUL
WEIGHT_MAX = 65_535


class Endpoint(NamedTuple):
    """One row of a table; `name` is the address as configured."""

    slot: int
    generation: int
    weight: int
    healthy: bool
    sockaddr: bytes
    name: str


class Tables(Protocol):
    """The endpoint tables in shared memory."""

    def init(self, offset: int, cap: int) -> None: ...
    def publish(self, offset: int, endpoints: list[Endpoint]) -> None: ...


class Log(Protocol):
    def info(self, event: str, **fields: str | int) -> None: ...
    def warning(self, event: str, **fields: str | int) -> None: ...


class Slots:
    """Slots and generations of one table."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._taken: dict[bytes, tuple[int, int]] = {}
        self._generation = 0

    def assign(self, keys: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
        """Slots for these keys and no others; keys beyond `cap` get none. Known keys keep theirs."""
        wanted = list(keys)[: self.cap]
        kept = {key: self._taken[key] for key in wanted if key in self._taken}
        used = {slot for slot, _ in kept.values()}
        free = (slot for slot in range(self.cap) if slot not in used)
        for key in wanted:
            if key not in kept:
                self._generation += 1
                kept[key] = (next(free), self._generation)
        self._taken = kept
        return kept


class Cluster:
    """One upstream's published state."""

    def __init__(self, spec: ClusterSpec) -> None:
        self.spec = spec
        self.slots = Slots(spec.cap)
        self.endpoints: list[Endpoint] = []
        self.dropped = 0  # addresses that the table has no room for


class Clusters:
    """All upstreams. `apply` of a configuration is prepare, then commit or discard."""

    def __init__(self, tables: Tables, resolver: Callable[[], Resolver], log: Log) -> None:
        self._tables, self._make_resolver, self._log = tables, resolver, log
        self._resolver: Resolver | None = None
        self._names: dict[str, WatchedName] = {}
        self._clusters: dict[str, Cluster] = {}
        self._next: list[ClusterSpec] = []

    # -- reload
    async def prepare(self, specs: list[ClusterSpec], wait: float = 2.0) -> None:
        """Make tables that are new, and wait up to `wait` seconds for the first answer of names that are new."""
        known = {(c.spec.table, c.spec.cap) for c in self._clusters.values()}
        for spec in specs:
            if (spec.table, spec.cap) not in known:
                self._tables.init(spec.table, spec.cap)
        self._next = specs
        fresh = [self._watch(name) for name in _names(specs) if name not in self._names]
        waiting = [asyncio.create_task(watched.answered.wait()) for watched in fresh]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=wait)
            for task in late:
                task.cancel()

    def commit(self) -> None:
        """Publish what was prepared. Upstreams that are gone keep their tables' last content for requests in flight."""
        old, self._clusters = self._clusters, {}
        for spec in self._next:
            before = old.get(spec.name)
            same = before is not None and (before.spec.table, before.spec.cap) == (spec.table, spec.cap)
            cluster = before if same and before is not None else Cluster(spec)
            cluster.spec = spec
            self._clusters[spec.name] = cluster
            self._publish(cluster)
        self._forget_names()

    def discard(self) -> None:
        """Forget what was prepared."""
        self._next = [cluster.spec for cluster in self._clusters.values()]
        self._forget_names()

    # -- names
    def _watch(self, name: str) -> WatchedName:
        if self._resolver is None:
            self._resolver = self._make_resolver()
        self._names[name] = WatchedName(name, self._resolver, self._changed, self._failed)
        return self._names[name]

    def _forget_names(self) -> None:
        wanted = set(_names(self._next))
        for name in [name for name in self._names if name not in wanted]:
            self._names.pop(name).cancel()

    def _changed(self, watched: WatchedName) -> None:
        self._log.info("name resolved", name=watched.name, addresses=" ".join(watched.addresses or ()))
        for cluster in self._clusters.values():
            if watched.name in _names([cluster.spec]):
                self._publish(cluster)

    def _failed(self, watched: WatchedName, reason: str) -> None:
        kept = "last good addresses" if watched.addresses else "no address"
        self._log.warning("name not resolved", name=watched.name, reason=reason, kept=kept)

    # -- tables
    def _publish(self, cluster: Cluster) -> None:
        """Bring a table up to date. The table is written only when something in it changes."""
        rows: dict[bytes, tuple[int, str]] = {}
        for member in cluster.spec.members:
            for packed in self._packed(parse_address(member.address)):
                key = packed + member.address.encode()
                weight = rows[key][0] if key in rows else 0
                rows[key] = (min(weight + member.weight, WEIGHT_MAX), member.address)
        slots = cluster.slots.assign(rows)
        cluster.dropped = len(rows) - len(slots)
        if cluster.dropped:
            self._log.warning("upstream has too many endpoints", upstream=cluster.spec.name, dropped=cluster.dropped)
        endpoints = [
            Endpoint(*slots[key], weight, True, key[: len(key) - len(name.encode())], name[:NAME_MAX])
            for key, (weight, name) in rows.items()
            if key in slots
        ]
        if endpoints != cluster.endpoints or not cluster.endpoints:
            cluster.endpoints = endpoints
            self._tables.publish(cluster.spec.table, endpoints)

    def _packed(self, address: Address) -> list[bytes]:
        """The sockaddrs behind an address. Of a name's addresses those without a route are left out, unless all are."""
        if address.kind != "name":
            return [pack(address)]
        watched = self._names.get(address.host)
        found = [from_ip(ip, address.port) for ip in (watched.addresses if watched else None) or ()]
        return [pack(one) for one in [one for one in found if reachable(one)] or found]

    # -- telling
    def status(self) -> dict[str, object]:
        """For the admin page: upstream → endpoints and what is wrong with its names."""
        return {
            name: {
                "endpoints": [
                    {"address": endpoint_text(e), "name": e.name, "weight": e.weight, "healthy": e.healthy,
                     "slot": e.slot, "generation": e.generation}
                    for e in cluster.endpoints
                ],
                "unresolved": {
                    host: self._names[host].error for host in _names([cluster.spec])
                    if host in self._names and self._names[host].error
                },
            }
            for name, cluster in self._clusters.items()
        }  # fmt: skip

    async def close(self) -> None:
        for watched in self._names.values():
            watched.cancel()
        self._names.clear()
        if self._resolver is not None:
            await self._resolver.close()


def endpoint_text(endpoint: Endpoint) -> str:
    """The address that a row connects to."""
    raw = endpoint.sockaddr
    (kind,) = struct.unpack_from("=H", raw)
    if kind == socket.AF_UNIX:
        return "unix:" + raw[2:].rstrip(b"\0").decode(errors="replace")
    ip = raw[4:8] if kind == socket.AF_INET else raw[8:24]
    return text(from_ip(socket.inet_ntop(kind, ip), int.from_bytes(raw[2:4], "big")))


def _names(specs: Iterable[ClusterSpec]) -> list[str]:
    """The host names in these specs, each once."""
    addresses = (parse_address(member.address) for spec in specs for member in spec.members)
    return list(dict.fromkeys(address.host for address in addresses if address.kind == "name"))
