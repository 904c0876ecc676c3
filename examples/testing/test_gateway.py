"""Tests of a configuration, as its author writes them: `pytest examples/testing`. No sockets, no sleep."""

from pathlib import Path

import pytest

from fastgw.testing import CLOSED, RESET, Gateway, Request, Response, after

EXAMPLES = Path(__file__).resolve().parents[1]


def test_a_tenant_has_its_own_limit() -> None:
    with Gateway(EXAMPLES / "rate-limit.yaml") as gw:
        gw.upstream("api").serve(b"found")

        def search(tenant: str) -> int | None:
            return gw.get(f"/tenants/{tenant}/search", {"x-api-key": "k", "x-cost": "25"}).status

        assert [search("a") for _ in range(3)] == [200, 200, 429]  # 50 at once, and each costs 25
        assert search("b") == 200
        gw.advance("2.5s")  # 10 come back each second
        assert [search("a"), search("a")] == [200, 429]


def test_at_most_two_reports_of_one_client() -> None:
    with Gateway(EXAMPLES / "rate-limit.yaml") as gw:
        clients = [gw.client(address="192.0.2.7") for _ in range(3)]
        for client in clients:
            client.ask("GET", "/reports/1")
        assert clients[2].response().json()["reason"] == "concurrency_limited"
        gw.upstream("api").serve(b"a report")
        assert [client.response().body for client in clients[:2]] == [b"a report"] * 2


CONFIG = """
    listeners: {web: {bind: "127.0.0.1:8080"}}
    upstreams: {users: {endpoints: ["10.0.0.1:9001"]}}
    routes:
      users: {match: {prefix: /users}, strip_prefix: true, to: users}
      old: {match: {prefix: /people}, to: {redirect: {to: "/users", status: 308}}}
"""


@pytest.fixture
def gw():
    with Gateway(CONFIG) as gateway:
        yield gateway


def test_the_upstream_sees_the_path_without_its_prefix(gw) -> None:
    client = gw.client(address="198.51.100.9")
    client.ask("GET", "/users/7?full=1", {"connection": "x-hop", "x-hop": "only for the next"})
    request = gw.upstream("users").accept().request()
    assert request.path == "/7?full=1"
    assert request.header("x-forwarded-for") == "198.51.100.9"
    assert request.header("x-hop") is None


def test_the_old_path_is_redirected(gw) -> None:
    assert gw.get("/people/7").status == 308


def test_an_upstream_that_dies_while_it_answers(gw) -> None:
    client, users = gw.client(), gw.upstream("users")
    gw.play(
        client >> Request("GET", "/users/7"),
        users << Request("GET", "/7", headers={"host": "test"}),
        after("10s"),
        users >> b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe first part",
        client << Response(200, b"the first part", complete=False),
        users >> RESET,
        client << CLOSED,
    )
    assert gw.log[-1]["reason"] == "upstream_truncated"


def test_an_upstream_that_never_answers(gw) -> None:
    client, users = gw.client(), gw.upstream("users")
    gw.play(
        client >> Request("GET", "/users/7"),
        users << Request("GET", "/7"),
        after("30s"),
        client << Response(504, headers={"content-type": "application/problem+json"}),
        users << CLOSED,
    )
