"""What a look-up of a route may cost, counted in instructions, which a busy machine does not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.micro import bench_route
from benchmarks.micro.routes_10k import config, requests
from tests.programs import program

pytestmark = pytest.mark.timeout(600)  # valgrind on a crowded machine


def test_a_look_up_stays_within_its_bounds(tmp_path: Path) -> None:
    program("valgrind")
    built = bench_route.build(tmp_path)
    few, many = (bench_route.count(built, tmp_path, routes)["instructions"] for routes in (100, 10_000))
    assert 100 < many <= bench_route.INSTRUCTIONS_MAX
    assert many / few <= bench_route.RATIO_MAX


def test_the_fixed_file_is_fixed_and_mixed() -> None:
    made = config(10_000)
    assert made == config(10_000) and list(requests(made)) == list(requests(made))
    matches = [route.match for route in made.routes.values()]
    kinds = {
        kind: sum(getattr(match, kind) is not None for match in matches) for kind in ("exact", "prefix", "pattern")
    }
    assert all(count >= 2_900 for count in kinds.values()) and 50 < 10_000 - sum(kinds.values()) < 500
    wild = sum(any(host.startswith("*.") for host in match.hosts) for match in matches)
    assert 1_300 < wild < 1_700 and 1_300 < sum(not match.hosts for match in matches) < 1_700
    assert sum(bool(match.methods) for match in matches) > 3_000
    assert sum(bool(match.headers) for match in matches) > 250 and sum(bool(match.query) for match in matches) > 150
