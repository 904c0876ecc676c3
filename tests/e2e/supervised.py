"""A gateway as its own process, for tests of what the supervisor does: start it, look at it, stop whatever is left."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 30.0  # a bound for what must happen, not a measure of how fast


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until the condition is true; its value. AssertionError after a long while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen: {what}")


class UnixHTTP(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


def connect(address: str) -> http.client.HTTPConnection:
    """A client for `host:port`, `[v6]:port` or `unix:/path`."""
    if address.startswith("unix:"):
        return UnixHTTP(address[5:])
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=10)


def get(address: str, path: str) -> tuple[int, str]:
    """Status and body of one GET on a connection of its own."""
    client = connect(address)
    try:
        client.request("GET", path, headers={"connection": "close"})
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


class Gateway:
    """`fastgw run` on a configuration in a folder of its own. Addresses are known once it is `ready`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "fastgw.yaml"
        self.child: subprocess.Popen[bytes] | None = None
        self.stderr = folder / "stderr"

    def write(self, text: str) -> None:
        """Replace the configuration, whole."""
        temporary = self.config.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.config)

    def start(self, text: str | None = None, *arguments: str, env: dict[str, str] | None = None) -> "Gateway":
        """Start; do not wait."""
        if text is not None:
            self.write(text)
        state, runtime = self.folder / "state", self.folder / "run"
        runtime.mkdir(exist_ok=True)
        names = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET")
        environment = {key: value for key, value in os.environ.items() if key not in names}
        environment |= {"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(runtime), **(env or {})}
        command = [sys.executable, "-m", "fastgw.cli", "run", "-c", str(self.config), *arguments]
        with open(self.stderr, "ab") as stderr:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=environment, start_new_session=True
            )
        return self

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    # -- what it says
    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Its JSON lines on stderr, all or those of one event."""
        found = []
        for line in self.stderr.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and event in ("", row.get("event")):
                    found.append(row)
        return found

    def line(self, event: str, number: int = 1) -> dict[str, Any]:
        """Wait for the number-th line of an event."""
        def find() -> dict[str, Any] | None:
            assert self.child is not None
            found = self.lines(event)
            if len(found) >= number:
                return found[number - 1]
            assert self.child.poll() is None or event == "stopped", self.stderr.read_text(errors="replace")
            return None

        return until(find, f"{event} #{number}; it said:\n{self.stderr.read_text(errors='replace')}")

    def ready(self, number: int = 1) -> "Gateway":
        """Wait until it serves."""
        self.line("ready", number)
        return self

    def address(self, listener: str = "web", ready: int = 1) -> str:
        """A listener's first address, from the ready line."""
        found = [each.partition("=") for each in self.line("ready", ready)["listeners"]]
        return next(address for name, _, address in found if name == listener)

    def admin(self, path: str) -> tuple[int, str]:
        return get(self.line("ready")["admin"], path)

    def status(self) -> dict[str, Any]:
        code, body = self.admin("/status")
        assert code == 200, body
        return json.loads(body)

    def workers(self) -> dict[int, int]:
        """Column → pid of the workers that serve."""
        return {row["column"]: row["pid"] for row in self.status()["workers"] if row["state"] == "live"}

    def get(self, path: str = "/", listener: str = "web") -> tuple[int, str]:
        return get(self.address(listener), path)

    # -- what is done to it
    def send(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def reload(self, text: str) -> dict[str, Any]:
        """A new configuration and HUP; the reload's row in /status."""
        reloads = self.status()["reloads"]
        before = reloads["applied"] + reloads["refused"]
        self.write(text)
        self.send(signal.SIGHUP)

        def done() -> dict[str, Any] | None:
            now = self.status()["reloads"]
            return now["last"][-1] if now["applied"] + now["refused"] > before else None

        return until(done, "the reload")

    def wait(self) -> int:
        """Its exit code."""
        assert self.child is not None
        return self.child.wait(PATIENCE)

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Signal, and wait for its end."""
        self.send(signum)
        return self.wait()

    def clean(self) -> None:
        """End what a test has left."""
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    """A gateway that does not outlive the block."""
    made = Gateway(folder)
    try:
        yield made
    finally:
        made.clean()


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Processes whose parent this is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


class Origin:
    """A tiny upstream: answers every request with its own name, and closes."""

    def __init__(self, name: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self._sock = socket.create_server((host, port))
        self.port = self._sock.getsockname()[1]
        self._name = name.encode()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._sock.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.recv(65_536)
                head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(self._name)
                peer.sendall(head + self._name)

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(10)
