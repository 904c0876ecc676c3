# ruff: noqa: E501
"""gRPC's own clients and servers (grpcio), with bytes for messages: nothing here is generated from a description."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

from tests.grpcio import grpc

from .supervised import Gateway, until

Failed = grpc.RpcError
Code = grpc.StatusCode
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


@contextlib.contextmanager
def channel(address: str, *options: tuple[str, Any], again: bool = False) -> Iterator[grpc.Channel]:
    """A connection of its own, in cleartext. `again`: what a server says it has not taken is sent once more, as ever."""
    made = grpc.insecure_channel(address, options=(*OPTIONS, ("grpc.enable_retries", int(again)), *options))
    try:
        yield made
    finally:
        made.close()


def outcome(call: Any) -> tuple[grpc.StatusCode, str]:
    """Code and text of a call that has failed at once, or is waited for."""
    try:
        call()
    except Failed as error:
        return error.code(), error.details()
    return Code.OK, ""


@contextlib.contextmanager
def server(*handlers: grpc.GenericRpcHandler, address: str = "127.0.0.1:0", threads: int = 16,
           credentials: grpc.ServerCredentials | None = None, add: Callable[[grpc.Server], None] | None = None) -> Iterator[str]:
    """A gRPC server; its address."""
    pool = futures.ThreadPoolExecutor(threads)
    made = grpc.server(pool, handlers=handlers, options=(*OPTIONS, ("grpc.so_reuseport", 0)))
    if add:
        add(made)
    port = made.add_secure_port(address, credentials) if credentials else made.add_insecure_port(address)
    made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.stop(0).wait()
        pool.shutdown(wait=False, cancel_futures=True)


def logged(gw: Gateway, *targets: str) -> dict[str, dict[str, Any]]:
    """The last line of each target in the access log, once all of these are there."""
    def read() -> dict[str, dict[str, Any]] | None:
        path = gw.folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        rows = {row.get("target", ""): row for row in map(json.loads, lines)}
        return rows if set(targets) <= set(rows) else None

    return until(read, f"{targets} in the log") if targets else read() or {}


def words(gw: Gateway) -> set[str]:
    """Every reason in the access log."""
    return {json.loads(line).get("reason", "") for line in (gw.folder / "access.log").read_text().splitlines()}


def calls(gw: Gateway, route: str) -> dict[str, int]:
    """What a route has counted of its calls."""
    rows = re.findall(rf'fgw_grpc_calls_total{{route="{route}",code="(\w+)"}} (\d+)', gw.admin("/metrics")[1])
    return {code: int(n) for code, n in rows}
