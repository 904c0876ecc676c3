"""The pages of the admin surface.

    /livez              200 while the supervisor's loop turns
    /readyz             200 while requests are served: a configuration is loaded, a worker is live, no drain has begun
    /healthz            as /readyz; ?verbose names every check
    /metrics            Prometheus text
    /config             JSON: the configuration that is served, with all its defaults; references stay references
    /status             JSON: processes, generation, listeners with their actual addresses, upstreams, reloads
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson

from .http import Answer

if TYPE_CHECKING:
    from fastgw.control.gateway import Gateway

JSON = "application/json"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Sources(NamedTuple):
    """Where the pages get what they show. `checks`: name → "" if fine, else what is wrong."""

    checks: Callable[[], dict[str, str]]
    metrics: Callable[[], bytes]
    status: Callable[[], Awaitable[dict[str, object]]]
    config: Callable[[], bytes]


class Pages:
    """Paths to answers."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._pages: dict[str, Callable[[str], Awaitable[Answer]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/healthz": self._readyz,
            "/metrics": self._metrics,
            "/status": self._status,
            "/config": self._config,
        }

    async def __call__(self, path: str, query: str) -> Answer:
        page = self._pages.get(path)
        if page is None:
            return Answer(404, ("there are: " + " ".join(self._pages) + "\n").encode())
        try:
            return await page(query)
        except Exception as e:  # a page that fails is an answer, not the end of the supervisor
            return Answer(500, f"{type(e).__name__}: {e}\n".encode())

    async def _livez(self, query: str) -> Answer:
        return Answer(200, b"ok\n")

    async def _readyz(self, query: str) -> Answer:
        checks = self._sources.checks()
        bad = [name for name, wrong in checks.items() if wrong]
        lines = [f"[{'-' if wrong else '+'}] {name}{': ' + wrong if wrong else ''}" for name, wrong in checks.items()]
        if "verbose" not in query.split("&"):
            lines = [line for line in lines if line.startswith("[-]")]
        return Answer(503 if bad else 200, "\n".join([*lines, "not ready" if bad else "ok", ""]).encode())

    async def _metrics(self, query: str) -> Answer:
        return Answer(200, self._sources.metrics(), PROMETHEUS)

    async def _config(self, query: str) -> Answer:
        return Answer(200, msgspec.json.format(self._sources.config(), indent=2) + b"\n", JSON)

    async def _status(self, query: str) -> Answer:
        return Answer(200, orjson.dumps(await self._sources.status(), option=orjson.OPT_INDENT_2) + b"\n", JSON)


def gateway_pages(gateway: "Gateway") -> Pages:
    """The pages of one gateway."""
    return Pages(Sources(gateway.checks, gateway.metrics, gateway.status, gateway.effective))
