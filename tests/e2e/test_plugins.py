"""Plugins on the road of real requests: what hooks may do, with sockets on all sides."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers import origin, tell
from .plugged import ask, config, count, logged, route, send, server, whole
from .supervised import Gateway, gateway, until


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


@pytest.fixture
def up() -> Iterator[str]:
    with origin(tell) as made:
        yield made.address


def test_fields_of_both_heads_are_edited_and_the_log_has_tags(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'road:Edits'}"))).ready()
    got = ask(gw, "/a", {"X-Name": "joe", "X-Secret": "s"})
    assert got.sent["x-user"] == "JOE" and "x-secret" not in got.sent
    assert got.fields["x-seen"] == "all 200"
    assert logged(gw)[0]["tags"] == {"user": "JOE"}
    assert count(gw, "calls_total", "road:Edits") == 2


def test_a_refusal_is_the_plugins_own_and_the_log_names_it(gw: Gateway, up: str) -> None:
    gw.start(config(gw, up, route("all", "{use: 'road:KeyAuth', with: {keys: [k1, k2]}, name: keys}"))).ready()
    got = ask(gw, "/a")
    assert (got.status, got.body, got.fields["www-authenticate"]) == (401, b"no key\n", "Key")
    assert ask(gw, "/a", {"x-api-key": "k3"}).status == 401
    assert ask(gw, "/a", {"x-api-key": "k2"}).status == 200
    refused = next(line for line in logged(gw, 3) if line["status"] == 401)
    assert refused["plugin"] == "keys"
    assert count(gw, "replies_total", "keys") == 2 and count(gw, "calls_total", "keys") == 3


def test_steps_run_in_order_and_their_replies_in_reverse(gw: Gateway, up: str) -> None:
    steps = "{headers: {set: {x-name: ann}}}", "{use: 'road:Edits'}", "{use: 'road:KeyAuth', with: {keys: [k]}}"
    gw.start(config(gw, up, route("all", *steps))).ready()
    assert ask(gw, "/a", {"x-api-key": "k", "x-name": "joe"}).sent["x-user"] == "ANN"
    got = ask(gw, "/a")
    assert got.status == 401 and got.fields["x-seen"] == "all 401", "a refusal passes the reply hooks of earlier steps"


@pytest.mark.parametrize("path", ["/asyncio", "/anyio"])
def test_a_hook_asks_a_server_while_others_are_served(gw: Gateway, up: str, path: str) -> None:
    """It waits for real input; the same worker serves a route without plugins meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as names:
        step = f"{{use: 'road:LookUp', with: {{port: {names.getsockname()[1]}}}}}"
        plain = route("plain", to="{static: {body: plain}}")
        gw.start(config(gw, up, plain, route("all", step))).ready()
        for answer in (b"joe\n", b"\n"):
            waiting = send(gw, path)
            asked, _ = names.accept()
            with asked:
                assert ask(gw, "/plain").body == b"plain"
                assert count(gw, "waiting", "road:LookUp") == 1
                asked.sendall(answer)
                got = whole(waiting)
            assert got.startswith(b"HTTP/1.1 200" if answer == b"joe\n" else b"HTTP/1.1 403")
            assert (b'"x-user": ["joe"]' in got) == (answer == b"joe\n")
    assert ask(gw, path).status == 503, "nobody listens now"
    until(lambda: count(gw, "waiting", "road:LookUp") == 0, "none waits")


def test_a_thousand_requests_wait_at_once_and_none_is_lost(gw: Gateway, up: str) -> None:
    number = 1000
    with server(gw.folder / "told") as names:
        waiting = route("all", names.step(budget_ms="600000"), to="{static: {body: passed}}")
        gw.start(config(gw, up, waiting) + "limits: {connections: 5000}\n").ready()
        clients = [send(gw) for _ in range(number)]
        names.waiting(number)
        assert count(gw, "waiting", "road:Wait") == number
        names.release()
        bodies = [whole(client) for client in clients]
        assert all(body.endswith(b"\r\n\r\npassed") for body in bodies)
        assert count(gw, "waiting", "road:Wait") == 0 and count(gw, "calls_total", "road:Wait") == number


def test_routes_with_the_same_settings_share_an_instance_and_others_do_not(gw: Gateway, up: str) -> None:
    with server(gw.folder / "told") as names:
        other = names.step().replace("/told", "/told2")
        steps = [route("a", names.step()), route("b", names.step()), route("c", other)]
        gw.start(config(gw, up, *steps)).ready()
        assert len(names.told("started")) == 1
        assert len((gw.folder / "told2").read_text().splitlines()) == 1
        gw.stop()
        assert len(names.told("stopped")) == 1, "the end of the gateway is the end of its plugins"
