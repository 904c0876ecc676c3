"""The kept document: where, with which rights, and whole or not at all."""

import os
from pathlib import Path

import pytest

from fastgw.control import notify
from fastgw.control.snapshot import changed
from fastgw.control.state import LastGood, runtime_directory, state_candidates


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "fastgw"


def test_what_is_kept_is_found_and_private(tmp_path: Path, state: Path) -> None:
    kept = LastGood(tmp_path / "gw.json")
    assert kept.find() is None
    path = kept.keep(b"{}")
    assert path.parent == state and path.suffix == ".json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert kept.find() == path
    kept.keep(b"new")
    assert path.read_bytes() == b"new"
    assert list(state.iterdir()) == [path]


def test_gateways_do_not_share_a_document(tmp_path: Path, state: Path) -> None:
    assert LastGood(tmp_path / "a.yaml").keep(b"a") != LastGood(tmp_path / "b.yaml").keep(b"b")


def test_the_service_managers_folder_comes_first(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state_candidates(tmp_path / "a.yaml")[0] == Path("/var/lib/one")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    assert runtime_directory() == Path("/run/one")


def test_a_folder_that_cannot_be_used_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    kept = LastGood(tmp_path / "gw.yaml")
    kept._folders = [tmp_path / "file" / "fastgw", tmp_path / ".fastgw"]
    assert kept.keep(b"x").parent == tmp_path / ".fastgw"
    kept._folders = kept._folders[:1]
    with pytest.raises(OSError, match="Not a directory|File exists"):
        kept.keep(b"x")


def test_changes_have_signs() -> None:
    old = {"route a": "1", "route b": "1", "upstream c": "1"}
    new = {"route a": "2", "upstream c": "1", "route d": "1"}
    assert changed(old, new) == ["~ route a", "- route b", "+ route d"]


def test_notify_without_a_manager_does_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify.notify("READY=1")
    assert not os.path.exists(tmp_path / "nobody")
