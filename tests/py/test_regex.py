"""One pattern through the engine."""

from __future__ import annotations

import pytest

from fastgw import _regex
from fastgw._regex import BadRegex, Regex
from fastgw.config import regexes


def test_it_takes_whole_paths_and_names_groups() -> None:
    regex = Regex("/(?<year>\\d{4})/(?<slug>[a-z-]+)(?<page>/\\d+)?")
    assert regex.names == ("year", "slug", "page") and regex.first == "/"
    assert regex.match("/2024/a-b") == ("2024", "a-b", "") and regex.match("/2024/a/7") == ("2024", "a", "/7")
    assert regex.match("/2024/a/") is None and regex.match("x/2024/a") is None


def test_offsets_are_in_characters() -> None:
    with pytest.raises(BadRegex, match="missing terminating") as caught:
        Regex("/éé[a")
    assert caught.value.offset == 5


def test_the_bounds_are_those_that_check_tells() -> None:
    assert (_regex.PATTERN_MAX, _regex.PATTERNS_MAX) == (regexes.PATTERN_MAX, regexes.PATTERNS_MAX)


def test_what_would_never_end_does() -> None:
    assert Regex("/(a+)+$").match("/" + "a" * 8000 + "b") is None
