"""A whole gateway in a test: the real configuration loader, compiler and engine, no socket, no sleep, no process.

    from fastgw.testing import Gateway

    def test_users():
        with Gateway('''
            listeners: {web: {bind: "127.0.0.1:8080"}}
            upstreams: {users: {endpoints: ["127.0.0.1:9001"]}}
            routes: {users: {match: {prefix: /users}, strip_prefix: true, to: users}}
        ''') as gw:
            client = gw.client()                               # a connection to the first listener
            client.ask("GET", "/users/1")                      # or client.send(b"GET /users/1 HTTP/1.1 ...")
            users = gw.upstream("users").accept()              # the connection that the engine dialled
            assert users.request().path == "/1"
            users.reply(200, b"ok")
            assert client.response().status == 200

    gw.get("/hello")                                           # a client of its own, and its response
    gw.upstream("users").serve(lambda request: (200, b"ok"))   # answers whatever comes
    gw.advance("30s")                                          # the clock stands still otherwise
    gw.play(client >> Request("GET", "/users/1"), users << Request("GET", "/1"),
            users >> Response(200, b"ok"), client << Response(200, b"ok"))

Plugins run too: in an async test in its loop (`async with`), else in one on the gateway's clock. A `with` block that ends well ends in a check: whatever the engine still holds then is named by a LeftOver. What cannot be
played is what comes before the HTTP connection: accepting, PROXY lines and TLS; a client's `address` is the one that they
would have told.
"""  # noqa: E501

from .errors import LeftOver, NothingCame, PlayError, TestingError
from .gateway import Gateway
from .messages import Request, Response
from .peers import Client, Connection, Upstream
from .play import CLOSED, END, NOTHING, RESET, after

__all__ = [
    "CLOSED", "END", "NOTHING", "RESET", "Client", "Connection", "Gateway", "LeftOver", "NothingCame", "PlayError",
    "Request", "Response", "TestingError", "Upstream", "after",
]  # fmt: skip
