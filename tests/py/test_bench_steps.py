"""What others' steps cost a route that has none: nothing. Counted in instructions, which a busy machine does not
change."""

from __future__ import annotations

import pytest

from benchmarks.micro import bench_steps
from tests.programs import program

TIMES = 50
pytestmark = pytest.mark.timeout(600)  # valgrind on a crowded machine


@pytest.fixture(autouse=True)
def valgrind() -> None:
    program("valgrind")


def test_a_route_without_steps_costs_the_same_whatever_others_have() -> None:
    alone, beside = (bench_steps.instructions(case, TIMES) for case in (bench_steps.ALONE, bench_steps.BESIDE))
    assert alone > 5000
    assert abs(beside - alone) <= 30  # how far the memory sides had grown when counting began; a step is hundreds


def test_steps_are_counted_where_there_are_some() -> None:
    alone, limited = (bench_steps.instructions(case, TIMES) for case in (bench_steps.ALONE, "rate_limit by client_ip"))
    assert 200 < limited - alone < 3000
