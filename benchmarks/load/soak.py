"""A long run at half of what the gateway can do, with slow clients and an upstream that comes and goes: does it leak?

    python -m benchmarks.load.soak [--seconds 3600] [--out benchmarks/results/soak.json]        (make soak)

    steady   wrk at about half of the rate that it reached at full speed; every answer must be a 200
    slow     one client in five: 1 MiB at some 200 KiB/s, or a request byte by byte; every answer must come whole
    flap     an upstream of its own that is killed and started again in turn every 5 s; 502, 503 and 504 are expected
             here and nowhere else, and nothing else is

Memory (private dirty pages, so that shared memory counts where it is written) and descriptors of every process are read
each 5 s. Judged: the slope of memory behind a warm-up, descriptors when all is over, unexpected 5xx, failed steady and
slow requests, workers that ended. Exit code 1: a gate was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.load import proc, tools

RESULTS = tools.ROOT / "benchmarks" / "results" / "soak.json"
CONNECTIONS, SLOW, FLAP = 64, 16, 4  # 16 of 80: one in five is slow
SAMPLE_S, FLAP_S, PEAK_S = 5.0, 5.0, 5.0
WARM_UP_S = 600.0
SLOPE_MIB_H = 1.0
ENOUGH_S = 1200.0  # behind the warm-up; a shorter run cannot tell 1 MiB/h from noise
CONFIG = """\
listeners: {{web: {{bind: "127.0.0.1:{web}"}}}}
upstreams:
  steady: {{endpoints: ["127.0.0.1:{steady}"], pool: {{idle_timeout: 2s}}}}
  flap: {{endpoints: ["127.0.0.1:{flap}"], timeouts: {{connect: 1s, first_byte: 2s}}, pool: {{idle_timeout: 2s}}}}
routes:
  steady: {{match: {{prefix: /}}, to: steady}}
  flap: {{match: {{prefix: /flap}}, strip_prefix: true, to: flap}}
limits: {{connection_requests: off}}
log: {{access: {{to: {log}}}, error: {{to: {errors}}}}}
admin: {{bind: "127.0.0.1:{admin}"}}
"""


class Flapping(threading.Thread):
    """An origin on a fixed port that lives for FLAP_S, then is dead for as long."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._over = port, threading.Event()
        self.lives = 0

    def run(self) -> None:
        while not self._over.is_set():
            child = subprocess.Popen([str(tools.build("origin")), str(self._port)], stdout=subprocess.DEVNULL)
            self.lives += 1
            self._over.wait(FLAP_S)
            child.kill()
            child.wait()
            self._over.wait(FLAP_S)

    def end(self) -> None:
        self._over.set()
        self.join(30)


class Clients:
    """The slow ones and those of the flapping upstream, in a thread with a loop of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.slow: Counter[str] = Counter()
        self.flap: Counter[str] = Counter()
        self._going = True
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._going = False
        self._thread.join(60)

    async def _all(self) -> None:
        readers = [self._forever(self._read_slowly, self.slow) for _ in range(SLOW // 2)]
        writers = [self._forever(self._write_slowly, self.slow) for _ in range(SLOW - SLOW // 2)]
        await asyncio.gather(*readers, *writers, *(self._forever(self._flap, self.flap) for _ in range(FLAP)))

    async def _forever(self, once: Any, counts: Counter[str]) -> None:
        while self._going:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 16)
                try:
                    counts[await once(reader, writer)] += 1
                finally:
                    writer.close()
            except (OSError, EOFError, ValueError) as e:
                counts[type(e).__name__] += 1
                await asyncio.sleep(0.1)

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> tuple[str, int]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        rows = head.lower().split("\r\n")
        return head.split()[1], next((int(row[15:]) for row in rows if row.startswith("content-length:")), 0)

    async def _read_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(b"GET /l HTTP/1.1\r\nhost: soak\r\n\r\n")
        status, left = await self._head(reader)
        while left and self._going:
            left -= len(await reader.readexactly(min(left, 20_480)))
            await asyncio.sleep(0.1)
        return status if not left else "200"  # the end of the run came first

    async def _write_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        for byte in b"GET /s HTTP/1.1\r\nhost: soak\r\n\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        status, length = await self._head(reader)
        await reader.readexactly(length)
        return status

    async def _flap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        status = "200"
        while self._going and status != "000":
            writer.write(b"GET /flap/s HTTP/1.1\r\nhost: soak\r\n\r\n")
            status, length = await self._head(reader)
            await reader.readexactly(length)
            self.flap[status] += 1
            await asyncio.sleep(0.05)
        return status


def sample(root: int) -> dict[str, Any]:
    """Memory and descriptors of the gateway's processes now."""
    found = {}
    for pid, role in proc.roles(root).items():
        with contextlib.suppress(proc.Gone, OSError):
            memory = proc.memory_kib(pid)
            found[pid] = {"role": role, "fds": len(os.listdir(f"/proc/{pid}/fd")), **memory}
    return {
        "private_kib": sum(each["private_dirty_kib"] for each in found.values()),
        "fds": sum(each["fds"] for each in found.values()),
        "pids": sorted(found),
    }


def slope_mib_h(points: list[tuple[float, float]]) -> float:
    """MiB an hour: the median of the slopes of all pairs (Theil and Sen), which no single step bends."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :] if b[0] > a[0]]
    return statistics.median(slopes) * 3600 / 1024 if slopes else 0.0


def metrics(port: int) -> dict[str, float]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        rows = answer.read().decode().splitlines()
    return {row.rpartition(" ")[0]: float(row.rpartition(" ")[2]) for row in rows if row and row[0] != "#"}


@contextlib.contextmanager
def gateway(folder: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    """A running gateway with its files in `folder`."""
    config = folder / "fastgw.yaml"
    config.write_text(CONFIG.format(**ports, log=folder / "access.log", errors=folder / "error.log"))
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "-m", "fastgw.cli", "run", "-c", str(config)], env=environment)
    try:
        tools.wait_until_served(ports["web"], process)
        yield process
    finally:
        tools.stop(process)


def wrk(port: int, seconds: float, delay_ms: int) -> dict[str, Any]:
    """wrk's report. Its connections rest `delay_ms` on average."""
    script = str(tools.LOAD / "soak.lua")
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(round(seconds), 1)}s", "-s", script, f"http://127.0.0.1:{port}/s"]
    run = subprocess.run(
        argv, capture_output=True, text=True, timeout=seconds + 120, env={**os.environ, "SOAK_DELAY_MS": str(delay_ms)}
    )
    if run.returncode:
        raise tools.BenchError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
    report: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return report


def quiet(root: int, patience: float = 60.0) -> dict[str, Any]:
    """A sample when descriptors have stood still for three seconds, or after a minute."""
    end, last, since = time.monotonic() + patience, -1, time.monotonic()
    while time.monotonic() < end:
        now = sample(root)
        if now["fds"] != last:
            last, since = now["fds"], time.monotonic()
        elif time.monotonic() - since > 3:
            break
        time.sleep(0.5)
    return sample(root)


def soak(seconds: float, folder: Path, note: Any) -> dict[str, Any]:
    """The whole run; the result without its verdicts."""
    ports = {name: tools.free_port() for name in ("web", "flap", "admin")}
    with tools.origin() as steady, gateway(folder, {**ports, "steady": steady}) as process:
        peak = wrk(ports["web"], PEAK_S, 0)
        rate = peak["requests"] * 1e6 / peak["duration_us"]
        delay_ms = max(round(CONNECTIONS * 1000 / (rate / 2)), 1)
        before = quiet(process.pid)
        note(f"peak {rate:,.0f} requests/s; each connection rests {delay_ms} ms; {before['fds']} descriptors")
        flapping, clients = Flapping(ports["flap"]), Clients(ports["web"])
        flapping.start()
        report: dict[str, Any] = {}
        load = threading.Thread(target=lambda: report.update(wrk(ports["web"], seconds, delay_ms)))
        began, samples = time.monotonic(), []
        load.start()
        while load.is_alive():
            load.join(SAMPLE_S)
            (folder / "access.log").write_bytes(b"")  # it would fill the disk
            samples.append({"s": round(time.monotonic() - began, 1), **sample(process.pid)})
            if len(samples) % 12 == 0:
                last = samples[-1]
                note(f"{last['s']:6.0f} s  {last['private_kib']:,} KiB private  {last['fds']} descriptors")
        clients.end()
        flapping.end()
        after, told = quiet(process.pid), metrics(ports["admin"])
        alive = process.poll() is None
    return {
        "seconds": seconds, "peak": peak, "delay_ms": delay_ms, "report": report, "before": before, "after": after,
        "samples": samples, "slow": dict(clients.slow), "flap": dict(clients.flap), "lives": flapping.lives,
        "unexpected_5xx": sum(n for row, n in told.items() if row.startswith("fgw_requests_total{")
                              and 'code="5xx"' in row and 'route="flap"' not in row),
        "worker_restarts": told.get("fgw_worker_restarts_total", 0.0), "alive": alive,
    }  # fmt: skip


def judge(run: dict[str, Any]) -> dict[str, Any]:
    """The document: what was seen, and the gates."""
    warm_up = min(WARM_UP_S, run["seconds"] / 3)
    points = [(s["s"], s["private_kib"]) for s in run["samples"] if s["s"] >= warm_up]
    slope, report = slope_mib_h(points), run["report"]
    measured = points[-1][0] - points[0][0] if points else 0.0
    slope_verdict = "met" if slope < SLOPE_MIB_H else "missed" if measured >= ENOUGH_S else "open"
    slow_failed = sum(n for status, n in run["slow"].items() if status != "200")
    odd = sum(n for status, n in run["flap"].items() if status not in ("200", "502", "503", "504"))
    counted = [
        ("unexpected 5xx", run["unexpected_5xx"]),
        ("failed steady requests", sum(report["errors"].values())),
        ("failed slow requests", slow_failed),
        ("odd answers of the flapping upstream", odd),
        ("workers that ended", run["worker_restarts"] + (not run["alive"])),
        ("descriptors more than at the start", max(run["after"]["fds"] - run["before"]["fds"], 0)),
    ]
    gates = [{"name": "memory slope, MiB/h", "bound": SLOPE_MIB_H, "seen": round(slope, 2), "verdict": slope_verdict}]
    gates += [{"name": name, "bound": 0, "seen": n, "verdict": "missed" if n else "met"} for name, n in counted]
    rate = report["requests"] * 1e6 / report["duration_us"]
    peak = run["peak"]["requests"] * 1e6 / run["peak"]["duration_us"]
    return {
        "title": "Soak",
        "text": (
            f"{run['seconds']:,.0f} s with {CONNECTIONS} connections at {rate:,.0f} requests/s ({rate / peak:.0%} of "
            f"the peak then), {SLOW} slow clients, and an upstream that was killed {run['lives']} times. Private "
            f"memory of all processes from {warm_up:,.0f} s on, over {measured:,.0f} s."
        ),
        "columns": ["at, s", "private KiB", "descriptors"],
        "rows": [[s["s"], s["private_kib"], s["fds"]] for s in run["samples"][:: max(len(run["samples"]) // 12, 1)]],
        "gates": gates,
        "slow": run["slow"], "flap": run["flap"], "steady": report,
        "machine": machine.facts(),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Runs, writes the JSON, prints the gates. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tools.raise_files()
    try:
        with tempfile.TemporaryDirectory(prefix="fastgw-soak-") as folder:
            document = judge(soak(options.seconds, Path(folder), lambda text: print(text, flush=True)))
    except tools.BenchError as e:
        print(f"soak: {e}", file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for gate in document["gates"]:
        print(f"{gate['verdict']:7} {gate['name']}: {gate['seen']:g} (bound {gate['bound']:g})")
    return int(any(gate["verdict"] == "missed" for gate in document["gates"]))


if __name__ == "__main__":
    sys.exit(main())
