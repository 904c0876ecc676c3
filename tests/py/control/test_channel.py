"""The channel: whole frames, descriptors, back-pressure, and what ends it."""

import asyncio
import os
import socket

import pytest

from fastgw.control import channel as ch


class Peer:
    """One end with what it got."""

    def __init__(self, sock: socket.socket, kinds: object) -> None:
        self.frames: list[ch.Frame] = []
        self.fds: list[int] = []
        self.closed = 0
        self.arrived = asyncio.Event()
        self.channel = ch.Channel(sock, kinds, self.on_frame, self.on_close)

    def on_frame(self, frame: ch.Frame, fds: list[int]) -> None:
        self.frames.append(frame)
        self.fds += fds
        self.arrived.set()

    def on_close(self) -> None:
        self.closed += 1
        self.arrived.set()

    async def got(self, count: int) -> list[ch.Frame]:
        while len(self.frames) < count:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 10)
        return self.frames


def peers() -> tuple[Peer, Peer]:
    """Supervisor and worker."""
    a, b = ch.pair()
    return Peer(a, ch.Up), Peer(b, ch.Down)


async def test_every_frame_survives_the_trip() -> None:
    down = [ch.Segments([1, 2**64 - 1]), ch.Prepare(seq=1, root=2**64 - 1), ch.Commit(seq=2, drain_ms=5), ch.Discard(),
            ch.Listen(seq=3, listener=4, socket=5, shared=True), ch.Unlisten(5), ch.Drain(30_000), ch.LiveQuery(seq=4)]
    up = [ch.Ready(1), ch.Draining(), ch.Drained(), ch.Log("info", "event", {"a": 1, "b": "x", "c": 0.5})]
    supervisor, worker = peers()
    for frame in down:
        supervisor.channel.post(frame)
    for frame in up:
        worker.channel.post(frame)
    assert await worker.got(len(down)) == down
    assert await supervisor.got(len(up)) == up


async def test_descriptors_travel_and_are_close_on_exec() -> None:
    supervisor, worker = peers()
    read, write = os.pipe()
    supervisor.channel.post(ch.Segments([1]), [write])
    await worker.got(1)
    os.close(write)
    [received] = worker.fds
    assert not os.get_inheritable(received)
    os.write(received, b"through")
    os.close(received)
    assert os.read(read, 100) == b"through"
    assert os.read(read, 100) == b"", "no copy of the write end is left anywhere"
    os.close(read)


async def test_a_call_is_answered_by_its_seq() -> None:
    supervisor, worker = peers()
    first = asyncio.create_task(supervisor.channel.call(ch.LiveQuery()))
    second = asyncio.create_task(supervisor.channel.call(ch.Prepare(root=7)))
    a, b = await worker.got(2)
    assert isinstance(a, ch.Request) and isinstance(b, ch.Request) and a.seq != b.seq
    worker.channel.post(ch.Prepared(seq=b.seq, ok=False, errors=["no"]))
    worker.channel.post(ch.Live(seq=a.seq, counts={"conns": 3}))
    assert await second == ch.Prepared(seq=b.seq, ok=False, errors=["no"])
    assert await first == ch.Live(seq=a.seq, counts={"conns": 3})


async def test_a_call_that_is_not_answered_times_out_and_a_late_answer_is_ignored() -> None:
    supervisor, worker = peers()
    with pytest.raises(TimeoutError):
        await supervisor.channel.call(ch.LiveQuery(), seconds=0.01)
    [query] = await worker.got(1)
    assert isinstance(query, ch.LiveQuery)
    worker.channel.post(ch.Live(seq=query.seq, counts={}))
    worker.channel.post(ch.Drained())
    assert await supervisor.got(1) == [ch.Drained()]


async def test_end_of_file_fails_calls_and_is_told_once() -> None:
    supervisor, worker = peers()
    call = asyncio.create_task(supervisor.channel.call(ch.LiveQuery()))
    await worker.got(1)
    worker.channel.close()
    with pytest.raises(ch.ChannelClosed):
        await call
    assert (supervisor.closed, worker.closed) == (1, 1)
    with pytest.raises(ch.ChannelClosed):
        supervisor.channel.post(ch.Discard())
    supervisor.channel.close()
    assert supervisor.closed == 1


async def test_a_sender_waits_for_a_peer_that_does_not_read() -> None:
    a, b = ch.pair()
    supervisor = Peer(a, ch.Up)
    b.setblocking(False)
    frame = ch.Segments(list(range(2**62, 2**62 + 1000)))

    async def flood() -> None:
        for _ in range(10_000):
            await supervisor.channel.send(frame)

    task = asyncio.create_task(flood())
    await asyncio.sleep(0.05)
    assert not task.done()
    assert supervisor.channel.queued == ch.QUEUE_HIGH + 1
    task.cancel()
    got = 0
    while supervisor.channel.queued or got == 0:
        try:
            data, _ = ch.receive(b)
        except BlockingIOError:
            await asyncio.sleep(0)
            continue
        assert data == ch.encode(frame)
        got += 1
    assert got > ch.QUEUE_HIGH
    b.close()


async def test_queued_descriptors_arrive_though_the_caller_closed_its_own() -> None:
    a, b = ch.pair()
    supervisor = Peer(a, ch.Up)
    b.setblocking(False)
    filler = ch.Segments(list(range(2**62, 2**62 + 6000)))
    while not supervisor.channel.queued:
        supervisor.channel.post(filler)
    read, write = os.pipe()
    supervisor.channel.post(ch.Segments([1]), [write])
    os.close(write)
    worker = Peer(b, ch.Down)
    while not worker.fds:
        worker.arrived.clear()
        await asyncio.wait_for(worker.arrived.wait(), 10)
    os.write(worker.fds[0], b"x")
    assert os.read(read, 1) == b"x"
    os.close(read)
    os.close(worker.fds[0])


async def test_nonsense_closes_the_channel() -> None:
    a, b = ch.pair()
    supervisor = Peer(a, ch.Up)
    b.send(b"\x93\xa5Ready\x01\x02\xff")
    while not supervisor.closed:
        await asyncio.sleep(0)
    assert not supervisor.frames
    b.close()


async def test_a_frame_of_the_other_direction_is_nonsense() -> None:
    supervisor, worker = peers()
    worker.channel.post(ch.Discard())
    while not supervisor.closed:
        await asyncio.sleep(0)
    assert not supervisor.frames


async def test_what_does_not_fit_is_refused_here_and_nothing_is_sent() -> None:
    supervisor, worker = peers()
    with pytest.raises(ValueError, match="do not fit"):
        supervisor.channel.post(ch.Segments(list(range(2**63, 2**63 + 10_000))))
    with pytest.raises(ValueError, match="do not fit"):
        supervisor.channel.post(ch.Segments([]), [0] * (ch.FDS_MAX + 1))
    supervisor.channel.post(ch.Discard())
    assert await worker.got(1) == [ch.Discard()]
