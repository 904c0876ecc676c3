"""What steps of a chain cost a proxied request, in instructions: benchmarks/results/steps.json.

The real engine over memory sides (fastgw.testing): no socket, a clock that stands still. Counted by callgrind within
fgw_net_run and all that it calls, after a warm-up, so that a busy machine gives the same figures. What the memory sides
themselves cost is in every row; rows are compared with each other.

    python benchmarks/micro/bench_steps.py
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import facts  # noqa: E402

RESULT = ROOT / "benchmarks/results/steps.json"
WARM, COUNTED, WAITING = 200, 1000, 1000

CHAINS = {
    "plain": "",
    "limit": "chain: [{rate_limit: {rate: 1000000/s, burst: 1000000, by: client_ip}}],",
    "limits": "chain: [{rate_limit: {rate: 1000000/s, burst: 1000000, by: client_ip}}, "
    "{rate_limit: {name: all, rate: 1000000/s, burst: 1000000, by: route}}],",
    "places": "chain: [{concurrency: {max: 100}}],",
    "python": 'chain: [{use: "header_work:Header"}],',
    "slow": "",
}
PLUGIN = '''
from fastgw.plugin import Plugin, Request, hook

class Header(Plugin[None]):
    """Reads one field, sets two."""

    @hook.access
    def work(self, request: Request) -> None:
        if request.headers.get("user-agent") is not None:
            request.headers["x-user"] = "joe"
            request.headers["x-tenant"] = "acme"
'''
# name: (with steps, the route that is asked, ms between two requests, requests that wait meanwhile)
CASES: dict[str, tuple[bool, str, int, int]] = {
    "no steps anywhere": (False, "plain", 0, 0),
    "no steps; other routes have limits and hooks": (True, "plain", 0, 0),
    "rate_limit by client_ip": (True, "limit", 0, 0),
    "two of rate_limit": (True, "limits", 0, 0),
    "concurrency": (True, "places", 0, 0),
    "sync hook: reads one field, sets two": (True, "python", 0, 0),
}
ALONE, BESIDE = list(CASES)[:2]
LOOK = f"the look for requests that wait alone, {WAITING:,} of them, 1 ms between requests"
CASES[LOOK] = (False, "plain", 1, WAITING)
# What looks for requests that wait (docs/design/0007), line by line: the library is built without it for one more row.
SLOW_LINES = {
    "src_c/core/worker.c": "fgw_exchanges_unpin(w);",
    "src_c/core/try.c": "x->w->unpin_seen = x->start_ns - 1;",
}
WITHOUT = "no steps anywhere, built without the look for requests that wait"


def document(steps: bool) -> str:
    """The same routes, with their chains or without."""
    to = {"slow": "slow"}
    routes = (f"{name}: {{match: {{prefix: /{name}}}, {chain if steps else ''} to: {to.get(name, 'u')}}}"
              for name, chain in CHAINS.items())  # fmt: skip
    return "\n".join([
        "listeners: {web: {bind: '127.0.0.1:0'}}",
        "upstreams: {u: {endpoints: ['127.0.0.1:9']}, slow: {endpoints: ['127.0.0.1:9']}}",
        "plugins: {path: [.]}" if steps else "", "log: {access: 'off'}",
        "routes: {" + ", ".join(routes) + "}",
    ])  # fmt: skip


class Side:
    """A client and the upstream's end, by hand: peers of fastgw.testing would keep all that was said."""

    def __init__(self, folder: Path, steps: bool) -> None:
        from fastgw.testing import Gateway

        (folder / "header_work.py").write_text(PLUGIN)
        self.gateway = Gateway(document(steps), base=folder)
        self.net = self.gateway.net
        self.client, self.upstream = self.connect(), None

    def connect(self) -> Any:
        return self.net.connect(next(iter(self.gateway._served().listeners.values())), "192.0.2.1", 40_000)

    def run(self) -> None:
        self.gateway._serve(self.net.run)

    def wait(self) -> None:
        """A request that nobody answers."""
        pipe = self.connect()
        pipe.write(head("slow"))
        self.run()

    def exchange(self, route: str, ms: int) -> None:
        self.client.write(head(route))
        self.run()
        if self.upstream is None:
            self.upstream = self.net.accept("u")
        assert self.upstream is not None and self.upstream.read(), "the upstream was not asked"
        self.upstream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.run()
        got = self.client.read()
        assert got.startswith(b"HTTP/1.1 200"), got
        if ms:
            self.gateway._serve(lambda: self.net.advance(ms))


def head(route: str) -> bytes:
    return f"GET /{route}/x HTTP/1.1\r\nHost: example.org\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()


def counted(case: str, times: int) -> None:
    """The child under callgrind: warm up, have the counts zeroed by a look at the log, be counted.

    A process with hooks has a thread that watches them, and glibc does more in a system call where there are several:
    so there is one more here in any case."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    steps, route, ms, waiting = CASES[case]
    with TemporaryDirectory() as place:
        side = Side(Path(place), steps)
        for _ in range(waiting):
            side.wait()
        for _ in range(WARM):
            side.exchange(route, ms)
        side.net.lines()
        for _ in range(times):
            side.exchange(route, ms)
    os._exit(0)


def instructions(case: str, times: int = COUNTED, library: Path | None = None) -> float:
    """Of one request, both ways."""
    within = "fgw_exchanges_unpin" if case == LOOK else "fgw_net_run"  # the sides' own cost grows with open connections
    with TemporaryDirectory() as place:
        grind = ["valgrind", "--tool=callgrind", f"--toggle-collect={within}", "--zero-before=fgw_net_log",
                 f"--callgrind-out-file={place}/out"]  # fmt: skip
        env = {**os.environ, "PYTHONHASHSEED": "0", **({"LD_PRELOAD": str(library)} if library else {})}
        child = [sys.executable, __file__, "--count", case, "--times", str(times)]
        run = subprocess.run([*grind, *child], cwd=ROOT, text=True, capture_output=True, env=env)
        totals = re.search(r"^(?:totals|summary): (\d+)", (Path(place) / "out").read_text(), re.M)
    if totals is None or run.returncode:
        raise SystemExit(run.stderr)
    return int(totals[1]) / times


def built_without(folder: Path) -> Path:
    """The library, as the release is built, but without SLOW_LINES."""
    words = dict(re.findall(r"^(FGW_\w+)\s*:=\s*(.*)$", (ROOT / "sources.mk").read_text(), re.M))
    libs = subprocess.run([ROOT / "scripts/libs"], check=True, capture_output=True, text=True).stdout.split()
    cc = [
        *shlex.split(os.environ.get("CC", "cc")),
        *(f for name in ("STD", "OPT", "LTO") for f in words[f"FGW_{name}"].split()),
    ]
    made = []
    for source in (
        path for layer in words["FGW_LAYERS"].split() for path in sorted((ROOT / "src_c" / layer).glob("*.c"))
    ):
        name, text = source.relative_to(ROOT).as_posix(), source.read_text()
        if name in SLOW_LINES:
            kept = [line for line in text.splitlines() if SLOW_LINES[name] not in line]
            assert len(kept) == len(text.splitlines()) - 1, f"{name} has changed"
            text = "\n".join(kept)
        copy = folder / name.replace("/", "_")
        copy.write_text(f'#line 1 "{name}"\n{text}\n')
        made.append(str(copy)[:-2] + ".o")
        subprocess.run([*cc, "-c", "-o", made[-1], copy], check=True, cwd=ROOT)
    library = folder / "_libfgw.so"
    subprocess.run([*cc, *words["FGW_LINK"].split(), "-o", library, *made, *libs], check=True, cwd=ROOT)
    return library


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--count")
    options.add_argument("--times", type=int)
    args = options.parse_args()
    if args.count:
        counted(args.count, args.times)
    seen = {case: instructions(case) for case in CASES}
    with TemporaryDirectory() as place:
        seen[WITHOUT] = instructions(ALONE, library=built_without(Path(place)))
    rows = []
    for case, count in seen.items():
        more = round(count - (0 if case == LOOK else seen[ALONE]), 1)
        rows.append([case, round(count, 1), more])
        print(f"{case:80} {count:10.1f} {more:+10.1f}")
    apart = round(abs(seen[BESIDE] - seen[ALONE]), 1)
    gate = {"name": "instructions more on a route without steps because others have some", "bound": 0, "seen": apart,
            "verdict": "met" if apart == 0 else "missed"}  # fmt: skip
    RESULT.write_text(json.dumps({
        "title": "Steps of a chain",
        "text": f"A proxied request of a small answer on a route with these steps, and the same route without: "
                f"instructions by callgrind in the whole engine over memory sides, {COUNTED} requests after {WARM}, "
                f"the cost of the memory sides included; more: than the first row.",
        "columns": ["route", "instructions a request", "more"],
        "rows": rows, "gates": [gate], "machine": facts(),
    }, indent=2, ensure_ascii=False) + "\n")  # fmt: skip
    return 0 if gate["verdict"] == "met" else 1


if __name__ == "__main__":
    sys.exit(main())
