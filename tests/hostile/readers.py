# ruff: noqa: E501
"""Three readers of HTTP/1 bytes with one form of answer: the engine's own parser, llhttp (httptools) and h11."""

import json
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h11
import httptools

ROOT = Path(__file__).resolve().parents[2]
Fields = list[tuple[bytes, bytes]]


@dataclass
class Reading:
    """What a reader makes of the first message in some bytes, which end with their connection.

    `verdict`: accept, partial, reject. Of a reply it is the first that is final. `first` and `second`: method and target,
    or status and reason. `used`: bytes up to the message's end, where the reader can tell. `word`: why it refused.
    """

    verdict: str
    word: str = ""
    used: int | None = None
    first: bytes = b""
    second: bytes | None = b""
    minor: int = 1
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


class Engine:
    """The engine's parser in a process of its own, built with sanitizers. A context manager."""

    def __init__(self) -> None:
        make = ["make", "--no-print-directory", "--silent", "build/asan/door"]
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self._process = subprocess.Popen([ROOT / "build/asan/door"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(30) == 0, "the sanitizers have something to say"

    def __call__(self, kind: str, data: bytes) -> Reading:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(kind.encode() + struct.pack("=I", len(data)) + data)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the parser died of {kind} {data!r}"
        said = json.loads(answer)
        if said["verdict"] != "accept":
            return Reading(said["verdict"], said["word"], said["used"])

        def fields(rows: list[list[str]]) -> Fields:
            return [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in rows]

        return Reading(
            "accept", "", said["used"], bytes.fromhex(said["first"]), bytes.fromhex(said["second"]), said["minor"],
            fields(said["fields"]), bytes.fromhex(said["body"]), fields(said["trailers"]),
        )  # fmt: skip


class _Listener:
    """httptools' callbacks: the messages in some bytes, up to the first that is final."""

    def __init__(self) -> None:
        self.done = False
        self.at: int | None = None
        self.reading = Reading("partial")
        self.parser: httptools.HttpParser

    def on_message_begin(self) -> None:
        if not self.done:
            self.reading, self.headers_done = Reading("partial"), False

    def on_url(self, data: bytes) -> None:
        if not self.done:
            self.reading.second = (self.reading.second or b"") + data

    on_status = on_url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.done:
            (self.reading.trailers if self.headers_done else self.reading.fields).append((name, value))

    def on_headers_complete(self) -> None:
        if not self.done:
            self.headers_done = True
            self.reading.minor = int(self.parser.get_http_version()[2:])
            if isinstance(self.parser, httptools.HttpRequestParser):
                self.reading.first = self.parser.get_method()
            else:
                self.reading.first = b"%d" % self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self.reading.body += data

    def on_message_complete(self) -> None:
        status = self.reading.first
        if not self.done and (status == b"101" or not (len(status) == 3 and status.startswith(b"1"))):
            self.done, self.reading.verdict = True, "accept"


def llhttp(kind: str, data: bytes) -> Reading:
    """By httptools, a byte at a time, so that the end of the message is known."""
    listener = _Listener()
    listener.parser = (httptools.HttpRequestParser if kind == "Q" else httptools.HttpResponseParser)(listener)
    used = 0
    try:
        for used in range(1, len(data) + 1):
            listener.parser.feed_data(data[used - 1 : used])
            if listener.done:
                break
    except httptools.HttpParserUpgrade:
        listener.done, listener.reading.verdict = True, "accept"
    except httptools.HttpParserError as error:
        if not listener.done:
            return Reading("reject", f"{type(error).__name__}: {error}")
    reading = listener.reading
    if reading.verdict == "partial" and kind != "Q" and getattr(listener, "headers_done", False) and _until_close(reading):
        reading.verdict = "accept"
    reading.used = used
    return reading


def _until_close(reading: Reading) -> bool:
    names = {name.lower() for name, _ in reading.fields}
    return not names & {b"content-length", b"transfer-encoding"} and int(reading.first) >= 200


def h11_reader(kind: str, data: bytes) -> Reading:
    """By h11, all at once, then the end of the connection."""
    parser = h11.Connection(h11.SERVER if kind == "Q" else h11.CLIENT, max_incomplete_event_size=1 << 20)
    if kind != "Q":
        parser.send(h11.Request(method="HEAD" if kind == "H" else "GET", target="/", headers=[("host", "h")]))
        parser.send(h11.EndOfMessage())
    reading, ended = Reading("partial"), False
    try:
        if data:
            parser.receive_data(data)
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if ended or kind == "Q" or not data:
                    return reading
                parser.receive_data(b"")
                ended = True
            elif isinstance(event, h11.Request):
                reading.first, reading.second, reading.fields = bytes(event.method), bytes(event.target), list(event.headers)
                reading.minor = int(event.http_version[2:])
            elif isinstance(event, h11.Response):
                reading.first, reading.second, reading.fields = b"%d" % event.status_code, bytes(event.reason), list(event.headers)
                reading.minor = int(event.http_version[2:])
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return Reading("accept", first=b"101", second=bytes(event.reason), fields=list(event.headers))
            elif isinstance(event, h11.Data):
                reading.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                reading.verdict, reading.trailers = "accept", list(event.headers)
                reading.used = len(data) - len(parser.trailing_data[0])
                return reading
            else:
                return reading
    except h11.RemoteProtocolError as error:
        return Reading("partial" if ended else "reject", str(error))


READERS: dict[str, Callable[[str, bytes], Reading]] = {"llhttp": llhttp, "h11": h11_reader}


def differences(ours: Reading, theirs: Reading) -> list[str]:
    """In what the two disagree: the verdicts, or parts of the meaning."""
    if ours.verdict != theirs.verdict:
        return [f"{ours.verdict}/{theirs.verdict}"]
    if ours.verdict != "accept":
        return []

    def lower(fields: Fields) -> Fields:
        return [(name.lower(), value) for name, value in fields]

    found = {
        "first": ours.first != theirs.first,
        "second": ours.second != theirs.second,
        "minor": ours.minor != theirs.minor,
        "fields": lower(ours.fields) != lower(theirs.fields),
        "body": ours.body != theirs.body,
        "trailers": lower(ours.trailers) != lower(theirs.trailers),
        "used": theirs.used is not None and ours.used != theirs.used,
    }
    return [name for name, different in found.items() if different]
