"""A worker process alone, with this test as its supervisor."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fastgw._shm import Shm, seg_memfd
from fastgw.config.load import loads
from fastgw.control import channel as ch
from fastgw.control.process import how_ended, spawn_python
from fastgw.control.snapshot import root_hash
from fastgw.snapshot.compile import Slots, Snapshot, compile

PATIENCE = 30


class Boss:
    """The other end of one worker's channel."""

    def __init__(self) -> None:
        self.shm = Shm.create(1, 1 << 20)
        ours, theirs = ch.pair()
        numbers = {"channel": theirs.fileno(), "shm": self.shm.fd, "column": 0, "parent": os.getpid()}
        arguments = [f"--{name}={value}" for name, value in numbers.items()]
        fds = [theirs.fileno(), self.shm.fd]
        self.child = spawn_python("fastgw.control.worker", arguments, fds, subprocess.DEVNULL)
        theirs.close()
        self.frames: asyncio.Queue[ch.Frame] = asyncio.Queue()
        self.channel = ch.Channel(ours, ch.Up, lambda frame, fds: self.frames.put_nowait(frame), lambda: None)

    async def frame(self) -> ch.Frame:
        return await asyncio.wait_for(self.frames.get(), PATIENCE)

    async def ended(self) -> int:
        return await asyncio.to_thread(self.child.wait, PATIENCE)

    async def load(self, snapshot: Snapshot) -> ch.Reply:
        """Send all segments and prepare."""
        root = root_hash(snapshot.root)
        segments = {**snapshot.segments, root: snapshot.root}
        fds = [seg_memfd("segment", data) for data in segments.values()]
        self.channel.post(ch.Segments(list(segments)), fds)
        ch.close_all(fds)
        return await self.channel.call(ch.Prepare(root=root))


@pytest.fixture
async def boss() -> AsyncIterator[Boss]:
    made = Boss()
    assert await made.frame() == ch.Ready(made.child.pid)
    yield made
    made.channel.close()
    if made.child.poll() is None:
        made.child.kill()
    made.child.wait()


def snapshot(body: str = "hello", generation: int = 1) -> Snapshot:
    text = f"""
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
routes: {{hello: {{to: {{static: {{body: "{body}"}}}}}}}}
"""
    return compile(loads(text).config, generation, Slots())


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def ask(sock: socket.socket) -> bytes:
    with socket.create_connection(sock.getsockname(), timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        got = b""
        while part := client.recv(4096):
            got += part
        return got


async def test_it_serves_what_is_committed_and_not_what_is_prepared(boss: Boss) -> None:
    assert await boss.load(snapshot("one")) == ch.Prepared(seq=1, ok=True)
    committed = await boss.channel.call(ch.Commit())
    assert isinstance(committed, ch.Committed) and committed.generation == 1
    with listening() as sock:
        answer = await boss.channel.call(ch.Listen(listener=0, socket=7), [sock.fileno()])
        assert isinstance(answer, ch.Listening) and answer.error == ""
        assert b"\r\n\r\none" in await asyncio.to_thread(ask, sock)
        prepared = await boss.load(snapshot("two", 2))
        assert isinstance(prepared, ch.Prepared) and prepared.ok
        assert b"\r\n\r\none" in await asyncio.to_thread(ask, sock)
        boss.channel.post(ch.Discard())
        assert b"\r\n\r\none" in await asyncio.to_thread(ask, sock)
        await boss.load(snapshot("two", 2))
        await boss.channel.call(ch.Commit())
        assert b"\r\n\r\ntwo" in await asyncio.to_thread(ask, sock)


async def test_what_is_prepared_can_be_prepared_again(boss: Boss) -> None:
    """When another worker has died while it prepared, the others are asked once more, and nothing is sent again."""
    assert await boss.load(snapshot("one")) == ch.Prepared(seq=1, ok=True)
    for _ in range(3):
        answer = await boss.channel.call(ch.Prepare(root=root_hash(snapshot("one").root)))
        assert isinstance(answer, ch.Prepared) and answer.ok, answer
    assert isinstance(await boss.channel.call(ch.Commit()), ch.Committed)


async def test_a_broken_segment_is_refused_with_its_reason(boss: Boss) -> None:
    good = snapshot()
    broken = {hash: data[:-8] for hash, data in good.segments.items()}
    answer = await boss.load(good._replace(segments=broken))
    assert isinstance(answer, ch.Prepared) and not answer.ok
    assert any("segment refused" in error for error in answer.errors) and len(answer.errors) > len(broken)
    assert (await boss.load(good)) == ch.Prepared(seq=2, ok=True), "it goes on, with no memory of the refusal"


async def test_what_is_no_listening_socket_is_refused(boss: Boss) -> None:
    with socket.socket() as sock:
        answer = await boss.channel.call(ch.Listen(listener=0, socket=1), [sock.fileno()])
    assert isinstance(answer, ch.Listening) and answer.error
    answer = await boss.channel.call(ch.Listen(listener=0, socket=1))
    assert isinstance(answer, ch.Listening) and "0 descriptors" in answer.error


async def test_end_of_the_channel_ends_it(boss: Boss) -> None:
    boss.channel.close()
    assert await boss.ended() == 0


async def test_term_is_told_and_nothing_ends_yet(boss: Boss) -> None:
    await boss.load(snapshot())
    await boss.channel.call(ch.Commit())
    boss.child.send_signal(signal.SIGTERM)
    assert await boss.frame() == ch.Leaving()
    with listening() as sock:
        await boss.channel.call(ch.Listen(listener=0, socket=1), [sock.fileno()])
        assert b"\r\n\r\nhello" in await asyncio.to_thread(ask, sock)
    boss.channel.post(ch.Drain(1000))
    assert await boss.frame() == ch.Drained()
    assert await boss.ended() == 0


async def test_a_second_term_drains(boss: Boss) -> None:
    boss.child.send_signal(signal.SIGTERM)
    assert await boss.frame() == ch.Leaving()
    boss.child.send_signal(signal.SIGTERM)
    assert await boss.frame() == ch.Draining()
    assert await boss.frame() == ch.Drained()
    assert await boss.ended() == 0


async def test_an_idle_worker_holds_nothing(boss: Boss) -> None:
    await boss.load(snapshot())
    await boss.channel.call(ch.Commit())
    live = await boss.channel.call(ch.LiveQuery())
    assert isinstance(live, ch.Live)
    assert (live.counts["snapshots"], live.counts["conns"], live.counts["exchanges"]) == (1, 0, 0)


async def test_descriptors_do_not_pile_up(boss: Boss) -> None:
    def fds() -> int:
        return len(list(Path(f"/proc/{boss.child.pid}/fd").iterdir()))

    await boss.load(snapshot())
    await boss.channel.call(ch.Commit())
    before = fds()
    for generation in range(2, 12):
        await boss.load(snapshot(f"body {generation}", generation))
        await boss.channel.call(ch.Commit())
        with listening() as sock:
            await boss.channel.call(ch.Listen(listener=0, socket=generation), [sock.fileno()])
            boss.channel.post(ch.Unlisten(generation))
    live = await boss.channel.call(ch.LiveQuery())
    assert isinstance(live, ch.Live) and live.counts["snapshots"] == 1
    assert fds() == before


def test_exits_in_words() -> None:
    assert how_ended(0) == "exit status 0"
    assert how_ended(-9) == "killed by SIGKILL"
    assert how_ended(-60) == "killed by signal 60"
