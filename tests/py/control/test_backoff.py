"""When a crashed worker starts again, on a clock of our own."""

from fastgw.control.backoff import Backoff


def delays(times: list[float]) -> list[float]:
    backoff = Backoff()
    return [backoff.crashed(at) for at in times]


def test_crashes_now_and_then_are_answered_at_once() -> None:
    assert delays([0, 20, 40, 60, 80, 100, 120]) == [0] * 7


def test_the_fifth_crash_in_ten_seconds_waits() -> None:
    assert delays([0, 2, 4, 6, 8]) == [0, 0, 0, 0, 0.5]


def test_five_crashes_in_more_than_ten_seconds_do_not() -> None:
    assert delays([0, 3, 6, 9, 12]) == [0] * 5


def test_further_crashes_double_up_to_a_ceiling() -> None:
    at, found = 0.0, []
    backoff = Backoff()
    for _ in range(13):
        found.append(backoff.crashed(at))
        at += found[-1] + 1
    assert found[4:] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_quiet_window_forgets() -> None:
    backoff = Backoff()
    for at in range(5):
        backoff.crashed(at)
    assert backoff.crashed(4 + 10.6) == 0


def test_the_wait_itself_is_not_a_quiet_time() -> None:
    backoff = Backoff()
    at = 0.0
    for _ in range(11):
        at += backoff.crashed(at)
    # It waited 30 s, started, and crashed at once: that is no recovery.
    assert backoff.crashed(at) == 30


def test_reset_forgets_at_once() -> None:
    backoff = Backoff()
    for at in range(6):
        backoff.crashed(at)
    backoff.reset()
    assert backoff.crashed(6) == 0
