"""One request head in Python: fastgw.picohttp beside httptools and h11: benchmarks/results/picohttp.json.

Each gives the same: method, target, version, a list of (name, value). Instructions are those of a whole interpreter by
cachegrind, the difference of two numbers of rounds, so that start and imports cancel out; they are what is compared.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import facts  # noqa: E402
from benchmarks.micro.parser_heads import HEADS  # noqa: E402

RESULT = ROOT / "benchmarks/results/picohttp.json"
CHOSEN = [head for head in HEADS if not head.data.startswith(b"HTTP/")]
PARSERS = ("picohttp", "httptools", "h11")
FEW, MANY, TIMED, REPEATS = 50, 450, 4000, 9
Parsed = tuple[bytes, bytes, str, list[tuple[bytes, bytes]]]


def picohttp() -> Callable[[bytes], Parsed]:
    from fastgw.picohttp import parse_request

    def parse(data: bytes) -> Parsed:
        head = parse_request(data)
        assert head is not None
        return head.method, head.target, "1.1" if head.minor else "1.0", list(head.fields)

    return parse


def httptools() -> Callable[[bytes], Parsed]:
    from httptools import HttpRequestParser

    class Listener:
        def __init__(self) -> None:
            self.fields: list[tuple[bytes, bytes]] = []

        def on_url(self, url: bytes) -> None:
            self.url = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.fields.append((name, value))

    def parse(data: bytes) -> Parsed:
        listener = Listener()
        parser = HttpRequestParser(listener)
        parser.feed_data(data)
        return parser.get_method(), listener.url, parser.get_http_version(), listener.fields

    return parse


def h11() -> Callable[[bytes], Parsed]:
    from h11 import SERVER, Connection, Request

    def parse(data: bytes) -> Parsed:
        connection = Connection(SERVER)
        connection.receive_data(data)
        head = connection.next_event()
        assert isinstance(head, Request)
        return head.method, head.target, head.http_version.decode(), head.headers.raw_items()

    return parse


MAKE = {"picohttp": picohttp, "httptools": httptools, "h11": h11}


def run(name: str, index: int, rounds: int) -> None:
    """What the counted process does."""
    parse, data = MAKE[name](), CHOSEN[index].data
    for _ in range(rounds):
        parse(data)


def instructions(name: str, index: int) -> float:
    """Of one head."""

    def whole(rounds: int) -> int:
        grind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        command = [*grind, sys.executable, __file__, name, str(index), str(rounds)]
        environment = {"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
        if done.returncode or found is None:
            raise SystemExit(done.stderr)
        return int(found[1].replace(",", ""))

    return (whole(MANY) - whole(FEW)) / (MANY - FEW)


def microseconds(parsers: dict[str, Callable[[bytes], Parsed]], data: bytes) -> dict[str, float]:
    """The best of interleaved rounds of each."""
    best = dict.fromkeys(parsers, float("inf"))
    for _ in range(REPEATS):
        for name, parse in parsers.items():
            start = time.process_time()
            for _ in range(TIMED):
                parse(data)
            best[name] = min(best[name], (time.process_time() - start) / TIMED * 1e6)
    return best


def lower(parsed: Parsed) -> Parsed:
    """h11 may give names in lower case."""
    method, target, version, fields = parsed
    return method, target, version, [(name.lower(), value) for name, value in fields]


def main() -> int:
    instructions(PARSERS[0], 0)  # the first start writes what Python caches
    parsers = {name: MAKE[name]() for name in PARSERS}
    rows = []
    for index, head in enumerate(CHOSEN):
        seen = {repr(lower(parse(head.data))) for parse in parsers.values()}
        if len(seen) != 1:
            raise SystemExit(f"{head.name}: they read different things\n" + "\n".join(seen))
        counted = {name: instructions(name, index) for name in PARSERS}
        timed = microseconds(parsers, head.data)
        ratio = round(counted["picohttp"] / counted["httptools"], 3)
        fields = head.data.count(b"\r\n") - 2
        row: list[Any] = [head.name, len(head.data), fields, *(round(counted[n]) for n in PARSERS), ratio]
        rows.append([*row, *(round(timed[name], 2) for name in PARSERS)])
        times = ", ".join(f"{name} {timed[name]:.2f} µs" for name in PARSERS)
        print(f"{head.name:<22} {ratio:.3f} of httptools' instructions; {times}")
    columns = ["head", "bytes", "fields", *(f"{n}: instructions" for n in PARSERS), "picohttp / httptools",
               *(f"{n}: µs (this machine, then)" for n in PARSERS)]  # fmt: skip
    text = (
        "A complete request head in Python, from bytes to method, target, version and a list of fields: "
        "`fastgw.picohttp` (the engine's parser through cffi), httptools (llhttp through Cython, with callbacks that "
        "append) and h11. "
        "Instructions of the interpreter by cachegrind, calls and objects included."
    )
    result = {"title": "Head parser in Python", "text": text, "columns": columns, "rows": rows, "machine": facts()}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 4:
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
        sys.exit(0)
    sys.exit(main())
