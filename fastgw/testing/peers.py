"""The two ends that a test plays: clients before the gateway, connections of upstreams behind it.

Whatever a peer does is served at once, up to where the engine has nothing more to do; nothing waits, nothing sleeps.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from fastgw._testing import Pipe
from fastgw.picohttp import Data, End, Limits, ParseError, RequestHead, RequestReader, ResponseHead, ResponseReader

from .errors import NothingCame
from .messages import Handler, HeadersLike, Reply, Request, Response, response_of
from .play import Who

if TYPE_CHECKING:
    from .gateway import Gateway

LIMITS = Limits(line=1 << 20, field=1 << 20, head=1 << 20, fields=4096, trailers=1 << 20, trailer_fields=4096)
"""What peers take: more than the gateway."""


def _decoded(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)


class Peer(Who):
    """One connection. `name`: in transcripts."""

    _reader: Any

    def __init__(self, gateway: "Gateway", pipe: Pipe, name: str) -> None:
        self._gw, self._pipe, self.name = gateway, pipe, name
        self._raw, self._messages = bytearray(), deque[Any]()
        self._head: Any = None
        self._body = bytearray()
        self._looked: tuple[Any, int] = (None, 0)  # a message that is still growing, as it was looked at last
        self._broken: ParseError | None = None
        self._told_end = False

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # -- sending
    def send(self, data: bytes | str) -> None:
        """Bytes as they are; text as UTF-8."""
        data = data.encode() if isinstance(data, str) else data
        self._gw.transcript.note(self._gw.now, self.name, ">>", data)
        self._sent(data)
        self._pipe.write(data)
        self._gw.settle()

    def end(self) -> None:
        """Send no more; half of the connection is closed."""
        self._gw.transcript.note(self._gw.now, self.name, ">>", "end")
        self._pipe.end()
        self._gw.settle()

    def reset(self) -> None:
        """Tear the connection down."""
        self._gw.transcript.note(self._gw.now, self.name, ">>", "reset")
        self._pipe.reset()
        self._gw.settle()

    def close(self) -> None:
        """End it in both directions, as close(2) does."""
        if not self.closed:
            self.end()
        if not self.closed:
            self.reset()

    # -- receiving
    def stop_taking(self) -> None:
        """Take nothing from now on: the receive window is full."""
        self._pipe.room(0)

    def take(self, more: int | None = None) -> bytes:
        """All bytes that came since the last `take`, whatever `response` and `request` make of them.

        `more`: after `stop_taking`, take so many bytes more first; None: all from now on."""
        self._pipe.room(more)
        self._gw.settle()
        taken = bytes(self._raw)
        self._raw.clear()
        return taken

    @property
    def closed(self) -> bool:
        """The engine has closed it."""
        return self._pipe.closed

    @property
    def ended(self) -> bool:
        """The engine sends no more."""
        return self._pipe.ended

    @property
    def was_reset(self) -> bool:
        return self._pipe.was_reset

    @property
    def untaken(self) -> int:
        """Bytes sent that the engine has not read: it has stopped reading."""
        return self._pipe.untaken

    def pull(self) -> bool:
        """Take in what the engine has sent; False: nothing. `Gateway.settle` calls it."""
        data = self._pipe.read()
        if data:
            self._gw.transcript.note(self._gw.now, self.name, "<<", data)
            self._raw += data
        if data and self._broken is None:
            self._reader.feed(data)
        ends = self._pipe.ended and not self._told_end
        if ends:
            self._told_end = True
            what = "reset" if self._pipe.was_reset else "closed" if self._pipe.closed else "end"
            self._gw.transcript.note(self._gw.now, self.name, "<<", what)
            self._reader.eof()
        if data or ends:
            self._parse()
        return bool(data) or ends

    def _parse(self) -> None:
        try:
            for event in iter(self._reader.next, None):
                self._take_in(event)
        except ParseError as error:
            self._broken = self._broken or error

    def _take_in(self, event: Any) -> None:
        if isinstance(event, Data):
            self._body += event.data
        elif isinstance(event, End):
            self._messages.append(self._message(_decoded(event.trailers), True))
            self._head = None
        else:
            self._head = event
            self._body.clear()

    def _message(self, trailers: Any, complete: bool) -> Any:
        raise NotImplementedError

    def _sent(self, data: bytes) -> None:
        """`data` is about to be sent."""

    def _next(self, kind: str, complete: bool) -> Any:
        self._gw.settle()
        if self._messages:
            return self._messages.popleft()
        if not complete and self._head is not None:
            return self._message((), False)
        why = "no whole one has come" if self._head is not None else "none has come"
        if self._broken is not None and self._broken.word not in ("upstream_closed", "client_gone"):
            why = f"what came is none: {self._broken}"
        raise NothingCame(f"{self.name}: {kind}: {why}{' (closed)' if self.closed else ''}\n{self._gw.tell()}")

    # -- for conversations (Gateway.play)
    def speaker(self, accept: bool) -> "Peer":
        return self

    def next_message(self) -> Any:
        """The oldest whole message, or None."""
        found = self._messages.popleft() if self._messages else None
        if not self.left(False):
            self._raw.clear()
        return found

    def left(self, raw: bool) -> bool:
        """Something has come that nobody looked at: of the bytes, or of the messages."""
        growing = self._head is not None and self._looked != (self._head, len(self._body))
        return bool(self._raw if raw else self._messages or growing)

    def part(self) -> Any:
        """The message that is still coming, as far as it has come, or None."""
        self._looked = self._head, len(self._body)
        return self._message((), False) if self._head is not None else None

    def forget(self) -> None:
        """What came was looked at as bytes."""
        self._messages.clear()
        self._head = None


class Client(Peer):
    """A client's connection."""

    def __init__(self, gateway: "Gateway", pipe: Pipe, name: str) -> None:
        super().__init__(gateway, pipe, name)
        self._reader = ResponseReader(LIMITS)
        self._asked: RequestReader | None = RequestReader(LIMITS)  # what it sends, as far as that is HTTP
        self._interim: list[Response] = []

    def ask(self, method: str, path: str, headers: HeadersLike = (), body: bytes | str | None = None) -> None:
        """Send a request; `host` and `content-length` are added where they are not given."""
        self.send(Request(method, path, body, headers=headers).wire())

    def response(self, *, complete: bool = True) -> Response:
        """The next response. `complete=False`: as far as it has come, if its head has. NothingCame."""
        found: Response = self._next("response", complete)
        return found

    def get(self, path: str, headers: HeadersLike = ()) -> Response:
        """`ask`, and the response to it."""
        return self.request("GET", path, headers)

    def request(self, method: str, path: str, headers: HeadersLike = (), body: bytes | str | None = None) -> Response:
        """`ask`, and the response to it."""
        self.ask(method, path, headers, body)
        return self.response()

    def _sent(self, data: bytes) -> None:
        try:
            if self._asked is not None:
                self._asked.feed(data)
                for event in iter(self._asked.next, None):
                    if isinstance(event, RequestHead):
                        self._reader.expect(event.method)
        except ParseError:
            self._asked = None

    def _take_in(self, event: Any) -> None:
        super()._take_in(event)
        if isinstance(event, ResponseHead) and event.status < 200:
            response = self._message((), True)
            (self._messages if event.status == 101 else self._interim).append(response)
            self._head = None

    def _message(self, trailers: Any, complete: bool) -> Response:
        head: ResponseHead = self._head
        interim: tuple[Response, ...] = ()
        if head.status >= 200:
            interim, self._interim = tuple(self._interim), [] if complete else self._interim
        return Response(
            head.status, bytes(self._body), reason=head.reason.decode("latin-1"), headers=_decoded(head.fields),
            trailers=trailers, interim=interim, complete=complete,
        )  # fmt: skip


class Connection(Peer):
    """A connection that the engine has dialled to an upstream. `endpoint`: its name in the configuration."""

    def __init__(self, gateway: "Gateway", pipe: Pipe, name: str) -> None:
        super().__init__(gateway, pipe, name)
        self.endpoint = pipe.endpoint
        self._reader = RequestReader(LIMITS)
        self._methods = deque[str]()

    def request(self, *, complete: bool = True) -> Request:
        """The next request. `complete=False`: as far as it has come, if its head has. NothingCame."""
        found: Request = self._next("request", complete)
        return found

    def reply(self, status: Any = 200, body: bytes | str | None = None, headers: HeadersLike = ()) -> None:
        """Answer the oldest request; `content-length` is added where it belongs. A 101 begins a tunnel: then `take`."""
        response = status if isinstance(status, Response) else Response(status, body, headers=headers)
        final = (response.status or 200) >= 200 or response.status == 101
        method = self._methods.popleft() if self._methods and final else "GET"
        if response.status == 101:
            self._reader.tunnel()
        self.send(response.wire(method))

    @property
    def connecting(self) -> bool:
        """The dial hangs (Upstream.hang): `accept` it or `refuse` it."""
        return self._pipe.connecting

    def accept(self) -> None:
        """A dial that hangs comes through."""
        self._gw.transcript.note(self._gw.now, self.name, "--", "accepts")
        self._pipe.answer(True)
        self._gw.settle()

    def refuse(self) -> None:
        """A dial that hangs is refused."""
        self._gw.transcript.note(self._gw.now, self.name, "--", "refuses")
        self._pipe.answer(False)
        self._gw.settle()

    def _take_in(self, event: Any) -> None:
        super()._take_in(event)
        if isinstance(event, RequestHead):
            self._methods.append(event.method.decode("latin-1"))

    def _message(self, trailers: Any, complete: bool) -> Request:
        head: RequestHead = self._head
        return Request(
            head.method.decode("latin-1"), head.target.decode("latin-1"), bytes(self._body),
            headers=_decoded(head.fields), trailers=trailers, complete=complete,
        )  # fmt: skip


class Upstream(Who):
    """One upstream of the configuration, over all its connections."""

    def __init__(self, gateway: "Gateway", name: str) -> None:
        self._gw, self.name = gateway, name
        self.connections: list[Connection] = []
        """Those accepted, oldest first, the closed ones too."""
        self._handler: Handler | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def waiting(self) -> int:
        """How many connections `accept` would give."""
        return self._gw.net.waiting(self.name)

    def accept(self) -> Connection:
        """The oldest connection that the engine has dialled and nobody took. NothingCame."""
        self._gw.settle()
        found = self._take()
        if found is None:
            raise NothingCame(f"{self.name}: no connection has come\n{self._gw.tell()}")
        return found

    def _take(self) -> Connection | None:
        pipe = self._gw.net.accept(self.name)
        if pipe is None:
            return None
        made = Connection(self._gw, pipe, f"{self.name}#{len(self.connections) + 1}")
        self.connections.append(made)
        self._gw.watch(made)
        self._gw.transcript.note(self._gw.now, made.name, "--", f"dialled at {made.endpoint}")
        made.pull()
        return made

    # -- how dials go; `endpoint`: one of them, by its name in the configuration
    def open(self, endpoint: str = "") -> None:
        """They succeed (from the start)."""
        self._gw.net.dials(self.name, endpoint, "opens")

    def refuse(self, endpoint: str = "") -> None:
        """They are refused at once."""
        self._gw.net.dials(self.name, endpoint, "refused")

    def hang(self, endpoint: str = "") -> None:
        """They hang: `accept` gives a Connection that is `connecting`."""
        self._gw.net.dials(self.name, endpoint, "hangs")

    # -- answers by themselves
    def serve(self, handler: Handler | Reply) -> None:
        """Accept every connection and answer every request: by a function of the request, or always the same.

        A reply is a Response, a status, a body, (status, body) or (status, body, headers); None: no answer.
        `serve(None)`: the test does it itself again."""
        self._handler = None if handler is None else handler if callable(handler) else lambda request: handler
        self._gw.settle()

    def work(self) -> bool:
        """Let the handler answer what has come; False: nothing. `Gateway.settle` calls it."""
        if self._handler is None:
            return False
        worked = False
        while self._take() is not None:
            worked = True
        for connection in self.connections:
            while (request := connection.next_message()) is not None:
                worked = True
                if (reply := self._handler(request)) is not None:
                    connection.reply(response_of(reply))
        return worked

    # -- for conversations: it stands for its newest connection
    def speaker(self, accept: bool) -> Connection | None:
        if accept and self.waiting:
            return self._take()
        return self.connections[-1] if self.connections else None

