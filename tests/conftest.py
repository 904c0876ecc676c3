"""Shared by all Python tests: where the checkout is, and the totals that `make test` adds up."""
from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Leave "passed failed" in build/totals/pytest, where scripts/run-tests reads it."""
    count = {key: len(terminalreporter.stats.get(key, [])) for key in ("passed", "xpassed", "failed", "error")}
    totals = ROOT / "build" / "totals"
    totals.mkdir(parents=True, exist_ok=True)
    passed, failed = count["passed"] + count["xpassed"], count["failed"] + count["error"]
    (totals / "pytest").write_text(f"{passed} {failed}\n")
