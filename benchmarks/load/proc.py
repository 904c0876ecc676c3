"""What Linux knows about processes and cores: CPU time, process trees, memory, steal. Read-only, from /proc.

Units are in the names: `_ns` nanoseconds, `_kib` KiB, `share` 0..1 of one core. A process that is gone raises `Gone`.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
WORKER_TITLE = re.compile(r"\w+: worker\b")  # nginx and fastgw name their processes so
CPUCLOCK_SCHED = 2  # linux/posix-timers.h: the scheduler's own count, in ns, threads that ended included


class Gone(Exception):
    """The process ended while it was looked at."""


@dataclass(frozen=True)
class Usage:
    """What one process has used since it began. `cpu_ns` is exact; user and system are its split, to a tick."""

    cpu_ns: int
    user_ns: int
    system_ns: int
    sleeps: int  # voluntary context switches of all threads: about one each time it ran out of work


@dataclass(frozen=True)
class Core:
    """Time of one core (or of all, summed) since boot, in ns."""

    busy_ns: int
    idle_ns: int
    steal_ns: int

    def since(self, before: Core) -> tuple[float, float]:
        """(busy share, steal share) of the time between `before` and this; steal is not busy."""
        busy, idle = self.busy_ns - before.busy_ns, self.idle_ns - before.idle_ns
        steal = self.steal_ns - before.steal_ns
        total = max(busy + idle + steal, 1)
        return busy / total, steal / total


def read(pid: int, name: str) -> str:
    """The text of /proc/PID/NAME."""
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError) as e:
        raise Gone(pid) from e


def stat_fields(text: str) -> list[str]:
    """The fields of a /proc/PID/stat line from the third (state) on; the name before them may hold anything."""
    return text[text.rindex(")") + 2 :].split()


def status_number(text: str, key: str) -> int:
    """The number of a `Key:  123 kB` line of a status-like file; 0 when there is none."""
    for line in text.splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def usage(pid: int) -> Usage:
    """CPU time and sleeps of `pid`, all its threads counted. Children are not."""
    try:
        cpu_ns = time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
        threads = os.listdir(PROC / str(pid) / "task")
    except OSError as e:
        raise Gone(pid) from e
    fields = stat_fields(read(pid, "stat"))
    sleeps = sum(status_number(read(pid, f"task/{t}/status"), "voluntary_ctxt_switches") for t in threads)
    return Usage(cpu_ns, int(fields[11]) * TICK_NS, int(fields[12]) * TICK_NS, sleeps)


def tree(root: int) -> list[int]:
    """`root` and all its living descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir(PROC):
        if entry.isdigit():
            try:
                parent = int(stat_fields(read(int(entry), "stat"))[1])
            except Gone:
                continue
            children.setdefault(parent, []).append(int(entry))
    found = [root]
    for pid in found:
        found.extend(sorted(children.get(pid, ())))
    return found


def command(pid: int) -> str:
    """The command line or title of `pid`, words joined by blanks."""
    return read(pid, "cmdline").replace("\0", " ").strip()


def role(pid: int, root: int, alone: bool) -> str:
    """What a process of a proxy is for: `worker` when its title says so or it is the only one, else `supervisor`."""
    if alone or WORKER_TITLE.match(command(pid)):
        return "worker"
    return "supervisor" if pid == root else "other"


def roles(root: int) -> dict[int, str]:
    """Every process of the tree under `root` with its role."""
    pids = tree(root)
    return {pid: role(pid, root, len(pids) == 1) for pid in pids}


def memory_kib(pid: int) -> dict[str, int]:
    """Memory of `pid` in KiB: resident, proportional and private-dirty, from smaps_rollup."""
    text = read(pid, "smaps_rollup")
    return {
        "rss_kib": status_number(text, "Rss"),
        "pss_kib": status_number(text, "Pss"),
        "private_dirty_kib": status_number(text, "Private_Dirty"),
    }


def parse_core(line: str) -> Core:
    """A `cpu…` line of /proc/stat. iowait counts as idle; guest time is already within user."""
    user, nice, system, idle, iowait, irq, softirq, steal = (int(v) * TICK_NS for v in line.split()[1:9])
    return Core(user + nice + system + irq + softirq, idle + iowait, steal)


def core(number: int | None = None) -> Core:
    """Time of core `number`, or of the whole machine."""
    name = "cpu" if number is None else f"cpu{number}"
    for line in (PROC / "stat").read_text().splitlines():
        if line.split(" ", 1)[0] == name:
            return parse_core(line)
    raise ValueError(f"no {name} in /proc/stat")
