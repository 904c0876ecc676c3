"""The metrics page: shared memory and the supervisor's own counts as Prometheus text (exposition format 0.0.4).

What only goes up is summed over all columns that ever had a worker, so that neither a worker's death nor its retirement
takes anything away. A series begins with its first event: ten thousand routes cost nothing until they are used.
Requests are told by `listener` and `route`; of those that matched none the route is empty.
"""

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from fastgw import __version__
from fastgw._grpc import totals as grpc_totals
from fastgw._hook_stats import totals as plugin_totals
from fastgw._limits import totals as limit_totals
from fastgw._shm import BOUNDS_US
from fastgw._tls import WORDS
from fastgw._tls import totals as tls_totals

if TYPE_CHECKING:
    from fastgw._shm import Totals

    from .gateway import Gateway

CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_LE = tuple(f"{us / 1e6:g}" for us in BOUNDS_US)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

_Field = Literal["in_flight", "upstream_failures", "retries", "connects", "connect_failures"]
_EVENTS: tuple[Literal[_Field, "gateway_errors", "step_errors", "regex_given_up"], ...] = (
    "retries", "upstream_failures", "gateway_errors", "step_errors", "connects", "connect_failures", "in_flight",
    "regex_given_up",
)

Labels = dict[str, str]
Sample = tuple[Labels, int | float]
Found = list[tuple[Labels, "Totals"]]


def render(gateway: "Gateway") -> bytes:
    """The whole page."""
    routes, upstreams = _totals(gateway)
    own = (make(gateway) for make in (_gauges, _workers, _logs, _config))
    told = (_grpc(gateway), _limits(gateway), _plugins(gateway), _tls(gateway))
    families = itertools.chain(_requests(routes), _upstreams(upstreams), *told, *own)
    return "".join(itertools.chain.from_iterable(families)).encode()


def _totals(gateway: "Gateway") -> tuple[Found, Found]:
    """Labels and counters of all slots with anything in them: of requests, and of upstreams."""
    routes, upstreams = [], []
    for kind, name, slot in gateway.slots.identities():
        if kind in ("limit", "plugin", "tls", "grpc"):
            continue
        totals = gateway.shm.totals(slot)
        if not (any(totals["bucket"]) or any(totals[field] for field in _EVENTS)):
            continue
        if kind == "upstream":
            upstreams.append(({"upstream": name}, totals))
        else:
            listener, _, route = ("", "", "(overflow)") if kind == "overflow" else name.partition("/")
            routes.append(({"route": route, "listener": listener}, totals))
    return routes, upstreams


# -- text
def _labels(labels: Labels) -> str:
    return ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric. Without samples there is none."""
    head = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{head}{name}{{{_labels(labels)}}} {value}\n" if labels else f"{head}{name} {value}\n"
        head = ""


def _histogram(name: str, text: str, found: Found) -> Iterator[str]:
    if found:
        yield f"# HELP {name} {text}\n# TYPE {name} histogram\n"
    for labels, totals in found:
        own, count = _labels(labels), 0
        for bound, n in zip((*_LE, "+Inf"), totals["bucket"], strict=True):
            count += n
            yield f'{name}_bucket{{{own},le="{bound}"}} {count}\n'
        yield f"{name}_sum{{{own}}} {totals['sum_us'] / 1e6}\n{name}_count{{{own}}} {count}\n"


def _by_class(found: Found) -> Iterator[Sample]:
    for labels, totals in found:
        for code, n in zip(CLASSES, totals["by_class"], strict=True):
            if n:
                yield {**labels, "code": code}, n


# -- families
def _requests(found: Found) -> Iterator[Iterator[str]]:
    yield _histogram("http_server_request_duration_seconds", "From a request's head to the end of its answer.", found)
    codes = _by_class(found)
    yield _family("fgw_requests_total", "counter", "Finished requests by class of answer; none: none was sent.", codes)

    def each(name: str, text: str, values: Iterable[int]) -> Iterator[str]:
        return _family(name, "counter", text, ((labels, n) for (labels, _), n in zip(found, values, strict=True)))

    yield each("fgw_request_body_bytes_total", "Body bytes from clients.", (t["bytes_in"] for _, t in found))
    yield each("fgw_response_body_bytes_total", "Body bytes to clients.", (t["bytes_out"] for _, t in found))
    yield each("fgw_retries_total", "Requests that took more than one try.", (t["retries"] for _, t in found))
    yield each("fgw_gateway_errors_total", "Failures answered by the gateway.", (t["gateway_errors"] for _, t in found))
    yield each("fgw_step_errors_total", "Bodies that a step could not process.", (t["step_errors"] for _, t in found))
    given_up = ((labels, t["regex_given_up"]) for labels, t in found if t["regex_given_up"])
    text = "Requests for which a route's regex took too many steps; it then does not match."
    yield _family("fgw_regex_given_up_total", "counter", text, given_up)


_UPSTREAM: tuple[tuple[_Field, str, str, str], ...] = (
    ("in_flight", "fgw_upstream_requests_in_flight", "gauge", "Tries under way."),
    ("upstream_failures", "fgw_upstream_failures_total", "counter", "Tries that an upstream failed."),
    ("retries", "fgw_upstream_retries_total", "counter", "Failed tries that were followed by another."),
    ("connects", "fgw_upstream_connects_total", "counter", "New connections."),
    ("connect_failures", "fgw_upstream_connect_failures_total", "counter", "Connections that failed to be made."),
)


def _upstreams(found: Found) -> Iterator[Iterator[str]]:
    requests = [(labels, totals) for labels, totals in found if any(totals["bucket"])]
    yield _histogram("fgw_upstream_request_duration_seconds", "Requests to an upstream.", requests)
    codes = _by_class(found)
    yield _family("fgw_upstream_requests_total", "counter", "Ended tries by class of answer; none: none came.", codes)
    for field, name, kind, text in _UPSTREAM:
        values = ((labels, totals[field]) for labels, totals in found)
        yield _family(name, kind, text, values)


def _grpc(gateway: "Gateway") -> Iterator[Iterator[str]]:
    slots = ((name, slot) for kind, name, slot in gateway.slots.identities() if kind == "grpc")
    samples: Iterator[Sample] = (
        ({"route": name, "code": code}, n)
        for name, slot in slots
        for code, n in grpc_totals(gateway.shm, slot).items()
        if n
    )
    yield _family("fgw_grpc_calls_total", "counter", "Finished calls of routes with `grpc: true`.", samples)


def _limits(gateway: "Gateway") -> Iterator[Iterator[str]]:
    slots = ((name, slot) for kind, name, slot in gateway.slots.identities() if kind == "limit")
    found = [(name, totals) for name, slot in slots if any((totals := limit_totals(gateway.shm, slot)).values())]

    def each(name: str, text: str, key: str, *fields: str) -> Iterator[str]:
        samples: Iterator[Sample] = (
            ({"limit": limit, **({key: field} if key else {})}, totals[field])
            for limit, totals in found
            for field in fields
            if totals[field]
        )
        return _family(name, "counter", text, samples)

    text = "Requests by what a limit said; dry_run: they passed, but would have been limited."
    yield each("fgw_limit_requests_total", text, "result", "allowed", "limited", "dry_run")
    yield each("fgw_limit_shared_total", "Requests whose key found no room and used a shared bucket.", "", "shared")
    yield each("fgw_limit_queued_total", "Requests that waited for a place.", "", "queued")
    yield each("fgw_limit_timeouts_total", "Requests that waited in vain; they are among the limited.", "", "timed_out")


_PLUGIN = (
    ("fgw_plugin_calls_total", "counter", "Hooks called.", "calls"),
    ("fgw_plugin_replies_total", "counter", "Requests that a hook answered.", "replies"),
    ("fgw_plugin_failures_total", "counter", "Hooks that raised, or gave what they may not.", "failed"),
    ("fgw_plugin_timeouts_total", "counter", "Hooks that were cancelled at the end of their budget.", "timed_out"),
    ("fgw_plugin_cancelled_total", "counter", "Hooks that were cancelled because the request had ended.", "cancelled"),
    ("fgw_plugin_blocked_total", "counter", "Hooks that held their worker for longer than their budget.", "blocked"),
    ("fgw_plugin_waiting", "gauge", "Requests that wait for a hook.", "parked"),
)


def _plugins(gateway: "Gateway") -> Iterator[Iterator[str]]:
    slots = ((name, slot) for kind, name, slot in gateway.slots.identities() if kind == "plugin")
    counted = ((name, plugin_totals(gateway.shm, slot)) for name, slot in slots)
    found = [({"plugin": name}, totals) for name, totals in counted if any(totals.values())]
    for name, kind, text, field in _PLUGIN:
        yield _family(name, kind, text, ((labels, totals[field]) for labels, totals in found))
    seconds = ((labels, round(totals["ns"] / 1e9, 6)) for labels, totals in found)
    yield _family("fgw_plugin_seconds_total", "counter", "Time from the start to the end of hooks.", seconds)


def _tls(gateway: "Gateway") -> Iterator[Iterator[str]]:
    slots = ((name, slot) for kind, name, slot in gateway.slots.identities() if kind == "tls")
    found = [(name, totals) for name, slot in slots if any((totals := tls_totals(gateway.shm, slot)).values())]
    made: list[Sample] = []
    for name, totals in found:
        resumed = totals["resumed"]
        made += [({"listener": name, "resumed": "no"}, totals["handshakes"] - resumed)]
        made += [({"listener": name, "resumed": "yes"}, resumed)]
    failed: Iterator[Sample] = (
        ({"listener": name, "why": word}, totals[word]) for name, totals in found for word in WORDS if totals[word]
    )
    yield _family("fgw_tls_handshakes_total", "counter", "TLS handshakes with clients that succeeded.", made)
    yield _family("fgw_tls_handshake_failures_total", "counter", "TLS handshakes with clients that failed.", failed)
    current = gateway.fleet.current
    ends: list[Sample] = [
        ({"listener": cert.listener, "name": cert.name}, cert.not_after)
        for cert in (current.plan.certificates if current else ())
    ]
    text = "When a certificate that is shown to clients ends, in Unix time."
    yield _family("fgw_tls_certificate_expiry_timestamp_seconds", "gauge", text, ends)


_SUMS = (
    ("connections", "fgw_connections", "gauge", "Open client connections."),
    ("requests", "fgw_requests_in_flight", "gauge", "Requests begun and not finished."),
    ("tunnels", "fgw_tunnels", "gauge", "Open tunnels."),
    ("parked", "fgw_parked_requests", "gauge", "Requests that wait for a verdict."),
    ("live_exchanges", "fgw_live_exchanges", "gauge", "Exchanges held in memory."),
    ("blocks_bytes", "fgw_buffer_bytes", "gauge", "Bytes of message blocks held."),
    ("accepted", "fgw_accepted_connections_total", "counter", "Client connections accepted."),
    ("refused", "fgw_refused_connections_total", "counter", "Client connections refused by a limit."),
    ("turns", "fgw_turns_total", "counter", "Batches of events served."),
    ("events", "fgw_events_total", "counter", "Events served."),
)


def _gauges(gateway: "Gateway") -> Iterator[Iterator[str]]:
    columns = [gateway.shm.gauges(column) for column in range(gateway.shm.used)]
    for field, name, kind, text in _SUMS:
        yield _family(name, kind, text, [({}, sum(column[field] for column in columns))])
    idle = sum(column["upstream_idle"] for column in columns)
    # Read one after the other while workers go on: their difference may be off by one, but a gauge is not negative.
    active = max(sum(column["upstream_connections"] for column in columns) - idle, 0)
    states: list[Sample] = [({"state": "active"}, active), ({"state": "idle"}, idle)]
    yield _family("fgw_upstream_connections", "gauge", "Open connections to upstreams.", states)


def _workers(gateway: "Gateway") -> Iterator[Iterator[str]]:
    fleet, now_ms = gateway.fleet, time.monotonic() * 1000
    states: dict[str, int] = {}
    for slot in fleet.slots.values():
        states[slot.state.value] = states.get(slot.state.value, 0) + 1
    beats: list[Sample] = []
    for worker in fleet.live():
        beat = gateway.shm.gauges(worker.slot)["heartbeat_ms"]
        if beat:
            beats.append(({"worker": str(worker.slot)}, round(max(now_ms - beat, 0.0) / 1000, 3)))
    counted: list[Sample] = [({"state": state}, n) for state, n in sorted(states.items())]
    restarts: list[Sample] = [({}, fleet.restarts)]
    yield _family("fgw_workers", "gauge", "Worker slots by state.", counted)
    yield _family("fgw_worker_restarts_total", "counter", "Workers started again after they ended.", restarts)
    yield _family("fgw_worker_last_turn_seconds", "gauge", "Since a worker served its last batch of events.", beats)


def _logs(gateway: "Gateway") -> Iterator[Iterator[str]]:
    rings, logs = gateway.shm.ring_losses(), ("access", "error")
    places = {log: gateway.drain.counters(log) for log in logs}
    dropped: list[Sample] = [({"log": log, "where": "ring"}, rings[log]) for log in logs]
    dropped += [({"log": log, "where": "output"}, places[log]["dropped"]) for log in logs]
    yield _family("fgw_log_dropped_total", "counter", "Log lines lost; ring: no room, output: not taken.", dropped)
    yield _family("fgw_log_rings_broken_total", "counter", "Log rings found damaged.", [({}, rings["broken"])])
    written = (({"log": log}, places[log]["bytes"]) for log in logs)
    yield _family("fgw_log_written_bytes_total", "counter", "Bytes written to logs.", written)
    errors = (({"log": log}, places[log]["errors"]) for log in logs)
    yield _family("fgw_log_errors_total", "counter", "Failed opens and writes of logs.", errors)


def _config(gateway: "Gateway") -> Iterator[Iterator[str]]:
    current, reloader = gateway.fleet.current, gateway.reloader
    reloads: list[Sample] = [({"result": "applied"}, reloader.applied), ({"result": "refused"}, reloader.refused)]
    generation: list[Sample] = [({}, current.generation if current else 0)]
    yield _family("fgw_config_generation", "gauge", "Of the snapshot that is served; 0: none.", generation)
    yield _family("fgw_config_reloads_total", "counter", "Reloads by how they ended.", reloads)
    started: list[Sample] = [({}, round(gateway.started, 3))]
    yield _family("fgw_start_time_seconds", "gauge", "When the gateway started, in Unix time.", started)
    yield _family("fgw_build_info", "gauge", "Always 1; the version is the label.", [({"version": __version__}, 1)])
