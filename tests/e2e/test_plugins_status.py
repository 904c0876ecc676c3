"""What /status tells of plugins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .peers import origin, tell
from .plugged import ask, config, route, send, server, whole
from .supervised import Gateway, gateway, until


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def up() -> Iterator[str]:
    with origin(tell) as made:
        yield made.address


def rows(gw: Gateway) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in gw.status()["plugins"]}


def test_a_row_for_each_plugin(gw: Gateway, up: str) -> None:
    steps = "{use: 'road:Edits'}", "{use: 'road:KeyAuth', with: {keys: [k]}, name: keys}"
    raises = route("bad", "{use: 'faults:Raises', fail: open}")
    gw.start(config(gw, up, raises, route("all", *steps), workers=2)).ready()
    assert ask(gw, "/a").status == 401
    assert ask(gw, "/a", {"x-api-key": "k"}).status == ask(gw, "/bad").status == 200
    found = rows(gw)
    assert set(found) == {"faults:Raises", "keys", "road:Edits"}
    assert found["keys"] | {"seconds": 0} == {
        "name": "keys", "use": "road:KeyAuth", "hooks": ["access"], "loaded": [0, 1], "instances": 2, "calls": 2,
        "replies": 1, "failures": 0, "timeouts": 0, "cancelled": 0, "blocked": 0, "waiting": 0, "seconds": 0,
    }  # fmt: skip
    assert found["keys"]["seconds"] > 0
    assert found["road:Edits"]["hooks"] == ["access", "reply"] and found["road:Edits"]["calls"] == 4
    assert found["faults:Raises"]["calls"] == found["faults:Raises"]["failures"] == 1
    assert gw.reload(config(gw, up, route("all"), workers=2))["ok"]
    assert gw.status()["plugins"] == []


def test_what_lives_is_counted(gw: Gateway, up: str) -> None:
    """A request that waits, its view, and the instance of an older configuration that it keeps."""

    def held() -> dict[str, int]:
        live = gw.status()["workers"][0]["live"]
        return {name: live[f"hooks_{name}"] for name in ("plugins", "bound", "requests", "waiting")}

    with server(gw.folder / "told") as names:
        gw.start(config(gw, up, route("all", names.step(name="wait", budget_ms="600000")))).ready()
        client = send(gw)
        names.waiting(1)
        assert rows(gw)["wait"]["waiting"] == rows(gw)["wait"]["instances"] == 1
        assert held() == {"plugins": 1, "bound": 1, "requests": 1, "waiting": 1}
        other = names.step(name="wait", budget_ms="600000").replace("/told", "/told2")
        assert gw.reload(config(gw, up, route("all", other)))["ok"]
        assert held() == {"plugins": 2, "bound": 2, "requests": 1, "waiting": 1}
        assert rows(gw)["wait"]["instances"] == 2
        names.release()
        assert b" 200 " in whole(client)
        until(lambda: held()["requests"] == held()["waiting"] == 0, "nothing left of the request")
        until(lambda: rows(gw)["wait"]["instances"] == 1, "the old instance's end")
        assert rows(gw)["wait"]["waiting"] == 0
