"""A service of all four kinds of methods, whose messages are bytes: what the calls of the tests are answered by."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from tests.grpcio import grpc, health, health_pb2, health_pb2_grpc

Context = grpc.ServicerContext


class Service:
    """Its methods under any number of service names. What it has seen is kept."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cancelled: dict[str, threading.Event] = {}
        self.begun: dict[str, threading.Event] = {}
        self.go_on = threading.Event()
        self.calls = 0

    def event(self, where: dict[str, threading.Event], name: str) -> threading.Event:
        with self.lock:
            return where.setdefault(name, threading.Event())

    def handlers(self, *names: str) -> list[grpc.GenericRpcHandler]:
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "Meta": grpc.unary_unary_rpc_method_handler(self.meta),
            "Left": grpc.unary_unary_rpc_method_handler(self.left),
            "Hold": grpc.unary_stream_rpc_method_handler(self.hold),
            "Wait": grpc.stream_stream_rpc_method_handler(self.wait),
        }
        return [grpc.method_handlers_generic_handler(name, methods) for name in names]

    def unary(self, message: bytes, context: Context) -> bytes:
        with self.lock:
            self.calls += 1
        context.set_trailing_metadata((("x-size", str(len(message))), ("x-raw-bin", message[:64])))
        return message

    def up(self, messages: Iterator[bytes], context: Context) -> bytes:
        return json.dumps([len(each) for each in messages]).encode()

    def down(self, message: bytes, context: Context) -> Iterator[bytes]:
        count, size = json.loads(message)
        for number in range(count):
            yield number.to_bytes(4, "big") * (size // 4)

    def both(self, messages: Iterator[bytes], context: Context) -> Iterator[bytes]:
        for each in messages:
            yield each[::-1]

    def fail(self, message: bytes, context: Context) -> bytes:
        code, _, text = message.decode().partition(" ")
        context.set_trailing_metadata((("x-more", "1"),))
        context.abort(next(each for each in grpc.StatusCode if each.name == code), text)
        return b""

    def fail_late(self, message: bytes, context: Context) -> Iterator[bytes]:
        yield b"one"
        self.fail(message, context)

    def meta(self, message: bytes, context: Context) -> bytes:
        context.send_initial_metadata((("x-first", "early"), ("x-first-bin", bytes(range(256)))))
        found: dict[str, Any] = {}
        for key, value in context.invocation_metadata():
            found.setdefault(key, []).append(value.hex() if isinstance(value, bytes) else value)
        return json.dumps(found).encode()

    def left(self, message: bytes, context: Context) -> bytes:
        return json.dumps(context.time_remaining()).encode()

    def hold(self, message: bytes, context: Context) -> Iterator[bytes]:
        """One message, and then nothing until the call is cancelled."""
        gone = self.event(self.cancelled, message.decode())
        context.add_callback(gone.set)
        yield b"here"
        gone.wait(60)

    def wait(self, messages: Iterator[bytes], context: Context) -> Iterator[bytes]:
        """Echoes; the first message names it."""
        for number, each in enumerate(messages):
            if not number:
                self.event(self.begun, each.decode()).set()
                context.add_callback(self.event(self.cancelled, each.decode()).set)
            yield each


class Health:
    """grpc.health.v1, by the package that gRPC's authors ship."""

    def __init__(self) -> None:
        self.servicer = health.HealthServicer()
        self.servicer.set("", health_pb2.HealthCheckResponse.SERVING)

    def add(self, server: grpc.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self.servicer, server)

    def set(self, service: str, serving: bool) -> None:
        word = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self.servicer.set(service, word)


def check(channel: grpc.Channel, service: str = "") -> str:
    """What the health service says."""
    found = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(found.status)


def watch(channel: grpc.Channel, service: str = "") -> Any:
    """The stream of what the health service says."""
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service), timeout=60)


def word(answer: Any) -> str:
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
