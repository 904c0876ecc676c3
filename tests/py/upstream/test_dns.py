"""Names: TTLs respected, last good kept, failures told; over a real resolver against a server of our own."""

import asyncio

import pytest

from fastgw.upstream.discovery.dns import (
    RETRY_CEILING,
    TTL_MAX,
    Answer,
    DnsResolver,
    ResolveError,
    WatchedName,
)
from tests.e2e.dns_server import NXDOMAIN, SERVFAIL, Server, Zone


async def test_addresses_of_both_families_with_the_least_ttl() -> None:
    async with Server(Zone({"users.test": ["192.0.2.2", "192.0.2.1", "2001:db8::1"]}, ttl=7)) as server:
        resolver = DnsResolver([server.address])
        answer = await resolver.resolve("users.test")
        await resolver.close()
    assert answer == Answer(("192.0.2.1", "192.0.2.2", "2001:db8::1"), 7.0)


@pytest.mark.parametrize("code", [NXDOMAIN, SERVFAIL])
async def test_failures_are_errors_with_a_reason(code: int) -> None:
    async with Server(Zone({"users.test": code})) as server:
        resolver = DnsResolver([server.address])
        with pytest.raises(ResolveError) as e:
            await resolver.resolve("users.test")
        await resolver.close()
    assert str(e.value)


async def test_a_change_is_seen_after_the_ttl() -> None:
    zone = Zone({"users.test": ["192.0.2.1"]}, ttl=1)
    changes: asyncio.Queue[tuple[str, ...] | None] = asyncio.Queue()
    async with Server(zone) as server:
        resolver = DnsResolver([server.address])
        watched = WatchedName("users.test", resolver, lambda w: changes.put_nowait(w.addresses), lambda w, why: None)
        assert await asyncio.wait_for(changes.get(), 20) == ("192.0.2.1",)
        zone.names["users.test"] = ["192.0.2.9"]
        assert await asyncio.wait_for(changes.get(), 20) == ("192.0.2.9",)
        watched.cancel()
        await resolver.close()


class Script:
    """A resolver that says what a test wrote, and a clock that only notes how long somebody wants to sleep."""

    def __init__(self, *answers: Answer | str) -> None:
        self.answers, self.waits = list(answers), list[float]()
        self.over = asyncio.Event()

    async def resolve(self, name: str) -> Answer:
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise ResolveError(answer)
        return answer

    async def close(self) -> None:
        return

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if not self.answers:
            self.over.set()
            await asyncio.Event().wait()


async def play(*answers: Answer | str) -> tuple[WatchedName, list[float], list[object]]:
    """The name after all answers, the waits between them, and what was told."""
    script, told = Script(*answers), list[object]()
    changed, failed = (lambda w: told.append(w.addresses)), (lambda w, why: told.append(why))
    watched = WatchedName("x", script, changed, failed, script.sleep)
    await asyncio.wait_for(script.over.wait(), 10)
    watched.cancel()
    return watched, script.waits, told


async def test_ttls_are_kept_within_bounds() -> None:
    _, waits, _ = await play(*(Answer(("192.0.2.1",), ttl) for ttl in (0, 0.5, 30, 10 * TTL_MAX)))
    assert waits == [1, 1, 30, TTL_MAX]


async def test_last_good_addresses_are_kept_and_failures_are_told() -> None:
    good = Answer(("192.0.2.1",), 30)
    watched, waits, told = await play(good, "gone", "gone", good, "gone")
    assert watched.addresses == ("192.0.2.1",)
    assert watched.error == "gone"
    assert told == [("192.0.2.1",), "gone", "gone", "gone"], "the same addresses again are no change"
    assert waits == [30, 1, 2, 30, 1], "a good answer ends the doubling"


async def test_retries_double_up_to_a_ceiling() -> None:
    watched, waits, _ = await play(*["timeout"] * 8)
    assert waits == [1, 2, 4, 8, 16, RETRY_CEILING, RETRY_CEILING, RETRY_CEILING]
    assert watched.addresses is None
    assert watched.answered.is_set(), "a failure is an answer to whoever waits before a start"
