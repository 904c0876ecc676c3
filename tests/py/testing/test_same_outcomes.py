"""The tables of hostile messages that tests/hostile sends through live sockets come out the same over memory sides."""

from collections import Counter

from fastgw.testing import Client, Connection, Gateway, NothingCame, Upstream
from tests.hostile.reply_rows import ReplyRow, reply_rows
from tests.hostile.test_http1 import ROWS, Row

CONFIG = """
listeners: {web: {bind: "127.0.0.1:8080"}}
upstreams: {origin: {endpoints: ["127.0.0.1:9001"]}}
routes: {all: {match: {prefix: "/"}, to: origin}}
timeouts: {head: 2s, body: 2s}
limits: {body: 1GiB}
"""


def statuses(client: Client, gw: Gateway, count: int) -> list[int | None]:
    found: list[int | None] = []
    while len(found) < count:
        try:
            found.append(client.response().status)
        except NothingCame:
            if gw.now > 60_000:
                return found
            gw.advance("3s")
    return found


def client_row(gw: Gateway, row: Row) -> str:
    """What is wrong; empty: nothing."""
    seen: Counter[str] = Counter()
    bodies: list[bytes] = []

    def origin(request):
        seen[request.path] += 1
        bodies.append(request.body)
        return 200, "ok\n"

    gw.upstream("origin").serve(origin)
    client = gw.client()
    client.send(row.raw.replace(b"/P", b"/row"))
    got = statuses(client, gw, len(row.status))
    if tuple(got) != row.status:
        return f"answers {got}, owed {row.status}"
    if row.closed:
        gw.advance("10s")
        if not client.closed or client.left(False):
            return "not closed, or something was answered behind the last answer"
    elif client.get("/probe").body != b"ok\n":
        return "out of step"
    if seen["/row"] != row.whole:
        return f"{seen['/row']} requests came, {row.whole} are right"
    if row.body is not None and bodies[0] != row.body:
        return f"body {bodies[0]!r}"
    return ""


def test_clients() -> None:
    wrong = {}
    for number, row in enumerate(ROWS):
        with Gateway(CONFIG) as gw:
            if said := client_row(gw, row):
                wrong[f"{number} {row.name}"] = said
    assert len(ROWS) > 300
    assert not wrong, wrong


def answer(origin: Upstream, row: ReplyRow) -> int:
    """Say the row's bytes to each request that comes. How many came."""
    count = 0
    connection: Connection | None = None
    while True:
        if origin.waiting:
            connection = origin.accept()
        if connection is None or connection.next_message() is None:
            return count
        count += 1
        connection.send(row.raw)
        if row.then == "reset":
            connection.reset()
        elif row.then == "close":
            connection.close()


def reply_row(gw: Gateway, row: ReplyRow) -> str:
    """What is wrong; empty: nothing."""
    origin, client = gw.upstream("origin"), gw.client()
    client.ask(row.method, "/reply")
    count = answer(origin, row)
    response = client.response(complete=False)
    whole = response.complete and not client.left(False)
    if (response.status, whole) != (row.status, row.whole):
        return f"{response.status} {whole}, owed {row.status} {row.whole}"
    if row.body is not None and response.body != row.body:
        return f"body {response.body!r}"
    if not 1 <= count <= 2:
        return f"asked {count} times"
    if row.bad and not all(each.closed for each in origin.connections):
        return "a spoiled connection was kept"
    if not row.whole:
        return "" if client.closed else "not closed"
    client.ask("GET", "/probe")
    probe = origin.accept() if row.bad else origin.connections[-1]
    probe.reply(200, "ok\n")
    return "" if client.response().body == b"ok\n" else "out of step"


def test_upstreams() -> None:
    wrong = {}
    rows = reply_rows()
    for number, row in enumerate(rows):
        with Gateway(CONFIG) as gw:
            if said := reply_row(gw, row):
                wrong[f"{number} {row.name}"] = said
    assert len(rows) > 80
    assert not wrong, wrong
