"""Keys of session tickets: who knows which, and for how long."""

import itertools

from fastgw._tls import TICKET_KEY, TICKET_KEYS
from fastgw.control.tickets import TicketKeys


def keys(made: TicketKeys) -> list[int]:
    data = bytes(made)
    assert len(data) % TICKET_KEY == 0 and len(data) <= TICKET_KEY * TICKET_KEYS
    return [data[at] for at in range(0, len(data), TICKET_KEY)]


def test_a_key_is_known_before_it_seals_and_opens_for_two_turns_after() -> None:
    number = itertools.count(1)
    made = TicketKeys(lambda size: bytes([next(number)]) * size)
    assert keys(made) == [1, 2]
    seen = []
    for _ in range(4):
        before = keys(made)
        made.turn()
        now = keys(made)
        assert now[0] == before[1], "the next one seals"
        assert now[0] in before and before[0] in now
        seen.append(now)
    assert seen[-1] == [5, 6, 4, 3]


def test_keys_are_random() -> None:
    assert len({*keys(TicketKeys()), *keys(TicketKeys()), *keys(TicketKeys())}) > 1
    assert bytes(TicketKeys()) != bytes(TicketKeys())
