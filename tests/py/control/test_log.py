"""The error log's lines, and that a log nobody reads holds nobody up."""

import json
import os

import pytest

from fastgw.control.log import ErrorLog, line_json, line_text, stamp, write_now


def test_stamp_is_rfc_3339_with_milliseconds() -> None:
    assert stamp(0.0) == "1970-01-01T00:00:00.000Z"
    assert stamp(1_700_000_000.123) == "2023-11-14T22:13:20.123Z"


def test_json_line() -> None:
    line = line_json(0.0, "info", "worker ended", {"pid": 7, "how": 'killed "hard"\n'})
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert json.loads(line) == {"time": stamp(0.0), "level": "info", "event": "worker ended", "pid": 7,
                                "how": 'killed "hard"\n'}  # fmt: skip


def test_text_line_cannot_be_forged() -> None:
    line = line_text(0.0, "info", "x", {"a": "plain", "b": "two words", "c": "evil\nline", "d": ["1", "2"], "e": ""})
    assert line == b'1970-01-01T00:00:00.000Z info    x a=plain b="two words" c="evil\\nline" d=["1","2"] e=""\n'


def test_levels_below_the_least_are_not_written() -> None:
    lines: list[bytes] = []
    log = ErrorLog()
    log.configure("some file", "warning", lines.append)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    log.write("no such level", "e")
    assert [json.loads(line)["event"] for line in lines] == ["c", "d", "e"]


def test_a_full_pipe_loses_lines_and_does_not_block() -> None:
    read, write = os.pipe()
    line = b"x" * 1000 + b"\n"
    written = 0
    while write_now(write, line):
        written += 1
    assert written > 10
    assert len(os.read(read, 1_000_000)) == written * len(line)
    assert write_now(write, line)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("path", ["/dev/full"])
def test_a_full_disk_loses_lines(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    assert not write_now(fd, b"line\n")
    os.close(fd)
