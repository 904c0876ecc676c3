"""Conversations: what each peer sends and is to receive, in one list, checked step by step.

    gw.play(
        client >> Request("GET", "/users/1"),              # the client sends
        users << Request("GET", "/1"),                     # the upstream receives
        after("1s"),
        users >> Response(200, b"ok"),
        client << Response(200, b"ok", headers={"server": None}),
    )

To the right of `>>`: a message, bytes, END, RESET. To the right of `<<`: a message (what it leaves open may be
anything), bytes (exactly these, all that came), a function that is given the message and may say False, CLOSED,
NOTHING. A message with `complete=False` may still be coming. An upstream stands for its newest connection; `<<` first
accepts one that waits.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import PlayError
from .messages import Request, Response

if TYPE_CHECKING:
    from .gateway import Gateway


class Mark:
    """Something that is no bytes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


END = Mark("END")
"""Sent: the peer sends no more."""
RESET = Mark("RESET")
"""Sent: the connection is torn down."""
CLOSED = Mark("CLOSED")
"""Received: the engine has closed the connection, or sends no more; nothing came before that."""
NOTHING = Mark("NOTHING")
"""Received: not a byte."""


@dataclass(frozen=True)
class Step:
    """One line of a conversation. `who` None: time passes."""

    who: Any
    sends: bool
    what: Any

    def __str__(self) -> str:
        if self.who is None:
            return f"after {self.what}"
        return f"{self.who.name} {'>>' if self.sends else '<<'} {_brief(self.what)}"


class Who:
    """Whoever may speak in a conversation."""

    name: str

    def __rshift__(self, what: Any) -> Step:
        return Step(self, True, what)

    def __lshift__(self, what: Any) -> Step:
        return Step(self, False, what)


def after(time: str | float) -> Step:
    """Time passes: "30s", "250ms", or a number of seconds."""
    return Step(None, True, time)


def _brief(what: Any) -> str:
    if not isinstance(what, Request | Response):
        return getattr(what, "__name__", None) or repr(what)
    names = ("method", "path", "status", "body")
    given = [repr(getattr(what, n)) for n in names if getattr(what, n, None) is not None]
    headers = [f"headers={dict(what.headers)}"] if what.headers else []
    return f"{type(what).__name__}({', '.join(given + headers)})"


class Play:
    """One conversation being held."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gw = gateway
        self._seen: dict[int, tuple[Any, bool]] = {}  # connection → it, and whether it was last read as bytes

    def run(self, steps: tuple[Any, ...]) -> None:
        """PlayError. TypeError: one of them is no step."""
        for step in steps:
            if not isinstance(step, Step):
                raise TypeError(f"not a step of a conversation: {step!r}")
        for number, step in enumerate(steps, 1):
            if wrong := self._take(step):
                self._fail(f"step {number} of {len(steps)}: {step}", wrong)
        upstreams = {step.who.name: step.who for step in steps if hasattr(step.who, "waiting")}
        left = [f"{name} has a connection that nobody accepted" for name, each in upstreams.items() if each.waiting]
        left += [f"{peer.name} has received more" for peer, raw in self._seen.values() if peer.left(raw)]
        if left:
            self._fail(f"after step {len(steps)}", left)

    def _fail(self, where: str, wrong: list[str]) -> None:
        raise PlayError("\n".join([where, *(f"  {line}" for line in wrong), self._gw.tell()]))

    def _take(self, step: Step) -> list[str]:
        if step.who is None:
            self._gw.advance(step.what)
            return []
        self._gw.settle()
        peer = step.who.speaker(accept=not step.sends)
        if peer is None:
            return [f"{step.who.name} has no connection"]
        if step.sends:
            _send(peer, step.what)
            return []
        self._seen[id(peer)] = peer, isinstance(step.what, bytes | str)
        return _receive(peer, step.what)


def _send(peer: Any, what: Any) -> None:
    if what is END:
        peer.end()
    elif what is RESET:
        peer.reset()
    elif isinstance(what, Response) and hasattr(peer, "reply"):
        peer.reply(what)
    elif isinstance(what, Request):
        peer.send(what.wire())
    elif isinstance(what, bytes | str):
        peer.send(what)
    else:
        raise TypeError(f"nothing that {peer.name} can send: {what!r}")


def _receive(peer: Any, what: Any) -> list[str]:
    if isinstance(what, bytes | str):
        wanted, got = what.encode() if isinstance(what, str) else what, peer.take()
        peer.forget()
        return [] if wanted == got else [f"expected {wanted!r}", f"got      {got!r}"]
    if what is NOTHING or what is CLOSED:
        if peer.left(False):
            return [f"received {peer.take()!r}"]
        return ["it is not closed"] if what is CLOSED and not peer.ended else []
    message = peer.next_message()
    if message is None and getattr(what, "complete", True) is False:
        message = peer.part()
    if message is None:
        return [f"no whole message has come; it is {'closed' if peer.ended else 'open'}; so far {peer.take()!r}"]
    if isinstance(what, Request | Response):
        if type(what) is not type(message):
            return [f"expected a {type(what).__name__}, but {peer.name} gets a {type(message).__name__}"]
        return what.wrong(message)  # type: ignore[arg-type]
    if callable(what):
        return [] if what(message) is not False else [f"it says no to {_brief(message)}"]
    raise TypeError(f"nothing that {peer.name} can receive: {what!r}")
