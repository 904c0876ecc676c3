"""What went over all connections of a test, for whoever has to understand why it failed."""

from collections import deque

KEPT, SHOWN = 400, 2000


class Transcript:
    """The last events, each with its time. `>>`: the peer sends; `<<`: the engine sends to the peer; `--`: neither."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, str, str, bytes | str]] = deque(maxlen=KEPT)

    def note(self, ms: int, who: str, direction: str, what: bytes | str) -> None:
        self._events.append((ms, who, direction, what[:SHOWN]))

    def __str__(self) -> str:
        width = max((len(who) for _, who, _, _ in self._events), default=0)
        lines = []
        for ms, who, direction, what in self._events:
            start = f"{ms / 1000:9.3f}  {who:<{width}} {direction} "
            lines.append(start + ("\n" + " " * len(start)).join(show(what)))
        return "\n".join(lines)


def show(what: bytes | str) -> list[str]:
    """Text as lines, line ends and odd bytes spelled out."""
    if isinstance(what, str):
        return [what]
    parts = what.split(b"\n")
    ended = [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    return [repr(part)[2:-1] for part in ended] or [""]
