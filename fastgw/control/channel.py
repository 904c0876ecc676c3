"""The channel between supervisor and worker: typed frames over a SOCK_SEQPACKET pair, with descriptors by SCM_RIGHTS.

One frame is one packet (msgspec's msgpack, a tagged array), so a frame arrives whole or not at all. Anything large
travels in a sealed memfd whose descriptor rides along; a frame itself is at most FRAME_MAX bytes and carries at most
FDS_MAX descriptors. Order is kept in each direction. A request carries a `seq`, its answer the same one.

Both ends nest in any asyncio loop that can watch a descriptor. Sending queues when the socket is full: `send` waits
while more than QUEUE_HIGH frames are queued, `post` does not wait and is for what must not be lost and is small in
number. End of file, a reset, or a frame that cannot be understood closes the channel and calls `on_close` once.
"""

import array
import asyncio
import contextlib
import itertools
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

FRAME_MAX = 64 * 1024
FDS_MAX = 64
QUEUE_HIGH = 64
READ_BATCH = 16  # frames taken in one wake-up, so that a talkative peer cannot hold the loop
_FD_SIZE = array.array("i").itemsize


class ChannelClosed(ConnectionError):
    """The peer is gone, or the channel was closed here."""


class Frame(Struct, frozen=True, array_like=True, tag=True):
    """Any frame. Subclasses are the vocabulary; the tag is the class's name."""


class Request(Frame, frozen=True, array_like=True, tag=True, kw_only=True):
    """A frame that is answered by one with the same seq."""

    seq: int = 0


class Reply(Frame, frozen=True, array_like=True, tag=True, kw_only=True):
    seq: int


# ---- supervisor to worker
class Segments(Frame, frozen=True, array_like=True, tag=True):
    """Descriptors of segments, in the order of their hashes. Unanswered: a missing one makes Prepare fail."""

    hashes: list[int]


class Prepare(Request, frozen=True, array_like=True, tag=True, kw_only=True):
    """Make the snapshot of this root ready without using it. Answer: Prepared."""

    root: int


class Commit(Request, frozen=True, array_like=True, tag=True, kw_only=True):
    """Use the prepared snapshot. `drain_ms`: how long a drain that nobody asked for may take. Answer: Committed."""

    drain_ms: int = 30_000


class Discard(Frame, frozen=True, array_like=True, tag=True):
    """Forget the prepared snapshot, if there is one."""


class Listen(Request, frozen=True, array_like=True, tag=True, kw_only=True):
    """Accept on the descriptor that comes along. Answer: Listening."""

    listener: int
    socket: int
    shared: bool = False


class Unlisten(Frame, frozen=True, array_like=True, tag=True):
    socket: int


class TicketKeys(Frame, frozen=True, array_like=True, tag=True):
    """Keys of TLS session tickets from now on, in a row (fastgw.control.tickets)."""

    keys: bytes


class Bells(Frame, frozen=True, array_like=True, tag=True):
    """The eventfds of these columns come along: by them workers wake each other (io/bell.h)."""

    columns: list[int]


class Drain(Frame, frozen=True, array_like=True, tag=True):
    """Accept no more, finish what is in flight for at most so long, send Drained, exit. last: accept first who waits
    to be; else that is left to whoever has the sockets after it."""

    deadline_ms: int
    last: bool = False


class LiveQuery(Request, frozen=True, array_like=True, tag=True, kw_only=True):
    """Answer: Live."""


# ---- worker to supervisor
class Ready(Frame, frozen=True, array_like=True, tag=True):
    """The engine is up and waits for its first snapshot."""

    pid: int


class Prepared(Reply, frozen=True, array_like=True, tag=True, kw_only=True):
    ok: bool
    errors: list[str] = []


class Committed(Reply, frozen=True, array_like=True, tag=True, kw_only=True):
    generation: int


class Listening(Reply, frozen=True, array_like=True, tag=True, kw_only=True):
    error: str = ""


class Leaving(Frame, frozen=True, array_like=True, tag=True):
    """It was told by a signal to go: it serves until it is told to drain."""


class Draining(Frame, frozen=True, array_like=True, tag=True):
    """It was told so again, and accepts no more."""


class Drained(Frame, frozen=True, array_like=True, tag=True):
    """Nothing is in flight any more, or the deadline has cut the rest."""


class Live(Reply, frozen=True, array_like=True, tag=True, kw_only=True):
    """Counts of what the engine and the host of hooks hold, by name; instances of plugins, by the plugin's name."""

    counts: dict[str, int]
    plugins: dict[str, int] = {}


class Log(Frame, frozen=True, array_like=True, tag=True):
    """A line for the error log."""

    level: str
    message: str
    fields: dict[str, str | int | float] = {}


# ---- supervisor to the build template and its children, and back (fastgw.control.build)
class Build(Frame, frozen=True, array_like=True, tag=True):
    """Load and compile. Two memfds come along: the slot table's state, and the digests of the present objects; and a
    third, if only files that the present document names are to be read anew: its text, used in place of what is at
    `path`.

    document: a file whose text is used in place of what is at `path`; empty: none."""

    path: str
    generation: int
    document: str = ""


class Ended(Frame, frozen=True, array_like=True, tag=True):
    """The build's process has ended, with this exit code (negative: the signal that killed it)."""

    code: int


class Built(Frame, frozen=True, array_like=True, tag=True):
    """The outcome of a build. ok: a memfd with the Plan comes along, and Segments frames went before."""

    ok: bool
    root: int = 0
    errors: list[str] = []


Down = Segments | Prepare | Commit | Discard | Listen | Unlisten | TicketKeys | Bells | Drain | LiveQuery
Up = Ready | Prepared | Committed | Listening | Leaving | Draining | Drained | Live | Log
BuildFrame = Build | Built | Segments | Ended

_encode = msgspec.msgpack.Encoder().encode


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected SEQPACKET pair, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(frame: Frame, fds: Sequence[int] = ()) -> bytes:
    """One packet's bytes. ValueError: too large, or too many descriptors."""
    data = _encode(frame)
    if len(data) > FRAME_MAX or len(fds) > FDS_MAX:
        raise ValueError(f"{type(frame).__name__}: {len(data)} bytes and {len(fds)} descriptors do not fit in a frame")
    return data


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """One packet and its descriptors (close-on-exec, the caller's). Empty bytes: end of file.

    BlockingIOError as recvmsg; ChannelClosed if the kernel had to cut the packet or drop descriptors."""
    data, ancillary, flags, _ = sock.recvmsg(FRAME_MAX, socket.CMSG_SPACE(FDS_MAX * _FD_SIZE), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, body in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(body[: len(body) - len(body) % _FD_SIZE])
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(fds)
        raise ChannelClosed("a frame was cut: out of descriptors, or not our peer")
    return data, list(fds)


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class Channel:
    """One end. `on_frame(frame, fds)` gets every frame that answers no call of ours, and owns the descriptors.

    Descriptors given to send, post and call are duplicated before the call returns; the caller keeps its own."""

    def __init__(
        self,
        sock: socket.socket,
        kinds: object,
        on_frame: Callable[[Frame, list[int]], None],
        on_close: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock, self._fd = sock, sock.fileno()
        self._decode = msgspec.msgpack.Decoder(kinds).decode
        self._on_frame, self._on_close = on_frame, on_close
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._calls: dict[int, asyncio.Future[Reply]] = {}
        self._seq = itertools.count(1)
        self._room: list[asyncio.Future[None]] = []
        self.closed = False
        self._loop.add_reader(self._fd, self._readable)

    # -- sending
    def post(self, frame: Frame, fds: Sequence[int] = ()) -> None:
        """Send or queue. ChannelClosed: too late."""
        if self.closed:
            raise ChannelClosed("channel is closed")
        data = encode(frame, fds)
        if not self._queue and self._write(data, fds):
            return
        if self.closed:
            raise ChannelClosed("peer is gone")
        self._queue.append((data, [os.dup(fd) for fd in fds]))
        if len(self._queue) == 1:
            self._loop.add_writer(self._fd, self._writable)

    async def send(self, frame: Frame, fds: Sequence[int] = ()) -> None:
        """As post, and waits while the queue is long."""
        self.post(frame, fds)
        while len(self._queue) > QUEUE_HIGH and not self.closed:
            room: asyncio.Future[None] = self._loop.create_future()
            self._room.append(room)
            await room

    async def call(self, request: Request, fds: Sequence[int] = (), seconds: float = 5.0) -> Reply:
        """Send and wait for the answer, for at most `seconds`. TimeoutError, ChannelClosed."""
        seq = next(self._seq)
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._calls[seq] = answer
        try:
            await self.send(msgspec.structs.replace(request, seq=seq), fds)
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            del self._calls[seq]

    @property
    def queued(self) -> int:
        """Frames that the peer has not made room for."""
        return len(self._queue)

    def _write(self, data: bytes, fds: Sequence[int]) -> bool:
        try:
            if fds:
                socket.send_fds(self._sock, [data], list(fds))
            else:
                self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self.close()
            return False
        return True

    def _writable(self) -> None:
        while self._queue:
            data, fds = self._queue[0]
            if not self._write(data, fds):
                break
            self._queue.popleft()
            close_all(fds)
        if self.closed:
            return
        if not self._queue:
            self._loop.remove_writer(self._fd)
        if len(self._queue) <= QUEUE_HIGH:
            self._wake_senders()

    def _wake_senders(self) -> None:
        waiting, self._room = self._room, []
        for room in waiting:
            if not room.done():
                room.set_result(None)

    # -- receiving
    def _readable(self) -> None:
        for _ in range(READ_BATCH):
            try:
                data, fds = receive(self._sock)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self.close()
                return
            try:
                frame = self._decode(data)
            except msgspec.MsgspecError:
                close_all(fds)
                self.close()
                return
            self._dispatch(frame, fds)
            if self.closed:
                return

    def _dispatch(self, frame: Frame, fds: list[int]) -> None:
        if isinstance(frame, Reply):
            answer = self._calls.get(frame.seq)
            if answer is not None and not answer.done():
                answer.set_result(frame)
            close_all(fds)  # no answer carries any; one that comes late has nobody waiting
            return
        self._on_frame(frame, fds)

    def close(self) -> None:
        """Close this end; the other sees end of file. Waiting calls get ChannelClosed. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._sock.close()
        for _, fds in self._queue:
            close_all(fds)
        self._queue.clear()
        self._wake_senders()
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(ChannelClosed("peer is gone"))
        self._on_close()
