"""scripts/bootstrap on machines that lack something. apt-get, apt-cache, id and pip are played: nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUBS = {
    "id": 'echo "${PLAYED_UID:-0}"',
    "apt-cache": '[ "$2" != h2o ]',
    "apt-get": 'echo "apt-get $*" >>"$PLAYED"\n'
    'case "$* " in *" install "*" wrk "*) ln -sf "$(command -v true)" "$BIN/wrk" ;; esac',
}
PYTHON = f"""
case "$1 $2" in "-m pip") echo "pip $*" >>"$PLAYED"; exit ;; esac
exec {sys.executable} "$@"
"""


class Machine:
    """A checkout with a `.venv`, and a PATH of this machine's programs but for some."""

    def __init__(self, folder: Path) -> None:
        self.top, self.bin, self.played = folder / "top", folder / "bin", folder / "played"
        (self.top / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "scripts/bootstrap", self.top / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.top)
        for place in ("/usr/bin", "/bin"):
            for file in Path(place).iterdir():
                if not (self.bin / file.name).is_symlink():
                    (self.bin / file.name).symlink_to(file)
        for name in ("h2o", "nginx", "haproxy", "nghttpx"):  # whose installation would look after services
            if not (self.bin / name).exists():
                (self.bin / name).symlink_to("/bin/true")
        self.lack("sudo", "dnf", "apk")
        (self.top / ".venv/bin").mkdir(parents=True)
        self.write(self.top / ".venv/bin/python", PYTHON)
        for name, text in STUBS.items():
            self.write(self.bin / name, text)

    @staticmethod
    def write(file: Path, text: str) -> None:
        file.unlink(missing_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def lack(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink(missing_ok=True)

    def run(self, what: str, **env: str) -> tuple[int, str, str]:
        """(exit code, what was said, what was asked of apt-get and pip)"""
        self.played.write_text("")
        known = {"PATH": str(self.bin), "BIN": str(self.bin), "PLAYED": str(self.played), "HOME": str(self.top)}
        kept = {name: os.environ[name] for name in ("CC", "CCACHE_DIR") if name in os.environ}
        done = subprocess.run(["sh", self.top / "scripts/bootstrap", what], env=kept | known | env, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return done.returncode, done.stderr, self.played.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_no_package_brings_is_named_and_the_rest_is_installed(machine: Machine) -> None:
    machine.lack("h2o", "wrk")
    code, said, asked = machine.run("test")
    assert code == 0, said
    installs = [line for line in asked.splitlines() if " install " in line]
    assert installs and all(" h2o" not in line for line in installs) and " wrk" in installs[0]
    told = [line for line in said.splitlines() if "goes on without" in line]
    assert len(told) == 1 and "h2o" in told[0] and "wrk" not in told[0]
    assert sum(line.startswith("pip -m pip install ") for line in asked.splitlines()) == 2
    assert machine.run("test") == machine.run("run") == (0, "", ""), "done before: nothing is asked of anyone"


def test_without_root_the_line_to_type_is_said_each_time(machine: Machine) -> None:
    machine.lack("h2o", "wrk")
    for _ in range(2):
        code, said, asked = machine.run("test", PLAYED_UID="1000")
        assert code == 0 and "apt-get" not in asked
        line = next(line for line in said.splitlines() if "  apt-get install " in line)
        assert {"h2o", "wrk"} <= set(line.split())


def test_what_the_build_needs_must_be_there(machine: Machine) -> None:
    for env in ({"PLAYED_UID": "1000"}, {"FGW_NO_INSTALL": "1"}):
        code, said, asked = machine.run("run", CC="/no/such/cc", **env)
        assert (code, asked) == (2, "")
        assert "missing: a C compiler, OpenSSL, " in said and "build-essential" in said and "libssl-dev" in said
    code, said, asked = machine.run("run", CC="/no/such/cc")
    assert code == 2 and "still missing after the installation: a C compiler" in said and " install " in asked


def test_a_changed_pyproject_is_looked_at_again(machine: Machine) -> None:
    assert machine.run("run")[0] == 0
    assert machine.run("run") == (0, "", "")
    with open(machine.top / "pyproject.toml", "a") as file:
        file.write("\n# more\n")
    assert machine.run("run")[2].startswith("pip ")
