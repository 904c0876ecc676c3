"""The fixture, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

from .configs import USERS

TESTS = f'''
import pytest
from fastgw.testing import gateway
USERS = """{USERS}"""

def test_fine(make_gateway):
    for _ in range(2):
        assert make_gateway(USERS).get("/hello").status == 200

def test_failing(make_gateway):
    make_gateway(USERS).client().send(b"GET")
    assert 0

def test_leaving(make_gateway):
    make_gateway(USERS).client().send(b"GET")
    gateway.DRAIN_MS, gateway.Peer.reset = 0, lambda peer: None
'''


def run(folder: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder).stdout


def test_it_closes_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["fastgw.testing.pytest_plugin"]\n')
    (tmp_path / "test_it.py").write_text(TESTS)
    said = run(tmp_path)
    assert "1 failed, 2 passed, 1 error" in said, said
    assert "ERROR test_it.py::test_leaving - fastgw.testing.errors.LeftOver" in said, said
    assert "FAILED test_it.py::test_failing - assert 0" in said, said


def test_it_is_not_loaded_by_itself(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(make_gateway): pass\n")
    said = run(tmp_path)
    assert "fixture 'make_gateway' not found" in said, said
