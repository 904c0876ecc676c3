"""Keys of TLS session tickets. All workers have the same, so that a client may come back to any of them.

    current ──seals and opens──   next ──opens only, until it is current──   two older ones ──open only──

The next key is known to every worker an hour before the first seals with it: no ticket meets a worker that does not
know its key. Old keys are gone two hours after their last use, and with them all that could open what they sealed.
Never on disk.
"""

import os
from collections.abc import Callable

from fastgw._tls import TICKET_KEY

TURN_S = 3600.0  # as long as a ticket lives (io/tls_server.c)
OLDER = 2


class TicketKeys:
    """The keys now; `random` makes new ones."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._keys = [random(TICKET_KEY), random(TICKET_KEY)]

    def turn(self) -> None:
        """Seal with the next key from now on."""
        current, following, *older = self._keys
        self._keys = [following, self._random(TICKET_KEY), current, *older][: 2 + OLDER]

    def __bytes__(self) -> bytes:
        """All in a row: the current, the next, the older."""
        return b"".join(self._keys)
