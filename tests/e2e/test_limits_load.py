"""Limits under load with workers that are killed, shortly; `make bench-limits` is the long run."""

import json
from pathlib import Path

from benchmarks.load import limits
from tests.programs import program


def test_what_must_hold_holds(tmp_path: Path) -> None:
    program("wrk")
    out = tmp_path / "limits.json"
    size = ["--burst", "1000", "--rate", "200", "--keys", "2000"]
    code = limits.main(["--seconds", "3", "--keys-seconds", "2", *size, "--out", str(out)])
    assert code == 0, out.read_text() if out.exists() else code
    assert json.loads(out.read_text())["met"] is True
