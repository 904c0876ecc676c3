"""Limits over HTTP: exact over workers, kept over reloads, told to clients, log and metrics, and not lost by deaths."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .peers import Origin
from .supervised import Gateway, gateway, until

TOP = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
log: {{access: {{to: {folder}/access.log}}}}
"""
HELLO = "to: {static: {body: hello}}"


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        yield made


def config(gw: Gateway, *routes: str, upstream: str = "") -> str:
    ups = f"upstreams: {{slow: {{endpoints: ['{upstream}']}}}}\n" if upstream else ""
    return TOP.format(folder=gw.folder) + ups + "routes:\n" + "".join(f"  {route}\n" for route in routes)


def route(name: str, *steps: str, to: str = HELLO) -> str:
    return f"{name}: {{match: {{prefix: /{name}}}, chain: [{', '.join(steps)}], {to}}}"


def ask(gw: Gateway, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, fields (lower case) and body of one request on a connection of its own."""
    host, _, port = gw.address().rpartition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        client.request("GET", path, headers=headers or {})
        answer = client.getresponse()
        found: dict[str, str] = {}
        for name, value in answer.getheaders():
            found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
        return answer.status, found, answer.read()
    finally:
        client.close()


def statuses(gw: Gateway, path: str, times: int, headers: dict[str, str] | None = None) -> list[int]:
    return [ask(gw, path, headers)[0] for _ in range(times)]


def metric(gw: Gateway, name: str) -> dict[str, float]:
    """Labels → value of one metric."""
    page = gw.admin("/metrics")[1]
    return {labels: float(value) for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", page, re.M)}


def logged(gw: Gateway, lines: int) -> list[dict[str, Any]]:
    """The access log, once it has so many lines; those of two workers are in no order."""
    def find() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (gw.folder / "access.log").read_text().splitlines()]
        return found if len(found) == lines else []

    return until(find, f"{lines} lines")


def test_two_workers_and_64_connections_pass_exactly_the_burst(gw: Gateway) -> None:
    steps = "{rate_limit: {rate: 1/d, burst: 31}}", "{rate_limit: {rate: 10/h, burst: 700}}"
    gw.start(config(gw, route("a", steps[0]), route("b", steps[1]))).ready()
    host, _, port = gw.address().rpartition(":")

    def client(_: int) -> tuple[int, int]:
        passed = refused = 0
        conn = http.client.HTTPConnection(host, int(port), timeout=30)
        for _ in range(25):
            conn.request("GET", "/b")
            answer = conn.getresponse()
            answer.read()
            passed, refused = passed + (answer.status == 200), refused + (answer.status == 429)
        conn.close()
        return passed, refused

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        counts = list(pool.map(client, range(64)))
    assert sum(passed for passed, _ in counts) == 700
    assert sum(refused for _, refused in counts) == 64 * 25 - 700
    assert statuses(gw, "/a", 40).count(200) == 31
    limits = metric(gw, "fgw_limit_requests_total")
    assert limits['limit="b#1",result="allowed"'] == 700
    assert limits['limit="b#1",result="limited"'] == 900


def test_what_a_refusal_says(gw: Gateway) -> None:
    gw.start(config(gw, route("a", "{rate_limit: {rate: 2/m, burst: 2, name: api}}"))).ready()
    status, fields, _ = ask(gw, "/a")
    assert status == 200
    assert fields["ratelimit-policy"] == '"api";q=2;w=60'
    assert re.fullmatch(r'"api";r=1;t=([1-9]|[12]\d|30)', fields["ratelimit"])
    assert ask(gw, "/a")[0] == 200
    status, fields, body = ask(gw, "/a")
    assert status == 429
    assert 1 <= int(fields["retry-after"]) <= 30
    assert fields["ratelimit"] == f'"api";r=0;t={fields["retry-after"]}'
    assert fields["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == 429 and problem["reason"] == "rate_limited"
    assert problem["type"].endswith("#quota-exceeded") and problem["violated-policies"] == ["api"]
    rows = sorted(logged(gw, 3), key=lambda row: row["status"])
    assert rows[2]["limit"] == "api" and rows[2]["reason"] == "rate_limited" and rows[2]["status"] == 429
    assert "limit" not in rows[0] and "limit_dry_run" not in rows[2]


def test_the_strictest_wins_and_the_others_keep_their_tokens(gw: Gateway) -> None:
    two = ["{rate_limit: {rate: 1/h, burst: 10, name: wide}}",
           "{rate_limit: {rate: 1/h, burst: 3, name: narrow, by: route}}"]  # fmt: skip
    gw.start(config(gw, route("a", *two), route("w", two[0]))).ready()
    assert statuses(gw, "/a", 6) == [200] * 3 + [429] * 3
    fields = ask(gw, "/a")[1]
    assert fields["ratelimit-policy"].startswith('"narrow"') and '"wide"' in fields["ratelimit-policy"]
    assert statuses(gw, "/w", 8) == [200] * 7 + [429]


def test_a_reload_keeps_buckets_by_name_and_by_place(gw: Gateway) -> None:
    steps = "{rate_limit: {rate: 1/h, burst: 2}}", "{rate_limit: {rate: 1/h, burst: 2, name: n}}"
    gw.start(config(gw, route("a", steps[0]), route("b", steps[1]))).ready()
    assert statuses(gw, "/a", 2) + statuses(gw, "/b", 2) == [200] * 4
    edit = "{headers: {set: {x-a: b}}}"
    assert gw.reload(config(gw, route("a", edit, steps[0]), route("c", steps[1])))["ok"]
    assert statuses(gw, "/a", 1) + statuses(gw, "/c", 1) == [429] * 2
    assert gw.reload(config(gw, route("a", "{rate_limit: {rate: 1/h, burst: 4}}"), route("c", steps[1])))["ok"]
    assert statuses(gw, "/a", 3) == [200, 200, 429]
    for pid in gw.workers().values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(gw.workers()) == 2, "new workers")
    assert statuses(gw, "/a", 1) + statuses(gw, "/c", 1) == [429] * 2


def test_keys_that_are_absent_empty_repeated_or_huge(gw: Gateway) -> None:
    by = "by: ['header:x-key']"
    gw.start(config(gw, route("a", f"{{rate_limit: {{rate: 1/h, burst: 1, {by}}}}}"))).ready()
    assert statuses(gw, "/a", 1, {"x-key": "k"}) == [200]
    assert statuses(gw, "/a", 1, {"X-KEY": "k"}) == [429]
    assert statuses(gw, "/a", 2, {"x-key": "x" * 15_000}) == [200, 429]
    assert statuses(gw, "/a", 1) == [200]
    assert statuses(gw, "/a", 1, {"x-key": ""}) == [429]
    host, _, port = gw.address().rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nX-Key: 1\r\nX-Key: 2\r\nConnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 429 ")
    assert [ask(gw, "/a", {"x-key": str(n)})[0] for n in range(300)] == [200] * 300


def test_many_keys_stay_within_the_table(gw: Gateway) -> None:
    """A table of 32 sets is flooded: the attacker's keys share, and gain nothing."""
    gw.start(config(gw, route("a", "{rate_limit: {rate: 1/h, burst: 1, by: 'query:k', table: {size: 4KiB}}}"))).ready()
    passed = 0
    host, _, port = gw.address().rpartition(":")
    conn = http.client.HTTPConnection(host, int(port), timeout=10)
    for n in range(2000):
        conn.request("GET", f"/a?k={n}")
        answer = conn.getresponse()
        answer.read()
        passed += answer.status == 200
    conn.close()
    assert 32 * 3 < passed <= 32 * 7
    assert metric(gw, "fgw_limit_shared_total")['limit="a#1"'] <= 32


def test_a_dry_run_is_counted_and_logged(gw: Gateway) -> None:
    gw.start(config(gw, route("a", "{rate_limit: {rate: 1/h, burst: 1, dry_run: true, name: trial}}"))).ready()
    assert statuses(gw, "/a", 3) == [200] * 3
    assert metric(gw, "fgw_limit_requests_total")['limit="trial",result="dry_run"'] == 2
    assert sorted(row.get("limit_dry_run", "") for row in logged(gw, 3)) == ["", "trial", "trial"]


class Slow:
    """An origin that answers when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.most = 0
        self._lock = threading.Lock()
        self.origin = Origin(self.script)

    def script(self, sock: socket.socket, head: bytes) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait(20)
        with self._lock:
            self.now -= 1
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go.set()
    made.origin.close()


def start_slow(gw: Gateway, slow: Slow, step: str) -> concurrent.futures.ThreadPoolExecutor:
    gw.start(config(gw, route("a", step, to="to: slow"), upstream=slow.origin.address)).ready()
    return concurrent.futures.ThreadPoolExecutor(40)


def test_no_more_than_max_at_once_over_all_workers(gw: Gateway, slow: Slow) -> None:
    with start_slow(gw, slow, "{concurrency: {max: 4, name: c}}") as pool:
        asked = [pool.submit(ask, gw, "/a") for _ in range(20)]
        until(lambda: sum(each.done() for each in asked) == 16 and slow.now == 4, "16 refusals")
        refused = [each.result() for each in asked if each.done()]
        slow.go.set()
        assert sorted(each.result()[0] for each in asked) == [200] * 4 + [429] * 16
    assert slow.most == 4
    _, fields, body = refused[0]
    assert fields["retry-after"] == "1" and fields["ratelimit-policy"] == '"c";q=4;qu="concurrent-requests"'
    assert json.loads(body)["reason"] == "concurrency_limited"
    assert statuses(gw, "/a", 5) == [200] * 5


def test_who_waits_is_served_also_when_another_worker_gives_back(gw: Gateway, slow: Slow) -> None:
    with start_slow(gw, slow, "{concurrency: {max: 1, queue: {size: 50, timeout: 20s}}}") as pool:
        asked = [pool.submit(ask, gw, "/a") for _ in range(30)]
        until(lambda: metric(gw, "fgw_limit_queued_total").get('limit="a#1"') == 29, "29 that wait")
        slow.go.set()
        assert [each.result()[0] for each in asked] == [200] * 30
    assert slow.most == 1


def test_who_waits_in_vain_gets_429(gw: Gateway, slow: Slow) -> None:
    with start_slow(gw, slow, "{concurrency: {max: 1, queue: {size: 50, timeout: 200ms}}}") as pool:
        asked = [pool.submit(ask, gw, "/a") for _ in range(5)]
        until(lambda: sum(each.done() for each in asked) == 4, "four timeouts")
        assert json.loads(next(each for each in asked if each.done()).result()[2])["reason"] == "concurrency_timeout"
        slow.go.set()
        assert sorted(each.result()[0] for each in asked) == [200] + [429] * 4


def test_a_client_that_leaves_the_queue_and_one_that_leaves_its_place(gw: Gateway, slow: Slow) -> None:
    with start_slow(gw, slow, "{concurrency: {max: 1, queue: {size: 50, timeout: 20s}}}"):
        host, _, port = gw.address().rpartition(":")
        socks = [socket.create_connection((host, int(port)), 10) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: metric(gw, "fgw_limit_queued_total").get('limit="a#1"') == 2, "two that wait")
        for sock in socks:
            sock.close()
        slow.go.set()
        assert statuses(gw, "/a", 3) == [200] * 3


def test_a_killed_workers_places_come_back(gw: Gateway, slow: Slow) -> None:
    with start_slow(gw, slow, "{concurrency: {max: 6}}") as pool:
        asked = [pool.submit(ask, gw, "/a") for _ in range(6)]
        until(lambda: slow.now == 6, "six in flight")
        assert ask(gw, "/a")[0] == 429
        for pid in gw.workers().values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(gw.workers()) == 2 and gw.status()["worker_restarts"] == 2, "new workers")
        for each in asked:
            with pytest.raises((http.client.HTTPException, OSError)):
                each.result()
        slow.go.set()
        assert statuses(gw, "/a", 8) == [200] * 8


def test_both_workers_requests_get_on_while_places_are_scarce(gw: Gateway, slow: Slow) -> None:
    """One place, clients that always want it again, on both workers: neither keeps it to itself."""
    slow.go.set()
    gw.start(config(gw, route("a", "{concurrency: {max: 1, queue: {size: 50, timeout: 60s}}}", to="to: slow"),
                    upstream=slow.origin.address)).ready()  # fmt: skip
    host, _, port = gw.address().rpartition(":")
    over = threading.Event()
    counts: list[int] = []
    lock = threading.Lock()

    def accepted() -> list[int]:
        return [row["live"]["conns"] for row in gw.status()["workers"]]

    def client(number: int) -> None:
        conn = http.client.HTTPConnection(host, int(port), timeout=60)
        while not over.is_set():
            conn.request("GET", "/a")
            conn.getresponse().read()
            with lock:
                counts[number] += 1
        conn.close()

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        running = []
        while len(running) < 12 or min(accepted()) < 3:
            counts.append(0)
            running.append(pool.submit(client, len(running)))
        until(lambda: sum(counts) > 2000, "many requests")
        over.set()
        for each in running:
            each.result()
    share = sum(counts) / len(counts)
    assert min(counts) > share / 4, sorted(counts)
    assert slow.most == 1
