"""A worker that gets no time for a while (stopped, starved, swapped out) does not take its clients for slow ones."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .both import Turn, Upstream
from .both_clients import Client, Client1, Client2
from .supervised import Gateway, gateway

CONFIG = """
listeners: {{web: {{bind: "127.0.0.1:0"}}}}
upstreams: {{up: {{endpoints: ["{up}"], protocol: h2}}}}
routes: {{all: {{to: up}}}}
workers: 1
admin: {{bind: "127.0.0.1:0"}}
"""
LONGER_THAN_ITS_GRACE = 12.0


def echo(turn: Turn) -> None:
    turn.head(200, [])
    while data := turn.more():
        turn.send(data)
    turn.end()


@pytest.fixture
def gw(tmp_path: Path) -> Iterator[Gateway]:
    up = Upstream("h2c", echo)
    with gateway(tmp_path) as made:
        made.start(CONFIG.format(up=up.address)).ready()
        yield made
    up.close()


def say(client: Client, piece: bytes) -> None:
    """Send a piece, and have it back."""
    client.send(piece)
    client.until(lambda: client.body.endswith(piece))


@pytest.mark.slow
def test_a_body_that_goes_on_after_a_stall_of_ours_is_not_too_slow(gw: Gateway) -> None:
    """limits.body_rate is 500 B/s after 10 s; these clients send a few bytes, and can do no more as it is stopped."""
    [worker] = gw.workers().values()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(made(gw.address())) for made in (Client1, Client2)]
        for client in clients:
            client.ask("POST", "/", ends=False)
            say(client, b"before ")
        os.kill(worker, signal.SIGSTOP)
        time.sleep(LONGER_THAN_ITS_GRACE)
        os.kill(worker, signal.SIGCONT)
        for client in clients:
            say(client, b"behind ")
            time.sleep(0.6)  # HTTP/2 looks at its streams twice a second
            say(client, b"end")
            client.end()
            client.finish()
            assert (client.status, client.body) == (200, b"before behind end")
