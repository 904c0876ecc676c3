"""Names to addresses, off the hot path: c-ares in the supervisor, every name asked again when its TTL is over.

A name that cannot be resolved (gone, SERVFAIL, no answer) keeps its last good addresses for as long as it takes; it is
asked again after RETRY_FIRST seconds, doubling to RETRY_CEILING. Nothing here blocks the loop. /etc/hosts is honoured.
FASTGW_NAMESERVERS ("127.0.0.1:5300,[::1]:53") is used instead of those of resolv.conf where it is set.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import aiodns

TTL_MIN, TTL_MAX = 1.0, 86_400.0
RETRY_FIRST, RETRY_CEILING = 1.0, 30.0
ANSWER_TIMEOUT = 5.0


class ResolveError(Exception):
    """No addresses now; the text says why."""


class Answer(NamedTuple):
    """Addresses as text, sorted, each once; ttl in seconds."""

    addresses: tuple[str, ...]
    ttl: float


class Resolver(Protocol):
    async def resolve(self, name: str) -> Answer:
        """ResolveError: no answer, or one without addresses."""

    async def close(self) -> None: ...


class DnsResolver:
    """aiodns. One a process; belongs to the running loop."""

    def __init__(self, nameservers: Sequence[str] | None = None) -> None:
        configured = [server for server in os.environ.get("FASTGW_NAMESERVERS", "").split(",") if server]
        self._resolver = aiodns.DNSResolver(nameservers=nameservers or configured or None, timeout=1.5, tries=2)

    async def resolve(self, name: str) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                found = await self._resolver.getaddrinfo(name)
        except aiodns.error.DNSError as e:
            raise ResolveError(str(e.args[1] if len(e.args) > 1 else e)) from None
        except TimeoutError:
            raise ResolveError(f"no answer within {ANSWER_TIMEOUT:g} s") from None
        if not found.nodes:
            raise ResolveError("no addresses")
        addresses = {node.addr[0].decode() if isinstance(node.addr[0], bytes) else node.addr[0] for node in found.nodes}
        return Answer(tuple(sorted(addresses)), float(min(node.ttl for node in found.nodes)))

    async def close(self) -> None:
        await self._resolver.close()


class WatchedName:
    """One name, kept fresh until closed. `addresses` is None until the first good answer.

    on_change(self) is called after the addresses changed; on_fail(self, reason) after each failure."""

    def __init__(
        self,
        name: str,
        resolver: Resolver,
        on_change: Callable[["WatchedName"], None],
        on_fail: Callable[["WatchedName", str], None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name, self.error = name, ""
        self.addresses: tuple[str, ...] | None = None
        self._resolver, self._on_change, self._on_fail, self._sleep = resolver, on_change, on_fail, sleep
        self.answered = asyncio.Event()  # the first try has ended, well or badly
        self._task = asyncio.get_running_loop().create_task(self._watch(), name=f"dns {name}")

    async def _watch(self) -> None:
        retry = RETRY_FIRST
        while True:
            try:
                answer = await self._resolver.resolve(self.name)
            except ResolveError as e:
                self.error = str(e)
                self._on_fail(self, self.error)
                wait, retry = retry, min(retry * 2, RETRY_CEILING)
            else:
                self.error, retry = "", RETRY_FIRST
                wait = min(max(answer.ttl, TTL_MIN), TTL_MAX)
                if answer.addresses != self.addresses:
                    self.addresses = answer.addresses
                    self._on_change(self)
            self.answered.set()
            await self._sleep(wait)

    def cancel(self) -> None:
        """Stop watching."""
        self._task.cancel()
