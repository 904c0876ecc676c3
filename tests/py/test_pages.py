"""What README.md and docs/testing.md show first works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastgw.cli import main
from fastgw.testing import Gateway

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the gateway.yaml of the README."""
    found = re.search(r"```yaml\n(# gateway.yaml\n.*?)```", README, re.S)
    assert found
    (tmp_path / "gateway.yaml").write_text(found[1])
    monkeypatch.chdir(tmp_path)


def test_the_configuration_fits_the_upstreams_of_the_demo() -> None:
    with Gateway(Path("gateway.yaml")) as gw:
        gw.upstream("users").serve(lambda request: request.path.encode())
        gw.upstream("orders").serve(lambda request: request.path.encode())
        assert gw.get("/hello").body == b"hello\n"
        assert gw.get("/users/1").body == b"/1"
        assert gw.get("/orders/1").body == b"/orders/1"


@pytest.mark.parametrize("command", ["check", "explain"])
def test_the_commands_do_what_is_said(command: str) -> None:
    line = re.search(rf"^fastgw {command} .*$", README, re.M)
    assert line
    done = CliRunner().invoke(main, shlex.split(line[0], comments=True)[1:])
    assert done.exit_code == 0, done.output
    assert {"check": "no problems", "explain": "route: users"}[command] in done.output


def test_the_first_test_of_docs_testing_passes() -> None:
    text = re.search(r"```python\n(.*?)```", (ROOT / "docs/testing.md").read_text(), re.S)
    assert text
    names: dict[str, object] = {}
    exec(text[1], names)
    names["test_users"]()  # type: ignore[operator]
