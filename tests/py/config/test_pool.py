"""Pools in a configuration: times that do not fit together."""

import pytest

from fastgw.config.load import loads

TEXT = """listeners: {web: {bind: "127.0.0.1:0"}}
upstreams: {u: {endpoints: ["127.0.0.1:1"], pool: {%s}}}
routes: {r: {to: u}}
"""


@pytest.mark.parametrize(
    ("pool", "warned"),
    [
        ("stall_timeout: 2s", True),
        ("stall_timeout: 1s", True),
        ("stall_timeout: 2s, queue_timeout: 2001ms", False),
        ("stall_timeout: 999ms", False),
        ("stall_timeout: off", False),
        ("queue_timeout: 100ms", False),  # the default is nobody's mistake
    ],
)
def test_whoever_waits_must_outlast_a_stall(pool: str, warned: bool) -> None:
    found = [(each.code, each.path, each.line) for each in loads(TEXT % pool).warnings]
    assert found == ([("FGW1903", "upstreams.u.pool.stall_timeout", 2)] if warned else [])
