"""The metrics page, read back by prometheus_client's parser."""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastgw._shm import BOUNDS_US, LogDrain, Shm
from fastgw.control import metrics
from fastgw.control.slots import SlotTable
from fastgw.control.snapshot import CertSpec
from tests.py.shm_writer import called, count, handshakes, put, request

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Gateway(SimpleNamespace):
    """What render looks at, with real memory."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    shm = Shm.create(4)
    for column in range(3):
        shm.set_epoch(column, column + 1)
    state = SimpleNamespace(value="live")
    slots = {0: SimpleNamespace(state=state), 1: SimpleNamespace(state=state)}
    plan = SimpleNamespace(certificates=[CertSpec("web", "a.test", 1_900_000_000)])
    fleet = SimpleNamespace(slots=slots, restarts=3, current=SimpleNamespace(generation=7, plan=plan), live=list)
    reloader = SimpleNamespace(applied=5, refused=2)
    table = SlotTable.of(shm)
    made = Gateway(shm=shm, slots=table, fleet=fleet, reloader=reloader, drain=LogDrain(shm), started=1767323045.6789)
    yield made
    made.drain.stop()


def read(gateway: Gateway) -> Series:
    """All samples of the page, which must be well-formed."""
    page = metrics.render(gateway).decode()
    found: Series = {}
    for family in text_string_to_metric_families(page):
        assert family.documentation and family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    types = re.findall(r"^# TYPE (\S+)", page, re.M)
    assert len(types) == len(set(types))
    return found


def value(found: Series, name: str, /, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def test_requests_by_route_and_listener(gateway: Gateway) -> None:
    users, unmatched = gateway.slots.stats_slot("route", "web/users"), gateway.slots.stats_slot("unmatched", "web")
    gateway.slots.stats_slot("route", "web/unused")
    request(gateway.shm, 0, users, 200, 900, 10, 1000)
    request(gateway.shm, 1, users, 204, 1000, 1, 2)
    request(gateway.shm, 2, users, 503, 20_000_000)
    request(gateway.shm, 0, users, 0, 5)
    request(gateway.shm, 0, unmatched, 404, 50)
    found = read(gateway)
    labels = {"route": "users", "listener": "web"}
    assert value(found, "fgw_requests_total", **labels, code="2xx") == 2
    assert value(found, "fgw_requests_total", **labels, code="5xx") == 1
    assert value(found, "fgw_requests_total", **labels, code="none") == 1
    assert value(found, "fgw_requests_total", **labels, code="4xx") is None
    assert value(found, "fgw_requests_total", route="", listener="web", code="4xx") == 1
    assert value(found, "fgw_request_body_bytes_total", **labels) == 11
    assert value(found, "fgw_response_body_bytes_total", **labels) == 1002
    assert not any("unused" in dict(labels).values() for _, labels in found)


def test_the_histogram_is_cumulative(gateway: Gateway) -> None:
    slot = gateway.slots.stats_slot("route", "web/r")
    for us in (100, 101, 1000, 2_000_000, 10_000_000, 10_000_001):
        request(gateway.shm, 0, slot, 200, us)
    found = read(gateway)
    name = "http_server_request_duration_seconds"
    buckets = {
        dict(labels)["le"]: n for (sample, labels), n in found.items() if sample == f"{name}_bucket"
    }
    assert {float(le) for le in buckets} == {us / 1e6 for us in BOUNDS_US} | {float("inf")}
    ordered = [buckets[le] for le in sorted(buckets, key=float)]
    assert ordered == sorted(ordered)
    assert (buckets["0.0001"], buckets["0.00025"], buckets["0.001"]) == (1, 2, 3)
    assert (buckets["2.5"], buckets["10"], buckets["+Inf"]) == (4, 5, 6)
    assert value(found, f"{name}_count", route="r", listener="web") == 6
    assert value(found, f"{name}_sum", route="r", listener="web") == pytest.approx(22.001202)


def test_configuration_and_workers(gateway: Gateway) -> None:
    found = read(gateway)
    assert value(found, "fgw_config_generation") == 7
    assert value(found, "fgw_config_reloads_total", result="applied") == 5
    assert value(found, "fgw_config_reloads_total", result="refused") == 2
    assert value(found, "fgw_worker_restarts_total") == 3
    assert value(found, "fgw_workers", state="live") == 2
    assert value(found, "fgw_start_time_seconds") == 1767323045.679
    assert [n for (name, _), n in found.items() if name == "fgw_build_info"] == [1]
    gateway.fleet.current = None
    assert value(read(gateway), "fgw_config_generation") == 0


def test_gauges_are_summed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = dict.fromkeys(gateway.shm.gauges(0), 0)
    columns = [
        fields | {"connections": 5, "upstream_connections": 4, "upstream_idle": 3, "accepted": 100},
        fields | {"connections": 7, "upstream_connections": 1, "accepted": 11},
        fields | {"accepted": 1000},  # of a worker that is gone
    ]
    fake = SimpleNamespace(
        gauges=columns.__getitem__, used=3, totals=gateway.shm.totals, ring_losses=gateway.shm.ring_losses
    )
    monkeypatch.setattr(gateway, "shm", fake)
    found = read(gateway)
    assert value(found, "fgw_connections") == 12
    assert value(found, "fgw_accepted_connections_total") == 1111
    assert value(found, "fgw_upstream_connections", state="idle") == 3
    assert value(found, "fgw_upstream_connections", state="active") == 2


def test_lost_log_lines(gateway: Gateway) -> None:
    gateway.drain.stop()
    while put(gateway.shm, 1, b"x" * 100_000):
        pass
    gateway.drain = LogDrain(gateway.shm, "/dev/full")
    found = read(gateway)
    assert value(found, "fgw_log_dropped_total", log="access", where="ring") == 1
    assert value(found, "fgw_log_dropped_total", log="error", where="ring") == 0
    assert value(found, "fgw_log_dropped_total", log="error", where="output") == 0
    assert value(found, "fgw_log_written_bytes_total", log="access") == 0


def test_upstreams_that_failed(gateway: Gateway) -> None:
    slot = gateway.slots.stats_slot("upstream", "orders")
    assert value(read(gateway), "fgw_upstream_failures_total", upstream="orders") is None
    request(gateway.shm, 0, slot, 200, 10)
    found = read(gateway)
    assert value(found, "fgw_upstream_failures_total", upstream="orders") == 0
    assert value(found, "fgw_upstream_request_duration_seconds_count", upstream="orders") == 1


def test_what_is_told_of_an_upstream(gateway: Gateway) -> None:
    slot = gateway.slots.stats_slot("upstream", "orders")
    names = {"in_flight": "requests_in_flight", "retries": "retries_total", "connects": "connects_total",
             "connect_failures": "connect_failures_total", "upstream_failures": "failures_total"}  # fmt: skip
    for column in (0, 1):
        request(gateway.shm, column, slot, 200, 10)
        for number, field in enumerate(names, 1):
            count(gateway.shm, column, slot, field, number)

    def told() -> dict[str, float | None]:
        found = read(gateway)
        assert value(found, "fgw_upstream_requests_total", upstream="orders", code="2xx") == 2
        return {field: value(found, f"fgw_upstream_{name}", upstream="orders") for field, name in names.items()}

    counted = {field: 2 * number for number, field in enumerate(names, 1)}
    assert told() == counted
    gateway.shm.zero_gauges(1, [slot])  # as at that worker's death: only what it held is gone
    assert told() == {**counted, "in_flight": 1}


def test_step_errors(gateway: Gateway) -> None:
    slot = gateway.slots.stats_slot("route", "web/r")
    count(gateway.shm, 0, slot, "step_errors", 3)
    assert value(read(gateway), "fgw_step_errors_total", route="r", listener="web") == 3


def test_label_values_are_escaped(gateway: Gateway) -> None:
    slot = gateway.slots.stats_slot("route", 'web/a"b\\c\nd')
    request(gateway.shm, 0, slot, 200, 10)
    assert value(read(gateway), "fgw_requests_total", route='a"b\\c\nd', listener="web", code="2xx") == 1


def test_handshakes_by_listener_and_reason(gateway: Gateway) -> None:
    web, other = gateway.slots.stats_slot("tls", "web"), gateway.slots.stats_slot("tls", "other")
    handshakes(gateway.shm, 0, web, "handshakes", 5)
    handshakes(gateway.shm, 1, web, "handshakes", 2)
    handshakes(gateway.shm, 1, web, "resumed", 3)
    handshakes(gateway.shm, 1, web, "tls_expired", 4)
    handshakes(gateway.shm, 0, other, "tls_timeout", 1)
    found = read(gateway)
    assert value(found, "fgw_tls_handshakes_total", listener="web", resumed="no") == 4
    assert value(found, "fgw_tls_handshakes_total", listener="web", resumed="yes") == 3
    assert value(found, "fgw_tls_handshake_failures_total", listener="web", why="tls_expired") == 4
    assert value(found, "fgw_tls_handshake_failures_total", listener="web", why="tls_timeout") is None
    assert value(found, "fgw_tls_handshake_failures_total", listener="other", why="tls_timeout") == 1
    name = "fgw_tls_certificate_expiry_timestamp_seconds"
    assert value(found, name, listener="web", name="a.test") == 1_900_000_000
    assert not [key for key in found if key[0] == "fgw_requests_total"]


def test_calls_by_route_and_code(gateway: Gateway) -> None:
    users, unused = gateway.slots.stats_slot("grpc", "users"), gateway.slots.stats_slot("grpc", "unused")
    assert users != unused
    called(gateway.shm, 0, users, "OK", 5)
    called(gateway.shm, 2, users, "OK", 2)
    called(gateway.shm, 1, users, "UNAUTHENTICATED", 1)
    found = read(gateway)
    assert value(found, "fgw_grpc_calls_total", route="users", code="OK") == 7
    assert value(found, "fgw_grpc_calls_total", route="users", code="UNAUTHENTICATED") == 1
    assert len([key for key in found if key[0] == "fgw_grpc_calls_total"]) == 2
    assert not [key for key in found if key[0] == "fgw_requests_total"], "it is no slot of requests"
