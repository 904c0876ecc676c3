"""Facts about the machine and the code that a result must carry to mean anything later."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def first_value(path: str, key: str) -> str:
    """The value of the first `key : value` line of a file like /proc/cpuinfo; empty when there is none."""
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def said(argv: list[str]) -> str:
    """The first line that a program prints, or empty when it is not there."""
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (run.stdout.strip().splitlines() or [""])[0]


def facts() -> dict[str, Any]:
    """CPU, kernel, compilers, time and commit; nothing that names a person, a host or a folder."""
    commit = said(["git", "rev-parse", "--short=12", "HEAD"])
    changed = bool(said(["git", "status", "--porcelain", "--untracked-files=no"]))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit + ("+changes" if commit and changed else ""),
        "cpu": first_value("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in first_value("/proc/cpuinfo", "flags").split(),
        "memory_mib": int(first_value("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "gcc": said(["gcc", "-dumpfullversion"]),
        "wrk": said(["wrk", "-v"]).partition("[")[0].removeprefix("wrk").strip(),
    }
