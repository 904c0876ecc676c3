"""When a crashed worker may be started again.

A crash now and then is answered at once. More than `burst` crashes within `window` seconds mean that starting again
does not help: from there on each start waits, doubling from `first` up to `ceiling`, until a whole window has passed
quietly. Thread any; the clock is the caller's (monotonic seconds).
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """One slot's memory of its crashes."""

    burst: int = 5
    window: float = 10.0
    first: float = 0.5
    ceiling: float = 30.0
    _crashes: deque[float] = field(default_factory=deque)
    _delay: float = 0.0

    def crashed(self, now: float) -> float:
        """Note a crash at `now`. Seconds to wait before the next start; 0: at once."""
        # While starts are delayed, a quiet time is one that is longer than the delay itself.
        quiet = self.window + self._delay
        if self._crashes and now - self._crashes[-1] > quiet:
            self.reset()
        self._crashes.append(now)
        if len(self._crashes) > self.burst:
            self._crashes.popleft()
        if self._delay:
            self._delay = min(self._delay * 2, self.ceiling)
        elif len(self._crashes) == self.burst and now - self._crashes[0] <= self.window:
            self._delay = self.first
        return self._delay

    def reset(self) -> None:
        """Forget: a new configuration may have healed what crashed."""
        self._crashes.clear()
        self._delay = 0.0
