"""Regexes of routes: compiled by the engine, so that what is checked here is what will run."""

from functools import lru_cache

from fastgw import _regex

from .problem import Fault

PATTERN_MAX, PATTERNS_MAX = _regex.PATTERN_MAX, _regex.PATTERNS_MAX


@lru_cache(maxsize=2 * PATTERNS_MAX)
def parse_regex(text: str) -> _regex.Regex:
    """The compiled pattern. Raises Fault (FGW1215)."""
    if not text or len(text.encode("utf-8", "replace")) > PATTERN_MAX:
        what = "the regex is too long" if text else "the regex is empty"
        raise Fault("FGW1215", what, expected=f"a regex of at most {PATTERN_MAX} bytes")
    try:
        return _regex.Regex(text)
    except _regex.BadRegex as bad:
        raise Fault("FGW1215", f"the regex does not compile: {bad}, at offset {bad.offset}",
                    expected="a regex of PCRE2", offset=min(bad.offset, len(text) - 1)) from bad  # fmt: skip
