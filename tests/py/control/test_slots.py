"""Who has which slot, id and table, over reloads."""

import msgspec
import pytest

from fastgw._shm import STATS_SLOTS, eptable_size
from fastgw.control import slots
from fastgw.control.slots import OVERFLOW, SlotTable
from fastgw.snapshot.compile import SnapshotError

HEAP, END = 4096, 4096 + (1 << 20)


class Clock:
    """Stands in for the time module."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(slots, "time", made)
    return made


def build(state: bytes, *, routes: list[str] = [], upstreams: list[str] = []) -> tuple[dict[str, object], bytes]:  # noqa: B006
    """One build: what its names were given, and the new state."""
    table = SlotTable.from_state(state)
    given: dict[str, object] = {name: table.stats_slot("route", name) for name in routes}
    for name in upstreams:
        given[name] = table.upstream_id(name), table.endpoint_table(name), table.endpoint_cap(name)
    return given, table.state()


def first() -> bytes:
    return SlotTable(HEAP, END).state()


def test_a_name_keeps_what_it_has() -> None:
    one, state = build(first(), routes=["a", "b"], upstreams=["u"])
    two, _ = build(state, routes=["b", "c", "a"], upstreams=["v", "u"])
    assert {name: two[name] for name in one} == one
    assert len({two["a"], two["b"], two["c"]}) == 3
    assert two["u"] != two["v"]


def test_a_refused_build_leaves_nothing() -> None:
    one, _ = build(first(), routes=["refused"])
    two, _ = build(first(), routes=["other"])
    assert one["refused"] == two["other"]


def test_kinds_and_names_are_kept_apart() -> None:
    table = SlotTable(HEAP, END)
    found = [table.stats_slot("route", "x"), table.stats_slot("upstream", "x"), table.stats_slot("unmatched", "x")]
    assert len(set(found)) == 3 and OVERFLOW not in found
    assert table.listener_id("x") != table.upstream_id("x")
    table.reserve_endpoints("x", 1)
    assert [(i.kind, i.name) for i in table.identities()] == [("route", "x"), ("unmatched", "x"), ("upstream", "x")]


def test_a_retired_name_is_told_no_more_but_returns(clock: Clock) -> None:
    one, state = build(first(), routes=["a", "b"])
    _, state = build(state, routes=["b"])
    assert [i.name for i in SlotTable.from_state(state).identities()] == ["b"]
    clock.now += slots.RETIRED_S - 1
    two, state = build(state, routes=["a", "b"])
    assert two == one
    assert [i.name for i in SlotTable.from_state(state).identities()] == ["a", "b"]


def test_a_full_table_overflows_and_heals(clock: Clock) -> None:
    many = [f"r{i}" for i in range(STATS_SLOTS - 1)]
    one, state = build(first(), routes=many)
    assert len(set(one.values())) == len(many) and OVERFLOW not in one.values()
    two, state = build(state, routes=[*many[1:], "late", "later"])
    assert two["late"] == two["later"] == OVERFLOW
    assert list(SlotTable.from_state(state).identities())[-1] == ("overflow", "", OVERFLOW)
    clock.now += slots.RETIRED_S + 1
    _, state = build(state, routes=[*many[1:], "late"])  # r0 has been retired for an hour: released
    three, state = build(state, routes=[*many[1:], "late", "later"])
    assert three["late"] == one["r0"] and three["later"] == OVERFLOW
    assert SlotTable.from_state(state).reused == [one["r0"]]
    _, state = build(state, routes=[*many[1:], "late"])
    assert SlotTable.from_state(state).reused == []


def test_tables_do_not_overlap() -> None:
    table = SlotTable(HEAP + 3, END)
    found = []
    for i in range(8):
        table.reserve_endpoints(f"u{i}", 10 * i)
        assert table.endpoint_cap(f"u{i}") >= max(10 * i, slots.CAP_MIN)
        found.append((table.endpoint_table(f"u{i}"), eptable_size(table.endpoint_cap(f"u{i}"))))
    ends = [HEAP, *(offset + size for offset, size in found)]
    assert all(offset % 64 == 0 and offset >= end for (offset, _), end in zip(found, ends, strict=False))
    assert ends[-1] <= END


def test_an_outgrown_table_is_left_and_later_free(clock: Clock) -> None:
    one, state = build(first(), upstreams=["u"])
    table = SlotTable.from_state(state)
    table.reserve_endpoints("u", slots.CAP_MIN)
    assert table.endpoint_table("u") == one["u"][1], "it still has room"
    table.reserve_endpoints("u", slots.CAP_MIN + 1)
    grown = table.endpoint_table("u")
    assert grown != one["u"][1] and table.endpoint_cap("u") > slots.CAP_MIN
    two, state = build(table.state(), upstreams=["u", "v"])
    assert two["u"][1] == grown and two["v"][1] != one["u"][1], "requests in flight may still read it"
    clock.now += slots.RETIRED_S + 1
    _, state = build(state, upstreams=["u", "v"])
    three, _ = build(state, upstreams=["u", "v", "w"])
    assert three["w"][1] == one["u"][1]


def test_full_memory_refuses_the_build() -> None:
    table = SlotTable(HEAP, HEAP + eptable_size(64) + 63)
    table.reserve_endpoints("fits", 1)
    with pytest.raises(SnapshotError, match=r"upstreams\.more"):
        table.endpoint_table("more")
    assert table.endpoint_table("fits") == HEAP


def test_ids_are_never_given_twice(clock: Clock) -> None:
    seen, state = set(), first()
    for i in range(5):
        given, state = build(state, upstreams=[f"u{i}"])
        seen.add(given[f"u{i}"][0])
        clock.now += slots.RETIRED_S + 1
    assert len(seen) == 5


def test_names_that_come_and_go_leave_no_trace(clock: Clock) -> None:
    state = first()
    for i in range(200):
        _, state = build(state, routes=[f"r{i}"], upstreams=[f"u{i}"])
        clock.now += slots.RETIRED_S + 1
    assert len(state) < 2000


def test_nonsense_is_no_state() -> None:
    with pytest.raises(msgspec.DecodeError):
        SlotTable.from_state(b"nonsense")
