"""One gateway for one test: an engine (engine.py), its peers, and the clock.

Owner: the test, one thread. `close` (the end of a `with` block) gives everything back.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from fastgw.config.units import parse as parse_unit

from .engine import Engine, Staged
from .errors import LeftOver, NothingCame
from .loop import TestLoop
from .messages import HeadersLike, Response
from .peers import Client, Peer, Upstream
from .play import Play
from .transcript import Transcript

START = datetime(2026, 1, 1, tzinfo=UTC)
OWED = ("conns", "exchanges", "parked_hooks", "tries", "timers", "buf_nodes", "h1_servers", "h1_clients")
"""What the engine may hold none of when all connections are closed."""
_QUIET = 3
DRAIN_MS = 1
START_S, STOP_S = 15.0, 6.0  # of the gateway's time, for plugins
T = TypeVar("T")


class Gateway:
    """A running gateway. `config`: a document (YAML, indented as you like), or the path of a file.

    env, base   what `${NAME}` and `${file:…}` in the document mean, as for fastgw.config.load
    now         the time of day at which its clock stands; it moves only by `advance`
    loop        an asyncio loop that serves it as well; `async with` takes the running one

    ConfigErrors with every mistake. Use it by `with`: it is checked at the end that the engine holds nothing any more.
    """

    def __init__(
        self,
        config: str | Path,
        *,
        env: Mapping[str, str] | None = None,
        base: str | Path = ".",
        now: datetime = START,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.transcript = Transcript()
        self._engine: Engine | None = Engine(now, env, base)
        self.net = self._engine.net
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own: TestLoop | None = None
        self._pending: Staged | None = None
        self._upstreams: dict[str, Upstream] = {}
        self._peers: list[Peer] = []
        self._clients = 0
        self._settling = self._serving = False
        self._log: list[Any] = []
        self._errors: list[str] = []
        try:
            if loop is not None:
                self._attach(loop)
            self._use(self._engine.stage(config))
        except BaseException:
            self._free()
            raise

    # -- configuration
    def reload(self, config: str | Path) -> None:
        """Another configuration in place of this one, as HUP does it: connections stay. ConfigErrors: nothing has changed."""  # noqa: E501
        self._use(self._served().stage(config))
        self.settle()

    async def reloaded(self, config: str | Path) -> None:
        """As `reload`, where a loop is running and the configuration has plugins."""
        await self._start(self._served().stage(config))

    def _use(self, staged: Staged) -> None:
        engine = self._served()
        if not staged.plugins and engine.plugins is None:
            engine.commit(staged)
        elif self._loop is None and not _running():
            self.run(engine.start(staged), within=START_S)
        elif self._pending is None and not engine.listeners:
            self._pending = staged  # for __aenter__
        else:
            raise RuntimeError("a loop is running, and plugins have to be waited for: `await gateway.reloaded(...)`")

    async def _start(self, staged: Staged) -> None:
        engine = self._served()
        if staged.plugins or engine.plugins is not None:
            await engine.start(staged)
        else:
            engine.commit(staged)
        await self.settled()

    def endpoints(self, upstream: str, endpoints: Iterable[str] | Mapping[str, int], down: Iterable[str] = ()) -> None:
        """What discovery and health checks would say of an upstream: its endpoints by name (with weights), and those of
        them known to be down. KeyError: no such upstream."""
        weights = endpoints if isinstance(endpoints, Mapping) else dict.fromkeys(endpoints, 1)
        self._served().publish(upstream, weights, down)

    # -- peers
    def client(self, listener: str | None = None, *, address: str = "192.0.2.1", port: int = 40_000) -> Client:
        """A client's connection to a listener, by default the first. KeyError: none such. NothingCame: refused."""
        self.settle()
        ids = self._served().listeners
        name = next(iter(ids)) if listener is None else listener
        pipe = self.net.connect(ids[name], address, port)
        self._clients += 1
        if pipe is None:
            raise NothingCame(f"listener {name} refuses connections\n{self.tell()}")
        made = Client(self, pipe, f"client#{self._clients}")
        self.watch(made)
        return made

    def upstream(self, name: str) -> Upstream:
        """KeyError: no such upstream."""
        if name not in self._served().upstreams:
            raise KeyError(name)
        return self._upstreams.setdefault(name, Upstream(self, name))

    def watch(self, peer: Peer) -> None:
        """Peers announce themselves here."""
        self._peers.append(peer)

    def get(self, path: str, headers: HeadersLike = (), **client: Any) -> Response:
        """The response that a client of its own gets; `client`: as for `client`."""
        return self.request("GET", path, headers, **client)

    def request(
        self, method: str, path: str, headers: HeadersLike = (), body: bytes | str | None = None, **client: Any
    ) -> Response:
        """The response that a client of its own gets. NothingCame."""
        made = self.client(**client)
        response = made.request(method, path, headers, body)
        made.close()
        return response

    def play(self, *steps: Any) -> None:
        """Hold a conversation (fastgw.testing.play). PlayError: it went otherwise."""
        Play(self).run(steps)

    # -- events and time
    def settle(self) -> None:
        """Serve until nothing is left to do. Whatever a peer does calls it."""
        if self._serving:
            return  # a hook that plays: the engine comes to it when the hook is over
        nested, self._settling = self._settling, True
        try:
            self._rest(nested)
        finally:
            self._settling = nested

    def _rest(self, nested: bool) -> None:
        """`nested`: called by a handler or a coroutine, which are not begun again before they have ended."""
        while True:
            self._serve(self.net.run)
            pulled = [peer.pull() for peer in self._peers]
            self._peers = [peer for peer in self._peers if not peer.closed]
            if nested and not any(pulled):
                return
            if nested:
                continue
            worked = False
            for upstream in self._upstreams.values():
                worked = upstream.work() or worked
            spun = self._own is not None and self._own.spin()
            if not any(pulled) and not worked and not spun:
                return

    def _serve(self, work: Callable[[], None]) -> None:
        """Let the engine work. Hooks are called meanwhile, so a loop of our own is running."""
        serving, self._serving = self._serving, True
        try:
            if self._own is None or self._own.is_running():
                work()
            else:
                self._own.call(work)
        finally:
            self._serving = serving

    async def settled(self) -> None:
        """`settle`, and let the running loop's tasks run, until both have nothing left to do."""
        quiet = 0
        while quiet < _QUIET:
            moved = self.net.moved
            await asyncio.sleep(0)
            self.settle()
            quiet = quiet + 1 if self.net.moved == moved else 0

    def advance(self, time: str | float) -> None:
        """Let time pass, timer by timer: "30s", "250ms", or a number of seconds."""
        until = self._until(time)
        self.settle()
        while self.now < until:
            self._step(until)
            self.settle()

    async def passed(self, time: str | float) -> None:
        """As `advance`, with the running loop's tasks served in between. That loop's own timers keep to real time."""
        until = self._until(time)
        await self.settled()
        while self.now < until:
            self._step(until)
            await self.settled()

    def _until(self, time: str | float) -> int:
        ms = parse_unit("duration", time) if isinstance(time, str) else round(time * 1000)
        self.transcript.note(self.now, "", "--", f"{ms / 1000:g} s pass")
        return self.now + ms

    def _step(self, until: int) -> None:
        """To the next timer of the engine or of a loop of our own."""
        timers = [until - self.now, self.net.next]
        if self._own is not None and (when := self._own.next_timer()) is not None:
            timers.append(math.ceil(when * 1000) - self.now)
        ms = max(1, min(timer for timer in timers if timer is not None))
        self._serve(lambda: self.net.advance(ms))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that serves Python's part: the one given, else one of its own whose clock is the gateway's."""
        if self._loop is not None:
            return self._loop
        if self._own is None:
            self._served()
            self._own = TestLoop(lambda: self.now / 1000)
        return self._own

    def run(self, work: Coroutine[Any, Any, T], within: float = 0) -> T:
        """What a coroutine returns that runs beside the gateway, in a test that is not async itself.

        `within`: seconds of the gateway's time that may pass for it. NothingCame: it waits for more."""
        task = self.loop.create_task(work)
        until = self.now + round(within * 1000)
        self.settle()
        while not task.done() and self.now < until:
            self._step(until)
            self.settle()
        if task.done():
            return task.result()
        task.cancel()
        self.settle()
        raise NothingCame(f"{work!r} does not come to its end\n{self.tell()}")

    @property
    def now(self) -> int:
        """Milliseconds since it was made."""
        return self.net.now

    # -- telling
    @property
    def log(self) -> list[Any]:
        """The access log so far: dicts, or lines if `log.access` has another format."""
        for line in self.net.lines().decode().splitlines():
            self._log.append(msgspec.json.decode(line) if line.startswith("{") else line)
        return self._log

    @property
    def errors(self) -> list[str]:
        """The error log's lines so far."""
        self._errors += self.net.lines(errors=True).decode().splitlines()
        return self._errors

    def tell(self) -> str:
        """What went over the wires, and what waits, for the text of a failure."""
        waiting = {name: self.net.waiting(name) for name in self._served().upstreams}
        lines = [f"  (not yet accepted: {name}, {count})" for name, count in waiting.items() if count]
        return "\n".join([str(self.transcript), *lines])

    def live(self) -> dict[str, int]:
        """What the engine holds now, by name."""
        return self._served().worker.live()

    # -- the end
    def drain(self, time: str = "30s") -> None:
        """As TERM does: take no new connections, answer what is in flight; `time` is when the rest is cut."""
        ms = parse_unit("duration", time)
        self._serve(lambda: self._served().worker.drain(ms))
        self.settle()

    @property
    def drained(self) -> bool:
        return self._served().worker.drained

    def close(self) -> None:
        """Close every connection and the engine. LeftOver: it held something even then. Twice is fine."""
        if self._engine is None:
            return
        try:
            left = self._leave()
        finally:
            self._free()
        if left:
            raise LeftOver(left)

    def abandon(self) -> None:
        """Close all without a look at what is left: after a failure. Twice is fine."""
        self._free()

    def _leave_connections(self) -> None:
        self.settle()
        for upstream in [self.upstream(name) for name in self._served().upstreams]:
            upstream.serve(None)
            while upstream.waiting:
                upstream.accept()
        for peer in list(self._peers):
            peer.reset()

    def _leave(self) -> str:
        self._leave_connections()
        engine = self._served()
        self._serve(lambda: engine.worker.drain(DRAIN_MS))
        self._serve(lambda: self.net.advance(5 * DRAIN_MS))
        self.settle()
        counts = engine.worker.live()
        left = [f"{counts[name]} {name}" for name in OWED if counts[name]]
        if engine.plugins is not None and self._own is not None:
            self.run(engine.plugins.close(), within=STOP_S)
        if self._own is not None:
            left += sorted(f"task {task.get_name()} ({task.get_coro()})" for task in asyncio.all_tasks(self._own))
        return f"the gateway still holds {', '.join(left)}\n{self.tell()}" if left else ""

    def _free(self) -> None:
        self._detach()
        if self._engine is not None:
            self._serve(self._engine.free)
        self._engine = None
        if self._own is not None:
            for task in asyncio.all_tasks(self._own):
                task.cancel()
            self._own.spin()
            self._own.close()
            self._own = None
        self._peers.clear()

    def _served(self) -> Engine:
        if self._engine is None:
            raise ValueError("the gateway is closed")
        return self._engine

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._served().worker.attach(loop)
        self._loop = loop

    def _detach(self) -> None:
        if self._loop is not None and self._engine is not None:
            self._engine.worker.detach()
        self._loop = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()  # what the test found is what counts

    async def __aenter__(self) -> Self:
        if self._loop is None:
            self._attach(asyncio.get_running_loop())
        if self._pending is not None:
            staged, self._pending = self._pending, None
            try:
                await self._start(staged)
            except BaseException:
                self._free()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if kind is None:
            await self.settled()
            if self._engine is not None and self._engine.plugins is not None:
                self._leave_connections()
                await self.settled()
                await self._engine.plugins.close()
        self.__exit__(kind, error, tb)


def _running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

