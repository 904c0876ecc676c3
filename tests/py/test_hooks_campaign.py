"""The campaign of benchmarks/load/hooks.py, in short: `make soak-hooks` is the whole of it."""

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.load import hooks


def test_nothing_is_lost_and_nothing_is_left():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(hooks.run(20_000, 0.05))
    assert not found["wrong"]
    assert found["reloads"] > 3 and found["left"] == 400
    assert found["counts"]["timed_out"] == 400 and found["counts"]["failed"] > 4000
