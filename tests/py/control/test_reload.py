"""What several wishes to reload become."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from fastgw.control.reload import Reloader, ReloadError


def reloader(asked: list[bool]) -> Reloader:
    """One whose builds are all refused; `asked`: which of them were of the present document."""

    async def build(generation: int, renew: bool) -> Any:
        asked.append(renew)
        raise ReloadError(["no"])

    async def stage(snapshot: Any) -> None: ...

    silent: Any = SimpleNamespace(error=lambda *a, **k: None, current=None)
    return Reloader(silent, silent, build, stage, lambda snapshot: None, lambda: None)


@pytest.mark.parametrize(
    ("wishes", "renew"),
    [([True], True), ([True, True], True), ([False], False), ([True, False], False), ([False, True], False)],
    ids=str,
)
async def test_a_reload_of_the_document_is_never_lost_to_a_renewal(wishes: list[bool], renew: bool) -> None:
    asked: list[bool] = []
    made = reloader(asked)
    for each in wishes:
        made.request(renew=each)
    async with asyncio.timeout(20):
        while made.refused == 0:
            await asyncio.sleep(0)
    await made.stop()
    assert asked == [renew]
