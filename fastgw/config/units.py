"""Durations, sizes and rates: their text to integers, and back for messages and the reference."""

import re
from fractions import Fraction

from .problem import Fault

DURATION = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
SIZE = {
    "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
EXPECTED = {
    "duration": "a duration such as 250ms, 30s, 5m, 1h or 1m30s",
    "size": "a size such as 500B, 16KiB or 1MB",
    "rate": "bytes a second, such as 500B/s or 1KiB/s",
}
PATTERNS = {
    "duration": r"^0$|^([0-9]{1,12}(\.[0-9]{1,3})?(ms|s|m|h|d))+$",
    "size": r"^[0-9]{1,15}(\.[0-9]{1,3})?([KMGT]iB|[kKMGT]B|B)?$",
    "rate": r"^[0-9]{1,15}(\.[0-9]{1,3})?([KMGT]iB|[kKMGT]B|B)?(/s)?$",
}
"""Regular expressions of the documents' spelling, good in Python and in JSON Schema."""

_LONG = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hour": "h", "hours": "h", "day": "d", "days": "d", "k": "KiB", "m": "MiB", "g": "GiB",
    "kib": "KiB", "mib": "MiB", "gib": "GiB", "kb": "kB", "mb": "MB", "gb": "GB", "b": "B",
}  # fmt: skip
_COMPILED = {unit: re.compile(pattern, re.ASCII) for unit, pattern in PATTERNS.items()}
_PIECE = re.compile(r"([0-9.]+)([A-Za-z]*)")


def parse(unit: str, text: str) -> int:
    """`text` in milliseconds, bytes or bytes a second. Raises Fault (FGW1106)."""
    if not _COMPILED[unit].fullmatch(text):
        raise Fault("FGW1106", "", expected=EXPECTED[unit], hint=_hint(unit, text))
    table = DURATION if unit == "duration" else SIZE
    total = sum(Fraction(number) * table.get(word, 1) for number, word in _PIECE.findall(text.removesuffix("/s")))
    if total.denominator != 1:
        raise Fault("FGW1106", "", expected=EXPECTED[unit], hint="not a whole number of the smallest unit")
    return int(total)


def _hint(unit: str, text: str) -> str:
    """What was probably meant, if that is clear."""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        return f"a unit is missing: {text}s?" if unit == "duration" else ""
    squeezed = text.replace(" ", "").replace("_", "")
    words = DURATION if unit == "duration" else SIZE
    if piece := re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]+)?)([A-Za-z]+)(/s)?", squeezed):
        word = next((w for w in (piece[2], piece[2].lower(), _LONG.get(piece[2].lower())) if w in words), None)
        if word:
            return f"did you mean {piece[1]}{word}{piece[3] or ''}?"
    return ""


def render(unit: str | None, value: int) -> str:
    """In the largest unit that divides it: 90000 -> "90s", 16384 -> "16KiB", 500 -> "500B/s"."""
    if unit == "duration":
        word = next(w for w in reversed(DURATION) if value % DURATION[w] == 0)
        return f"{value // DURATION[word]}{word}" if value else "0"
    if unit in ("size", "rate"):
        word = next((w for w in ("TiB", "GiB", "MiB", "KiB") if value and value % SIZE[w] == 0), "B")
        return f"{value // SIZE[word]}{word}" + ("/s" if unit == "rate" else "")
    return f"{value:,}" if abs(value) >= 10_000 else str(value)
