"""A fixture that makes gateways and closes them: `pytest_plugins = ["fastgw.testing.pytest_plugin"]` in a conftest.py.

Not loaded by itself. At the end of a test that passed a gateway that still holds something fails it (LeftOver).
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from .gateway import Gateway

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture
def make_gateway(request: pytest.FixtureRequest) -> Iterator[Callable[..., Gateway]]:
    """`make_gateway(config, ...)`, as often as needed: see fastgw.testing.Gateway."""
    made: list[Gateway] = []

    def make(config: Any, **options: Any) -> Gateway:
        made.append(Gateway(config, **options))
        return made[-1]

    yield make
    for gateway in made:
        if request.node.stash.get(_FAILED, True):
            gateway.abandon()
        else:
            gateway.close()
