"""Regexes of routes: compiled by the engine, so that what is checked here is what will run."""

from functools import lru_cache
from typing import Any

from .problem import Fault

PATTERN_MAX, PATTERNS_MAX = 1024, 256  # the engine's own; tests hold them to it


@lru_cache(maxsize=2 * PATTERNS_MAX)
def parse_regex(text: str) -> Any:
    """The compiled pattern, a `fastgw._regex.Regex`. Raises Fault (FGW1218)."""
    if not text or len(text.encode("utf-8", "replace")) > PATTERN_MAX:
        what = "the regex is too long" if text else "the regex is empty"
        raise Fault("FGW1218", what, expected=f"a regex of at most {PATTERN_MAX} bytes")
    from fastgw import _regex  # only documents with a regex need the engine to be checked

    try:
        return _regex.Regex(text)
    except _regex.BadRegex as bad:
        raise Fault("FGW1218", f"the regex does not compile: {bad}, at offset {bad.offset}",
                    expected="a regex of PCRE2", offset=min(bad.offset, len(text) - 1)) from bad  # fmt: skip
