"""docs/plugins.md and examples/plugins.yaml are true: what they show runs, and every test that they name is there."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import Origin, free_port, origin, tell
from .plugged import ask, count, logged, said
from .supervised import Gateway, gateway

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/plugins.md").read_text()


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        (tmp_path / "plugins").mkdir()
        yield made


@pytest.fixture
def up() -> Iterator[Origin]:
    with origin(tell) as made:
        yield made


def at(text: str, up: Origin) -> str:
    """A configuration of the page with addresses of the test."""
    assert "127.0.0.1:8080" in text and "127.0.0.1:9001" in text
    return text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:9001", up.address)


def test_the_first_screen_of_the_page_works_as_it_stands(gw: Gateway, up: Origin) -> None:
    python, config = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)[0] for kind in ("python", "yaml"))
    assert python.startswith("# plugins/keys.py\n") and config.startswith("# gateway.yaml\n")
    (gw.folder / "plugins/keys.py").write_text(python)
    gw.write(at(config, up) + 'admin: {bind: "127.0.0.1:0"}\n')
    command = [sys.executable, "-m", "fastgw.cli", "check", "-c", str(gw.config)]
    subprocess.run(command, check=True, capture_output=True)
    gw.start().ready()
    assert ask(gw, "/").status == 401
    assert ask(gw, "/", {"x-api-key": "sesame"}).sent["x-user"] == "ann"


def test_the_test_on_the_page_passes_and_can_fail(tmp_path: Path) -> None:
    plugin, test = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "gateway.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.S)[0])
    (tmp_path / "test_keys.py").write_text(test)
    for wanted, text in (("2 passed", plugin), ("2 failed", plugin.replace("if user is None", "if user"))):
        (tmp_path / "plugins/keys.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "test_keys.py"]
        assert wanted in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout


def test_every_row_of_faults_names_a_test_that_is_there() -> None:
    table = PAGE.partition("## When things go wrong")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_plugins*.py"))
    assert len(rows) >= 15
    for row in rows:
        assert (named := re.search(r"`(test_\w+)` \|$", row)), row
        assert f"def {named[1]}(" in sources, row


def directory(sock: socket.socket) -> None:
    """ann is in a team; who is asked for when the gateway starts is not."""
    while True:
        try:
            peer, _ = sock.accept()
        except OSError:
            return
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"red\n" if lines.readline() == b"ann\n" else b"\n")


def test_the_examples(gw: Gateway, up: Origin) -> None:
    for file in (ROOT / "examples/plugins").glob("*.py"):
        (gw.folder / "plugins" / file.name).write_text(file.read_text())
    port = free_port()
    text = at((ROOT / "examples/plugins.yaml").read_text(), up).replace("port: 9100", f"port: {port}")
    text += f'admin: {{bind: "127.0.0.1:0"}}\nlog: {{access: {{to: {gw.folder}/access.log}}}}\nworkers: 1\n'
    gw.start(text)
    assert gw.wait() != 0, "the directory does not answer yet"
    assert "plugin teams: start() failed" in said(gw, "teams")
    with socket.create_server(("127.0.0.1", port)) as sock:
        threading.Thread(target=directory, args=(sock,), daemon=True).start()
        gw.stderr.unlink()
        gw.start().ready()
        refused = ask(gw, "/api")
        assert (refused.status, refused.body, refused.fields["www-authenticate"]) == (401, b"a key, please\n", "Key")
        passed = ask(gw, "/api", {"x-api-key": "sesame"})
        assert passed.sent["x-user"] == "ann" and "x-api-key" not in passed.sent
        assert passed.fields["x-request-id"]
        for _ in range(2):
            assert ask(gw, "/teams", {"x-api-key": "sesame"}).sent["x-team"] == "red"
        assert {"user": "ann"} in [row.get("tags") for row in logged(gw, 4)]
        assert count(gw, "calls_total", "teams") == 2
        sock.shutdown(socket.SHUT_RDWR)
