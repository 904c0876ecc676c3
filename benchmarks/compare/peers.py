"""The proxies that are compared: each a folder with `peer.toml` (how to start it) and a configuration template.

Placeholders: @LISTEN@ and @ORIGIN@ ports, @DIR@ the run's own folder, @HERE@ the peer's, @LOG@ the access log's file,
and for those in `tls/` the files @CERT@, @KEY@ and @PEM@ (both in one). A table of `peer.toml` has one text for each
mode of a workload: `log` fills @ACCESS_LOG@, any other its own name in capitals.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.load import proc, tools

HERE = Path(__file__).resolve().parent
TLS = HERE / "tls"
ORDER = ["relay", "fastgw", "nginx", "haproxy", "envoy", "fastgw-python", "nginx-lua"]
TLS_ORDER = ["probe", "fastgw", "h2o", "haproxy", "nghttpx", "nginx"]
OPEN_LOG, JSON_LOG = "off", "json"
VERSION = re.compile(r"\d+\.\d+(\.\d+)?[\w.+~-]*")


class Absent(Exception):
    """The peer cannot run on this machine; the text says why."""


@dataclass(frozen=True)
class Peer:
    """One proxy as its peer.toml describes it."""

    name: str
    title: str
    role: str  # floor, subject, rival or context
    command: list[str]
    workloads: list[str]
    notes: str
    config: str | None = None
    version: list[str] = field(default_factory=list)
    tool: str | None = None  # a C program of ours to build first
    make: str | None = None  # a program of ours that the Makefile builds
    wheel: str | None = None  # a wheel to install in an environment of its own
    needs: list[str] = field(default_factory=list)  # files that must be there
    stdout: str | None = None  # "log": its standard output is the access log
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    home: Path = HERE  # where its folder is
    scheme: str = "http"


def load(name: str, home: Path = HERE) -> Peer:
    """Reads the folder of peer `name` in `home`."""
    data: dict[str, Any] = tomllib.loads((home / name / "peer.toml").read_text())
    texts = {key: value for key, value in data.items() if isinstance(value, dict)}
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    return Peer(name=name, texts=texts, home=home, scheme="https" if home == TLS else "http", **plain)


def stand_in(peer: Peer, command: str) -> Peer:
    """`peer` played by another program that takes the two ports as its last arguments and keeps no log."""
    words = [*shlex.split(command), "@LISTEN@", "@ORIGIN@"]
    workloads = [w for w in peer.workloads if w != "log"]
    return replace(
        peer,
        title=f"{peer.title} (stand-in)",
        command=words,
        config=None,
        version=[],
        workloads=workloads,
        notes=f"played by {Path(words[0]).name}, not by the gateway",
    )


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replaces every @NAME@ by its value. Raises BenchError for one that has none."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise tools.BenchError(f"no value for {match[0]}")
        return values[match[1]]

    return re.sub(r"@([A-Z_]+)@", value, text)


def program(peer: Peer) -> str:
    """The path of the peer's program. Raises Absent."""
    for file in peer.needs:
        if not Path(file).is_file():
            raise Absent(f"{file} is not installed")
    first = peer.command[0]
    if "/" not in first:
        found = shutil.which(first)
    else:
        matches = sorted(glob.glob(str(tools.ROOT / first)))
        found = matches[0] if matches else None
    if not found:
        raise Absent(f"{first} is not installed")
    return found


def install(peer: Peer) -> None:
    """Makes the peer's program exist where that is ours to do: builds our C tool, or installs the wheel."""
    if peer.tool:
        tools.build(peer.tool)
    if peer.make:
        subprocess.run(["make", "-s", peer.make], check=True, cwd=tools.ROOT, stdout=subprocess.DEVNULL)
    if not peer.wheel or glob.glob(str(tools.ROOT / peer.command[0])):
        return
    folder = tools.BUILD / f"{peer.name}-venv"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", peer.wheel]
    run = subprocess.run(pip, capture_output=True, text=True)
    if run.returncode:
        reason = run.stderr.strip().splitlines()
        raise Absent(f"pip cannot install {peer.wheel}: {reason[-1] if reason else 'no reason given'}")


def version(peer: Peer) -> str:
    """The version the program itself tells, or the empty string."""
    if not peer.version:
        return ""
    path = program(peer)
    run = subprocess.run([path, *peer.version[1:]], capture_output=True, text=True, timeout=30)
    found = VERSION.search((run.stdout + run.stderr).replace(path, ""))
    return found[0] if found else ""


class Running:
    """A started peer: use as a context manager. `pid` is its root process, `port` where it serves."""

    def __init__(
        self, peer: Peer, origin: int, mode: str = OPEN_LOG, core: int | None = None, tag: str = "run"
    ) -> None:
        self.peer = peer
        self.port = tools.free_port()
        self.dir = tools.BUILD / "run" / f"{peer.name}-{tag}"
        self.log: Path | None = self.dir / "access.log" if mode == JSON_LOG else None
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        argv = self._render(origin, mode)
        target = self.log if self.log and peer.stdout == "log" else self.dir / "stdout"
        environment = {**os.environ, "XDG_STATE_HOME": str(self.dir), "XDG_RUNTIME_DIR": str(self.dir)}
        with target.open("ab") as out, (self.dir / "stderr").open("ab") as err:
            self.process = subprocess.Popen(
                tools.pinned(core, argv), stdout=out, stderr=err, cwd=tools.ROOT, env=environment
            )
        self.pid = self.process.pid

    def _render(self, origin: int, mode: str) -> list[str]:
        values = {"LISTEN": str(self.port), "ORIGIN": str(origin), "DIR": str(self.dir), "LOG": str(self.log)}
        values["HERE"] = str(self.peer.home / self.peer.name)
        if self.peer.scheme == "https":
            values |= {name.upper(): str(path) for name, path in tools.certificate().items()}
        for table, texts in self.peer.texts.items():
            values["ACCESS_LOG" if table == "log" else table.upper()] = fill(texts[mode], values)
        if self.peer.config:
            template = (self.peer.home / self.peer.name / self.peer.config).read_text()
            (self.dir / self.peer.config).write_text(fill(template, values))
        return [program(self.peer), *(fill(word, values) for word in self.peer.command[1:])]

    def __enter__(self) -> Running:
        try:
            tools.wait_until_served(self.port, self.process, scheme=self.peer.scheme)
        except tools.BenchError as e:
            tools.stop(self.process)
            said = (self.dir / "stderr").read_text(errors="replace").strip().splitlines()[-5:]
            raise tools.BenchError("\n".join([f"{self.peer.title} does not start: {e}", *said])) from e
        return self

    def __exit__(self, *_: object) -> None:
        tools.stop(self.process)

    def usages(self) -> dict[int, proc.Usage]:
        """What each of its processes has used so far."""
        return {pid: proc.usage(pid) for pid in proc.tree(self.pid)}

    def workers(self) -> list[int]:
        """The pids that serve traffic."""
        return [pid for pid, what in proc.roles(self.pid).items() if what == "worker"]

    def log_lines(self) -> int:
        """Whole lines in the access log now."""
        if not self.log or not self.log.exists():
            return 0
        with self.log.open("rb") as f:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: f.read(1 << 20), b""))

    def log_clear(self) -> None:
        """Empties the access log in place; its writer appends, so it goes on from the start."""
        if self.log and self.log.exists():
            with self.log.open("r+b") as f:
                f.truncate(0)


def available(names: list[str], fastgw_bin: str | None = None, home: Path = HERE) -> tuple[list[Peer], dict[str, str]]:
    """The peers of `names` that can run here, and why the others cannot."""
    found, absent = [], {}
    for name in names:
        peer = load(name, home)
        if name == "fastgw" and fastgw_bin:
            peer = stand_in(peer, fastgw_bin)
        try:
            install(peer)
            program(peer)
        except Absent as e:
            absent[name] = str(e)
            print(f"absent: {peer.title}: {e}", file=sys.stderr)
            continue
        found.append(peer)
    return found, absent
