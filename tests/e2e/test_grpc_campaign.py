# ruff: noqa: E501
"""Thousands of calls of every kind, that end in every way, through a gateway that is reloaded all the time: none is lost, nothing is left."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.grpcio import grpc

from .grpc_peers import OPTIONS, Code, outcome, server, words
from .grpc_service import Service
from .supervised import Gateway, gateway, until

CONFIG = """
listeners: {web: {bind: "127.0.0.1:0"}}
upstreams: {up: {endpoints: ["%s"], protocol: h2}}
routes:
  calls: {match: {prefix: /plain.T}, grpc: true, to: up}
  other%d: {match: {prefix: /other%d}, to: {static: {body: x}}}
limits: {http2: {resets: off}}       # clients here cancel as much as they like
log: {access: {to: %s/access.log}}
admin: {bind: "127.0.0.1:0"}
workers: 1
"""
CLIENTS, ROUNDS = 6, 150


class Client:
    """One thread, whose calls follow from its number. `odd`: outcomes that no call may have."""

    def __init__(self, number: int, address: str) -> None:
        self.random, self.number, self.address = random.Random(number), number, address
        self.ends: Counter[str] = Counter()
        self.odd: list[str] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        kinds: list[Callable[[grpc.Channel], None]] = [self.unary, self.late, self.down, self.both, self.hold, self.burst, self.nowhere, self.fails]
        left = ROUNDS
        try:
            while left > 0:
                with grpc.insecure_channel(self.address, options=OPTIONS) as ch:
                    for _ in range(min(left, self.random.randint(1, 40))):
                        left -= 1
                        self.random.choice(kinds)(ch)
        except Exception as error:
            self.odd.append(repr(error))

    def told(self, kind: str, ended: tuple[grpc.StatusCode, str], *fine: grpc.StatusCode) -> None:
        self.ends[f"{kind} {ended[0].name}"] += 1
        if ended[0] not in fine:
            self.odd.append(f"{kind}: {ended}")

    def unary(self, ch: grpc.Channel) -> None:
        message = b"x" * self.random.choice([0, 10, 5_000, 200_000])
        self.told("unary", outcome(lambda: ch.unary_unary("/plain.T/Unary")(message, timeout=60)), Code.OK)

    def late(self, ch: grpc.Channel) -> None:
        seconds = self.random.choice([0.0001, 0.001, 0.003, 0.01])
        self.told("late", outcome(lambda: ch.unary_unary("/plain.T/Unary")(b"x" * 3_000, timeout=seconds)), Code.OK, Code.DEADLINE_EXCEEDED)

    def down(self, ch: grpc.Channel) -> None:
        asked = [self.random.randint(1, 200), self.random.choice([4, 4_000, 40_000])]
        call, read = ch.unary_stream("/plain.T/Down")(json.dumps(asked).encode(), timeout=60), 0
        for _ in call:
            read += 1
            if self.random.random() < 0.03:
                call.cancel()
                return
        self.told("down", (call.code() if read == asked[0] else Code.DATA_LOSS, call.details()), Code.OK)

    def both(self, ch: grpc.Channel) -> None:
        sent = [b"y" * self.random.choice([1, 100, 30_000]) for _ in range(self.random.randint(0, 50))]
        got = list(ch.stream_stream("/plain.T/Both")(iter(sent), timeout=60))
        self.told("both", (Code.OK if got == sent else Code.DATA_LOSS, ""), Code.OK)

    def hold(self, ch: grpc.Channel) -> None:
        name = b"%d-%d" % (self.number, self.random.getrandbits(40))
        call = ch.unary_stream("/plain.T/Hold")(name, timeout=self.random.choice([0.01, 0.1]))
        self.told("hold", outcome(lambda: list(call)), Code.DEADLINE_EXCEEDED)

    def burst(self, ch: grpc.Channel) -> None:
        futures = [ch.unary_unary("/plain.T/Unary").future(b"z", timeout=60) for _ in range(30)]
        for each in futures:
            if self.random.random() < 0.3:
                each.cancel()
        for each in futures:
            if not each.cancelled():
                self.told("burst", (each.code(), each.details()), Code.OK)

    def nowhere(self, ch: grpc.Channel) -> None:
        self.told("nowhere", outcome(lambda: ch.unary_unary("/nowhere/M")(b"x")), Code.UNIMPLEMENTED)

    def fails(self, ch: grpc.Channel) -> None:
        self.told("fails", outcome(lambda: list(ch.unary_stream("/plain.T/FailLate")(b"DATA_LOSS x", timeout=60))), Code.DATA_LOSS)


def metric(gw: Gateway, name: str) -> float:
    return sum(float(line.split()[-1]) for line in gw.admin("/metrics")[1].splitlines() if line.startswith(name))


@pytest.mark.slow
def test_calls_of_every_kind_while_the_configuration_changes(tmp_path: Path) -> None:
    service = Service()
    with server(*service.handlers("plain.T"), threads=64) as up, gateway(tmp_path) as gw:
        gw.start(CONFIG % (up, 0, 0, tmp_path)).ready()
        clients = [Client(n, gw.address()) for n in range(CLIENTS)]
        generation = 1
        while any(each.thread.is_alive() for each in clients):
            assert gw.reload(CONFIG % (up, generation, generation, tmp_path))["ok"]
            generation += 1
        assert [odd for each in clients for odd in each.odd] == []
        ends = sum((each.ends for each in clients), Counter())
        assert generation > 3 and len(ends) >= 8 and sum(ends.values()) > CLIENTS * ROUNDS
        until(lambda: not metric(gw, "fgw_live_exchanges") and not metric(gw, "fgw_upstream_requests_in_flight"), "all calls are over")
        assert metric(gw, "fgw_worker_restarts_total") == 0
        assert gw.stop() == 0
    assert words(gw) <= {"", "client_gone", "request_timeout", "no_route"}
