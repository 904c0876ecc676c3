"""Shared by all Python tests: where the checkout is, and the totals that `make test` adds up."""
from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Take all the descriptors there are: a shell begins with 1,024, less than a thousand connections have ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever gateway a test starts keeps its state here: run by root it would write to /var/lib and /run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")):
            patch.setenv(name, str(tmp_path_factory.mktemp(folder)))
        for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"):
            patch.delenv(name, raising=False)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Leave "passed failed" in build/totals/pytest, where scripts/run-tests reads it.

    FGW_NO_SKIPS, when not empty: where everything can be had a skipped test is a failed one."""
    keys = ("passed", "xpassed", "failed", "error", "skipped")
    count = {key: len(terminalreporter.stats.get(key, [])) for key in keys}
    totals = ROOT / "build" / "totals"
    totals.mkdir(parents=True, exist_ok=True)
    passed, failed = count["passed"] + count["xpassed"], count["failed"] + count["error"]
    if os.environ.get("FGW_NO_SKIPS") and count["skipped"]:
        terminalreporter.write_line(f"FGW_NO_SKIPS: {count['skipped']} skipped, which counts as failed", red=True)
        failed += count["skipped"]
    (totals / "pytest").write_text(f"{passed} {failed}\n")
