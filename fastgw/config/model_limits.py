"""Limits and timeouts: every bound the engine keeps, with its safe default.

The three `Route…` and `Upstream…` structs override a few of them for one object; there, None means "as above".
"""

from typing import Annotated, Literal

from msgspec import Struct

from .model_types import GIB, HOUR, KIB, MIB, MINUTE, SECOND, count, duration, option, rate, size


class Http2Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of HTTP/2 connections of clients. The last three end the connection with ENHANCE_YOUR_CALM."""

    streams: Annotated[
        int, count("Requests open at once on one connection; it may buffer `streams` times `window`.", le=65_535)
    ] = 128
    window: Annotated[
        int, size("Body bytes a client may send on one stream before they are passed on.", ge=4 * KIB, le=16 * MIB)
    ] = 64 * KIB
    connection_window: Annotated[
        int, size("Body bytes a client may send on the whole connection in one round trip.", ge=64 * KIB, le=64 * MIB)
    ] = MIB
    resets: Annotated[
        int, count("Streams a client may reset, or have reset for its faults, in ten seconds.", off=True)
    ] = 200
    control_frames: Annotated[
        int,
        count(
            "PING, SETTINGS, WINDOW_UPDATE and other frames without content in ten seconds. Each DATA or HEADERS "
            "frame sent allows two more.",
            off=True,
        ),
    ] = 1_000
    empty_frames: Annotated[int, count("Frames of no bytes that end nothing, in ten seconds.", off=True)] = 100


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one client, one message and one worker may take."""

    request_line: Annotated[int, size("Longest request line; beyond it 414.", ge=64, le=MIB)] = 16 * KIB
    field: Annotated[int, size("Longest single header field, name and value; beyond it 431.", ge=64, le=MIB)] = 16 * KIB
    head: Annotated[
        int, size("Longest head of a request (beyond it 431) or of an upstream's answer (502).", ge=256, le=MIB)
    ] = 64 * KIB
    fields: Annotated[int, count("Most header fields in one head; beyond it 431, or 502 for an answer.", le=4_096)] = (
        100
    )
    body: Annotated[int, size("Longest request body; beyond it 413. Off: streamed without a limit.", off=True)] = 0
    buffered_body: Annotated[
        int, size("Longest body kept in memory for a step or a retry that needs all of it; beyond it 413.", le=GIB)
    ] = 10 * MIB
    trailers: Annotated[int, size("Longest trailer section of a request, or of an answer.", ge=2, le=MIB)] = 8 * KIB
    trailer_fields: Annotated[int, count("Most fields in a trailer section.", ge=0, le=4_096)] = 32
    chunk_extension: Annotated[int, size("Longest extension of one chunk.", ge=0, le=MIB)] = 256
    chunk_extensions: Annotated[int, size("All chunk extensions of one message together.", ge=0, le=MIB)] = 16 * KIB
    body_rate: Annotated[
        int, rate("Slowest a client may send its body on average; below it the request ends with 408.")
    ] = 500
    send_rate: Annotated[
        int, rate("Slowest a client may take its answer on average; below it the connection is closed.")
    ] = 500
    connections: Annotated[
        Annotated[int, count("", le=10_000_000)] | Literal["auto"],
        option(
            "Most client connections of one worker; beyond it 503 with Retry-After. auto: 80 % of the descriptor limit."
        ),
    ] = "auto"
    connection_requests: Annotated[
        int,
        count(
            "Most requests on one client connection before it is closed; beside it timeouts.connection bounds it.",
            off=True,
        ),
    ] = 0
    buffer_high: Annotated[
        int,
        size(
            "Bytes buffered on one side of a connection at which reading from the other side stops.",
            ge=4 * KIB,
            le=64 * MIB,
        ),
    ] = 64 * KIB
    buffer_low: Annotated[
        int, size("Bytes buffered at which reading starts again; less than buffer_high.", ge=KIB, le=64 * MIB)
    ] = 32 * KIB
    http2: Annotated[Http2Limits, option("HTTP/2 connections of clients.")] = Http2Limits()
    memory: Annotated[
        int,
        size(
            "Memory of one worker for messages, requests and HTTP/2. At 90 % of it new requests are refused with 503, "
            "at 98 % no connection is accepted. Connections and TLS come on top, some 24 KiB each.",
            ge=MIB,
            off=True,
        ),
    ] = 0


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long anything may take. Each has its own answer and its own word in the log."""

    head: Annotated[int, duration("For the whole request head, PROXY line included; then 408.")] = 10 * SECOND
    handshake: Annotated[int, duration("For a TLS handshake, all of it; then the connection is closed.")] = 10 * SECOND
    body: Annotated[int, duration("Between two reads of a request body; then 408.")] = 30 * SECOND
    send: Annotated[int, duration("Between two writes to a client; then the connection is closed.")] = 30 * SECOND
    keep_alive: Annotated[int, duration("An idle client connection waits this long for its next request.")] = (
        75 * SECOND
    )
    connection: Annotated[int, duration("Age at which a client connection takes no more requests.", off=True)] = (
        1 * HOUR
    )
    tunnel: Annotated[
        int,
        duration("A tunnel (WebSocket, other upgrades), or a stream of gRPC, without a byte in either direction."),
    ] = 10 * MINUTE
    tunnel_max: Annotated[int, duration("Age at which a tunnel is ended, however busy it is.", off=True)] = 0
    request: Annotated[
        int, duration("From the end of the request head to the end of the answer; then 504.", off=True)
    ] = 0
    connect: Annotated[int, duration("For a connection to one endpoint; then the next is tried, or 504.")] = 2 * SECOND
    first_byte: Annotated[
        int, duration("From the end of the request to the first byte of the upstream's answer; then 504.")
    ] = 30 * SECOND
    idle: Annotated[
        int, duration("Between two reads of an upstream's answer; then the client's answer is cut short.")
    ] = 60 * SECOND
    upstream_send: Annotated[int, duration("Between two writes of a request to an upstream; then 504.")] = 30 * SECOND
    half_close: Annotated[
        int,
        duration("A client that closed its sending half and waits is asked by a 102 this often if it lives.", off=True),
    ] = 1 * SECOND
    linger: Annotated[
        int, duration("After a closing answer the rest of the request is read and dropped for this long.", ge=0)
    ] = 2 * SECOND
    drain_delay: Annotated[
        int,
        duration(
            "A gateway told to stop goes on for this long while /readyz fails, so that balancers send it nothing new; "
            "then it drains.",
            ge=0,
        ),
    ] = 0
    drain: Annotated[int, duration("A stopping or replaced worker finishes its requests for this long.", ge=0)] = (
        30 * SECOND
    )


class UpstreamTimeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timeouts of one upstream. Unset: those of `timeouts`."""

    connect: Annotated[int, duration("As timeouts.connect.")] | None = None
    first_byte: Annotated[int, duration("As timeouts.first_byte.")] | None = None
    idle: Annotated[int, duration("As timeouts.idle.")] | None = None
    send: Annotated[int, duration("As timeouts.upstream_send.")] | None = None
    tunnel: Annotated[int, duration("As timeouts.tunnel.")] | None = None
    tunnel_max: Annotated[int, duration("As timeouts.tunnel_max.", off=True)] | None = None


class RouteTimeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Timeouts of one route. Unset: those of its upstream, then those of `timeouts`."""

    request: Annotated[int, duration("As timeouts.request.", off=True)] | None = None
    first_byte: Annotated[int, duration("As timeouts.first_byte.")] | None = None
    idle: Annotated[int, duration("As timeouts.idle.")] | None = None
    tunnel: Annotated[int, duration("As timeouts.tunnel.")] | None = None
    tunnel_max: Annotated[int, duration("As timeouts.tunnel_max.", off=True)] | None = None


class RouteLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one route. Unset: those of `limits`."""

    body: Annotated[int, size("As limits.body.")] | None = None
