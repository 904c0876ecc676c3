"""A configuration becomes a snapshot: a root and the segments that it names by their content.

Everything is resolved here (global, then listener or upstream, then route), so the engine never merges settings.
The same configuration, generation and slots give the same bytes; equal segments are one, also across snapshots.
"""

import ipaddress
import resource
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from fastgw import _layout
from fastgw._tls import AUTH, VERSIONS, inspect
from fastgw.config.model import Config, Redirect, Route, Static, Tls, UpstreamTls
from fastgw.plugin.catalogue import Entry as Plugin
from fastgw.plugin.catalogue import Plugins, Unloaded, steps

from .chain import Hooks, destination, params_of, write_answer, write_redirect, write_steps
from .layout import SegmentWriter, Span
from .routes import Entry, SnapshotError, write_trie

__all__ = ["SlotGiver", "Slots", "Snapshot", "SnapshotError", "compile", "routes_of"]

_CONNECTIONS_MAX = 10_000_000
_STRIP_MAX = 0xFFFF
_LEVELS = ("debug", "info", "warning", "error")


class SlotGiver(Protocol):
    """Who gives out what outlives a snapshot: the supervisor. The same name is given the same answer every time."""

    def listener_id(self, name: str) -> int:
        """The number of a listener's sockets."""

    def upstream_id(self, name: str) -> int:
        """A number that stays with this upstream's name."""

    def endpoint_table(self, name: str) -> int:
        """The offset of an upstream's endpoint table in shared memory."""

    def bucket_table(self, name: str, size: int) -> int:
        """The offset of `size` bytes of shared memory for a limit's buckets, a multiple of 4096."""

    def stats_slot(self, kind: str, name: str) -> int:
        """A slot of counters. kind: "route" (name: `listener/route`), "unmatched" (a listener's), "upstream", "limit",
        "plugin", "tls" (a listener's) or "grpc" (a route's)."""


class Slots:
    """Slots in this process's memory: for `explain`, tests and whoever has no shared memory."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def _number(self, kind: str, name: str) -> int:
        mine = [key for key in self._numbers if key[0] == kind]
        return self._numbers.setdefault((kind, name), len(mine))

    def listener_id(self, name: str) -> int:
        return self._number("listener", name)

    def upstream_id(self, name: str) -> int:
        return self._number("upstream", name)

    def endpoint_table(self, name: str) -> int:
        return 4096 * (1 + self._number("endpoints", name))

    def bucket_table(self, name: str, size: int) -> int:
        return (1 << 32) * (1 + self._number("buckets", name))

    def stats_slot(self, kind: str, name: str) -> int:
        return self._numbers.setdefault(("slot", f"{kind} {name}"), len(self._numbers))


class Snapshot(NamedTuple):
    """`root`: the root segment. `segments`: all others, by content hash, in the order that the root names them."""

    root: bytes
    segments: dict[int, bytes]


class _Segments:
    """What the root names, each content once."""

    def __init__(self) -> None:
        self.by_hash: dict[int, bytes] = {}
        self._index: dict[int, int] = {}

    def keep(self, made: tuple[int, bytes]) -> int:
        """Take in what `SegmentWriter.finish` gave. Returns its index in root.segs."""
        self.by_hash.setdefault(*made)
        return self._index.setdefault(made[0], len(self._index))


def compile(
    config: Config,
    generation: int,
    slots: SlotGiver,
    *,
    plugins: Plugins | None = None,
    descriptors: int | None = None,
) -> Snapshot:
    """Compile a loaded (so checked) configuration.

    `plugins`: what is known of those that it uses; None: they are taken on trust, which no worker will.
    `descriptors`: the limit of open files from which `connections: auto` is taken; None: this process's own.
    Raises SnapshotError when a route is deeper or longer than a segment can hold."""
    w, segments = SegmentWriter(_layout.SEG_ROOT, "root"), _Segments()
    plugins = plugins or Unloaded()
    listeners = [_listener(w, config, name, slots, segments, plugins) for name in sorted(config.listeners)]
    upstreams = [_upstream_ref(w, config, name, slots, segments) for name in sorted(config.upstreams)]
    access = config.log.access
    w.fill_top({
        "generation": generation,
        "listeners": w.array("listener", listeners),
        "upstreams": w.array("upstream_ref", upstreams),
        "plugins": w.array("plugin", _plugins(w, config, plugins)),
        "segs": w.numbers(list(segments.by_hash), 8),
        "trusted": w.array("cidr", [_cidr(text) for text in config.trusted_proxies]),
        "via": w.text("fastgw"),
        "memory_max": config.limits.memory,
        "connections_max": _connections(config, descriptors),
        "drain_ms": config.timeouts.drain,
        "log_format": _layout.LOG_FORMATS["off" if access == "off" else access.format],
        "error_level": _LEVELS.index(config.log.error.level),
    })  # fmt: skip
    return Snapshot(w.finish()[1], segments.by_hash)


def _plugins(w: SegmentWriter, config: Config, plugins: Plugins) -> list[Mapping[str, int | Span]]:
    found: set[Plugin] = {plugins.of(step) for _, step in steps(config)}
    return [
        {
            "key": each.key,
            "name": w.text(each.name),
            "use": w.text(each.use),
            "settings": w.text(each.settings),
            "path": w.texts(each.path),
        }
        for each in sorted(found)
    ]


def routes_of(config: Config, listener: str) -> dict[str, Route]:
    """The routes of a listener, by name, in the order of their indexes in its segment."""
    return {
        name: config.routes[name]
        for name in sorted(config.routes)
        if not config.routes[name].listeners or listener in config.routes[name].listeners
    }


def _connections(config: Config, descriptors: int | None) -> int:
    if config.limits.connections != "auto":
        return config.limits.connections
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if descriptors is None else descriptors
    return _CONNECTIONS_MAX if limit == resource.RLIM_INFINITY else min(limit * 8 // 10, _CONNECTIONS_MAX)


def _cidr(text: str) -> Mapping[str, int]:
    network = ipaddress.ip_network(text)
    address, bits = int(network.network_address), network.prefixlen
    if network.version == 4:
        address, bits = address | 0xFFFF << 32, bits + 96
    return {"hi": address >> 64, "lo": address & (1 << 64) - 1, "bits": bits}


def _listener(
    w: SegmentWriter, config: Config, name: str, slots: SlotGiver, segments: _Segments, plugins: Plugins
) -> Mapping[str, int | Span]:
    routes, mine = routes_of(config, name), config.listeners[name]
    tls = mine.tls
    return {
        "name": w.text(name),
        "id": slots.listener_id(name),
        "tls_seg": 0 if tls is None else 1 + segments.keep(tls_segment(tls, config.timeouts.handshake, mine.http2)),
        "tls_slot": 0 if tls is None else slots.stats_slot("tls", name),
        "routes_seg": segments.keep(routes_segment(config, routes, slots, plugins)),
        "route_slots": w.numbers([slots.stats_slot("route", f"{name}/{route}") for route in routes], 4),
        "other_slot": slots.stats_slot("unmatched", name),
        "settings_seg": segments.keep(settings_segment(config, name)),
    }


def settings_segment(config: Config, listener: str) -> tuple[int, bytes]:
    """The segment of one listener's limits, timeouts and path policy; with its hash."""
    limits, timeouts, mine = config.limits, config.timeouts, config.listeners[listener]
    normalize = mine.normalize or config.normalize
    w = SegmentWriter(_layout.SEG_SETTINGS, "settings")
    w.fill_top({
        "line_max": limits.request_line, "field_max": limits.field, "head_max": limits.head, "fields_max": limits.fields,  # noqa: E501
        "chunk_ext_max": limits.chunk_extension, "chunk_ext_total": limits.chunk_extensions,
        "trailer_max": limits.trailers, "trailer_fields": limits.trailer_fields,
        "body_max": limits.body, "body_buffer_max": limits.buffered_body,
        "buffer_high": limits.buffer_high, "buffer_low": limits.buffer_low,
        "head_ms": timeouts.head, "body_idle_ms": timeouts.body, "body_rate": limits.body_rate,
        "send_idle_ms": timeouts.send, "send_rate": limits.send_rate,
        "keepalive_ms": timeouts.keep_alive, "keepalive_requests": limits.connection_requests,
        "connection_ms": timeouts.connection,
        "half_close_probe_ms": timeouts.half_close, "linger_ms": timeouts.linger,
        "h2_streams": limits.http2.streams, "h2_window": limits.http2.window,
        "h2_connection_window": limits.http2.connection_window, "h2_resets": limits.http2.resets,
        "h2_control": limits.http2.control_frames, "h2_empty": limits.http2.empty_frames, "http2": int(mine.http2),
        "proxy_protocol": int(mine.proxy_protocol), "slashes": _layout.SLASHES[normalize.slashes],
        "merge_slashes": int(normalize.merge_slashes), "underscores": _layout.UNDERSCORES[normalize.underscores],
        "scheme_https": int(mine.tls is not None),
    })  # fmt: skip
    return w.finish()


def tls_segment(tls: Tls, handshake_ms: int, http2: bool) -> tuple[int, bytes]:
    """The segment of what a listener shows to clients: private keys are in it. With its hash."""
    w, auth = SegmentWriter(_layout.SEG_TLS, "tls"), tls.client_auth
    read = [(each, inspect(each.cert.encode())) for each in tls.certificates]
    certs = [
        {"cert": w.text(each.cert), "key": w.text(each.key), "kind": w.text(info.kind),
         "names": w.text("".join(f"{name}\n" for name in info.names))}
        for each, info in read
    ]  # fmt: skip
    w.fill_top({
        "certs": w.array("tls_cert", certs),
        "ca": w.text(auth.ca or "" if auth.mode != "none" else ""), "client_auth": AUTH[auth.mode],
        "ciphers": w.text(tls.ciphers), "min_version": VERSIONS[tls.min_version],
        "handshake_ms": handshake_ms, "strict_names": int(tls.unknown_names == "refuse"), "tickets": int(tls.tickets),
        "http2": int(http2),
    })  # fmt: skip
    return w.finish()


def _upstream_ref(
    w: SegmentWriter, config: Config, name: str, slots: SlotGiver, segments: _Segments
) -> Mapping[str, int | Span]:
    return {
        "name": w.text(name),
        "seg": segments.keep(upstream_segment(config, name)),
        "id": slots.upstream_id(name),
        "endpoints": slots.endpoint_table(name),
        "slot": slots.stats_slot("upstream", name),
    }


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def upstream_segment(config: Config, name: str) -> tuple[int, bytes]:
    """The segment of one upstream's settings; with its hash. Endpoints are not in it."""
    upstream, limits, timeouts = config.upstreams[name], config.limits, config.timeouts
    pool, mine = upstream.pool, upstream.timeouts
    w = SegmentWriter(_layout.SEG_UPSTREAM, "upstream")
    w.fill_top({
        "name": w.text(name), "host": w.text(name),
        "balance": 0, "host_rewrite": int(upstream.host == "rewrite"),
        "retry_connect": upstream.balance.connect_retries, "retry_goaway": upstream.balance.goaway_retries,
        "avoid_ms": upstream.balance.avoid,
        "max_idle": pool.max_idle, "max_connections": pool.max_connections,
        "queue_max": pool.queue, "queue_ms": pool.queue_timeout, "stall_ms": pool.stall_timeout,
        "idle_ms": pool.idle_timeout, "requests_max": pool.max_requests,
        "connect_ms": _first(mine.connect, timeouts.connect),
        "first_byte_ms": _first(mine.first_byte, timeouts.first_byte),
        "read_idle_ms": _first(mine.idle, timeouts.idle),
        "send_idle_ms": _first(mine.send, timeouts.upstream_send),
        "line_max": limits.request_line, "field_max": limits.field, "head_max": limits.head, "fields_max": limits.fields,  # noqa: E501
        "chunk_ext_max": limits.chunk_extension, "chunk_ext_total": limits.chunk_extensions,
        "trailer_max": limits.trailers, "trailer_fields": limits.trailer_fields,
        "protocol": _layout.PROTOCOLS[upstream.protocol], "streams_max": pool.max_streams,
        **_upstream_tls(w, upstream.tls),
    })  # fmt: skip
    return w.finish()


def _upstream_tls(w: SegmentWriter, tls: UpstreamTls | None) -> Mapping[str, int | Span]:
    if tls is None:
        return {}
    own = tls.certificate
    return {
        "tls": 1, "tls_verify": int(tls.verify), "tls_min_version": VERSIONS[tls.min_version],
        "tls_ca": w.text(tls.ca or "" if tls.verify else ""), "tls_name": w.text(tls.server_name or ""),
        "tls_cert": w.text(own.cert if own else ""), "tls_key": w.text(own.key if own else ""),
        "tls_ciphers": w.text(tls.ciphers),
    }  # fmt: skip


def _tunnel_times(config: Config, route: Route, upstream: str | None) -> Mapping[str, int]:
    """How long the tunnels of a route may be silent, and live: its own, else its upstream's, else the global ones."""
    of = [route.timeouts, *([config.upstreams[upstream].timeouts] if upstream else [])]
    return {
        "tunnel_idle_ms": _first(*[each.tunnel for each in of], config.timeouts.tunnel),
        "tunnel_max_ms": _first(*[each.tunnel_max for each in of], config.timeouts.tunnel_max),
    }


def routes_segment(
    config: Config, routes: Mapping[str, Route], slots: SlotGiver | None = None, plugins: Plugins | None = None
) -> tuple[int, bytes]:
    """The segment of these routes, in this order, and the trie that finds them; with its hash."""
    slots, hooks = slots or Slots(), Hooks(plugins or Unloaded())
    w = SegmentWriter(_layout.SEG_ROUTES, "routes")
    destinations = {name: destination(route) for name, route in routes.items()}
    upstreams = sorted({to for _, to in destinations.values() if isinstance(to, str)})
    rows = [
        _route_fields(w, config, index, name, route, upstreams, slots, hooks)
        for index, (name, route) in enumerate(routes.items())
    ]
    first, count = w.array("route", rows)
    size, order = w.size_of("route"), {name: place for place, name in enumerate(config.routes)}
    entries = [Entry(first + i * size, name, routes[name], order[name]) for i, name in enumerate(routes)]
    keys = w.numbers(hooks.keys, 8)
    w.fill_top({"upstreams": w.texts(upstreams), "routes": (first, count), "hooks": keys, **write_trie(w, entries)})
    return w.finish()


def _strip(name: str, route: Route) -> int:
    size = len((route.match.prefix or "").encode()) if route.strip_prefix else 0
    if size > _STRIP_MAX:
        raise SnapshotError(f"route {name}: a prefix of {size} bytes cannot be stripped; at most {_STRIP_MAX}")
    return size


def _route_fields(
    w: SegmentWriter, config: Config, index: int, name: str, route: Route, upstreams: Sequence[str], slots: SlotGiver,
    hooks: Hooks,
) -> Mapping[str, int | Span]:
    match, params = route.match, params_of(route)
    chain, to = destination(route)
    fields: dict[str, int | Span] = {
        "name": w.text(name), "index": index,
        "pattern": w.text(match.exact or match.prefix or match.pattern or match.regex or ""),
        "nparams": len(params), "params": w.texts(params),
        "strip": _strip(name, route),
        "chain": write_steps(w, name, chain, params, slots, hooks),
        "request_ms": _first(route.timeouts.request, config.timeouts.request),
        "first_byte_ms": _first(route.timeouts.first_byte, 0),
        "read_idle_ms": _first(route.timeouts.idle, 0),
        "body_max": _first(route.limits.body, 0),
        **_tunnel_times(config, route, to if isinstance(to, str) else None),
        "grpc_slot": slots.stats_slot("grpc", name) if route.grpc else 0,
    }  # fmt: skip
    match to:
        case Static():
            return {**fields, "to": _layout.TO_STATIC, "answer": write_answer(w, to)}
        case Redirect():
            return {**fields, "to": _layout.TO_REDIRECT, "answer": write_redirect(w, to, params)}
        case _:
            return {**fields, "to": _layout.TO_UPSTREAM, "upstream": upstreams.index(to)}
