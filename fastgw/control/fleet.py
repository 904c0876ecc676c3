"""The worker slots: who runs, who is started again and when, and who accepts on which socket.

    EMPTY ──resize──► STARTING ──worker live──► LIVE ──worker ends──► STARTING, or BACKOFF ──delay over──► STARTING
                                                  ├──resize down────────────► RETIRING ──worker ended──► EMPTY
                                                  └──another has its seat───►

A slot is a column of shared memory. Its seat is one socket of every TCP listener: which share of the connections it
accepts. Sockets stay open as long as their listener; seats pass on. A worker that wants to go keeps its own until
another slot's worker can take it. A seat whose worker is away, or that is one too many by now, is lent to all live
workers, who accept on its sockets beside their own (docs/design/0010-listening-sockets.md). Who holds which socket is
not told step by step: `settle_sockets` compares what every live worker should hold with what it was given, and sends
the difference.
Owner: the supervisor's loop.
"""

import asyncio
import contextlib
import enum
import signal
import time
from collections.abc import Callable, Coroutine, Iterable

from fastgw._shm import WORKERS_MAX, Shm

from . import channel as ch
from .backoff import Backoff
from .bells import Bells
from .identity import Identity
from .listeners import Bound, Listeners
from .log import ErrorLog
from .process import Refused, State, WorkerProcess, how_ended
from .snapshot import Snapshot
from .sockets import BindError, listen_tcp, listens
from .tickets import TURN_S, TicketKeys

START_TIMEOUT = 20.0  # from spawn to Ready: plugins may import at leisure, a hang may not
PREPARE_TIMEOUT = 15.0
COMMIT_TIMEOUT = 5.0
QUEUE_POLL = 0.01


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Return when the condition holds, or after so many seconds; it is looked at every QUEUE_POLL seconds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # accept queues have no event to wait for
        await asyncio.sleep(QUEUE_POLL)


class SlotState(enum.StrEnum):
    STARTING = "starting"
    LIVE = "live"
    BACKOFF = "backoff"
    RETIRING = "retiring"


class Slot:
    """One slot. seat: None while it retires. heir: who will have the seat of a worker that wants to go."""

    def __init__(self, index: int, seat: int) -> None:
        self.index, self.state = index, SlotState.STARTING
        self.seat: int | None = seat
        self.heir: Slot | None = None
        self.worker: WorkerProcess | None = None
        self.backoff = Backoff()
        self.timer: asyncio.TimerHandle | None = None
        self.restarts = 0


class Fleet:
    """All slots. `current` is the snapshot that every worker is brought to."""

    def __init__(
        self,
        memory: Shm,
        listeners: Listeners,
        log: ErrorLog,
        on_change: Callable[[], None] = lambda: None,
        on_exit: Callable[[int], None] = lambda column: None,
    ) -> None:
        self._memory, self._listeners, self._log = memory, listeners, log
        self.identity: Identity = (-1, -1)
        self._bells = Bells(memory)
        self._on_change, self._on_exit = on_change, on_exit
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.slots: dict[int, Slot] = {}
        self.current: Snapshot | None = None
        self.stopping = False
        self.epoch = 0
        self.restarts = 0
        self._seats = 0
        self._tickets = TicketKeys()
        self._turn = self._loop.call_later(TURN_S, self._turn_tickets)

    # -- slots
    def resize(self, count: int, drain_ms: int) -> None:
        """Have somebody on seats 0 to count - 1, whose sockets must be open, and nobody on others."""
        self._seats = count
        for slot in list(self.slots.values()):
            if slot.seat is not None and slot.seat >= count:
                self._log.info("worker retires", worker=slot.index)
                self._retire(slot, drain_ms)
        self._fill()

    def _fill(self) -> None:
        """Start workers for seats that nobody has. While workers that retire take all columns, some wait."""
        taken = {slot.seat for slot in self.slots.values()}
        for seat in range(self._seats):
            index = self._column()
            if seat in taken or index is None:
                continue
            self.slots[index] = Slot(index, seat)
            self._start(self.slots[index])

    def _column(self) -> int | None:
        """The lowest free one."""
        return next((index for index in range(WORKERS_MAX) if index not in self.slots), None)

    def live(self) -> list[WorkerProcess]:
        """Workers that serve, by slot."""
        found = [self.slots[index].worker for index in sorted(self.slots)]
        return [worker for worker in found if worker is not None and worker.state is State.LIVE]

    def participants(self) -> list[WorkerProcess]:
        """Workers that take part in a reload: those that serve, and before the first snapshot those that wait for it.

        One that is being brought up is not among them: it is brought to the newest snapshot afterwards."""
        if self.current is not None:
            return self.live()
        return [worker for worker in self._workers() if worker.ready and worker.state is State.STARTING]

    def forgive(self) -> None:
        """Start what waits in back-off: what has changed may have healed it."""
        for slot in self.slots.values():
            slot.backoff.reset()
            if slot.state is SlotState.BACKOFF:
                self._start(slot)

    # -- lives
    def _start(self, slot: Slot) -> None:
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None
        slot.state = SlotState.STARTING
        self.epoch += 1
        self._memory.set_epoch(slot.index, self.epoch)
        try:
            self._bells.add(slot.index, [worker for worker in self._workers() if worker.ready])
            slot.worker = WorkerProcess(
                slot.index, self._memory.fd, self.identity, self._ready, self._exited, self._leaving, self._draining,
                self._worker_log,
            )
        except OSError as e:
            self._log.error("worker cannot be started", worker=slot.index, reason=str(e))
            self._start_later(slot)
            return
        worker = slot.worker
        self._loop.call_later(START_TIMEOUT, self._check_started, worker)
        self._log.debug("worker started", worker=slot.index, pid=worker.pid)

    def _check_started(self, worker: WorkerProcess) -> None:
        if worker.state is State.STARTING:
            self._log.error("worker does not start; ending it", worker=worker.slot, pid=worker.pid)
            worker.signal(signal.SIGKILL)

    def _ready(self, worker: WorkerProcess) -> None:
        self._tell_tickets(worker)
        self._bells.give(worker)
        self._spawn_task(self._bring_up(worker))

    def _tell_tickets(self, worker: WorkerProcess) -> None:
        with contextlib.suppress(ch.ChannelClosed):
            worker.channel.post(ch.TicketKeys(bytes(self._tickets)))

    def _turn_tickets(self) -> None:
        self._tickets.turn()
        for worker in self._workers():
            if worker.ready:
                self._tell_tickets(worker)
        self._turn = self._loop.call_later(TURN_S, self._turn_tickets)

    async def _bring_up(self, worker: WorkerProcess) -> None:
        """Load the current snapshot; should another be committed meanwhile, that one too. Then it serves."""
        if worker.loading:
            return
        worker.loading = True
        try:
            await self._load_current(worker)
        finally:
            worker.loading = False

    async def _load_current(self, worker: WorkerProcess) -> None:
        while self.current is not None and worker.root != self.current.root and worker.state is not State.GONE:
            try:
                await worker.load(self.current, PREPARE_TIMEOUT)
            except ConnectionError:
                return  # its end is on the way
            except (Refused, TimeoutError) as e:
                self._log.error("worker cannot load the configuration", worker=worker.slot, reason=str(e) or "timeout")
                worker.signal(signal.SIGKILL)
                return
        if worker.state is not State.STARTING or self.current is None:
            return
        slot = self.slots[worker.slot]
        if slot.seat is None or self.stopping:
            worker.drain(0)
            return
        for before in [each for each in self.slots.values() if each.heir is slot]:
            self._log.info("worker drains", worker=before.index)
            self._retire(before, self.current.plan.drain_ms)
        worker.state, slot.state = State.LIVE, SlotState.LIVE
        seconds = time.monotonic() - worker.started
        self._log.info("worker live", worker=slot.index, pid=worker.pid, ms=round(seconds * 1000))
        self.settle_sockets()
        self._on_change()

    async def catch_up(self) -> None:
        """Bring every worker that is not busy with it already to the current snapshot."""
        await asyncio.gather(*(self._bring_up(worker) for worker in self._workers() if worker.ready))

    def _leaving(self, worker: WorkerProcess) -> None:
        """It wants to go: another is started, and has it drain once that is live."""
        slot, index = self.slots[worker.slot], self._column()
        if self.stopping or slot.seat is None or slot.heir is not None:
            return
        if worker.state is not State.LIVE or index is None:
            worker.drain(self.current.plan.drain_ms if self.current else 0)
            self._draining(worker)
            return
        self._log.info("worker wants to go", worker=worker.slot, pid=worker.pid)
        slot.heir = heir = self.slots[index] = Slot(index, slot.seat)
        heir.backoff, heir.restarts = slot.backoff, slot.restarts
        self._start_later(heir)

    def _draining(self, worker: WorkerProcess) -> None:
        self._log.info("worker drains", worker=worker.slot, pid=worker.pid)
        self.settle_sockets()
        self._on_change()

    def _exited(self, worker: WorkerProcess, code: int) -> None:
        slot = self.slots[worker.slot]
        slot.worker = None
        self._memory.zero_gauges(slot.index)
        self._bells.died(self._workers())
        self._on_exit(slot.index)
        if slot.heir is not None:
            slot.seat = None
        asked = self.stopping or slot.seat is None
        tell = self._log.info if asked and code == 0 else self._log.error
        tell("worker ended", worker=slot.index, pid=worker.pid, how=how_ended(code), restarts=slot.restarts)
        if self.stopping:
            pass
        elif slot.seat is None:
            self._forget(slot)
        else:
            self._start_later(slot)
        self.settle_sockets()
        self._on_change()

    def _start_later(self, slot: Slot) -> None:
        delay = slot.backoff.crashed(time.monotonic())
        slot.restarts += 1
        self.restarts += 1
        if delay <= 0:
            self._start(slot)
            return
        slot.state = SlotState.BACKOFF
        slot.timer = self._loop.call_later(delay, self._start, slot)
        self._log.warning("worker crashes too often; waiting", worker=slot.index, seconds=delay)

    def _retire(self, slot: Slot, drain_ms: int) -> None:
        slot.state, slot.seat = SlotState.RETIRING, None
        if slot.timer is not None:
            slot.timer.cancel()
        if slot.worker is None:
            self._forget(slot)
        elif slot.worker.state is not State.DRAINING:
            slot.worker.drain(drain_ms)

    def _forget(self, slot: Slot) -> None:
        del self.slots[slot.index]
        self._fill()

    async def emptied(self, bounds: list[Bound], seconds: float) -> None:
        """Wait until nobody waits in these accept queues, or for `seconds`, or until nobody could accept."""
        await until(lambda: not self.live() or not any(self._listeners.waiting(b) for b in bounds), seconds)

    def _worker_log(self, worker: WorkerProcess, line: ch.Log) -> None:
        self._log.write(line.level, line.message, worker=worker.slot, pid=worker.pid, **line.fields)

    # -- sockets
    def settle_sockets(self) -> None:
        """Give every live worker the sockets it should accept on, and take away the others."""
        if self.stopping:
            return
        live = self.live()
        wanted: dict[int, dict[int, Bound]] = {worker.slot: {} for worker in live}
        seated = {self.slots[worker.slot].seat: worker.slot for worker in live}
        for bound in self._listeners:
            owner = seated.get(bound.key.seat)
            if owner is not None:
                wanted[owner][bound.number] = bound
            elif bound.shared or listens(bound.sock):  # lent; what nobody has had yet, nobody waits for
                for held in wanted.values():
                    held[bound.number] = bound
        for worker in live:
            for number, bound in wanted[worker.slot].items():
                if number not in worker.holds and self._open(bound):
                    worker.holds[number] = True
                    lent = bound.key.seat != self.slots[worker.slot].seat
                    self._spawn_task(self._listen(worker, bound, lent))
            for number in [number for number in worker.holds if number not in wanted[worker.slot]]:
                del worker.holds[number]
                with contextlib.suppress(ch.ChannelClosed):
                    worker.channel.post(ch.Unlisten(number))

    def _open(self, bound: Bound) -> bool:
        """Have the socket listen: from now on connections come. False: it cannot, which is told."""
        try:
            if not bound.shared:
                listen_tcp(bound.actual, bound.sock)
        except BindError as e:
            self._log.error("socket cannot listen", listener=bound.name, reason=str(e))
            return False
        return True

    async def _listen(self, worker: WorkerProcess, bound: Bound, lent: bool) -> None:
        frame = ch.Listen(listener=bound.listener, socket=bound.number, shared=lent)
        try:
            answer = await worker.channel.call(frame, [bound.sock.fileno()], seconds=COMMIT_TIMEOUT)
            error = answer.error if isinstance(answer, ch.Listening) else "a wrong answer"
        except ConnectionError:
            return  # its end is on the way
        except TimeoutError:
            error = "no answer"
        if error and worker.state is State.LIVE:
            self._log.error("worker cannot listen; ending it", worker=worker.slot, listener=bound.name, reason=error)
            worker.signal(signal.SIGKILL)

    async def settled(self, dead: Iterable[WorkerProcess] = (), seconds: float = START_TIMEOUT) -> None:
        """Wait until no slot is between two states: every worker serves, waits for the first snapshot, or is away.

        dead: workers whose channel has ended. Their exit is told a little later; until then they seem to live."""
        await until(lambda: all(worker.state is State.GONE for worker in dead), seconds)
        await until(lambda: not any(self._between(slot) for slot in self.slots.values()), seconds)

    def _between(self, slot: Slot) -> bool:
        ready = slot.worker is not None and slot.worker.ready and self.current is None
        return slot.state is SlotState.STARTING and not ready

    # -- the end
    async def drain(self, deadline_ms: int) -> None:
        """Have all workers finish, for at most `deadline_ms`; kill what is left shortly after. Returns when all are
        gone."""
        self.stopping = True
        self._turn.cancel()
        for slot in self.slots.values():
            if slot.timer is not None:
                slot.timer.cancel()
        for worker in self._workers():
            if worker.state is State.STARTING:
                worker.signal(signal.SIGKILL)
            else:
                worker.drain(deadline_ms, last=True)
        await self._gone(deadline_ms / 1000 + 2.0)
        await self.kill()

    async def kill(self) -> None:
        """End all workers at once. Returns when all are reaped."""
        self.stopping = True
        self._turn.cancel()
        for worker in self._workers():
            worker.signal(signal.SIGKILL)
        await self._gone(5.0)
        self._bells.close()
        for task in list(self._tasks):
            task.cancel()

    def _workers(self) -> list[WorkerProcess]:
        return [slot.worker for slot in self.slots.values() if slot.worker is not None]

    async def _gone(self, seconds: float) -> None:
        await until(lambda: not self._workers(), seconds)

    def _spawn_task(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
