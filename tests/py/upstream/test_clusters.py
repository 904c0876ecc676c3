"""Membership: slots and generations, reloads that are taken or refused, names that change."""

import asyncio
import itertools

import pytest

from fastgw._shm import Shm, eptable_size
from fastgw.upstream.clusters import Clusters, Endpoint, Slots, endpoint_text
from fastgw.upstream.discovery.dns import Answer, ResolveError
from fastgw.upstream.spec import ClusterSpec, Member

CAP = 8


class Names:
    """A resolver that answers from a table at once; a name that is not in it fails."""

    def __init__(self) -> None:
        self.table: dict[str, tuple[str, ...]] = {}
        self.slow: set[str] = set()

    async def resolve(self, name: str) -> Answer:
        if name in self.slow:
            await asyncio.Event().wait()
        if name not in self.table:
            raise ResolveError("no such name")
        return Answer(self.table[name], 3600.0)

    async def close(self) -> None:
        return


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **fields: str | int) -> None:
        self.events.append(event)

    def warning(self, event: str, **fields: str | int) -> None:
        self.events.append(event)


class World:
    """Clusters over real shared memory."""

    def __init__(self) -> None:
        self.shm = Shm.create(1, 1 << 20)
        self.names, self.log = Names(), Log()
        self.clusters = Clusters(self.shm, lambda: self.names, self.log)
        self.offsets = itertools.count(self.shm.heap, (eptable_size(CAP) + 63) // 64 * 64)
        self.tables: dict[str, int] = {}

    def spec(self, name: str, *members: str | tuple[str, int]) -> ClusterSpec:
        table = self.tables.setdefault(name, next(self.offsets) if name not in self.tables else 0)
        return ClusterSpec(name, table, CAP, tuple(Member(m) if isinstance(m, str) else Member(*m) for m in members))

    async def apply(self, *specs: ClusterSpec) -> None:
        await self.clusters.prepare(list(specs), wait=0.5)
        self.clusters.commit()

    def rows(self, name: str) -> list[tuple[int, int, int, str]]:
        """(slot, generation, weight, address) as workers see them."""
        endpoints = [Endpoint(*row) for row in self.shm.endpoints(self.tables[name])]
        return [(e.slot, e.generation, e.weight, endpoint_text(e)) for e in endpoints]


@pytest.fixture
async def world() -> World:
    return World()


async def test_configured_addresses_are_published(world: World) -> None:
    await world.apply(world.spec("u", "127.0.0.1:1", ("[::1]:2", 5), "unix:/run/a.sock"))
    assert world.rows("u") == [(0, 1, 1, "127.0.0.1:1"), (1, 2, 5, "[::1]:2"), (2, 3, 1, "unix:/run/a.sock")]


async def test_an_address_keeps_its_slot_and_a_slot_changes_its_generation(world: World) -> None:
    await world.apply(world.spec("u", "127.0.0.1:1", "127.0.0.1:2"))
    await world.apply(world.spec("u", "127.0.0.1:3", "127.0.0.1:2"))
    assert world.rows("u") == [(0, 3, 1, "127.0.0.1:3"), (1, 2, 1, "127.0.0.1:2")]
    await world.apply(world.spec("u", "127.0.0.1:1"))
    assert world.rows("u") == [(0, 4, 1, "127.0.0.1:1")], "back again, but not taken for the old one"


async def test_the_same_address_twice_is_one_with_both_weights(world: World) -> None:
    await world.apply(world.spec("u", ("127.0.0.1:1", 2), ("127.0.0.1:1", 3)))
    assert world.rows("u") == [(0, 1, 5, "127.0.0.1:1")]


async def test_a_refused_reload_publishes_nothing(world: World) -> None:
    await world.apply(world.spec("u", "127.0.0.1:1"))
    await world.clusters.prepare([world.spec("u", "127.0.0.1:2", "name.test:1"), world.spec("v", "127.0.0.1:3")])
    world.clusters.discard()
    assert world.rows("u") == [(0, 1, 1, "127.0.0.1:1")]
    assert list(world.clusters.status()) == ["u"]
    assert not world.clusters._names, "nobody asks for that name any more"


async def test_names_are_resolved_before_prepare_returns(world: World) -> None:
    world.names.table["a.test"] = ("127.0.0.2", "127.0.0.1")
    await world.apply(world.spec("u", ("a.test:80", 4)))
    assert world.rows("u") == [(0, 1, 4, "127.0.0.2:80"), (1, 2, 4, "127.0.0.1:80")]


async def test_a_slow_name_holds_nobody_up_and_comes_later(world: World) -> None:
    world.names.slow.add("a.test")
    await world.apply(world.spec("u", "a.test:80"))
    assert world.rows("u") == []
    watched = world.clusters._names["a.test"]
    watched.addresses = ("127.0.0.1",)
    world.clusters._changed(watched)
    assert world.rows("u") == [(0, 1, 1, "127.0.0.1:80")]


async def test_a_name_that_fails_is_told_with_its_reason(world: World) -> None:
    await world.apply(world.spec("u", "a.test:80"))
    assert world.rows("u") == []
    assert world.clusters.status()["u"]["unresolved"] == {"a.test": "no such name"}
    assert world.log.events == ["name not resolved"]


async def test_a_change_of_one_name_leaves_other_tables_alone(world: World) -> None:
    world.names.table |= {"a.test": ("127.0.0.1",), "b.test": ("127.0.0.2",)}
    await world.apply(world.spec("u", "a.test:80"), world.spec("v", "b.test:80"))
    written: list[int] = []
    publish = world.shm.publish

    class Spy:
        def publish(self, offset: int, rows: list[Endpoint]) -> None:
            written.append(offset)
            publish(offset, rows)

    world.clusters._tables = Spy()
    world.clusters._names["a.test"].addresses = ("127.0.0.1", "127.0.0.3")
    world.clusters._changed(world.clusters._names["a.test"])
    assert written == [world.tables["u"]]
    assert [row[3] for row in world.rows("u")] == ["127.0.0.1:80", "127.0.0.3:80"]
    assert world.rows("u")[0][:2] == (0, 1)


async def test_more_addresses_than_room_are_dropped_and_told(world: World) -> None:
    world.names.table["a.test"] = tuple(f"127.0.1.{i}" for i in range(CAP + 3))
    await world.apply(world.spec("u", "a.test:80"))
    assert len(world.rows("u")) == CAP
    assert "upstream has too many endpoints" in world.log.events


async def test_a_larger_table_gets_the_same_members(world: World) -> None:
    await world.apply(world.spec("u", "127.0.0.1:1"))
    world.tables["u"] = next(world.offsets)
    await world.apply(world.spec("u", "127.0.0.1:1"))
    assert world.rows("u") == [(0, 1, 1, "127.0.0.1:1")]


async def test_two_reloads_at_a_table_that_is_not_changed_do_not_write_it(world: World) -> None:
    await world.apply(world.spec("u", "127.0.0.1:1"))
    world.clusters._tables = None  # any use would fail
    await world.apply(world.spec("u", "127.0.0.1:1"))


def test_slots_beyond_the_room_are_not_given() -> None:
    slots = Slots(2)
    assert set(slots.assign([b"a", b"b", b"c"])) == {b"a", b"b"}
    assert slots.assign([b"b", b"c"]) == {b"b": (1, 2), b"c": (0, 3)}
