"""Buckets against a model that forgets nothing: a million keys in a table with room for fewer."""

from __future__ import annotations

import random

import pytest

from fastgw import _limits
from fastgw._limits import Buckets
from fastgw._shm import Shm

UNIT, BURST = 1_000_000, 5


def tag(n: int) -> int:
    """A 64-bit hash of n that is not 0 (splitmix64)."""
    z = (n + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    z = (z ^ z >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
    return (z ^ z >> 31) or 1


class Model:
    """GCRA with room for everybody: what a key has used, and whether that was its due."""

    def __init__(self) -> None:
        self.full_at: dict[int, int] = {}

    def due(self, key: int, now: int) -> bool:
        return max(self.full_at.get(key, 0), now) + UNIT <= now + BURST * UNIT

    def took(self, key: int, now: int) -> None:
        self.full_at[key] = max(self.full_at.get(key, 0), now) + UNIT


def test_a_million_keys_and_none_gets_more_than_its_due():
    """All keys are new once, and 1,000 of them keep asking; the table holds 98,304."""
    table, model, dice = Buckets(2 << 20, UNIT, BURST), Model(), random.Random(7)
    now, more, passed, shared = 10**12, 0, 0, 0
    for n in range(1_000_000):
        now += 30
        for key in (n, dice.randrange(1000) if n % 4 == 0 else None):
            if key is None:
                continue
            ok, was_shared = table.take(tag(key), now)
            shared += was_shared
            if ok:
                passed += 1
                more += not model.due(key, now)
                model.took(key, now)
    assert more == 0
    assert passed > 1_000_000
    assert shared < 30_000  # a key rests after 1 ms, in which 33,000 come: nearly all find room


def test_with_room_for_all_each_gets_exactly_its_due():
    table, model, dice = Buckets(4 << 20, UNIT, BURST), Model(), random.Random(3)
    now = 10**12
    for _ in range(200_000):
        now += dice.randrange(20_000)
        key = dice.randrange(500)
        due = model.due(key, now)
        assert table.take(tag(key), now) == (due, False)
        if due:
            model.took(key, now)


def test_costs():
    table = Buckets(4096, UNIT, 10)
    assert [table.take(1, 10**12, cost)[0] for cost in (4, 4, 4, 2, 1)] == [True, True, False, True, False]
    assert table.take(1, 10**12 + 3 * UNIT, 3)[0]


@pytest.mark.parametrize("bad", [(0, 1, 1), (127, 1, 1), (4096, 0, 1), (4096, 1, 0)])
def test_no_table_without_room_or_rate(bad):
    with pytest.raises(ValueError, match="empty table"):
        Buckets(*bad)


def test_counters_and_zeroing():
    shm = Shm.create(2, heap=1 << 20)
    assert _limits.totals(shm, 5) == dict.fromkeys(_limits.COUNTERS, 0)
    with pytest.raises(IndexError):
        _limits.totals(shm, 1 << 20)
    _limits.zero(shm, shm.heap, 8192)
    for offset, size in ((0, 64), (shm.heap, 2 << 20), (shm.size, 1)):
        with pytest.raises(ValueError, match="nothing"):
            _limits.zero(shm, offset, size)
