"""Files that are looked at: told when they have changed and have settled, once for each change."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from fastgw.config.expand import signature
from fastgw.control.watch import FileWatch, signatures

LOOK = 0.01


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():
            await asyncio.sleep(LOOK)


async def test_a_change_is_told_once_and_so_is_the_next(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_text("a")
    told: list[list[str]] = []
    watch = FileWatch(told.append)
    watch.follow({str(path): signature(path) for path in (one, two)}, LOOK)
    await asyncio.sleep(5 * LOOK)
    assert told == []
    two.write_text("longer")
    await until(lambda: told != [])
    one.unlink()
    await until(lambda: len(told) == 2)
    await asyncio.sleep(10 * LOOK)
    assert told == [[str(two)], [str(one)]]
    watch.stop()


async def test_what_changed_between_reading_and_following_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    read = signature(path)
    path.write_text("renewed")
    told: list[list[str]] = []
    watch = FileWatch(told.append)
    watch.follow({str(path): read}, LOOK)
    await until(lambda: told == [[str(path)]])
    watch.stop()


async def test_files_that_go_on_changing_are_not_told_yet(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    told: list[list[str]] = []
    looks = 0

    watch = FileWatch(told.append)
    watch.follow({str(path): signature(path)}, LOOK)
    real = os.stat
    try:

        def stat(*args: object, **more: object) -> os.stat_result:
            nonlocal looks
            found = real(*args, **more)  # type: ignore[arg-type]
            if args == (str(path),):
                looks += 1
                with open(path, "a") as file:
                    file.write("x")
            return found

        os.stat = stat  # type: ignore[assignment]
        await until(lambda: looks > 5)
        assert told == []
    finally:
        os.stat = real
    await until(lambda: len(told) == 1)
    watch.stop()


async def test_off_and_stopped_look_at_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    files = {str(path): signature(path)}
    told: list[list[str]] = []
    watch = FileWatch(told.append)
    watch.follow(files, 0)
    path.write_text("longer")
    await asyncio.sleep(5 * LOOK)
    watch.follow(files, LOOK)
    watch.stop()
    await asyncio.sleep(5 * LOOK)
    assert told == []


def test_a_file_that_is_gone_has_no_signature(tmp_path: Path) -> None:
    assert signatures({str(tmp_path / "none"): (0, 0, 0)}) == {str(tmp_path / "none"): None}
