"""grpcio, which is not to be had for every Python and processor: a module that imports it from here is skipped then."""

import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
health = pytest.importorskip("grpc_health.v1.health", reason="grpcio-health-checking is not installed")
health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2")
health_pb2_grpc = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
